"""What the convolution kernels have in common: the spec, and the copy of input rows with zeros at the edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..scalar import size_text
from ..tiles import Element

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

    def place(self, out: str, tap: str) -> str:
        """The input place as a C expression."""
        place = _times(out, self.stride) + " + " + _times(tap, self.dilation)
        return place if self.pad == 0 else f"{place} {'-' if self.pad > 0 else '+'} {abs(self.pad)}"


def _times(text: str, factor: int) -> str:
    return text if factor == 1 else f"{text} * {factor}"


@dataclass(frozen=True)
class Window:
    """Rows of the input with zeros at both edges, `block_rows` output rows at a time."""

    element: Element
    rows: Reach
    columns: Reach
    channels: int
    block_rows: int
    scratch_offset: int  # bytes; used if the window is too large for the stack

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
        return not self.columns.is_inside

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
    def origin(self) -> str:
        """The input row that the window's first row holds."""
        return self.rows.place("first_row", "0").replace(" + 0", "", 1)

    @property
    def last_input_row(self) -> str:
        return self.rows.place("(end_row - 1)", str(max(self.rows.taps - 1, 0))).replace(" + 0", "", 1)

    @property
    def elements(self) -> int:
        return self.rows.extent_of(self.block_rows) * self.pitch if self.copies else 0

    @property
    def is_on_stack(self) -> bool:
        return self.elements * self.element.bytes <= STACK_BYTES

    @property
    def scratch_bytes(self) -> int:
        """Bytes of scratch memory per chunk."""
        return 0 if self.is_on_stack else -(-self.elements * self.element.bytes // 64) * 64

    @property
    def storage(self) -> str:
        """The declarator of `window`."""
        if self.is_on_stack:
            return f"window[{self.elements}]"
        return f"*window = ({self.c_type} *)(scratch + {self.scratch_offset} + chunk * {self.scratch_bytes})"


def factor(dim: Any) -> str:
    """A dimension as a C factor."""
    text = size_text(dim)
    return f"({text})" if " " in text else text
