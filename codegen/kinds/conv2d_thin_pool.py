"""Max pooling of convolutions of pictures of 1 to 4 channels: windows for `templates/c/thin_pool.c.j2`.

The sums of all pixels of a window stay in registers until its maximum is known, instead of rows of sums that wait in
the cache; the processor makes the next window's sums while it compares this one's.
Measured with two threads, windows of 2 x 2: kpcnn's first layer 2.1 ms instead of 2.65 with AVX-512, 3.8 instead of
4.7 with AVX2; 16 filters of 3 x 3 taps, 28 x 28 x 128 pictures: 0.14, not 0.22; 32 of 3 x 3 x 3, 128 x 128 x 32: 2.8,
not 3.3; 5 x 5 taps: no difference with AVX-512, 8 % slower with AVX2; 5 x 5 x 3: 13 % slower; vectors of 16 bytes: 2 %
slower; 6 filters, part of a vector: 40 % slower.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..c_text import plus, times
from ..tiles import Element
from .conv2d_window import Conv2DSpec, Window
from .pool import PoolPlan

MOST_SUMS = 8  # vectors of a window; the filters' taps have the other registers
MOST_PLACES = 9  # taps of a channel; and of all of them
MOST_TAPS = 27
FEWEST_BYTES = 32  # of a vector


@dataclass(frozen=True)
class ThinWindows:
    """How the windows of a row are summed: `vectors` of channels of all their pixels at a time."""

    spec: Conv2DSpec
    element: Element
    window: Window
    pool: PoolPlan
    vectors: int

    vector = property(lambda self: self.element.vector)
    lanes = property(lambda self: self.element.lanes)
    pixels = property(lambda self: self.pool.window_h * self.pool.window_w)
    taps = property(lambda self: self.spec.filter_h * self.spec.filter_w * self.spec.in_c)
    step = property(lambda self: self.pool.across.stride * self.spec.stride_w * self.spec.in_c)

    @property
    def places(self) -> tuple[int, ...]:
        """Where the taps of a pixel read the input, from its first."""
        s = self.spec
        return tuple(
            i * s.dilation_h * self.window.pitch + j * s.dilation_w * s.in_c + channel
            for i in range(s.filter_h)
            for j in range(s.filter_w)
            for channel in range(s.in_c)
        )

    @property
    def corners(self) -> tuple[int, ...]:
        """Where the pixels of a window begin, row by row, from its first."""
        s = self.spec
        rows, columns = range(self.pool.window_h), range(self.pool.window_w)
        return tuple(i * s.stride_h * self.window.pitch + j * s.stride_w * s.in_c for i in rows for j in columns)

    @property
    def left(self) -> str:
        """Where the first window of row `down` begins."""
        return plus("base", self.window.row_place("down", "0"))

    @property
    def window_place(self) -> str:
        """Where a window begins, from the first of its row."""
        return times("across", self.step)


def window_vectors(element: Element, pool: PoolPlan, spec: Conv2DSpec) -> int:
    """Vectors of channels that a window's sums are made of at a time; 0 if rows of sums are faster, or the only way."""
    places = spec.filter_h * spec.filter_w
    is_small = places <= MOST_PLACES and places * spec.in_c <= MOST_TAPS
    if not is_small or element.target.vector_bytes < FEWEST_BYTES or pool.is_clipped:
        return 0
    vectors = min(element.vectors(spec.out_c), MOST_SUMS // (pool.window_h * pool.window_w))
    return vectors if vectors and spec.out_c % (vectors * element.lanes) == 0 else 0
