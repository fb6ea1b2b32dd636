"""Kernels in order -> launches. Neighbours that touch nothing of each other share one: an optimizer's updates, for instance.

A launch costs microseconds, even in a captured graph; the blocks of a joined one are handed to one kernel after the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..ir import Kernel
from ..kinds import Written
from ..passes.join_launches import Run, touched, work_of
from ..render import render, tidy
from .launches import THREADS, CudaLaunch

KINDS = frozenset(("pointwise", "rows", "slabs", "reduce"))
MOST_KERNELS = 32  # of a launch: all of them are compiled for the registers of the one that needs most


@dataclass(frozen=True)
class Step:
    """The texts of all kernels, and their launches in order."""

    sources: tuple[str, ...]
    launches: tuple[CudaLaunch, ...]
    launch_kernels: tuple[tuple[int, ...], ...]  # the kernels that each launch runs


def runs_of(kernels: Sequence[Kernel]) -> tuple[Run, ...]:
    """Runs of kernels that may share a launch."""
    runs: list[list[Kernel]] = []
    reads: set[Any] = set()
    writes: set[Any] = set()
    for kernel in kernels:
        own_reads, own_writes = touched(kernel)
        apart = writes.isdisjoint(own_reads | own_writes) and reads.isdisjoint(own_writes)
        if not (runs and apart and len(runs[-1]) < MOST_KERNELS and _may_join(kernel) and _may_join(runs[-1][-1])):
            runs.append([])
            reads, writes = set(), set()
        runs[-1].append(kernel)
        reads |= own_reads
        writes |= own_writes
    return tuple(Run(run[0].index, run[-1].index, tuple(map(work_of, run))) for run in runs if len(run) > 1)


def _may_join(kernel: Kernel) -> bool:
    has_check = any(node.opdef.effect == "check" for node in kernel.group.nodes)
    return kernel.group.kind in KINDS and not has_check


def step_of(kernels: Sequence[Kernel], written: Sequence[Written], runs: Sequence[Run], prefix: str = "") -> Step:
    """The step: kernels of a run as parts of joined launches, the others as they are."""
    sources: list[str] = []
    launches: list[CudaLaunch] = []
    owners: list[tuple[int, ...]] = []
    together = {index: run for run in runs for index in range(run.first, run.last + 1)}
    done: set[int] = set()
    for kernel in kernels:
        if kernel.index in done:
            continue
        run = together.get(kernel.index)
        members = [kernel.index] if run is None else [i for i in range(run.first, run.last + 1) if _is_plain(written[i])]
        if run is None or kernel.index not in members or len(members) < 2:
            members = [kernel.index]
            sources.append(written[kernel.index].source)
            launches += written[kernel.index].launches
            owners += [(kernel.index,)] * len(written[kernel.index].launches)
        else:
            sources += [_as_part(written[i].source) for i in members]
            for stage in range(max(len(written[i].launches) for i in members)):
                own = [(i, written[i].launches[stage]) for i in members if stage < len(written[i].launches)]
                name = f"{prefix}k{members[0]:02d}_to_k{members[-1]:02d}" + (f"_then{stage}" if stage else "")
                text, launch = _joined(name, [item for _, item in own], members)
                sources.append(text)
                launches.append(launch)
                owners.append(tuple(i for i, _ in own))
        done.update(members)
    return Step(tuple(sources), tuple(launches), tuple(owners))


def _is_plain(written: Written) -> bool:
    """True if its blocks are like those of other kernels, and hold nothing in shared memory."""
    plain = all(launch.threads == THREADS and launch.grid[1:] == ("1", "1") for launch in written.launches)
    return plain and "__shared__" not in written.source


def _as_part(source: str) -> str:
    """A kernel's functions as parts of another: which blocks are theirs comes from there."""
    text = re.sub(
        r'extern "C" __global__ void (\w+)\(const tg_step s\)',
        r"static __device__ __forceinline__ void \1(const tg_step &s, const unsigned block, const unsigned blocks)",
        source,
    )
    return re.sub(r"^    const unsigned blocks? = (blockIdx|gridDim)\.x;\n", "", text, flags=re.MULTILINE)


def _joined(name: str, launches: Sequence[CudaLaunch], members: Sequence[int]) -> tuple[str, CudaLaunch]:
    blocks = [launch.grid[0] for launch in launches]
    uses_batch = any(re.search(r"\bN\b", text) for text in blocks)
    text = render(
        "cuda/joined.cu.j2", name=name, members=members, functions=[launch.function for launch in launches],
        blocks=blocks, uses_batch=uses_batch,
    )  # fmt: skip
    return tidy(text), CudaLaunch(name, (" + ".join(blocks), "1", "1"), THREADS)
