"""Graph: the append-only list of operations, its names, scopes, devices, control dependencies and collections."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .arguments import bind, output_dtypes
from .device import DeviceSpec, merge_device, parse_device
from .dtypes import DType, as_dtype
from .opdef import OpDef, opdef, set_default_builder
from .scopes import Controls, Placement, Stack
from .shape_inference import infer_shapes
from .source import user_frames
from .tensor import Operation, Tensor

_VALID_OP = re.compile(r"^[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*$")
_VALID_SCOPE = re.compile(r"^[A-Za-z0-9_.\\/>-]*$")


class Graph:
    """A dataflow graph. Operations are only ever added; `finalize` forbids even that."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._by_name: dict[str, Operation] = {}
        self._names_in_use: dict[str, int] = {}
        self._consumers: dict[Tensor, list[Operation]] = {}
        self._collections: dict[Any, list[Any]] = {}
        self._scope = ""
        self._devices: list[Any] = []
        self._controls: list[Controls] = []
        self._unfeedable: set[Tensor] = set()
        self._unfetchable: set[Operation] = set()
        self._finalized = False
        self._version = 0
        self.context: Any = None  # the tf.cond branch being built (control_flow.Branch)
        self.seed: int | None = None
        self.seeds_given = 0  # to random ops that had none of their own
        self._lock = threading.RLock()

    # --- operations -----------------------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """The number of operations and changes so far."""
        return self._version

    @property
    def _last_id(self) -> int:
        return len(self._operations)

    @property
    def finalized(self) -> bool:
        return self._finalized

    def finalize(self) -> None:
        """Make the graph read-only."""
        self._finalized = True

    def _unsafe_unfinalize(self) -> None:
        self._finalized = False

    def check_not_finalized(self) -> None:
        if self._finalized:
            raise RuntimeError("Graph is finalized and cannot be modified.")

    def changed(self) -> None:
        """Note a change of an existing operation, so that sessions plan anew."""
        self._version += 1

    def build(self, op: OpDef, inputs: Sequence[Any], attrs: Mapping[str, Any], name: str | None) -> Operation:
        """Add a call of `op`; Python values among `inputs` become constants named after the arguments."""
        from .convert import to_tensor

        self.check_not_finalized()
        with self.as_default(), self.name_scope(name or op.type.lstrip("_")) as scope:

            def convert(value: Any, dtype: DType | None, argument: str, as_ref: bool) -> Tensor:
                return to_tensor(value, dtype, name=argument, as_ref=as_ref)

            flat, bound = bind(op, inputs, attrs, convert)
            if self.context is not None:
                # here, so that a Switch made for an input is named below the operation
                flat = self.context.route(flat)
        return self.add_operation(op, flat, bound, scope.rstrip("/"))

    def add_operation(
        self,
        op: OpDef,
        inputs: Sequence[Tensor],
        attrs: Mapping[str, Any],
        name: str,
        control_inputs: Sequence[Operation] | None = None,
        device: str | None = None,
    ) -> Operation:
        """Append an operation whose inputs and attributes are complete and whose `name` is already unique."""
        self.check_not_finalized()
        if not _VALID_OP.match(name):
            raise ValueError(f"'{name}' is not a valid node name")
        if self.context is not None:
            inputs = self.context.route(inputs)
        for tensor in inputs:
            if tensor.graph is not self:
                first = next((t for t in inputs if t.graph is self), None)
                raise ValueError(f"{tensor} must be from the same graph as {first if first is not None else self}.")
        dims = infer_shapes(op, inputs, attrs, name)
        if control_inputs is None:
            control_inputs = self._current_controls(inputs)
            if self.context is not None:
                control_inputs = self.context.anchored(inputs, control_inputs)
        with self._lock:
            operation = Operation(
                graph=self,
                opdef=op,
                name=name,
                inputs=inputs,
                control_inputs=control_inputs,
                attrs=attrs,
                outputs=list(zip(output_dtypes(op, attrs), dims, strict=True)),
                device=self._current_device(name, op) if device is None else device,
                frames=user_frames(),
                number=len(self._operations) + 1,
            )
            self._operations.append(operation)
            self._by_name[name] = operation
            self._version += 1
            for tensor in inputs:
                self._consumers.setdefault(tensor, []).append(operation)
            for controls in self._controls:
                controls.members.add(operation)
        if self.context is not None:
            operation.context = self.context
            self.context.add(operation)
        return operation

    def create_op(
        self,
        op_type: str,
        inputs: Sequence[Tensor],
        dtypes: Any = None,
        input_types: Any = None,
        name: str | None = None,
        attrs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> Operation:
        """Add an operation by type name, as TensorFlow's method of this name does."""
        definition = opdef(op_type)
        if definition is None:
            raise ValueError(f"No op named '{op_type}' is known.")
        return self.build(definition, list(inputs), dict(attrs or {}), name)

    def consumers(self, tensor: Tensor) -> list[Operation]:
        return list(self._consumers.get(tensor, ()))

    def get_operations(self) -> list[Operation]:
        return list(self._operations)

    def get_operation_by_name(self, name: str) -> Operation:
        """KeyError if there is none; TypeError if `name` is no string."""
        if not isinstance(name, str):
            raise TypeError(f"Operation names are strings (or similar), not {type(name).__name__}.")
        return self.as_graph_element(name, allow_tensor=False, allow_operation=True)

    def get_tensor_by_name(self, name: str) -> Tensor:
        """KeyError if there is none; ValueError if `name` is not of the form "<op_name>:<output_index>"."""
        if not isinstance(name, str):
            raise TypeError(f"Tensor names are strings (or similar), not {type(name).__name__}.")
        return self.as_graph_element(name, allow_tensor=True, allow_operation=False)

    def as_graph_element(self, obj: Any, allow_tensor: bool = True, allow_operation: bool = True) -> Any:
        """The Tensor or Operation that `obj` (one of those, a Variable, or a name) stands for in this graph.

        KeyError for an unknown name, ValueError for a malformed one or a foreign element, TypeError otherwise.
        """
        kinds = {(True, True): "Tensor or Operation", (True, False): "Tensor", (False, True): "Operation"}
        kind = kinds[allow_tensor, allow_operation]
        if hasattr(obj, "_as_graph_element"):
            obj = obj._as_graph_element()
        if isinstance(obj, str):
            return self._by_text(obj, allow_tensor, allow_operation)
        if (isinstance(obj, Tensor) and allow_tensor) or (isinstance(obj, Operation) and allow_operation):
            if obj.graph is not self:
                what = "Tensor" if isinstance(obj, Tensor) else "Operation"
                shown = obj if isinstance(obj, Tensor) else repr(obj)
                raise ValueError(f"{what} {shown} is not an element of this graph.")
            return obj
        raise TypeError(f"Can not convert a {type(obj).__name__} into a {kind}.")

    def _by_text(self, name: str, allow_tensor: bool, allow_operation: bool) -> Any:
        if ":" in name and allow_tensor:
            op_name, _, index_text = name.rpartition(":")
            if not index_text.isdigit() or ":" in op_name:
                raise ValueError(
                    f"The name '{name}' looks a like a Tensor name, but is not a valid one. Tensor names must be of the "
                    'form "<op_name>:<output_index>".'
                )
            operation = self._by_name.get(op_name)
            if operation is None:
                raise KeyError(
                    f"The name '{name}' refers to a Tensor which does not exist. The operation, '{op_name}', does not "
                    "exist in the graph."
                )
            if int(index_text) >= len(operation.outputs):
                raise KeyError(
                    f"The name '{name}' refers to a Tensor which does not exist. The operation, '{op_name}', exists but "
                    f"only has {len(operation.outputs)} outputs."
                )
            return operation.outputs[int(index_text)]
        if ":" in name:
            raise ValueError(f"The name '{name}' appears to refer to a Tensor, not a Operation.")
        if not allow_operation:
            hint = "looks like an (invalid) Operation name, not a Tensor"
            raise ValueError(f"The name '{name}' {hint}. Tensor names must be of the form \"<op_name>:<output_index>\".")
        if name not in self._by_name:
            raise KeyError(f"The name '{name}' refers to an Operation not in the graph.")
        return self._by_name[name]

    # --- names ----------------------------------------------------------------------------------------------------

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """`name` inside the current scope, with a suffix `_1`, `_2`, ... if it is taken (letter case is ignored)."""
        if self._scope:
            name = f"{self._scope}/{name}"
        key = name.lower()
        count = self._names_in_use.get(key, 0)
        if mark_as_used:
            self._names_in_use[key] = count + 1
        if count == 0:
            return name
        candidate = key
        while candidate in self._names_in_use:
            candidate = f"{key}_{count}"
            count += 1
        if mark_as_used:
            self._names_in_use[candidate] = 1
        return f"{name}_{count - 1}"

    @contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """Nest names under `name` (made unique); a name that ends in "/" re-enters that scope, None leaves all."""
        pattern = _VALID_SCOPE if self._scope else _VALID_OP
        if name and not pattern.match(name):
            raise ValueError(f"'{name}' is not a valid scope name")
        outer = self._scope
        if not name:
            inner = ""
        elif name.endswith("/"):
            inner = name.rstrip("/")
        else:
            inner = self.unique_name(name)
        self._scope = inner
        try:
            yield inner + "/" if inner else ""
        finally:
            self._scope = outer

    def get_name_scope(self) -> str:
        return self._scope

    # --- control dependencies, devices -----------------------------------------------------------------------------

    @contextmanager
    def control_dependencies(self, control_inputs: Sequence[Any] | None) -> Iterator[None]:
        """Operations made inside run after `control_inputs`; None clears the enclosing ones."""
        outer, outer_context = self._controls, self.context
        if control_inputs is None:
            self._controls, self.context = [], None
        else:
            ops = []
            for item in control_inputs:
                element = self.as_graph_element(item)
                ops.append(element.op if isinstance(element, Tensor) else element)
            self._controls = [*outer, Controls(tuple(dict.fromkeys(ops)))]
        try:
            yield
        finally:
            self._controls, self.context = outer, outer_context

    def _current_controls(self, inputs: Sequence[Tensor]) -> list[Operation]:
        """Enclosing control inputs that the data inputs do not imply already."""
        result: dict[Operation, None] = {}
        for controls in self._controls:
            if not any(t.op in controls.members for t in inputs):
                result.update(dict.fromkeys(controls.ops))
        for tensor in inputs:
            result.pop(tensor.op, None)
        return list(result)

    @contextmanager
    def device(self, device_name_or_function: Any) -> Iterator[None]:
        """Place the operations made inside on a device ("/gpu:0", "/cpu:0", a function of the op, or None)."""
        given = device_name_or_function
        if isinstance(given, DeviceSpec):
            given = given.to_string()
        if isinstance(given, str):
            parse_device(given)  # refuses a malformed name here, where the user wrote it
        outer = self._devices
        self._devices = [*outer, given]
        try:
            yield
        finally:
            self._devices = outer

    def _current_device(self, name: str, op: OpDef) -> str:
        device = ""
        for entry in self._devices:
            if entry is None:
                device = ""
            else:
                spec = entry(Placement(name, op.type, device)) if callable(entry) else entry
                device = merge_device(device, spec or "")
        return device

    def _apply_device_functions(self, op: Any) -> None:
        """Tell `op`, which has `_set_device`, the device of this place, if there is one; Keras asks in this way."""
        for entry in self._devices:
            if entry is not None and not callable(entry):
                op._set_device(DeviceSpec.from_string(entry))

    @contextmanager
    def colocate_with(self, op: Any, ignore_existing: bool = False) -> Iterator[None]:
        with self.device(getattr(op, "device", "") or ""):
            yield

    # --- collections, feeds, defaults -------------------------------------------------------------------------------

    def add_to_collection(self, name: Any, value: Any) -> None:
        self.check_not_finalized()
        self._collections.setdefault(name, []).append(value)

    def add_to_collections(self, names: Any, value: Any) -> None:
        for name in (names,) if isinstance(names, str) else dict.fromkeys(names):
            self.add_to_collection(name, value)

    def get_collection(self, name: Any, scope: str | None = None) -> list[Any]:
        """A copy of the collection; with `scope`, only items whose name matches it (re.match) are returned."""
        items = self._collections.get(name, [])
        if scope is None:
            return list(items)
        pattern = re.compile(scope)
        return [item for item in items if hasattr(item, "name") and pattern.match(item.name)]

    def get_collection_ref(self, name: Any) -> list[Any]:
        return self._collections.setdefault(name, [])

    def get_all_collection_keys(self) -> list[Any]:
        return [key for key, items in self._collections.items() if items and isinstance(key, str)]

    def clear_collection(self, name: Any) -> None:
        self._collections.pop(name, None)

    def prevent_feeding(self, tensor: Tensor) -> None:
        self._unfeedable.add(tensor)

    def is_feedable(self, tensor: Tensor) -> bool:
        return tensor not in self._unfeedable

    def prevent_fetching(self, op: Operation) -> None:
        self._unfetchable.add(op)

    def is_fetchable(self, element: Any) -> bool:
        """False for what exists in one branch of a condition only."""
        return (element.op if isinstance(element, Tensor) else element) not in self._unfetchable

    def as_default(self) -> Any:
        """A context manager that makes this the default graph of the thread."""
        return _stacks.graphs.pushed(self)

    def as_graph_def(self, from_version: int | None = None, add_shapes: bool = False) -> Any:
        """The graph as a GraphDef proto (extra `tensorboard`)."""
        from .nodedef import graph_def

        return graph_def(self, add_shapes)

    def _repr_svg_(self) -> str | None:
        """For notebooks: a picture of the graph, if Graphviz is installed."""
        from .drawing import graph_svg

        return graph_svg(self)

    def constant(self, array: np.ndarray, dtype: DType, name: str) -> Tensor:
        """A Const node holding `array`."""
        definition = opdef("Const")
        assert definition is not None
        unique = self.unique_name(name) if not name.endswith("/") else name.rstrip("/")
        return self.add_operation(definition, (), {"value": array, "dtype": as_dtype(dtype)}, unique).outputs[0]


class _Stacks:
    def __init__(self) -> None:
        self.graphs = Stack()
        self.sessions = Stack()
        self.global_graph = Graph()


_stacks = _Stacks()


def get_default_graph() -> Graph:
    """The innermost graph entered with `as_default`, else the global one."""
    top = _stacks.graphs.top()
    return _stacks.global_graph if top is None else top


def reset_default_graph() -> None:
    """Replace the global default graph with an empty one. AssertionError inside a nested graph."""
    if _stacks.graphs.items:
        raise AssertionError(
            "Do not use tf.reset_default_graph() to clear nested graphs. If you need a cleared graph, exit the nesting "
            "and create a new graph."
        )
    _stacks.global_graph = Graph()


def get_default_session() -> Any:
    """The innermost session entered with `as_default`, else None."""
    return _stacks.sessions.top()


def session_stack() -> Stack:
    """The thread's stack of default sessions."""
    return _stacks.sessions


def graph_stack() -> Stack:
    """The thread's stack of default graphs."""
    return _stacks.graphs


set_default_builder(get_default_graph)

