"""`tf.nn`: pooling by kind, over sequences, and under the names of later versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .convert import convert_to_tensor
from .convolution import avg_pool, max_pool
from .naming import scope_of
from .ops.shape import expand_dims, squeeze
from .spellings import either
from .tensor import Tensor

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool_v2", "max_pool1d", "max_pool2d", "max_pool_v2", "pool"]

_KINDS = {"AVG": avg_pool, "MAX": max_pool}


def pool(
    input: Any,
    window_shape: Sequence[int],
    pooling_type: str,
    padding: str,
    dilation_rate: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    name: str | None = None,
    data_format: str | None = None,
    dilations: Sequence[int] | None = None,
) -> Tensor:
    """The means ("AVG") or the largest elements ("MAX") of windows over one or two dimensions, `strides` (1) apart.

    NotImplementedError for dilations above 1, ValueError for other kinds and other numbers of dimensions.
    """
    rates = either("dilations", dilations, "dilation_rate", dilation_rate)
    if pooling_type not in _KINDS:
        raise ValueError(f"Unsupported pooling_type: {pooling_type}.")
    if rates is not None and any(rate != 1 for rate in rates):
        raise NotImplementedError("tf.nn.pool without dilations only")
    with scope_of(name, f"{pooling_type.lower()}_pool", input):
        x = convert_to_tensor(input, name="input")
        count = len(window_shape)
        if count not in (1, 2) or x.shape.ndims not in (count + 2, None):
            raise ValueError(f"tf.nn.pool takes one or two dimensions of space; the input has rank {x.shape.ndims}")
        steps = [1] * count if strides is None else list(strides)
        layout = "NCHW" if data_format is not None and data_format.startswith("NC") else "NHWC"
        if count == 1:
            return _over_steps(_KINDS[pooling_type], x, int(window_shape[0]), int(steps[0]), padding, layout)
        return _KINDS[pooling_type](x, list(window_shape), steps, padding, layout)


def _over_steps(kind: Callable[..., Tensor], x: Tensor, size: int, stride: int, padding: str, layout: str) -> Tensor:
    """Sequences are images of one row."""
    row = 2 if layout == "NCHW" else 1
    return squeeze(kind(expand_dims(x, row), (1, size), (1, stride), padding, layout), squeeze_dims=[row])


def _pooling_1d(kind: str, meaning: str) -> Callable[..., Tensor]:
    def function(
        input: Any, ksize: Any, strides: Any, padding: str, data_format: str = "NWC", name: str | None = None
    ) -> Tensor:
        with scope_of(name, public_name, input):
            size, step = (v if isinstance(v, int) else max(v) for v in (ksize, strides))
            layout = {"NWC": "NHWC", "NCW": "NCHW"}[data_format]
            return _over_steps(_KINDS[kind], convert_to_tensor(input, name="input"), size, step, padding, layout)

    public_name = f"{kind.lower()}_pool1d"
    function.__name__ = function.__qualname__ = public_name
    function.__doc__ = f"{meaning} of each window of `ksize` steps of [batch, steps, channels]."
    return function


avg_pool1d = _pooling_1d("AVG", "The mean")
max_pool1d = _pooling_1d("MAX", "The largest element")


def _pooling_2d(public_name: str, kind: Callable[..., Tensor], meaning: str) -> Callable[..., Tensor]:
    def function(
        input: Any, ksize: Any, strides: Any, padding: str, data_format: str | None = "NHWC", name: str | None = None
    ) -> Tensor:
        return kind(input, ksize, strides, padding, data_format, name)

    function.__name__ = function.__qualname__ = public_name
    function.__doc__ = f"{meaning} of each window of `ksize` of [batch, height, width, channels]."
    return function


avg_pool2d = avg_pool
avg_pool_v2 = _pooling_2d("avg_pool_v2", avg_pool, "The mean")
max_pool2d = _pooling_2d("max_pool2d", max_pool, "The largest element")
max_pool_v2 = _pooling_2d("max_pool_v2", max_pool, "The largest element")
