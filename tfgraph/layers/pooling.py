"""`tf.layers`: pooling of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import nn
from ..tensor import Tensor
from .base import Layer, layout_of, padding_of, sizes


class _Pooling2D(Layer):
    """One pooling function over windows of `pool_size`."""

    rank = 4
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
        self.pool_size = sizes(pool_size, 2, "pool_size")
        self.strides = sizes(strides, 2, "strides")
        self.padding, self._layout = padding_of(padding), layout_of(data_format)

    def call(self, inputs: Tensor, **options: Any) -> Any:
        four = (lambda pair: [1, *pair, 1]) if self._layout == "NHWC" else (lambda pair: [1, 1, *pair])
        return type(self).pool(
            inputs, four(self.pool_size), four(self.strides), self.padding, data_format=self._layout
        )


class MaxPooling2D(_Pooling2D):
    """The largest element of each window."""

    base_name = "max_pooling2d"
    pool = staticmethod(nn.max_pool)


class AveragePooling2D(_Pooling2D):
    """The mean of each window."""

    base_name = "average_pooling2d"
    pool = staticmethod(nn.avg_pool)


def max_pooling2d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> Any:
    """The largest element of each window of `pool_size` (one int or a pair), `strides` apart."""
    return MaxPooling2D(pool_size, strides, padding, data_format, name)(inputs)


def average_pooling2d(
    inputs: Any,
    pool_size: Any,
    strides: Any,
    padding: str = "valid",
    data_format: str = "channels_last",
    name: str | None = None,
) -> Any:
    """The mean of each window of `pool_size` (one int or a pair), `strides` apart, elements outside the image left out."""
    return AveragePooling2D(pool_size, strides, padding, data_format, name)(inputs)
