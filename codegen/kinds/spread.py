"""The gradient before a max pooling, spread from the pooled one inside the loads of a convolution's gradients."""

from __future__ import annotations

from dataclasses import dataclass

from ..c_text import plus, quotient, smaller, times
from ..emitted import Shared
from ..render import render
from ..tiles import Element
from .pool import PoolSpec

CACHE_LINE_BYTES = 64


@dataclass(frozen=True)
class Spread:
    """Some columns of the picture, `width` channels of each pixel at a time.

    `pool` has the sizes of the forward pooling; its windows do not overlap.
    """

    pool: PoolSpec
    element: Element
    width: int
    first_column: int
    end_column: int

    window_h = property(lambda self: self.pool.window_h)
    window_w = property(lambda self: self.pool.window_w)
    is_partial = property(lambda self: self.pool.channels % self.width != 0)
    columns = property(lambda self: "columns" if self.is_partial else str(self.width))
    line_elements = property(lambda self: (self.end_column - self.first_column) * self.width)
    tap_number = property(lambda self: plus(times("i", self.window_w), "j"))
    row_elements = property(lambda self: self.pool.out_w * self.pool.channels)
    cache_line = property(lambda self: CACHE_LINE_BYTES // self.element.bytes)
    image_elements = property(lambda self: self.pool.out_h * self.pool.out_w * self.pool.channels)

    @property
    def name(self) -> str:
        p = self.pool
        sizes = (
            f"{p.in_h}x{p.in_w}x{p.channels}_{p.window_h}x{p.window_w}_{p.stride_h}x{p.stride_w}_{p.pad_top}x{p.pad_left}"
        )
        made = f"{self.first_column}_{self.end_column}"
        return f"tg_spread_{self.element.letters}x{self.width}_{sizes}_{p.out_h}x{p.out_w}_{made}"

    @property
    def function(self) -> Shared:
        """The C function: see `templates/c/spread.c.j2`."""
        return Shared(self.name, render("c/spread.c.j2", k=self, name=self.name, c_type=self.element.c_type))

    @property
    def fills(self) -> bool:
        """Some elements belong to no window, or lie behind the last channel."""
        p = self.pool
        down = p.window_h == p.stride_h and p.pad_top + p.in_h <= p.out_h * p.stride_h
        across = p.window_w == p.stride_w and p.pad_left + p.in_w <= p.out_w * p.stride_w
        return self.is_partial or not (down and across)

    @property
    def first_down(self) -> str:
        return quotient(plus("begin", self.pool.pad_top + self.pool.stride_h - self.window_h), self.pool.stride_h)

    @property
    def end_down(self) -> str:
        end = plus("end", self.pool.pad_top + self.pool.stride_h - 1)
        return smaller(quotient(end, self.pool.stride_h), self.pool.out_h)

    @property
    def first_across(self) -> int:
        return (self.first_column + self.pool.pad_left + self.pool.stride_w - self.window_w) // self.pool.stride_w

    @property
    def end_across(self) -> int:
        return min(-(-(self.end_column + self.pool.pad_left) // self.pool.stride_w), self.pool.out_w)

    @property
    def top(self) -> str:
        """The row of a window's first place."""
        return plus(times("down", self.pool.stride_h), -self.pool.pad_top)

    @property
    def left(self) -> str:
        """Its column, counted from the first one that is made."""
        return plus(times("across", self.pool.stride_w), -self.pool.pad_left - self.first_column)

    @property
    def is_clipped(self) -> bool:
        """Some windows reach over the columns that are made."""
        first = self.first_across * self.pool.stride_w - self.pool.pad_left
        last = (self.end_across - 1) * self.pool.stride_w - self.pool.pad_left + self.window_w
        return first < self.first_column or last > self.end_column

    @property
    def from_place(self) -> str:
        return times(plus(times("down", self.pool.out_w), "across"), self.pool.channels)

    def call(self, begin: str, end: str, panel: str, panel_columns: str, to: str, pitch: int) -> str:
        """The statement that makes rows `begin` .. `end`-1 of picture `image`, channels from `panel` on."""
        place = plus(times("image", self.image_elements), panel)
        columns = f"{panel_columns}, " if self.is_partial else ""
        return (
            f"{self.name}({plus('position', place)}, {plus('dy', place)}, {begin}, {end}, {columns}{to}, {pitch});"
        )
