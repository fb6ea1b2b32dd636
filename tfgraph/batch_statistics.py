"""`tf.nn`: means and variances from sums, with weights, and normalisation by them under an older name."""

from __future__ import annotations

from typing import Any

from . import array, math
from .convert import convert_to_tensor
from .naming import scope_of
from .normalisation import batch_normalization
from .spellings import either
from .tensor import Tensor

__all__ = [
    "batch_norm_with_global_normalization",
    "normalize_moments",
    "sufficient_statistics",
    "weighted_moments",
]


def sufficient_statistics(
    x: Any,
    axes: Any,
    shift: Any = None,
    keep_dims: bool | None = None,
    name: str | None = None,
    keepdims: bool | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The number of elements along `axes`, their sum, the sum of their squares, and `shift`, which is subtracted first."""
    keep = bool(either("keepdims", keepdims, "keep_dims", keep_dims))
    axes = sorted(set(axes))
    with scope_of(name, "sufficient_statistics", x, shift):
        x = convert_to_tensor(x, name="x")
        dims = x.shape.as_list() if x.shape.ndims is not None else None
        if dims is not None and all(dims[axis] is not None for axis in axes):
            number = 1
            for axis in axes:
                number *= dims[axis]
            count = convert_to_tensor(number, dtype=x.dtype.base_dtype, name="count")
        else:
            sizes = array.gather(array.shape(x), axes)
            count = math.cast(math.reduce_prod(sizes), x.dtype.base_dtype, name="count")
        if shift is not None:
            shift = convert_to_tensor(shift, dtype=x.dtype.base_dtype, name="shift")
        sums = x if shift is None else math.subtract(x, shift)
        squares = math.square(x) if shift is None else math.squared_difference(x, shift)
        total = math.reduce_sum(sums, axes, keepdims=keep, name="mean_ss")
        return count, total, math.reduce_sum(squares, axes, keepdims=keep, name="var_ss"), shift


def normalize_moments(
    counts: Any, mean_ss: Any, variance_ss: Any, shift: Any, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance from what `sufficient_statistics` gives."""
    with scope_of(name, "normalize", counts, mean_ss, variance_ss, shift):
        divisor = math.reciprocal(counts, name="divisor")
        shifted = math.multiply(mean_ss, divisor, name="shifted_mean" if shift is not None else "mean")
        mean = shifted if shift is None else math.add(shifted, shift, name="mean")
        variance = math.subtract(math.multiply(variance_ss, divisor), math.square(shifted), name="variance")
        return mean, variance


def weighted_moments(
    x: Any,
    axes: Any,
    frequency_weights: Any,
    name: str | None = None,
    keep_dims: bool | None = None,
    keepdims: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean and variance of `x` along `axes`, each element counted as often as its weight says; weights broadcast."""
    keep = bool(either("keepdims", keepdims, "keep_dims", keep_dims))
    with scope_of(name, "weighted_moments", x, axes, frequency_weights):
        x = convert_to_tensor(x, name="x")
        weights = math.cast(frequency_weights, x.dtype.base_dtype) + array.zeros_like(x)
        divisor = math.reciprocal(math.reduce_sum(weights, axes, keepdims=True, name="sum_of_weights"))
        mean = math.multiply(math.reduce_sum(weights * x, axes, keepdims=True), divisor)
        squares = math.reduce_sum(weights * math.squared_difference(x, mean), axes, keepdims=True)
        variance = math.multiply(squares, divisor)
        return (mean, variance) if keep else (array.squeeze(mean, axes), array.squeeze(variance, axes))


def batch_norm_with_global_normalization(
    t: Any = None,
    m: Any = None,
    v: Any = None,
    beta: Any = None,
    gamma: Any = None,
    variance_epsilon: float | None = None,
    scale_after_normalization: bool | None = None,
    name: str | None = None,
    input: Any = None,
    mean: Any = None,
    variance: Any = None,
) -> Tensor:
    """`batch_normalization` in an older order of arguments; `gamma` counts only with `scale_after_normalization`."""
    x, mean, variance = (
        either("input", input, "t", t), either("mean", mean, "m", m), either("variance", variance, "v", v)
    )  # fmt: skip
    scale = gamma if scale_after_normalization else None
    return batch_normalization(x, mean, variance, beta, scale, variance_epsilon or 0.0, name)
