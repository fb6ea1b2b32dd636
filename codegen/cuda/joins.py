"""How the threads of a team bring their results together: one function per fold, type and size of the team."""

from __future__ import annotations

from ..emitted import Shared
from ..kinds.folds import Fold
from ..render import render, tidy
from ..scalar import Expr, Printer
from .text import WARP

_MOVED = {"float": "float", "double": "double", "int64_t": "int64_t", "uint64_t": "uint64_t", "uint32_t": "uint32_t"}


def join_function(printer: Printer, fold: Fold, lanes: int) -> Shared:
    """The function that `join` of templates/cuda/dialect.j2 calls."""
    name = f"tg_join_{fold.combine}_{fold.ctype}_{lanes}"
    text = render(
        "cuda/join.cuh.j2",
        name=name,
        combine=fold.combine,
        c_type=fold.ctype,
        moved=_MOVED.get(fold.ctype, "int"),
        lanes=lanes,
        width=min(lanes, WARP),
        mask=hex((1 << min(lanes, WARP)) - 1),
        step=fold.step(printer, Expr("other", fold.dtype), "value"),
    )
    return Shared(name, tidy(text))
