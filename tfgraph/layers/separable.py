"""`tf.layers`: convolution of images channel by channel, and then across the channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import nn
from ..initializers import zeros_initializer
from ..shapes import TensorShape
from ..tensor import Tensor
from .convolutional import Conv2D


class SeparableConv2D(Conv2D):
    """activation(separable_conv2d(inputs, depthwise_kernel, pointwise_kernel) + bias)."""

    base_name = "separable_conv2d"

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str = "channels_last",
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: Callable[[Any], Any] | None = None,
        use_bias: bool = True,
        depthwise_initializer: Any = None,
        pointwise_initializer: Any = None,
        bias_initializer: Any = zeros_initializer(),  # noqa: B008 (it keeps no state)
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            bias_constraint=bias_constraint,
            trainable=trainable,
            name=name,
            **options,
        )
        self.depth_multiplier = int(depth_multiplier)
        self._depthwise = (depthwise_initializer, depthwise_regularizer, True, depthwise_constraint)
        self._pointwise = (pointwise_initializer, pointwise_regularizer, True, pointwise_constraint)

    def build(self, input_shape: TensorShape) -> None:
        channels = self.last_size(input_shape, -1 if self._layout == "NHWC" else 1, "channel dimension")
        deep = [*self.kernel_size, channels, self.depth_multiplier]
        mixing = [1, 1, channels * self.depth_multiplier, self.filters]
        self.depthwise_kernel = self.add_variable("depthwise_kernel", deep, *self._depthwise)
        self.pointwise_kernel = self.add_variable("pointwise_kernel", mixing, *self._pointwise)
        if self.use_bias:
            self.bias = self.add_variable("bias", [self.filters], *self._bias)

    def call(self, inputs: Tensor, **options: Any) -> Any:
        outputs = nn.separable_conv2d(
            inputs,
            self.depthwise_kernel,
            self.pointwise_kernel,
            self._four(self.strides),
            self.padding,
            rate=list(self.dilation_rate),
            data_format=self._layout,
        )
        return self.finished(outputs)


def separable_conv2d(
    inputs: Any,
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Any = (1, 1),
    depth_multiplier: int = 1,
    activation: Callable[[Any], Any] | None = None,
    use_bias: bool = True,
    depthwise_initializer: Any = None,
    pointwise_initializer: Any = None,
    bias_initializer: Any = zeros_initializer(),  # noqa: B008
    depthwise_regularizer: Any = None,
    pointwise_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    depthwise_constraint: Any = None,
    pointwise_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """A convolution of every channel on its own, then one of single pixels that mixes the channels, with the variables
    `<name>/depthwise_kernel` [height, width, channels, multiplier], `<name>/pointwise_kernel` and `<name>/bias`."""
    layer = SeparableConv2D(
        filters,
        kernel_size,
        strides,
        padding,
        data_format,
        dilation_rate,
        depth_multiplier,
        activation,
        use_bias,
        depthwise_initializer,
        pointwise_initializer,
        bias_initializer,
        depthwise_regularizer,
        pointwise_regularizer,
        bias_regularizer,
        activity_regularizer,
        depthwise_constraint,
        pointwise_constraint,
        bias_constraint,
        trainable,
        name,
        _scope=name,
        _reuse=reuse,
    )
    return layer(inputs)
