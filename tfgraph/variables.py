"""`tf.Variable`: a named, mutable tensor that lives in a session."""

from __future__ import annotations

from typing import Any, NoReturn

from .convert import to_tensor
from .dtypes import DType, as_dtype
from .graph import Graph, get_default_graph
from .initial_values import safe_initial_value
from .keys import GraphKeys
from .operators import Operators
from .ops import state
from .ops.identity import identity
from .shapes import Dims, TensorShape
from .tensor import Operation, Tensor, TensorLike

__all__ = ["Variable"]


class Variable(Operators, TensorLike):
    """A variable: four nodes, `<name>` (the state), `<name>/initial_value`, `<name>/Assign` and `<name>/read`.

    `initial_value` is anything that converts to a tensor, or a function without arguments that returns such (it is then
    called below the scope `<name>/Initializer`, outside of any `cond` branch and control dependencies). The shape must be
    known unless `validate_shape` is false. ValueError if `initial_value` is None or its shape is unknown.
    """

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        collections: Any = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        expected_shape: Any = None,
        import_scope: str | None = None,
        constraint: Any = None,
        use_resource: bool | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
    ) -> None:
        if initial_value is None:
            raise ValueError("initial_value must be specified.")
        if constraint is not None and not callable(constraint):
            raise ValueError("The `constraint` argument must be a callable.")
        self._trainable = True if trainable is None else bool(trainable)
        self._constraint = constraint
        self._caching_device = caching_device
        self._save_slice_info: Any = None
        collections = _collections(collections, self._trainable)
        graph = getattr(initial_value, "graph", None)
        graph = graph if isinstance(graph, Graph) else get_default_graph()
        # the initial value must not depend on the branch or the order in which the variable happens to be made
        with graph.as_default(), graph.control_dependencies(None):
            self._build(graph, initial_value, name, None if dtype is None else as_dtype(dtype), validate_shape)
        graph.add_to_collections(collections, self)

    def _build(self, graph: Graph, initial_value: Any, name: str | None, dtype: DType | None, validate: bool) -> None:
        with graph.name_scope(name or "Variable") as scope:
            if callable(initial_value):
                with graph.name_scope("Initializer"), graph.device(None):
                    initial_value = initial_value()
                    initial_value = to_tensor(initial_value, dtype, name="initial_value")
            else:
                initial_value = to_tensor(initial_value, dtype, name="initial_value")
            self._initial_value: Tensor = initial_value
            shape = initial_value.get_shape() if validate else TensorShape(None)
            if validate and not shape.is_fully_defined():
                raise ValueError(f"initial_value must have a shape specified: {initial_value}")
            self._variable: Tensor = state.variable(shape=shape, dtype=initial_value.dtype.base_dtype, name=scope)
            with graph.colocate_with(self._variable.op):
                safe = safe_initial_value(initial_value, self.op.name, _find_variable)
                self._initializer_op: Operation = state.assign(
                    self._variable, safe, validate_shape=validate, name="Assign"
                ).op
                with graph.device(self._caching_device or (lambda op: op.device)):
                    self._snapshot: Tensor = identity(self._variable, name="read")

    @classmethod
    def of_nodes(
        cls, name: str, initializer: str, snapshot: str, initial_value: str | None = None, trainable: bool = True
    ) -> Variable:
        """The variable whose nodes are in the default graph already, by their names. ValueError where they are not."""
        graph = get_default_graph()
        variable = cls.__new__(cls)
        try:
            variable._variable = graph.get_tensor_by_name(name)
            variable._initializer_op = graph.get_operation_by_name(initializer)
            variable._snapshot = graph.get_tensor_by_name(snapshot)
            value = variable._initializer_op.inputs[1] if initial_value is None else graph.get_tensor_by_name(initial_value)
        except (KeyError, ValueError, IndexError) as error:
            raise ValueError(f"The nodes of the variable '{name}' are not in the graph: {error}") from None
        if variable._variable.op.type != "VariableV2":
            raise ValueError(f"'{name}' is a {variable._variable.op.type}, not a variable")
        variable._initial_value, variable._trainable = value, trainable
        variable._constraint = variable._caching_device = variable._save_slice_info = None
        return variable

    # --- what it stands for -------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """`<op name>:0`."""
        return self._variable.name

    @property
    def op(self) -> Operation:
        """The VariableV2 node."""
        return self._variable.op

    @property
    def _shared_name(self) -> str:
        return self.op.name

    @property
    def graph(self) -> Graph:
        return self._variable.graph

    @property
    def builder(self) -> Graph:
        return self._variable.graph

    @property
    def device(self) -> str:
        return self._variable.device

    @property
    def dtype(self) -> DType:
        """The reference dtype, e.g. `float32_ref`."""
        return self._variable.dtype

    @property
    def shape(self) -> TensorShape:
        return self._variable.get_shape()

    @property
    def dims(self) -> Dims | None:
        return self._variable.dims

    def get_shape(self) -> TensorShape:
        return self._variable.get_shape()

    def set_shape(self, shape: Any) -> None:
        """Merge what is known about the shape with `shape`; ValueError if they contradict each other."""
        self._variable.set_shape(shape)
        self._snapshot.set_shape(shape)

    @property
    def trainable(self) -> bool:
        return self._trainable

    @property
    def constraint(self) -> Any:
        """The function that optimizers apply to the new value, or None."""
        return self._constraint

    @property
    def initial_value(self) -> Tensor:
        """The tensor that the initialiser assigns."""
        return self._initial_value

    @property
    def initializer(self) -> Operation:
        """The operation that assigns the initial value."""
        return self._initializer_op

    def _as_tensor(self, as_ref: bool = False) -> Tensor:
        return self._variable if as_ref else self._snapshot

    def _as_graph_element(self) -> Tensor:
        return self._variable

    def _ref(self) -> Tensor:
        return self._variable

    # --- reading and writing ------------------------------------------------------------------------------------------

    def value(self) -> Tensor:
        """The tensor `<name>/read` that arithmetic with this variable uses."""
        return self._snapshot

    def read_value(self) -> Tensor:
        """A new read, subject to the control dependencies of this place."""
        return identity(self._variable, name="read")

    def initialized_value(self) -> Tensor:
        """The variable's value if it has one when this is run, else its initial value."""
        from .control_flow import cond

        graph = self.graph
        with graph.as_default(), graph.control_dependencies(None):
            return cond(state.is_variable_initialized(self._variable), self.read_value, lambda: self._initial_value)

    def eval(self, session: Any = None) -> Any:
        """The value in `session` or the default session."""
        return self._variable.eval(session=session)

    def load(self, value: Any, session: Any = None) -> None:
        """Set the value in `session` or the default session, adding nothing to the graph. ValueError without session."""
        from .graph import get_default_session

        session = session or get_default_session()
        if session is None:
            raise ValueError("Either session argument should be provided or default session should be established")
        session.run(self._initializer_op, {self._initializer_op.inputs[1]: value})

    def assign(self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Any:
        """The tensor of the variable after `value` has been assigned (the operation if `read_value` is false)."""
        return _result(state.assign(self._variable, value, use_locking=use_locking, name=name), read_value)

    def assign_add(self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Any:
        """The tensor of the variable after `delta` has been added."""
        return _result(state.assign_add(self._variable, delta, use_locking=use_locking, name=name), read_value)

    def assign_sub(self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Any:
        """The tensor of the variable after `delta` has been subtracted."""
        return _result(state.assign_sub(self._variable, delta, use_locking=use_locking, name=name), read_value)

    # --- Python's protocols -------------------------------------------------------------------------------------------

    def __iter__(self) -> NoReturn:
        raise TypeError("'Variable' object is not iterable.")

    def __str__(self) -> str:
        return f"<tf.Variable '{self.name}' shape={self.get_shape()} dtype={self.dtype.name}>"

    __repr__ = __str__


def _result(assigned: Tensor, read_value: bool) -> Any:
    return assigned if read_value else assigned.op


def _collections(collections: Any, trainable: bool) -> list[Any]:
    if collections is None:
        collections = [GraphKeys.GLOBAL_VARIABLES]
    if not isinstance(collections, (list, tuple, set)):
        raise ValueError(
            "collections argument to Variable constructor must be a list, tuple, or set. "
            f"Got {collections} of type {type(collections)}"
        )
    result = list(collections)
    if trainable and GraphKeys.TRAINABLE_VARIABLES not in result:
        result.append(GraphKeys.TRAINABLE_VARIABLES)
    return result


def _find_variable(op: Operation) -> Variable | None:
    """The Variable whose node is `op`, if it is in one of the collections that initialisers cover."""
    for key in (GraphKeys.GLOBAL_VARIABLES, GraphKeys.LOCAL_VARIABLES):
        for variable in op.graph.get_collection(key):
            if getattr(variable, "op", None) is op:
                return variable
    return None
