"""The two sides of a product on a GPU: where each thread finds the numbers that it brings to shared memory.

An operand is `size` long across (rows of the left side, columns of the right one) and `p.depth` deep. A thread loads `items`
vectors in each step. The texts know: `thread`, `step` (the first depth of this step), `end` (of this block's share), `i`
(which item), and declare `inside` and the place of an item. Consecutive threads follow the direction in which memory runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..c_text import minus, plus, quotient, remainder, times
from .tiles import Tile

OUTSIDE = -(1 << 30)  # a picture row that no tap brings back into the picture
VECTOR = 4  # floats of one load, 16 bytes


@dataclass(frozen=True)
class Operand:
    """What all operands have: `side` is left or right, `pointer` the C name of its memory."""

    side: str
    pointer: str
    c_type: str
    tile: Tile
    pitch_rest: int  # elements behind each row of the shared tile, so that threads find other banks

    @property
    def extent(self) -> int:
        """Elements across that a block loads."""
        return self.tile.rows if self.side == "left" else self.tile.columns

    @property
    def first(self) -> str:
        return "first_row" if self.side == "left" else "first_column"

    @property
    def limit(self) -> str:
        return "rows" if self.side == "left" else "columns"

    @property
    def next(self) -> str:
        return f"next_{self.side}"

    @property
    def pitch(self) -> int:
        return self.extent + self.pitch_rest

    @property
    def kept(self) -> int:
        """Elements of shared memory: two steps."""
        return 2 * self.tile.depth * self.pitch

    @property
    def row_of_step(self) -> str:
        """The row of the shared tile at depth `k` of a step."""
        return f"{self.side}[half * {self.tile.depth} + k]"

    # what a kind of operand says: along which direction its memory runs, and how many elements at a time are together

    @property
    def runs_deep(self) -> bool:
        raise NotImplementedError

    @property
    def together(self) -> bool:
        """Every aligned group of VECTOR elements along that direction lies in one piece, at an aligned address."""
        raise NotImplementedError

    @property
    def width(self) -> int:
        return VECTOR if self.together and self.c_type == "float" else 1

    @property
    def type(self) -> str:
        return "float4" if self.width > 1 else self.c_type

    @property
    def vectors(self) -> int:
        return self.extent * self.tile.depth // self.width

    @property
    def items(self) -> int:
        return max(1, self.vectors // self.tile.threads)

    @property
    def guard(self) -> str:
        """True for the threads that have something to load, if not all have."""
        return f"thread < {self.vectors}" if self.vectors < self.tile.threads else ""

    @property
    def across(self) -> str:
        """The element of the tile across, of item i."""
        if self.runs_deep:
            steps = self.tile.depth // self.width
            moved = times("i", self.tile.threads // steps) if self.items > 1 else 0
            return plus(quotient("thread", steps), moved)
        return times(remainder("thread", self.extent // self.width), self.width)

    @property
    def deep(self) -> str:
        """The step's depth of item i."""
        if self.runs_deep:
            return times(remainder("thread", self.tile.depth // self.width), self.width)
        vectors = self.extent // self.width
        return plus(quotient("thread", vectors), times("i", self.tile.threads // vectors) if self.items > 1 else 0)

    @property
    def guarded(self) -> str:
        return f"{self.guard} && " if self.guard else ""

    @property
    def keep_lines(self) -> tuple[str, ...]:
        """From registers to the tile in shared memory."""
        row = f"{self.side}[half * {self.tile.depth} + deep"
        if self.width == 1:
            return (f"{row}][across] = {self.next}[i];",)
        if not self.runs_deep:
            return (f"*(float4 *)&{row}][across] = {self.next}[i];",)
        return tuple(f"{row}{f' + {q}' if q else ''}][across] = {self.next}[i].{'xyzw'[q]};" for q in range(VECTOR))

    def loaded(self, place: str) -> str:
        if self.width == 1:
            return f"{self.source}[{place}]"
        return f"*(const float4 *)({self.source} + {place})"

    @property
    def source(self) -> str:
        return self.pointer

    inside = "inside"

    # texts, none unless a kind needs them

    @property
    def setup_lines(self) -> tuple[str, ...]:
        """Declarations before the first step."""
        return ()

    @property
    def setup_item_lines(self) -> tuple[str, ...]:
        """The same for each item."""
        return ()

    @property
    def step_lines(self) -> tuple[str, ...]:
        """Declarations at the beginning of a step."""
        return ()


@dataclass(frozen=True)
class MatrixOperand(Operand):
    """A matrix in memory, `deep_rows`: one row per element across, the depth along the row; else one row per depth."""

    deep_rows: bool = True
    size: Any = 0  # across, a C expression or number
    depth: Any = 0
    aligned: bool = True
    several: str = ""  # which product of many this is, a C name

    @property
    def runs_deep(self) -> bool:
        return self.deep_rows

    @property
    def memory_pitch(self) -> Any:
        return self.depth if self.deep_rows else self.size

    @property
    def together(self) -> bool:
        # a row that grows with N has no alignment; several products lie one behind the other
        return self.aligned and isinstance(self.memory_pitch, int) and self.memory_pitch % VECTOR == 0

    @property
    def source(self) -> str:
        return f"{self.side}_matrix" if self.several else self.pointer

    @property
    def setup_lines(self) -> tuple[str, ...]:
        if not self.several:
            return ()
        place = times(f"(int64_t){self.several}", *(_factor(d) for d in (self.size, self.depth)))
        return (f"const {self.c_type} *const {self.source} = {self.pointer} + {place};",)

    @property
    def item_lines(self) -> tuple[str, ...]:
        return (
            f"const int across = {plus(self.first, self.across)}, deep = {plus('step', self.deep)};",
            f"const bool inside = {self.guarded}across < {self.limit} && deep < end;",
        )

    @property
    def load(self) -> str:
        long, short = ("across", "deep") if self.deep_rows else ("deep", "across")
        return self.loaded(plus(times(f"(int64_t){long}", _factor(self.memory_pitch)), short))


def _factor(dim: Any) -> Any:
    return dim if isinstance(dim, int) or str(dim).isidentifier() else f"({dim})"


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
            f"top[i] = {self.guarded}pixel < {self.limit} ? {top} : {OUTSIDE};",
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
    def load(self) -> str:
        return self.loaded(self.picture.place)


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
            f"const int down = {self.guarded}tap < {self.limit} ? {minus(down, p.pad_top)} : {OUTSIDE};",
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
    def load(self) -> str:
        p = self.picture
        image = times(f"(int64_t)({p.pixel('pixel')[0]})", p.elements)
        return self.loaded(plus(image, p.place))


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
            f"const bool inside = {self.guarded}across < {self.limit} && deep_right < end;",
        )

    @property
    def load(self) -> str:
        return self.loaded(plus("filter_place", times("across", self.out_channels)))
