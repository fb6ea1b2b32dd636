"""Matrix products: sizes, tiles and blocks for `templates/c/matmul.c.j2`.

In: a `MatMulSpec` (dimensions are ints or `Batch` multiples). Out: `Emitted` C. The text reads pointers `a` and `b`,
writes `y` (or what the epilogue stores to), and uses `scratch` where `scratch(spec, target)` is not empty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...shapes import Batch
from ..c_text import ceil_quotient, minus, plus, quotient, remainder, smaller, times
from ..emitted import PLAIN, Emitted, Epilogue, Launch, Scratch, Shared, insert_prologue
from ..render import render
from ..scalar import C_TYPES, size_text
from ..target import NOMINAL_BATCH, Target, Tile, choose_tile, host_target
from ..tiles import Element, pack_functions, smaller_functions, tile_function, vector_type

BLOCK_ROWS = 128
BLOCK_COLUMN_BYTES = 1024
LONGEST_DEPTH_BYTES = 2048  # a whole k up to this is one block; longer ones are cut in blocks of BLOCK_DEPTH_BYTES
BLOCK_DEPTH_BYTES = 1024
WANTED_CHUNKS = 8
CHUNK_OPERATIONS = 1_000_000  # a smaller chunk costs more to hand out than it saves
ROWS_WORTH_PACKING = 48
PARTIAL_ROWS = 4
PAGE_BYTES = 4096


@dataclass(frozen=True)
class MatMulSpec:
    """y[batch][m][n] = a[batch][m][k] . b[batch][k][n]; a transposed operand is stored with its two sizes swapped.

    `dtype` is float32, float64, int32 or int64.
    """

    m: Any
    n: Any
    k: Any
    transpose_a: bool = False
    transpose_b: bool = False
    batch: Any = 1
    dtype: str = "float32"


@dataclass(frozen=True)
class MatMulPlan:
    """Everything the template needs to know; sizes that may depend on N are C expressions."""

    spec: MatMulSpec
    tile: Tile
    width: int  # columns of a panel: one tile wide
    block_rows: int
    block_columns: int
    block_depth: int
    splits: int  # shares of k that are summed apart and added later
    copies_left: bool
    packs: bool

    rows_worth_packing = ROWS_WORTH_PACKING
    c_type = property(lambda self: C_TYPES[self.spec.dtype])
    rows = property(lambda self: size_text(self.spec.m))
    columns = property(lambda self: size_text(self.spec.n))
    depth = property(lambda self: size_text(self.spec.k))
    products = property(lambda self: size_text(self.spec.batch))
    transpose_a = property(lambda self: self.spec.transpose_a)
    transpose_b = property(lambda self: self.spec.transpose_b)
    partial_tile = property(lambda self: Tile(min(PARTIAL_ROWS, self.tile.rows), self.tile.vectors))
    has_partial_tiles = property(lambda self: not _divides(self.tile.rows, self.spec.m))
    has_whole_tiles = property(lambda self: not self.has_partial_tiles or self.tile.rows > self.partial_tile.rows)
    row_blocks = property(lambda self: ceil_quotient(self.rows, self.block_rows))
    column_blocks = property(lambda self: ceil_quotient(self.columns, self.block_columns))
    panels = property(lambda self: ceil_quotient(self.columns, self.width))
    packed_elements = property(lambda self: self.block_depth * self.width)

    # the block of this chunk: names of C variables, or constants where there is one block only
    product = property(lambda self: "0" if self.products == "1" else "product")
    first_row = property(lambda self: "0" if self.row_blocks == "1" else "first_row")
    first_column = property(lambda self: "0" if self.column_blocks == "1" else "first_column")
    rows_here = property(lambda self: self.rows if self.row_blocks == "1" else "rows")
    columns_here = property(lambda self: self.columns if self.column_blocks == "1" else "columns")

    @property
    def block_lines(self) -> tuple[str, ...]:
        """C declarations that find the chunk's block of the product."""
        parts = [
            ("split", str(self.splits), 1),
            ("first_column", self.column_blocks, self.block_columns),
            ("first_row", self.row_blocks, self.block_rows),
            ("product", self.products, 1),
        ]
        lines = digit_lines(parts)
        if self.row_blocks != "1":
            lines += (f"const int64_t rows = {smaller(minus(self.rows, 'first_row'), self.block_rows)};",)
        if self.column_blocks != "1":
            lines += (f"const int64_t columns = {smaller(minus(self.columns, 'first_column'), self.block_columns)};",)
        return lines

    @property
    def total_lines(self) -> tuple[str, ...]:
        """C declarations that find the panel whose shares a chunk of the second launch adds."""
        parts = [
            ("panel", self.panels, self.width),
            ("first_row", self.row_blocks, self.block_rows),
            ("product", self.products, 1),
        ]
        lines = digit_lines(parts)
        if self.panels == "1":
            lines = ("const int64_t panel = 0;", *lines)
        if self.row_blocks != "1":
            lines += (f"const int64_t rows = {smaller(minus(self.rows, 'first_row'), self.block_rows)};",)
        return lines

    @property
    def left_block_pitch(self) -> int:
        # 16 elements more than a block, so that its rows do not fall in one cache set
        return (self.block_rows if self.transpose_a else self.block_depth) + 16

    @property
    def left_block_elements(self) -> int:
        return self.left_block_pitch * (self.block_depth if self.transpose_a else self.block_rows)

    @property
    def row_stride(self) -> int:
        """Elements between two rows of the left operand, a constant of the tile function."""
        if self.transpose_a:
            return 1
        return self.left_block_pitch if self.copies_left else int(self.depth)

    @property
    def left_step(self) -> str:
        """Elements between two columns of the left operand."""
        if not self.transpose_a:
            return "1"
        return str(self.left_block_pitch) if self.copies_left else self.rows

    def left_place(self, step: str, row: str = "0") -> str:
        """The index in a of the block's row `row` at this step."""
        row = plus(self.first_row, row)
        if self.transpose_a:
            return plus(times(plus(times(self.product, self.depth), step), self.rows), row)
        return plus(times(plus(times(self.product, self.rows), row), self.depth), step)

    @property
    def right_place(self) -> str:
        """The index in b of the panel's first column at this step."""
        if self.transpose_b:
            return plus(times(plus(times(self.product, self.columns), self.panel_column), self.depth), "step")
        return plus(times(plus(times(self.product, self.depth), "step"), self.columns), self.panel_column)

    @property
    def panel_column(self) -> str:
        return plus(self.first_column, "panel")

    @property
    def panel_columns(self) -> str:
        """Columns of the panel at `panel` of the block."""
        return self._panel_columns(self.columns_here)

    @property
    def total_columns(self) -> str:
        """Columns of the panel at `panel` of the output."""
        return self._panel_columns(self.columns)

    def _panel_columns(self, end: str) -> str:
        return str(self.width) if _divides(self.width, self.spec.n) else smaller(minus(end, "panel"), self.width)

    def left_row(self, row: str) -> str:
        return times(row, self.row_stride)

    def rows_left(self, row: str) -> str:
        return smaller(minus(self.rows_here, row), self.partial_tile.rows)

    def output_row(self, row: str) -> str:
        return plus(times(self.product, self.rows), self.first_row, row)

    @property
    def keeps_panels(self) -> bool:
        """The sums of all panels of a block are kept, because there is more than one block of k."""
        return self.splits > 1 or isinstance(self.spec.k, Batch) or self.spec.k > self.block_depth

    @property
    def sums_elements(self) -> int:
        return self.block_rows * (self.block_columns if self.keeps_panels else self.width)

    @property
    def first_step(self) -> str:
        return "0" if self.splits == 1 else quotient(times(self.depth, "split"), self.splits)

    @property
    def end_step(self) -> str:
        return self.depth if self.splits == 1 else quotient(times(self.depth, "(split + 1)"), self.splits)

    @property
    def total_place(self) -> str:
        """Where the shares of one panel begin in the scratch memory."""
        row_block = quotient(self.first_row, self.block_rows)
        row_block = plus(times(self.product, self.row_blocks), row_block)
        column_block = "0" if self.column_blocks == "1" else quotient("panel", self.block_columns)
        column = "panel" if self.column_blocks == "1" else remainder("panel", self.block_columns)
        block = plus(times(row_block, self.column_blocks), column_block)
        return plus(times(block, self.splits * self.sums_elements), times(column, self.block_rows))


def _divides(step: int, dim: Any) -> bool:
    return not isinstance(dim, Batch) and int(dim) % step == 0


def nominal(dim: Any) -> int:
    """A dimension as planning sees it: at least 1."""
    return max(1, dim.per * NOMINAL_BATCH if isinstance(dim, Batch) else int(dim))


def plan(spec: MatMulSpec, target: Target) -> MatMulPlan:
    """Tile, blocks and shares for a product."""
    element = Element(spec.dtype, target)
    m, n, k = nominal(spec.m), nominal(spec.n), nominal(spec.k)
    is_short = not isinstance(spec.k, Batch) and k * element.bytes <= LONGEST_DEPTH_BYTES
    depth = k if is_short else BLOCK_DEPTH_BYTES // element.bytes
    tile = choose_tile(target, m, element.vectors(n), depth)
    width = tile.vectors * element.lanes
    rows = tile.rows * math.ceil(BLOCK_ROWS / tile.rows)
    if not isinstance(spec.m, Batch):
        rows = min(rows, tile.rows * math.ceil(m / tile.rows))
    most_columns = BLOCK_COLUMN_BYTES // element.bytes
    columns = min(width * max(1, most_columns // width), width * math.ceil(n / width))
    splits, rows, columns = _spread(spec, tile, width, rows, columns, depth)
    pitch_bytes = (m if spec.transpose_a else k) * element.bytes
    varying_pitch = isinstance(spec.k, Batch) and not spec.transpose_a
    return MatMulPlan(
        spec, tile, width, rows, columns, depth, splits,
        copies_left=varying_pitch or (tile.rows > 1 and pitch_bytes >= PAGE_BYTES),
        packs=isinstance(spec.m, Batch) or m > ROWS_WORTH_PACKING or not _divides(width, spec.n),
    )  # fmt: skip


def _spread(spec: MatMulSpec, tile: Tile, width: int, rows: int, columns: int, depth: int) -> tuple[int, int, int]:
    """Shares of k, rows and columns of a block, such that large products have enough chunks for several threads."""
    m, n, k, batch = (nominal(d) for d in (spec.m, spec.n, spec.k, spec.batch))
    wanted = max(1, min(WANTED_CHUNKS, 2 * m * n * k * batch // CHUNK_OPERATIONS))

    def chunks(splits: int) -> int:
        return math.ceil(m / rows) * math.ceil(n / columns) * batch * splits

    splits = 1
    if chunks(1) < wanted:
        # a share's sums must stay small beside the operands that it reads
        most = max(1, min(k // (2 * depth), k // (2 * n)))
        splits = min(most, math.ceil(wanted / chunks(1)))
    while chunks(splits) < wanted and columns // 2 >= max(width, 64):
        columns = width * math.ceil(columns // 2 / width)
    while chunks(splits) < wanted and rows // 2 >= 2 * tile.rows:
        rows = tile.rows * math.ceil(rows // 2 / tile.rows)
    return splits, rows, columns


def scratch(spec: MatMulSpec, target: Target | None = None) -> Scratch:
    """The working memory that the kernel needs: the sums of the shares of k."""
    target = target or host_target()
    p = plan(spec, target)
    if p.splits == 1:
        return Scratch()
    blocks = (0.0, 1)
    for dim, step in ((spec.m, p.block_rows), (spec.n, p.block_columns), (spec.batch, 1)):
        per_batch, fixed = _blocks(dim, step)
        blocks = (blocks[0] * fixed + blocks[1] * per_batch, blocks[1] * fixed)
    share = p.splits * p.sums_elements * Element(spec.dtype, target).bytes
    return Scratch(math.ceil(blocks[0] * share), blocks[1] * share)


def _blocks(dim: Any, step: int) -> tuple[float, int]:
    """No less than ceil(dim / step), as (per batch, fixed)."""
    if isinstance(dim, Batch):
        return dim.per / step, 1 if step > 1 else 0
    return 0.0, math.ceil(int(dim) / step)


def digit_lines(parts: Sequence[tuple[str, str, int]]) -> tuple[str, ...]:
    """`chunk` taken apart, fastest part first: C declarations. A part is (name, how many, scale).

    Parts of which there is one are left out.
    """
    several = [part for part in parts if part[1] != "1"]
    lines: list[str] = []
    divisor = "1"
    for name, count, scale in several:
        digit = quotient("chunk", divisor)
        if name != several[-1][0]:
            digit = remainder(digit, count)
        lines.append(f"const int64_t {name} = {times(digit, scale)};")
        divisor = times(divisor, count)
    return tuple(lines)


def emit(
    spec: MatMulSpec,
    name: str,
    prologue_lines: Sequence[str],
    epilogue: Epilogue = PLAIN,
    comment: str = "",
    target: Target | None = None,
) -> Emitted:
    """The C of one product.

    `prologue_lines` declare `N`, `a`, `b`, `y` and `scratch` (char *), and whatever the epilogue reads.
    """
    target = target or host_target()
    element = Element(spec.dtype, target)
    p = plan(spec, target)
    if epilogue.is_plain:
        epilogue = Epilogue(stores=(f"y[{plus(times('row', p.columns), 'column')}] = acc;",))
    whole = tile_function(element, p.tile, p.row_stride)
    partial = tile_function(element, p.partial_tile, p.row_stride, partial=True)
    packs = pack_functions(element, p.width, spec.transpose_b)
    shared: list[Shared] = [smaller_functions(), vector_type(element)]
    shared += [whole] if p.has_whole_tiles else []
    shared += [partial] if p.has_partial_tiles else []
    shared += packs if p.packs or spec.transpose_b else []
    source = render(
        "c/matmul.c.j2", p=p, name=name, comment=comment, epilogue=epilogue,
        whole_tile=whole.name, partial_tile=partial.name, pack=packs[-1].name,
    )  # fmt: skip
    launches = [Launch(name, times(p.products, p.row_blocks, p.column_blocks, p.splits))]
    if p.splits > 1:
        launches.append(Launch(f"{name}_total", times(p.products, p.row_blocks, p.panels)))
    return Emitted(insert_prologue(source, prologue_lines), tuple(launches), scratch(spec, target), tuple(shared))


def operand_lines(dtype: str, a: str, b: str, y: str) -> tuple[str, ...]:
    """Prologue lines that give a product's pointers `a`, `b`, `y` the addresses of others."""
    c_type = C_TYPES[dtype]
    pairs = [(f"const {c_type} *", "a", a), (f"const {c_type} *", "b", b), (f"{c_type} *", "y", y)]
    return tuple(f"{pointer}{own} = {other};" for pointer, own, other in pairs if own != other)
