"""Kernels over rows: a team of threads folds each row; what is made of all rows is left in parts that a second launch adds.

The values of a row that a later sweep needs again stay in shared memory, each where the thread that made it looks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..ir import Value
from ..kinds import Written
from ..kinds.rows import Rows, RowsText, Sweep
from ..kinds.totals import PARTS, scratch
from ..problems import NotCompilable
from ..scalar import c_type
from .adapt import Adapted
from .scribe import CudaContext
from .text import THREADS, WARP, Shape, lanes_for

SHARED_BYTES = 40 * 1024  # of a block's 48 KB
_STORE = re.compile(r"^[\w.]+(\[.*\])? [-+*|&]?= ")


@dataclass(frozen=True)
class Held:
    """An array in shared memory with a place for every element of the rows that a block works on."""

    ctype: str
    name: str


@dataclass(frozen=True)
class CudaRowsText:
    """The context of templates/cuda/rows.cu.j2."""

    rows: RowsText
    lanes: int
    teams: int
    held: tuple[Held, ...]  # of a row
    held_totals: tuple[Held, ...]  # of all rows of a part
    columns: int

    @property
    def name(self) -> str:
        return self.rows.name

    @property
    def comment(self) -> tuple[str, ...]:
        return self.rows.comment


def write(context: CudaContext) -> Written:
    """A CUDA kernel over rows."""
    scribe = context.scribe()
    rows = Rows(scribe)
    _, text, _ = rows.write()
    columns = int(rows.columns)
    # neighbours in memory are of neighbouring rows where axes before the last are folded: a thread takes each
    lanes = 1 if context.kernel.group.kind == "slabs" else lanes_for(columns)
    held = tuple(Held(c_type(value.dtype), name) for value, name in rows.arrays.items())
    totals = tuple(t.fold for finish in text.finishes for t in finish.totals if t.columns)
    held_totals = tuple(Held(fold.ctype, fold.name) for fold in totals)
    row_bytes = columns * (sum(map(_size, rows.arrays)) + sum(fold.dtype.size for fold in totals))
    teams = THREADS // lanes
    while teams > 1 and (teams * row_bytes > SHARED_BYTES or teams * lanes > THREADS):
        teams //= 2
    if row_bytes > SHARED_BYTES:
        raise NotCompilable(f"{text.name}: rows of {row_bytes} bytes do not fit into a block's shared memory")
    first = "lane == 0"
    text = replace(
        text,
        sweeps=tuple(_for_lanes(sweep, first) for sweep in text.sweeps),
        parts=f"tg_parts({text.count}, 1, {PARTS})",
        finishes=tuple(replace(f, lines=f.lines if f.columns else only_if("team == 0", f.lines)) for f in text.finishes),
    )
    threads = teams * lanes
    shapes = {text.name: Shape(text.count, lanes, threads)}
    if text.finishes:
        widest = max((f.columns for f in text.finishes if f.columns), key=len, default="1")
        parts = Shape(text.parts, lanes, threads, strides=False)
        shapes = {f"{text.name}_parts": parts, text.name: Shape(widest, threads=min(THREADS, max(WARP, threads)))}
    if lanes > 1:
        scribe.joins.update(((fold, lanes), None) for sweep in text.sweeps for fold in sweep.folds)
    own = CudaRowsText(text, lanes, teams, held, held_totals, columns)
    return scribe.rendered(Adapted("cuda/rows.cu.j2", own, shapes, {"lanes": lanes}))


def _size(value: Value) -> int:
    return int(value.dtype.size)


def _for_lanes(sweep: Sweep, first: str) -> Sweep:
    return replace(sweep, pragma="", after=only_if(first, sweep.after))


def only_if(condition: str, lines: Iterable[str]) -> tuple[str, ...]:
    """The lines, those that store to memory under a condition: what all have computed alike, one stores."""
    return tuple(f"if ({condition})\n    {line}" if "[" in line and _STORE.match(line) else line for line in lines)


__all__ = ["only_if", "scratch", "write"]
