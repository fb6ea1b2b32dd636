"""What the convolution kernels have in common: the spec, and the copy of input rows with zeros at the edges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..c_text import ceil_quotient, larger, minus, plus, quotient, remainder, smaller, times
from ..scalar import size_text
from ..tiles import Element, whole_lines
from .reach import Reach
from .spread import Spread

STACK_BYTES = 160 * 1024  # a larger window lives in the kernel's scratch memory


@dataclass(frozen=True)
class Conv2DSpec:
    """A convolution of NHWC pictures with HWIO filters, or one of its gradients.

    `direction` is forward (x, w -> y), backprop_input (w, dy -> dx) or backprop_filter (x, dy -> dw). The sizes are
    those of the forward convolution in all three. `images` is an int or a `Batch`; `dtype` float32 or float64.
    """

    direction: str
    images: Any
    in_h: int
    in_w: int
    in_c: int
    filter_h: int
    filter_w: int
    out_c: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_top: int
    pad_left: int
    out_h: int
    out_w: int
    dtype: str = "float32"

    @property
    def is_product(self) -> bool:
        """Each output pixel is made of its own input pixels: a matrix product of pictures and filters as they lie."""
        no_padding = self.pad_top == 0 and self.pad_left == 0
        pointwise = (
            self.filter_h == self.filter_w == self.stride_h == self.stride_w == 1
            and self.out_h == self.in_h
            and self.out_w == self.in_w
        )
        whole_picture = (
            self.out_h == self.out_w == 1
            and self.filter_h == self.in_h
            and self.filter_w == self.in_w
            and (self.dilation_h == 1 or self.filter_h == 1)
            and (self.dilation_w == 1 or self.filter_w == 1)
        )
        return no_padding and (pointwise or whole_picture)


@dataclass(frozen=True)
class Window:
    """Rows of the input with zeros at both edges, `block_rows` output rows at a time."""

    element: Element
    rows: Reach
    columns: Reach
    channels: int
    images: Any
    images_per_chunk: int
    block_rows: int
    scratch_offset: int  # bytes; used if the window is too large for the stack
    spread: Spread | None = None  # the rows are not in memory: this makes them
    zero_rows: bool = False  # rows above and below the picture are there, as zeros

    @property
    def c_type(self) -> str:
        return self.element.c_type

    @property
    def in_h(self) -> int:
        return self.rows.size

    @property
    def in_w(self) -> int:
        return self.columns.size

    @property
    def copies(self) -> bool:
        return self.spread is not None or self.zero_rows or not self.columns.is_inside

    @property
    def pitch(self) -> int:
        """Elements from one input row to the next."""
        return (self.columns.extent if self.copies else self.in_w) * self.channels

    @property
    def blank_left(self) -> int:
        return min(max(self.columns.pad, 0), self.columns.extent) * self.channels

    @property
    def copied(self) -> int:
        end = min(self.columns.extent, self.in_w + self.columns.pad) * self.channels
        return max(end - self.blank_left, 0)

    @property
    def blank_right(self) -> int:
        return self.columns.extent * self.channels - self.blank_left - self.copied

    @property
    def skipped(self) -> int:
        """Elements at the start of each input row that no tap reaches."""
        return max(-self.columns.pad, 0) * self.channels

    @property
    def row_blocks(self) -> int:
        return math.ceil(self.rows.out / self.block_rows)

    @property
    def first_row(self) -> str:
        """The block's first output row: a C variable, or a constant if there is one block."""
        return "0" if self.row_blocks == 1 else "first_row"

    @property
    def end_row(self) -> str:
        return str(self.rows.out) if self.row_blocks == 1 else "end_row"

    def block_lines(self, number: str) -> tuple[str, ...]:
        """C declarations that find image and output rows of the block with this number."""
        if self.row_blocks == 1:
            return (f"const int64_t image = {number};",)
        return (
            f"const int64_t image = {quotient(number, self.row_blocks)};",
            f"const int64_t first_row = {times(remainder(number, self.row_blocks), self.block_rows)};",
            f"const int64_t end_row = {smaller(plus('first_row', self.block_rows), self.rows.out)};",
        )

    @property
    def image_end(self) -> str:
        """One more than the last image of a chunk."""
        return smaller(times("(chunk + 1)", self.images_per_chunk), size_text(self.images))

    @property
    def chunks(self) -> str:
        if self.images_per_chunk > 1:
            return ceil_quotient(size_text(self.images), self.images_per_chunk)
        return times(size_text(self.images), self.row_blocks)

    @property
    def origin(self) -> str:
        """The input row that `base` points to."""
        return self.rows.place(self.first_row, 0) if self.copies else "0"

    @property
    def first_input_row(self) -> str:
        """The first input row that is copied."""
        first = self.rows.place(self.first_row, 0)
        return first if self.zero_rows else larger(first, 0)

    @property
    def end_input_row(self) -> str:
        last = self.rows.place(minus(self.end_row, 1), max(self.rows.taps - 1, 0))
        return plus(last, 1) if self.zero_rows else smaller(plus(last, 1), self.in_h)

    def row_place(self, out: str, tap: str, reach: Reach | None = None) -> str:
        """The index from `base` of the input row that an output row's tap reaches, by `reach` if it is not `rows`."""
        return times(minus((reach or self.rows).place(out, tap), self.origin), self.pitch)

    @property
    def copied_place(self) -> str:
        """The index from `window` of input row i."""
        return times(minus("i", self.origin), self.pitch)

    @property
    def spread_call(self) -> str:
        """The statement that makes the rows where the others would be copied."""
        assert self.spread is not None
        begin = self.first_input_row
        place = plus(times(minus(begin, self.origin), self.pitch), self.blank_left)
        return self.spread.call(begin, self.end_input_row, "0", str(self.channels), plus("window", place), self.pitch)

    @property
    def source_place(self) -> str:
        """The index in the input of the first element of row i that is copied."""
        return plus(times(plus(times("image", self.in_h), "i"), self.in_w * self.channels), self.skipped)

    @property
    def image_place(self) -> str:
        return plus(times("image", self.in_h * self.in_w * self.channels), self.skipped)

    @property
    def elements(self) -> int:
        return self.rows.extent_of(self.block_rows) * self.pitch if self.copies else 0

    @property
    def is_on_stack(self) -> bool:
        return self.elements * self.element.bytes <= STACK_BYTES

    @property
    def scratch_bytes(self) -> int:
        """Bytes of scratch memory per chunk."""
        return 0 if self.is_on_stack else whole_lines(self.elements * self.element.bytes)

    @property
    def storage(self) -> str:
        """The declarator of `window`."""
        if self.is_on_stack:
            return f"window[{self.elements}]"
        return f"*window = ({self.c_type} *)(scratch + {self.scratch_offset} + chunk * {self.scratch_bytes})"

