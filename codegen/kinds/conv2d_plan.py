"""What `templates/c/conv2d.c.j2` needs to know of a convolution, or of its input's gradient: phases, filters, places."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..c_text import minus, plus, quotient, remainder, smaller, times
from ..target import Tile
from ..tiles import Element
from .conv2d_narrow import NarrowTile
from .conv2d_thin import ThinRow
from .conv2d_thin_pool import ThinWindows
from .conv2d_window import Window
from .past_caches import is_past, store_name
from .pool import PoolPlan
from .reach import Reach


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
    windows: ThinWindows | None = None
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
    line_pixels = property(lambda self: self.pool.window_w if self.windows else self.out_w)  # whose sums are kept
    line_elements = property(lambda self: self.line_pixels * self.width)
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
