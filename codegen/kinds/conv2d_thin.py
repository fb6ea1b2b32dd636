"""Convolutions of pictures of 1 to 4 channels: rows of sums for `templates/c/thin_row.c.j2`.

Few taps do not repay what a tile of sums costs to clear, to call and to store. Here the filters stay in registers instead,
those of one row of taps or a piece of it, while the pixels of an output row pass by; the sums wait in the first-level cache.
Measured alone on one thread with AVX-512: 32 filters of 3 x 3 taps and 1 or 3 channels reach 98 % of the multiply-add peak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

from ..c_text import plus
from ..emitted import Shared
from ..render import render
from ..target import Target
from ..tiles import Element
from .reach import Reach

MOST_CHANNELS = 4
MOST_VECTORS = 3
FEWEST_PIXELS = 8  # of a row, which load the filters once
SEGMENT_BYTES = 4 * 1024  # of sums: their stores then wait while the next are made (convnet128: 2.5 ms; with 16 KB 3.0)


@dataclass(frozen=True)
class ThinRow:
    """How one output row is summed: the row of taps in pieces of so many, each with its filters in `vectors` registers."""

    element: Element
    across: Reach
    channels: int
    vectors: int
    pieces: tuple[int, ...]

    c_type = property(lambda self: self.element.c_type)
    vector = property(lambda self: self.element.vector)
    lanes = property(lambda self: self.element.lanes)
    width = property(lambda self: self.vectors * self.element.lanes)
    step = property(lambda self: self.across.stride * self.channels)
    pixels = property(lambda self: max(1, 2 // self.vectors))  # at a time: two sums hide the time that an addition takes

    @property
    def segment(self) -> int:
        """Pixels whose sums are made at a time; all rows are cut into equal parts, but the last one."""
        most = max(FEWEST_PIXELS, SEGMENT_BYTES // (self.width * self.element.bytes))
        return math.ceil(self.across.out / math.ceil(self.across.out / most))

    starts = property(lambda self: starts_of(self.pieces))  # the first tap and channel of each piece

    def place(self, tap: int) -> int:
        """Where a tap and channel of the row reads the input, from the pixel's first."""
        return tap // self.channels * self.across.dilation * self.channels + tap % self.channels

    def places(self, start: int, taps: int) -> tuple[int, ...]:
        """Where the taps of a piece read the input, from its first."""
        return tuple(self.place(start + k) - self.place(start) for k in range(taps))

    def function(self, start: int, taps: int) -> Shared:
        """The C function of the piece that begins there: see `templates/c/thin_row.c.j2`."""
        places = self.places(start, taps)
        runs = "" if places == tuple(range(taps)) else "_at" + "_".join(map(str, places))
        name = f"tg_thin_{self.element.letters}_{taps}x{self.width}_stride{self.step}{runs}"
        steps = [(pixels, pixels * self.step) for pixels in sorted({1, self.pixels}, reverse=True)]
        return Shared(name, render("c/thin_row.c.j2", k=self, name=name, places=places, taps=taps, steps=steps))

    @property
    def functions(self) -> tuple[Shared, ...]:
        return tuple(self.function(start, taps) for start, taps in zip(self.starts, self.pieces, strict=True))

    def calls(self, right_step: int) -> tuple[tuple[str, str, str, bool], ...]:
        """Of each piece: its function, where it reads inputs and filters, and whether it is the first."""
        return tuple(
            (function.name, plus("inputs", self.place(start)), plus("filters", start * right_step), start == 0)
            for function, start in zip(self.functions, self.starts, strict=True)
        )


def thin_row(element: Element, across: Reach, channels: int, columns: int) -> ThinRow | None:
    """How to sum rows of so few channels; None if there are more, or too few pixels."""
    if channels > MOST_CHANNELS or across.out < FEWEST_PIXELS:
        return None
    needed = element.vectors(columns)
    taps = across.taps * channels

    def pieces(vectors: int) -> tuple[int, ...]:
        return equal_pieces(taps, most_taps(element.target, vectors))

    def cycles(vectors: int) -> float:
        """Of a pixel: the products, or what is loaded, and the sums on their way to the cache and back."""
        each = sum(max(size * vectors / 2, (size + vectors) / 2, vectors) + 0.5 for size in pieces(vectors))
        return math.ceil(needed / vectors) * each

    fitting = [v for v in range(1, min(MOST_VECTORS, needed) + 1) if most_taps(element.target, v)]
    vectors = min(fitting, key=lambda v: (cycles(v), -v))
    return ThinRow(element, across, channels, vectors, pieces(vectors))


def equal_pieces(taps: int, most: int) -> tuple[int, ...]:
    """The sizes of as few pieces of up to `most` taps as there can be, as equal as they can be."""
    count = math.ceil(taps / most)
    return tuple((taps + i) // count for i in reversed(range(count)))


def starts_of(pieces: tuple[int, ...]) -> tuple[int, ...]:
    return (0, *accumulate(pieces[:-1]))


def most_taps(target: Target, vectors: int) -> int:
    """Taps of which the filters have a register each: 5 of 8 registers; with 11 taps of two vectors of 32 12 % are lost."""
    return target.registers * 5 // 8 // vectors
