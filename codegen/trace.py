"""What a compilation shows on request: TFGRAPH_SHOW=passes,fusion,kernels,memory,source,time and TFGRAPH_DUMP=folder."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .ir import Group, Kernel, Plan, Roots

TOPICS = ("passes", "fusion", "kernels", "memory", "source", "time")


class Trace:
    """Follows one compilation. Does nothing unless one of the two variables is set."""

    def __init__(self) -> None:
        folder = os.environ.get("TFGRAPH_DUMP")
        self.topics = frozenset(filter(None, os.environ.get("TFGRAPH_SHOW", "").split(",")))
        unknown = self.topics - set(TOPICS)
        if unknown:
            raise ValueError(f"TFGRAPH_SHOW={','.join(sorted(unknown))}: the topics are {', '.join(TOPICS)}")
        self.folder = _new_folder(Path(folder)) if folder else None
        self.number = 0
        self.clock = time.perf_counter()

    @property
    def is_on(self) -> bool:
        return self.folder is not None or bool(self.topics)

    def stage(self, name: str, roots: Roots) -> None:
        """A pass has made `roots`."""
        if not self.is_on:
            return
        now = time.perf_counter()
        self._say("time", f"{name}: {(now - self.clock) * 1e3:.1f} ms, {len(roots.nodes)} nodes")
        text = "\n".join(map(repr, roots.nodes)) + f"\nfetches {list(roots.fetches)}\n"
        self._say("passes", f"--- after {name}\n{text}")
        self._write(f"{self.number:02d}-{name}.txt", text)
        self.number += 1
        self.clock = time.perf_counter()

    def groups(self, groups: Sequence[Group]) -> None:
        """The nodes have been gathered into kernels."""
        if not self.is_on:
            return
        lines: list[str] = []
        for i, group in enumerate(groups):
            lines.append(f"kernel {i}: {group.kind} over {list(group.domain)}")
            lines += [f"    {node!r}" for node in group.nodes]
            lines += [f"    not fused: {reason}" for reason in group.refusals]
        text = "\n".join(lines) + "\n"
        self._say("fusion", text)
        self._write(f"{self.number:02d}-group_kernels.txt", text)

    def plan(self, kernels: Sequence[Kernel], plan: Plan) -> None:
        """Every value has its place."""
        if not self.is_on:
            return
        kinds = [f"{k.index:4d} {k.name:50s} {k.group.kind} {list(k.group.domain)}" for k in kernels]
        self._say("kernels", "\n".join(kinds))
        lines = [f"arenas: {plan.batch_bytes} bytes per sample, {plan.batch_rest + plan.fixed_bytes} bytes"]
        lines += [
            f"{buffer.storage:8s} {buffer.index:10d}  {value!r}  {value.op.label}" for value, buffer in plan.buffers.items()
        ]
        self._say("memory", "\n".join(lines))
        self._write("memory.txt", "\n".join(lines) + "\n")
        self._write("graph.dot", dot(kernels))

    def written(self, kernels: Sequence[Any]) -> None:
        """Every kernel has its text (a `kinds.Written` each)."""

    def source(self, text: str) -> None:
        """The C is complete."""
        self._say("source", text)
        self._say("time", f"emit: {(time.perf_counter() - self.clock) * 1e3:.1f} ms, {len(text)} characters")
        self._write("step.c", text)

    def _say(self, topic: str, text: str) -> None:
        if topic in self.topics:
            print(text, file=sys.stderr)

    def _write(self, name: str, text: str) -> None:
        if self.folder:
            (self.folder / name).write_text(text)


def _new_folder(parent: Path) -> Path:
    """A folder of its own for one program: program_00, program_01, ..."""
    number = 0
    while (folder := parent / f"program_{number:02d}").exists():
        number += 1
    folder.mkdir(parents=True)
    return folder


def dot(kernels: Sequence[Kernel]) -> str:
    """The kernels and the values between them as a Graphviz graph."""
    maker = {value: kernel for kernel in kernels for value in kernel.writes}
    lines = ["digraph step {", "  node [shape=box, fontname=monospace];"]
    lines += [f'  k{k.index} [label="{k.name}\\n{list(k.group.domain)}"];' for k in kernels]
    for kernel in kernels:
        for value in kernel.reads:
            if value in maker:
                lines.append(f'  k{maker[value].index} -> k{kernel.index} [label="{list(value.dims)}"];')
    return "\n".join([*lines, "}", ""])
