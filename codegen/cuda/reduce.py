"""Reductions over any axes: a thread for each result where neighbours in memory are kept, else a team that shares the
innermost axis. Few results of many elements are made in parts, which a second launch adds in order: no atomics, so that
two runs agree bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...opdef import Reduction
from ...shapes import Batch, element_count
from ..ir import Size
from ..kinds import Written
from ..kinds.folds import Fold
from ..kinds.reduce import ReduceText, _Reduce
from .adapt import Adapted, row_lanes
from .scribe import CudaContext
from .text import Shape

FEW_RESULTS = 16384  # fewer than so many threads leave most of a GPU idle
MOST_PARTS = 256
PART_RESULTS = 65536  # parts times results at most: the second launch has to read them all
GRAIN = 2048  # elements that are worth a part


def most_parts(group: Any) -> int:
    """Into how many parts the first reduced axis may be cut; 1 if each result is made at once."""
    kept = element_count([d for i, d in enumerate(group.domain) if i not in group.axes])
    reduced = element_count([group.domain[a] for a in group.axes])
    if isinstance(kept, Batch) or kept == 0 or kept >= FEW_RESULTS:
        return 1
    if not isinstance(reduced, Batch) and kept * reduced <= GRAIN:
        return 1
    return max(1, min(MOST_PARTS, PART_RESULTS // kept))


def scratch(group: Any) -> Size:
    """Bytes of partial results: one row of results per part and fold."""
    parts = most_parts(group)
    if parts == 1:
        return Size()
    return Size(fixed=sum(_bytes(group, n.outputs[0].dtype, parts) for n in group.nodes if isinstance(n.kind, Reduction)))


def _bytes(group: Any, dtype: Any, parts: int) -> int:
    kept = element_count([d for i, d in enumerate(group.domain) if i not in group.axes])
    return parts * -(-kept * dtype.size // 64) * 64


@dataclass(frozen=True)
class CudaReduceText:
    """The context of templates/cuda/reduce.cu.j2."""

    reduce: ReduceText
    lanes: int

    @property
    def name(self) -> str:
        return self.reduce.name

    @property
    def comment(self) -> tuple[str, ...]:
        return self.reduce.comment


class _CudaReduce(_Reduce):
    def _partial(self, folds: list[Fold]) -> tuple[str, ...]:
        parts = most_parts(self.group)
        if parts == 1:
            return ()
        return self.scribe.partial_pointers([(fold, _bytes(self.group, fold.dtype, parts)) for fold in folds])


def write(context: CudaContext) -> Written:
    """A CUDA kernel of reductions."""
    scribe = context.scribe()
    writer = _CudaReduce(scribe)
    _, text, _ = writer.write()
    most = most_parts(context.kernel.group)
    total = element_count(context.kernel.group.domain)
    elements = f"{total.per} * N" if isinstance(total, Batch) else str(total)
    text = replace(text, in_parts=most > 1, pragma="", parts=f"tg_parts({elements}, {GRAIN}, {most})")
    lanes = 1 if text.columns else row_lanes(text.inner_size)
    items = f"({text.outer}) * ({text.columns})" if text.columns else text.outer
    shapes = {text.name: Shape(items, lanes)}
    if text.in_parts:
        shapes = {
            f"{text.name}_parts": Shape(f"({items}) * {text.parts}", lanes, strides=True),
            text.name: Shape(text.results),
        }
    _note_joins(scribe, text.folds, lanes)
    own = CudaReduceText(text, lanes)
    return scribe.rendered(Adapted("cuda/reduce.cu.j2", own, shapes, {"lanes": lanes}))


def _note_joins(scribe: Any, folds: Sequence[Fold], lanes: int) -> None:
    if lanes > 1:
        scribe.joins.update(((fold, lanes), None) for fold in folds)
