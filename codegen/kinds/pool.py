"""Max and average pooling and their gradients: sizes and blocks for `templates/c/pool.c.j2`.

Pointers: max and avg read `x` and write `y`; max_at writes `position` too; max_grad reads `x`, `y`, `dy` and writes
`dx`; max_grad_at reads `position`, `dy` and writes `dx`; avg_grad reads `dy` and writes `dx`. No kernel needs scratch
memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..c_text import ceil_quotient, larger, minus, plus, quotient, remainder, smaller, times
from ..emitted import PLAIN, Emitted, Epilogue, Launch, Scratch, Shared, insert_prologue
from ..render import render
from ..scalar import C_TYPES, size_text
from ..tiles import Element, smaller_functions
from .reach import Reach

CHUNK_ELEMENTS = 32 * 1024
MOST_IMAGES = 64


@dataclass(frozen=True)
class PoolSpec:
    """Pooling of NHWC pictures. `op` is max, max_at, avg or a gradient of these; sizes are those of the forward one.

    `images` is an int or a `Batch`. An average is over the places inside the picture; the gradient of a maximum goes
    to the first one in row-major order of the window, which is where max_at finds it: row * columns + column in a byte.
    A NaN is larger than every number. `results` are the pointers that max_at stores to.
    """

    op: str
    images: Any
    in_h: int
    in_w: int
    channels: int
    window_h: int
    window_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    out_h: int
    out_w: int
    dtype: str = "float32"
    results: tuple[str, ...] = ("y", "position")


@dataclass(frozen=True)
class PoolPlan:
    """Everything the template needs to know."""

    spec: PoolSpec
    down: Reach
    across: Reach
    block_rows: int
    images_per_chunk: int
    input_rows: int = 0  # of dx that a chunk makes, from all windows that reach them; 0: chunks are rows of windows

    op = property(lambda self: self.spec.op)
    c_type = property(lambda self: C_TYPES[self.spec.dtype])
    in_h = property(lambda self: self.spec.in_h)
    out_w = property(lambda self: self.spec.out_w)
    channels = property(lambda self: self.spec.channels)
    window_h = property(lambda self: self.spec.window_h)
    window_w = property(lambda self: self.spec.window_w)
    row_elements = property(lambda self: self.spec.in_w * self.spec.channels)
    is_float = property(lambda self: self.spec.dtype.startswith("float"))
    is_gradient = property(lambda self: "_grad" in self.op)
    has_state = property(lambda self: self.op != "max_grad_at")  # something that is carried from tap to tap
    place_type = property(lambda self: f"uint{8 * np.dtype(self.spec.dtype).itemsize}_t")  # as wide as an element
    stores_y = property(lambda self: "y" in self.spec.results)
    stores_position = property(lambda self: self.op == "max_at" and "position" in self.spec.results)
    assign = property(lambda self: "+=" if overlaps(self.spec) else "=")
    j_begin = property(lambda self: self.across.first_tap("q"))
    j_end = property(lambda self: self.across.end_tap("q"))

    @property
    def row_blocks(self) -> int:
        """Chunks of a picture."""
        return math.ceil(self.in_h / self.input_rows) if self.input_rows else math.ceil(self.spec.out_h / self.block_rows)

    @property
    def first_row(self) -> str:
        """The chunk's first row of windows."""
        if self.input_rows:
            before = plus("first_cleared", self.down.pad - self.window_h + 1)
            return larger(ceil_quotient(before, self.down.stride), 0)
        return "0" if self.row_blocks == 1 else "first_row"

    @property
    def end_row(self) -> str:
        if self.input_rows:
            end = plus(quotient(plus("end_cleared", self.down.pad - 1), self.down.stride), 1)
            return smaller(end, self.spec.out_h)
        return str(self.spec.out_h) if self.row_blocks == 1 else "end_row"

    @property
    def i_begin(self) -> str:
        """The first tap of the windows at h that is inside the picture and the chunk."""
        first = self.down.first_tap("h")
        return larger(minus("first_cleared", self.down.place("h", 0)), first) if self.input_rows else first

    @property
    def i_end(self) -> str:
        end = self.down.end_tap("h")
        return smaller(minus("end_cleared", self.down.place("h", 0)), end) if self.input_rows else end

    @property
    def image_end(self) -> str:
        """One more than the last image of a chunk."""
        return smaller(times("(chunk + 1)", self.images_per_chunk), size_text(self.spec.images))

    @property
    def chunks(self) -> str:
        images = size_text(self.spec.images)
        return ceil_quotient(images, self.images_per_chunk) if self.row_blocks == 1 else times(images, self.row_blocks)

    @property
    def block_lines(self) -> tuple[str, ...]:
        """C declarations that find the chunk's image and rows."""
        if self.input_rows:
            return (f"const int64_t image = {quotient('chunk', self.row_blocks)};",)
        return (
            f"const int64_t image = {quotient('chunk', self.row_blocks)};",
            f"const int64_t first_row = {times(remainder('chunk', self.row_blocks), self.block_rows)};",
            f"const int64_t end_row = {smaller(plus('first_row', self.block_rows), self.spec.out_h)};",
        )

    @property
    def window_place(self) -> str:
        """The index in x of the window's first element, which may lie outside."""
        row = plus(times("image", self.in_h), self.down.place("h", 0))
        return times(plus(times(row, self.spec.in_w), self.across.place("q", 0)), self.channels)

    @property
    def output_place(self) -> str:
        row = plus(times("image", self.spec.out_h), "h")
        return times(plus(times(row, self.out_w), "q"), self.channels)

    @property
    def tap_place(self) -> str:
        """The index of the window's element (i, j) from its first."""
        return times(plus(times("i", self.spec.in_w), "j"), self.channels)

    @property
    def tap_number(self) -> str:
        """What `position` holds if the tap (i, j) is the window's first maximum."""
        return plus(times("i", self.window_w), "j")

    @property
    def first_tap_number(self) -> str:
        return plus(times("i_begin", self.window_w), "j_begin") if self.is_clipped else "0"

    @property
    def first_value(self) -> str:
        """The index of the window's first element inside the picture."""
        inside = times(plus(times(self.i_begin, self.spec.in_w), self.j_begin), self.channels)
        if self.is_clipped:
            inside = times(plus(times("i_begin", self.spec.in_w), "j_begin"), self.channels)
        return plus("first", inside, "c")

    @property
    def is_clipped(self) -> bool:
        """Some windows hang over an edge, so that their bounds are not constants."""
        return self.input_rows > 0 or not (self.down.is_inside and self.across.is_inside)

    @property
    def count(self) -> str:
        """How many elements of the window are inside the picture."""
        if not self.is_clipped:
            return str(self.window_h * self.window_w)
        if self.input_rows:
            rows = minus(self.down.end_tap("h"), self.down.first_tap("h"))
            return f"({self.c_type})({times(rows, '(j_end - j_begin)')})"
        return f"({self.c_type})((i_end - i_begin) * (j_end - j_begin))"

    @property
    def clears(self) -> bool:
        """dx must be zeroed first: windows overlap, or leave places out."""
        tiled = all(r.taps == r.stride and r.pad == 0 and r.out * r.stride >= r.size for r in (self.down, self.across))
        return self.is_gradient and not tiled

    @property
    def first_cleared(self) -> str:
        """The first of the input rows that belong to a chunk."""
        if self.input_rows:
            return times(remainder("chunk", self.row_blocks), self.input_rows)
        return "0" if self.row_blocks == 1 else larger(self.down.place("first_row", 0), 0)

    @property
    def end_cleared(self) -> str:
        if self.input_rows:
            return smaller(plus(self.first_cleared, self.input_rows), self.in_h)
        if self.row_blocks == 1:
            return str(self.in_h)
        return f"end_row < {self.spec.out_h} ? {self.down.place('end_row', 0)} : {self.in_h}"

    @property
    def cleared_place(self) -> str:
        return times(plus(times("image", self.in_h), "first_cleared"), self.row_elements)

    @property
    def cleared_elements(self) -> str:
        return times(minus("end_cleared", "first_cleared"), self.row_elements)


def overlaps(spec: PoolSpec) -> bool:
    return spec.window_h > spec.stride_h or spec.window_w > spec.stride_w


def plan(spec: PoolSpec) -> PoolPlan:
    """Rows or images per chunk."""
    down = Reach(spec.out_h, spec.window_h, spec.in_h, spec.stride_h, 1, spec.pad_top)
    across = Reach(spec.out_w, spec.window_w, spec.in_w, spec.stride_w, 1, spec.pad_left)
    row_elements = max(1, spec.in_w * spec.channels * spec.stride_h)
    block = min(spec.out_h, max(1, CHUNK_ELEMENTS // row_elements))
    input_rows = 0
    if "_grad" in spec.op and spec.window_h > spec.stride_h:
        # the rows of dx would belong to two chunks of windows; who asks for maxima again, must see whole windows
        rows = CHUNK_ELEMENTS // max(1, spec.in_w * spec.channels)
        input_rows = max(rows, spec.window_h) if block < spec.out_h and spec.op != "max_grad" else 0
        block = spec.out_h
    images = max(1, min(MOST_IMAGES, CHUNK_ELEMENTS // (row_elements * spec.out_h)))
    return PoolPlan(spec, down, across, block, images, input_rows if input_rows < spec.in_h else 0)


def maxima_function(element: Element) -> Shared:
    """The maxima of windows in which there may be a NaN, for convolutions that a pooling is fused to."""
    name = f"tg_maxima_{element.letters}"
    place_type = f"uint{8 * element.bytes}_t"
    return Shared(name, render("c/maxima.c.j2", name=name, c_type=element.c_type, place_type=place_type))


def tiles_input(spec: PoolSpec) -> bool:
    """True if the windows cover every element of the input exactly once, so that a gradient may have an epilogue."""
    return not plan(spec).clears


def emit(
    spec: PoolSpec, name: str, prologue_lines: Sequence[str], epilogue: Epilogue = PLAIN, comment: str = ""
) -> Emitted:
    """The C of one pooling; `prologue_lines` declare `N`, the pointers and whatever the epilogue reads.

    An epilogue's `row` is the flat pixel of dx, its `column` the channel.
    """
    p = plan(spec)
    source = render("c/pool.c.j2", p=p, name=name, comment=comment, epilogue=epilogue)
    return Emitted(
        insert_prologue(source, prologue_lines), (Launch(name, p.chunks),), Scratch(), (smaller_functions(),)
    )
