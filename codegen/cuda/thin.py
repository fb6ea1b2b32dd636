"""Convolutions of pictures of 1 to 4 channels, and the gradients of their filters: kernels whose time is that of memory.

As products they would be a few numbers deep, and load the picture number by number. Here a block has a patch of the picture
in shared memory, each thread one channel of the output and a strip of its pixels: neighbouring threads read the same numbers
of the patch, and load or store whole rows of channels. The gradient of the filter keeps all of a channel's sums in
registers; each block stores the sums of its pixels, which a second kernel adds in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..c_text import ceil_quotient, minus, plus, quotient, remainder, times
from ..emitted import Epilogue, Scratch
from ..kinds.conv2d_window import Conv2DSpec
from ..kinds.pool import PoolSpec
from ..render import render, squeeze
from .contraction import CudaEmitted, copy_functions, text_of, with_prologue
from .launches import CudaLaunch
from .text import WARP, kernel_text
from .tiles import MULTIPROCESSORS, STRIP_BLOCKS, STRIP_THREADS, Strips, choose_strips, seen_by_strip

MOST_CHANNELS = 4
MOST_DEEP = {"forward": 160, "backprop_filter": 80}  # numbers that a sum is of; as many sums of a filter's gradient
MOST_DEEP_TENSOR = 32  # where tensor cores make the other kernels faster
MOST_UNROLLED = 32  # numbers that a sum is of
MOST_TAP_ROW = 24  # numbers of a row of taps, in registers
ROWS = {"forward": 2, "backprop_filter": 1}  # of a strip: two share the taps that are read
MOST_SHARES = MULTIPROCESSORS * STRIP_BLOCKS  # blocks whose sums are added
TOTAL_SUMS = 8  # that a block of the second kernel adds, a sector of memory side by side, each by 32 threads


@dataclass(frozen=True)
class ThinPlan:
    """How a convolution of few channels, or the gradient of its filter, is made; `sums_columns`: and dy's columns.

    `pool`, in windows of 2 x 2, takes the results, or says where in its windows the gradient is.
    """

    spec: Conv2DSpec
    name: str
    sums_columns: bool = False
    pool: PoolSpec | None = None

    def __getattr__(self, name: str) -> Any:
        """The sizes, by their names in the spec."""
        return getattr(self.spec, name)

    threads = STRIP_THREADS
    least_blocks = 2  # on a multiprocessor: up to 128 registers for a thread, which most need not
    total_sums = TOTAL_SUMS
    groups_of_total = STRIP_THREADS // TOTAL_SUMS
    most_shares = MOST_SHARES
    tap_row = property(lambda self: self.spec.filter_w * self.spec.in_c)
    deep = property(lambda self: self.spec.filter_h * self.tap_row)
    groups = property(lambda self: STRIP_THREADS // self.lanes)
    seen = property(lambda self: seen_by_strip(self.spec, self.strips.size))
    elements = property(lambda self: self.spec.in_h * self.spec.in_w * self.spec.in_c)
    images_text = property(lambda self: text_of(self.spec.images))

    @cached_property
    def lanes(self) -> int:
        """Threads side by side, one for each channel of the output."""
        lanes = 1
        while lanes < min(WARP, self.spec.out_c):
            lanes *= 2
        return lanes

    @cached_property
    def channel_blocks(self) -> int:
        return -(-self.spec.out_c // self.lanes)

    # --- the patch of a block

    @cached_property
    def choice(self) -> Strips | None:
        is_forward = self.spec.direction == "forward"
        held, kept = (self.tap_row, self.deep * self.lanes * 4) if is_forward else (self.deep, 0)
        return choose_strips(self.spec, self.lanes, ROWS[self.spec.direction], held, self._patch_elements, kept)

    @property
    def strips(self) -> Strips:
        assert self.choice is not None
        return self.choice

    def _patch_elements(self, strips: Strips) -> int:
        return self._patch_rows(strips) * self._pitch(strips)

    def _patch_rows(self, strips: Strips) -> int:
        return (strips.height - 1) * self.spec.stride_h + (self.spec.filter_h - 1) * self.spec.dilation_h + 1

    def _pitch(self, strips: Strips) -> int:
        """As long as what the last strip of a row reads."""
        first = (strips.across - 1) * strips.size * self.spec.stride_w * self.spec.in_c
        return first + seen_by_strip(self.spec, strips.size)

    patch_rows = property(lambda self: self._patch_rows(self.strips))
    pitch = property(lambda self: self._pitch(self.strips))

    @property
    def row_elements(self) -> int:
        """Of the patch, without those at the end of a vector that no output sees."""
        pixels = (self.strips.width - 1) * self.spec.stride_w + (self.spec.filter_w - 1) * self.spec.dilation_w + 1
        return pixels * self.spec.in_c

    @property
    def memory(self) -> int:
        """Numbers of shared memory: the patch; for a filter's gradient, then the sums of all groups for a row of taps."""
        patch = self.patch_rows * self.pitch
        return max(patch, STRIP_THREADS * self.tap_row) if self.spec.direction == "backprop_filter" else patch

    # --- the blocks

    tiles_across = property(lambda self: -(-self.spec.out_w // self.strips.width))
    tiles_down = property(lambda self: -(-self.spec.out_h // self.strips.height))
    tiles = property(lambda self: self.tiles_across * self.tiles_down)
    all_strips = property(lambda self: self.strips.across * self.strips.down)
    is_ragged = property(lambda self: self.last_w % self.strips.size != 0)
    is_clipped = property(lambda self: 2 * self.pool.out_h > self.spec.out_h or 2 * self.pool.out_w > self.spec.out_w)

    @property
    def last_h(self) -> int:
        """Rows of the output that count: those in windows of the pooling."""
        return min(self.spec.out_h, 2 * self.pool.out_h) if self.pool else self.spec.out_h

    @property
    def last_w(self) -> int:
        return min(self.spec.out_w, 2 * self.pool.out_w) if self.pool else self.spec.out_w

    @property
    def all_tiles(self) -> str:
        return plus(times(self.images_text, self.tiles))

    # --- texts, over the names that the templates declare

    channel = property(lambda self: plus(times("blockIdx.y", self.lanes) if self.channel_blocks > 1 else 0, "lane"))
    has_channel = property(lambda self: f"c < {self.spec.out_c}" if self.spec.out_c % self.lanes else "true")
    first_h = property(lambda self: times(quotient("tile", self.tiles_across), self.strips.height))
    first_q = property(lambda self: times(remainder("tile", self.tiles_across), self.strips.width))
    strip_h = property(lambda self: times(quotient("strip", self.strips.across), self.strips.rows))
    strip_q = property(lambda self: times(remainder("strip", self.strips.across), self.strips.size))

    @property
    def in_row(self) -> str:
        """The row of the picture that a row of the patch is."""
        return minus(plus(times("first_h", self.spec.stride_h), "patch_row"), self.spec.pad_top)

    @property
    def in_column(self) -> str:
        return minus(plus(times("first_q", self.spec.stride_w), quotient("place", self.spec.in_c)), self.spec.pad_left)

    @property
    def in_place(self) -> str:
        pixel = plus(times("in_row", self.spec.in_w), "in_column")
        channels = self.spec.in_c
        return plus(times(f"({pixel})" if channels > 1 else pixel, channels), remainder("place", channels))

    @property
    def filter_source(self) -> str:
        place = plus("w", times("i", self.spec.out_c), "c")
        return place if self.has_channel == "true" else f"{self.has_channel} ? {place} : w"

    @property
    def unrolled(self) -> str:
        """How the loop over rows of taps is unrolled: many rows' loads at once would take more registers than there are."""
        return "" if self.deep <= MOST_UNROLLED else " 1"

    def seen_row(self, row: str) -> str:
        """The row of the patch that output row `row` of the block sees through the taps `tap_row`."""
        first = times(f"({row})", self.spec.stride_h) if self.spec.stride_h > 1 else row
        return plus(first, times("tap_row", self.spec.dilation_h))

    @property
    def seen_place(self) -> str:
        return plus(times("q", self.spec.stride_w * self.spec.in_c), "i")

    @property
    def seen_by_tap(self) -> str:
        """What pixel j of a strip sees through number i of a row of taps."""
        channels, dilation = self.spec.in_c, self.spec.dilation_w
        tap = times(quotient("i", channels), dilation * channels), remainder("i", channels)
        return plus(times("j", self.spec.stride_w * channels), *(tap if dilation > 1 else ("i",)))

    @property
    def outside(self) -> str:
        """True for the sums that are of no pixel or channel of the output; empty if there are none."""
        spec, found = self.spec, []
        if self.tiles_down * self.strips.height > self.last_h:
            found.append(f"out_row >= {self.last_h}")
        if self.tiles_across * self.strips.width > self.last_w:
            found.append(f"out_column >= {self.last_w}")
        if spec.out_c % self.lanes:
            found.append(f"c >= {spec.out_c}")
        return " || ".join(found)

    @property
    def has_row(self) -> str:
        row = f"first_h + h < {self.last_h}"
        return row if self.has_channel == "true" else f"{self.has_channel} && {row}"

    # --- the sums of a filter's gradient

    sums_rows = property(lambda self: self.deep + (1 if self.sums_columns else 0))

    @property
    def sums(self) -> int:
        return self.sums_rows * self.spec.out_c

    @property
    def method(self) -> str:
        size = f"{self.strips.height} x {self.strips.width} pixels"
        return f"few channels, blocks of {size}"


def suits(spec: Conv2DSpec, precision: str = "float32") -> bool:
    """True if a convolution, or the gradient of its filter, has so few channels that it is made here."""
    if spec.in_c > MOST_CHANNELS or spec.direction not in MOST_DEEP or spec.dtype != "float32" or spec.is_product:
        return False
    plan = ThinPlan(spec, "")
    most = MOST_DEEP[spec.direction] if precision == "float32" else MOST_DEEP_TENSOR
    return plan.deep <= most and plan.tap_row <= MOST_TAP_ROW and plan.choice is not None


def takes_pool(spec: Conv2DSpec, pool: PoolSpec) -> bool:
    """True if a kernel from here takes the maxima of windows of its results, or a gradient that is known window by window.

    Windows that strips consist of; and in every precision.
    """
    window = (pool.window_h, pool.window_w, pool.stride_h, pool.stride_w)
    is_maximum = pool.op in ("max", "max_at", "max_grad_at") and pool.pad_top == pool.pad_left == 0
    return window == (2, 2, 2, 2) and is_maximum and suits(spec, "tf32")


def scratch(spec: Conv2DSpec, sums_columns: bool = False) -> Scratch:
    """The working memory that the kernel needs: each block's sums."""
    if spec.direction == "forward":
        return Scratch()
    return Scratch(0, MOST_SHARES * ThinPlan(spec, "", sums_columns).sums * 4)


def emit(
    spec: Conv2DSpec,
    name: str,
    prologue_lines: Sequence[str],
    epilogue: Epilogue,
    comment: str,
    pool: PoolSpec | None = None,
) -> CudaEmitted:
    """The CUDA C++ of one; parameters as for conv2d.emit."""
    plan = ThinPlan(spec, name, epilogue.beside is not None, pool)
    result = "y" if spec.direction == "forward" else "dw"
    is_pooled = pool is not None and spec.direction == "forward"
    stores = (
        _kernel_lines(epilogue)
        if is_pooled or not epilogue.is_plain
        else (f"{result}[{plus(times('row', spec.out_c), 'column')}] = acc;",)
    )
    beside = _kernel_lines(epilogue.beside) if epilogue.beside is not None else ()
    if spec.direction == "forward":
        texts = [render("cuda/thin.cu.j2", p=plan, comment=comment, store_lines=stores, value=epilogue.value)]
        launches = [CudaLaunch(name, (plan.all_tiles, str(plan.channel_blocks), "1"), plan.threads)]
    else:
        texts = [
            render("cuda/thin_filter.cu.j2", p=plan, comment=comment),
            render("cuda/thin_total.cu.j2", p=plan, store_lines=stores, beside_lines=beside),
        ]
        shares = f"tg_least({plan.all_tiles}, {MOST_SHARES})"
        total = ceil_quotient(plan.sums, TOTAL_SUMS)
        launches = [
            CudaLaunch(name, (shares, str(plan.channel_blocks), "1"), plan.threads),
            CudaLaunch(f"{name}_total", (str(total), "1", "1"), STRIP_THREADS),
        ]
    declared = tuple(map(kernel_text, prologue_lines))
    source = squeeze("\n".join(with_prologue(text, declared) for text in texts))
    memory = scratch(spec, plan.sums_columns)
    return CudaEmitted(source, tuple(launches), memory, copy_functions(), plan.method)


def _kernel_lines(epilogue: Epilogue) -> tuple[str, ...]:
    return tuple(map(kernel_text, epilogue.lines + epilogue.stores))
