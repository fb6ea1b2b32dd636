"""Convolutions and their gradients as C: the front door of the conv2d kernels.

A forward kernel reads pointers `x` and `w` and writes `y`; backprop_input reads `w` and `dy` and writes `dx`;
backprop_filter reads `x` and `dy` and writes `dw`. All use `scratch` where `scratch(spec, target)` is not empty.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..emitted import PLAIN, Emitted, Epilogue, Scratch
from ..target import Target, host_target
from . import conv2d_filter, conv2d_sweep, matmul
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


def scratch(spec: Conv2DSpec, target: Target | None = None, epilogue_is_plain: bool = False) -> Scratch:
    """The working memory that the kernel needs."""
    target = target or host_target()
    if _is_matmul(spec, epilogue_is_plain):
        return matmul.scratch(as_matmul(spec), target)
    if spec.direction == "backprop_filter":
        return conv2d_filter.scratch(spec, target, epilogue_is_plain)
    return conv2d_sweep.scratch(spec, target)


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
    writer = conv2d_filter if spec.direction == "backprop_filter" else conv2d_sweep
    return writer.emit(spec, name, prologue_lines, epilogue, comment, target)
