"""`tf.nn`: activation functions and small layers; convolutions, pooling, losses and normalisation come from beside."""

from __future__ import annotations

from typing import Any

from . import array, convolution, cross_entropy, dropout, math, normalisation
from .convert import convert_to_tensor
from .dtypes import float32
from .naming import scope_of
from .ops import activations, bias, losses
from .ops.identity import identity
from .ops.join import concat_v2
from .tensor import Tensor

sigmoid, tanh = math.sigmoid, math.tanh

_HERE = [
    "bias_add",
    "crelu",
    "elu",
    "embedding_lookup",
    "in_top_k",
    "l2_loss",
    "leaky_relu",
    "relu",
    "relu6",
    "relu_layer",
    "selu",
    "sigmoid",
    "softplus",
    "softsign",
    "tanh",
    "top_k",
    "xw_plus_b",
    "zero_fraction",
]
