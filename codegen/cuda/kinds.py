"""The table of CUDA kernel kinds: those with a text of their own, and those that adapt the context of the C kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir import Kernel, Size
from ..kinds import Written, moves, pointwise, primitives, searches
from ..kinds.pool_spec import FORMS
from ..problems import NotCompilable
from . import contractions, pool, reduce, rows
from .scribe import CudaContext


def _pointwise(context: CudaContext) -> Written:
    scribe = context.scribe()
    template, text, _ = pointwise.write(scribe)
    return scribe.finish(template, text)


def _none(kernel: Kernel) -> Size:
    return Size()


_SHARED = (*moves.TABLE, *searches.TABLE, "scatter_add", "scatter_update", "check_labels", "check_numerics", "random")

TABLE: dict[str, tuple[Callable[[Any], Written], Callable[[Kernel], Size]]] = {
    "pointwise": (_pointwise, _none),
    "rows": (rows.write, lambda kernel: rows.scratch(kernel.group)),
    "slabs": (rows.write, _none),
    "reduce": (reduce.write, lambda kernel: reduce.scratch(kernel.group)),
    **dict.fromkeys(FORMS, (pool.write, _none)),
    **contractions.TABLE,
    **{kind: primitives.TABLE[kind] for kind in _SHARED},
}


def entry(kernel: Kernel) -> tuple[Callable[[Any], Written], Callable[[Kernel], Size]]:
    """How a kernel is written, and its working memory. NotCompilable if its kind has no CUDA form."""
    kind = kernel.group.kind
    if kind not in TABLE:
        node = kernel.group.nodes[0]
        raise NotCompilable(f"{node.label} ({node.type}) has no CUDA kernel ({kind})")
    return TABLE[kind]
