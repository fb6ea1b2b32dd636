"""What a kernel over rows makes of all rows: sums of the rows' results and of whole columns, and what follows from them.

The rows are cut into at most PARTS parts, each of which leaves partial results in scratch memory; a second launch adds
them in order. The parts do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...opdef import Reduction
from ...shapes import Dims, element_count
from ..index import access_of
from ..ir import Group, Node, Size
from ..passes.clusters import is_over_rows, totals_of
from ..scalar import Expr, size_text
from ..tiles import whole_lines
from .folds import Fold, fold_of
from .scribe import Scribe, hint_of
from .spaces import Space, decompose

PARTS = 64  # as many as of a reduction: see codegen/kinds/reduce.py


@dataclass(frozen=True)
class Total:
    """One running result over rows, for templates/shared/rows.j2."""

    fold: Fold
    columns: str  # how many results there are side by side, "" for one
    finished: str  # its name when all parts are added
    step: str  # takes one part into the finished result


@dataclass(frozen=True)
class Finish:
    """The results of one size and what follows from them."""

    columns: str
    totals: tuple[Total, ...]
    decompose: tuple[str, ...]
    lines: tuple[str, ...]


def split(group: Group, nodes: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """The nodes that belong to single rows, and those that need all rows."""
    late = totals_of(group.nodes, group.domain, group.axes)
    return [n for n in nodes if not late.intersection(n.outputs)], [n for n in nodes if late.intersection(n.outputs)]


def scratch(group: Group) -> Size:
    """Bytes of partial results."""
    over = [n for n in group.nodes if group.kind == "rows" and is_over_rows(n, group.domain, group.axes)]
    return Size(fixed=sum(PARTS * _row_bytes(n) for n in over))


def _row_bytes(node: Node) -> int:
    """The partial results of one part, in whole lines of the cache."""
    return whole_lines(element_count(node.outputs[0].dims) * node.outputs[0].dtype.size)


class Totals:
    """Writes the running results of the nodes that need all rows."""

    def __init__(self, scribe: Scribe, nodes: Sequence[Node]) -> None:
        self.scribe = scribe
        group = scribe.kernel.group
        self.over = [n for n in nodes if is_over_rows(n, group.domain, group.axes)]
        self.late = [n for n in nodes if n not in self.over]
        names = {n: scribe.names.unique(f"{hint_of(n)}_total") for n in self.over}
        self.folds = {n: fold_of(_combine(n), n.outputs[0].dtype, names[n]) for n in self.over}
        self.spaces: dict[Dims, Space] = {}

    def columns(self, node: Node) -> str:
        count = element_count(node.outputs[0].dims)
        return "" if count == 1 else size_text(count)

    def step(self, node: Node, operand: Expr) -> str:
        """The statement that takes an element of column j, or a row's result, into the running result."""
        fold = self.folds[node]
        return fold.step(self.scribe.printer, operand, f"{fold.name}[j]" if self.columns(node) else fold.name)

    def note(self) -> None:
        """Remember the accesses of what follows."""
        members = {v for n in self.scribe.nodes for v in n.outputs}
        for node in self.over:
            space = self._space(node)
            if node.outputs[0] in self.scribe.kernel.writes:
                space.note(access_of(node.outputs[0]))
        for node in self.late:
            self.scribe.note_operands(node, self._space(node), members.__contains__)
        for space in self.spaces.values():
            space.settle()

    def _space(self, node: Node) -> Space:
        dims = node.outputs[0].dims
        return self.spaces.setdefault(dims, Space(dims, (False,) * len(dims)))

    def finishes(self) -> tuple[Finish, ...]:
        """The text after the last row, numbers first."""
        self.scribe.partial = self._partial()
        sizes = sorted({self.columns(n) for n in (*self.over, *self.late)}, key=len)
        return tuple(self._finish(size) for size in sizes)

    def _finish(self, size: str) -> Finish:
        totals: list[Total] = []
        lines: list[str] = []
        stems = {dims: f"e{i}_" for i, dims in enumerate(self.spaces)}
        places: dict[Dims, Any] = {
            dims: decompose([a.size for a in space.axes], "e", stems[dims]) if space.axes else ([], [])
            for dims, space in self.spaces.items()
        }
        own = [n for n in (*self.over, *self.late) if self.columns(n) == size]
        for node in own:
            if node in self.over:
                totals.append(self._total(node))
                lines += self.scribe.stores(node, self._space(node), places[node.outputs[0].dims][1])
            else:
                variables = places[node.outputs[0].dims][1]
                lines += self.scribe.lines_at(node, self._space(node), variables, self.scribe.local)
        found = [line for dims in dict.fromkeys(n.outputs[0].dims for n in own) for line in places[dims][0]]
        return Finish(size, tuple(totals), tuple(found), tuple(lines))

    def _total(self, node: Node) -> Total:
        fold, size, value = self.folds[node], self.columns(node), node.outputs[0]
        name = self.scribe.names.unique(hint_of(node))
        self.scribe.locals[value] = name
        place = f"part * {size} + e" if size else "part"
        return Total(fold, size, name, fold.step(self.scribe.printer, Expr(f"{fold.name}_parts[{place}]", fold.dtype), name))

    def _partial(self) -> tuple[str, ...]:
        """Pointers to the partial results, one after the other in the scratch memory."""
        sizes = [(fold, PARTS * _row_bytes(node)) for node, fold in self.folds.items()]
        return self.scribe.partial_pointers(sizes)


def _combine(node: Node) -> str:
    assert isinstance(node.kind, Reduction)
    return node.kind.combine
