"""Winograd's linear maps for 4x4 outputs, 3x3 filters and the points 0, 1, -1, 2, -2 and infinity.

A polynomial product is computed at 6 points: evaluate both factors, multiply point by point, interpolate. A correlation
is its transpose (Lavin and Gray, 2015). Each map is given in one dimension and applied to columns, then rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..c_text import minus, plus, times
from ..emitted import Shared
from ..render import render
from ..tiles import Element

TILE = 4  # output pixels of a square along each axis
SQUARE = 6  # input pixels
POINTS = SQUARE * SQUARE


@dataclass(frozen=True)
class Transform:
    """`results` as expressions of the inputs d0, d1, ... and of the variables that `lines` define."""

    taken: str
    made: str
    inputs: int
    lines: tuple[str, ...]
    results: tuple[str, ...]

    @property
    def outputs(self) -> int:
        return len(self.results)


TRANSFORMS = {
    "input": Transform(
        "input pixels", "points", 6,
        ("a = d4 - 4 * d2", "b = d3 - 4 * d1", "e = d4 - d2", "f = 2 * (d3 - d1)"),
        ("4 * d0 - 5 * d2 + d4", "a + b", "a - b", "e + f", "e - f", "4 * d1 - 5 * d3 + d5"),
    ),
    "filter": Transform(
        "filter taps", "points", 3,
        ("a = d0 + d2", "b = d0 * (1.0f / 24) + d2 * (1.0f / 6)"),
        (
            "d0 * 0.25f", "(a + d1) * (-1.0f / 6)", "(d1 - a) * (1.0f / 6)",
            "b + d1 * (1.0f / 12)", "b - d1 * (1.0f / 12)", "d2",
        ),
    ),
    "output": Transform(
        "points", "output pixels", 6,
        ("a = d1 + d2", "b = d1 - d2", "e = d3 + d4", "f = d3 - d4"),
        ("d0 + a + e", "b + 2 * f", "a + 4 * e", "b + 8 * f + d5"),
    ),
    "gradient": Transform(
        "output pixels", "points", 4,
        ("a = d0 + d2", "b = d1 + d3", "e = d0 + 4 * d2", "f = 2 * d1 + 8 * d3"),
        ("d0", "a + b", "a - b", "e + f", "e - f", "d3"),
    ),
    "taps": Transform(
        "points", "filter taps", 6,
        ("a = d1 + d2", "b = d2 - d1", "e = d3 + d4", "f = d3 - d4"),
        (
            "d0 * 0.25f - a * (1.0f / 6) + e * (1.0f / 24)", "b * (1.0f / 6) + f * (1.0f / 12)",
            "(e - a) * (1.0f / 6) + d5",
        ),
    ),
}  # fmt: skip
"""By role. `gradient` and `taps` are the transposes of `output` and `filter`."""


def transform_function(element: Element, role: str) -> Shared:
    """The C of one map."""
    name = f"tg_winograd_{role}_{element.vector.removeprefix('tg_')}"
    source = render(
        "c/winograd_transform.c.j2",
        name=name,
        t=TRANSFORMS[role],
        vector=element.vector,
        lanes=element.lanes,
        c_type=element.c_type,
    )
    return Shared(name, source)


def square_function(element: Element, side: int) -> Shared:
    """The copy of a square that hangs over the edge of its picture."""
    name = f"tg_square_{element.letters}_{side}"
    return Shared(name, render("c/winograd_square.c.j2", name=name, c_type=element.c_type, side=side))


@dataclass(frozen=True)
class Squares:
    """The squares of `side` pixels that belong to the output pixels (h, q) of each tile, as C expressions."""

    pointer: str
    height: int
    width: int
    channels: int
    side: int
    pad_top: int = 0
    pad_left: int = 0

    top = property(lambda self: minus("h", self.pad_top))
    left = property(lambda self: minus("q", self.pad_left))

    @property
    def is_inside(self) -> bool:
        """No square hangs over an edge: tiles that lie side by side."""
        exact = self.height % self.side == 0 and self.width % self.side == 0
        return self.side == TILE and exact and self.pad_top == 0 and self.pad_left == 0

    @property
    def inside(self) -> str:
        """Whether the square at (h, q) does not."""
        tests = (f"{self.top} >= 0" if self.pad_top > 0 else "", f"{self.left} >= 0" if self.pad_left > 0 else "")
        ends = (
            f"{plus(self.top, self.side)} <= {self.height}",
            f"{plus(self.left, self.side)} <= {self.width}",
        )
        return " && ".join(text for text in (*tests, *ends) if text)

    @property
    def first_pixel(self) -> str:
        row = plus(times("image", self.height), self.top)
        return f"({plus(times(row, self.width), self.left)})"
