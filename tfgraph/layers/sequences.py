"""`tf.layers`: convolution and pooling of sequences, [batch, steps, channels]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import array, nn
from ..initializers import zeros_initializer
from ..tensor import Tensor
from .base import Layer, layout_of, padding_of, sizes
from .convolutional import Conv2D


class Conv1D(Conv2D):
    """activation(conv1d(inputs, kernel) + bias)."""

    base_name = "conv1d"
    rank = 3
    axes = 1

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str = "channels_last",
        dilation_rate: Any = 1,
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
        super().__init__(
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
            **options,
        )

    def call(self, inputs: Tensor, **options: Any) -> Any:
        layout = "NWC" if self._layout == "NHWC" else "NCW"
        outputs = nn.conv1d(
            inputs,
            self.kernel,
            self.strides[0],
            self.padding,
            data_format=layout,
            dilations=self.dilation_rate[0],
            name=type(self).__name__,
        )
        return self.finished(outputs)


class _Pooling1D(Layer):
    """One pooling function over windows of `pool_size` steps."""

    rank = 3
    pool: Callable[..., Any]

    def __init__(
        self,
        pool_size: Any,
        strides: Any,
        padding: str = "valid",
        data_format: str = "channels_last",
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name, **options)
        self.pool_size = sizes(pool_size, 1, "pool_size")
        self.strides = sizes(strides, 1, "strides")
        self.padding, self._layout = padding_of(padding), layout_of(data_format)

    def call(self, inputs: Tensor, **options: Any) -> Any:
        """Sequences are images of one column."""
        image = array.expand_dims(inputs, 2 if self._layout == "NHWC" else 3)
        window, step = (self._four(values[0]) for values in (self.pool_size, self.strides))
        pooled = type(self).pool(image, window, step, self.padding, data_format=self._layout)
        return array.squeeze(pooled, [2 if self._layout == "NHWC" else 3])

    def _four(self, size: int) -> list[int]:
        return [1, size, 1, 1] if self._layout == "NHWC" else [1, 1, size, 1]


class MaxPooling1D(_Pooling1D):
    """The largest element of each window."""

    base_name = "max_pooling1d"
    pool = staticmethod(nn.max_pool)


class AveragePooling1D(_Pooling1D):
    """The mean of each window."""

    base_name = "average_pooling1d"
    pool = staticmethod(nn.avg_pool)


def conv1d(
    inputs: Any,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Any = 1,
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
    """activation(conv1d(inputs, kernel) + bias) with the variables `<name>/kernel` [size, channels, filters] and
    `<name>/bias` [filters]. ValueError if the channels are unknown."""
    layer = Conv1D(
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


def max_pooling1d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> Any:
    """The largest element of each window of `pool_size` steps, `strides` apart."""
    return MaxPooling1D(pool_size, strides, padding, data_format, name)(inputs)


def average_pooling1d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> Any:
    """The mean of each window of `pool_size` steps, `strides` apart, steps outside the sequence left out."""
    return AveragePooling1D(pool_size, strides, padding, data_format, name)(inputs)
