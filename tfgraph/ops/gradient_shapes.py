"""Shape arithmetic of the gradient nodes in graphs that TensorFlow built. This package's own gradients do without.

The results are followed when a program is compiled (`values.FOLLOWED`), so no kernel is needed; a run that fetches one goes
through the interpreter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import int32, int64
from ..opdef import Call, primitive


def _repeated(call: Call) -> list[list[int]] | None:
    """The axes for each operand; None as long as the shapes are not known."""
    one, other = call.ints("s0"), call.ints("s1")
    if one is None or other is None or None in (*one, *other):
        return None
    rank = max(len(one), len(other))
    sizes = [(1,) * (rank - len(shape)) + shape for shape in (one, other)]
    return [[i for i, size in enumerate(own) if isinstance(size, int) and size == 1] for own in sizes]


def _lengths(call: Call) -> list[Any]:
    axes = _repeated(call)
    return [(None,)] * 2 if axes is None else [(len(one),) for one in axes]


@primitive(
    "BroadcastGradientArgs",
    "s0: T, s1: T -> r0: T, r1: T",
    "sizes",
    _lengths,
    static=("s0", "s1"),
    T=(int32, int64),
)
def broadcast_gradient_args(call: Call, s0: Any, s1: Any) -> Any:
    """the axes over which the gradients of two operands with the shapes s0 and s1 are summed"""
    axes = _repeated(call)
    if axes is None:
        raise LookupError("the shapes are not known yet")
    return tuple(np.array(one, call.dtype("s0").as_numpy_dtype) for one in axes)


def _offsets(call: Call) -> list[Any]:
    return call.shape("shape")


@primitive("ConcatOffset", "concat_dim: int32, shape: N*int32 -> offset: N*int32", "sizes", _offsets)
def concat_offset(call: Call, concat_dim: Any, shape: Any) -> Any:
    """where each of the operands of a concatenation with these shapes begins"""
    axis, at = int(concat_dim), 0
    offsets = []
    for sizes in shape:
        offset = np.zeros(len(sizes), np.int32 if isinstance(at, int) else object)
        offset[axis] = at
        offsets.append(offset)
        at = at + sizes[axis]
    return tuple(offsets)
