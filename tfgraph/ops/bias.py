"""Adding one value per channel."""

from __future__ import annotations

from typing import Any

from ..dtypes import NUMBERS
from ..errors import fail
from ..opdef import Call, composite
from ..shapes import Dims, merge_dim, show, with_rank
from .layout import DATA_FORMATS, channel_axis
from .math import add
from .reduce import sum_
from .sequence import zeros_like
from .shape import reshape_to


def _channel_axis(call: Call, rank: int) -> int:
    return channel_axis(call.attr("data_format"), rank)


def _shape(call: Call) -> list[Dims | None]:
    dims, bias = call.shape("value"), call.shape("bias")
    run = None if bias is None else f"Biases must be 1D: {show(bias)}"
    (count,) = with_rank(bias, 1, run)
    if dims is None:
        return [None]
    if len(dims) < 2:
        fail(
            f"Shape must be at least rank 2 but is rank {len(dims)}",
            f"Input tensor must be at least 2D: {show(dims)}",
        )
    axis = _channel_axis(call, len(dims))
    run = (
        f"Must provide as many biases as the last dimension of the input tensor: {show((count,))} vs. {show(dims)}"
        if axis == len(dims) - 1
        else f"Must provide as many biases as the channel dimension of the input tensor: {show((count,))} vs. {dims[axis]} "
        f"in {show(dims)}"
    )
    return [(*dims[:axis], merge_dim(dims[axis], count, run), *dims[axis + 1 :])]


@composite("BiasAdd", "value: T, bias: T -> output: T", shape=_shape, T=NUMBERS, data_format=DATA_FORMATS)
def bias_add(call: Call, value: Any, bias: Any) -> Any:
    """value + bias, bias[c] added to every element of channel c"""
    behind = len(value.dims) - 1 - _channel_axis(call, len(value.dims))
    return add(value, reshape_to(bias, dims=(*bias.dims, *[1] * behind)) if behind else bias)


def _grad_shape(call: Call) -> list[Dims | None]:
    dims = call.shape("out_backprop")
    return [(None,) if dims is None else (dims[_channel_axis(call, len(dims))],)]


@composite(
    "BiasAddGrad", "out_backprop: T -> output: T", shape=_grad_shape, T=NUMBERS, data_format=DATA_FORMATS
)
def bias_add_grad(call: Call, dy: Any) -> Any:
    """The sum of dy over all axes but the channels'."""
    rank = len(dy.dims)
    return sum_(dy, [axis for axis in range(rank) if axis != _channel_axis(call, rank)])


@bias_add.gradient
def _bias_add_gradient(op: Any, dy: Any) -> Any:
    return dy, bias_add_grad(dy, data_format=op.get_attr("data_format"))


@bias_add_grad.gradient
def _bias_add_grad_gradient(op: Any, d: Any) -> Any:
    return [bias_add(zeros_like(op.inputs[0]), d, data_format=op.get_attr("data_format"))]
