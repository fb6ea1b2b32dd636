"""Kernels in order -> runs of neighbours that touch nothing of each other. The chunks of a run are handed out together.

Waking the threads and waiting for the last of them costs a microsecond, and the last chunk of a kernel leaves the other
threads without work. What an optimizer does at the end of a step for every variable is one run, for instance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...shapes import element_count
from ..explain_work import node_operations
from ..index import access_of
from ..ir import Kernel, Node
from ..target import NOMINAL_BATCH, nominal
from .place_copies import variable_of

KINDS = frozenset(("pointwise", "rows", "slabs", "reduce", "matmul"))
MOST_WORK = 100_000_000  # of a kernel, in operations: longer ones (0.2 ms on two threads) gain nothing, and need memory
LEAST_WORK = 100_000  # of a run: all of it takes a microsecond otherwise


@dataclass(frozen=True)
class Run:
    """Kernels `first` to `last`, and the work of each in operations at the nominal batch size."""

    first: int
    last: int
    work: tuple[int, ...]


def join_launches(kernels: Sequence[Kernel]) -> tuple[Run, ...]:
    """The runs of at least two kernels, in order."""
    runs: list[Run] = []
    open_run = _Open()
    for kernel in kernels:
        if not open_run.takes(kernel):
            runs += open_run.closed()
            open_run = _Open()
        open_run.add(kernel)
    return (*runs, *open_run.closed())


def work_of(kernel: Kernel) -> int:
    """About as many operations as a kernel has."""
    group = kernel.group
    if group.kind == "matmul":
        assert group.anchor is not None
        return node_operations(group.anchor).at(NOMINAL_BATCH) + sum(map(_elements, group.nodes))
    return sum(map(_elements, group.nodes))


def _elements(node: Node) -> int:
    values = [*node.outputs, *node.inputs]
    counts = [element_count(value.dims) for value in values]
    return max(map(nominal, counts), default=0)


class _Open:
    """A run that may still grow."""

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        self.work: list[int] = []
        self.reads: set[Any] = set()
        self.writes: set[Any] = set()

    def takes(self, kernel: Kernel) -> bool:
        """True if the kernel neither reads what the run writes, nor writes what the run reads or writes."""
        if not self.kernels:
            return True
        reads, writes = touched(kernel)
        apart = self.writes.isdisjoint(reads | writes) and self.reads.isdisjoint(writes)
        return apart and _may_join(self.kernels[0]) and _may_join(kernel)

    def add(self, kernel: Kernel) -> None:
        reads, writes = touched(kernel)
        self.reads |= reads
        self.writes |= writes
        self.kernels.append(kernel)
        self.work.append(work_of(kernel))

    def closed(self) -> list[Run]:
        if len(self.kernels) < 2 or sum(self.work) < LEAST_WORK:
            return []
        return [Run(self.kernels[0].index, self.kernels[-1].index, tuple(self.work))]


def _may_join(kernel: Kernel) -> bool:
    # a failed check ends a step before the next kernel
    has_check = any(node.opdef.effect == "check" for node in kernel.group.nodes)
    return kernel.group.kind in KINDS and not has_check and work_of(kernel) <= MOST_WORK


def touched(kernel: Kernel) -> tuple[set[Any], set[Any]]:
    """What a kernel reads and what it writes: values and variables."""
    reads: set[Any] = set()
    writes: set[Any] = set(kernel.writes)
    for node in kernel.group.nodes:
        for value in node.inputs:
            if value.dtype.is_ref:
                writes.add(variable_of(value))
                continue
            base = access_of(value).base
            reads.add(variable_of(base.op.inputs[0]) if base.op.type == "_Read" else base)
    return reads, writes
