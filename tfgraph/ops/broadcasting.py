"""Gradients through broadcasting and through reductions: from one shape to the other, whenever the shapes become known.

`like` lends its shape only. At construction the shapes may be unknown; the bodies run when they are settled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import NUMBERS, int32, int64
from ..opdef import Call, composite
from ..shapes import normalise_axis

INDEX_TYPES = (int32, int64)


def reduced_axes(call: Call, tensor: str, axes: str) -> tuple[int, ...] | None:
    """The axes of argument `tensor` that the static argument `axes` names, ascending; None if not known yet."""
    rank, chosen = call.rank(tensor), call.ints(axes)
    if rank is None or chosen is None or any(a is None for a in chosen):
        return None
    return tuple(sorted({normalise_axis(int(a), rank) for a in chosen}))


def _like(call: Call) -> list[Any]:
    return [call.shape("like")]


@composite("_UnbroadcastLike", "gradient: T, like: T -> output: T", _like, T=NUMBERS)
def unbroadcast_like(call: Call, gradient: Any, like: Any) -> Any:
    """gradient summed over the axes along which an operand shaped as `like` was repeated"""
    from .reduce import sum_
    from .shape import reshape_to

    have, want = call.shape("gradient"), call.shape("like")
    leading = len(have) - len(want)
    repeated = [i for i, size in enumerate(want) if size == 1 and have[leading + i] != 1]
    if not leading and not repeated:
        return gradient
    axes = [*range(leading), *(leading + i for i in repeated)]
    total = sum_(gradient, np.array(axes, np.int32))
    return reshape_to(total, dims=want) if repeated else total


@unbroadcast_like.gradient
def _unbroadcast_like_gradient(op: Any, dy: Any) -> Any:
    from .shape import broadcast_to, shape

    return broadcast_to(dy, shape(op.inputs[0])), None


def unbroadcast(gradient: Any, like: Any) -> Any:
    """`gradient` summed over the axes along which the operand `like` was repeated."""
    if _settled(gradient.dims) and gradient.dims == like.dims:
        return gradient
    # TensorFlow's last node here is a reshape
    return unbroadcast_like(gradient, like, name="Reshape")


def _settled(dims: Any) -> bool:
    return dims is not None and None not in dims


@composite(
    "_SpreadLike",
    "gradient: T, like: T, axis: Tidx -> output: T",
    _like,
    static=("axis",),
    T=NUMBERS,
    Tidx=INDEX_TYPES,
)
def spread_like(call: Call, gradient: Any, like: Any, axis: Any) -> Any:
    """the result of a reduction of `like` over `axis`, repeated along the axes that were reduced"""
    from .shape import reshape_to, spread_to

    dims = call.shape("like")
    axes = reduced_axes(call, "like", "axis") or ()
    kept = tuple(1 if i in axes else d for i, d in enumerate(dims))
    return spread_to(reshape_to(gradient, dims=kept), dims=dims)


@spread_like.gradient
def _spread_like_gradient(op: Any, dy: Any) -> Any:
    from .reduce import sum_
    from .shape import reshape, shape

    return reshape(sum_(dy, op.inputs[2]), shape(op.inputs[0])), None, None
