"""`tf.nn`: activation functions and small layers; convolutions, pooling, losses and normalisation come from beside."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from . import array, math
from .aliases.names import missing_from
from .array import depth_to_space, space_to_batch, space_to_depth
from .convert import convert_to_tensor
from .convolution import (
    atrous_conv2d,
    avg_pool,
    conv1d,
    conv2d,
    conv2d_backprop_filter,
    conv2d_backprop_input,
    conv2d_transpose,
    convolution,
    depthwise_conv2d,
    depthwise_conv2d_native,
    max_pool,
    max_pool_with_argmax,
    separable_conv2d,
)
from .cross_entropy import (
    log_poisson_loss,
    log_softmax,
    sigmoid_cross_entropy_with_logits,
    softmax,
    softmax_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits_v2,
    sparse_softmax_cross_entropy_with_logits,
    weighted_cross_entropy_with_logits,
)
from .dropout import dropout
from .dtypes import float32
from .math import sigmoid, tanh
from .naming import scope_of
from .normalisation import (
    batch_normalization,
    fused_batch_norm,
    l2_normalize,
    local_response_normalization,
    lrn,
    moments,
)
from .ops import activations, losses, topk
from .ops import bias as bias_ops
from .ops.identity import identity
from .ops.join import concat_v2
from .tensor import Tensor

__all__ = [
    "atrous_conv2d",
    "avg_pool",
    "batch_normalization",
    "bias_add",
    "conv1d",
    "conv2d",
    "conv2d_backprop_filter",
    "conv2d_backprop_input",
    "conv2d_transpose",
    "convolution",
    "crelu",
    "depth_to_space",
    "depthwise_conv2d",
    "depthwise_conv2d_native",
    "dropout",
    "elu",
    "embedding_lookup",
    "fused_batch_norm",
    "in_top_k",
    "l2_loss",
    "l2_normalize",
    "leaky_relu",
    "local_response_normalization",
    "log_poisson_loss",
    "log_softmax",
    "lrn",
    "max_pool",
    "max_pool_with_argmax",
    "moments",
    "relu",
    "relu6",
    "relu_layer",
    "selu",
    "separable_conv2d",
    "sigmoid",
    "sigmoid_cross_entropy_with_logits",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits_v2",
    "softplus",
    "softsign",
    "space_to_batch",
    "space_to_depth",
    "sparse_softmax_cross_entropy_with_logits",
    "swish",
    "tanh",
    "top_k",
    "weighted_cross_entropy_with_logits",
    "xw_plus_b",
    "zero_fraction",
]


# --- activation functions -------------------------------------------------------------------------------------------


def relu(features: Any, name: str | None = None) -> Tensor:
    """max(features, 0), element by element."""
    return activations.relu(features, name=name)


def relu6(features: Any, name: str | None = None) -> Tensor:
    """min(max(features, 0), 6), element by element."""
    return activations.relu6(features, name=name)


def crelu(features: Any, name: str | None = None, axis: int = -1) -> Tensor:
    """relu of `features` and of -`features`, joined along `axis`: twice as many channels."""
    with scope_of(name, "CRelu", features) as scope:
        features = convert_to_tensor(features, name="features")
        both = concat_v2([features, -features], axis, name=scope)
        return activations.relu(both)


def elu(features: Any, name: str | None = None) -> Tensor:
    """features where they are positive, else exp(features) - 1."""
    return activations.elu(features, name=name)


def selu(features: Any, name: str | None = None) -> Tensor:
    """The scaled exponential linear unit, whose fixed point has mean 0 and variance 1."""
    return activations.selu(features, name=name)


def leaky_relu(features: Any, alpha: Any = 0.2, name: str | None = None) -> Tensor:
    """features where they are positive, else alpha * features; `alpha` may be a tensor."""
    with scope_of(name, "LeakyRelu", features, alpha) as scope:
        features = convert_to_tensor(features, name="features")
        if features.dtype.is_integer:
            features = math.cast(features, float32)
        if isinstance(alpha, Tensor):
            return math.maximum(alpha * features, features, name=scope)
        return activations.leaky_relu(features, alpha=float(alpha), name=scope)


def swish(features: Any) -> Tensor:
    """features * sigmoid(features), element by element."""
    with scope_of(None, "swish", features):
        features = convert_to_tensor(features, name="features")
        return math.multiply(features, math.sigmoid(features), name="swish")


def softplus(features: Any, name: str | None = None) -> Tensor:
    """log(exp(features) + 1), element by element."""
    return activations.softplus(features, name=name)


def softsign(features: Any, name: str | None = None) -> Tensor:
    """features / (|features| + 1), element by element."""
    return activations.softsign(features, name=name)


# --- layers ---------------------------------------------------------------------------------------------------------


def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Tensor:
    """`value` with bias[c] added to channel c: the last axis, or the second with data_format "NCHW".

    ValueError if there are not as many biases as channels.
    """
    layout = {"N...C": "NHWC", "NC...": "NCHW"}.get(data_format or "NHWC", data_format or "NHWC")
    with scope_of(name, "BiasAdd", value, bias) as scope:
        value = convert_to_tensor(value, name="input")
        bias = convert_to_tensor(bias, dtype=value.dtype.base_dtype, name="bias")
        return bias_ops.bias_add(value, bias, data_format=layout, name=scope)


def xw_plus_b(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """matmul(x, weights) + biases: [n, in], [in, out], [out] -> [n, out]."""
    with scope_of(name, "xw_plus_b", x, weights, biases) as scope:
        return bias_ops.bias_add(
            math.matmul(x, weights), convert_to_tensor(biases, name="biases"), name=scope
        )


def relu_layer(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """relu(matmul(x, weights) + biases): [n, in], [in, out], [out] -> [n, out]."""
    with scope_of(name, "relu_layer", x, weights, biases) as scope:
        products = math.matmul(x, weights)
        return activations.relu(
            bias_ops.bias_add(products, convert_to_tensor(biases, name="biases")), name=scope
        )


def embedding_lookup(
    params: Any,
    ids: Any,
    partition_strategy: str = "mod",
    name: str | None = None,
    validate_indices: bool = True,
    max_norm: Any = None,
) -> Tensor:
    """The rows of `params` that `ids` name. NotImplementedError for several tables or `max_norm`."""
    tables = params if isinstance(params, (list, tuple)) else [params]
    if len(tables) != 1 or max_norm is not None:
        raise NotImplementedError("tf.nn.embedding_lookup takes one table, and no max_norm")
    with scope_of(name, "embedding_lookup", tables[0], ids) as scope:
        ids = convert_to_tensor(ids, name="ids")
        return identity(array.gather(tables[0], ids, name=scope))


# --- measures -------------------------------------------------------------------------------------------------------


def l2_loss(t: Any, name: str | None = None) -> Tensor:
    """sum(t * t) / 2, a scalar."""
    return losses.l2_loss(t, name=name)


def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """The fraction of zeros in `value`, a float32 scalar."""
    with scope_of(name, "zero_fraction", value):
        value = convert_to_tensor(value, name="value")
        zeros = math.equal(value, convert_to_tensor(0, dtype=value.dtype.base_dtype, name="zero"))
        return math.reduce_mean(math.cast(zeros, float32), name="fraction")


def in_top_k(predictions: Any, targets: Any, k: Any, name: str | None = None) -> Tensor:
    """For each row of `predictions`, whether the class that `targets` names is among the k greatest: bool[n]."""
    with scope_of(name, "in_top_k", predictions, targets):
        return topk.in_top_k_v2(predictions, targets, k)


class TopKV2(NamedTuple):
    """The greatest elements and their indices."""

    values: Tensor
    indices: Tensor


def top_k(input: Any, k: Any = 1, sorted: bool = True, name: str | None = None) -> TopKV2:
    """The k greatest elements along the last axis, greatest first (of equals the first), and their indices (int32)."""
    return TopKV2(*topk.top_k_v2(input, k, sorted=sorted, name=name))


# found when asked for: these modules are built on this one, or few scripts use them
_HOMES = {
    "batch_statistics": (
        "batch_norm_with_global_normalization",
        "normalize_moments",
        "sufficient_statistics",
        "weighted_moments",
    ),
    "pools": ("avg_pool1d", "avg_pool2d", "avg_pool_v2", "max_pool1d", "max_pool2d", "max_pool_v2", "pool"),
    "recurrent": ("bidirectional_dynamic_rnn", "dynamic_rnn", "static_bidirectional_rnn", "static_rnn"),
    "rnn_cell": ("rnn_cell",),
    "sampled_losses": (
        "log_uniform_candidate_sampler",
        "nce_loss",
        "sampled_softmax_loss",
        "uniform_candidate_sampler",
    ),
}
_ELSEWHERE = {name: module for module, names in _HOMES.items() for name in names}
_missing = missing_from(__name__, [*__all__, *_ELSEWHERE])


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        return _missing(name)
    module = import_module(f".{_ELSEWHERE[name]}", __package__)
    return module if name == _ELSEWHERE[name] else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ELSEWHERE})
