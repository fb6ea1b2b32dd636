"""Convolution forward, and the gradient of its input: tiles and blocks for `templates/c/conv2d.c.j2`.

A max pooling whose windows do not overlap may take the results: a chunk then is a block of pooled rows, and the rows that
a row of windows covers are kept on the stack until their maxima are stored.

The gradient of the input is a convolution of dy with the filters turned by 180 degrees and transposed. With a stride
the output pixels fall into phases; those of one phase are reached by the same taps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...shapes import Batch
from ..c_text import minus, plus, quotient, remainder, smaller, times
from ..emitted import Emitted, Epilogue, Launch, Scratch, Shared, insert_prologue
from ..render import render
from ..target import Target, Tile, choose_tile
from ..tiles import Element, pack_functions, smaller_functions, tile_function, vector_type
from .conv2d_narrow import NarrowTile, copied_tile, gradient_tile, suits, tile_pixels
from .conv2d_thin import ThinRow, thin_row
from .conv2d_window import STACK_BYTES, Conv2DSpec, Window
from .past_caches import is_past, kept_rows, store_functions, store_name
from .pool import PoolPlan, PoolSpec
from .pool import plan as pool_plan
from .reach import Reach
from .spread import Spread

CHUNK_OPERATIONS = 2_000_000
FEWEST_ROWS = 4  # of a block that copies its window: neighbours copy the rows between them twice
MOST_IMAGES = 16
FAR_ROWS = 2048  # bytes between filter rows from which on a panel of them is worth packing


@dataclass(frozen=True)
class Phase:
    """Output rows (or columns) first, first + step, ... and the taps that reach them, in the order of the input."""

    first: int
    step: int
    taps: tuple[int, ...]
    reach: Reach


def forward_phase(reach: Reach) -> tuple[Phase, ...]:
    return (Phase(0, 1, tuple(range(reach.taps)), reach),)


def gradient_phases(reach: Reach) -> tuple[Phase, ...]:
    """The phases of the gradient of an axis with this forward reach.

    Input place p takes from output place o through tap k where p + pad = o * stride + k * dilation.
    """
    common = math.gcd(reach.stride, reach.dilation)
    phases = []
    for first in range(min(reach.stride, reach.size)):
        taps = [k for k in range(reach.taps) if (first + reach.pad - k * reach.dilation) % reach.stride == 0]
        dilation = reach.dilation // common
        nearest = (first + reach.pad - taps[0] * reach.dilation) // reach.stride if taps else 0
        places = math.ceil((reach.size - first) / reach.stride)
        pad = (len(taps) - 1) * dilation - nearest if taps else 0
        phases.append(
            Phase(first, reach.stride, tuple(reversed(taps)), Reach(places, len(taps), reach.out, 1, dilation, pad))
        )
    return tuple(phases)


@dataclass(frozen=True)
class FilterPack:
    """The copy of the filters that tiles read: [panel][tap][depth][width]."""

    taps: int
    order: tuple[int, ...]
    depth: int
    columns: int
    width: int
    transposed: bool
    pitch: int
    pack: str = ""

    panels = property(lambda self: math.ceil(self.columns / self.width))
    elements = property(lambda self: self.taps * self.depth * self.width * self.panels)

    @property
    def meaning(self) -> str:
        return "turned and transposed" if self.transposed else "row after row"

    @property
    def lines(self) -> tuple[str, ...]:
        """C declarations that find the chunk's tap and panel."""
        number = remainder("chunk", self.taps) if self.panels > 1 else "chunk"
        tap = f"const int64_t tap = {f'order[{number}]' if self.transposed else number};"
        if self.panels == 1:
            return (tap,)
        return tap, f"const int64_t panel = {times(quotient('chunk', self.taps), self.width)};"

    @property
    def panel(self) -> str:
        return "panel" if self.panels > 1 else "0"

    @property
    def place(self) -> str:
        """Where the tap's part of the panel begins in w."""
        if self.transposed:
            return times(plus(times("tap", self.columns), self.panel), self.depth)
        return plus(times("tap", self.depth * self.columns), self.panel)

    @property
    def panel_columns(self) -> str:
        return panel_columns(self.columns, self.width)


def panel_columns(columns: int, width: int) -> str:
    """Columns of the panel at `panel`, as a C expression."""
    if columns % width == 0:
        return str(width)
    return str(columns) if columns < width else smaller(minus(columns, "panel"), width)


@dataclass(frozen=True)
class SweepPlan:
    """One phase of a convolution as the template needs it."""

    name: str
    element: Element
    tile: Tile
    tile_function: str
    window: Window
    vertical: Phase
    horizontal: Phase
    full_h: int
    full_w: int
    channels: int
    columns: int
    filters: FilterPack | None
    first_tap_packed: int
    stores_directly: bool
    pool: PoolPlan | None = None
    thin: ThinRow | None = None
    narrow: NarrowTile | None = None
    result: str = ""  # the pointer to what is stored row by row, as whole vectors

    c_type = property(lambda self: self.element.c_type)
    width = property(lambda self: self.columns if self.narrow else self.tile.vectors * self.element.lanes)
    down = property(lambda self: self.vertical.reach)
    clips_rows = property(lambda self: not self.down.is_inside)
    first_tap = property(lambda self: "first_tap" if self.clips_rows else "0")
    end_tap = property(lambda self: "end_tap" if self.clips_rows else str(self.taps_h))
    tap_rows = property(lambda self: minus(self.end_tap, self.first_tap))
    repeats = property(lambda self: self.out_w % self.tile.rows != 0)
    panel = property(lambda self: "0" if self.columns <= self.width else "panel")
    panel_columns = property(lambda self: panel_columns(self.columns, self.width))
    out_w = property(lambda self: self.horizontal.reach.out)
    taps_h = property(lambda self: self.vertical.reach.taps)
    taps_w = property(lambda self: self.horizontal.reach.taps)
    pixel_stride = property(lambda self: self.horizontal.reach.stride * self.channels)
    tap_pitch = property(lambda self: self.horizontal.reach.dilation * self.channels)
    tap_row_pitch = property(lambda self: self.vertical.reach.dilation * self.window.pitch)
    line_elements = property(lambda self: self.out_w * self.width)
    lines_elements = property(lambda self: self.pool.window_h * self.line_elements)
    i_begin = property(lambda self: "i_begin" if self.pool.is_clipped else "0")
    i_end = property(lambda self: "i_end" if self.pool.is_clipped else str(self.pool.window_h))
    line_place = property(lambda self: plus(times("i", self.line_elements), times(self.pixel, self.width)))
    panel_column = property(lambda self: plus(self.panel, "c"))
    tap_of_lines = property(lambda self: plus(times("i", self.line_elements), times("j", self.width)))
    corner = property(lambda self: times(self.pool.across.place("across", 0), self.width))

    @property
    def pooled_place(self) -> str:
        """The index of a window's first maximum in the panel."""
        assert self.pool is not None
        row = plus(times("image", self.pool.spec.out_h), "down")
        return plus(times(plus(times(row, self.pool.out_w), "across"), self.columns), self.panel)

    @property
    def row_of_tap(self) -> str:
        """The flat pixel of the convolution's result at tap (i, j) of a window."""
        assert self.pool is not None
        row = plus(times("image", self.full_h), self.pool.down.place("down", "i"))
        return plus(times(row, self.full_w), self.pool.across.place("across", "j"))

    @property
    def walks_taps(self) -> bool:
        """The taps of a filter row do not lie side by side in the input."""
        return self.horizontal.reach.dilation > 1 and self.taps_w > 1

    @property
    def left_row(self) -> str:
        """Where the input row begins that the first tap of row h reaches."""
        return self.window.row_place("h", self.first_tap, self.down)

    @property
    def phase_text(self) -> str:
        v, h = self.vertical, self.horizontal
        return f"({v.first} mod {v.step}, {h.first} mod {h.step})"

    @property
    def may_miss(self) -> bool:
        """Some output rows have no tap inside the picture."""
        reach = self.down
        rows = range(reach.out)
        return any(all(not 0 <= reach.input_place(row, tap) < reach.size for tap in range(reach.taps)) for row in rows)

    @property
    def segment(self) -> int:
        """Pixels of a row whose sums are made at a time."""
        return self.out_w if self.pool or not self.thin else self.thin.segment

    @property
    def pixel(self) -> str:
        """The first pixel of the tile or segment: a C variable, or a constant if there is one segment."""
        return "0" if self.thin and self.segment == self.out_w else "pixel"

    @property
    def segment_pixels(self) -> str:
        return str(self.segment) if self.out_w % self.segment == 0 else smaller(self.segment, minus(self.out_w, "pixel"))

    @property
    def left_place(self) -> str:
        return times(self.pixel, self.pixel_stride)

    @property
    def left_place_of_tap(self) -> str:
        return plus(times(minus("tap", self.first_tap), self.tap_row_pitch), self.left_place)

    @property
    def right_step(self) -> int:
        """Elements between the filters of neighbouring input channels."""
        return self.width if self.filters else self.columns

    @property
    def right_row(self) -> int:
        """Elements of a row of taps."""
        return self.taps_w * self.channels * self.right_step

    @property
    def right(self) -> str:
        """Where the panel's filters begin."""
        if not self.filters:
            return plus("w", self.panel)
        place = plus(
            times(self.panel, self.filters.taps * self.channels),
            self.first_tap_packed * self.channels * self.width,
        )
        return plus(f"(const {self.c_type} *)scratch", place)

    @property
    def right_place(self) -> str:
        return plus("right", times(self.first_tap, self.right_row))

    @property
    def sums_pitch(self) -> int:
        return self.columns * self.horizontal.step if self.stores_directly else self.width

    @property
    def pixel_of_row(self) -> str:
        return plus(self.pixel, "r")

    @property
    def past(self) -> str:
        """Whether the rows of `result` pass the caches by, as a C expression; "" if they cannot."""
        if not self.result:
            return ""
        size = self.full_h * self.full_w if not self.pool else self.pool.spec.out_h * self.pool.spec.out_w
        return is_past(self.element, self.result, self.window.images, size * self.columns)

    @property
    def result_place(self) -> str:
        """Where the row of sums goes in `result`."""
        return plus(self.result, times("row", self.columns), self.panel)

    store = property(lambda self: store_name(self.element))

    def output_row(self, pixel: str) -> str:
        """The output's flat pixel index."""
        row = plus(times("image", self.full_h), times("h", self.vertical.step), self.vertical.first)
        return plus(times(row, self.full_w), times(pixel, self.horizontal.step), self.horizontal.first)

    @property
    def direct_place(self) -> str:
        """Where the tile's sums go in the output."""
        return plus(times(self.output_row(self.pixel), self.columns), self.panel)


def reaches(spec: Conv2DSpec) -> tuple[Reach, Reach]:
    """The forward convolution's two axes."""
    return (
        Reach(spec.out_h, spec.filter_h, spec.in_h, spec.stride_h, spec.dilation_h, spec.pad_top),
        Reach(spec.out_w, spec.filter_w, spec.in_w, spec.stride_w, spec.dilation_w, spec.pad_left),
    )


def _window(
    images: Any, rows: Reach, width: Reach, channels: int, row_operations: int, element: Element, offset: int,
    spread: Spread | None,
) -> Window:  # fmt: skip
    """The window of a chunk: some output rows, or several images if a picture is small."""
    block = min(rows.out, max(1, math.ceil(CHUNK_OPERATIONS / row_operations)))
    if spread or not width.is_inside:
        block = max(block, min(rows.out, FEWEST_ROWS))
    while block > 1 and not Window(element, rows, width, channels, images, 1, block, 0, spread).is_on_stack:
        block -= 1
    block = math.ceil(rows.out / math.ceil(rows.out / block))
    several = CHUNK_OPERATIONS // (2 * row_operations * rows.out) if block == rows.out else 1
    return Window(element, rows, width, channels, images, max(1, min(MOST_IMAGES, several)), block, offset, spread)


def _spread(pool: PoolSpec, element: Element, width: Reach, channels: int) -> Spread:
    """What makes those columns of dy that the taps reach."""
    return Spread(pool, element, channels, max(-width.pad, 0), min(width.extent - width.pad, width.size))


def plan(
    spec: Conv2DSpec, name: str, target: Target, plain: bool, pool: PoolSpec | None = None
) -> tuple[SweepPlan, ...]:
    """One plan per phase; phases without pixels are left out.

    A `pool` takes the results of a forward convolution; dy of a gradient is known at its windows only.
    """
    pooling = pool_plan(pool) if pool and spec.direction == "forward" else None
    element = Element(spec.dtype, target)
    forward = spec.direction == "forward"
    down, across = reaches(spec)
    verticals, horizontals = map(forward_phase if forward else gradient_phases, (down, across))
    channels, columns = (spec.in_c, spec.out_c) if forward else (spec.out_c, spec.in_c)
    fewest = min(phase.reach.out for phase in horizontals)
    steps = max(len(p.taps) for p in verticals) * max(len(p.taps) for p in horizontals) * channels
    is_narrow = suits(spec, element)
    thin = thin_row(element, across, channels, columns) if forward and not is_narrow else None
    tile = choose_tile(target, fewest, element.vectors(columns), max(steps, 1))
    if thin or is_narrow:
        tile = Tile(1, thin.vectors) if thin else Tile(tile_pixels(element, columns), 1)
    width = columns if is_narrow else tile.vectors * element.lanes
    taps = [
        i * spec.filter_w + j for v in verticals for h in horizontals for i in v.taps for j in h.taps
    ]  # fmt: skip
    filters = None
    if not is_narrow and (not forward or columns % width or (columns * element.bytes >= FAR_ROWS and not thin)):
        filters = FilterPack(
            len(taps), tuple(taps), channels, columns, width, not forward, spec.out_c,
            pack_functions(element, width, not forward)[-1].name,
        )  # fmt: skip
    copied = filters.elements if filters else len(taps) * channels * columns if is_narrow and forward else 0
    filter_bytes = _whole_lines(copied, element)
    function = tile_function(element, tile, horizontals[0].reach.stride * channels)
    stores_rows = pooling and pooling.stores_y and not pooling.is_clipped and columns % width == 0 and not is_narrow
    plans: list[SweepPlan] = []
    position = 0
    single = len(verticals) * len(horizontals) == 1
    for v in verticals:
        for h in horizontals:
            rows = v.reach.of_windows(pooling.down) if pooling else v.reach
            lines = pooling.down.taps if pooling else 1
            operations = max(1, 2 * lines * h.reach.out * v.reach.taps * h.reach.taps * channels * columns)
            spread = _spread(pool, element, h.reach, channels) if pool and not forward else None
            window = _window(spec.images, rows, h.reach, channels, operations, element, filter_bytes, spread)
            narrow = _narrow_tile(spec, element, (v, h)) if is_narrow else None
            plans.append(SweepPlan(
                name if single else f"{name}_{v.first}_{h.first}", element, tile, function.name,
                window, v, h,
                spec.out_h if forward else spec.in_h, spec.out_w if forward else spec.in_w, channels, columns,
                filters, position, plain and not pooling and not is_narrow and columns % width == 0, pooling,
                thin, narrow, "y" if stores_rows else "",
            ))  # fmt: skip
            position += len(v.taps) * len(h.taps)
    return tuple(plans)


def _whole_lines(elements: int, element: Element) -> int:
    """Bytes of so many elements, up to a whole cache line."""
    return -(-elements * element.bytes // 64) * 64


def _narrow_tile(spec: Conv2DSpec, element: Element, phases: tuple[Phase, Phase]) -> NarrowTile:
    """The tile of a phase (its rows and columns) of sums for few channels."""
    down, across = phases
    forward = spec.direction == "forward"
    channels, columns = (spec.in_c, spec.out_c) if forward else (spec.out_c, spec.in_c)
    steps = across.reach.stride * channels, across.reach.dilation * channels
    if forward:
        return copied_tile(element, columns, channels, (down.reach.taps, across.reach.taps), *steps)
    return gradient_tile(element, columns, channels, (down.taps, across.taps), spec.filter_w, *steps)


def takes_pool(spec: Conv2DSpec, pool: PoolSpec, target: Target) -> bool:
    """True if the rows that a row of windows covers fit on the stack."""
    (one,) = plan(spec, "", target, False, pool)
    kept = pool.window_h * one.line_elements * one.element.bytes
    return kept <= STACK_BYTES and pool.window_h * pool.window_w > 1


def scratch(spec: Conv2DSpec, target: Target, pool: PoolSpec | None = None) -> Scratch:
    """The packed filters, then one window per chunk where windows are large. Phases run one after the other."""
    plans = plan(spec, "", target, False, pool)
    filters = plans[0].filters
    narrow = plans[0].narrow
    copied = filters.elements if filters else narrow.filter_elements if narrow and narrow.is_copied else 0
    fixed = _whole_lines(copied, plans[0].element)
    per_image = max(p.window.scratch_bytes * p.window.row_blocks for p in plans)
    if isinstance(spec.images, Batch):
        return Scratch(per_image * spec.images.per, fixed)
    return Scratch(0, fixed + per_image * int(spec.images))


def emit(
    spec: Conv2DSpec, name: str, prologue_lines: Sequence[str], epilogue: Epilogue, comment: str, target: Target,
    pool: PoolSpec | None = None,
) -> Emitted:  # fmt: skip
    """The C of a forward convolution or of the gradient of its input, with or without pooling."""
    plans = plan(spec, name, target, epilogue.is_plain, pool)
    first = plans[0]
    x, y = ("x", "y") if spec.direction == "forward" else ("dy", "dx")
    if epilogue.is_plain and not first.pool:
        epilogue = Epilogue(stores=(f"{y}[{plus(times('row', first.columns), 'column')}] = acc;",))
    if first.thin and not first.pool and not first.stores_directly and first.columns % first.width == 0:
        index = "column" if first.panel == "0" else "c"
        epilogue, result = kept_rows(epilogue, prologue_lines, first.c_type, first.columns, f"kept[{index}]")
        first = replace(first, result=result)
        plans = (first,)
    own = first.thin or first.narrow
    sums = dict.fromkeys(own.functions) if own else (tile_function(first.element, first.tile, first.pixel_stride),)
    shared: list[Shared] = [smaller_functions(), vector_type(first.element), *sums]
    shared += store_functions(first.element) if first.past else ()
    shared += {p.window.spread.name: p.window.spread.function for p in plans if p.window.spread}.values()
    launches: list[Launch] = []
    if first.filters:
        shared += pack_functions(first.element, first.width, first.filters.transposed)
        launches.append(Launch(f"{name}_filters", str(first.filters.taps * first.filters.panels)))
    if first.narrow and first.narrow.is_copied:
        launches.append(Launch(f"{name}_filters", str(first.taps_h * first.taps_w)))
    launches += [Launch(p.name, p.window.chunks) for p in plans]
    source = render(
        "c/conv2d.c.j2", phases=plans, name=name, comment=comment, epilogue=epilogue, filters=first.filters,
        c_type=first.c_type, x=x, y=y, words=frozenset(re.findall(r"\w+", " ".join(epilogue.lines))),
    )  # fmt: skip
    size = scratch(spec, target, pool)
    packed = first.filters or (first.narrow and first.narrow.is_copied)
    filters = "filters packed" if packed else "filters as they lie"
    phases = [f"{len(plans)} phases"] if len(plans) > 1 else []
    pooled = ["dy spread from its maxima" if first.pool is None else "max pooling"] if pool else []
    kept = f"{'narrow' if first.narrow else 'direct'}, tile {first.tile.rows} x {first.width}"
    if first.thin:
        kept = f"thin, {first.width} filters in registers"
    method = ", ".join([kept, filters, *phases, *pooled])
    return Emitted(
        insert_prologue(source, prologue_lines), tuple(launches), size, tuple(shared), method
    )
