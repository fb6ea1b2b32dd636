"""Convolution forward and the gradient of its input by Winograd's method: sizes for `templates/c/winograd.c.j2`.

The gradient of the input is a convolution of dy with the filters turned by 180 degrees and transposed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..c_text import ceil_quotient, plus, quotient, remainder, smaller, times
from ..emitted import Emitted, Epilogue, Launch, Scratch, Shared, insert_prologue
from ..render import render
from ..scalar import size_text
from ..target import Target, Tile, tile_cycles, tiles_that_fit
from ..tiles import Element, pack_functions, smaller_functions, tile_function, vector_type
from .conv2d_window import STACK_BYTES, Conv2DSpec
from .winograd_transforms import POINTS, SQUARE, TILE, Squares, square_function, transform_function

BLOCK_BYTES = 640 * 1024  # of a block's squares and products at all points: less than the second-level cache
FEWEST_BLOCK_TILES, MOST_BLOCK_TILES = 24, 56  # the filters of deep layers come from afar: each block reads all
CHUNKS = 16  # each has memory of its own for a block
DEPTH_BLOCK = 16  # input channels whose filters one chunk evaluates


@dataclass(frozen=True)
class WinogradPlan:
    """Everything the template needs to know. `source` and `out` are the sides of this sweep, not of the forward one."""

    element: Element
    tile: Tile
    images: Any
    source: Squares
    out_h: int
    out_w: int
    columns: int
    turned: bool
    block_tiles: int

    c_type = property(lambda self: self.element.c_type)
    width = property(lambda self: self.tile.vectors * self.element.lanes)
    channels = property(lambda self: self.source.channels)
    panels = property(lambda self: self.columns // self.width)
    panel = property(lambda self: "0" if self.panels == 1 else "panel")
    tiles_h = property(lambda self: math.ceil(self.out_h / TILE))
    tiles_w = property(lambda self: math.ceil(self.out_w / TILE))
    tiles = property(lambda self: times(size_text(self.images), self.tiles_h * self.tiles_w))
    blocks = property(lambda self: ceil_quotient(self.tiles, self.block_tiles))
    chunks = property(lambda self: CHUNKS)
    input_pitch = property(lambda self: point_pitch(self.element, self.block_tiles * self.channels))
    product_pitch = property(lambda self: point_pitch(self.element, self.block_tiles * self.width))
    filter_bytes = property(lambda self: POINTS * self.channels * self.columns * self.element.bytes)
    chunk_bytes = property(lambda self: POINTS * (self.input_pitch + self.product_pitch) * self.element.bytes)
    depth_block = property(lambda self: math.gcd(self.channels, DEPTH_BLOCK))
    depth_blocks = property(lambda self: self.channels // self.depth_block)
    filter_chunks = property(lambda self: self.depth_blocks * self.panels)

    @property
    def right_panel(self) -> str:
        """Where the panel's filters begin."""
        return times(self.panel, POINTS * self.channels)

    @property
    def filter_lines(self) -> tuple[str, ...]:
        """C declarations that find the chunk's input channels and panel."""
        lines = (f"const int64_t depth = {times(remainder('chunk', self.depth_blocks), self.depth_block)};",)
        if self.panels == 1:
            return lines
        return (*lines, f"const int64_t panel = {times(quotient('chunk', self.depth_blocks), self.width)};")

    @property
    def filter_place(self) -> str:
        return plus(self.right_panel, times("depth", self.width))

    @property
    def rows_here(self) -> str:
        """Output rows of the square at h."""
        return str(TILE) if self.out_h % TILE == 0 else smaller(f"{self.out_h} - h", TILE)

    @property
    def columns_here(self) -> str:
        return str(TILE) if self.out_w % TILE == 0 else smaller(f"{self.out_w} - q", TILE)


def point_pitch(element: Element, elements: int) -> int:
    """Elements from one point's matrix to the next: an odd number of vectors, so that the points of one square do
    not all fall into the same lines of the cache."""
    vectors = element.vectors(elements)
    return (vectors + 1 - vectors % 2) * element.lanes


def supports(spec: Conv2DSpec, target: Target) -> bool:
    """There is a Winograd kernel for this convolution."""
    lanes = Element(spec.dtype, target).lanes
    return (
        spec.dtype == "float32"
        and spec.filter_h == spec.filter_w == 3
        and spec.stride_h == spec.stride_w == spec.dilation_h == spec.dilation_w == 1
        and spec.in_c % lanes == 0
        and spec.out_c % lanes == 0
        and max(spec.in_c, spec.out_c) * POINTS * 4 <= STACK_BYTES
        and min(spec.in_c, spec.out_c, spec.out_h, spec.out_w) > 0
    )


def whole_tile(target: Target, rows: int, vectors: int, steps: int) -> Tile:
    """The register tile with the fewest cycles per sum among those that divide the columns."""
    fitting = [tile for tile in tiles_that_fit(target, rows, vectors) if vectors % tile.vectors == 0]
    return min(fitting, key=lambda tile: tile_cycles(target, tile, steps) / (tile.rows * tile.vectors))


def plan(spec: Conv2DSpec, target: Target) -> WinogradPlan:
    """Tile and block."""
    element = Element(spec.dtype, target)
    turned = spec.direction == "backprop_input"
    channels, columns = (spec.out_c, spec.in_c) if turned else (spec.in_c, spec.out_c)
    tile = whole_tile(target, 28, element.vectors(columns), channels)
    width = tile.vectors * element.lanes
    per_tile = POINTS * (channels + width) * element.bytes
    wanted = min(MOST_BLOCK_TILES, max(FEWEST_BLOCK_TILES, BLOCK_BYTES // per_tile))
    block = max(1, wanted // tile.rows) * tile.rows
    if turned:
        source = Squares("dy", spec.out_h, spec.out_w, channels, SQUARE, 2 - spec.pad_top, 2 - spec.pad_left)
        return WinogradPlan(element, tile, spec.images, source, spec.in_h, spec.in_w, columns, turned, block)
    source = Squares("x", spec.in_h, spec.in_w, channels, SQUARE, spec.pad_top, spec.pad_left)
    return WinogradPlan(element, tile, spec.images, source, spec.out_h, spec.out_w, columns, turned, block)


def scratch(spec: Conv2DSpec, target: Target) -> Scratch:
    """The filters at all points, then each chunk's block."""
    p = plan(spec, target)
    return Scratch(0, p.filter_bytes + CHUNKS * p.chunk_bytes)


def emit(
    spec: Conv2DSpec, name: str, prologue_lines: Sequence[str], epilogue: Epilogue, comment: str, target: Target
) -> Emitted:
    """The C of a forward convolution or of the gradient of its input."""
    p = plan(spec, target)
    result = "dx" if p.turned else "y"
    if epilogue.is_plain:
        epilogue = Epilogue(stores=(f"{result}[{plus(times('row', p.columns), 'column')}] = acc;",))
    roles = ("filter", "input", "output")
    functions = {role: transform_function(p.element, role) for role in roles}
    functions["square"] = square_function(p.element, SQUARE)
    functions["tile"] = tile_function(p.element, p.tile, p.channels)
    shared: list[Shared] = [smaller_functions(), vector_type(p.element)]
    names = {role: function.name for role, function in functions.items()}
    if p.turned:
        packing = pack_functions(p.element, p.width, True)
        shared += packing
        names["pack"] = packing[-1].name
    text = render(
        "c/winograd.c.j2", p=p, name=name, comment=comment, epilogue=epilogue, functions=names
    )
    launches = (Launch(f"{name}_filters", str(p.filter_chunks)), Launch(name, str(CHUNKS)))
    return Emitted(
        insert_prologue(text, prologue_lines), launches, scratch(spec, target), (*shared, *functions.values())
    )
