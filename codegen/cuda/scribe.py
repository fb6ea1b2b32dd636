"""The lines of CUDA kernels: C's, with random numbers made one by one and with a thread's place declared first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..emitted import Shared
from ..kinds import Context, Written
from ..kinds.contractions import DIRECTIONS, POSITIONED
from ..kinds.draws import Draws
from ..kinds.folds import Fold
from ..kinds.scribe import Scribe
from ..render import render, tidy
from ..scalar import Expr
from .adapt import Adapted, adapted
from .contraction import reserved_names
from .joins import join_function
from .text import CPP_WORDS, GEOMETRY, Shape, function_text, insert_prologue

DIALECT = "cuda/dialect.j2"
CONTRACTIONS = frozenset(("matmul", *DIRECTIONS, *POSITIONED))


class CudaScribe(Scribe):
    """Writes the lines of one kernel."""

    def __init__(self, context: Context, reserved: Iterable[str] = ()) -> None:
        own = (*reserved, *GEOMETRY, *CPP_WORDS)
        c = context
        super().__init__(c.kernel, c.plan, c.printer, c.tables, c.failures, own, c.randoms)
        self.joins: dict[tuple[Fold, int], None] = {}  # folds whose results the threads of a team bring together

    # --- random numbers: every thread makes its own --------------------------------------------------------------------

    def draw(self, first: str, row: Any, variable: str) -> Draws | None:
        """The kernel's random numbers, each made where it is taken."""
        self._place_draws(re.sub(r"\bstrip\b", variable, first))
        return None

    def draw_rows(self, columns: int) -> tuple[str, ...]:
        self._place_draws(f"i * {columns} + j")
        return ()

    def _place_draws(self, position: str) -> None:
        place = f"(uint64_t)({position})" if " " in position else f"(uint64_t){position}"
        for drawn in self._draws():
            call = f"tg_{drawn.generator}_at({drawn.key}, s.random[{drawn.counter}], {place})"
            self.drawn[drawn.value] = Expr(call, drawn.value.dtype)

    # --- the finished text ---------------------------------------------------------------------------------------------

    def finish(self, template: str, text: Any, shared: Sequence[Shared] = (), **more: Any) -> Written:
        """The kernel whose C has this template and context."""
        return self.rendered(adapted(template, text), shared, **more)

    def rendered(self, form: Adapted, shared: Sequence[Shared] = (), **more: Any) -> Written:
        source = tidy(render(form.template, k=form.text, dialect=DIALECT, **form.context))
        shared = (*shared, *(join_function(self.printer, fold, lanes) for fold, lanes in self.joins))
        functions = tuple(Shared(s.name, function_text(s.source)) for s in shared if s.name not in form.unneeded)
        launches = tuple(shape.launch(name) for name, shape in form.shapes.items())
        return Written(
            self.completed(source, form.shapes), launches, shared=functions, **{"random": self.generators, **more}
        )

    def completed(self, source: str, shapes: Mapping[str, Shape]) -> str:
        """The text of a kernel with what its functions declare first."""
        return insert_prologue(source, self.prologue(), shapes)


class CudaContext(Context):
    """What a kind may look at while it writes a CUDA kernel."""

    def scribe(self, reserved: Iterable[str] = ()) -> CudaScribe:
        if self.kernel.group.kind in CONTRACTIONS:
            reserved = (*reserved, *reserved_names())
        return CudaScribe(self, reserved)
