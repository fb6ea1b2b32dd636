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
from ..emitted import PLAIN, Emitted, Epilogue, Launch, Scratch, insert_prologue
from ..render import render
from ..scalar import C_TYPES, size_text
from ..target import NOMINAL_BATCH, Target, Tile, choose_tile, host_target
from ..tiles import Element, pack_functions, tile_function, vector_type


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


BLOCK_ROWS = 128
BLOCK_COLUMNS = 256
LONGEST_DEPTH = 512  # a whole k up to this is one block; longer ones are cut in blocks of BLOCK_DEPTH
BLOCK_DEPTH = 256
WANTED_CHUNKS = 8
CHUNK_OPERATIONS = 1_000_000  # a smaller chunk costs more to hand out than it saves
ROWS_WORTH_PACKING = 48
PARTIAL_ROWS = 4
PAGE_BYTES = 4096


@dataclass(frozen=True)
class MatMulPlan:
    """Everything the template needs to know; sizes that may depend on N are C expressions."""

    c_type: str
    rows: str
    columns: str
    depth: str
    transpose_a: bool
    transpose_b: bool
    tile: Tile
    partial_tile: Tile
    has_whole_tiles: bool
    has_partial_tiles: bool
    width: int  # columns of a panel: one tile wide
    block_rows: int
    block_columns: int
    block_depth: int
    row_blocks: str
    column_blocks: str
    products: str
    splits: int  # shares of k that are summed apart and added later
    copies_left: bool
    packs: bool
    rows_worth_packing: int = ROWS_WORTH_PACKING

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
    def packed_elements(self) -> int:
        return self.block_depth * self.width

    @property
    def is_one_block_deep(self) -> bool:
        return self.splits == 1 and self.depth.isdigit() and int(self.depth) <= self.block_depth

    @property
    def keeps_panels(self) -> bool:
        """The sums of all panels of a block are kept, because there is more than one block of k."""
        return not self.is_one_block_deep

    @property
    def sums_elements(self) -> int:
        return self.block_rows * (self.block_columns if self.keeps_panels else self.width)

    @property
    def first_step(self) -> str:
        return "0" if self.splits == 1 else f"{self.depth} * split / {self.splits}"

    @property
    def end_step(self) -> str:
        return self.depth if self.splits == 1 else f"{self.depth} * (split + 1) / {self.splits}"

    @property
    def total_offset(self) -> str:
        """Where the shares of one panel begin in the scratch memory."""
        block = f"((product * {self.row_blocks} + first_row / {self.block_rows}) * {self.column_blocks} + first_column / {self.block_columns})"
        return (
            f"{block} * {self.splits * self.sums_elements} + first_column % {self.block_columns} * {self.block_rows}"
        )


def nominal(dim: Any) -> int:
    """A dimension as planning sees it."""
    return dim.per * NOMINAL_BATCH if isinstance(dim, Batch) else int(dim)


def factor_text(dim: Any) -> str:
    """A dimension as a C factor: in brackets if it is a product."""
    text = size_text(dim)
    return f"({text})" if " " in text else text


def ceil_text(dim: Any, step: int) -> str:
    """How many blocks of `step` cover a dimension."""
    if isinstance(dim, Batch):
        return f"(({size_text(dim)} + {step - 1}) / {step})"
    return str(math.ceil(int(dim) / step))


def plan(spec: MatMulSpec, target: Target) -> MatMulPlan:
    """Tile, blocks and shares for a product."""
    element = Element(spec.dtype, target)
    m, n, k = nominal(spec.m), nominal(spec.n), nominal(spec.k)
    depth = k if not isinstance(spec.k, Batch) and k <= LONGEST_DEPTH else BLOCK_DEPTH
    depth = max(depth, 1)
    tile = choose_tile(target, max(m, 1), element.vectors(max(n, 1)), depth)
    width = tile.vectors * element.lanes
    rows = tile.rows * math.ceil(BLOCK_ROWS / tile.rows)
    if not isinstance(spec.m, Batch):
        rows = min(rows, tile.rows * max(1, math.ceil(m / tile.rows)))
    columns = width * max(1, BLOCK_COLUMNS // width)
    columns = min(columns, width * max(1, math.ceil(n / width)))
    splits, rows, columns = _spread(spec, tile, width, rows, columns, depth)
    whole = not isinstance(spec.m, Batch) and m % tile.rows == 0 and rows % tile.rows == 0
    partial = Tile(min(PARTIAL_ROWS, tile.rows), tile.vectors)
    pitch_bytes = (m if spec.transpose_a else k) * element.bytes
    return MatMulPlan(
        c_type=element.c_type,
        rows=factor_text(spec.m),
        columns=factor_text(spec.n),
        depth=factor_text(spec.k),
        transpose_a=spec.transpose_a,
        transpose_b=spec.transpose_b,
        tile=tile,
        partial_tile=partial,
        has_whole_tiles=whole or tile.rows > partial.rows,
        has_partial_tiles=not whole,
        width=width,
        block_rows=rows,
        block_columns=columns,
        block_depth=depth,
        row_blocks=ceil_text(spec.m, rows),
        column_blocks=ceil_text(spec.n, columns),
        products=factor_text(spec.batch),
        splits=splits,
        copies_left=tile.rows > 1 and (pitch_bytes >= PAGE_BYTES or _has_batch_stride(spec)),
        packs=isinstance(spec.n, Batch) or n % width != 0 or isinstance(spec.m, Batch) or m > ROWS_WORTH_PACKING,
    )


def _has_batch_stride(spec: MatMulSpec) -> bool:
    return isinstance(spec.k, Batch) and not spec.transpose_a


def _spread(
    spec: MatMulSpec, tile: Tile, width: int, rows: int, columns: int, depth: int
) -> tuple[int, int, int]:
    """Shares of k, rows and columns of a block, such that large products have enough chunks for several threads."""
    m, n, k, batch = (max(1, nominal(d)) for d in (spec.m, spec.n, spec.k, spec.batch))
    wanted = max(1, min(WANTED_CHUNKS, 2 * m * n * k * batch // CHUNK_OPERATIONS))

    def chunks(splits: int) -> int:
        return math.ceil(m / rows) * math.ceil(n / columns) * batch * splits

    splits = 1
    if chunks(1) < wanted and spec.dtype.startswith("float"):
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
    blocks = _times(_times(_blocks(spec.m, p.block_rows), _blocks(spec.n, p.block_columns)), _blocks(spec.batch, 1))
    share = p.splits * p.sums_elements * Element(spec.dtype, target).bytes
    return Scratch(math.ceil(blocks[0] * share), blocks[1] * share)


def _blocks(dim: Any, step: int) -> tuple[float, int]:
    """No less than ceil(dim / step), as (per batch, fixed)."""
    if isinstance(dim, Batch):
        return dim.per / step, 1 if step > 1 else 0
    return 0, math.ceil(int(dim) / step)


def _times(a: tuple[float, int], b: tuple[float, int]) -> tuple[float, int]:
    """The product of two sizes of which one at most depends on N."""
    return a[0] * b[1] + a[1] * b[0], a[1] * b[1]


def digit_lines(parts: Sequence[tuple[str, str, str]]) -> tuple[str, ...]:
    """`chunk` taken apart, fastest part first: C declarations. A part is (name, count, scale), texts each."""
    lines: list[str] = []
    divisors: list[str] = []
    for position, (name, count, scale) in enumerate(parts):
        text = "chunk"
        if divisors:
            text += " / " + (divisors[0] if len(divisors) == 1 else f"({' * '.join(divisors)})")
        if position < len(parts) - 1:
            text = "0" if count == "1" else f"{text} % {count}"
        if text == "0" or scale == "1":
            lines.append(f"const int64_t {name} = {text};")
        else:
            lines.append(f"const int64_t {name} = {text} * {scale};")
        if count != "1":
            divisors.append(count)
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
        epilogue = Epilogue(stores=(f"y[row * {p.columns} + column] = acc;",))
    whole = tile_function(element, p.tile, p.row_stride)
    partial = tile_function(element, p.partial_tile, p.row_stride, partial=True)
    packs = pack_functions(element, p.width, spec.transpose_b)
    shared = [vector_type(element)]
    shared += [whole] if p.has_whole_tiles else []
    shared += [partial] if p.has_partial_tiles else []
    shared += packs if p.packs or spec.transpose_b else []
    product_part = ("product", p.products, "1")
    product_block = digit_lines([
        *([("split", str(p.splits), "1")] if p.splits > 1 else []),
        ("first_column", p.column_blocks, str(p.block_columns)),
        ("first_row", p.row_blocks, str(p.block_rows)),
        product_part,
    ])  # fmt: skip
    total_block = digit_lines([
        ("first_column", ceil_text(spec.n, p.width), str(p.width)),
        ("first_row", p.row_blocks, str(p.block_rows)),
        product_part,
    ])  # fmt: skip
    source = render(
        "c/matmul.c.j2", p=p, name=name, comment=comment, product_block=product_block, total_block=total_block,
        epilogue=epilogue, whole_tile=whole.name, partial_tile=partial.name, pack=packs[-1].name,
    )  # fmt: skip
    blocks = " * ".join((p.products, p.row_blocks, p.column_blocks))
    if p.splits == 1:
        launches: tuple[Launch, ...] = (Launch(name, blocks),)
    else:
        launches = (
            Launch(name, f"{blocks} * {p.splits}"),
            Launch(f"{name}_total", f"{p.products} * {p.row_blocks} * {ceil_text(spec.n, p.width)}"),
        )
    return Emitted(insert_prologue(source, prologue_lines), launches, scratch(spec, target), tuple(shared))


def operand_lines(dtype: str, a: str, b: str, y: str) -> tuple[str, ...]:
    """Prologue lines that give a product's pointers `a`, `b`, `y` the addresses of others."""
    c_type = C_TYPES[dtype]
    pairs = [(f"const {c_type} *", "a", a), (f"const {c_type} *", "b", b), (f"{c_type} *", "y", y)]
    return tuple(f"{pointer}{own} = {other};" for pointer, own, other in pairs if own != other)
