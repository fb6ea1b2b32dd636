"""The gradient of convolution filters: tiles, blocks and shares for `templates/c/conv2d_filter.c.j2`.

A tile holds filter rows (tap, channel) x output channels and sums over pixels. Pictures are cut into shares that are
summed apart, each in its own copy of dw, and added in a fixed order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..c_text import minus, plus, quotient, remainder, smaller, times
from ..emitted import Emitted, Epilogue, Launch, Scratch, Shared, insert_prologue
from ..render import render
from ..scalar import size_text
from ..target import Target, Tile, choose_tile, nominal, tile_cycles, tiles_that_fit
from ..tiles import Element, pack_functions, smaller_functions, tile_function, vector_type, whole_lines
from .column_sums import ColumnSums, column_sums
from .conv2d_plan import panel_columns
from .conv2d_sweep import reaches
from .conv2d_thin_filter import ThinFilter, thin_filter
from .conv2d_window import Conv2DSpec, Window
from .pool import PoolSpec
from .reach import Reach
from .spread import Spread

BLOCK_PIXELS = 384  # the dy of one panel stays in the first-level cache while all filter rows pass over it
BLOCK_COLUMNS = 128
MOST_SHARES = 8
SHARES_BYTES = 8 * 1024 * 1024
SHARE_OPERATIONS = 2_000_000
TOTAL_ELEMENTS = 16 * 1024


@dataclass(frozen=True)
class FilterGradientPlan:
    """Everything the template needs to know."""

    element: Element
    tile: Tile
    down: Reach
    across: Reach
    channels: int
    columns: int
    block_columns: int
    shares: int
    window: Window
    stores_directly: bool
    spread: Spread | None = None
    tap_rows: int = 1  # rows of taps whose filter rows one tile holds
    thin: ThinFilter | None = None

    c_type = property(lambda self: self.element.c_type)
    width = property(lambda self: self.tile.vectors * self.element.lanes)
    out_w = property(lambda self: self.across.out)
    taps_h = property(lambda self: self.down.taps)
    taps_w = property(lambda self: self.across.taps)
    column_blocks = property(lambda self: math.ceil(self.columns / self.block_columns))
    pixel_stride = property(lambda self: self.across.stride * self.channels)
    row_pitch = property(lambda self: self.down.stride * self.window.pitch)
    tap_pitch = property(lambda self: self.across.dilation * self.channels)
    all_rows = property(lambda self: self.taps_h * self.taps_w * self.channels)
    walks_taps = property(lambda self: _walks_taps(self.across))
    packs = property(lambda self: not self.thin and (self.spread is not None or self.columns != self.width))
    packed_elements = property(lambda self: self.window.block_rows * self.out_w * self.width)
    last_rows = property(lambda self: self.rows % self.tile.rows)
    whole_rows = property(lambda self: self.rows - self.last_rows)
    sums_pitch = property(lambda self: math.ceil(self.columns / self.width) * self.width)
    share_elements = property(lambda self: self.all_rows * self.sums_pitch)
    right_step = property(lambda self: self.width if self.packs else self.columns)
    right_pitch = property(lambda self: self.out_w * self.right_step)
    panel = property(lambda self: "0" if self.columns <= self.width else "panel")
    panel_columns = property(lambda self: panel_columns(self.columns, self.width))
    begin = property(lambda self: self.down.first_out("i", self.window.first_row))
    end = property(lambda self: self.down.end_out("i", self.window.end_row))

    @property
    def groups(self) -> tuple[tuple[int, int], ...]:
        """The first row of taps, and how many rows, of each tile that holds several."""
        starts = range(0, self.taps_h, self.tap_rows)
        return tuple((i, min(self.tap_rows, self.taps_h - i)) for i in starts)

    def group_tile(self, tap_rows: int) -> Shared:
        """The tile over so many rows of taps."""
        runs = (self.rows, self.down.dilation * self.window.pitch)
        return tile_function(self.element, Tile(tap_rows * self.rows, self.tile.vectors), 1, runs=runs)

    def group_left(self, first: int) -> str:
        """The index from `base` of what the tile that begins with this row of taps reads first."""
        return self.window.row_place(self.window.first_row, str(first))

    def group_sums(self, first: int) -> str:
        return plus(first * self.rows * self.sums_pitch, self.panel)

    @property
    def group_rows(self) -> str:
        return minus(self.window.end_row, self.window.first_row)

    @property
    def rows(self) -> int:
        """Filter rows whose input elements lie side by side."""
        return self.channels if self.walks_taps else self.taps_w * self.channels

    @property
    def share_lines(self) -> tuple[str, ...]:
        """C declarations that find the chunk's share and output channels."""
        lines: tuple[str, ...] = ()
        if self.shares > 1:
            lines += (f"const int64_t share = {quotient('chunk', self.column_blocks)};",)
        if self.column_blocks > 1:
            digit = remainder("chunk", self.column_blocks) if self.shares > 1 else "chunk"
            lines += (
                f"const int64_t first_column = {times(digit, self.block_columns)};",
                f"const int64_t end_column = {smaller(plus('first_column', self.block_columns), self.columns)};",
            )
        return lines

    @property
    def share_place(self) -> str:
        share = "share" if self.shares > 1 else "0"
        return plus(f"({self.c_type} *)scratch", times(share, self.share_elements))

    @property
    def first_column(self) -> str:
        return "0" if self.column_blocks == 1 else "first_column"

    @property
    def end_column(self) -> str:
        return str(self.columns) if self.column_blocks == 1 else "end_column"

    @property
    def columns_here(self) -> str:
        """Output channels of the chunk."""
        return minus(self.end_column, self.first_column)

    @property
    def cleared_columns(self) -> str:
        """Columns of the chunk in a row of its sums, with those that fill the last vectors."""
        return f"({smaller(plus('first_column', self.block_columns), self.sums_pitch)} - first_column)"

    @property
    def blocks(self) -> str:
        return times(size_text(self.window.images), self.window.row_blocks)

    @property
    def first_block(self) -> str:
        return "0" if self.shares == 1 else quotient(times(self.blocks, "share"), self.shares)

    @property
    def end_block(self) -> str:
        return self.blocks if self.shares == 1 else quotient(times(self.blocks, "(share + 1)"), self.shares)

    @property
    def dy_place(self) -> str:
        """The index in dy of the block's first pixel."""
        row = plus(times("image", self.down.out), self.window.first_row)
        return plus(times(row, self.out_w * self.columns), self.panel)

    @property
    def spread_call(self) -> str:
        """The statement that makes the panel's dy of the block."""
        assert self.spread is not None
        pitch = self.out_w * self.width
        return self.spread.call(
            self.window.first_row, self.window.end_row, self.panel, self.panel_columns, "packed", pitch
        )

    @property
    def pixels_here(self) -> str:
        return times(minus(self.window.end_row, self.window.first_row), self.out_w)

    @property
    def left_place(self) -> str:
        return self.window.row_place("begin", "i")

    @property
    def right_place(self) -> str:
        return times(minus("begin", self.window.first_row), self.right_pitch)

    @property
    def sums_place(self) -> str:
        """The index in the sums of the filter row (tap, channel) that the tiles begin with."""
        tap = plus(times("i", self.taps_w), "j") if self.walks_taps else times("i", self.taps_w)
        return plus(times(tap, self.channels * self.sums_pitch), self.panel)

    @property
    def total_rows(self) -> int:
        """Rows of dw that one chunk of the second launch adds up."""
        return min(self.all_rows, max(1, TOTAL_ELEMENTS // self.sums_pitch))

    @property
    def total_chunks(self) -> int:
        return math.ceil(self.all_rows / self.total_rows)

    @property
    def first_total_row(self) -> str:
        return "0" if self.total_chunks == 1 else times("chunk", self.total_rows)

    @property
    def end_total_row(self) -> str:
        if self.total_chunks == 1:
            return str(self.all_rows)
        return smaller(times("(chunk + 1)", self.total_rows), self.all_rows)


def _walks_taps(across: Reach) -> bool:
    return across.dilation > 1 and across.taps > 1


def plan(spec: Conv2DSpec, target: Target, plain: bool, pool: PoolSpec | None = None) -> FilterGradientPlan:
    """Tile, blocks and shares. With a `pool`, dy is known at its windows only."""
    element = Element(spec.dtype, target)
    down, across = reaches(spec)
    block = max(1, min(spec.out_h, BLOCK_PIXELS // spec.out_w))
    while block > 1 and not Window(element, down, across, spec.in_c, spec.images, 1, block, 0).is_on_stack:
        block -= 1
    block = math.ceil(spec.out_h / math.ceil(spec.out_h / block))
    if pool:
        block = min(spec.out_h, math.ceil(block / pool.stride_h) * pool.stride_h)  # no window in two blocks
    rows = spec.in_c if _walks_taps(across) else spec.filter_w * spec.in_c
    steps = block * spec.out_w

    def cost(tile: Tile) -> float:
        whole, rest = divmod(rows, tile.rows)
        last = tile_cycles(target, Tile(rest, tile.vectors), steps) + tile_cycles(target, tile, 1) if rest else 0
        return whole * tile_cycles(target, tile, steps) + last

    vectors = element.vectors(spec.out_c)
    window = Window(element, down, across, spec.in_c, spec.images, 1, block, 0, None, not down.is_inside)
    thin = thin_filter(spec, element, window, pool)
    tile = choose_tile(target, rows, vectors, steps, cost)
    apart = spec.filter_h * math.ceil(vectors / tile.vectors) * cost(tile)
    tap_rows, tile = _several_tap_rows(spec, target, rows, vectors, steps, apart) or (1, tile)
    if thin:
        tap_rows, tile = 1, Tile(1, thin.vectors)
    width = tile.vectors * element.lanes
    pitch = math.ceil(spec.out_c / width) * width
    all_rows = spec.filter_h * spec.filter_w * spec.in_c
    pictures = nominal(spec.images)
    operations = 2 * pictures * spec.out_h * spec.out_w * all_rows * spec.out_c
    shares = max(1, min(
        MOST_SHARES,
        SHARES_BYTES // (all_rows * pitch * element.bytes),
        operations // SHARE_OPERATIONS,
        pictures * math.ceil(spec.out_h / block),
    ))  # fmt: skip
    block_columns = min(width * max(1, BLOCK_COLUMNS // width), pitch)
    direct = plain and shares == 1 and pitch == spec.out_c
    sums_bytes = 0 if direct else whole_lines(shares * all_rows * pitch * element.bytes)
    zero_rows = (tap_rows > 1 or thin is not None) and not down.is_inside
    window = replace(window, scratch_offset=sums_bytes, zero_rows=zero_rows)
    spread = Spread(pool, element, width, 0, spec.out_w) if pool and not thin else None
    return FilterGradientPlan(
        element, tile, down, across, spec.in_c, spec.out_c, block_columns, shares, window, direct, spread, tap_rows, thin
    )


def _several_tap_rows(
    spec: Conv2DSpec, target: Target, rows: int, vectors: int, steps: int, cycles: float
) -> tuple[int, Tile] | None:
    """How many rows of taps, of `rows` filter rows each, a tile should hold if that takes fewer than `cycles`.

    With few input channels a row of taps is too short for a tile: every vector of dy would be loaded for each again.
    """
    best: tuple[int, Tile] | None = None
    for tap_rows in range(2, spec.filter_h + 1):
        for tile in tiles_that_fit(target, tap_rows * rows, vectors):
            if tile.rows != tap_rows * rows:
                continue
            whole, rest = divmod(spec.filter_h, tap_rows)
            last = tile_cycles(target, Tile(rest * rows, tile.vectors), steps) if rest else 0
            total = math.ceil(vectors / tile.vectors) * (whole * tile_cycles(target, tile, steps) + last)
            if total < cycles:
                best, cycles = (tap_rows, tile), total
    return None if _walks_taps(reaches(spec)[1]) else best


def scratch(spec: Conv2DSpec, target: Target, plain: bool, pool: PoolSpec | None = None) -> Scratch:
    """The shares' copies of dw, then one window per chunk where windows are large, then sums of dy's columns."""
    p = plan(spec, target, plain, pool)
    return Scratch(0, _own_scratch(p) if p.stores_directly else _beside(spec, p, pool).end)


def _own_scratch(p: FilterGradientPlan) -> int:
    return p.window.scratch_offset + p.window.scratch_bytes * p.shares * p.column_blocks


def _beside(spec: Conv2DSpec, p: FilterGradientPlan, pool: PoolSpec | None) -> ColumnSums:
    return column_sums(spec, p.element, pool, p.shares, _own_scratch(p))


def emit(
    spec: Conv2DSpec, name: str, prologue_lines: Sequence[str], epilogue: Epilogue, comment: str, target: Target,
    pool: PoolSpec | None = None,
) -> Emitted:  # fmt: skip
    """The C of the gradient of the filters."""
    plain = epilogue.is_plain
    p = plan(spec, target, plain, pool)
    if plain:
        epilogue = Epilogue(stores=(f"dw[{plus(times('row', p.columns), 'column')}] = acc;",))
    whole = tile_function(p.element, p.tile, 1)
    last = tile_function(p.element, Tile(p.last_rows or 1, p.tile.vectors), 1)
    packs = pack_functions(p.element, p.width, False)
    shared: list[Shared] = [smaller_functions(), vector_type(p.element)]
    if p.thin:
        shared += dict.fromkeys(p.thin.functions)
    elif p.tap_rows > 1:
        shared += [p.group_tile(count) for count in dict.fromkeys(count for _, count in p.groups)]
    else:
        shared += [whole, last] if p.last_rows else [whole]
    if p.spread:
        shared.append(p.spread.function)
    elif p.packs:
        shared += packs
    beside = _beside(spec, p, pool) if epilogue.beside else None
    shared += [beside.function] if beside else []
    source = render(
        "c/conv2d_filter.c.j2", p=p, name=name, comment=comment, epilogue=epilogue, beside=beside,
        whole_tile=whole.name, last_tile=last.name, pack=packs[-1].name,
    )  # fmt: skip
    launches = [Launch(name, str(p.shares * p.column_blocks))]
    if not p.stores_directly:
        launches.append(Launch(f"{name}_total", str(p.total_chunks)))
    rows = max(p.thin.pieces) if p.thin else p.tile.rows
    sums = f"thin, {rows} x {p.width} sums in registers" if p.thin else f"direct, tile {rows} x {p.width}"
    method = f"{sums}, {p.shares} share{'s' if p.shares > 1 else ''} of the pictures"
    method += ", dy spread from its maxima" if p.spread else ", dy at its maxima" if pool else ""
    size = scratch(spec, target, plain, pool)
    return Emitted(
        insert_prologue(source, prologue_lines), tuple(launches), size, tuple(shared), method
    )
