"""Order and choice as users write them: control dependencies, groups, `tf.cond`, assertions, scopes and devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from . import nest
from .convert import to_tensor
from .dtypes import as_dtype
from .graph import Graph, get_default_graph
from .ops import control
from .ops.identity import identity
from .tensor import Operation, Tensor

__all__ = [
    "Assert",
    "Print",
    "case",
    "colocate_with",
    "cond",
    "control_dependencies",
    "device",
    "group",
    "name_scope",
    "no_op",
    "op_scope",
    "tuple",
]

_tuple = tuple


# --- scopes and order -----------------------------------------------------------------------------------------------


class name_scope:
    """A context manager that nests the names of new operations under `name`, or `default_name` if that is None.

    `values` are the tensors that the operations will use: the scope is opened in their graph. Entering gives the scope's
    full name, ending in "/". ValueError if both names are None although `values` are given.
    """

    def __init__(self, name: str | None, default_name: str | None = None, values: Any = None) -> None:
        self._name = default_name if name is None else name
        self._given, self._default_name, self._values = name, default_name, values
        self._entered: list[AbstractContextManager[Any]] = []

    @property
    def name(self) -> str | None:
        return self._name

    def __enter__(self) -> str:
        if self._name is None and self._values is not None:
            raise ValueError(
                f"At least one of name ({self._given}) and default_name ({self._default_name}) must be provided."
            )
        graph = graph_of(self._values or [])
        default, scope = graph.as_default(), graph.name_scope(self._name)
        default.__enter__()
        try:
            full_name = scope.__enter__()
        except BaseException:
            default.__exit__(None, None, None)
            raise
        self._entered += [default, scope]
        return full_name

    def __exit__(self, *error: Any) -> None:
        scope, default = self._entered.pop(), self._entered.pop()
        scope.__exit__(*error)
        default.__exit__(*error)


def graph_of(values: Iterable[Any]) -> Graph:
    """The graph that the tensors among `values` belong to, else the default graph. ValueError if there are several."""
    found: Any = None
    for value in nest.flatten(list(values)):
        graph = getattr(value, "graph", None)
        if not isinstance(graph, Graph):
            continue
        if found is not None and found.graph is not graph:
            raise ValueError(f"{value} must be from the same graph as {found}.")
        found = value if found is None else found
    return get_default_graph() if found is None else found.graph


@contextmanager
def op_scope(values: Any, name: str | None, default_name: str | None = None) -> Iterator[str]:
    """`name_scope` with the arguments in the order of TensorFlow's first releases."""
    with name_scope(name, default_name, values) as scope:
        yield scope


def control_dependencies(control_inputs: Sequence[Any] | None) -> AbstractContextManager[None]:
    """Operations made inside run after `control_inputs` (operations, tensors, variables); None clears enclosing ones."""
    return get_default_graph().control_dependencies(control_inputs)


def device(device_name_or_function: Any) -> AbstractContextManager[None]:
    """Operations made inside are placed on the device ("/gpu:0"), by a function of the operation, or freely (None)."""
    return get_default_graph().device(device_name_or_function)


def colocate_with(op: Any, ignore_existing: bool = False) -> AbstractContextManager[None]:
    """Operations made inside are placed where `op` is."""
    return get_default_graph().colocate_with(op, ignore_existing)


def no_op(name: str | None = None) -> Operation:
    """An operation that does nothing but wait for its control inputs."""
    return control.no_op(name=name)


def group(*inputs: Any, **kwargs: Any) -> Operation:
    """An operation that runs all `inputs` (operations, tensors, variables, nested lists of them)."""
    name = kwargs.pop("name", None)
    if kwargs:
        raise ValueError(f"Unknown keyword arguments: {', '.join(kwargs)}")
    operations: dict[Operation, None] = {}
    for item in nest.flatten(inputs):
        operation = item if isinstance(item, Operation) else getattr(item, "op", None)
        if not isinstance(operation, Operation):
            raise TypeError(f"Expected tf.group() expected Tensor objects not None or others, got {item!r} ({type(item)})")
        operations[operation] = None
    graph = graph_of(operations) if operations else get_default_graph()
    by_device: dict[str, list[Operation]] = {}
    for operation in operations:
        by_device.setdefault(operation.device, []).append(operation)
    with graph.as_default(), graph.name_scope(name or "group_deps") as scope:
        if len(by_device) <= 1:
            with graph.device(next(iter(by_device), None) or None), graph.control_dependencies(list(operations)):
                return no_op(name=scope)
        gates = []
        for place in sorted(by_device):
            with graph.device(place or None), graph.control_dependencies(by_device[place]):
                gates.append(no_op())
        with graph.control_dependencies(gates):
            return no_op(name=scope)


def tuple(tensors: Sequence[Any], name: str | None = None, control_inputs: Sequence[Any] | None = None) -> list[Any]:
    """`tensors`, none of which can be used before all of them (and `control_inputs`) have been computed.

    ValueError if there is no tensor among them.
    """
    with name_scope(name, "tuple", tensors):
        gates = [t.op for t in tensors if t is not None]
        for item in control_inputs or ():
            gates.append(item if isinstance(item, Operation) else item.op)
        if not any(t is not None for t in tensors):
            raise ValueError(f"Must have at least one Tensor: {tensors}")
        gate = group(*sorted(dict.fromkeys(gates), key=lambda op: op.id))
        return [None if t is None else with_dependencies([gate], t) for t in tensors]


def with_dependencies(dependencies: Sequence[Any], output_tensor: Any, name: str | None = None) -> Tensor:
    """`output_tensor`, available only after `dependencies` have run."""
    scope_of_both = name_scope(name, "control_dependency", [*dependencies, output_tensor])
    with scope_of_both as scope, colocate_with(output_tensor), control_dependencies(dependencies):
        return identity(to_tensor(output_tensor), name=scope)


# --- conditions -------------------------------------------------------------------------------------------------------


class Branch:
    """One branch of a condition while it is being built.

    Tensors from outside come in through a Switch, so that they exist only where the branch is taken; operations without
    inputs are tied to the branch's pivot for the same reason.
    """

    def __init__(self, graph: Graph, pred: Tensor, pivot: Tensor, branch: bool) -> None:
        self.graph = graph
        self.pred = pred
        self.pivot = pivot
        self.branch = branch
        self.outer: Branch | None = graph.context
        self._inside: dict[Tensor, Tensor] = {pred: pred, pivot: pivot}  # a tensor, and what stands for it inside

    def route(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """`tensors` with those from outside replaced by what stands for them inside."""
        return [self.routed(t) for t in tensors]

    def routed(self, tensor: Tensor) -> Tensor:
        if tensor not in self._inside:
            outside = tensor if self.outer is None else self.outer.routed(tensor)
            operation = control.ref_switch if tensor.dtype.is_ref else control.switch
            with self.graph.control_dependencies(None):
                inside = operation(outside, self.pred, name="Switch")[self.branch]
            self._inside[tensor] = self._inside[inside] = inside
        return self._inside[tensor]

    def anchored(self, inputs: Sequence[Tensor], control_inputs: Sequence[Operation]) -> Sequence[Operation]:
        """`control_inputs` of a new operation, with the pivot added if nothing else ties it to this branch."""
        if inputs or any(operation.context is self for operation in control_inputs):
            return control_inputs
        return [*control_inputs, self.pivot.op]

    def add(self, operation: Operation) -> None:
        """Note a new operation of this branch."""
        context: Branch | None = self
        while context is not None:
            context._inside.update((t, t) for t in operation.outputs)
            context = context.outer
        self.graph.prevent_fetching(operation)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Operations made inside belong to this branch."""
        self.graph.context = self
        try:
            yield
        finally:
            self.graph.context = self.outer

    def build(self, function: Callable[[], Any], label: str) -> Any:
        """What `function` returns, as tensors that exist where the branch is taken. ValueError if it returns None."""
        with self.entered():
            result = function()
            if result is None:
                raise ValueError(f"{label} must have a return value.")
            return nest.map_structure(self._result, result)

    def _result(self, value: Any) -> Tensor:
        tensor = with_dependencies([value], self.pivot) if isinstance(value, Operation) else to_tensor(value)
        result = self.routed(tensor)
        if self.outer is not None:
            self.outer._inside[result] = result  # the Merge that takes it is in the outer branch
        return result


def cond(
    pred: Any,
    true_fn: Callable[[], Any] | None = None,
    false_fn: Callable[[], Any] | None = None,
    strict: bool = False,
    name: str | None = None,
    fn1: Callable[[], Any] | None = None,
    fn2: Callable[[], Any] | None = None,
) -> Any:
    """`true_fn()` where the scalar `pred` is true, else `false_fn()`; both must return the same structure and dtypes.

    Operations made inside a function run only where its branch is taken; tensors made outside are computed in any case.
    A list of one tensor is returned as that tensor unless `strict`. TypeError for a Python bool or functions that cannot
    be called, ValueError where the results do not fit together.
    """
    true_fn, false_fn = true_fn or fn1, false_fn or fn2
    if not callable(true_fn):
        raise TypeError("true_fn must be callable.")
    if not callable(false_fn):
        raise TypeError("false_fn must be callable.")
    with name_scope(name, "cond", [pred]):
        if isinstance(pred, bool):
            raise TypeError("pred must not be a Python bool")
        pred = to_tensor(pred, name="pred")
        if_false, if_true = control.switch(pred, pred)
        pivots = {True: identity(if_true, name="switch_t"), False: identity(if_false, name="switch_f")}
        pred = identity(pred, name="pred_id")
        graph = pred.graph
        for tensor in (if_false, if_true, *pivots.values(), pred):
            graph.prevent_fetching(tensor.op)
        taken = Branch(graph, pred, pivots[True], True).build(true_fn, "true_fn")
        other = Branch(graph, pred, pivots[False], False).build(false_fn, "false_fn")
        if not strict:
            taken, other = _unpacked(taken), _unpacked(other)
        if not nest.same_structure(taken, other):
            raise ValueError(f"Incompatible return values of true_fn and false_fn: {taken!r} and {other!r}")
        merged = [_merge(f, t) for f, t in zip(nest.flatten(other), nest.flatten(taken), strict=True)]
        return nest.pack_as(taken, merged)


def _unpacked(result: Any) -> Any:
    return result[0] if isinstance(result, (list, _tuple)) and len(result) == 1 else result


def _merge(other: Tensor, taken: Tensor) -> Tensor:
    if taken.dtype.base_dtype != other.dtype.base_dtype:
        raise ValueError(
            "Outputs of true_fn and false_fn must have the same type: "
            f"{taken.dtype.base_dtype.name}, {other.dtype.base_dtype.name}"
        )
    return control.merge([other, taken])[0]


def case(
    pred_fn_pairs: Any,
    default: Callable[[], Any] | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """The result of the first function whose predicate holds, else of `default` (without one, of the last function).

    `pred_fn_pairs` is a list of (predicate, function) or a dictionary. With `exclusive` a run stops with an error where
    several predicates hold; without `default`, where none does. TypeError for malformed pairs.
    """
    pairs = list(pred_fn_pairs.items()) if isinstance(pred_fn_pairs, dict) else list(pred_fn_pairs)
    for pair in pairs:
        if not isinstance(pair, _tuple) or len(pair) != 2:
            raise TypeError("Each entry in pred_fn_pairs must be a 2-tuple.")
        if not callable(pair[1]):
            raise TypeError(f"fn for pred {pair[0]} must be callable.")
    if not pairs:
        if default is None:
            raise ValueError("pred_fn_pairs must not be empty without a default.")
        return default()
    with name_scope(name, "case", [pred for pred, _ in pairs]):
        predicates = [to_tensor(pred) for pred, _ in pairs]
        with control_dependencies(_case_checks(predicates, exclusive, default is None)):
            if default is None:
                default = pairs[-1][1]
                pairs, predicates = pairs[:-1], predicates[:-1]
            return _chain(predicates, [function for _, function in pairs], default, strict)


def _chain(predicates: Sequence[Any], functions: Sequence[Any], default: Callable[[], Any], strict: bool) -> Any:
    if not predicates:
        return default()
    return cond(predicates[0], functions[0], lambda: _chain(predicates[1:], functions[1:], default, strict), strict=strict)


def _case_checks(predicates: Sequence[Tensor], exclusive: bool, required: bool) -> list[Operation]:
    """Assertions on how many predicates hold."""
    from .math import add_n, cast, greater_equal, less_equal

    if not (exclusive or required):
        return []
    count = add_n([cast(p, as_dtype("int32")) for p in predicates])
    checks = []
    if exclusive:
        text = "Input error: more than one predicate of tf.case is True"
        checks.append(Assert(less_equal(count, 1), [text, *predicates]))
    if required:
        checks.append(Assert(greater_equal(count, 1), ["None of the conditions of tf.case is True", *predicates]))
    return checks


# --- assertions and printing ------------------------------------------------------------------------------------------


def Assert(condition: Any, data: Sequence[Any], summarize: int | None = None, name: str | None = None) -> Operation:
    """An operation that stops the run with InvalidArgumentError and `data` where the scalar `condition` is false."""
    with name_scope(name, "Assert", [condition, list(data)]):
        condition = to_tensor(condition)
        return control.assert_op(condition, list(data), summarize=_entries(summarize), name="Assert")


def Print(
    input_: Any,
    data: Sequence[Any],
    message: str | None = None,
    first_n: int | None = None,
    summarize: int | None = None,
    name: str | None = None,
) -> Tensor:
    """`input_`; whenever it is computed, `message` and `data` are written to standard error (`first_n` times)."""
    limits = {"first_n": -1 if first_n is None else first_n, "summarize": _entries(summarize)}
    return control.print_op(input_, list(data), message=message or "", name=name, **limits)


def _entries(summarize: int | None) -> int:
    return control.SHOWN_ENTRIES if summarize is None else summarize
