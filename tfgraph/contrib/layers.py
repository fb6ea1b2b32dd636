"""`tf.contrib.layers`: initializers, regularizers, and layers with an activation by default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import layers, math, nn
from ..aliases.names import missing_from
from ..dtypes import float32
from ..initializers import Initializer, variance_scaling_initializer, zeros_initializer
from ..tensor import Tensor

__all__ = [
    "conv2d",
    "convolution2d",
    "dropout",
    "flatten",
    "fully_connected",
    "l1_l2_regularizer",
    "l1_regularizer",
    "l2_regularizer",
    "linear",
    "max_pool2d",
    "relu",
    "xavier_initializer",
    "xavier_initializer_conv2d",
]


def xavier_initializer(uniform: bool = True, seed: int | None = None, dtype: Any = float32) -> Initializer:
    """Glorot's initial values: a variance of 2 / (inputs + outputs), uniform or normal."""
    distribution = "uniform" if uniform else "truncated_normal"
    return variance_scaling_initializer(1.0, "fan_avg", distribution, seed, dtype)


xavier_initializer_conv2d = xavier_initializer

Regularizer = Callable[[Any], Tensor | None]


def _checked(scale: float, name: str) -> float:
    if isinstance(scale, int):
        raise ValueError(f"scale cannot be an integer: {scale}")
    if not scale >= 0:
        raise ValueError(f"Setting a scale less than 0 on a regularizer: {scale:g}")
    return scale


def l2_regularizer(scale: float, scope: str | None = None) -> Regularizer:
    """scale * (sum of squares) / 2. ValueError for an int or a negative scale; 0 adds nothing."""
    scale = _checked(scale, "l2_regularizer")
    return lambda weights: None if scale == 0 else math.multiply(scale, nn.l2_loss(weights))


def l1_regularizer(scale: float, scope: str | None = None) -> Regularizer:
    """scale * (sum of absolute values). ValueError for an int or a negative scale; 0 adds nothing."""
    scale = _checked(scale, "l1_regularizer")
    return lambda weights: None if scale == 0 else math.multiply(scale, math.reduce_sum(math.abs(weights)))


def l1_l2_regularizer(scale_l1: float = 1.0, scale_l2: float = 1.0, scope: str | None = None) -> Regularizer:
    """The sum of both."""
    both = [l1_regularizer(scale_l1), l2_regularizer(scale_l2)]

    def regularizer(weights: Any) -> Tensor | None:
        terms = [term for term in (one(weights) for one in both) if term is not None]
        return math.add_n(terms) if terms else None

    return regularizer


def fully_connected(
    inputs: Any,
    num_outputs: int,
    activation_fn: Callable[[Any], Any] | None = nn.relu,
    normalizer_fn: Callable[..., Any] | None = None,
    normalizer_params: dict[str, Any] | None = None,
    weights_initializer: Any = None,
    weights_regularizer: Any = None,
    biases_initializer: Any = zeros_initializer(),  # noqa: B008 (it keeps no state)
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Any:
    """A dense layer with ReLU; variables `<scope>/weights` and `<scope>/biases` (none with a normaliser)."""
    layer = _FullyConnected(
        num_outputs,
        None,
        normalizer_fn is None and biases_initializer is not None,
        weights_initializer or xavier_initializer(),
        biases_initializer,
        weights_regularizer,
        biases_regularizer,
        trainable=trainable,
        name=None,
        _scope=scope,
        _reuse=reuse,
    )
    return _finished(layer(inputs), activation_fn, normalizer_fn, normalizer_params)


def _finished(outputs: Any, activation: Any, normalizer: Any, params: dict[str, Any] | None) -> Any:
    if normalizer is not None:
        outputs = normalizer(outputs, **(params or {}))
    return outputs if activation is None else activation(outputs)


_OLD_NAMES = {"kernel": "weights", "bias": "biases"}


class _FullyConnected(layers.Dense):
    base_name = "fully_connected"

    def add_variable(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return super().add_variable(_OLD_NAMES[name], *args, **kwargs)


class _Convolution(layers.Conv2D):
    base_name = "Conv"

    def add_variable(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return super().add_variable(_OLD_NAMES[name], *args, **kwargs)


def conv2d(
    inputs: Any,
    num_outputs: int,
    kernel_size: Any,
    stride: Any = 1,
    padding: str = "SAME",
    data_format: str | None = None,
    rate: Any = 1,
    activation_fn: Callable[[Any], Any] | None = nn.relu,
    normalizer_fn: Callable[..., Any] | None = None,
    normalizer_params: dict[str, Any] | None = None,
    weights_initializer: Any = None,
    weights_regularizer: Any = None,
    biases_initializer: Any = zeros_initializer(),  # noqa: B008
    biases_regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Any:
    """A convolution with ReLU and SAME padding; variables `<scope>/weights` and `<scope>/biases`."""
    layer = _Convolution(
        num_outputs,
        kernel_size,
        stride,
        padding,
        "channels_first" if data_format == "NCHW" else "channels_last",
        rate,
        use_bias=normalizer_fn is None and biases_initializer is not None,
        kernel_initializer=weights_initializer or xavier_initializer(),
        bias_initializer=biases_initializer,
        kernel_regularizer=weights_regularizer,
        bias_regularizer=biases_regularizer,
        trainable=trainable,
        _scope=scope,
        _reuse=reuse,
    )
    return _finished(layer(inputs), activation_fn, normalizer_fn, normalizer_params)


convolution2d = conv2d
relu = fully_connected


def linear(inputs: Any, num_outputs: int, **options: Any) -> Any:
    """`fully_connected` without an activation."""
    return fully_connected(inputs, num_outputs, **{"activation_fn": None, **options})


def max_pool2d(inputs: Any, kernel_size: Any, stride: Any = 2, padding: str = "VALID", scope: str | None = None) -> Any:
    """The largest element of each window."""
    return layers.MaxPooling2D(kernel_size, stride, padding, name=scope)(inputs)


def dropout(
    inputs: Any, keep_prob: Any = 0.5, noise_shape: Any = None, is_training: Any = True, seed: int | None = None
) -> Any:
    """Dropout while training."""
    return layers.dropout(inputs, 1 - keep_prob, noise_shape, seed, is_training)


def flatten(inputs: Any, outputs_collections: Any = None, scope: str | None = None) -> Any:
    """All axes but the first as one. ValueError for inputs of rank 0 or 1."""
    return layers.Flatten(name=scope)(inputs)


__getattr__ = missing_from(__name__, __all__)
