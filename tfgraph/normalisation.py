"""`tf.nn`: moments and normalisation."""

from __future__ import annotations

from typing import Any

from . import array, math
from .convert import constant, convert_to_tensor
from .dtypes import float16, float32
from .naming import scope_of
from .ops import normalise
from .ops.identity import stop_gradient
from .spellings import either
from .tensor import Tensor

__all__ = [
    "batch_normalization",
    "fused_batch_norm",
    "l2_normalize",
    "local_response_normalization",
    "lrn",
    "moments",
]

_LEAST_EPSILON = 1.001e-5  # of fused_batch_norm; cuDNN's limit, which TensorFlow applies everywhere


def lrn(
    input: Any,
    depth_radius: int = 5,
    bias: float = 1,
    alpha: float = 1,
    beta: float = 0.5,
    name: str | None = None,
) -> Tensor:
    """input / (bias + alpha * sum of input^2 over the channels at most `depth_radius` away)^beta; input of rank 4."""
    attrs = {
        "depth_radius": int(depth_radius),
        "bias": float(bias),
        "alpha": float(alpha),
        "beta": float(beta),
    }
    return normalise.lrn(input, name=name, **attrs)


local_response_normalization = lrn


def l2_normalize(
    x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None
) -> Tensor:
    """x / sqrt(max(sum of x^2 along `axis`, epsilon)); all axes if `axis` is None."""
    axis = either("axis", axis, "dim", dim)
    with scope_of(name, "l2_normalize", x) as scope:
        x = convert_to_tensor(x, name="x")
        total = math.reduce_sum(math.square(x), axis, keepdims=True)
        return math.multiply(x, math.rsqrt(math.maximum(total, epsilon)), name=scope)


def moments(
    x: Any, axes: Any, shift: Any = None, name: str | None = None, keep_dims: Any = None, keepdims: Any = None
) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of `x` along `axes`. `shift` is accepted and ignored, as in TensorFlow."""
    keep = bool(either("keepdims", keepdims, "keep_dims", keep_dims))
    with scope_of(name, "moments", x, axes):
        x = convert_to_tensor(x, name="x")
        y = math.cast(x, float32) if x.dtype == float16 else x
        mean = math.reduce_mean(y, axes, keepdims=True, name="mean")
        # the gradient through the mean is zero here, so it need not be computed
        squares = math.squared_difference(y, stop_gradient(mean))
        variance = math.reduce_mean(squares, axes, keepdims=True, name="variance")
        if not keep:
            mean, variance = array.squeeze(mean, axes), array.squeeze(variance, axes)
        if x.dtype == float16:
            return math.cast(mean, float16), math.cast(variance, float16)
        return mean, variance


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any,
    scale: Any,
    variance_epsilon: float,
    name: str | None = None,
) -> Tensor:
    """(x - mean) / sqrt(variance + variance_epsilon) * scale + offset; the parameters broadcast, two may be None."""
    with scope_of(name, "batchnorm", x, mean, variance, scale, offset):
        rate = math.rsqrt(variance + variance_epsilon)
        if scale is not None:
            rate = rate * scale
        x = convert_to_tensor(x, name="x")
        scaled = x * math.cast(rate, x.dtype)
        shift = -mean * rate if offset is None else offset - mean * rate
        return scaled + math.cast(shift, x.dtype)


def fused_batch_norm(
    x: Any,
    scale: Any,
    offset: Any,
    mean: Any = None,
    variance: Any = None,
    epsilon: float = 0.001,
    data_format: str = "NHWC",
    is_training: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Images normalised per channel; returns them, the mean and the (unbiased) variance.

    With `is_training` the statistics are the batch's, else those given. ValueError if they are given with `is_training`
    or missing without it.
    """
    x = convert_to_tensor(x, name="input")
    scale = convert_to_tensor(scale, name="scale")
    offset = convert_to_tensor(offset, name="offset")
    if is_training and (mean is not None or variance is not None):
        raise ValueError("Both 'mean' and 'variance' must be None if is_training is True.")
    if not is_training and (mean is None or variance is None):
        raise ValueError("Both 'mean' and 'variance' must be given if is_training is False.")
    if is_training:
        mean, variance = constant([], scale.dtype), constant([], scale.dtype)
    return normalise.fused_batch_norm_v3(
        x,
        scale,
        offset,
        mean,
        variance,
        epsilon=max(float(epsilon), _LEAST_EPSILON),
        data_format=data_format,
        is_training=is_training,
        name=name,
    )[:3]
