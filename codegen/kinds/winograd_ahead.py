"""Memory that Winograd's kernels read and write, fetched into the second-level cache a block ahead of its use.

The transforms walk over memory in bursts, while the products between them need only what is near: lines that are fetched
there, a few after each tile of sums, cost nothing. It takes 3 to 8 % off the kernels of kpcnn and convnet128 (the gradient
of 32 x 128 x 128 x 32 pixels: 11.5 -> 10.3 ms).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..c_text import plus, times
from ..emitted import Shared
from ..render import render
from ..tiles import LINE_BYTES


@dataclass(frozen=True)
class Ahead:
    """An array of `picture_bytes` for the `squares` squares of each picture, a block of `block` squares ahead.

    Squares of a row lie over whole rows of the picture: those of the first `across` squares after the block belong to it.
    Its lines are fetched in `calls` shares.
    """

    pointer: str
    picture_bytes: int
    squares: int
    across: int
    block: int
    calls: int

    lines = property(lambda self: math.ceil(self.picture_bytes * self.block / (self.squares * LINE_BYTES * self.calls)))

    @property
    def place(self) -> str:
        """Where the memory of the block after the one from square `first` begins."""
        squares = times(plus("first", self.block + self.across), self.picture_bytes)
        return f"(const char *){self.pointer} + {squares} / {self.squares}"


def fetch_function() -> Shared:
    """Fetches so many lines and returns the end of them."""
    return Shared("tg_fetch_lines", render("c/winograd_ahead.h.j2", line=LINE_BYTES))
