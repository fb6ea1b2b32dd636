"""Sliding windows: how many there are, how much padding they need, and where each of their taps reads.

A window of `size` taps, `dilation` apart, moves over one dimension in steps of `stride`. "VALID" windows lie inside
the dimension; "SAME" ones start at every `stride`-th element, with the padding that takes, the odd element behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import fail
from .shapes import Dim


def extent(size: int, dilation: int = 1) -> int:
    """The number of elements that a window reaches over."""
    return (size - 1) * dilation + 1


def window_out(length: Dim, size: int, stride: int = 1, dilation: int = 1, padding: str = "VALID") -> Dim:
    """The number of windows over a dimension of `length`; None if that is unknown. A shape error if none fits."""
    if stride < 1:
        fail(f"Stride must be > 0, but got {stride}")
    if length is None:
        return None
    if padding == "SAME":
        return length if stride == 1 else (length + stride - 1) // stride
    reach = extent(size, dilation)
    count = (length - reach) // stride + 1
    if length < reach:
        fail(
            f"Negative dimension size caused by subtracting {reach} from {length}",
            f"Computed output size would be negative: {count} [input_size: {length}, effective_filter_size: {reach}, "
            f"stride: {stride}]",
        )
    return count


def window_pad(
    length: int, size: int, stride: int = 1, dilation: int = 1, padding: str = "VALID"
) -> tuple[int, int]:
    """The elements to add (before, after) a dimension of `length`."""
    if padding == "VALID":
        return 0, 0
    count = window_out(length, size, stride, dilation, padding)
    total = max((count - 1) * stride + extent(size, dilation) - length, 0)
    return total // 2, total - total // 2


@dataclass(frozen=True)
class Window:
    """Windows over one dimension whose length is known."""

    length: int
    size: int
    stride: int
    dilation: int
    before: int  # padding
    after: int
    count: int

    @property
    def padded(self) -> int:
        """The length with its padding."""
        return self.length + self.before + self.after

    @property
    def span(self) -> int:
        """How far the first elements of all windows reach."""
        return (self.count - 1) * self.stride + 1

    def start(self, tap: int) -> int:
        """Where tap number `tap` of the first window reads, in the padded dimension."""
        return tap * self.dilation

    def taps(self) -> Iterator[tuple[int, slice]]:
        """Each tap with the elements, one per window, that it reads of the padded dimension."""
        for tap in range(self.size):
            first = self.start(tap)
            yield tap, slice(first, first + self.span if self.count else first, self.stride)


def window(length: int, size: int, stride: int, dilation: int, padding: str) -> Window:
    """The windows over a dimension of known `length`."""
    before, after = window_pad(length, size, stride, dilation, padding)
    return Window(
        length, size, stride, dilation, before, after, window_out(length, size, stride, dilation, padding)
    )


def windows_2d(
    lengths: Sequence[Any],
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
) -> tuple[Window, Window]:
    """The windows over height and width."""
    per_axis = zip(lengths, sizes, strides, dilations, strict=True)
    height, width = (window(int(n), int(k), int(s), int(d), padding) for n, k, s, d in per_axis)
    return height, width


def real_taps(windows: Window) -> list[int]:
    """For each window the number of its taps that lie inside the dimension, not in the padding."""
    end = windows.before + windows.length
    starts = range(0, windows.count * windows.stride, windows.stride)
    return [
        sum(windows.before <= start + windows.start(tap) < end for tap in range(windows.size))
        for start in starts
    ]
