"""The gradient of 3x3 filters by Winograd's method: blocks and shares for `templates/c/winograd_filter.c.j2`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...shapes import Batch
from ..c_text import ceil_quotient, plus, quotient, remainder, times
from ..emitted import Emitted, Epilogue, Launch, Scratch, insert_prologue
from ..render import render
from ..scalar import size_text
from ..target import NOMINAL_BATCH, Target, Tile, tile_cycles, tiles_that_fit
from ..tiles import Element, smaller_functions, tile_function, vector_type
from .conv2d_window import Conv2DSpec
from .winograd import point_pitch
from .winograd_transforms import POINTS, SQUARE, TILE, Squares, square_function, transform_function

BLOCK_TILES = 56  # each block passes over all sums, which come from afar in deep layers
BLOCK_COLUMNS = 128
MOST_SHARES = 8
SHARES_BYTES = 32 * 1024 * 1024
TOTAL_DEPTH = 4  # input channels whose sums one chunk of the second launch adds up


@dataclass(frozen=True)
class WinogradFilterPlan:
    """Everything the template needs to know."""

    element: Element
    tile: Tile
    images: Any
    source: Squares
    gradient: Squares
    block_columns: int
    shares: int

    c_type = property(lambda self: self.element.c_type)
    width = property(lambda self: self.tile.vectors * self.element.lanes)
    channels = property(lambda self: self.source.channels)
    columns = property(lambda self: self.gradient.channels)
    tiles_h = property(lambda self: math.ceil(self.gradient.height / TILE))
    tiles_w = property(lambda self: math.ceil(self.gradient.width / TILE))
    tiles = property(lambda self: times(size_text(self.images), self.tiles_h * self.tiles_w))
    blocks = property(lambda self: ceil_quotient(self.tiles, self.block_tiles))
    block_tiles = property(lambda self: BLOCK_TILES)
    column_blocks = property(lambda self: self.columns // self.block_columns)
    chunks = property(lambda self: self.shares * self.column_blocks)
    share = property(lambda self: quotient("chunk", self.column_blocks) if self.shares > 1 else "0")
    input_pitch = property(lambda self: point_pitch(self.element, self.block_tiles * self.channels))
    gradient_pitch = property(lambda self: point_pitch(self.element, self.block_tiles * self.block_columns))
    sums_elements = property(lambda self: POINTS * self.channels * self.block_columns)
    last_rows = property(lambda self: self.channels % self.tile.rows)
    whole_rows = property(lambda self: self.channels - self.last_rows)
    total_depth = property(lambda self: math.gcd(self.channels, TOTAL_DEPTH))

    @property
    def column_lines(self) -> tuple[str, ...]:
        """C declarations that find the chunk's first output channel."""
        if self.column_blocks == 1:
            return ()
        digit = remainder("chunk", self.column_blocks)
        return (f"const int64_t first_column = {times(digit, self.block_columns)};",)

    @property
    def first_square(self) -> str:
        return "square" if self.column_blocks == 1 else "square + first_column"

    @property
    def sums_panel(self) -> str:
        """Where the sums of a panel begin among those of a share."""
        if self.column_blocks == 1:
            return "panel"
        block = times(quotient("panel", self.block_columns), self.chunk_elements)
        return plus(block, remainder("panel", self.block_columns))

    @property
    def chunk_elements(self) -> int:
        """Elements of one chunk's sums and of its block of squares."""
        return self.sums_elements + POINTS * (self.input_pitch + self.gradient_pitch)


def _tile(target: Target, rows: int, vectors: int, steps: int) -> Tile:
    """The register tile that covers the sums of a point in the fewest cycles; it divides the columns."""

    def cost(tile: Tile) -> float:
        whole, rest = divmod(rows, tile.rows)
        last = tile_cycles(target, Tile(rest, tile.vectors), steps) if rest else 0
        return (whole * tile_cycles(target, tile, steps) + last) / tile.vectors

    fitting = [tile for tile in tiles_that_fit(target, min(rows, 28), vectors) if vectors % tile.vectors == 0]
    return min(fitting, key=cost)


def plan(spec: Conv2DSpec, target: Target) -> WinogradFilterPlan:
    """Tile, block and shares."""
    element = Element(spec.dtype, target)
    source = Squares("x", spec.in_h, spec.in_w, spec.in_c, SQUARE, spec.pad_top, spec.pad_left)
    gradient = Squares("dy", spec.out_h, spec.out_w, spec.out_c, TILE)
    tile = _tile(target, spec.in_c, element.vectors(spec.out_c), BLOCK_TILES)
    width = tile.vectors * element.lanes
    widths = range(width, max(width, min(BLOCK_COLUMNS, spec.out_c)) + 1, width)
    columns = max(wide for wide in widths if spec.out_c % wide == 0)
    one = WinogradFilterPlan(element, tile, spec.images, source, gradient, columns, 1)
    pictures = spec.images.per * NOMINAL_BATCH if isinstance(spec.images, Batch) else int(spec.images)
    fitting = min(
        MOST_SHARES,
        SHARES_BYTES // (one.column_blocks * one.chunk_elements * element.bytes),
        math.ceil(pictures * one.tiles_h * one.tiles_w / BLOCK_TILES),
    )
    shares = 1 << (max(1, fitting).bit_length() - 1)  # a power of two, which threads divide evenly
    return replace(one, shares=shares)


def scratch(spec: Conv2DSpec, target: Target) -> Scratch:
    """Each chunk's sums, and its block of squares."""
    p = plan(spec, target)
    return Scratch(0, p.chunks * p.chunk_elements * p.element.bytes)


def emit(
    spec: Conv2DSpec, name: str, prologue_lines: Sequence[str], epilogue: Epilogue, comment: str, target: Target
) -> Emitted:
    """The C of the gradient of 3x3 filters."""
    p = plan(spec, target)
    if epilogue.is_plain:
        epilogue = Epilogue(stores=(f"dw[{plus(times('row', p.columns), 'column')}] = acc;",))
    functions = {role: transform_function(p.element, role) for role in ("input", "gradient", "taps")}
    functions["square"] = square_function(p.element, SQUARE)
    if not p.gradient.is_inside:
        functions["gradient_square"] = square_function(p.element, TILE)
    if p.whole_rows:
        functions["tile"] = tile_function(p.element, p.tile, 1)
    if p.last_rows:
        functions["last_tile"] = tile_function(p.element, Tile(p.last_rows, p.tile.vectors), 1)
    text = render(
        "c/winograd_filter.c.j2", p=p, name=name, comment=comment, epilogue=epilogue,
        functions={"gradient_square": "", **{role: function.name for role, function in functions.items()}},
    )  # fmt: skip
    shared = (smaller_functions(), vector_type(p.element), *functions.values())
    launches = (Launch(name, str(p.chunks)), Launch(f"{name}_total", str(p.channels // p.total_depth)))
    return Emitted(insert_prologue(text, prologue_lines), launches, scratch(spec, target), shared)
