"""How the output places of a sliding window reach the input places along one axis."""

from __future__ import annotations

from dataclasses import dataclass

from ..c_text import Operand, ceil_quotient, larger, minus, plus, smaller, times


@dataclass(frozen=True)
class Reach:
    """How output places of one axis reach input places: `out` * stride + `tap` * dilation - pad."""

    out: int
    taps: int
    size: int
    stride: int
    dilation: int
    pad: int

    @property
    def extent(self) -> int:
        """Input places from the first that is reached to the last."""
        return self.extent_of(self.out)

    def extent_of(self, out: int) -> int:
        return (out - 1) * self.stride + max(self.taps - 1, 0) * self.dilation + 1

    @property
    def is_inside(self) -> bool:
        """No tap falls outside the input."""
        return self.taps == 0 or (self.pad <= 0 and self.extent - self.pad <= self.size)

    def of_windows(self, windows: Reach) -> Reach:
        """How windows of output places reach input places."""
        return Reach(
            windows.out,
            (windows.taps - 1) * self.stride + max(self.taps - 1, 0) * self.dilation + 1,
            self.size,
            windows.stride * self.stride,
            1,
            windows.pad * self.stride + self.pad,
        )

    def input_place(self, out: int, tap: int) -> int:
        """The input place, which may lie outside."""
        return out * self.stride + tap * self.dilation - self.pad

    def place(self, out: Operand, tap: Operand) -> str:
        """The input place as a C expression."""
        return plus(times(out, self.stride), times(tap, self.dilation), -self.pad)

    def first_tap(self, out: str) -> str:
        """The first tap that is not before the input, as a C expression."""
        if self.is_inside or self.pad <= 0:
            return "0"
        before = minus(self.pad, times(out, self.stride))
        return larger(ceil_quotient(before, self.dilation), 0)

    def end_tap(self, out: str) -> str:
        """One more than the last tap that is not behind the input."""
        if self.is_inside:
            return str(self.taps)
        rest = minus(self.size + self.pad, times(out, self.stride))
        return smaller(ceil_quotient(rest, self.dilation), self.taps)

    def first_out(self, tap: str, begin: str) -> str:
        """The first output place from `begin` on whose tap is not before the input."""
        if self.is_inside or self.pad <= 0:
            return begin
        return larger(ceil_quotient(minus(self.pad, times(tap, self.dilation)), self.stride), begin)

    def end_out(self, tap: str, end: str) -> str:
        """One more than the last output place before `end` whose tap is not behind the input."""
        if self.is_inside:
            return end
        return smaller(ceil_quotient(minus(self.size + self.pad, times(tap, self.dilation)), self.stride), end)
