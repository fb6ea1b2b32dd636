"""Kernels of reductions over any axes, with the pointwise nodes before, beside and after them.

Two forms. *Direct*: each result is folded by one thread, chunks are blocks of results. *Parts*: the first reduced axis is
cut into at most PARTS parts whose partial results a second launch adds in order. Neither depends on the thread count.
The innermost loop runs over the last axis: lanes of one fold if that axis is reduced, a row of folds if it is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...opdef import Reduction
from ...shapes import Batch, element_count
from ..emitted import Launch, insert_prologue
from ..index import Axis, access_of
from ..internal_moments import sums_deviations
from ..ir import Node, Size, Value
from ..render import render, tidy
from ..scalar import Expr, size_text
from ..target import CUDA, host_target
from ..tiles import whole_lines
from . import Context, Written
from .deviations import Deviations, deviations_of, functions
from .folds import Fold, fold_of, lane_fold_of
from .pointwise import header
from .scribe import Scribe, hint_of
from .spaces import Space, decompose, product_text

PARTS = 64  # enough for 32 threads with two parts each; partial results stay small
GRAIN = 16384  # elements that are worth a chunk of their own
JOIN_BLOCK = GRAIN // PARTS  # results whose parts are worth a chunk of their own
ROW_BLOCK = 256  # kept columns that are folded side by side: 1 KB of float32 accumulators stays in L1
# of a part, whose blocks no other thread takes: rows of 4 KB are read from end to end. Two sums over the columns of two
# arrays of 8192 x 1024 take 1.9 ms so, 2.1 in blocks of 256
PART_BLOCK = 1024
FEW = 8  # below this many blocks of results, parts are needed to occupy the threads
# with this many blocks of columns, they are not: those of 64 x 50,257 are added up in 86 us so, in 1,966 us in parts of a
# row each; of 128 x 4096 in 21 us and 133 us, of 4096 x 4096 in 1.5 ms and 1.4 ms
MANY = 16
# rows that are folded at once where they are at least WIDE columns long: running results are loaded and stored once for all
# of them, and memory delivers several streams. Those two sums take 1.5 ms so
ROWS_AT_ONCE = 4
WIDE = 128


@dataclass(frozen=True)
class ReduceText:
    """The context of templates/shared/reduce.j2."""

    name: str
    comment: tuple[str, ...]
    in_parts: bool
    columns: str  # kept innermost elements per result row, "" when the innermost axis is reduced
    block: int  # columns folded side by side
    blocks: str
    outer: str  # kept outer results
    outer_per_chunk: int
    outer_lines: tuple[str, ...]
    loops: tuple[tuple[str, str], ...]  # reduced axes around the innermost loop: variable, size
    split: str  # size of the first reduced axis, cut into parts
    parts: str
    inner: str  # variable of the innermost loop
    inner_size: str
    pragma: str
    folds: tuple[Fold, ...]
    body: tuple[str, ...]
    steps: tuple[str, ...]
    finish_lines: tuple[str, ...]
    finish: tuple[str, ...]
    finished: tuple[str, ...]  # name of each finished fold
    merges: tuple[str, ...]  # how a part joins each finished fold
    results: str
    deviations: tuple[Deviations, ...]
    row: tuple[str, str]  # with deviations or rows at once, the innermost reduced loop, which `loops` leaves out
    rows_at_once: int
    running: tuple[tuple[str, str, str], ...]  # with rows at once, the running results of a column: type, name, array
    per_step: str  # elements of a result in each step of the first reduced axis, as a factor
    partial: tuple[str, ...]  # what is kept of a part
    joins: tuple[str, ...]  # how it joins the others
    join_block: int

    def at(self, variable: str) -> str:
        """The index of a running result, where results are side by side."""
        return f"[{variable} - start]" if self.columns else ""


def is_in_parts(domain: Any, axes: tuple[int, ...]) -> bool:
    """Whether the results are too few to occupy the threads by themselves."""
    kept = element_count([d for i, d in enumerate(domain) if i not in axes])
    reduced = element_count([domain[a] for a in axes])
    if isinstance(kept, Batch):
        return False
    if isinstance(reduced, Batch):
        return kept < MANY * ROW_BLOCK
    return kept * reduced > GRAIN and kept < FEW * ROW_BLOCK


def scratch(group: Any) -> Size:
    """Bytes of partial results: one row of results per part and fold."""
    if not is_in_parts(group.domain, group.axes):
        return Size()
    kept = element_count([d for i, d in enumerate(group.domain) if i not in group.axes])
    folds = [n for n in group.nodes if isinstance(n.kind, Reduction)]
    beside = _beside_deviations(folds)
    arrays = [n for n in folds if n not in beside for _ in range(3 if sums_deviations(n) else 1)]
    return Size(fixed=PARTS * sum(whole_lines(kept * n.outputs[0].dtype.size) for n in arrays))


def _beside_deviations(folds: Sequence[Node]) -> list[Node]:
    """The sums of elements whose deviations are summed too: they follow from the same running results."""
    elements = [n.inputs[0] for n in folds if sums_deviations(n)]
    return [n for n in folds if n.type == "Sum" and n.inputs[0] in elements]


def reduction(context: Context) -> Written:
    """The kernel of one group of this kind."""
    scribe = context.scribe(("begin", "end", "taken", "next", "more"))
    template, text, launches = _Reduce(scribe).write()
    source = insert_prologue(tidy(render(template, k=text)), scribe.prologue())
    shared = {item.name: item for item in map(functions, text.deviations)}
    return Written(source, launches, tuple(shared.values()), scribe.generators)


class _Reduce:
    def __init__(self, scribe: Scribe) -> None:
        self.scribe = scribe
        self.group = scribe.kernel.group
        self.axes = self.group.axes
        self.space = Space(self.group.domain, tuple(i in self.axes for i in range(len(self.group.domain))))
        self.members = {v for n in self.group.nodes for v in n.outputs}
        self.element_nodes: list[Node] = []
        self.reductions: list[Node] = []
        self.deviations: dict[Node, Deviations] = {}
        self.running: dict[Fold, str] = {}  # with rows at once, what is called like one column's running result
        self.finish_nodes: list[Node] = []
        self.finish_spaces: dict[Any, Space] = {}
        results: set[Value] = set()
        for node in scribe.nodes:
            if isinstance(node.kind, Reduction):
                self.reductions.append(node)
                results.update(node.outputs)
            elif any(access_of(v).base in results for v in node.data_inputs() if not v.dtype.is_ref):
                self.finish_nodes.append(node)
                results.update(node.outputs)
            elif node.outputs[0].dims == self.group.domain:
                self.element_nodes.append(node)
            else:
                self.finish_nodes.append(node)
                results.update(node.outputs)

    def write(self) -> tuple[str, ReduceText, tuple[Launch, ...]]:
        self._note()
        axes = self.space.axes
        kept_last = bool(axes) and not axes[-1].reduced
        outer = [a for a in (axes[:-1] if kept_last else axes) if not a.reduced]
        variables, outer_lines, loops = self._variables(axes, kept_last)
        folds, body, steps = self._body(variables, kept_last)
        finish_lines, finish = self._finish()
        in_parts = is_in_parts(self.group.domain, self.axes)
        kept = [*folds.values(), *(fold for state in self.deviations.values() for fold in state.folds())]
        self.scribe.partial = self._partial(kept)
        row = self._take_row(loops) if self.deviations or self.running else ("", "")
        reduced = [a for a in axes if a.reduced]
        columns = axes[-1].size if kept_last else None
        outer_count = product_text([a.size for a in outer])
        blocks = "1" if columns is None else f"tg_chunks({size_text(columns)}, {PART_BLOCK if in_parts else ROW_BLOCK})"
        total = product_text([a.size for a in axes])
        parts = f"tg_parts({total}, {GRAIN}, {PARTS})"
        inner_size = size_text(columns if kept_last else (reduced[-1].size if reduced else 1))
        clauses = " ".join([*(f.clause for f in folds.values()), *(d.clause for d in self.deviations.values())])
        has_fail = any("tg_fail" in line for line in body)
        name = self.scribe.kernel.name
        work = element_count([self.group.domain[a] for a in self.axes])
        per_result = work.per * 32 if isinstance(work, Batch) else max(1, work)
        if kept_last:
            per_result *= max(1, min(ROW_BLOCK, columns)) if isinstance(columns, int) else ROW_BLOCK
        results = product_text([a.size for a in axes if not a.reduced])
        widest = PART_BLOCK if in_parts else ROW_BLOCK
        text = ReduceText(
            name=name,
            comment=header(self.scribe),
            in_parts=in_parts,
            columns="" if columns is None else size_text(columns),
            block=widest if not isinstance(columns, int) else min(widest, max(1, columns)),
            blocks=blocks,
            outer=outer_count,
            outer_per_chunk=max(1, GRAIN // per_result),
            outer_lines=tuple(outer_lines),
            loops=tuple(loops),
            split=size_text(reduced[0].size) if reduced else "1",
            parts=parts,
            inner="j" if kept_last else "k",
            inner_size=inner_size,
            pragma="" if kept_last or has_fail else f"#pragma omp simd {clauses}",
            folds=tuple(folds.values()),
            body=tuple(body),
            steps=tuple(steps),
            finish_lines=tuple(finish_lines),
            finish=tuple(finish),
            results=results,
            finished=tuple(self.scribe.locals[n.outputs[0]] for n in folds),
            merges=tuple(self._join(f, results, self.scribe.locals[n.outputs[0]]) for n, f in folds.items()),
            deviations=tuple(self.deviations.values()),
            row=row,
            rows_at_once=ROWS_AT_ONCE,
            running=tuple((f.ctype, name, f.name) for f, name in self.running.items()),
            per_step=_as_factor([a.size for a in reduced[1:]]),
            partial=tuple(f.name for f in kept),
            joins=self._joins(folds, results, kept_last),
            join_block=min(JOIN_BLOCK, int(results)) if results.isdigit() else JOIN_BLOCK,
        )
        if in_parts:
            joining = Launch(name, f"tg_chunks({text.results}, {text.join_block})")
            launches: tuple[Launch, ...] = (Launch(f"{name}_parts", parts), joining)
        else:
            items = outer_count if columns is None else f"({outer_count}) * {blocks}"
            launches = (Launch(name, f"tg_chunks({items}, {text.outer_per_chunk})"),)
        return "shared/reduce.j2", text, launches

    def _note(self) -> None:
        for node in self.element_nodes:
            self.scribe.note_operands(node, self.space, self.members.__contains__)
        for node in self.reductions:
            access = access_of(node.inputs[0])
            if access.base not in self.members and not self.scribe.is_inline(access):
                self.space.note(access)
        # partial results and stores are laid out by the kept axes in order: nothing else may reorder them
        self.space.settle()
        for node in self.reductions:
            if node.outputs[0] in self.scribe.kernel.writes:
                self._finish_space(node).note(access_of(node.outputs[0]))
        for node in self.finish_nodes:
            self.scribe.note_operands(node, self._finish_space(node), self.members.__contains__)
        for space in self.finish_spaces.values():
            space.settle()

    def _finish_space(self, node: Node) -> Space:
        """The results' space in the dimensions of one node: those of size 1 may be elsewhere, or missing."""
        dims = node.outputs[0].dims
        return self.finish_spaces.setdefault(dims, Space(dims, (False,) * len(dims)))

    def _variables(self, axes: list[Axis], kept_last: bool) -> tuple[list[str], list[str], list[tuple[str, str]]]:
        """The loop variable of each collapsed axis, the lines that find the kept outer ones, the reduced loops."""
        outer = [a.size for a in (axes[:-1] if kept_last else axes) if not a.reduced]
        lines, names = decompose(outer, "o") if outer else ([], [])
        kept = iter(names)
        reduced = [a for a in axes if a.reduced]
        variables: list[str] = []
        loops: list[tuple[str, str]] = []
        for axis in axes:
            if axis.reduced:
                number = sum(v == "k" or v.startswith("r") for v in variables)
                is_last = not kept_last and number == len(reduced) - 1
                variable = "k" if is_last else f"r{number}"
                variables.append(variable)
                if not is_last:
                    loops.append((variable, size_text(axis.size)))
            elif kept_last and axis is axes[-1]:
                variables.append("j")
            else:
                variables.append(next(kept))
        return variables, lines, loops

    def _take_row(self, loops: list[tuple[str, str]]) -> tuple[str, str]:
        """The innermost reduced loop, taken from the others where it is one of them: it has stretches."""
        kept_last = not self.space.axes[-1].reduced
        return loops.pop() if kept_last else ("k", size_text(self.space.axes[-1].size))

    def _body(self, variables: list[str], kept_last: bool) -> tuple[dict[Node, Fold], list[str], list[str]]:
        body = [t for n in self.element_nodes for t in self.scribe.lines_at(n, self.space, variables, self.scribe.local)]
        folds: dict[Node, Fold] = {}
        steps: list[str] = []
        beside = _beside_deviations(self.reductions)
        for node in (n for n in self.reductions if n not in beside):
            access = access_of(node.inputs[0])
            operand = self.scribe.local(access.base) if access.base in self.members else None
            if operand is None:
                operand = self.scribe.operand(access, self.space, variables)
            value = node.outputs[0]
            unique, hint = self.scribe.names.unique, hint_of(node)
            if sums_deviations(node):
                self.deviations[node] = state = deviations_of(value.dtype, unique)
                _, *sums = state.folds()
                centre = f"{state.centre}[j - start]" if kept_last else state.centre
                steps += state.steps(operand, unique("deviation"), centre, *(self._place(f, kept_last) for f in sums))
            elif kept_last:
                folds[node] = fold = fold_of(node.kind.combine, value.dtype, unique(hint))
                steps.append(fold.step(self.scribe.printer, operand, self._place(fold, kept_last)))
            else:
                folds[node] = fold = lane_fold_of(node.kind.combine, value.dtype, unique, hint)
                steps.append(fold.lane_step(self.scribe.printer, operand))
        return folds, body, steps

    def _place(self, fold: Fold, kept_last: bool) -> str:
        """Where an element's running result is."""
        if not kept_last:
            return fold.name
        if not self._takes_rows_at_once():
            return f"{fold.name}[j - start]"
        return self.running.setdefault(fold, self.scribe.names.unique(f"{fold.name}_rows"))

    def _takes_rows_at_once(self) -> bool:
        """True for long rows that are only read: gcc has no vectors for a loop over columns that stores several rows."""
        columns = self.space.axes[-1].size
        stored = self.scribe.kernel.writes
        is_read = all(n.outputs and n.opdef.is_pure and n.outputs[0] not in stored for n in self.element_nodes)
        is_wide = len(self.space.axes) > 1 and isinstance(columns, int) and columns >= WIDE
        return is_wide and is_read and host_target() is not CUDA

    def _finish(self) -> tuple[list[str], list[str]]:
        """The lines that turn finished folds into results, for the flat result index `e`."""
        lines: list[str] = []
        variables: dict[Any, list[str]] = {}
        for i, (dims, space) in enumerate(self.finish_spaces.items()):
            found, variables[dims] = decompose([a.size for a in space.axes], "e", f"e{i}_") if space.axes else ([], [])
            lines += found
        text: list[str] = []
        for node in self.reductions:
            value = node.outputs[0]
            name = self.scribe.names.unique(hint_of(node))
            self.scribe.locals[value] = name
            self._name_result(node, name)
            if value in self.scribe.kernel.writes:
                text += self.scribe.stores(node, self._finish_space(node), variables[value.dims])
        for node in self.finish_nodes:
            places = variables[node.outputs[0].dims]
            text += self.scribe.lines_at(node, self._finish_space(node), places, self.scribe.local)
        return lines, text

    def _name_result(self, node: Node, name: str) -> None:
        """Note what a result that follows from sums of deviations is called."""
        for other, state in self.deviations.items():
            if other is node:
                self.deviations[other] = replace(state, result=name)
            elif node.type == "Sum" and node.inputs[0] is other.inputs[0]:
                self.deviations[other] = replace(state, sums=(*state.sums, name))

    def _join(self, fold: Fold, results: str, target: str) -> str:
        """How a part joins the running result `target`."""
        return fold.step(self.scribe.printer, Expr(f"{fold.name}_parts[part * {results} + e]", fold.dtype), target)

    def _joins(self, folds: dict[Node, Fold], results: str, kept_last: bool) -> tuple[str, ...]:
        at = "[e - start]" if kept_last else ""
        return (
            *(self._join(fold, results, f"{fold.name}{at}") for fold in folds.values()),
            *(state.join(f"part * {results} + e", at) for state in self.deviations.values()),
        )

    def _partial(self, folds: list[Fold]) -> tuple[str, ...]:
        """Pointers to the partial results of each fold, one after the other in the scratch memory."""
        if not is_in_parts(self.group.domain, self.axes):
            return ()
        kept = element_count([d for i, d in enumerate(self.group.domain) if i not in self.axes])
        return self.scribe.partial_pointers([(f, PARTS * whole_lines(kept * f.dtype.size)) for f in folds])


def _as_factor(sizes: Sequence[Any]) -> str:
    """A product of sizes behind a multiplication sign, "" if there are none."""
    text = product_text(sizes)
    return f" * ({text})" if " " in text else f" * {text}" if sizes else ""
