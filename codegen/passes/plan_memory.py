"""Groups in order -> kernels and the place of every value: two arenas, offsets by live intervals.

Comes in: groups in execution order, the fetched values, scratch sizes per kernel. Goes out: a `Plan`. Sizes that grow
with the batch go to the batch arena (offset = N x constant), the others to the fixed one; all are 64-byte aligned, so
that a kernel may load whole vectors. Scratch memory that grows with the batch and has a part that does not lies at the top
of the batch arena, which is as much larger (`batch_rest`).
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
from .place_buffers import Request, place_buffers
from .place_copies import variable_of

ALIGNMENT = 64


@dataclass(frozen=True)
class Tables:
    """Which variables and constants a program uses, in the order of their tables."""

    variables: tuple[Node, ...]
    constants: tuple[Value, ...]


def external_values(groups: Sequence[Group], roots: Roots) -> list[tuple[tuple[Value, ...], tuple[Value, ...]]]:
    """Per group: the materialised values it reads from memory, and those it must write there."""
    # a group may compute for itself what another one stores
    made = [{value for node in group.nodes for value in node.outputs} for group in groups]
    reads: list[dict[Value, None]] = [{} for _ in groups]
    used_outside: set[Value] = set(roots.fetches)
    for i, group in enumerate(groups):
        for node in group.nodes:
            for value in node.data_inputs():
                if value.dtype.is_ref:
                    continue
                base = access_of(value).base
                if base not in made[i]:
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


def plan_memory(
    kernels: Sequence[Kernel],
    roots: Roots,
    known: Tables,
    scratch: Mapping[int, Size],
    runs: Sequence[tuple[int, int]] = (),
) -> Plan:
    """The buffer of every value that any kernel reads or writes. Kernels of one of the `runs` (first, last) may run at the
    same time."""
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
    batch: list[Request] = []
    fixed: list[Request] = []
    needs: list[tuple[Any, Size, int, int]] = []
    needs += [(v, _bytes(v), start, end) for v, (start, end) in intervals.items() if v not in buffers]
    needs += [(i, size, i, i) for i, size in scratch.items() if size.per_batch or size.fixed]
    together = {i: run for run in runs for i in range(run[0], run[1] + 1)}
    for owner, size, first, last in needs:
        start, end = together.get(first, (first, first))[0], together.get(last, (last, last))[1]
        if size.per_batch:
            batch.append(Request(owner, _aligned(size.per_batch), start, end, rest=_aligned(size.fixed)))
        else:
            fixed.append(Request(owner, _aligned(size.fixed), start, end))
    batch_places, batch_size = place_buffers(batch)
    fixed_places, fixed_size = place_buffers(fixed)
    scratches: dict[int, Buffer] = {}
    for storage, places in (("batch", batch_places), ("fixed", fixed_places)):
        for request, place in places.items():
            if isinstance(request.owner, int):
                scratches[request.owner] = Buffer(storage, place.size, "char", place.rest)
            else:
                buffers[request.owner] = Buffer(storage, place.size, c_type(request.owner.dtype), place.rest)
    return Plan(buffers, batch_size.size, fixed_size.size, scratches, batch_size.rest)


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


def _bytes(value: Value) -> Size:
    count = element_count(value.dims)
    item = value.dtype.size
    if isinstance(count, Batch):
        return Size(per_batch=_aligned(count.per * item))
    return Size(fixed=_aligned(max(1, count) * item))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
