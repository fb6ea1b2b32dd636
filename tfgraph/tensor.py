"""Tensor and Operation: the nodes and edges a user sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .dtypes import DType
from .errors import ShapeError
from .guards import guards_of_call
from .opdef import OpDef
from .operators import Operators
from .shapes import Dims, TensorShape, as_shape, merge_dims
from .source import Frame
from .values import known

if TYPE_CHECKING:
    from .graph import Graph


class TensorLike:
    """Base class of everything that stands for one dense tensor (Tensor, Variable)."""


_UNKNOWN = object()


class Tensor(Operators, TensorLike):
    """One output of an Operation: a symbolic handle, its value exists only during `Session.run`."""

    def __init__(self, op: Operation, value_index: int, dtype: DType, dims: Dims | None) -> None:
        self._op = op
        self._value_index = value_index
        self._dtype = dtype
        self._shape = TensorShape(dims)
        self._known: Any = _UNKNOWN

    @property
    def op(self) -> Operation:
        """The Operation that produces this tensor."""
        return self._op

    @property
    def value_index(self) -> int:
        return self._value_index

    @property
    def dtype(self) -> DType:
        return self._dtype

    @property
    def name(self) -> str:
        """`<op name>:<output index>`."""
        return f"{self._op.name}:{self._value_index}"

    @property
    def graph(self) -> Graph:
        return self._op.graph

    @property
    def builder(self) -> Graph:
        return self._op.graph

    @property
    def device(self) -> str:
        return self._op.device

    @property
    def shape(self) -> TensorShape:
        return self._shape

    @property
    def dims(self) -> Dims | None:
        """The static shape as a tuple of ints and None; None if the rank is unknown."""
        return self._shape.sizes

    def get_shape(self) -> TensorShape:
        return self._shape

    def set_shape(self, shape: Any) -> None:
        """Merge what is known about the shape with `shape`; ValueError if they contradict each other."""
        try:
            self._shape = TensorShape(merge_dims(self.dims, as_shape(shape).sizes))
        except ShapeError as error:
            raise ValueError(error.build) from None

    def known(self) -> np.ndarray | None:
        """The value if it is known without a run (elements may be None where unknown)."""
        if self._known is _UNKNOWN:
            value = known(self, partial=True)
            if value is None or value.dtype == object:
                return value  # a later set_shape may tell more
            self._known = value
        return self._known

    def consumers(self) -> list[Operation]:
        """The operations that take this tensor as an input."""
        return self.graph.consumers(self)

    def eval(self, feed_dict: Mapping[Any, Any] | None = None, session: Any = None) -> Any:
        """The value of this tensor in `session` or the default session. ValueError if there is none."""
        return _session(self.graph, session, "evaluate tensor using `eval()`", "eval(session=sess)").run(self, feed_dict)

    def __str__(self) -> str:
        shape = "" if self._shape.ndims is None else f", shape={self._shape}"
        device = f", device={self.device}" if self.device else ""
        return f'Tensor("{self.name}"{shape}, dtype={self._dtype.name}{device})'

    def __repr__(self) -> str:
        return f"<tf.Tensor '{self.name}' shape={self._shape} dtype={self._dtype.name}>"

    def _repr_svg_(self) -> str | None:
        """For notebooks: what this tensor is computed from, if Graphviz is installed."""
        from .drawing import tensor_svg

        return tensor_svg(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "Using a `tf.Tensor` as a Python `bool` is not allowed. Use `if t is not None:` instead of `if t:` to test "
            "if a tensor is defined, and use TensorFlow ops such as tf.cond to execute subgraphs conditioned on the "
            "value of a tensor."
        )

    def __iter__(self) -> NoReturn:
        raise TypeError(
            "Tensor objects are only iterable when eager execution is enabled. To iterate over this tensor use tf.map_fn."
        )

    def __len__(self) -> NoReturn:
        raise TypeError(
            f"len is not well defined for symbolic Tensors. ({self.name}) Please call `x.shape` rather than `len(x)`."
        )

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(f"Cannot convert a symbolic Tensor ({self.name}) to a numpy array.")

    def __copy__(self) -> Tensor:
        return self


class Operation:
    """One node of a Graph: an op type, its inputs and attributes, and where the user made it."""

    def __init__(
        self,
        graph: Graph,
        opdef: OpDef,
        name: str,
        inputs: Sequence[Tensor],
        control_inputs: Sequence[Operation],
        attrs: Mapping[str, Any],
        outputs: Sequence[tuple[DType, Dims | None]],
        device: str,
        frames: tuple[Frame, ...],
        number: int,
    ) -> None:
        self.graph = graph
        self.opdef = opdef
        self.name = name
        self.attrs: dict[str, Any] = dict(attrs)
        self.inputs: tuple[Tensor, ...] = tuple(inputs)
        self._control_inputs = list(control_inputs)
        self.outputs = [Tensor(self, i, dtype, dims) for i, (dtype, dims) in enumerate(outputs)]
        self._device = device
        self.frames = frames
        self.id = number
        self.context: Any = None  # the tf.cond branch it was made in
        self.is_setting = False  # a number such as a learning rate, which people change between runs (convert.setting)
        self.guards = guards_of_call(opdef.type, self.inputs, self._control_inputs)

    @property
    def type(self) -> str:
        return self.opdef.type

    @property
    def _id(self) -> int:
        return self.id

    @property
    def device(self) -> str:
        return self._device

    def _set_device(self, device: str) -> None:
        self._device = device

    @property
    def control_inputs(self) -> list[Operation]:
        """The operations that must run before this one."""
        return list(self._control_inputs)

    def _add_control_input(self, op: Operation) -> None:
        self._add_control_inputs([op])

    def _add_control_inputs(self, ops: Sequence[Operation]) -> None:
        self._control_inputs += [o for o in ops if o not in self._control_inputs]
        self.guards = guards_of_call(self.type, self.inputs, self._control_inputs)
        self.graph.changed()

    @property
    def node_def(self) -> Any:
        """This node as a NodeDef (a GraphDef of one node when protobuf is installed, else a plain record)."""
        from .nodedef import node_def

        return node_def(self)

    def get_attr(self, name: str) -> Any:
        """The value of an attribute; ValueError if the op has none of that name."""
        if name not in self.attrs:
            raise ValueError(f"Operation '{self.name}' has no attr named '{name}'.")
        return self.attrs[name]

    attr = get_attr

    def values(self) -> tuple[Tensor, ...]:
        return tuple(self.outputs)

    def run(self, feed_dict: Mapping[Any, Any] | None = None, session: Any = None) -> None:
        """Run this operation in `session` or the default session. ValueError if there is none."""
        _session(self.graph, session, "execute operation using `run()`", "run(session=sess)").run(self, feed_dict)

    @property
    def traceback(self) -> list[tuple[str, int, str, str]]:
        import linecache

        return [(f.file, f.line, f.function, linecache.getline(f.file, f.line).strip()) for f in self.frames]

    def source_lines(self) -> list[str]:
        """The user's frames that made this node, outermost first."""
        return [frame.text() for frame in self.frames]

    def __str__(self) -> str:
        return str(self.node_def)

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.type}>"


def _session(graph: Graph, session: Any, what: str, how: str) -> Any:
    from .graph import get_default_session

    if session is None:
        session = get_default_session()
        if session is None:
            raise ValueError(
                f"Cannot {what}: No default session is registered. Use `with sess.as_default()` or pass an explicit "
                f"session to `{how}`"
            )
        if session.graph is not graph:
            raise ValueError(
                f"Cannot use the default session to {what.split(' using')[0]}: the tensor's graph is different from the "
                f"session's graph. Pass an explicit session to `{how}`."
            )
    elif session.graph is not graph:
        raise ValueError(
            f"Cannot use the given session to {what.split(' using')[0]}: the tensor's graph is different from the "
            "session's graph."
        )
    return session
