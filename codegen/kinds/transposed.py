"""Copies that change which dimension is innermost: blocks of small squares, each transposed in registers.

Read element by element, such a copy touches a line of memory for every element. A square of vectors reads and writes
whole vectors, and a block of squares uses up the lines and pages that it touches before it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ...dtypes import DType
from ...shapes import Batch
from ..emitted import Launch, Shared
from ..index import access_of, broadcast_access, index_text, whole
from ..ir import Kernel, Node
from ..passes.place_copies import UNSTORED
from ..render import render
from ..scalar import c_type, size_text
from ..target import host_target
from ..tiles import Element, transpose_function, vector_type
from . import Context, Written
from .arrays import TYPICAL_BATCH, scribe_of, times, written
from .pointwise import CHUNK_ELEMENTS, header
from .spaces import Space, decompose

COPIES = frozenset(("_Copy", "_Snapshot"))
BLOCK_ROWS, BLOCK_COLUMNS = 64, 128  # a block of float32 is 32 KB on either side: it stays in L2, its pages in the TLB
MOST_LANES = 16  # a square of that side fits into 32 registers
_BITS = {1: "int8", 2: "int16", 4: "int32", 8: "int64"}  # what elements are moved as, by their bytes


@dataclass(frozen=True)
class _Turn:
    """The loops of such a copy: y[outer][row][column] = x[outer, row + pitch * column]."""

    space: Space
    across: int  # the axis along which x is contiguous; along the last one y is
    element: Element

    @property
    def rows(self) -> Any:
        return self.space.axes[self.across].size

    @property
    def columns(self) -> Any:
        return self.space.axes[-1].size

    @property
    def outer(self) -> list[int]:
        """The other axes."""
        return [i for i in range(len(self.space.axes) - 1) if i != self.across]


@dataclass(frozen=True)
class Cut:
    """How rows or columns are cut into blocks, none of them narrower than a square unless all of them are."""

    blocks: str  # how many, "1" for a single one
    begin: str  # of block number `index`
    end: str


@dataclass(frozen=True)
class TransposedText:
    """The context of templates/c/transposed.c.j2."""

    name: str
    comment: tuple[str, ...]
    ctype: str  # what elements are moved as
    x: str  # the address of a block's first element
    y: str
    x_pitch: str  # elements of x from column to column
    y_pitch: str  # elements of y from row to row
    function: str
    down: Cut
    across: Cut
    count: str
    block: int  # items of work, which are blocks of one outer index, per chunk
    has_outer: bool  # other axes are walked too, by the index `o`
    decompose: tuple[str, ...]


def transposed(context: Context) -> Written | None:
    """The kernel of a copy that changes the innermost dimension; None for every other group of pointwise nodes."""
    kernel = context.kernel
    turn = _turn(kernel)
    if turn is None:
        return None
    scribe = scribe_of(context)
    node = kernel.group.nodes[0]
    source, output = access_of(node.data_inputs()[0]), node.outputs[0]
    outer_sizes = [turn.space.axes[i].size for i in turn.outer]
    lines, variables = decompose(outer_sizes, "o") if outer_sizes else ([], [])
    from_strides, to_strides = turn.space.strides
    places = [*variables, "top", "left"]
    from_index = index_text([*(from_strides[i] for i in turn.outer), 1, from_strides[-1]], places, source.offset)
    to_index = index_text([*(to_strides[i] for i in turn.outer), to_strides[turn.across], 1], places)
    down = _cut(turn.rows, BLOCK_ROWS, "row_block", "top")
    across = _cut(turn.columns, BLOCK_COLUMNS, "column_block", "left")
    factors = [f for f in (times(*outer_sizes), down.blocks, across.blocks) if f != "1"]
    count = " * ".join(f"({f})" if " " in f and len(factors) > 1 else f for f in factors) or "1"
    elements = _at_most(turn.rows, BLOCK_ROWS) * _at_most(turn.columns, BLOCK_COLUMNS)
    cast = "" if c_type(output.dtype) == turn.element.c_type else turn.element.c_type
    along_rows = isinstance(turn.rows, int) and isinstance(turn.columns, int) and turn.rows > turn.columns
    block_function = _block_function(turn.element, along_rows)
    text = TransposedText(
        name=kernel.name,
        comment=header(scribe),
        ctype=turn.element.c_type,
        x=f"{f'(const {cast} *)' if cast else ''}&{scribe.pointer_to(source.base)}[{from_index}]",
        y=f"{f'({cast} *)' if cast else ''}&{scribe.pointer_to(output)}[{to_index}]",
        x_pitch=size_text(from_strides[-1]),
        y_pitch=size_text(to_strides[turn.across]),
        function=block_function.name,
        down=down,
        across=across,
        count=count,
        block=max(1, CHUNK_ELEMENTS // elements),
        has_outer=bool(outer_sizes),
        decompose=tuple(lines),
    )
    launch = Launch(kernel.name, "1" if count == "1" else f"tg_chunks({count}, {text.block})")
    shared = (vector_type(turn.element), transpose_function(turn.element), block_function)
    method = f"transposed in squares of {turn.element.lanes}"
    return written(scribe, "c/transposed.c.j2", text, (launch,), shared=shared, method=method)


def _turn(kernel: Kernel) -> _Turn | None:
    """The loops of a kernel that is one copy from another order of dimensions, if squares fit into it."""
    node = kernel.group.nodes[0]
    if len(kernel.group.nodes) != 1 or node.type not in COPIES:
        return None
    space = _space(node)
    if space is None or len(space.axes) < 2 or space.strides[0][-1] in (0, 1):
        return None
    across = next((i for i, stride in enumerate(space.strides[0]) if stride == 1), None)
    if across is None:
        return None
    known = [size for size in (space.axes[across].size, space.axes[-1].size) if isinstance(size, int)]
    fitting = [e for e in _elements(node.outputs[0].dtype) if e.lanes <= min([MOST_LANES, *known])]
    return _Turn(space, across, fitting[0]) if fitting else None


def _space(node: Node) -> Space | None:
    """The copy's iteration space with the accesses to its operand and its result, None for a counting sequence."""
    source, output = access_of(node.data_inputs()[0]), node.outputs[0]
    if source.base.op.type in UNSTORED:
        return None
    space = Space(output.dims, (False,) * len(output.dims))
    full = broadcast_access(source, output.dims)
    if full == whole(output):
        return None
    space.note(full)
    space.note(whole(output))
    space.settle()
    return space


def _elements(dtype: DType) -> Iterator[Element]:
    """What squares may be made of, the widest vectors first."""
    host = host_target()
    name = dtype.base_dtype.name
    moved_as = name if name in ("float32", "float64") else _BITS[dtype.size]
    for vector_bytes in (64, 32, 16):
        if vector_bytes <= host.vector_bytes:
            yield Element(moved_as, replace(host, vector_bytes=vector_bytes))


def _cut(size: Any, width: int, index: str, begin: str) -> Cut:
    """Blocks that are `width` wide and begin at multiples of it; those of an unknown number are about equal parts."""
    if isinstance(size, Batch):
        blocks = f"tg_chunks({size_text(size)}, {width})"
        return Cut(blocks, f"{index} * ({size_text(size)}) / {blocks}", f"({index} + 1) * ({size_text(size)}) / {blocks}")
    blocks, rest = max(1, size // width), size % width
    if blocks == 1:
        return Cut("1", "0", str(size))
    end = f"{begin} + {width}"
    return Cut(str(blocks), f"{index} * {width}", f"{index} == {blocks - 1} ? {size} : {end}" if rest else end)


def _at_most(size: Any, most: int) -> int:
    return max(1, min(most, size.per * TYPICAL_BATCH if isinstance(size, Batch) else size))


def _block_function(element: Element, along_rows: bool) -> Shared:
    """The function that transposes a block, square by square along its rows or along its columns."""
    square = transpose_function(element).name
    name = f"{square}_block{'_by_rows' if along_rows else ''}"
    source = render(
        "c/transposed_block.c.j2",
        name=name,
        square=square,
        c_type=element.c_type,
        lanes=element.lanes,
        along_rows=along_rows,
    )
    return Shared(name, source)
