"""Kernels that work row by row: folds over the last axes with what comes before and after them.

Softmax, cross-entropy and its gradient are one such kernel: each sweep over a row may use what earlier sweeps folded.
Values that a later sweep needs again stay in an array of the row's length on the stack (long rows: `long_rows`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...opdef import Reduction, Update
from ...shapes import element_count
from ..emitted import Launch
from ..index import Access, access_of, row_major
from ..ir import Node, Value
from ..passes.clusters import ROW_LIMIT
from ..passes.place_copies import variable_of
from ..scalar import Expr, c_type, size_text
from .folds import Fold, fold_of, lane_fold_of
from .long_rows import LongRows
from .pointwise import CHUNK_ELEMENTS, header
from .scribe import Scribe, hint_of
from .spaces import Space, decompose
from .totals import PARTS, Finish, Totals, scratch, split

SIMD_LENGTH = 16  # shorter rows gain nothing from a vectorised fold, and all vectors divide it


@dataclass(frozen=True)
class Sweep:
    """One loop over a row: what it folds, its body, and the per-row lines after it."""

    folds: tuple[Fold, ...]
    pragma: str
    body: tuple[str, ...]
    after: tuple[str, ...]
    whole: str = ""  # the elements that fill whole vectors, where the others have a loop of their own


@dataclass(frozen=True)
class RowsText:
    """The context of templates/shared/rows.j2."""

    name: str
    comment: tuple[str, ...]
    count: str
    block: int
    inner: str
    decompose: tuple[str, ...]
    decompose_inner: tuple[str, ...]
    arrays: tuple[str, ...]  # what a row keeps, random numbers among it
    sweeps: tuple[Sweep, ...]
    parts: str  # how many parts the rows are cut into where something is made of all rows
    finishes: tuple[Finish, ...]


def write(scribe: Scribe) -> tuple[str, RowsText, tuple[Launch, ...]]:
    return Rows(scribe).write()


class Rows:
    """Writes the sweeps over rows."""

    def __init__(self, scribe: Scribe) -> None:
        self.scribe = scribe
        self.group = scribe.kernel.group
        domain, axes = self.group.domain, self.group.axes
        self.columns = element_count([domain[a] for a in axes])
        self.rows = element_count([d for i, d in enumerate(domain) if i not in axes])
        self.space = Space(domain, tuple(i in axes for i in range(len(domain))))
        self.row_spaces: dict[Any, Space] = {}
        self.is_row: dict[Value, bool] = {}
        self.sweep_of: dict[Node, int] = {}
        self.ready: dict[Value, int] = {}  # row value -> the sweep after which it is known
        self.arrays: dict[Value, str] = {}
        self.long: LongRows | None = None  # in the place of arrays
        self.loaded: dict[Value, tuple[str, str]] = {}  # what the present sweep reads again: its name, the line
        self.nodes, late = split(self.group, scribe.nodes)
        self.totals = Totals(scribe, late)

    def write(self) -> tuple[str, RowsText, tuple[Launch, ...]]:
        self._classify()
        self._schedule()
        self._note()
        outer = [a for a in self.space.axes if not a.reduced]
        inner = [a for a in self.space.axes if a.reduced]
        lines, self.outer_variables = decompose([a.size for a in outer], "i") if outer else ([], [])
        inner_lines, self.inner_variables = decompose([a.size for a in inner], "j") if inner else ([], [])
        drawn = self.scribe.draw_rows(self.columns)
        sweeps = self._sweeps()
        block = max(1, CHUNK_ELEMENTS // max(1, self.columns * len(sweeps)))
        count = size_text(self.rows)
        row_lines = [line for space in self.row_spaces.values() for line in self._row_decomposition(space)]
        text = RowsText(
            self.scribe.kernel.name,
            header(self.scribe),
            count,
            block,
            size_text(self.columns),
            tuple(dict.fromkeys([*lines, *row_lines])),
            tuple(inner_lines),
            (*(f"{c_type(v.dtype)} {name}[{self.columns}];" for v, name in self.arrays.items()), *drawn),
            tuple(sweeps),
            f"tg_parts({count}, {block}, {PARTS})",
            self.totals.finishes() if self.totals.over else (),
        )
        name = self.scribe.kernel.name
        if not text.finishes:
            return "shared/rows.j2", text, (Launch(name, f"tg_chunks({count}, {block})"),)
        return "shared/rows.j2", text, (Launch(f"{name}_parts", text.parts), Launch(name, "1"))

    # --- what is per row, and in which sweep ------------------------------------------------------------------------

    def _classify(self) -> None:
        for node in self.nodes:
            per_row = isinstance(node.kind, Reduction) or self._of_rows_only(node)
            for value in node.outputs:
                self.is_row[value] = per_row

    def _of_rows_only(self, node: Node) -> bool:
        """A pointwise node over the kept dimensions (and not over the whole domain)."""
        return node.outputs[0].dims != self.group.domain or (self.columns == 1 and self._takes_rows(node))

    def _takes_rows(self, node: Node) -> bool:
        inside = [access_of(v).base for v in node.data_inputs() if not v.dtype.is_ref]
        inside = [b for b in inside if b in self.is_row]
        return bool(inside) and all(self.is_row[b] for b in inside)

    def _inside(self, node: Node) -> list[Value]:
        bases = [access_of(v).base for v in node.data_inputs() if not v.dtype.is_ref]
        return [b for b in bases if b in self.is_row]

    def _schedule(self) -> None:
        earliest: dict[Node, int] = {}
        read: dict[Node, int] = {}  # a variable -> the last sweep that reads it before it is written
        for node in self.nodes:
            sweep = 0
            for base in self._inside(node):
                sweep = max(sweep, self.ready[base] + 1 if self.is_row[base] else earliest[base.op])
            if self._is_row_node(node):
                done = max((self.ready[b] for b in self._inside(node)), default=0)
                self.ready.update(dict.fromkeys(node.outputs, done))
                sweep = done
            elif isinstance(node.kind, Reduction):
                self.ready.update(dict.fromkeys(node.outputs, sweep))
            elif isinstance(node.kind, Update):
                sweep = max(sweep, *(read.get(variable, 0) for variable in _written(node)))
            earliest[node] = sweep
            for variable in _read(node):
                read[variable] = max(read.get(variable, 0), sweep)
        # elements are computed as late as their first use allows, so that fewer have to be kept
        for node in reversed(self.nodes):
            users = [
                self.sweep_of[n]
                for n in self.nodes
                if n in self.sweep_of and not self._is_row_node(n) and any(b.op is node for b in self._inside(n))
            ]
            late = min([*users, *self._writes_after(node)], default=earliest[node])
            fixed = isinstance(node.kind, Reduction) or self._is_row_node(node)
            self.sweep_of[node] = earliest[node] if fixed else max(earliest[node], late)
        for node in self.nodes:
            for base in self._inside(node):
                if not self.is_row[base] and not self._is_row_node(node) and self.sweep_of[base.op] < self.sweep_of[node]:
                    self.arrays.setdefault(base, "")
        if self.columns > ROW_LIMIT:
            self.arrays.clear()
            self.long = self._long_rows()

    def _long_rows(self) -> LongRows:
        elements = [n for n in self.nodes if not self._is_row_node(n)]
        results = [
            v for n in elements for v in n.outputs if not isinstance(n.kind, Reduction) and v in self.scribe.kernel.writes
        ]
        return LongRows(elements, self.sweep_of, lambda n: [v for v in self._inside(n) if not self.is_row[v]], results)

    def _writes_after(self, node: Node) -> list[int]:
        """The sweeps that write what `node` reads as it was before."""
        updates = [n for n in self.nodes if isinstance(n.kind, Update) and n in self.sweep_of]  # the later ones, here
        return [self.sweep_of[n] for n in updates if _written(n).intersection(_read(node))]

    def _is_row_node(self, node: Node) -> bool:
        return not isinstance(node.kind, Reduction) and bool(node.outputs) and self.is_row[node.outputs[0]]

    # --- accesses ---------------------------------------------------------------------------------------------------

    def _note(self) -> None:
        members = self.is_row.__contains__
        for node in self.nodes:
            if isinstance(node.kind, Reduction):
                access = access_of(node.inputs[0])
                if access.base not in self.is_row and not self.scribe.is_inline(access):
                    self.space.note(access)
                self._row_space(node.outputs[0].dims).note(access_of(node.outputs[0]))
            elif self._is_row_node(node):
                self.scribe.note_operands(node, self._row_space(node.outputs[0].dims), members)
            else:
                self.scribe.note_operands(node, self.space, members)
        self.totals.note()
        for access in (access_of(n.inputs[0]) for n in self.totals.over):
            if access.base not in self.is_row and not self.scribe.is_inline(access):
                self.space.note(access)
        self.space.settle()
        for space in self.row_spaces.values():
            space.settle()

    def _row_space(self, dims: Any) -> Space:
        if dims not in self.row_spaces:
            self.row_spaces[dims] = Space(dims, (False,) * len(dims))
        return self.row_spaces[dims]

    def _row_decomposition(self, space: Space) -> list[str]:
        return decompose([a.size for a in space.axes], "i", self._stem(space))[0] if space.axes else []

    def _row_variables(self, space: Space) -> list[str]:
        return decompose([a.size for a in space.axes], "i", self._stem(space))[1] if space.axes else []

    def _stem(self, space: Space) -> str:
        return f"row{list(self.row_spaces.values()).index(space)}_"

    # --- text -------------------------------------------------------------------------------------------------------

    def _sweeps(self) -> list[Sweep]:
        for node in self.totals.over:  # where each of them is taken: as soon as there is its operand
            base = access_of(node.inputs[0]).base
            self.sweep_of[node] = self.ready.get(base, self.sweep_of.get(base.op, 0))
        count = max(self.sweep_of.values(), default=0) + 1
        for value in self.arrays:
            self.arrays[value] = self.scribe.names.unique(hint_of(value.op) + "_row")
        return [self._sweep(number) for number in range(count)]

    def _sweep(self, number: int) -> Sweep:
        folds: list[Fold] = []
        body: list[str] = []
        after: list[str] = []
        self.loaded.clear()
        for node in self.nodes:
            if self.sweep_of[node] != number and not (self.long and node in self.long.again.get(number, ())):
                continue
            if isinstance(node.kind, Reduction):
                body.append(self._fold(node, folds))
                space = self._row_space(node.outputs[0].dims)
                after += self.scribe.stores(node, space, self._row_variables(space))
            elif self._is_row_node(node):
                space = self._row_space(node.outputs[0].dims)
                after += self.scribe.lines_at(node, space, self._row_variables(space), self.scribe.local)
            else:
                body += self._element_lines(node, number)
        for node in self.totals.over:
            if self.sweep_of[node] == number:
                self._take(node, folds, body, after)
        body = [*(line for _, line in self.loaded.values()), *body]
        clauses = " ".join(f.clause for f in folds)
        vectorise = folds and self.columns >= SIMD_LENGTH and not any("tg_fail" in line for line in body)
        pragma = f"#pragma omp simd {clauses}" if vectorise else ""
        return Sweep(tuple(folds), pragma, tuple(body), tuple(after), self._whole() if vectorise else "")

    def _whole(self) -> str:
        """Where the whole vectors of a row end, if a vectorised fold leaves a rest of it.

        gcc keeps the lanes of a fold in memory when it goes on with single elements, and waits for them there: softmax of
        rows of 33 takes 23 ns a row with a second loop for the rest and 44 ns without, of 100 51 ns and 71 ns.
        """
        has_rest = self.columns % SIMD_LENGTH and self.columns <= ROW_LIMIT
        return str(self.columns // SIMD_LENGTH * SIMD_LENGTH) if has_rest else ""

    def _take(self, node: Node, folds: list[Fold], body: list[str], after: list[str]) -> None:
        """Lines that take a row into a result of all rows."""
        access = access_of(node.inputs[0])
        value = node.outputs[0]
        if self.is_row.get(access.base):
            after.append(self.totals.step(node, Expr(self.scribe.locals[access.base], value.dtype)))
        elif self.totals.columns(node):
            operand = self.scribe.local(access.base) or self.scribe.operand(access, self.space, self._variables())
            body.append(self.totals.step(node, operand))
        else:
            body.append(self._fold(node, folds))  # of this row
            after.append(self.totals.step(node, Expr(self.scribe.locals[value], value.dtype)))

    def _element_lines(self, node: Node, number: int) -> list[str]:
        lines = self.scribe.lines_at(node, self.space, self._variables(), lambda v: self._element(v, number))
        if self.long and self.sweep_of[node] == number:
            held = [(v, self.long.held.get(v, v)) for v in node.outputs]
            lines += [f"{self._place(to)} = {self.scribe.locals[v]};" for v, to in held if to is not v]
        return lines + [f"{self._at(self.arrays[v])} = {self.scribe.locals[v]};" for v in node.outputs if v in self.arrays]

    def _at(self, array: str) -> str:
        """The element of what a row keeps that belongs to this place of the row."""
        return f"{array}[j]"

    def _element(self, value: Value, number: int) -> Expr | None:
        """An operand inside sweep `number`: a local of this sweep, a per-row value, or the row's array."""
        if value in self.arrays and self.sweep_of[value.op] < number:
            return Expr(self._at(self.arrays[value]), value.dtype)
        if self.long and value in self.long.held and self.sweep_of[value.op] < number:
            return Expr(self._load(value, self._place(self.long.held[value])), value.dtype)
        return self.scribe.local(value)

    def _place(self, result: Value) -> str:
        """The element of a stored result."""
        index = self.space.index(Access(result, result.dims, row_major(result.dims)), self._variables())
        return f"{self.scribe.pointer_to(result)}[{index}]"

    def _load(self, value: Value, place: str) -> str:
        """The name of what this sweep reads at its beginning, before the place is written."""
        if value not in self.loaded:
            name = self.scribe.names.unique(hint_of(value.op))
            self.loaded[value] = name, f"const {c_type(value.dtype)} {name} = {place};"
        return self.loaded[value][0]

    def _fold(self, node: Node, folds: list[Fold]) -> str:
        access = access_of(node.inputs[0])
        operand = self._element(access.base, self.sweep_of[node]) if access.base in self.is_row else None
        if operand is None:
            operand = self.scribe.operand(access, self.space, self._variables())
        value = node.outputs[0]
        unique, hint = self.scribe.names.unique, hint_of(node)
        if self.columns >= SIMD_LENGTH:
            fold = lane_fold_of(node.kind.combine, value.dtype, unique, hint)
        else:
            fold = fold_of(node.kind.combine, value.dtype, unique(hint))
        folds.append(fold)
        self.scribe.locals[value] = fold.name
        return fold.lane_step(self.scribe.printer, operand)

    def _variables(self) -> list[str]:
        """One per collapsed axis of the domain."""
        outer, inner = iter(self.outer_variables), iter(self.inner_variables)
        return [next(inner if axis.reduced else outer) for axis in self.space.axes]


def _read(node: Node) -> set[Node]:
    """The variables that a node takes as operands."""
    bases = [access_of(v).base for v in node.data_inputs() if not v.dtype.is_ref]
    return {variable_of(base.op.inputs[0]) for base in bases if base.op.type == "_Read"}


def _written(node: Node) -> set[Node]:
    """The variables of an update."""
    return {variable_of(v) for v in node.inputs if v.dtype.is_ref}


__all__ = ["scratch", "write"]
