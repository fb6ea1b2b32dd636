"""The gradient of filters over 1 to 4 channels: sums in registers while pixels pass by, for `templates/c/thin_filter.c.j2`.

A piece of the filter's taps has its sums in registers while the dy of one output row passes by. Behind a max pooling the
row is one of windows: each dy is multiplied at the place in its window that the maximum came from, and by zero at the
others, without being spread in memory first. The dy of the next row is fetched meanwhile: few taps take less time than
the memory.
Measured with two threads: the first layer of kpcnn 1.95 ms instead of 2.65, of convnet128 2.8 instead of 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..c_text import ceil_quotient, plus, quotient, smaller, times
from ..emitted import Shared
from ..render import render
from ..tiles import LINE_BYTES, Element
from .conv2d_thin import FEWEST_PIXELS, MOST_CHANNELS, equal_pieces, most_taps, starts_of
from .conv2d_window import Conv2DSpec, Window
from .pool import PoolSpec, overlaps
from .pool import plan as pool_plan

MOST_TAPS = 160
MOST_VECTORS = 2
FEWEST_SUMS = 6
ENOUGH_SUMS = 8  # two additions begin in a cycle and take four


@dataclass(frozen=True)
class ThinFilter:
    """How rows of dy are multiplied with the window of the input: the filter's taps in pieces, `vectors` of channels."""

    spec: Conv2DSpec
    element: Element
    window: Window
    vectors: int
    pieces: tuple[int, ...]
    pool: PoolSpec | None

    c_type = property(lambda self: self.element.c_type)
    vector = property(lambda self: self.element.vector)
    lanes = property(lambda self: self.element.lanes)
    integer = property(lambda self: f"int{8 * self.element.bytes}_t")
    line = property(lambda self: LINE_BYTES // self.element.bytes)
    width = property(lambda self: self.vectors * self.element.lanes)
    out_h = property(lambda self: self.pool.out_h if self.pool else self.spec.out_h)
    out_w = property(lambda self: self.pool.out_w if self.pool else self.spec.out_w)
    steps = property(lambda self: (self.pool.stride_h, self.pool.stride_w) if self.pool else (1, 1))
    row_elements = property(lambda self: self.out_w * self.spec.out_c)
    pixel_step = property(lambda self: self.steps[1] * self.spec.stride_w * self.spec.in_c)

    def place(self, tap: int) -> int:
        """Where the filter's row `tap` reads the window, from the pixel's first."""
        s = self.spec
        rows, rest = divmod(tap, s.filter_w * s.in_c)
        columns, channel = divmod(rest, s.in_c)
        return rows * s.dilation_h * self.window.pitch + columns * s.dilation_w * s.in_c + channel

    @property
    def corners(self) -> tuple[int, ...]:
        """Where the pixels of a pooling window begin, row by row; without a pooling there is one pixel."""
        if not self.pool:
            return (0,)
        s, across = self.spec, range(self.pool.window_w)
        rows = range(self.pool.window_h)
        return tuple(i * s.stride_h * self.window.pitch + j * s.stride_w * s.in_c for i in rows for j in across)

    def function(self, start: int, taps: int) -> Shared:
        """The C function of the piece that begins there."""
        places = tuple(self.place(start + k) - self.place(start) for k in range(taps))
        signature = (*places, *self.corners)
        shape = f"{taps}x{self.width}_step{self.pixel_step}_at" + "_".join(map(str, signature))
        name = f"tg_thin_filter_{self.element.letters}_{shape}"
        return Shared(name, render("c/thin_filter.c.j2", k=self, name=name, places=places, taps=taps))

    starts = property(lambda self: starts_of(self.pieces))

    @property
    def functions(self) -> tuple[Shared, ...]:
        return tuple(self.function(start, taps) for start, taps in zip(self.starts, self.pieces, strict=True))

    def calls(self, sums_pitch: int) -> tuple[tuple[str, str, str], ...]:
        """Of each piece: its function, where it reads from `inputs`, and where its sums are."""
        return tuple(
            (function.name, plus("inputs", self.place(start)), plus("sums", start * sums_pitch))
            for function, start in zip(self.functions, self.starts, strict=True)
        )

    @property
    def first_row(self) -> str:
        """The block's first row of dy; with a pooling a block begins with a row of windows."""
        return quotient(self.window.first_row, self.steps[0])

    @property
    def end_row(self) -> str:
        end = ceil_quotient(self.window.end_row, self.steps[0])
        return smaller(end, self.out_h) if self.pool else end

    @property
    def inputs_place(self) -> str:
        """The index from `base` of what row h of dy is multiplied with."""
        return self.window.row_place(times("h", self.steps[0]), "0")

    @property
    def row_widths(self) -> int:
        """Elements of a row of windows, `width` channels of each."""
        return self.out_w * self.width

    def dy_place(self, panel: str) -> str:
        row = plus(times("image", self.out_h), "h")
        return plus(times(row, self.row_elements), panel)


def thin_filter(spec: Conv2DSpec, element: Element, window: Window, pool: PoolSpec | None) -> ThinFilter | None:
    """How to sum the gradient of filters over so few channels; None if another kernel is faster or the only one."""
    taps = spec.filter_h * spec.filter_w * spec.in_c
    across = pool.out_w if pool else spec.out_w
    if spec.in_c > MOST_CHANNELS or across < FEWEST_PIXELS or taps > MOST_TAPS:
        return None
    if pool and (overlaps(pool) or pool_plan(pool).is_clipped):
        return None
    vectors = min(MOST_VECTORS, element.vectors(spec.out_c))
    most = most_taps(element.target, vectors)
    if spec.out_c % (vectors * element.lanes) or not most or min(taps, most) * vectors < FEWEST_SUMS:
        return None
    return ThinFilter(spec, element, window, vectors, _pieces(spec, vectors, most), pool)


def _pieces(spec: Conv2DSpec, vectors: int, most: int) -> tuple[int, ...]:
    """The filter in pieces of up to `most` taps: whole, or parts of its rows, which share functions, if they suffice."""
    row = spec.filter_w * spec.in_c
    taps = spec.filter_h * row
    of_row = equal_pieces(row, most)
    whole = taps <= most or of_row[0] * vectors < ENOUGH_SUMS
    return equal_pieces(taps, most) if whole else of_row * spec.filter_h
