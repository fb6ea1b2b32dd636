"""Convolutions and their gradients as CUDA C++: products whose operands are read from where they lie in the pictures.

As the C kernels: forward reads `x` and `w` and writes `y`; backprop_input reads `w` and `dy` and writes `dx`;
backprop_filter reads `x` and `dy` and writes `dw`. The gradient of the input with strides is one kernel per phase of the
strides: each sums only the taps that reach its pixels. Pictures of few channels have kernels of their own: see `thin`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..c_text import plus, quotient, remainder, times
from ..emitted import PLAIN, Epilogue, Scratch
from ..kinds.conv2d import OPERANDS, as_matmul
from ..kinds.conv2d_window import Conv2DSpec
from ..kinds.pool import PoolSpec
from ..scalar import C_TYPES
from . import matmul, thin
from .contraction import ContractionPlan, CudaEmitted, scratch_of, text_of, write
from .operands import ITEM_BYTES, MatrixOperand
from .pictures import Picture, PixelsOperand, Taps, TapsOperand, TurnedFilterOperand
from .tiles import Choice, choose

ALL = frozenset(("x", "w", "dy"))


def scratch(
    spec: Conv2DSpec, precision: str = "float32", epilogue_is_plain: bool = False, sums_columns: bool = False
) -> Scratch:
    """The working memory that the kernel needs: the shares of its sums; `sums_columns`: and of dy's columns."""
    if _is_product(spec, epilogue_is_plain):
        return matmul.scratch(as_matmul(spec), precision, sums_columns)
    if thin.suits(spec, precision):
        return thin.scratch(spec, sums_columns)
    return _scratch(spec, _choice(spec, _precision(spec, precision)), sums_columns)


def emit(
    spec: Conv2DSpec,
    name: str,
    prologue_lines: Sequence[str],
    epilogue: Epilogue = PLAIN,
    comment: str = "",
    precision: str = "float32",
    aligned: Collection[str] = ALL,
    pool: PoolSpec | None = None,
) -> CudaEmitted:
    """The CUDA C++ of one convolution, with a `pool` that it takes (`thin.takes_pool`).

    `prologue_lines` declare `N`, the pointers (char *scratch, too) and whatever the epilogue reads. An epilogue's `row` is
    the flat pixel of the output (of dw: the flat tap and input channel), its `column` the channel. `precision` and `aligned`
    as for matmul.emit.
    """
    if _is_product(spec, epilogue.is_plain):
        product = as_matmul(spec)
        return matmul.emit(product, name, prologue_lines, epilogue, comment, precision, aligned, OPERANDS[spec.direction])
    if thin.suits(spec, precision):
        return thin.emit(spec, name, prologue_lines, epilogue, comment, pool)
    plans = _PLANS[spec.direction](spec, name, _precision(spec, precision), aligned)
    sums_columns = epilogue.beside is not None
    plans = [replace(plan, sums_columns=sums_columns) for plan in plans]
    memory = _scratch(spec, plans[0].choice, sums_columns)
    return write(plans, name, prologue_lines, epilogue, OPERANDS[spec.direction][2], comment, memory)


def _is_product(spec: Conv2DSpec, epilogue_is_plain: bool) -> bool:
    # the gradient of whole pictures as a product has another row and column than an epilogue expects
    same_places = spec.direction != "backprop_input" or spec.filter_h * spec.filter_w == 1
    return spec.is_product and (same_places or epilogue_is_plain)


def _precision(spec: Conv2DSpec, precision: str) -> str:
    return precision if spec.dtype == "float32" else "float32"


def _output(spec: Conv2DSpec) -> tuple[Any, int]:
    """Rows and columns of the result as a matrix."""
    if spec.direction == "forward":
        return spec.images * (spec.out_h * spec.out_w), spec.out_c
    if spec.direction == "backprop_input":
        return spec.images * (spec.in_h * spec.in_w), spec.in_c
    return spec.filter_h * spec.filter_w * spec.in_c, spec.out_c


def _scratch(spec: Conv2DSpec, choice: Choice, sums_columns: bool) -> Scratch:
    rows, columns = _output(spec)
    return scratch_of(choice.splits, (rows + 1 if sums_columns else rows) * columns, ITEM_BYTES[C_TYPES[spec.dtype]])


def _choice(spec: Conv2DSpec, precision: str) -> Choice:
    """One for all phases, which are about equal."""
    rows, columns = _output(spec)
    depth: Any = spec.filter_h * spec.filter_w * spec.in_c
    if spec.direction == "backprop_filter":
        depth = spec.images * (spec.out_h * spec.out_w)
    elif spec.direction == "backprop_input":
        phases = list(_phases(spec))
        depth = max(phase.taps.count_h * phase.taps.count_w for phase in phases) * spec.out_c
        rows = spec.images * max(1, spec.in_h * spec.in_w // len(phases))
    return choose(rows, columns, depth, 1, ITEM_BYTES[C_TYPES[spec.dtype]], precision != "float32")


def _plan_forward(spec: Conv2DSpec, name: str, precision: str, aligned: Collection[str]) -> list[ContractionPlan]:
    choice, c_type = _choice(spec, precision), C_TYPES[spec.dtype]
    rows, columns = _output(spec)
    depth = spec.filter_h * spec.filter_w * spec.in_c
    left = PixelsOperand("left", "x", c_type, choice.tile, precision, _picture(spec), "x" in aligned)
    right = MatrixOperand("right", "w", c_type, choice.tile, precision, False, columns, depth, "w" in aligned)
    m = text_of(rows)
    return [ContractionPlan(name, c_type, choice, left, right, m, columns, depth, 1, precision, m)]


def _plan_filter(spec: Conv2DSpec, name: str, precision: str, aligned: Collection[str]) -> list[ContractionPlan]:
    choice, c_type = _choice(spec, precision), C_TYPES[spec.dtype]
    rows, columns = _output(spec)
    depth = text_of(spec.images * (spec.out_h * spec.out_w))
    left = TapsOperand("left", "x", c_type, choice.tile, precision, _picture(spec), "x" in aligned)
    right = MatrixOperand("right", "dy", c_type, choice.tile, precision, False, columns, depth, "dy" in aligned)
    return [ContractionPlan(name, c_type, choice, left, right, rows, columns, depth, 1, precision, rows)]


def _plan_input(spec: Conv2DSpec, name: str, precision: str, aligned: Collection[str]) -> list[ContractionPlan]:
    choice, c_type = _choice(spec, precision), C_TYPES[spec.dtype]
    phases = list(_phases(spec))
    plans = []
    for number, phase in enumerate(phases):
        own = name if len(phases) == 1 else f"{name}_phase{number}"
        rows = text_of(spec.images * (phase.picture.out_h * phase.picture.out_w))
        depth = phase.taps.count_h * phase.taps.count_w * spec.out_c
        left = PixelsOperand("left", "dy", c_type, choice.tile, precision, phase.picture, "dy" in aligned)
        right = TurnedFilterOperand(
            "right", "w", c_type, choice.tile, precision, phase.taps, spec.in_c, spec.out_c, "w" in aligned
        )
        plans.append(
            ContractionPlan(
                own, c_type, choice, left, right, rows, spec.in_c, depth, 1, precision,
                text_of(_output(spec)[0]), phase.output_row(spec),
            )
        )  # fmt: skip
    return plans


_PLANS = {"forward": _plan_forward, "backprop_input": _plan_input, "backprop_filter": _plan_filter}


def _picture(spec: Conv2DSpec) -> Picture:
    return Picture(
        spec.in_h, spec.in_w, spec.in_c, spec.out_h, spec.out_w, spec.filter_h, spec.filter_w, spec.stride_h, spec.stride_w,
        spec.dilation_h, spec.dilation_w, spec.pad_top, spec.pad_left,
    )  # fmt: skip


# --- the gradient of the input ------------------------------------------------------------------------------------


class Axis:
    """The input places `phase`, `phase` + stride, ... of one axis, and the taps that reach them.

    Tap t of them is tap `first` + t * `step` of the filter; input place number q sees through it output place
    q - t * `back` + `ahead`.
    """

    def __init__(self, phase: int, size: int, taps: int, stride: int, dilation: int, pad: int) -> None:
        self.phase, self.stride = phase, stride
        self.places = len(range(phase, size, stride))
        reaching = [tap for tap in range(taps) if (phase + pad - tap * dilation) % stride == 0]
        common = math.gcd(stride, dilation)
        self.step, self.back = stride // common, dilation // common
        self.first = reaching[0] if reaching else 0
        self.count = len(reaching)
        self.ahead = (phase + pad - self.first * dilation) // stride if reaching else 0


class Phase:
    """The input pixels of one phase along each axis."""

    def __init__(self, spec: Conv2DSpec, down: Axis, over: Axis) -> None:
        self.down, self.over = down, over
        self.taps = Taps(down.first, over.first, down.step, over.step, down.count, over.count, spec.filter_w)
        # a filter without taps has no depth: the sizes only have to make sense as divisors
        self.picture = Picture(
            spec.out_h, spec.out_w, spec.out_c, down.places, over.places, max(1, down.count), max(1, over.count), 1, 1,
            -down.back, -over.back, -down.ahead, -over.ahead,
        )  # fmt: skip

    def output_row(self, spec: Conv2DSpec) -> str:
        """The input pixel that row r is, as a C expression."""
        if self.down.stride == self.over.stride == 1:
            return "r"
        h = plus(times(remainder(quotient("r", self.over.places), self.down.places), self.down.stride), self.down.phase)
        w = plus(times(remainder("r", self.over.places), self.over.stride), self.over.phase)
        image = times(f"(int64_t)({quotient('r', self.down.places * self.over.places)})", spec.in_h * spec.in_w)
        return plus(image, times(f"({h})", spec.in_w), w)


def _phases(spec: Conv2DSpec) -> Iterator[Phase]:
    for down in range(min(spec.stride_h, spec.in_h)):
        for over in range(min(spec.stride_w, spec.in_w)):
            yield Phase(
                spec,
                Axis(down, spec.in_h, spec.filter_h, spec.stride_h, spec.dilation_h, spec.pad_top),
                Axis(over, spec.in_w, spec.filter_w, spec.stride_w, spec.dilation_w, spec.pad_left),
            )
