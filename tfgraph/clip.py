"""The public clipping functions, by value and by norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .convert import to_tensor
from .naming import scope_of
from .ops.compare import greater, select, select_v2
from .ops.functions import is_finite, sqrt
from .ops.identity import identity
from .ops.math import maximum, minimum, mul, real_div
from .reduction import reduce_sum
from .tensor import Tensor


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Tensor:
    """`t` with elements below `clip_value_min` or above `clip_value_max` replaced by those.

    The limits are scalars or broadcast to the shape of `t`; ValueError if they would enlarge it.
    """
    with scope_of(name, "clip_by_value", t, clip_value_min, clip_value_max) as scope:
        t = to_tensor(t, name="t")
        below = minimum(t, clip_value_max)
        t.shape.assert_is_compatible_with(below.shape)
        result = maximum(below, clip_value_min, name=scope)
        t.shape.assert_is_compatible_with(result.shape)
        return result


def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Tensor:
    """`t` scaled so that its L2 norm over `axes` (None: all of it) is at most `clip_norm`."""
    with scope_of(name, "clip_by_norm", t, clip_norm) as scope:
        t = to_tensor(t, name="t")
        squares = reduce_sum(mul(t, t, name="mul"), axes, keepdims=True)
        positive = greater(squares, 0)
        # the square root has no gradient at 0
        safe = select_v2(positive, squares, 1, name="Select")
        norm = select_v2(positive, sqrt(safe), squares, name="Select")
        scaled = t * clip_norm
        t.shape.assert_is_compatible_with(scaled.shape)
        return identity(scaled / maximum(norm, clip_norm), name=scope)


def global_norm(t_list: Sequence[Any], name: str | None = None) -> Tensor | None:
    """The L2 norm of all tensors together, a scalar; None entries are left out.

    TypeError if `t_list` is a single tensor, ValueError if nothing is left.
    """
    from .ops.join import pack
    from .ops.losses import l2_loss

    tensors = _listed(t_list)
    with scope_of(name, "global_norm", tensors):
        halves = [l2_loss(t) for t in _converted(tensors) if t is not None]
        if not halves:
            raise ValueError("global_norm needs at least one tensor that is not None")
        total = reduce_sum(pack(halves, name="stack"))
        two = to_tensor(np.asarray(2, total.dtype.as_numpy_dtype))
        return sqrt(mul(total, two, name="mul"), name="global_norm")


def clip_by_global_norm(
    t_list: Sequence[Any], clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Tensor | None], Tensor]:
    """The tensors scaled by clip_norm / max(global norm, clip_norm), and the global norm.

    None entries stay. Everything becomes NaN if the norm is infinite or NaN. `use_norm` is the norm if it is known.
    """
    tensors = _listed(t_list)
    norm = global_norm(tensors, name) if use_norm is None else use_norm
    with scope_of(name, "clip_by_global_norm", tensors, clip_norm) as scope:
        norm = to_tensor(norm, name="use_norm")
        number = norm.dtype.as_numpy_dtype
        scale = clip_norm * minimum(1.0 / norm, real_div(to_tensor(np.asarray(1, number)), clip_norm, name="truediv"))
        scale = select(is_finite(norm), scale, to_tensor(np.asarray(np.nan, number)))
        clipped = [
            None if t is None else identity(mul(t, scale, name="mul"), name=f"{scope}_{i}")
            for i, t in enumerate(_converted(tensors))
        ]
    return clipped, norm


def _listed(t_list: Any) -> list[Any]:
    if not isinstance(t_list, Sequence) or isinstance(t_list, str):
        raise TypeError("t_list should be a sequence")
    return list(t_list)


def _converted(values: list[Any]) -> list[Tensor | None]:
    return [None if v is None else to_tensor(v, name=f"t_{i}") for i, v in enumerate(values)]


__all__ = ["clip_by_global_norm", "clip_by_norm", "clip_by_value", "global_norm"]
