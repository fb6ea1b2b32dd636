"""TFGRAPH_CHECK=1: run a step kernel by kernel and compare each with the NumPy reference on its real inputs.

The first kernel that differs stops the run with an InternalError that names its nodes, the worst element and both values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..codegen.index import access_of
from ..codegen.internal_pooling import max_pool_grad_at
from ..codegen.ir import Buffer, Kernel, Node, Program, Value
from ..errors import InternalError
from ..opdef import Array, Call, OpDef, Update
from ..philox import Seeds, sample
from ..reference import compute
from ..shapes import Batch, at_batch

# relative to the largest element: a float32 sum of 10^5 products in another order differs by less
TOLERANCE = {"float32": 1e-4, "float64": 1e-11}


@dataclass(frozen=True)
class Memory:
    """The arrays of one run that buffers point into."""

    n: int
    batch: np.ndarray
    fixed: np.ndarray
    feeds: Sequence[np.ndarray]
    fetches: Sequence[np.ndarray]
    variables: Sequence[np.ndarray]
    constants: Sequence[np.ndarray]
    seeds: Mapping[str, tuple[Seeds, int]]  # op name -> seeds and counter of this run

    def at(self, buffer: Buffer, value: Value) -> np.ndarray:
        """The array of a value in its buffer."""
        if buffer.storage in ("batch", "fixed"):
            arena = self.batch if buffer.storage == "batch" else self.fixed
            start = buffer.index * (self.n if buffer.storage == "batch" else 1) + buffer.rest
            shape = at_batch(value.dims, self.n)
            dtype = np.dtype(value.dtype.as_numpy_dtype)
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            return arena.view(np.uint8)[start : start + size].view(dtype).reshape(shape)
        table = {"feed": self.feeds, "fetch": self.fetches, "variable": self.variables, "constant": self.constants}
        return table[buffer.storage][buffer.index].reshape(at_batch(value.dims, self.n))


def run_checked(program: Program, memory: Memory, run: Any) -> int:
    """Call `run(first, last)` for one kernel after the other, comparing each; the first nonzero result ends the step."""
    for array in (memory.batch, memory.fixed, *memory.fetches):
        array.reshape(-1).view(np.uint8)[...] = 0xFF  # NaN in every float: a read of what was never written shows
    for kernel in program.kernels:
        expected = _Reference(program, kernel, memory).outputs()
        failed = run(kernel.index, kernel.index + 1)
        if failed:
            return failed
        for one in expected:
            _compare(kernel, one)
    return 0


@dataclass(frozen=True)
class _Expected:
    """What a kernel should leave in some memory."""

    label: str  # of the node
    actual: np.ndarray  # the memory itself
    wanted: np.ndarray
    slack: np.ndarray | float = 0.0  # how far the rounding of the node's operands may move it


class _Reference:
    """What one kernel should do, computed before it runs."""

    def __init__(self, program: Program, kernel: Kernel, memory: Memory) -> None:
        self.program, self.kernel, self.memory = program, kernel, memory
        self.computed: dict[Value, np.ndarray] = {}

    def outputs(self) -> list[_Expected]:
        """What the kernel will write, and what should be there afterwards."""
        expected: list[_Expected] = []
        for node in self.kernel.group.nodes:
            results = self._compute(node)
            if isinstance(node.kind, Update) or node.opdef.effect == "write":
                references = [v for v in node.inputs if v.dtype.is_ref]
                for reference, result, slack in zip(references, results, self._slack(node, results), strict=True):
                    expected.append(_Expected(node.label, self._variable(reference), np.array(result), slack))
                continue
            self.computed.update(zip(node.outputs, results, strict=True))
        for value in self.kernel.writes:
            target = self.memory.at(self.program.plan.buffers[value], value)
            is_position = value.op.type == "_MaxPoolWithPosition" and value.value_index == 1
            slack = self._unsure_positions(value.op) if is_position else 0.0
            expected.append(_Expected(value.op.label, target, self.computed[value], slack))
        return expected

    def _unsure_positions(self, pool: Node) -> np.ndarray | float:
        """Where the rounding of elements that this kernel makes itself may move a maximum: to another that is as large."""
        if access_of(pool.inputs[0]).base not in self.computed:
            return 0.0
        x, (y, position) = self._array(pool.inputs[0]), self._compute(pool)
        (chosen,) = _evaluate(max_pool_grad_at, [position, np.ones_like(y)], {**pool.attrs, "lengths": x.shape[1:3]})
        second, _ = _evaluate(pool.opdef, [np.where(chosen > 0, x.dtype.type(-np.inf), x)], pool.attrs)
        limit = 2 * TOLERANCE[x.dtype.name] * np.abs(x).max(initial=0, where=np.isfinite(x))
        with np.errstate(invalid="ignore"):
            return np.asarray(y - second <= limit, np.float64)

    def _slack(self, node: Node, results: Sequence[np.ndarray]) -> Sequence[np.ndarray | float]:
        """How far the new values of an update move if the sums that this kernel makes for it are rounded otherwise:
        Adam divides a gradient by its own size, however little of it is more than rounding."""
        if self.kernel.group.anchor is None:
            return [0.0] * len(results)
        moved = [self._compute(node, sign) for sign in (1, -1)]
        with np.errstate(invalid="ignore"):
            return [np.max([np.abs(m[i] - r) for m in moved], axis=0) for i, r in enumerate(results)]

    def _moved(self, value: Value, sign: int) -> np.ndarray:
        """An operand, or where rounding may take it if this kernel computes it."""
        array = self._array(value)
        if not sign or value not in self.computed or array.dtype.kind != "f":
            return array
        largest = np.abs(array).max(initial=0, where=np.isfinite(array))
        return array + array.dtype.type(sign * TOLERANCE[array.dtype.name] * largest)

    def _compute(self, node: Node, sign: int = 0) -> Sequence[np.ndarray]:
        inputs = [self._moved(v, sign) for v in node.inputs]
        if node.opdef.effect == "random":
            seeds, counter = self.memory.seeds[node.origin.name]
            shape = at_batch(node.outputs[0].dims, self.memory.n)
            size = int(np.prod(shape, dtype=np.int64))
            bounds = [int(i.reshape(())) for i in inputs[1:]]
            return [sample(node.type, seeds, counter, size, node.outputs[0].dtype.as_numpy_dtype, *bounds).reshape(shape)]
        attrs = {name: self._sized(attr) for name, attr in node.attrs.items()}
        return _evaluate(node.opdef, inputs, attrs)

    def _array(self, value: Value) -> np.ndarray:
        if value in self.computed:
            return self.computed[value]
        node = value.op
        if value.dtype.is_ref:
            return self._variable(value)
        known = value.known()
        if known is not None:
            return np.asarray(self._sized(known), value.dtype.as_numpy_dtype)
        if node.type == "_Read":
            return self._variable(node.inputs[0])
        if value in self.program.plan.buffers:
            return np.array(self.memory.at(self.program.plan.buffers[value], value))
        return np.asarray(self._compute(node)[value.value_index])  # a view, or a sequence that exists only in expressions

    def _variable(self, reference: Value) -> np.ndarray:
        from ..codegen.passes.place_copies import variable_of

        name = variable_of(reference).attr("key")
        index = next(i for i, slot in enumerate(self.program.variables) if slot.op_name == name)
        return self.memory.variables[index]

    def _sized(self, item: Any) -> Any:
        """`item` with every multiple of N replaced by its number."""
        if isinstance(item, Batch):
            return item.at(self.memory.n)
        if isinstance(item, tuple):
            return tuple(self._sized(i) for i in item)
        if isinstance(item, np.ndarray) and item.dtype == object:
            return np.array([self._sized(i) for i in item.reshape(-1)]).reshape(item.shape)
        return item


def _evaluate(op: OpDef, inputs: Sequence[np.ndarray], attrs: Mapping[str, Any]) -> Sequence[np.ndarray]:
    return compute(op, Call(op, [Array(i) for i in inputs], attrs), list(inputs))


def _compare(kernel: Kernel, expected: _Expected) -> None:
    label, actual = expected.label, expected.actual
    wanted = np.asarray(expected.wanted).reshape(actual.shape)
    if actual.size == 0:
        return
    if actual.dtype.kind != "f":
        wrong = (actual != wanted) & (np.asarray(expected.slack) == 0)
    else:
        finite = np.abs(wanted[np.isfinite(wanted)])
        scale = float(finite.max()) if finite.size else 0.0
        limit = TOLERANCE[actual.dtype.name] * (scale + np.abs(wanted)) + np.finfo(actual.dtype).tiny + expected.slack
        with np.errstate(invalid="ignore"):
            same = (actual == wanted) | (np.isnan(actual) & np.isnan(wanted)) | (np.abs(actual - wanted) <= limit)
        wrong = ~same
    if not wrong.any():
        return
    with np.errstate(invalid="ignore"):
        distance = np.abs(actual.astype(np.float64) - wanted.astype(np.float64))
    distance = np.where(wrong, np.where(np.isnan(distance), np.inf, distance), -1.0)  # no number is the worst of all
    worst = np.unravel_index(int(np.argmax(distance)), actual.shape)
    nodes = ", ".join(dict.fromkeys(n.label for n in kernel.group.nodes))
    origin = kernel.group.nodes[-1].origin
    raise InternalError(
        None,
        origin,
        f"{kernel.name} differs from the reference at {label}: {int(wrong.sum())} of {wrong.size} elements, worst at "
        f"{tuple(int(i) for i in worst)}: compiled {actual[worst]!r}, reference {wanted[worst]!r}. Nodes: {nodes}",
    )
