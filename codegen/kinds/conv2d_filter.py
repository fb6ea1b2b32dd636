"""The gradient of convolution filters: tiles, blocks and shares for `templates/c/conv2d_filter.c.j2`.

A tile holds filter rows (tap, channel) x output channels and sums over pixels. Pictures are cut into shares that are
summed apart, each in its own copy of dw, and added in a fixed order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...shapes import Batch
from ..emitted import Emitted, Epilogue, Launch, Scratch, Shared, insert_prologue
from ..render import render
from ..target import NOMINAL_BATCH, Target, Tile, choose_tile, tile_cycles
from ..tiles import Element, pack_functions, tile_function, vector_type
from .conv2d_sweep import reaches
from .conv2d_window import Conv2DSpec, Reach, Window, factor

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
    images: str
    down: Reach
    across: Reach
    channels: int
    columns: int
    block_columns: int
    shares: int
    window: Window
    stores_directly: bool

    c_type = property(lambda self: self.element.c_type)
    width = property(lambda self: self.tile.vectors * self.element.lanes)
    out_h = property(lambda self: self.down.out)
    out_w = property(lambda self: self.across.out)
    taps_h = property(lambda self: self.down.taps)
    taps_w = property(lambda self: self.across.taps)
    block_rows = property(lambda self: self.window.block_rows)
    row_blocks = property(lambda self: math.ceil(self.out_h / self.block_rows))
    column_blocks = property(lambda self: math.ceil(self.columns / self.block_columns))
    pixel_stride = property(lambda self: self.across.stride * self.channels)
    row_pitch = property(lambda self: self.down.stride * self.window.pitch)
    tap_pitch = property(lambda self: self.across.dilation * self.channels)
    all_rows = property(lambda self: self.taps_h * self.taps_w * self.channels)
    walks_taps = property(lambda self: _walks_taps(self.across))
    packs = property(lambda self: self.columns != self.width)

    @property
    def rows(self) -> int:
        """Filter rows whose input elements lie side by side."""
        return self.channels if self.walks_taps else self.taps_w * self.channels

    @property
    def last_rows(self) -> int:
        return self.rows % self.tile.rows

    @property
    def sums_pitch(self) -> int:
        return math.ceil(self.columns / self.width) * self.width

    @property
    def share_elements(self) -> int:
        return self.all_rows * self.sums_pitch

    @property
    def padded_end_column(self) -> str:
        if self.columns % self.width == 0:
            return "end_column"
        return f"(end_column + {self.width - 1}) / {self.width} * {self.width}"

    @property
    def panel_columns(self) -> str:
        if self.columns % self.width == 0:
            return str(self.width)
        return f"({self.columns} - panel < {self.width} ? {self.columns} - panel : {self.width})"

    @property
    def total_rows(self) -> int:
        """Rows of dw that one chunk of the second launch adds up."""
        return max(1, TOTAL_ELEMENTS // self.sums_pitch)

    @property
    def first_row(self) -> str:
        d = self.down
        if d.is_inside or d.pad <= 0:
            return "first_row"
        first = _ceil_text(f"{d.pad} - i * {d.dilation}", d.stride)
        return f"{first} > first_row ? {first} : first_row"

    @property
    def end_row(self) -> str:
        d = self.down
        if d.is_inside:
            return "end_row"
        end = _ceil_text(f"{d.size + d.pad} - i * {d.dilation}", d.stride)
        return f"{end} < end_row ? {end} : end_row"

    @property
    def input_row(self) -> str:
        return self.down.place("begin", "i")


def _ceil_text(value: str, step: int) -> str:
    return value if step == 1 else f"({value} + {step - 1}) / {step}"


def _walks_taps(across: Reach) -> bool:
    return across.dilation > 1 and across.taps > 1


def plan(spec: Conv2DSpec, target: Target, plain: bool) -> FilterGradientPlan:
    """Tile, blocks and shares."""
    element = Element(spec.dtype, target)
    down, across = reaches(spec)
    block = max(1, min(spec.out_h, BLOCK_PIXELS // spec.out_w))
    while block > 1 and not Window(element, down, across, spec.in_c, block, 0).is_on_stack:
        block -= 1
    block = math.ceil(spec.out_h / math.ceil(spec.out_h / block))
    rows = spec.in_c if _walks_taps(across) else spec.filter_w * spec.in_c
    steps = block * spec.out_w

    def cost(tile: Tile) -> float:
        whole, rest = divmod(rows, tile.rows)
        last = tile_cycles(target, Tile(rest, tile.vectors), steps) + tile_cycles(target, tile, 1) if rest else 0
        return whole * tile_cycles(target, tile, steps) + last

    tile = choose_tile(target, rows, element.vectors(spec.out_c), steps, cost)
    width = tile.vectors * element.lanes
    pitch = math.ceil(spec.out_c / width) * width
    all_rows = spec.filter_h * spec.filter_w * spec.in_c
    pictures = spec.images.per * NOMINAL_BATCH if isinstance(spec.images, Batch) else int(spec.images)
    operations = 2 * pictures * spec.out_h * spec.out_w * all_rows * spec.out_c
    shares = max(1, min(
        MOST_SHARES,
        SHARES_BYTES // (all_rows * pitch * element.bytes),
        operations // SHARE_OPERATIONS,
        pictures * math.ceil(spec.out_h / block),
    ))  # fmt: skip
    block_columns = min(width * max(1, BLOCK_COLUMNS // width), pitch)
    direct = plain and shares == 1 and pitch == spec.out_c
    sums_bytes = 0 if direct else -(-shares * all_rows * pitch * element.bytes // 64) * 64
    window = Window(element, down, across, spec.in_c, block, sums_bytes)
    return FilterGradientPlan(
        element, tile, factor(spec.images), down, across, spec.in_c, spec.out_c, block_columns, shares, window, direct
    )


def scratch(spec: Conv2DSpec, target: Target, plain: bool) -> Scratch:
    """The shares' copies of dw, then one window per chunk where windows are large."""
    p = plan(spec, target, plain)
    return Scratch(0, p.window.scratch_offset + p.window.scratch_bytes * p.shares * p.column_blocks)


def emit(
    spec: Conv2DSpec, name: str, prologue_lines: Sequence[str], epilogue: Epilogue, comment: str, target: Target
) -> Emitted:
    """The C of the gradient of the filters."""
    plain = epilogue.is_plain
    p = plan(spec, target, plain)
    if plain:
        epilogue = Epilogue(stores=(f"dw[row * {p.columns} + column] = acc;",))
    whole = tile_function(p.element, p.tile, 1)
    last = tile_function(p.element, Tile(p.last_rows or 1, p.tile.vectors), 1)
    packs = pack_functions(p.element, p.width, False)
    shared: list[Shared] = [vector_type(p.element), whole]
    shared += [last] if p.last_rows else []
    shared += packs if p.packs else []
    if p.column_blocks == 1:
        share_block = ["const int64_t share = chunk, first_column = 0;"]
    else:
        share_block = [
            f"const int64_t share = chunk / {p.column_blocks}, "
            f"first_column = chunk % {p.column_blocks} * {p.block_columns};"
        ]
    source = render(
        "c/conv2d_filter.c.j2", p=p, name=name, comment=comment, share_block=share_block, epilogue=epilogue,
        whole_tile=whole.name, last_tile=last.name, pack=packs[-1].name,
    )  # fmt: skip
    launches = [Launch(name, str(p.shares * p.column_blocks))]
    if not p.stores_directly:
        launches.append(Launch(f"{name}_total", str(math.ceil(p.all_rows / p.total_rows))))
    return Emitted(insert_prologue(source, prologue_lines), tuple(launches), scratch(spec, target, plain), tuple(shared))
