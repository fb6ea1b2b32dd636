"""Convolutions and their gradients as C: the front door of the conv2d kernels.

A forward kernel reads pointers `x` and `w` and writes `y`; backprop_input reads `w` and `dy` and writes `dx`;
backprop_filter reads `x` and `dy` and writes `dw`. All use `scratch` where `scratch(spec, target)` is not empty.

$TFGRAPH_CONV chooses the method: `direct` sums over the taps, `winograd` takes Winograd's where there is a kernel for it,
`auto` takes it where it is faster, `direct` is the default. Winograd's rounding error is larger: some 1e-5 of the
result's scale.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from types import ModuleType

from ...shapes import Batch
from ..emitted import PLAIN, Emitted, Epilogue, Scratch
from ..target import NOMINAL_BATCH, Target, host_target
from . import conv2d_filter, conv2d_sweep, matmul, winograd, winograd_filter
from .conv2d_window import Conv2DSpec
from .matmul import MatMulSpec


def as_matmul(spec: Conv2DSpec) -> MatMulSpec:
    """The matrix product that a convolution with `is_product` is."""
    rows = spec.images * (spec.out_h * spec.out_w)
    depth = spec.filter_h * spec.filter_w * spec.in_c
    if spec.direction == "forward":
        return MatMulSpec(rows, spec.out_c, depth, dtype=spec.dtype)
    if spec.direction == "backprop_input":
        return MatMulSpec(rows, depth, spec.out_c, transpose_b=True, dtype=spec.dtype)
    return MatMulSpec(depth, spec.out_c, rows, transpose_a=True, dtype=spec.dtype)


def _is_matmul(spec: Conv2DSpec, epilogue_is_plain: bool) -> bool:
    # the gradient of whole pictures as a product has another row and column than an epilogue expects
    same_places = spec.direction != "backprop_input" or spec.filter_h * spec.filter_w == 1
    return spec.is_product and (same_places or epilogue_is_plain)


OPERANDS = {"forward": ("x", "w", "y"), "backprop_input": ("dy", "w", "dx"), "backprop_filter": ("x", "dy", "dw")}
"""The pointers of each direction, in a matrix product's order a, b, y."""


METHODS = ("auto", "direct", "winograd")
FEWEST_CHANNELS = 16
FEWEST_TILES = 128
MOST_WASTE = 1.6  # pixels that Winograd's 4 x 4 squares cover per pixel of the picture


def wanted_method() -> str:
    """$TFGRAPH_CONV, "direct" if it is not set. ValueError if it is none of `METHODS`.

    Direct sums follow TensorFlow's losses to 2e-7 over 50 steps of convnet128; Winograd's, twice as fast, to 2e-4.
    """
    name = os.environ.get("TFGRAPH_CONV", "").strip() or "direct"
    if name not in METHODS:
        raise ValueError(f"TFGRAPH_CONV must be one of {', '.join(METHODS)}, not {name!r}")
    return name


def prefers_winograd(spec: Conv2DSpec) -> bool:
    """Winograd's method is the faster one, as measured on 3x3 layers of 16 to 512 channels in all three directions.

    It saves three multiplications of four, and pays with transforms that every channel needs, with the pixels of
    squares that hang over the edge, and with filters that must be used often enough.
    """
    height, width = (spec.in_h, spec.in_w) if spec.direction == "backprop_input" else (spec.out_h, spec.out_w)
    pictures = spec.images.per * NOMINAL_BATCH if isinstance(spec.images, Batch) else int(spec.images)
    tiles = math.ceil(height / 4) * math.ceil(width / 4)
    return (
        min(spec.in_c, spec.out_c) >= FEWEST_CHANNELS
        and tiles * pictures >= FEWEST_TILES
        and tiles * 16 <= MOST_WASTE * height * width
    )


def writer(spec: Conv2DSpec, target: Target) -> ModuleType:
    """The module that writes this convolution: its `scratch` and `emit`."""
    method = wanted_method()
    is_filter = spec.direction == "backprop_filter"
    if method != "direct" and winograd.supports(spec, target) and (method == "winograd" or prefers_winograd(spec)):
        return winograd_filter if is_filter else winograd
    return conv2d_filter if is_filter else conv2d_sweep


def scratch(spec: Conv2DSpec, target: Target | None = None, epilogue_is_plain: bool = False) -> Scratch:
    """The working memory that the kernel needs."""
    target = target or host_target()
    if _is_matmul(spec, epilogue_is_plain):
        return matmul.scratch(as_matmul(spec), target)
    chosen = writer(spec, target)
    if chosen is conv2d_filter:
        return conv2d_filter.scratch(spec, target, epilogue_is_plain)
    size: Scratch = chosen.scratch(spec, target)
    return size


def emit(
    spec: Conv2DSpec,
    name: str,
    prologue_lines: Sequence[str],
    epilogue: Epilogue = PLAIN,
    comment: str = "",
    target: Target | None = None,
) -> Emitted:
    """The C of one convolution.

    `prologue_lines` declare `N`, the pointers, `scratch` (char *) and whatever the epilogue reads. An epilogue's `row`
    is the flat pixel of the output (of dw: the flat tap and input channel), its `column` the channel.
    """
    target = target or host_target()
    if _is_matmul(spec, epilogue.is_plain):
        product = as_matmul(spec)
        lines = (*prologue_lines, *matmul.operand_lines(spec.dtype, *OPERANDS[spec.direction]))
        return matmul.emit(product, name, lines, epilogue, comment, target)
    text: Emitted = writer(spec, target).emit(spec, name, prologue_lines, epilogue, comment, target)
    return text
