"""Convolutions and their gradients as C: the front door of the conv2d kernels.

A forward kernel reads pointers `x` and `w` and writes `y`, or the maxima of its windows (`y`, `position`) if a pooling is
fused to it; backprop_input reads `w` and `dy` and writes `dx`;
backprop_filter reads `x` and `dy` and writes `dw`. All use `scratch` where `scratch(spec, target)` is not empty.

$TFGRAPH_CONV chooses the method: `direct` sums over the taps, `winograd` takes Winograd's where there is a kernel for it,
`auto`, the default, takes it where it is faster. Winograd's rounding error is larger: some 3e-6 of the result's scale, 1e-5
with 2 x 2 and 5 x 5 filters.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

from ..emitted import PLAIN, Emitted, Epilogue, Scratch
from ..target import CUDA, Target, host_target
from . import conv2d_filter, conv2d_sweep, matmul, winograd, winograd_filter
from .conv2d_window import Conv2DSpec
from .matmul import MatMulSpec
from .pool import PoolSpec, overlaps
from .winograd_choice import prefers_winograd


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


def wanted_method() -> str:
    """$TFGRAPH_CONV, "auto" if it is not set. ValueError if it is none of `METHODS`.

    Winograd's sums err by up to 3e-6 of the output's scale (2 x 2 and 5 x 5 filters: 1e-5), direct ones by a fifth of that.
    """
    name = os.environ.get("TFGRAPH_CONV", "").strip() or "auto"
    if name not in METHODS:
        raise ValueError(f"TFGRAPH_CONV must be one of {', '.join(METHODS)}, not {name!r}")
    return name


def writer(spec: Conv2DSpec, target: Target) -> ModuleType:
    """The module that writes this convolution: its `scratch` and `emit`."""
    method = wanted_method()
    is_filter = spec.direction == "backprop_filter"
    if method != "direct" and winograd.supports(spec) and (method == "winograd" or prefers_winograd(spec, target)):
        return winograd_filter if is_filter else winograd
    return conv2d_filter if is_filter else conv2d_sweep


def takes_pool(spec: Conv2DSpec, pool: PoolSpec, target: Target | None = None) -> bool:
    """True if there is a kernel for the convolution with a pooling of its results, or for a gradient of both."""
    target = target or host_target()
    if target is CUDA:
        from ..cuda import thin  # which imports this package

        return thin.takes_pool(spec, pool)
    if spec.is_product or overlaps(pool):
        return False
    if writer(spec, target) in (winograd, winograd_filter):
        return winograd.takes_pool(spec, pool, target)
    return spec.direction != "forward" or conv2d_sweep.takes_pool(spec, pool, target)


def _pooled_scratch(spec: Conv2DSpec, target: Target, epilogue_is_plain: bool, pool: PoolSpec) -> Scratch:
    size: Scratch
    chosen = writer(spec, target)
    if chosen in (winograd, winograd_filter):
        size = chosen.scratch(spec, target, pool)
        return size
    if spec.direction == "backprop_filter":
        return conv2d_filter.scratch(spec, target, epilogue_is_plain, pool)
    return conv2d_sweep.scratch(spec, target, pool)


def scratch(
    spec: Conv2DSpec, target: Target | None = None, epilogue_is_plain: bool = False, pool: PoolSpec | None = None
) -> Scratch:
    """The working memory that the kernel needs."""
    target = target or host_target()
    if pool is not None:
        return _pooled_scratch(spec, target, epilogue_is_plain, pool)
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
    pool: PoolSpec | None = None,
) -> Emitted:
    """The C of one convolution.

    With a max pooling `pool` of its results, a forward convolution stores the maxima (`y`, `position`), and a gradient
    takes for dy what it is at the maxima (`dy`, `position`).

    `prologue_lines` declare `N`, the pointers, `scratch` (char *) and whatever the epilogue reads. An epilogue's `row`
    is the flat pixel of the output (of dw: the flat tap and input channel), its `column` the channel.
    """
    target = target or host_target()
    text: Emitted
    if pool is not None:
        text = writer(spec, target).emit(spec, name, prologue_lines, epilogue, comment, target, pool)
        return text
    if _is_matmul(spec, epilogue.is_plain):
        product = as_matmul(spec)
        lines = (*prologue_lines, *matmul.operand_lines(spec.dtype, *OPERANDS[spec.direction]))
        written = matmul.emit(product, name, lines, epilogue, comment, target)
        return replace(written, method=f"matrix product {written.method}")
    text = writer(spec, target).emit(spec, name, prologue_lines, epilogue, comment, target)
    return text
