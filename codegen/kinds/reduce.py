"""Kernels of reductions over any axes, with the pointwise nodes before, beside and after them.

Two forms. *Direct*: each result is folded by one thread, chunks are blocks of results. *Parts*: the first reduced axis is
cut into at most PARTS parts whose partial results a second launch adds in order. Neither depends on the thread count.
The innermost loop runs over the last axis: lanes of one fold if that axis is reduced, a row of folds if it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...opdef import Reduction
from ...shapes import Batch, element_count
from ..emitted import Launch
from ..index import Axis, access_of
from ..ir import Node, Size, Value
from ..scalar import Expr, size_text
from ..tiles import whole_lines
from .folds import Fold, fold_of, lane_fold_of
from .pointwise import header
from .scribe import Scribe, hint_of
from .spaces import Space, decompose, product_text

PARTS = 64  # enough for 32 threads with two parts each; partial results stay small
GRAIN = 16384  # elements that are worth a chunk of their own
ROW_BLOCK = 256  # kept columns that are folded side by side: 1 KB of float32 accumulators stays in L1
FEW = 8  # below this many results, parts are needed to occupy the threads


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


def is_in_parts(domain: Any, axes: tuple[int, ...]) -> bool:
    """Whether the results are too few to occupy the threads by themselves."""
    kept = element_count([d for i, d in enumerate(domain) if i not in axes])
    reduced = element_count([domain[a] for a in axes])
    if isinstance(kept, Batch):
        return False
    total = 1 if isinstance(reduced, Batch) else reduced
    return isinstance(reduced, Batch) or (kept * total > GRAIN and kept < FEW * ROW_BLOCK)


def scratch(group: Any) -> Size:
    """Bytes of partial results: one row of results per part and fold."""
    if not is_in_parts(group.domain, group.axes):
        return Size()
    kept = element_count([d for i, d in enumerate(group.domain) if i not in group.axes])
    folds = [n for n in group.nodes if isinstance(n.kind, Reduction)]
    return Size(fixed=PARTS * sum(whole_lines(kept * n.outputs[0].dtype.size) for n in folds))


def write(scribe: Scribe) -> tuple[str, ReduceText, tuple[Launch, ...]]:
    return _Reduce(scribe).write()


class _Reduce:
    def __init__(self, scribe: Scribe) -> None:
        self.scribe = scribe
        self.group = scribe.kernel.group
        self.axes = self.group.axes
        self.space = Space(self.group.domain, tuple(i in self.axes for i in range(len(self.group.domain))))
        self.members = {v for n in self.group.nodes for v in n.outputs}
        self.element_nodes: list[Node] = []
        self.reductions: list[Node] = []
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
        self.scribe.partial = self._partial(folds)
        reduced = [a for a in axes if a.reduced]
        columns = axes[-1].size if kept_last else None
        outer_count = product_text([a.size for a in outer])
        blocks = "1" if columns is None else f"tg_chunks({size_text(columns)}, {ROW_BLOCK})"
        total = product_text([a.size for a in axes])
        parts = f"tg_parts({total}, {GRAIN}, {PARTS})"
        inner_size = size_text(columns if kept_last else (reduced[-1].size if reduced else 1))
        clauses = " ".join(f.clause for f in folds)
        has_fail = any("tg_fail" in line for line in body)
        name = self.scribe.kernel.name
        work = element_count([self.group.domain[a] for a in self.axes])
        per_result = work.per * 32 if isinstance(work, Batch) else max(1, work)
        if kept_last:
            per_result *= max(1, min(ROW_BLOCK, columns)) if isinstance(columns, int) else ROW_BLOCK
        text = ReduceText(
            name=name,
            comment=header(self.scribe),
            in_parts=in_parts,
            columns="" if columns is None else size_text(columns),
            block=ROW_BLOCK if not isinstance(columns, int) else min(ROW_BLOCK, max(1, columns)),
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
            folds=tuple(folds),
            body=tuple(body),
            steps=tuple(steps),
            finish_lines=tuple(finish_lines),
            finish=tuple(finish),
            results=product_text([a.size for a in axes if not a.reduced]),
            finished=tuple(self.scribe.locals[n.outputs[0]] for n in self.reductions),
            merges=self._merges(folds, product_text([a.size for a in axes if not a.reduced])),
        )
        if in_parts:
            joining = Launch(name, f"tg_chunks({text.results}, {GRAIN})")
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

    def _body(self, variables: list[str], kept_last: bool) -> tuple[list[Fold], list[str], list[str]]:
        body = [t for n in self.element_nodes for t in self.scribe.lines_at(n, self.space, variables, self.scribe.local)]
        folds, steps = [], []
        for node in self.reductions:
            access = access_of(node.inputs[0])
            operand = self.scribe.local(access.base) if access.base in self.members else None
            if operand is None:
                operand = self.scribe.operand(access, self.space, variables)
            value = node.outputs[0]
            unique, hint = self.scribe.names.unique, hint_of(node)
            if kept_last:
                fold = fold_of(node.kind.combine, value.dtype, unique(hint))
                steps.append(fold.step(self.scribe.printer, operand, f"{fold.name}[j - start]"))
            else:
                fold = lane_fold_of(node.kind.combine, value.dtype, unique, hint)
                steps.append(fold.lane_step(self.scribe.printer, operand))
            folds.append(fold)
        return folds, body, steps

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
            if value in self.scribe.kernel.writes:
                text += self.scribe.stores(node, self._finish_space(node), variables[value.dims])
        for node in self.finish_nodes:
            places = variables[node.outputs[0].dims]
            text += self.scribe.lines_at(node, self._finish_space(node), places, self.scribe.local)
        return lines, text

    def _merges(self, folds: list[Fold], results: str) -> tuple[str, ...]:
        return tuple(
            fold.step(
                self.scribe.printer,
                Expr(f"{fold.name}_parts[part * {results} + e]", fold.dtype),
                self.scribe.locals[node.outputs[0]],
            )
            for fold, node in zip(folds, self.reductions, strict=True)
        )

    def _partial(self, folds: list[Fold]) -> tuple[str, ...]:
        """Pointers to the partial results of each fold, one after the other in the scratch memory."""
        if not is_in_parts(self.group.domain, self.axes):
            return ()
        kept = element_count([d for i, d in enumerate(self.group.domain) if i not in self.axes])
        return self.scribe.partial_pointers([(f, PARTS * whole_lines(kept * f.dtype.size)) for f in folds])
