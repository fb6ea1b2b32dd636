"""The C of joined launches: functions that hand each of their chunks to one of several kernels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .emitted import Joined, Launch
from .passes.join_launches import Run
from .render import render

CHUNK_WORK = 20_000  # operations; smaller kernels of one chunk share a chunk, whose hand-out costs 0.1 us


@dataclass(frozen=True)
class Branch:
    """The chunks of one kernel, or a chunk that runs several small ones."""

    condition: str  # C: "if (chunk < end1)", "else", or "" where there is nothing to choose
    calls: tuple[str, ...]  # C expressions


def write_joined(run: Run, launches: Sequence[Sequence[Launch]], prefix: str = "") -> Joined:
    """The joined launches of a run, given each kernel's: first the first ones of all kernels, then the second ones."""
    sources: list[str] = []
    joined: list[Launch] = []
    for stage in range(max(map(len, launches))):
        parts = _parts([(w, own[stage]) for w, own in zip(run.work, launches, strict=True) if stage < len(own)])
        if len(parts) == 1 and len(parts[0]) == 1:
            joined.append(parts[0][0])
            continue
        name = f"{prefix}k{run.first:02d}_to_k{run.last:02d}" + (f"_then{stage}" if stage else "")
        sources.append(_source(name, run, parts))
        joined.append(Launch(name, " + ".join(map(_chunks, parts))))
    return Joined(run.first, run.last, "\n\n".join(sources), tuple(joined))


def _parts(work: Sequence[tuple[int, Launch]]) -> list[tuple[Launch, ...]]:
    """Launches with chunks of their own, and such as share one; the largest first, so that the threads end together."""
    parts: list[tuple[Launch, ...]] = []
    small: list[Launch] = []
    collected = 0
    for operations, launch in sorted(work, key=lambda item: -item[0]):
        if operations >= CHUNK_WORK or not _is_one_chunk(launch.chunks):
            parts.append((launch,))
            continue
        small.append(launch)
        collected += operations
        if collected >= CHUNK_WORK:
            parts.append(tuple(small))
            small, collected = [], 0
    return [*parts, tuple(small)] if small else parts


def _is_one_chunk(chunks: str) -> bool:
    counts = re.fullmatch(r"tg_chunks\((\d+), (\d+)\)", chunks)
    return chunks == "1" or (counts is not None and int(counts[1]) <= int(counts[2]))


def _chunks(part: tuple[Launch, ...]) -> str:
    return part[0].chunks if len(part) == 1 else "1"


def _source(name: str, run: Run, parts: Sequence[tuple[Launch, ...]]) -> str:
    """One launch: chunk numbers up to `end1` are the first part's, those up to `end2` the second one's, and so on."""
    ends: list[str] = []
    branches: list[Branch] = []
    for i, part in enumerate(parts, 1):
        chunk = "chunk" if i == 1 else f"chunk - end{i - 1}"
        calls = [f"{launch.function}(s, {'0' if len(part) > 1 else chunk})" for launch in part]
        condition = ["else"] * (i > 1) + [f"if (chunk < end{i})"] * (i < len(parts))
        branches.append(Branch(" ".join(condition), tuple(calls)))
        if i < len(parts):
            ends.append(f"const int64_t end{i} = {f'end{i - 1} + ' if i > 1 else ''}{_chunks(part)};")
    uses_batch = any(re.search(r"\bN\b", end) for end in ends)
    return render("c/joined.c.j2", name=name, run=run, ends=ends, branches=branches, uses_batch=uses_batch)
