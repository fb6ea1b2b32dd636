"""What a compiled program consists of: its kernels, what keeps each apart from its consumers, its memory.

A `Record` follows a compilation; `report` turns it into plain data for one batch size. Nothing here needs a C compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..shapes import at_batch, element_count
from . import kinds
from .compile import compile_program
from .cuda.program import CudaProgram
from .explain_work import Amount, amount, bytes_read, bytes_written, operations, total, value_bytes
from .fusions import fusions, homes
from .index import access_of
from .ir import Group, Kernel, Node, Plan, Program, Roots, Value
from .signature import Prepared
from .trace import Trace

METHODS = {"pointwise": "one sweep", "rows": "row by row", "reduce": "fold in parts"}
"""How the kinds compute that have one way only."""


@dataclass(frozen=True)
class NotFused:
    """A result that goes through memory: `consumer` is the kernel that reads it, `node` the node there that asked for it."""

    value: str
    consumer: int
    node: str
    reason: str


@dataclass(frozen=True)
class KernelTime:
    """A kernel in profiled runs. `share_of_floor` is `floor_seconds` / `seconds`: 1 is as fast as the machine can be."""

    seconds: float  # the least of all runs
    gflops_per_second: float
    gigabytes_per_second: float
    floor_seconds: float
    share_of_floor: float


@dataclass(frozen=True)
class KernelReport:
    """One kernel. Numbers are for the batch size of the explanation, texts are in terms of N.

    `flops`, `bytes_read` and `bytes_written` are what the definition asks for (see codegen/explain_work.py).
    """

    index: int
    name: str
    kind: str
    nodes: tuple[str, ...]  # TensorFlow node names, in order
    anchor: str | None  # the reduction, product or convolution that the other nodes are fused to
    shape: tuple[int, ...]  # the space that is iterated over
    shape_text: str
    algorithm: str
    dtype: str
    flops: int
    flops_text: str
    bytes_read: int
    bytes_written: int
    bytes_text: str
    scratch_bytes: int
    launches: int
    not_fused: tuple[NotFused, ...]
    fused: tuple[str, ...] = ()  # what it does beside its own work, in sentences
    launched_with: tuple[int, ...] = ()  # the other kernels whose chunks are handed out together with its own
    time: KernelTime | None = None

    @property
    def bytes(self) -> int:
        """Bytes that have to move."""
        return self.bytes_read + self.bytes_written


@dataclass(frozen=True)
class MemoryReport:
    """The memory of a step in bytes. Values share the two arenas: `values` is what they would take side by side, `live`
    the most that is needed at one time."""

    batch_arena: int
    batch_arena_per_sample: int
    fixed_arena: int
    values: int
    live: int
    variables: int
    constants: int
    feeds: int
    fetches: int

    @property
    def peak(self) -> int:
        """Everything a step holds, feeds and fetches included."""
        arenas = self.batch_arena + self.fixed_arena
        return arenas + self.variables + self.constants + self.feeds + self.fetches


@dataclass(frozen=True)
class Counts:
    """How the graph became kernels."""

    graph_operations: int
    needed_operations: int  # by the fetches
    stages: tuple[tuple[str, int], ...]  # nodes after each stage of the compiler
    kernel_nodes: int
    kernels: int

    @property
    def pruned(self) -> int:
        """Operations of the graph that the fetches do not need."""
        return self.graph_operations - self.needed_operations

    @property
    def folded(self) -> int:
        """Nodes that were computed at compile time, merged with an equal one or simplified away."""
        sizes = [size for _, size in self.stages]
        return max(sizes) - sizes[-1] if sizes else 0


class Record(Trace):
    """Remembers what a compilation shows; unlike a `Trace`, whatever the environment says."""

    program: Program
    specialised: Roots  # the operations as they came, with the dimensions of the signature

    def __init__(self) -> None:
        self.sizes: list[tuple[str, int]] = []
        self.texts: tuple[Any, ...] = ()

    def stage(self, name: str, roots: Roots) -> None:
        if not self.sizes:
            self.specialised = roots
        self.sizes.append((name, len(roots.nodes)))

    def groups(self, groups: Sequence[Group]) -> None:
        """The program's kernels have them."""

    def plan(self, kernels: Sequence[Kernel], plan: Plan) -> None:
        """The program has it."""

    def written(self, kernels: Sequence[Any]) -> None:
        self.texts = tuple(kernels)

    def source(self, text: str) -> None:
        """The program has it."""


def recorded(
    prepared: Prepared,
    dims: Sequence[tuple[Any, ...]],
    values: Mapping[int, np.ndarray],
    variable_dims: Mapping[str, tuple[int, ...]],
    compiler: Callable[..., Program] = compile_program,
) -> Record:
    """A compilation by `compiler` and its program. Raises what `compile_program` raises."""
    record = Record()
    record.program = compiler(prepared, dims, values, variable_dims, record)
    return record


# --- kernels ------------------------------------------------------------------------------------------------------


def kernel_reports(record: Record, n: int) -> tuple[KernelReport, ...]:
    """The kernels of a program at batch size `n`."""
    program = record.program
    readers: dict[Value, list[Kernel]] = {}
    for kernel in program.kernels:
        for value in kernel.reads:
            readers.setdefault(value, []).append(kernel)
    kernels_of = homes(program.kernels)
    reports = (
        _kernel_report(kernel, text, program, readers, n)
        for kernel, text in zip(program.kernels, record.texts, strict=True)
    )
    together = _launched_together(program)
    return tuple(
        replace(report, fused=fusions(kernel.group, kernels_of), launched_with=together.get(kernel.index, ()))
        for report, kernel in zip(reports, program.kernels, strict=True)
    )


def _launched_together(program: Program) -> Mapping[int, tuple[int, ...]]:
    """By kernel: the others of its run, whose chunks are handed out together with its own."""
    runs: list[Sequence[int]] = [run for run in getattr(program, "launch_kernels", ()) if len(run) > 1]
    if program.parts is not None:
        runs = [range(joined.first, joined.last + 1) for joined in program.parts.joined]
    return {i: tuple(other for other in run if other != i) for run in runs for i in run}


def _kernel_report(
    kernel: Kernel, text: Any, program: Program, readers: Mapping[Value, list[Kernel]], n: int
) -> KernelReport:
    group = kernel.group
    flops, read, written = operations(kernel), bytes_read(kernel, program.plan), bytes_written(kernel)
    over = f" over axes {', '.join(map(str, group.axes))}" if group.axes else ""
    typed = next((v for node in reversed(group.nodes) for v in (*node.outputs, *node.inputs)), None)
    return KernelReport(
        index=kernel.index,
        name=kernel.name,
        kind=group.kind,
        nodes=tuple(dict.fromkeys(node.label for node in group.nodes)),
        anchor=group.anchor.label if group.anchor is not None else None,
        shape=at_batch(group.domain, n),
        shape_text=f"[{', '.join(map(str, group.domain))}]{over}",
        algorithm=text.method or METHODS.get(group.kind, ""),
        dtype=typed.dtype.base_dtype.name if typed is not None else "",
        flops=flops.at(n),
        flops_text=str(flops),
        bytes_read=read.at(n),
        bytes_written=written.at(n),
        bytes_text=str(read + written),
        scratch_bytes=scratch_bytes(kernel, program).at(n),
        launches=len(text.launches),
        not_fused=tuple(_not_fused(kernel, readers)),
    )


def scratch_bytes(kernel: Kernel, program: Program) -> Amount:
    """The working memory of a kernel of a program, beside its values."""
    if isinstance(program, CudaProgram):
        from .cuda.kinds import entry

        size = entry(kernel)[1](kernel)
    else:
        size = kinds.scratch(kernel)
    return Amount(size.per_batch, size.fixed)


def _not_fused(kernel: Kernel, readers: Mapping[Value, list[Kernel]]) -> list[NotFused]:
    """Why each kernel that reads a result of this one is not part of it."""
    members = frozenset(kernel.group.nodes)
    found: list[NotFused] = []
    for value in kernel.writes:
        for consumer in readers.get(value, ()):
            refusals = [r for r in consumer.group.refusals if r.producer in members]
            asked = [r for r in refusals if value in _bases(r.consumer)] or refusals
            found += [NotFused(value.op.label, consumer.index, r.consumer.label, r.reason) for r in asked]
    return list(dict.fromkeys(found))


def _bases(node: Node) -> set[Value]:
    return {access_of(v).base for v in node.data_inputs() if not v.dtype.is_ref}


# --- memory -------------------------------------------------------------------------------------------------------


def memory_report(program: Program, n: int) -> MemoryReport:
    """The memory of a step at batch size `n`."""
    lives: dict[Any, tuple[int, int, int]] = {}  # value or kernel -> first kernel, last kernel, bytes
    for kernel in program.kernels:
        for value in (*kernel.reads, *kernel.writes):
            buffer = program.plan.buffers.get(value)
            if buffer is not None and buffer.storage in ("batch", "fixed"):
                first = lives.get(value, (kernel.index, 0, 0))[0]
                lives[value] = (first, kernel.index, value_bytes(value).at(n))
        if kernel.index in program.plan.scratch:
            lives[kernel.index] = (kernel.index, kernel.index, scratch_bytes(kernel, program).at(n))
    live = [sum(size for a, b, size in lives.values() if a <= k.index <= b) for k in program.kernels]
    return MemoryReport(
        batch_arena=program.batch_bytes * n,
        batch_arena_per_sample=program.batch_bytes,
        fixed_arena=program.fixed_bytes + program.batch_rest,
        values=sum(size for _, _, size in lives.values()),
        live=max(live, default=0),
        variables=_slot_bytes(program.variables).at(n),
        constants=sum(array.nbytes for array in program.constants),
        feeds=_slot_bytes(program.feeds).at(n),
        fetches=_slot_bytes(program.fetches).at(n),
    )


def _slot_bytes(slots: Sequence[Any]) -> Amount:
    return total(amount(element_count(slot.dims)) * slot.dtype.size for slot in slots)


def counts(record: Record, graph_operations: int, needed_operations: int) -> Counts:
    """How many operations and nodes there were at each step."""
    kernels = record.program.kernels
    nodes = sum(len(kernel.group.nodes) for kernel in kernels)
    return Counts(graph_operations, needed_operations, tuple(record.sizes), nodes, len(kernels))
