"""`tf.layers`: convolution of images and its transpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import array, nn
from ..initializers import zeros_initializer
from ..shapes import TensorShape
from ..tensor import Tensor
from .base import Layer, activated, layout_of, padding_of, sizes


class Conv2D(Layer):
    """activation(conv2d(inputs, kernel) + bias)."""

    base_name = "conv2d"
    rank = 4
    axes = 2  # of height and width

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str = "channels_last",
        dilation_rate: Any = (1, 1),
        activation: Callable[[Any], Any] | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        bias_initializer: Any = zeros_initializer(),  # noqa: B008 (it keeps no state)
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(trainable, name, **options)
        self.filters, self.activation, self.use_bias = int(filters), activation, use_bias
        self.kernel_size = sizes(kernel_size, self.axes, "kernel_size")
        self.strides = sizes(strides, self.axes, "strides")
        self.dilation_rate = sizes(dilation_rate, self.axes, "dilation_rate")
        self.padding, self._layout = padding_of(padding), layout_of(data_format)
        self._kernel = (kernel_initializer, kernel_regularizer, True, kernel_constraint)
        self._bias = (bias_initializer, bias_regularizer, True, bias_constraint)
        self._activity_regularizer = activity_regularizer
        self.kernel: Any = None
        self.bias: Any = None

    def kernel_shape(self, channels: int) -> list[int]:
        return [*self.kernel_size, channels, self.filters]

    def build(self, input_shape: TensorShape) -> None:
        channels = self.last_size(input_shape, -1 if self._layout == "NHWC" else 1, "channel dimension")
        self.kernel = self.add_variable("kernel", self.kernel_shape(channels), *self._kernel)
        if self.use_bias:
            self.bias = self.add_variable("bias", [self.filters], *self._bias)

    def call(self, inputs: Tensor, **options: Any) -> Any:
        return self.finished(
            nn.conv2d(
                inputs,
                self.kernel,
                self._four(self.strides),
                self.padding,
                data_format=self._layout,
                dilations=self._four(self.dilation_rate),
                name=type(self).__name__,
            )
        )

    def finished(self, outputs: Tensor) -> Any:
        """The sums with bias and activation."""
        if self.bias is not None:
            outputs = nn.bias_add(outputs, self.bias, data_format=self._layout)
        return activated(outputs, self.activation)

    def _four(self, pair: tuple[int, ...]) -> list[int]:
        return [1, *pair, 1] if self._layout == "NHWC" else [1, 1, *pair]


class Conv2DTranspose(Conv2D):
    """activation(the transpose of a convolution + bias)."""

    base_name = "conv2d_transpose"

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str = "channels_last",
        **options: Any,
    ) -> None:
        super().__init__(filters, kernel_size, strides, padding, data_format, **options)

    def kernel_shape(self, channels: int) -> list[int]:
        return [*self.kernel_size, self.filters, channels]

    def call(self, inputs: Tensor, **options: Any) -> Any:
        place = (1, 2) if self._layout == "NHWC" else (2, 3)
        known, shape = inputs.shape.as_list(), array.shape(inputs)
        sizes_of = [shape[i] if known[i] is None else known[i] for i in range(4)]
        lengths = [self._length(sizes_of[axis], i) for i, axis in enumerate(place)]
        wanted = [sizes_of[0], *lengths, self.filters] if self._layout == "NHWC" else [sizes_of[0], self.filters, *lengths]
        outputs = nn.conv2d_transpose(
            inputs, self.kernel, array.stack(wanted), self._four(self.strides), self.padding, data_format=self._layout
        )
        outputs.set_shape([None if isinstance(size, Tensor) else size for size in wanted])
        return self.finished(outputs)

    def _length(self, length: Any, axis: int) -> Any:
        """The size that a dimension grows to."""
        length = length * self.strides[axis]
        if self.padding == "VALID":
            length = length + max(self.kernel_size[axis] - self.strides[axis], 0)
        return length


def conv2d(
    inputs: Any,
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Any = (1, 1),
    activation: Callable[[Any], Any] | None = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = zeros_initializer(),  # noqa: B008
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """activation(conv2d(inputs, kernel) + bias) with the variables `<name>/kernel` [height, width, channels, filters] and
    `<name>/bias` [filters]; sizes, strides and rates are one int or a pair. ValueError if the channels are unknown."""
    layer = Conv2D(
        filters,
        kernel_size,
        strides,
        padding,
        data_format,
        dilation_rate,
        activation,
        use_bias,
        kernel_initializer,
        bias_initializer,
        kernel_regularizer,
        bias_regularizer,
        activity_regularizer,
        kernel_constraint,
        bias_constraint,
        trainable,
        name,
        _scope=name,
        _reuse=reuse,
    )
    return layer(inputs)


def conv2d_transpose(
    inputs: Any,
    filters: int,
    kernel_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    activation: Callable[[Any], Any] | None = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = zeros_initializer(),  # noqa: B008
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: Any = None,
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: Any = None,
) -> Any:
    """The transpose of `conv2d`, which makes images `strides` times as large; `<name>/kernel` is [height, width, filters,
    channels]."""
    layer = Conv2DTranspose(
        filters,
        kernel_size,
        strides,
        padding,
        data_format,
        activation=activation,
        use_bias=use_bias,
        kernel_initializer=kernel_initializer,
        bias_initializer=bias_initializer,
        kernel_regularizer=kernel_regularizer,
        bias_regularizer=bias_regularizer,
        activity_regularizer=activity_regularizer,
        kernel_constraint=kernel_constraint,
        bias_constraint=bias_constraint,
        trainable=trainable,
        name=name,
        _scope=name,
        _reuse=reuse,
    )
    return layer(inputs)
