"""Kernels that fold axes before the last one and sweep again over what they have folded: softmax along a middle axis, or
normalisation over all positions of an image.

What a block of neighbouring columns has along the folded axes is a slab. It stays in the cache from sweep to sweep; what a
later sweep needs again is kept in an array on the stack. The columns of a block are the innermost loop: whole vectors of
memory, with a running result for each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ...opdef import Reduction
from ...shapes import Batch
from ..emitted import Launch, insert_prologue, used_lines
from ..index import access_of
from ..ir import Node, Value
from ..render import render, tidy
from ..scalar import c_type, size_text
from . import Context, Written
from .arrays import chunks
from .folds import Fold, fold_of
from .pointwise import CHUNK_ELEMENTS, header
from .rows import Rows
from .scribe import Scribe, hint_of
from .spaces import decompose, product_text

WHOLE = 16  # columns of a block are a multiple of it where they can be: a line of the cache of float32
# columns of a block; softmax over the first axis of [500, 128] takes 26 us in blocks of 16, 16 us in blocks of 32
NARROWEST, WIDEST = 32, 128
STACK_BYTES = 128 * 1024  # of what is kept between the sweeps
CACHED_BYTES = 128 * 1024  # of a slab of float32, in a second-level cache
ITEMS = 16  # blocks that are wanted at least, to occupy the threads


@dataclass(frozen=True)
class SlabSweep:
    """One loop over a slab: what it folds, what it does with each element, and what follows for each column."""

    folds: tuple[Fold, ...]
    position: tuple[str, ...]  # lines that split `k`, the position along the folded axes
    body: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class SlabsText:
    """The context of templates/c/slabs.c.j2."""

    name: str
    comment: tuple[str, ...]
    items: str
    block: int  # items per chunk
    has_blocks: bool
    before: tuple[str, ...]  # the lines before the items
    width: int  # columns of a block at most, and what the arrays have room for
    own_width: str  # the columns of this block, where that may be another number
    place: tuple[str, ...]  # lines that find the block and the other kept axes
    arrays: tuple[str, ...]
    length: int  # of the folded axes
    sweeps: tuple[SlabSweep, ...]


def slabs(context: Context) -> Written:
    """The kernel of one group of this kind."""
    scribe = context.scribe(("left", "width"))
    text = Slabs(scribe).text()
    source = insert_prologue(tidy(render("c/slabs.c.j2", k=text)), scribe.prologue())
    launch = Launch(text.name, chunks(text.items, text.block))
    return Written(source, (launch,), method=f"{text.length} x {text.width} from cache")


class Slabs(Rows):
    """Writes the sweeps over slabs; which value belongs to which sweep is as in kernels over rows."""

    def __init__(self, scribe: Scribe) -> None:
        super().__init__(scribe)
        self.kept_columns: dict[Value, str] = {}  # what has one value per column and is needed after its sweep

    def text(self) -> SlabsText:
        """The context of the template."""
        self._classify()
        self._schedule()
        self._note()
        axes = self.space.axes
        outer = [axis.size for axis in axes[:-1] if not axis.reduced]
        length, columns = int(self.columns), axes[-1].size
        self.width = width_of(length, columns, outer, [value.dtype.size for value in self.arrays])
        self.is_cut = columns != self.width
        lines, self.outer_variables = decompose(outer, "o") if outer else ([], [])
        position, self.inner_variables = decompose([axis.size for axis in axes if axis.reduced], "k")
        self.position = tuple(position)
        sweeps = self._slab_sweeps(columns, bool(outer))
        count = product_text(outer)
        blocks = chunks(size_text(columns), self.width) if self.is_cut else ""
        factors = [f"({count})" if " " in count else count] if count != "1" else []
        items = " * ".join([*factors, *([blocks] if blocks else [])]) or "1"
        kept = [f"{c_type(v.dtype)} {name}[{length}][{self.width}];" for v, name in self.arrays.items()]
        kept += [f"{c_type(v.dtype)} {name}[{self.width}];" for v, name in self.kept_columns.items()]
        is_uneven = self.is_cut and (isinstance(columns, Batch) or columns % self.width != 0)
        place = ["const int64_t o = item / blocks;"] if outer and blocks else []
        if self.is_cut:
            place.append(f"const int64_t left = {'item % blocks' if outer else 'item'} * {self.width};")
        if is_uneven:
            place.append(f"const int64_t width = tg_least({self.width}, {size_text(columns)} - left);")
        return SlabsText(
            name=self.scribe.kernel.name,
            comment=header(self.scribe),
            items=items,
            block=max(1, CHUNK_ELEMENTS // (length * self.width * len(sweeps))),
            has_blocks=self.is_cut,
            before=(f"const int64_t blocks = {blocks};",) if outer and blocks else (),
            width=self.width,
            own_width="width" if is_uneven else "",
            place=(*place, *lines),
            arrays=tuple(kept),
            length=length,
            sweeps=sweeps,
        )

    def _variables(self) -> list[str]:
        outer, inner = iter(self.outer_variables), iter(self.inner_variables)
        kept = [next(inner) if axis.reduced else next(outer) for axis in self.space.axes[:-1]]
        return [*kept, "column" if self.is_cut else "j"]

    def _slab_sweeps(self, columns: Any, has_outer: bool) -> tuple[SlabSweep, ...]:
        count = max(self.sweep_of.values(), default=0) + 1
        for value in self.arrays:
            self.arrays[value] = self.scribe.names.unique(hint_of(value.op) + "_slab")
        column = "column" if self.is_cut else "j"
        first = f"o * {size_text(columns)} + " if has_outer else ""
        where = [line for space in self.row_spaces.values() for line in self._row_decomposition(space)]
        self.places = (f"const int64_t i = {first}{column};", *dict.fromkeys(where))
        return tuple(self._slab_sweep(number) for number in range(count))

    def _slab_sweep(self, number: int) -> SlabSweep:
        folds: list[Fold] = []
        body: list[str] = []
        after: list[str] = []
        for node in (n for n in self.nodes if self.sweep_of[n] == number):
            if isinstance(node.kind, Reduction):
                body.append(self._column_fold(node, folds))
                space = self._row_space(node.outputs[0].dims)
                after += self.scribe.stores(node, space, self._row_variables(space))
            elif self._is_row_node(node):
                space = self._row_space(node.outputs[0].dims)
                after += self.scribe.lines_at(node, space, self._row_variables(space), self.scribe.local)
            else:
                body += self._element_lines(node, number)
        after += self._keep_columns(number)
        found = ("const int64_t column = left + j;",) if self.is_cut else ()
        places = used_lines(self.places, "\n".join(after))
        return SlabSweep(
            folds=tuple(folds),
            position=used_lines(self.position, "\n".join(body)),
            body=(*used_lines(found, "\n".join(body)), *body),
            after=(*used_lines(found, "\n".join((*places, *after))), *places, *after),
        )

    def _keep_columns(self, number: int) -> list[str]:
        """The lines that keep what follows from this sweep for each column, for later ones."""
        lines = []
        for node in self.nodes:
            if not self._is_row_node(node) or self.sweep_of[node] != number:
                continue
            later = [n for n in self.nodes if self.sweep_of[n] > number]
            for value in node.outputs:
                if any(value in self._inside(n) for n in later):
                    name = self.kept_columns[value] = self.scribe.names.unique(f"{hint_of(node)}_columns")
                    lines.append(f"{name}[j] = {self.scribe.locals[value]};")
                    self.scribe.locals[value] = f"{name}[j]"
        return lines

    def _column_fold(self, node: Node, folds: list[Fold]) -> str:
        access = access_of(node.inputs[0])
        operand = self._element(access.base, self.sweep_of[node]) if access.base in self.is_row else None
        if operand is None:
            operand = self.scribe.operand(access, self.space, self._variables())
        value = node.outputs[0]
        fold = fold_of(node.kind.combine, value.dtype, self.scribe.names.unique(hint_of(node)))
        folds.append(fold)
        self.scribe.locals[value] = f"{fold.name}[j]"
        return fold.step(self.scribe.printer, operand, f"{fold.name}[j]")

    def _at(self, array: str) -> str:
        return f"{array}[k][j]"


def width_of(length: int, columns: Any, outer: list[Any], kept: list[int]) -> int:
    """How many columns a block has; `kept` are the bytes of what is kept of each element."""
    most = min(WIDEST, max(NARROWEST, CACHED_BYTES // (4 * length)))
    if kept:
        most = max(1, min(most, STACK_BYTES // (length * sum(kept))))
    if isinstance(columns, Batch):
        return _whole(most)
    if all(isinstance(size, int) for size in outer):
        shared = columns * math.prod(outer) // ITEMS  # columns of a block if there are so many blocks
        most = min(most, max(shared, NARROWEST))
    if columns <= most:
        return int(columns)
    # blocks of one size need no other loop for the last of them, which takes 63 us where that takes 73
    even = [width for width in range(_whole(most), most // 2, -WHOLE) if columns % width == 0]
    equal = columns // -(-columns // _whole(most))  # of about as many blocks
    return even[0] if even else min(_whole(most), _whole(equal + WHOLE))


def _whole(width: int) -> int:
    return width // WHOLE * WHOLE or width
