"""A matrix product's sizes and blocks, and the C expressions that follow from them.

`matmul_choice` makes the plans.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...shapes import Batch
from ..c_text import ceil_quotient, minus, plus, quotient, remainder, smaller, times
from ..scalar import C_TYPES, size_text
from ..target import Tile

ROWS_WORTH_PACKING = 48
FEW_COLUMNS = 8  # of a transposed product, which would fill a fraction of a vector


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
    """Everything the templates need to know; sizes that may depend on N are C expressions.

    With `swapped` it is the plan of the transposed product: `spec` has m and n exchanged, left is b and right is a.
    """

    spec: MatMulSpec
    swapped: bool
    tile: Tile | None  # None: all blocks have few rows
    width: int  # columns of a panel: one tile wide
    narrow: int  # columns of a narrower tile for the last panel, 0 if that is computed like the others
    pitch: int  # elements between two rows of sums
    group_rows: int
    block_rows: int
    block_columns: int
    block_depth: int
    splits: int  # shares of k
    copies_left: bool
    packing: str  # which panels are packed: "all", "many rows" (of blocks with many rows), "incomplete" or none, ""
    few_depth: int  # of few rows that are multiplied at a time
    last_tile: Tile | None = None  # for the rows that do not fill a tile
    may_have_few_rows: bool = False  # whether a block has a tile's rows is known in a run only
    may_have_few_columns: bool = False  # the same of a transposed product
    rest: int = 0  # last columns that are rows of the transposed product
    rest_tile: Tile | None = None
    streams: bool = False  # the operands of the next block are fetched while sums are made
    columns_outermost: bool = False  # blocks of the same columns follow each other, not those of the same rows

    few_columns = FEW_COLUMNS

    c_type = property(lambda self: C_TYPES[self.spec.dtype])
    left = property(lambda self: "b" if self.swapped else "a")
    right = property(lambda self: "a" if self.swapped else "b")
    rows = property(lambda self: size_text(self.spec.m))
    columns = property(lambda self: size_text(self.spec.n))
    depth = property(lambda self: size_text(self.spec.k))
    products = property(lambda self: size_text(self.spec.batch))
    transpose_a = property(lambda self: self.spec.transpose_a)
    transpose_b = property(lambda self: self.spec.transpose_b)
    row_blocks = property(lambda self: ceil_quotient(self.rows, self.block_rows))
    column_blocks = property(lambda self: ceil_quotient(self.columns, self.block_columns))
    blocks = property(lambda self: times(self.products, self.row_blocks, self.column_blocks))
    groups = property(lambda self: ceil_quotient(smaller(self.rows, self.block_rows), self.group_rows))

    # the block of this chunk: names of C variables, or constants where there is one block only
    product = property(lambda self: "0" if self.products == "1" else "product")
    first_row = property(lambda self: "0" if self.row_blocks == "1" else "first_row")
    first_column = property(lambda self: "0" if self.column_blocks == "1" else "first_column")
    rows_here = property(lambda self: _extent("rows", self.spec.m, self.block_rows))
    columns_here = property(lambda self: _extent("columns", self.spec.n, self.block_columns))

    # the last columns: their sums, their copy as rows, and the one of number c
    rest_elements = property(lambda self: self.rest * self.block_rows)
    last_elements = property(lambda self: self.rest * self.block_depth)
    last_column = property(lambda self: plus(self.tiled_columns, "c"))

    @property
    def has_tiles(self) -> bool:
        return self.tile is not None

    @property
    def multiplies_rows(self) -> bool:
        """Few rows are multiplied with the right operand's, which are contiguous; otherwise these are added up."""
        return self.transpose_b

    @property
    def gathers_left(self) -> bool:
        """The few rows of the left operand are not contiguous, as a multiplication needs them."""
        return self.multiplies_rows and self.transpose_a

    @property
    def packs_all(self) -> str:
        """C condition for packing all panels of the block: the incomplete one is packed in any case."""
        return f"{self.rows_here} > {ROWS_WORTH_PACKING}"

    @property
    def is_packed(self) -> str:
        """C condition for the panel at `panel` to be packed."""
        is_incomplete = f"panel + {self.width} > {self.columns_here}"
        if self.packing == "incomplete":
            return is_incomplete
        return "packs_all" if divides(self.width, self.spec.n) else f"packs_all || {is_incomplete}"

    @property
    def method(self) -> str:
        """How the product is computed, for `explain`."""
        sizes = (self.columns, self.depth, self.rows) if self.swapped else (self.rows, self.depth, self.columns)
        parts = [" x ".join(sizes)]
        parts += [f"{self.products} times"] if self.products != "1" else []
        if self.tile is None:
            parts.append(f"{self.right} streams past")
        else:
            parts += ["transposed"] if self.swapped else []
            parts.append(f"tile {self.tile.rows} x {self.width}")
            parts.append(f"{self.right} {'as it lies' if self.packing in ('', 'incomplete') else 'packed'}")
            parts += [f"{self.left} copied"] if self.copies_left else []
            parts += [f"last {self.rest} columns as rows"] if self.rest else []
            parts += [f"k in blocks of {self.block_depth}"] if self.keeps_sums and self.splits == 1 else []
        parts += [f"k in {self.splits} shares"] if self.splits > 1 else []
        return ", ".join(parts)

    # --- from a chunk to its block

    @property
    def block_lines(self) -> tuple[str, ...]:
        """C declarations that find the chunk's block of the product, and its share of k."""
        return self._lines([("split", str(self.splits), 1), *self._block_parts], ("rows", "columns"))

    @property
    def finish_lines(self) -> tuple[str, ...]:
        """The same from the number of a block."""
        return self._lines(self._block_parts, ("columns",))

    @property
    def total_lines(self) -> tuple[str, ...]:
        """C declarations that find the group of rows whose shares a chunk of the second launch adds."""
        block = "chunk" if self.groups == "1" else quotient("chunk", self.groups)
        lines: tuple[str, ...] = ("const int64_t group = 0;",)
        if self.groups != "1":
            lines = (f"const int64_t group = {times(remainder('chunk', self.groups), self.group_rows)};",)
        if self.blocks != "1":
            lines += (f"const int64_t block = {block};",)
            if self.rows_here == "rows":
                lines += digit_lines(self._block_parts, "block", ("first_row",))
                lines += (f"const int64_t rows = {smaller(minus(self.rows, 'first_row'), self.block_rows)};",)
                lines += ("if (group >= rows)", "    return;") if self.groups != "1" else ()
        return lines

    @property
    def total_block(self) -> str:
        return "0" if self.blocks == "1" else "block"

    @property
    def _block_parts(self) -> list[tuple[str, str, int]]:
        """From the part that changes fastest to the slowest one."""
        columns = ("first_column", self.column_blocks, self.block_columns)
        rows = ("first_row", self.row_blocks, self.block_rows)
        return [*([rows, columns] if self.columns_outermost else [columns, rows]), ("product", self.products, 1)]

    def _lines(self, parts: Sequence[tuple[str, str, int]], extents: Sequence[str]) -> tuple[str, ...]:
        lines = digit_lines(parts)
        if self.rows_here == "rows" and "rows" in extents:
            lines += (f"const int64_t rows = {smaller(minus(self.rows, 'first_row'), self.block_rows)};",)
        if self.columns_here == "columns":
            lines += (f"const int64_t columns = {smaller(minus(self.columns, 'first_column'), self.block_columns)};",)
        return lines

    # --- where the operands lie

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

    @property
    def left_row_pitch(self) -> str:
        """Elements between two rows of the left operand as it lies in memory."""
        return "1" if self.transpose_a else self.depth

    @property
    def left_step_pitch(self) -> str:
        """Elements between two columns of the left operand as it lies in memory."""
        return self.rows if self.transpose_a else "1"

    @property
    def turned_pitch(self) -> int:
        """Elements between two of the few columns while they are rows: whole vectors, of whatever target."""
        return 16 * math.ceil(self.block_rows / 16)

    @property
    def rest_rows(self) -> int:
        """Rows of the product that one tile of the last columns takes."""
        assert self.rest_tile is not None
        assert self.tile is not None
        return self.rest_tile.vectors * self.width // self.tile.vectors

    @property
    def right_pitch(self) -> str:
        return self.depth if self.transpose_b else self.columns

    def left_place(self, step: str, row: str = "0") -> str:
        """The index in the left operand of the block's row `row` at this step."""
        row = plus(self.first_row, row)
        if self.transpose_a:
            return plus(times(plus(times(self.product, self.depth), step), self.rows), row)
        return plus(times(plus(times(self.product, self.rows), row), self.depth), step)

    def right_place(self, step: str, column: str) -> str:
        """The index in the right operand of this column at this step."""
        if self.transpose_b:
            return plus(times(plus(times(self.product, self.columns), column), self.depth), step)
        return plus(times(plus(times(self.product, self.depth), step), self.columns), column)

    def left_row(self, row: str) -> str:
        return times(row, self.row_stride)

    # --- panels and tiles

    @property
    def packed_elements(self) -> int:
        panels = 1 if self.packing == "incomplete" else math.ceil(self.block_columns / self.width)
        return self.block_depth * self.width * panels

    @property
    def packed_place(self) -> str:
        """Where the panel at `panel` is packed."""
        return "packed" if self.packing == "incomplete" else f"packed + panel * {self.block_depth}"

    @property
    def panel_column(self) -> str:
        return plus(self.first_column, "panel")

    @property
    def complete_columns(self) -> str:
        """Columns of the block in panels that are complete."""
        if self.columns_here.isdigit():
            return str(int(self.columns_here) // self.width * self.width)
        return times(quotient(self.columns_here, self.width), self.width)

    @property
    def tiled_columns(self) -> str:
        """Columns of the block that tiles compute."""
        return str(int(self.columns_here) - self.rest) if self.rest else self.columns_here

    @property
    def panel_columns(self) -> str:
        """Columns of the panel at `panel` of the block."""
        if divides(self.width, self.spec.n):
            return str(self.width)
        return smaller(minus(self.columns_here, "panel"), self.width)

    def tile_choices(self, tile: str, narrow_tile: str) -> list[tuple[str, str]]:
        """The tile functions in the order they are tried for a panel, each with a condition."""
        if not self.narrow:
            return [(tile, "")]
        complete = f" && panel + {self.width} <= {self.tiled_columns}"
        return [(tile, complete), (narrow_tile, "")]

    @property
    def group_end(self) -> str:
        return smaller(plus("group", self.group_rows), self.rows_here)

    # --- sums

    @property
    def keeps_sums(self) -> bool:
        """The sums of a whole block are kept, because there is more than one block of k."""
        return self.splits > 1 or isinstance(self.spec.k, Batch) or self.spec.k > self.block_depth

    @property
    def group_sums(self) -> str:
        """Where the sums of the group at `group` of the block are."""
        if not self.keeps_sums:
            return "sums"
        place = plus("sums", times("group", self.pitch))
        return f"end > {self.block_depth} ? {place} : sums" if self.splits == 1 else place

    @property
    def has_whole_rows(self) -> bool:
        """The sums of a group lie as in the output, row after row: nothing is between them."""
        return self.rest > 0 and self.pitch == self.spec.n and self.products == "1" and not self.swapped

    @property
    def sums_elements(self) -> int:
        rows = self.block_rows if self.keeps_sums else self.group_rows
        return rows * self.pitch

    @property
    def first_step(self) -> str:
        return "0" if self.splits == 1 else quotient(times(self.depth, "split"), self.splits)

    @property
    def end_step(self) -> str:
        return self.depth if self.splits == 1 else quotient(times(self.depth, "(split + 1)"), self.splits)

    @property
    def share_depth(self) -> str:
        return self.depth if self.splits == 1 else minus(self.end_step, self.first_step)

    @property
    def total_place(self) -> str:
        """Where the first share of the sums of a group begins in the scratch memory."""
        place = plus(times(self.total_block, self.splits * self.sums_elements), times("group", self.pitch))
        return place if place.isidentifier() else f"({place})"

    # --- the output

    def output_place(self, row: str, column: str) -> str:
        """The index in the output of a place of the block, if it is not swapped."""
        place = plus(times(self.product, self.rows), plus(self.first_row, row))
        return plus(times(f"({place})", self.columns), plus(self.first_column, column))

    outer_name = property(lambda self: "column" if self.swapped else "row")
    inner_name = property(lambda self: "row" if self.swapped else "column")

    @property
    def finished_row(self) -> str:
        """The output's row that belongs to the block's row `first`."""
        return plus(self.first_row, "first")

    @property
    def finished_elements(self) -> str:
        """Elements of the rows first .. end-1."""
        return times("(end - first)", self.columns)

    @property
    def outer_place(self) -> str:
        """The output's row (its column, if swapped) that belongs to the block's row r."""
        place = plus(self.first_row, "r")
        return place if self.swapped else plus(times(self.product, self.rows), place)

    @property
    def inner_place(self) -> str:
        """The output's column (its row, if swapped) that belongs to the block's first column."""
        return plus(times(self.product, self.columns), self.first_column) if self.swapped else self.first_column


def _extent(name: str, dim: Any, block: int) -> str:
    """The rows or columns of a block: a constant where all blocks are equal, else the C variable `name`."""
    if not isinstance(dim, Batch) and (dim <= block or dim % block == 0):
        return size_text(min(dim, block))
    return name


def divides(step: int, dim: Any) -> bool:
    return not isinstance(dim, Batch) and int(dim) % step == 0


def digit_lines(parts: Sequence[tuple[str, str, int]], number: str = "chunk", wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """`number` taken apart, fastest part first: C declarations. A part is (name, how many, scale).

    Parts of which there is one are left out, and those not in `wanted` if it is given.
    """
    several = [part for part in parts if part[1] != "1"]
    lines: list[str] = []
    divisor = "1"
    for name, count, scale in several:
        digit = quotient(number, divisor)
        if name != several[-1][0]:
            digit = remainder(digit, count)
        if not wanted or name in wanted:
            lines.append(f"const int64_t {name} = {times(digit, scale)};")
        divisor = times(divisor, count)
    return tuple(lines)
