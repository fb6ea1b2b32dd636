"""Convolution forward and the gradient of its input by Winograd's method: sizes for `templates/c/winograd.c.j2`.

The gradient of the input is a convolution of dy with the filters turned by 180 degrees and transposed. At the points
these have other values than the filters themselves, so each sweep transforms its own, once a step: both together take
less than 1 % of a step of convnet128.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..c_text import ceil_quotient, minus, plus, quotient, remainder, smaller, times
from ..emitted import Emitted, Epilogue, Launch, Scratch, Shared, insert_prologue
from ..render import render
from ..scalar import size_text
from ..target import Target, Tile, tile_cycles, tiles_that_fit
from ..tiles import Element, pack_functions, tile_function
from .conv2d_window import Conv2DSpec
from .pool import PoolPlan, PoolSpec, maxima_function
from .pool import plan as pool_plan
from .winograd_ahead import Ahead, fetch_function
from .winograd_choice import FORMS, best_form, gains_by_pool
from .winograd_spread import SquareSpread, spread_function
from .winograd_transforms import Form, Squares, common_functions, transform_function

# squares of a block: few stay near, but the filters of deep layers come from afar, and each block reads all of them;
# 128 pictures of 47 x 47, 32 channels to 64: 14.0 ms in one thread, 14.2 in blocks of 16 and 14.6 in blocks of 56
BLOCK_TILES = 24
PANEL_COST = 0.05  # of a sum: each panel reads the squares again, and writes only its piece of every pixel
CHUNKS = 16  # each has memory of its own for a block
HEADER_BYTES = 64  # of scratch memory, before all else: the number of the next run of blocks
AHEAD_BYTES = 2048  # results of one square: fewer are written before the memory of the next one is there
DEPTH_BLOCK = 16  # input channels whose filters one chunk evaluates


@dataclass(frozen=True)
class WinogradPlan:
    """Everything the template needs to know. `source` and `out` are the sides of this sweep, not of the forward one."""

    element: Element
    tile: Tile
    form: Form
    images: Any
    source: Squares
    out_h: int
    out_w: int
    columns: int
    turned: bool
    block_tiles: int
    pool: PoolPlan | None = None  # that the results go through
    spread: SquareSpread | None = None  # dy is known at the maxima only

    past = ""  # the maxima go by way of the caches
    c_type = property(lambda self: self.element.c_type)
    alignment = property(lambda self: self.element.target.vector_bytes)
    step = property(lambda self: self.form.step)
    taps = property(lambda self: self.form.taps)
    points = property(lambda self: self.form.points)
    square = property(lambda self: self.form.side)
    width = property(lambda self: self.tile.vectors * self.element.lanes)
    channels = property(lambda self: self.source.channels)
    input_channels = property(lambda self: self.element.vectors(self.channels) * self.element.lanes)
    source_pointers = property(lambda self: ("&windows, position, " if self.spread else "") + self.source.pointer)
    panels = property(lambda self: math.ceil(self.columns / self.width))
    panel = property(lambda self: "0" if self.panels == 1 else "panel")
    tiles = property(lambda self: times(size_text(self.images), self.source.squares))
    blocks = property(lambda self: ceil_quotient(self.tiles, self.block_tiles))
    chunks = property(lambda self: CHUNKS)
    header_bytes = property(lambda self: HEADER_BYTES)
    input_pitch = property(lambda self: point_pitch(self.element, self.block_tiles * self.input_channels))
    product_pitch = property(lambda self: point_pitch(self.element, self.block_tiles * self.width))
    filter_bytes = property(lambda self: self.points * self.channels * self.panels * self.width * self.element.bytes)
    chunk_bytes = property(lambda self: self.points * (self.input_pitch + self.product_pitch) * self.element.bytes)
    depth_block = property(lambda self: math.gcd(self.channels, DEPTH_BLOCK))
    depth_blocks = property(lambda self: self.channels // self.depth_block)
    filter_chunks = property(lambda self: self.depth_blocks * self.panels)

    @property
    def ahead(self) -> int:
        """How many squares ahead the memory of results is fetched."""
        return 2 if self.step**2 * self.width * self.element.bytes <= AHEAD_BYTES else 1

    @property
    def panel_columns(self) -> str:
        """Output channels of the panel."""
        if self.columns % self.width == 0:
            return str(self.width)
        return str(self.columns) if self.panels == 1 else smaller(f"{self.columns} - panel", self.width)

    @property
    def right_panel(self) -> str:
        """Where the panel's filters begin."""
        return times(self.panel, self.points * self.channels)

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
        return str(self.step) if self.out_h % self.step == 0 else smaller(f"{self.out_h} - h", self.step)

    @property
    def columns_here(self) -> str:
        """Its output columns."""
        return str(self.step) if self.out_w % self.step == 0 else smaller(f"{self.out_w} - q", self.step)

    # --- a fused pooling, as `templates/c/conv2d_pool.c.j2` asks for it ---

    windows_down = property(lambda self: self.step // self.pool.spec.stride_h)
    windows_across = property(lambda self: self.step // self.pool.spec.stride_w)
    tap_of_lines = property(lambda self: plus(times("i", self.step * self.width), times("j", self.width)))
    panel_column = property(lambda self: plus(self.panel, "c"))

    @property
    def end_window_down(self) -> str:
        assert self.pool is not None
        return self._end_window("here.down", self.source.down, self.windows_down, self.pool.spec.out_h)

    @property
    def end_window_across(self) -> str:
        assert self.pool is not None
        return self._end_window("here.across", self.source.across, self.windows_across, self.pool.spec.out_w)

    def _end_window(self, square: str, squares: int, windows: int, count: int) -> str:
        """One more than the last of a square's windows along an axis that has `count`; the last squares may have fewer."""
        end = times(f"({square} + 1)", windows)
        return end if squares * windows == count else smaller(end, count)

    @property
    def corner(self) -> str:
        """Where a window's sums begin."""
        assert self.pool is not None
        down = minus(times("down", self.pool.spec.stride_h), "h")
        across = minus(times("across", self.pool.spec.stride_w), "q")
        return times(plus(times(down, self.step), across), self.width)

    @property
    def pooled_place(self) -> str:
        """The index of a window's first maximum in the panel."""
        assert self.pool is not None
        row = plus(times("here.image", self.pool.spec.out_h), "down")
        return plus(times(plus(times(row, self.pool.spec.out_w), "across"), self.columns), self.panel)

    @property
    def next_pooled_place(self) -> str:
        """The index of the panel's maximum in a later square's first window."""
        assert self.pool is not None
        row = plus(times("later.image", self.pool.spec.out_h), times("later.down", self.windows_down))
        across = times("later.across", self.windows_across)
        return plus(times(plus(times(row, self.pool.spec.out_w), across), self.columns), self.panel)

    @property
    def pooled_streams(self) -> tuple[tuple[str, int], ...]:
        """The arrays that a pooling writes, and the bytes of their elements."""
        assert self.pool is not None
        values = (("y", self.element.bytes),) if self.pool.stores_y else ()
        return (*values, ("position", 1)) if self.pool.stores_position else values

    @property
    def row_of_tap(self) -> str:
        """The flat pixel of the convolution's result at tap (i, j) of a window."""
        assert self.pool is not None
        row = plus(times("here.image", self.out_h), self.pool.down.place("down", "i"))
        return plus(times(row, self.out_w), self.pool.across.place("across", "j"))


def point_pitch(element: Element, elements: int) -> int:
    """Elements from one point's matrix to the next: an odd number of vectors, so that the points of one square do
    not all fall into the same lines of the cache."""
    vectors = element.vectors(elements)
    return (vectors + 1 - vectors % 2) * element.lanes


def supports(spec: Conv2DSpec) -> bool:
    """There is a Winograd kernel for this convolution."""
    return (
        spec.dtype in ("float32", "float64")
        and spec.filter_h == spec.filter_w
        and spec.filter_h in FORMS
        and spec.stride_h == spec.stride_w == spec.dilation_h == spec.dilation_w == 1
        and min(spec.in_c, spec.out_c, spec.in_h, spec.in_w, spec.out_h, spec.out_w) > 0
    )


def takes_pool(spec: Conv2DSpec, pool: PoolSpec, target: Target) -> bool:
    """There is a kernel for the convolution with this pooling of its results, or for a gradient of both, that pays."""
    return gains_by_pool(spec, target, pool)


def whole_tile(target: Target, vectors: int, steps: int) -> Tile:
    """The register tile with the fewest cycles per sum among those that divide the columns."""

    def cost(tile: Tile) -> float:
        panels = vectors // tile.vectors
        return tile_cycles(target, tile, steps) / (tile.rows * tile.vectors) * (1 + PANEL_COST * (panels - 1))

    return min((tile for tile in tiles_that_fit(target, 28, vectors) if vectors % tile.vectors == 0), key=cost)


def plan(spec: Conv2DSpec, target: Target, pool: PoolSpec | None = None) -> WinogradPlan:
    """Tile and block. A `pool` takes the results of a forward convolution; dy of a gradient is known at its windows only."""
    element = Element(spec.dtype, target)
    form = best_form(spec, target, pool)
    turned = spec.direction == "backprop_input"
    channels, columns = (spec.out_c, spec.in_c) if turned else (spec.in_c, spec.out_c)
    tile = whole_tile(target, element.vectors(columns), channels)
    block = max(1, BLOCK_TILES // tile.rows) * tile.rows
    if turned:
        pads = (form.taps - 1 - spec.pad_top, form.taps - 1 - spec.pad_left)
        source = Squares(form.step, "dy", spec.out_h, spec.out_w, channels, spec.in_h, spec.in_w, *pads)
        spread = SquareSpread(pool, form.step, form.side, pads) if pool else None
        return WinogradPlan(
            element, tile, form, spec.images, source, spec.in_h, spec.in_w, columns, turned, block, None, spread
        )
    source = Squares(form.step, "x", spec.in_h, spec.in_w, channels, spec.out_h, spec.out_w, spec.pad_top, spec.pad_left)
    pooling = pool_plan(pool) if pool else None
    return WinogradPlan(element, tile, form, spec.images, source, spec.out_h, spec.out_w, columns, turned, block, pooling)


def streams(epilogue: Epilogue, columns: int) -> tuple[tuple[str, str], ...]:
    """The arrays that an epilogue reads or writes at the place of the sum itself, and "true" if it writes."""
    place = rf"(\w+)\[row \* {columns} \+ column\]( = )?"
    found: dict[str, str] = {}
    for line in (*epilogue.lines, *epilogue.stores):
        for pointer, assigns in re.findall(place, line):
            if assigns or pointer not in found:
                found[pointer] = "true" if assigns else "false"
    return tuple(found.items())


def arrays_ahead(p: WinogradPlan, streams: Sequence[tuple[str, str]]) -> tuple[Ahead, ...]:
    """Everything that a block reads and writes, but for the filters and its own memory."""
    results = p.out_h * p.out_w * p.columns * p.element.bytes
    if p.spread:
        windows = p.spread.pool.out_h * p.spread.pool.out_w * p.channels
        pictures = {p.source.pointer: windows * p.element.bytes, "position": windows}
    else:
        pictures = {p.source.pointer: p.source.height * p.source.width * p.channels * p.element.bytes}
    if p.pool:
        maxima = p.pool.spec.out_h * p.pool.spec.out_w * p.columns
        pictures |= {pointer: maxima * size for pointer, size in p.pooled_streams}
    pictures |= {pointer: results for pointer, _ in streams}
    calls = p.points * (p.block_tiles // p.tile.rows) * p.panels
    where = (p.source.squares, p.source.across, p.block_tiles, calls)
    return tuple(Ahead(pointer, size, *where) for pointer, size in pictures.items())


def scratch(spec: Conv2DSpec, target: Target, pool: PoolSpec | None = None) -> Scratch:
    """The number of the next run of blocks, the filters at all points, each chunk's block."""
    p = plan(spec, target, pool)
    return Scratch(0, HEADER_BYTES + p.filter_bytes + CHUNKS * p.chunk_bytes)


def emit(
    spec: Conv2DSpec, name: str, prologue_lines: Sequence[str], epilogue: Epilogue, comment: str, target: Target,
    pool: PoolSpec | None = None,
) -> Emitted:  # fmt: skip
    """The C of a forward convolution or of the gradient of its input, with or without pooling."""
    p = plan(spec, target, pool)
    result = "dx" if p.turned else "y"
    if epilogue.is_plain and not p.pool:
        epilogue = Epilogue(stores=(f"{result}[{plus(times('row', p.columns), 'column')}] = acc;",))
    functions = {role: transform_function(p.element, role, p.form) for role in ("filter", "input", "output")}
    functions["tile"] = tile_function(p.element, p.tile, p.input_channels)
    fetched = streams(epilogue, p.columns)
    shared: list[Shared] = [*common_functions(p.element), fetch_function()]
    if p.spread:
        *types, functions["input"] = spread_function(p.element, "input", p.form, p.spread)
        shared += types
    shared += functions.values()
    if fetched or p.pool:
        shared.append(Shared("tg_fetch", render("c/winograd_fetch.c.j2")))
    if p.pool and not p.pool.is_clipped:
        shared.append(maxima_function(p.element))
    names = {role: function.name for role, function in functions.items()}
    if p.turned or p.columns % p.width:
        packing = pack_functions(p.element, p.width, p.turned)
        shared += packing
        names["pack"] = packing[-1].name
    text = render(
        "c/winograd.c.j2", p=p, name=name, comment=comment, epilogue=epilogue,
        functions={"pack": "", **names}, streams=fetched, ahead=arrays_ahead(p, fetched),
        words=frozenset(re.findall(r"\w+", " ".join(epilogue.lines))),
    )  # fmt: skip
    launches = (Launch(f"{name}_filters", str(p.filter_chunks)), Launch(name, str(CHUNKS)))
    kind = f"Winograd F({p.step}x{p.step},{p.taps}x{p.taps})"
    pooled = ["max pooling"] if p.pool else ["dy spread from its maxima"] if p.spread else []
    method = ", ".join([kind, f"tile {p.tile.rows} x {p.width}", f"blocks of {p.block_tiles} squares", *pooled])
    return Emitted(insert_prologue(text, prologue_lines), launches, scratch(spec, target, pool), tuple(shared), method)
