"""Normalisation: across neighbouring channels (LRN) and across a batch (fused batch normalisation)."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from ..dtypes import FLOATS, float32, float64
from ..opdef import Call, OpDef, composite
from ..shapes import Dims, merge_dim, merge_dims, with_rank
from .compare import cast
from .conv import image_dims
from .functions import rsqrt
from .layout import DATA_FORMATS, channel_axis
from .math import maximum, pow_
from .reduce import count, mean, sum_
from .shape import reshape_to
from .slicing import embed, section

# --- local response normalisation ---------------------------------------------------------------------------------

LRN_ATTRS: dict[str, Any] = {"depth_radius": 5, "bias": 1.0, "alpha": 1.0, "beta": 0.5, "T": FLOATS}


def _sum_over_neighbours(x: Any, radius: int) -> Any:
    """At each channel the sum of x over the channels at most `radius` away."""
    depth = x.dims[3]
    radius = min(radius, depth - 1)
    dims = (*x.dims[:3], depth + 2 * radius)
    padded = embed(x, 0, start=(0, 0, 0, radius), step=(1, 1, 1, 1), dims=dims)
    return reduce(add, [section(padded, axis=3, start=i, size=depth) for i in range(2 * radius + 1)])


def _lrn_scale(call: Call, x: Any) -> Any:
    """bias + alpha * the sum of squares over the neighbours"""
    return _sum_over_neighbours(x * x, call.attr("depth_radius")) * call.attr("alpha") + call.attr("bias")


@composite(
    "LRN", "input: T -> output: T", shape=lambda call: [image_dims(call.shape("input"), "in")], **LRN_ATTRS
)
def lrn(call: Call, x: Any) -> Any:
    """x / (bias + alpha * sum of x^2 over the channels within depth_radius)^beta"""
    if x.dims[3] == 0:
        return x
    return x * pow_(_lrn_scale(call, x), -float(call.attr("beta")))


def _lrn_grad_shape(call: Call) -> list[Dims | None]:
    dims = merge_dims(call.shape("input_grads"), call.shape("input_image"))
    return [merge_dims(dims, call.shape("output_image"))]


@composite(
    "LRNGrad",
    "input_grads: T, input_image: T, output_image: T -> output: T",
    shape=_lrn_grad_shape,
    **LRN_ATTRS,
)
def lrn_grad(call: Call, dy: Any, x: Any, y: Any) -> Any:
    """dy / scale^beta - 2 alpha beta x * the sum of dy * y / scale over the neighbours"""
    if x.dims[3] == 0:
        return dy
    beta = float(call.attr("beta"))
    scale = _lrn_scale(call, x)
    through = _sum_over_neighbours(dy * y / scale, call.attr("depth_radius"))
    return dy * pow_(scale, -beta) - x * through * (2.0 * beta * call.attr("alpha"))


@lrn.gradient
def _lrn_gradient(op: Any, dy: Any) -> Any:
    attrs = {name: op.get_attr(name) for name in ("depth_radius", "bias", "alpha", "beta")}
    return [lrn_grad(dy, op.inputs[0], op.outputs[0], **attrs)]


# --- fused batch normalisation ------------------------------------------------------------------------------------

NORM_ATTRS: dict[str, Any] = {
    "T": FLOATS,
    "epsilon": 0.0001,
    "data_format": DATA_FORMATS,
    "is_training": True,
}
WITH_U: dict[str, Any] = {**NORM_ATTRS, "U": (float32, float64)}
_STATISTICS = "batch_mean: {0}, batch_variance: {0}, reserve_space_1: {0}, reserve_space_2: {0}"
_PARAMETERS = "scale: {0}, offset: {0}, mean: {0}, variance: {0}"


def _norm_shape(call: Call) -> list[Dims | None]:
    dims = image_dims(call.shape("x"), "input")
    axis = channel_axis(call.attr("data_format"), 4)
    depth = dims[axis]
    for name in ("scale", "offset", *(() if call.attr("is_training") else ("mean", "variance"))):
        depth = merge_dim(depth, with_rank(call.shape(name), 1, f"{name} must be 1-dimensional")[0])
    dims = (*dims[:axis], depth, *dims[axis + 1 :])
    return [dims, *[(depth,)] * (len(call.op.outputs) - 1)]


def _norm_grad_shape(call: Call) -> list[Dims | None]:
    dims = merge_dims(
        image_dims(call.shape("y_backprop"), "y_backprop"), image_dims(call.shape("x"), "input")
    )
    assert dims is not None
    depth = (dims[channel_axis(call.attr("data_format"), 4)],)
    return [dims, depth, depth, *[(0,)] * (len(call.op.outputs) - 3)]


class _Channels:
    """Statistics per channel of images in a layout, in the parameters' dtype."""

    def __init__(self, call: Call, dtype: Any) -> None:
        self.axis = channel_axis(call.attr("data_format"), 4)
        self.reduced = [axis for axis in range(4) if axis != self.axis]
        self.dtype = dtype

    def images(self, x: Any) -> Any:
        """Images in the parameters' dtype."""
        return x if x.dtype.base_dtype == self.dtype else cast(x, DstT=self.dtype)

    def sum(self, x: Any) -> Any:
        """[n, h, w, c] -> [c]"""
        return sum_(x, self.reduced)

    def mean(self, x: Any) -> Any:
        """[n, h, w, c] -> [c]"""
        return mean(x, self.reduced)

    def wide(self, parameter: Any) -> Any:
        """[c] in a shape that broadcasts against images."""
        return reshape_to(parameter, dims=(*parameter.dims, 1, 1)) if self.axis == 1 else parameter


def _batch_norm(
    call: Call, x: Any, scale: Any, offset: Any, running_mean: Any, running_variance: Any
) -> tuple[Any, ...]:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset with the batch's statistics, or the running ones.

    The statistics returned are the batch's mean and unbiased variance (or the running ones), then the mean and the
    biased variance that were used.
    """
    channels = _Channels(call, scale.dtype.base_dtype)
    images = channels.images(x)
    if call.attr("is_training"):
        used_mean = channels.mean(images)
        centred = images - channels.wide(used_mean)
        used_variance = channels.mean(centred * centred)
        size = count(images, channels.reduced)
        shown_mean, shown_variance = used_mean, used_variance * (size / maximum(size - 1.0, 1.0))
    else:
        centred = images - channels.wide(running_mean)
        used_mean = shown_mean = running_mean
        used_variance = shown_variance = running_variance
    slope = rsqrt(used_variance + call.attr("epsilon")) * scale
    y = centred * channels.wide(slope) + channels.wide(offset)
    return _as(y, x.dtype), shown_mean, shown_variance, used_mean, used_variance


def _as(x: Any, dtype: Any) -> Any:
    return x if x.dtype.base_dtype == dtype.base_dtype else cast(x, DstT=dtype.base_dtype)


def _batch_norm_grad(
    call: Call, dy: Any, x: Any, scale: Any, used_mean: Any, used_variance: Any
) -> tuple[Any, ...]:
    """The gradients of the images, of scale and of offset."""
    channels = _Channels(call, scale.dtype.base_dtype)
    dy, centred = channels.images(dy), channels.images(x) - channels.wide(used_mean)
    rate = rsqrt(used_variance + call.attr("epsilon"))
    normal = centred * channels.wide(rate)
    d_offset, d_scale = channels.sum(dy), channels.sum(dy * normal)
    if call.attr("is_training"):
        size = count(dy, channels.reduced)
        dy = dy - channels.wide(d_offset / size) - normal * channels.wide(d_scale / size)
    return _as(dy * channels.wide(rate * scale), x.dtype), d_scale, d_offset


@composite(
    "FusedBatchNorm",
    f"x: T, {_PARAMETERS.format('T')} -> y: T, {_STATISTICS.format('T')}",
    shape=_norm_shape,
    **NORM_ATTRS,
)
def fused_batch_norm(call: Call, *operands: Any) -> Any:
    """Batch normalisation of images."""
    return _batch_norm(call, *operands)


@composite(
    "FusedBatchNormV3",
    f"x: T, {_PARAMETERS.format('U')} -> y: T, {_STATISTICS.format('U')}, reserve_space_3: U",
    shape=_norm_shape,
    **WITH_U,
)
def fused_batch_norm_v3(call: Call, *operands: Any) -> Any:
    """Batch normalisation of images; the parameters may be wider than the images. Nothing uses the last output."""
    results = _batch_norm(call, *operands)
    return (*results, results[-1])


@composite(
    "FusedBatchNormGrad",
    "y_backprop: T, x: T, scale: T, reserve_space_1: T, reserve_space_2: T -> "
    "x_backprop: T, scale_backprop: T, offset_backprop: T",
    shape=_norm_grad_shape,
    **NORM_ATTRS,
)
def fused_batch_norm_grad(call: Call, *operands: Any) -> Any:
    """The gradients of FusedBatchNorm."""
    return _batch_norm_grad(call, *operands)


@composite(
    "FusedBatchNormGradV3",
    "y_backprop: T, x: T, scale: U, reserve_space_1: U, reserve_space_2: U, reserve_space_3: U -> "
    "x_backprop: T, scale_backprop: U, offset_backprop: U",
    shape=_norm_grad_shape,
    **WITH_U,
)
def fused_batch_norm_grad_v3(call: Call, *operands: Any) -> Any:
    """The gradients of FusedBatchNormV3."""
    return _batch_norm_grad(call, *operands[:5])


def _gradient_rule(grad: OpDef, reserved: int) -> Any:
    """The gradient rule of a forward op whose gradient op `grad` takes `reserved` of its outputs."""

    def rule(op: Any, dy: Any, *_: Any) -> Any:
        x, scale, _, running_mean, running_variance = op.inputs
        training = op.get_attr("is_training")
        saved = op.outputs[3 : 3 + reserved]
        saved = saved if training else [running_mean, running_variance, *saved[2:]]
        attrs = {name: op.get_attr(name) for name in ("epsilon", "data_format", "is_training")}
        return [*grad(dy, x, scale, *saved, **attrs)[:3], None, None]

    return rule


fused_batch_norm.gradient(_gradient_rule(fused_batch_norm_grad, 2))
fused_batch_norm_v3.gradient(_gradient_rule(fused_batch_norm_grad_v3, 3))
