"""Groups in order -> kernels and the place of every value: two arenas, offsets by live intervals.

Comes in: groups in execution order, the fetched values, scratch sizes per kernel. Goes out: a `Plan`. Sizes that grow
with the batch go to the batch arena (offset = N x constant), the others to the fixed one; all are 64-byte aligned, so
that a kernel may load whole vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...opdef import Update
from ...shapes import Batch, element_count
from ..index import access_of
from ..ir import Buffer, Group, Kernel, Node, Plan, Roots, Size, Value
from ..scalar import c_type
from .place_copies import variable_of

ALIGNMENT = 64


@dataclass(frozen=True)
class Tables:
    """Which variables and constants a program uses, in the order of their tables."""

    variables: tuple[Node, ...]
    constants: tuple[Value, ...]


def external_values(groups: Sequence[Group], roots: Roots) -> list[tuple[tuple[Value, ...], tuple[Value, ...]]]:
    """Per group: the materialised values it reads from memory, and those it must write there."""
    home = {value: i for i, group in enumerate(groups) for node in group.nodes for value in node.outputs}
    reads: list[dict[Value, None]] = [{} for _ in groups]
    used_outside: set[Value] = set(roots.fetches)
    for i, group in enumerate(groups):
        for node in group.nodes:
            for value in node.data_inputs():
                if value.dtype.is_ref:
                    continue
                base = access_of(value).base
                if home.get(base) != i:
                    reads[i][base] = None
                    used_outside.add(base)
    result = []
    for i, group in enumerate(groups):
        writes = [
            v
            for node in group.nodes
            if not isinstance(node.kind, Update) and node.opdef.effect != "write"
            for v in node.outputs
            if v in used_outside
        ]
        result.append((tuple(reads[i]), tuple(writes)))
    return result


def tables(groups: Sequence[Group]) -> Tables:
    """The variables and array constants that the groups touch."""
    variables: dict[Node, None] = {}
    constants: dict[Value, None] = {}
    for group in groups:
        for node in group.nodes:
            for value in node.data_inputs():
                if value.dtype.is_ref:
                    variables[variable_of(value)] = None
                    continue
                base = access_of(value).base
                if base.op.type == "_Read":
                    variables[variable_of(base.op.inputs[0])] = None
                elif base.op.type == "Const":
                    constants[base] = None
    return Tables(tuple(variables), tuple(constants))


def plan_memory(kernels: Sequence[Kernel], roots: Roots, known: Tables, scratch: Mapping[int, Size]) -> Plan:
    """The buffer of every value that any kernel reads or writes."""
    buffers: dict[Value, Buffer] = {}
    for i, value in enumerate(roots.fetches):
        buffers[value] = Buffer("fetch", i, c_type(value.dtype))
    intervals: dict[Value, list[int]] = {}
    for kernel in kernels:
        for value in kernel.writes:
            intervals.setdefault(value, [kernel.index, kernel.index])
        for value in kernel.reads:
            if value in intervals:
                intervals[value][1] = kernel.index
            elif value not in buffers:
                given = _given(value, known)
                if given is not None:
                    buffers[value] = given
    requests: list[_Request] = []
    for value, (start, end) in intervals.items():
        if value not in buffers:
            requests.append(_Request(value, _bytes(value), start, end))
    for index, size in scratch.items():
        if size.per_batch or size.fixed:
            requests.append(_Request(index, size, index, index))
    batch, batch_bytes = _place([r for r in requests if r.size.per_batch], lambda r: r.size.per_batch)
    fixed, fixed_bytes = _place([r for r in requests if not r.size.per_batch], lambda r: r.size.fixed)
    scratches: dict[int, Buffer] = {}
    for storage, offsets in (("batch", batch), ("fixed", fixed)):
        for request, offset in offsets.items():
            if isinstance(request.owner, int):
                scratches[request.owner] = Buffer(storage, offset, "char")
            else:
                buffers[request.owner] = Buffer(storage, offset, c_type(request.owner.dtype))
    return Plan(buffers, batch_bytes, fixed_bytes, scratches)


def _given(value: Value, known: Tables) -> Buffer | None:
    """The buffer of a value that exists before the step."""
    node = value.op
    if node.type == "_Feed":
        return Buffer("feed", node.attr("index"), c_type(value.dtype))
    if node.type == "_Read":
        return Buffer("variable", known.variables.index(variable_of(node.inputs[0])), c_type(value.dtype))
    if node.type == "Const":
        return Buffer("constant", known.constants.index(value), c_type(value.dtype))
    return None


@dataclass(frozen=True, eq=False)
class _Request:
    """Memory for one value (or the scratch of one kernel) from kernel `start` to kernel `end`."""

    owner: Any
    size: Size
    start: int
    end: int


def _bytes(value: Value) -> Size:
    count = element_count(value.dims)
    item = value.dtype.size
    if isinstance(count, Batch):
        return Size(per_batch=_aligned(count.per * item))
    return Size(fixed=_aligned(max(1, count) * item))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _place(requests: Sequence[_Request], size_of: Any) -> tuple[dict[_Request, int], int]:
    """Offsets such that requests alive at the same time do not overlap: largest first, each as low as it fits.

    Requests that hold both a per-sample and a fixed part live in the batch arena with the fixed part charged per sample.
    """
    placed: list[tuple[int, int, _Request]] = []  # offset, end, request; sorted by offset
    offsets: dict[_Request, int] = {}
    total = 0
    for request in sorted(requests, key=lambda r: (-_aligned(size_of(r)), r.start)):
        size = _aligned(size_of(request) + (request.size.fixed if request.size.per_batch else 0))
        offset = 0
        for start, end, other in placed:
            if other.start <= request.end and request.start <= other.end:
                if offset + size <= start:
                    break
                offset = max(offset, end)
        offsets[request] = offset
        total = max(total, offset + size)
        placed.append((offset, offset + size, request))
        placed.sort(key=lambda p: p[0])
    return offsets, total
