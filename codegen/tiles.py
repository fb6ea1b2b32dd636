"""The C functions that matrix products and convolutions share: vector types, tiles of sums, packing of panels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .emitted import Shared
from .render import render
from .scalar import C_TYPES
from .target import Target, Tile

_LETTERS = {"float32": "f32", "float64": "f64", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64"}
_BYTES = {"float32": 4, "float64": 8, "int8": 1, "int16": 2, "int32": 4, "int64": 8}

LINE_BYTES = 64
FETCHED_ROWS = 32  # of which a tile fetches lines while it sums; a power of two
SPARSELY_FETCHED_STEPS = 128  # so long a tile fetches at every second step: 15488 x 128 x 500 with Adam takes 8 % less


def whole_lines(size: int) -> int:
    """So many bytes, up to a whole cache line."""
    return -(-size // LINE_BYTES) * LINE_BYTES


@dataclass(frozen=True)
class Element:
    """One dtype on one target: its C type, size, and the vector type made of it."""

    dtype: str
    target: Target

    @property
    def c_type(self) -> str:
        return C_TYPES[self.dtype]

    @property
    def letters(self) -> str:
        return _LETTERS[self.dtype]

    @property
    def bytes(self) -> int:
        return _BYTES[self.dtype]

    @property
    def lanes(self) -> int:
        return self.target.lanes(self.bytes)

    @property
    def vector(self) -> str:
        return f"tg_{self.letters}x{self.lanes}"

    def vectors(self, columns: int) -> int:
        """Vectors that hold `columns` elements."""
        return math.ceil(columns / self.lanes)


def vector_type(element: Element) -> Shared:
    source = render(
        "c/vector.h.j2",
        vector=element.vector,
        c_type=element.c_type,
        lanes=element.lanes,
        vector_bytes=element.target.vector_bytes,
        element_bytes=element.bytes,
    )
    return Shared(element.vector, source)


def tile_function(
    element: Element,
    tile: Tile,
    row_stride: int,
    partial: bool = False,
    runs: tuple[int, int] | None = None,
    fetches: bool = False,
) -> Shared:
    """`rows` x `vectors` sums of products; rows of the left operand lie `row_stride` elements apart.

    With `partial` the function takes that stride, and the number of rows that exist, as its last arguments. With `runs`
    of (so many, pitch), so many rows lie side by side, and the next so many `pitch` elements further on. One that
    `fetches` has as its last arguments the place and the pitch of `FETCHED_ROWS` rows that are needed later, and how often.
    """
    layout = f"runs{runs[0]}x{runs[1]}" if runs else f"stride{row_stride}"
    name = f"tg_tile_{element.letters}_{tile.rows}x{tile.vectors * element.lanes}_{'partial' if partial else layout}"
    name += "_fetching" if fetches else ""
    source = render(
        "c/tile.c.j2",
        name=name,
        c_type=element.c_type,
        vector=element.vector,
        lanes=element.lanes,
        rows=tile.rows,
        vectors=tile.vectors,
        row_stride=row_stride,
        row_place=f"r / {runs[0]} * {runs[1]} + r % {runs[0]}" if runs else f"r * {row_stride}",
        partial=partial,
        fetches=fetches,
        fetched_rows=FETCHED_ROWS,
        line=LINE_BYTES // element.bytes,
        # sums that are loaded first occupy registers with their places: in AVX-512 a step of mlp takes 2 % less if they are
        # added last, in AVX2 it takes 6 % more
        adds_last=element.target.vector_bytes >= 64,
    )
    return Shared(name, source)


def transpose_function(element: Element) -> Shared:
    """A square of vectors transposed in registers."""
    lanes = element.lanes
    name = f"tg_transpose_{element.vector.removeprefix('tg_')}"
    low, high = _interleaved(lanes)
    source = render(
        "c/transpose.c.j2",
        name=name,
        c_type=element.c_type,
        vector=element.vector,
        vector_bytes=element.target.vector_bytes,
        lanes=lanes,
        stages=lanes.bit_length() - 1,
        mask=f"tg_lanes_{element.letters}x{lanes}",
        mask_type=f"int{8 * element.bytes}_t",
        low=low,
        high=high,
    )
    return Shared(name, source)


def stream_function(element: Element) -> Shared:
    """Few rows of sums in memory, to which the right operand's rows are added, each times a number."""
    name = f"tg_stream_{element.letters}"
    # two numbers for each step have a register
    steps = 8 if element.target.registers >= 32 else 4
    source = render(
        "c/stream.c.j2", name=name, c_type=element.c_type, vector=element.vector, lanes=element.lanes, steps=steps
    )
    return Shared(name, source)


def dots_function(element: Element) -> tuple[Shared, ...]:
    """The products of few rows with many, last, after what it needs."""
    needed = lane_sums_function(element)
    name = f"tg_dots_{element.letters}"
    counts = [(2, "rows_here == 2"), (1, "rows_here == 1")]
    if element.target.registers >= 32:
        counts = [(4, "rows_here > 2"), *counts]
    source = render(
        "c/dots.c.j2", name=name, c_type=element.c_type, vector=element.vector, lanes=element.lanes,
        columns=max(4, element.lanes), most=counts[0][0], counts=counts, lane_sums=needed[-1].name,
    )  # fmt: skip
    return *needed, Shared(name, source)


def lane_sums_function(element: Element) -> tuple[Shared, ...]:
    """The sum of the lanes of each of as many vectors, last, after what it needs."""
    lanes = element.lanes
    low, high = _interleaved(lanes)
    name = f"tg_lane_sums_{element.vector.removeprefix('tg_')}"
    source = render(
        "c/lane_sums.h.j2", name=name, c_type=element.c_type, vector=element.vector, lanes=lanes,
        mask=f"tg_lanes_{element.letters}x{lanes}", low=low, high=high,
        halves=[lanes >> stage for stage in range(1, lanes.bit_length())],
    )  # fmt: skip
    return transpose_function(element), Shared(name, source)


def _interleaved(lanes: int) -> tuple[str, str]:
    """The lanes that make the lower and the upper half of two vectors interleaved."""
    both = [lane for i in range(lanes) for lane in (i, lanes + i)]
    return ", ".join(map(str, both[:lanes])), ", ".join(map(str, both[lanes:]))


def pack_functions(element: Element, width: int, transposed: bool) -> tuple[Shared, ...]:
    """The function that copies a panel of `width` columns, last, after what it needs."""
    transpose = transpose_function(element)
    name = f"tg_pack_{element.letters}x{width}{'_transposed' if transposed else ''}"
    source = render(
        "c/pack.c.j2",
        name=name,
        c_type=element.c_type,
        width=width,
        transposed=transposed,
        lanes=element.lanes,
        transpose=transpose.name,
    )
    packing = Shared(name, source)
    return (transpose, packing) if transposed else (packing,)


def later_functions(element: Element) -> Shared:
    """What a product needs later, and the piece of it that a tile fetches next."""
    name = f"tg_later_{element.letters}"
    return Shared(name, render("c/later.h.j2", name=name, c_type=element.c_type, rows=FETCHED_ROWS))


def smaller_functions() -> Shared:
    """The smaller and the larger of two integers."""
    return Shared("tg_smaller", render("c/smaller.h.j2"))
