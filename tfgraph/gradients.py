"""`tf.gradients`: reverse accumulation along the paths from `xs` to `ys`, and nowhere else.

In: tensors of a graph. Out: the graph extended by ordinary operations, one tensor (or None) per x. The operations appear
in the order and under the names that TensorFlow 1.x gives them: `gradients/<op>_grad/...`, sums as `gradients/AddN`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from .control_flow import name_scope
from .control_flow import tuple as gated
from .convert import constant, to_tensor
from .guards import SWITCHES
from .ops.identity import identity
from .ops.math import add_n
from .tensor import Operation, Tensor
from .traverse import between, index_of, path

__all__ = ["AggregationMethod", "UnconnectedGradients", "gradients"]


class AggregationMethod:
    """Accepted by optimizers and `gradients`; sums are always made by one AddN."""

    ADD_N = 0
    DEFAULT = ADD_N
    EXPERIMENTAL_TREE = 1
    EXPERIMENTAL_ACCUMULATE_N = 2


class UnconnectedGradients:
    """What `gradients` gives for an x that no y depends on: None, or zeros."""

    NONE = "none"
    ZERO = "zero"


def gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: Any = None,
    stop_gradients: Any = None,
    unconnected_gradients: str = UnconnectedGradients.NONE,
) -> list[Tensor | None]:
    """The derivative of the sum of all `ys` with respect to each of `xs`; None for an x that they do not depend on.

    `grad_ys` weighs the ys (ones by default, one tensor or None per y). Nothing flows past `stop_gradients`. LookupError
    if an operation on a path has no gradient; ValueError if `grad_ys` has another length than `ys`.
    """
    targets = [to_tensor(y, name="y") for y in _as_list(ys)]
    sources = [to_tensor(x, name="x", as_ref=True) for x in _as_list(xs)]
    stops = [to_tensor(t, as_ref=True) for t in _as_list(stop_gradients)]
    with name_scope(name, "gradients", [*targets, *sources, *stops]):
        weights = _weights(grad_ys, targets, colocate_gradients_with_ops)
        walk = _Walk(targets, sources, stops, colocate_gradients_with_ops, gate_gradients)
        walk.run(weights)
        result = [walk.gradient(x) for x in sources]
        if unconnected_gradients == UnconnectedGradients.ZERO:
            result = [_zeros_like(x) if dx is None else dx for dx, x in zip(result, sources, strict=True)]
        return result


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def is_trainable(tensor: Tensor) -> bool:
    """Gradients flow through floating tensors only."""
    return tensor.dtype.base_dtype.is_floating


def _zeros_like(tensor: Tensor) -> Tensor:
    from .array import zeros_like

    return zeros_like(tensor, optimize=False)


def _weights(grad_ys: Any, ys: Sequence[Tensor], colocate: bool) -> list[Tensor]:
    """The gradient of each y, ones where none is given."""
    from .array import fill, shape

    given = [None] * len(ys) if grad_ys is None else _as_list(grad_ys)
    if len(given) != len(ys):
        raise ValueError(f"Passed {len(given)} grad_ys for {len(ys)} ys")
    weights = []
    for i, (weight, y) in enumerate(zip(given, ys, strict=True)):
        with _maybe_colocated(y.op, colocate):
            if weight is None:
                if not (y.dtype.is_floating or y.dtype.is_integer):
                    raise TypeError(f"Gradients of tensors must be floating or integer, got dtype {y.dtype.name}")
                sizes = shape(y)
                weights.append(fill(sizes, constant(1, dtype=y.dtype.base_dtype, name=f"grad_ys_{i}")))
            else:
                weight = to_tensor(weight, None if hasattr(weight, "dims") else y.dtype.base_dtype, name="grad_y")
                weights.append(identity(weight, name=f"grad_ys_{i}"))
    return weights


def _maybe_colocated(op: Operation, colocate: bool) -> Any:
    return op.graph.colocate_with(op) if colocate else nullcontext()


class _Walk:
    """One backward walk: from the ys, over operations whose consumers on the paths have all been visited."""

    def __init__(
        self, ys: Sequence[Tensor], xs: Sequence[Tensor], stops: Sequence[Tensor], colocate: bool, gate: bool
    ) -> None:
        self.ys, self.xs, self.colocate, self.gate = ys, xs, colocate, gate
        operations = ys[0].graph.get_operations() if ys else []
        self.index = index_of(operations, follow=is_trainable)
        for x in xs:
            self.index.add_node(x.op)
        self.on_path = frozenset(between(self.index, [x.op for x in xs], [y.op for y in ys]))
        # how many uses of an operation's outputs have not contributed yet
        self.pending = dict.fromkeys(self.on_path, 0)
        for operation in self.on_path:
            for tensor in self._followed(operation):
                self.pending[tensor.op] += 1
        self.stops = {op for op in (x.op for x in xs) if not self._followed(op)} | {t.op for t in stops}
        self.contributions: dict[Tensor, list[Tensor]] = {}

    def _followed(self, operation: Operation) -> list[Tensor]:
        """The inputs that lie on a path, once per use."""
        return [t for t in operation.inputs if is_trainable(t) and t.op in self.on_path]

    def run(self, weights: Sequence[Tensor]) -> None:
        for y, weight in zip(self.ys, weights, strict=True):
            self.contributions.setdefault(y, []).append(weight)
        ready = [y.op for y in self.ys if self.pending.get(y.op) == 0]
        queue = deque(dict.fromkeys(ready))
        while queue:
            operation = queue.popleft()
            with _maybe_colocated(operation, self.colocate):
                self._visit(operation)
            for tensor in self._followed(operation):
                self.pending[tensor.op] -= 1
                if self.pending[tensor.op] == 0:
                    queue.append(tensor.op)

    def gradient(self, x: Tensor) -> Tensor | None:
        found = self.contributions.get(x)
        return self._summed(x) if found and x.op in self.on_path else None

    def _summed(self, tensor: Tensor) -> Tensor:
        """All contributions to the gradient of `tensor`, added up once."""
        found = self.contributions[tensor]
        if len(found) > 1:
            found[:] = [add_n(found)]
        return found[0]

    def _visit(self, operation: Operation) -> None:
        """Sum what arrived at the outputs of `operation` and pass its gradient on to its inputs."""
        dys: list[Tensor | None] = [self._summed(y) if self.contributions.get(y) else None for y in operation.outputs]
        if operation in self.stops or not operation.inputs or all(dy is None for dy in dys):
            return
        rule = operation.opdef.gradient_rule
        if rule is None:
            raise LookupError(self._no_gradient(operation))
        if operation.type not in SWITCHES:  # a switch knows better which zeros exist when
            for i, y in enumerate(operation.outputs):
                if dys[i] is None and is_trainable(y):
                    dys[i] = _zeros_like(y)
        with operation.graph.name_scope(operation.name + "_grad"):
            dxs = _as_list(rule(operation, *dys)) or [None]
            if len(dxs) != len(operation.inputs):
                raise ValueError(
                    f"Num gradients {len(dxs)} generated for op {operation.node_def} do not match num inputs "
                    f"{len(operation.inputs)}"
                )
            if self.gate and sum(dx is not None for dx in dxs) > 1:
                dxs = gated(dxs)
        for x, dx in zip(operation.inputs, dxs, strict=True):
            if dx is not None:
                _set_shape(operation, x, dx)
                self.contributions.setdefault(x, []).append(dx)

    def _no_gradient(self, operation: Operation) -> str:
        text = f"No gradient defined for operation '{operation.name}' (op type: {operation.type})"
        for x in self.xs:
            for y in self.ys:
                before, after = path(self.index, x.op, operation), path(self.index, operation, y.op)
                if before and after:
                    names = " -> ".join(f"'{op.name}'" for op in [*before, *after[1:]])
                    return f"{text}. It lies on the path {names}; tf.stop_gradient cuts a path."
        return text


def _set_shape(operation: Operation, x: Tensor, dx: Tensor) -> None:
    """A gradient has the shape of its tensor; what either shape says holds for the gradient."""
    try:
        dx.set_shape(x.get_shape())
    except ValueError:
        raise ValueError(
            "Incompatible shapes between op input and calculated input gradient. "
            f"Forward operation: {operation.name}. Original input shape: {x.get_shape()}. "
            f"Calculated input gradient shape: {dx.get_shape()}"
        ) from None
