"""Operands of products that are pictures under a filter, or the filter itself: see `operands`."""

from __future__ import annotations

from dataclasses import dataclass

from ..c_text import minus, plus, quotient, remainder, times
from .operands import VECTOR, Operand

OUTSIDE = -(1 << 30)  # a picture row that no tap brings back into the picture


@dataclass(frozen=True)
class Picture:
    """Pictures seen from the places that filters are put to: along each axis, place * stride + tap * dilation - pad."""

    height: int
    width: int
    channels: int
    out_h: int
    out_w: int
    taps_h: int
    taps_w: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_top: int
    pad_left: int

    @property
    def elements(self) -> int:
        return self.height * self.width * self.channels

    def pixel(self, place: str) -> tuple[str, str, str]:
        """The picture, row and column of a flat output pixel."""
        row = quotient(place, self.out_w)
        return quotient(place, self.out_h * self.out_w), remainder(row, self.out_h), remainder(place, self.out_w)

    def tap(self, place: str) -> tuple[str, str, str]:
        """How far down and across a flat (tap, channel) reaches, and its channel."""
        taps = quotient(place, self.channels)
        down = times(quotient(taps, self.taps_w), self.dilation_h) if self.taps_h > 1 else "0"
        over = times(remainder(taps, self.taps_w), self.dilation_w)
        return down, over, remainder(place, self.channels)

    @property
    def inside(self) -> str:
        """True for a place in the picture, `in_row` and `in_column`."""
        return f"0 <= in_row && in_row < {self.height} && 0 <= in_column && in_column < {self.width}"

    @property
    def place(self) -> str:
        """Where that place's `channel` lies in the picture."""
        return plus(times(f"({plus(times('in_row', self.width), 'in_column')})", self.channels), "channel")


@dataclass(frozen=True)
class PixelsOperand(Operand):
    """Across: output pixels; deep: taps and channels. A thread keeps to its pixels."""

    picture: Picture = None  # type: ignore[assignment]
    aligned: bool = True

    runs_deep = True
    source = "picture[i]"

    @property
    def together(self) -> bool:
        return self.aligned and self.picture.channels % VECTOR == 0

    @property
    def setup_lines(self) -> tuple[str, ...]:
        return (
            "// the top left corner of what this thread's pixels see",
            f"const {self.c_type} *picture[{self.items}];",
            f"int top[{self.items}], leftmost[{self.items}];",
        )

    @property
    def setup_item_lines(self) -> tuple[str, ...]:
        p = self.picture
        image, h, w = p.pixel("pixel")
        top, left = minus(times(h, p.stride_h), p.pad_top), minus(times(w, p.stride_w), p.pad_left)
        return (
            f"const int pixel = {plus(self.first, self.across)};",
            f"picture[i] = {self.pointer} + {times(f'(int64_t)({image})', p.elements)};",
            f"top[i] = pixel < {self.limit} ? {top} : {OUTSIDE};",
            f"leftmost[i] = {left};",
        )

    @property
    def step_lines(self) -> tuple[str, ...]:
        down, over, channel = self.picture.tap("deep")
        return (
            f"const int deep = {plus('step', self.deep)};",
            f"const int down = {down}, over = {over}, channel = {channel};",
        )

    @property
    def item_lines(self) -> tuple[str, ...]:
        p = self.picture
        return (
            "const int in_row = top[i] + down, in_column = leftmost[i] + over;",
            f"const bool inside = deep < end && {p.inside};",
        )

    @property
    def place(self) -> str:
        return self.picture.place


@dataclass(frozen=True)
class TapsOperand(Operand):
    """Across: taps and channels; deep: output pixels. A thread keeps to its tap."""

    picture: Picture = None  # type: ignore[assignment]
    aligned: bool = True

    runs_deep = False

    @property
    def together(self) -> bool:
        return self.aligned and self.picture.channels % VECTOR == 0

    @property
    def setup_lines(self) -> tuple[str, ...]:
        p = self.picture
        down, over, channel = p.tap("tap")
        return (
            "// where this thread's tap lies from a pixel",
            f"const int tap = {plus(self.first, self.across)}, channel = {channel};",
            f"const int down = tap < {self.limit} ? {minus(down, p.pad_top)} : {OUTSIDE};",
            f"const int over = {minus(over, p.pad_left)};",
        )

    @property
    def item_lines(self) -> tuple[str, ...]:
        p = self.picture
        _, h, w = p.pixel("pixel")
        return (
            f"const int pixel = {plus('step', self.deep)};",
            f"const int in_row = {plus(times(h, p.stride_h), 'down')}, in_column = {plus(times(w, p.stride_w), 'over')};",
            f"const bool inside = pixel < end && {p.inside};",
        )

    @property
    def place(self) -> str:
        p = self.picture
        image = times(f"(int64_t)({p.pixel('pixel')[0]})", p.elements)
        return plus(image, p.place)


@dataclass(frozen=True)
class Taps:
    """Those taps of a filter that reach the pixels of one phase: `first` + t * `step`, `count` of them, along each axis."""

    first_h: int
    first_w: int
    step_h: int
    step_w: int
    count_h: int
    count_w: int
    filter_w: int


@dataclass(frozen=True)
class TurnedFilterOperand(Operand):
    """Across: input channels; deep: taps and output channels, as the gradient of the input sums them."""

    taps: Taps = None  # type: ignore[assignment]
    in_channels: int = 0
    out_channels: int = 0
    aligned: bool = True

    runs_deep = True

    @property
    def together(self) -> bool:
        return self.aligned and self.out_channels % VECTOR == 0

    @property
    def step_lines(self) -> tuple[str, ...]:
        t = self.taps
        if t.count_h * t.count_w == 0:
            return ("const int deep_right = step, filter_place = 0;",)
        number = quotient("deep_right", self.out_channels)
        row = plus(times(quotient(number, t.count_w), t.step_h), t.first_h)
        column = plus(times(remainder(number, t.count_w), t.step_w), t.first_w)
        tap = plus(times(f"({row})" if " " in row else row, t.filter_w), column)
        place = times(f"({tap})" if " " in tap else tap, self.in_channels * self.out_channels)
        return (
            f"const int deep_right = {plus('step', self.deep)};",
            f"const int filter_place = {plus(place, remainder('deep_right', self.out_channels))};",
        )

    @property
    def item_lines(self) -> tuple[str, ...]:
        return (
            f"const int across = {plus(self.first, self.across)};",
            f"const bool inside = across < {self.limit} && deep_right < end;",
        )

    @property
    def place(self) -> str:
        return plus("filter_place", times("across", self.out_channels))
