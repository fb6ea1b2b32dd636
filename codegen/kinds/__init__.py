"""Kernel kinds: from a group to a template's context. One file per kind; this is their table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..emitted import Launch, Shared, insert_prologue
from ..ir import Kernel, Node, Plan, Size
from ..problems import NotCompilable
from ..render import render, tidy
from ..scalar import Printer
from .scribe import Scribe


@dataclass(frozen=True)
class Written:
    """The text of one kernel and what it needs beside itself."""

    source: str
    launches: tuple[Any, ...]
    shared: tuple[Shared, ...] = ()
    random: tuple[str, ...] = ()
    method: str = ""  # how it computes, where there is a choice


@dataclass(frozen=True)
class Context:
    """What a kind may look at while it writes a kernel."""

    kernel: Kernel
    plan: Plan
    printer: Printer
    tables: Any
    failures: dict[str, int]
    randoms: tuple[Node, ...]

    def scribe(self, reserved: Iterable[str] = ()) -> Scribe:
        return Scribe(self.kernel, self.plan, self.printer, self.tables, self.failures, reserved, self.randoms)


def _nest(module: Any) -> Callable[[Context], Written]:
    def write_nest(context: Context) -> Written:
        scribe = context.scribe()
        template, text, launches = module.write(scribe)
        source = insert_prologue(tidy(render(template, k=text)), scribe.prologue())
        return Written(source, launches, random=scribe.generators)

    return write_nest


def _table() -> Mapping[str, tuple[Callable[[Context], Written], Callable[[Kernel], Size]]]:
    from . import pointwise, primitives, reduce, rows
    from .slabs import slabs
    from .transposed import transposed

    def none(kernel: Kernel) -> Size:
        return Size()

    def sweep(context: Context) -> Written:
        return transposed(context) or _nest(pointwise)(context)

    return {
        "pointwise": (sweep, none),
        "rows": (_nest(rows), lambda kernel: rows.scratch(kernel.group)),
        "slabs": (slabs, none),
        "reduce": (reduce.reduction, lambda kernel: reduce.scratch(kernel.group)),
        **primitives.TABLE,
    }


def _entry(kernel: Kernel) -> tuple[Callable[[Context], Written], Callable[[Kernel], Size]]:
    table = _table()
    if kernel.group.kind not in table:
        node = kernel.group.nodes[0]
        raise NotCompilable(f"{node.label} ({node.type}) has no C kernel ({kernel.group.kind})")
    return table[kernel.group.kind]


def scratch(kernel: Kernel) -> Size:
    """Working memory of one kernel, beside its values."""
    return _entry(kernel)[1](kernel)


def write(
    kernel: Kernel, plan: Plan, printer: Printer, tables: Any, failures: dict[str, int], randoms: tuple[Node, ...]
) -> Written:
    """The text of one kernel."""
    return _entry(kernel)[0](Context(kernel, plan, printer, tables, failures, randoms))


__all__ = ["Launch", "Written", "scratch", "write"]
