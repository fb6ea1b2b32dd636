"""The gradient of filters by Winograd's method: blocks and shares for `templates/c/winograd_filter.c.j2`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..c_text import ceil_quotient, plus, quotient, remainder, smaller, times
from ..emitted import Emitted, Epilogue, Launch, Scratch, insert_prologue
from ..render import render
from ..scalar import size_text
from ..target import Target, Tile, nominal, tile_cycles, tiles_that_fit
from ..tiles import Element, tile_function
from .column_sums import ColumnSums, column_sums
from .conv2d_window import Conv2DSpec
from .pool import PoolSpec
from .winograd import CHUNKS, HEADER_BYTES, point_pitch
from .winograd_ahead import Ahead, fetch_function
from .winograd_choice import best_form
from .winograd_spread import SquareSpread, spread_function
from .winograd_transforms import Form, Squares, common_functions, transform_function

BLOCK_TILES = 56  # each block passes over all sums, which come from afar in deep layers
BLOCK_COLUMNS = 128
MOST_SHARES = 8
SHARE_BLOCKS = 8  # what a share costs by itself, the clearing and adding of its sums, is small against so many blocks
SHARES_BYTES = 32 * 1024 * 1024
TOTAL_DEPTH = 4  # input channels whose sums one chunk of the second launch adds up


@dataclass(frozen=True)
class WinogradFilterPlan:
    """Everything the template needs to know."""

    element: Element
    tile: Tile
    form: Form
    images: Any
    source: Squares
    gradient: Squares
    block_columns: int
    shares: int
    spread: SquareSpread | None = None  # dy is known at the maxima only

    c_type = property(lambda self: self.element.c_type)
    taps = property(lambda self: self.form.taps)
    points = property(lambda self: self.form.points)
    square = property(lambda self: self.form.side)
    alignment = property(lambda self: self.element.target.vector_bytes)
    width = property(lambda self: self.tile.vectors * self.element.lanes)
    channels = property(lambda self: self.source.channels)
    columns = property(lambda self: self.gradient.channels)
    input_channels = property(lambda self: self.element.vectors(self.channels) * self.element.lanes)
    tiles = property(lambda self: times(size_text(self.images), self.source.squares))
    blocks = property(lambda self: ceil_quotient(self.tiles, self.block_tiles))
    block_tiles = property(lambda self: BLOCK_TILES)
    column_blocks = property(lambda self: math.ceil(self.columns / self.block_columns))
    tasks = property(lambda self: self.shares * self.column_blocks)
    chunks = property(lambda self: min(CHUNKS, self.tasks))
    header_bytes = property(lambda self: HEADER_BYTES)
    share = property(lambda self: quotient("task", self.column_blocks) if self.shares > 1 else "0")
    input_pitch = property(lambda self: point_pitch(self.element, self.block_tiles * self.input_channels))
    gradient_pitch = property(lambda self: point_pitch(self.element, self.block_tiles * self.block_columns))
    sums_elements = property(lambda self: self.points * self.channels * self.block_columns)
    sums_bytes = property(lambda self: self.tasks * self.sums_elements * self.element.bytes)
    chunk_bytes = property(lambda self: self.points * (self.input_pitch + self.gradient_pitch) * self.element.bytes)
    last_rows = property(lambda self: self.channels % self.tile.rows)
    whole_rows = property(lambda self: self.channels - self.last_rows)
    total_depth = property(lambda self: math.gcd(self.channels, TOTAL_DEPTH))

    @property
    def ahead(self) -> tuple[Ahead, ...]:
        """x, and dy if a task transforms all of its channels."""
        source, gradient = self.source, self.gradient
        pictures = {source.pointer: source.height * source.width * self.channels * self.element.bytes}
        if self.column_blocks == 1 and self.spread:
            windows = self.spread.pool.out_h * self.spread.pool.out_w * self.columns
            pictures |= {gradient.pointer: windows * self.element.bytes, "position": windows}
        elif self.column_blocks == 1:
            pictures |= {gradient.pointer: gradient.height * gradient.width * self.columns * self.element.bytes}
        calls = self.points * (self.block_columns // self.width) * math.ceil(self.channels / self.tile.rows)
        where = (source.squares, source.across, self.block_tiles, calls)
        return tuple(Ahead(pointer, size, *where) for pointer, size in pictures.items())

    @property
    def column_lines(self) -> tuple[str, ...]:
        """C declarations that find the task's first output channel."""
        if self.column_blocks == 1:
            return ()
        digit = remainder("task", self.column_blocks)
        return (f"const int64_t first_column = {times(digit, self.block_columns)};",)

    @property
    def first_gradient(self) -> str:
        pointers = ("position", self.gradient.pointer) if self.spread else (self.gradient.pointer,)
        places = [pointer if self.column_blocks == 1 else f"{pointer} + first_column" for pointer in pointers]
        return ", ".join(["&windows", *places] if self.spread else places)

    @property
    def columns_here(self) -> str:
        """Output channels of the task."""
        if self.columns % self.block_columns == 0:
            return str(self.block_columns)
        if self.column_blocks == 1:
            return str(self.columns)
        return smaller(f"{self.columns} - first_column", self.block_columns)

    first_column = property(lambda self: "0" if self.column_blocks == 1 else "first_column")

    @property
    def panel_columns(self) -> str:
        """Output channels of a panel of sums."""
        return str(self.width) if self.columns % self.width == 0 else smaller(f"{self.columns} - panel", self.width)

    @property
    def sums_panel(self) -> str:
        """Where the sums of a panel begin among those of a share."""
        if self.column_blocks == 1:
            return "panel"
        block = times(quotient("panel", self.block_columns), self.sums_elements)
        return plus(block, remainder("panel", self.block_columns))


def _tile(target: Target, rows: int, vectors: int, steps: int) -> Tile:
    """The register tile that covers the sums of a point in the fewest cycles; it divides the columns."""

    def cost(tile: Tile) -> float:
        whole, rest = divmod(rows, tile.rows)
        last = tile_cycles(target, Tile(rest, tile.vectors), steps) if rest else 0
        return (whole * tile_cycles(target, tile, steps) + last) / tile.vectors

    fitting = [tile for tile in tiles_that_fit(target, min(rows, 28), vectors) if vectors % tile.vectors == 0]
    return min(fitting, key=cost)


def plan(spec: Conv2DSpec, target: Target, pool: PoolSpec | None = None) -> WinogradFilterPlan:
    """Tile, block and shares. With a `pool`, dy is known at its windows only."""
    element, form = Element(spec.dtype, target), best_form(spec, target, pool)
    source = Squares(form.step, "x", spec.in_h, spec.in_w, spec.in_c, spec.out_h, spec.out_w, spec.pad_top, spec.pad_left)
    gradient = Squares(form.step, "dy", spec.out_h, spec.out_w, spec.out_c, spec.out_h, spec.out_w)
    vectors = element.vectors(spec.out_c)
    tile = _tile(target, spec.in_c, vectors, BLOCK_TILES)
    counts = range(tile.vectors, max(tile.vectors, min(BLOCK_COLUMNS // element.lanes, vectors)) + 1, tile.vectors)
    columns = max(count for count in counts if vectors % count == 0) * element.lanes
    spread = SquareSpread(pool, form.step, form.step, (0, 0)) if pool else None
    one = WinogradFilterPlan(element, tile, form, spec.images, source, gradient, columns, 1, spread)
    pictures = nominal(spec.images)
    blocks = math.ceil(pictures * source.squares / BLOCK_TILES)
    fitting = min(MOST_SHARES, SHARES_BYTES // (one.column_blocks * one.sums_elements * element.bytes), blocks)
    worth = max(2, blocks // SHARE_BLOCKS)
    shares = 1 << (max(1, min(fitting, worth)).bit_length() - 1)  # a power of two, which threads divide evenly
    return replace(one, shares=shares)


def scratch(spec: Conv2DSpec, target: Target, pool: PoolSpec | None = None) -> Scratch:
    """The number of the next task, each task's sums, each chunk's block of squares, then sums of dy's columns."""
    return Scratch(0, _beside(spec, plan(spec, target, pool), pool).end)


def _beside(spec: Conv2DSpec, p: WinogradFilterPlan, pool: PoolSpec | None) -> ColumnSums:
    return column_sums(spec, p.element, pool, p.shares, HEADER_BYTES + p.sums_bytes + p.chunks * p.chunk_bytes)


def emit(
    spec: Conv2DSpec, name: str, prologue_lines: Sequence[str], epilogue: Epilogue, comment: str, target: Target,
    pool: PoolSpec | None = None,
) -> Emitted:  # fmt: skip
    """The C of the gradient of filters."""
    p = plan(spec, target, pool)
    if epilogue.is_plain:
        epilogue = Epilogue(stores=(f"dw[{plus(times('row', p.columns), 'column')}] = acc;",))
    functions = {role: transform_function(p.element, role, p.form) for role in ("input", "gradient", "taps")}
    if p.whole_rows:
        functions["tile"] = tile_function(p.element, p.tile, 1)
    if p.last_rows:
        functions["last_tile"] = tile_function(p.element, Tile(p.last_rows, p.tile.vectors), 1)
    shared = [*common_functions(p.element), fetch_function()]
    if p.spread:
        *types, functions["gradient"] = spread_function(p.element, "gradient", p.form, p.spread)
        shared += types
    shared += functions.values()
    beside = _beside(spec, p, pool) if epilogue.beside else None
    shared += [beside.function] if beside else []
    names = {role: function.name for role, function in functions.items()}
    text = render(
        "c/winograd_filter.c.j2", p=p, name=name, comment=comment, epilogue=epilogue, beside=beside, functions=names
    )
    totals = Launch(f"{name}_total", str(p.channels // p.total_depth))
    launches = (Launch(f"{name}_start", "1"), Launch(name, str(p.chunks)), totals)
    shares = f"{p.shares} share{'s' if p.shares > 1 else ''} of the squares"
    method = f"Winograd F({p.taps}x{p.taps},{p.form.step}x{p.form.step}), tile {p.tile.rows} x {p.width}, {shares}"
    method += ", dy spread from its maxima" if p.spread else ""
    return Emitted(insert_prologue(text, prologue_lines), launches, scratch(spec, target, pool), tuple(shared), method)
