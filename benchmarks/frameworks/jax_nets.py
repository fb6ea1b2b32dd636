"""The nets as functions of JAX arrays; images are NHWC."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

Parameters = list[tuple[jax.Array, jax.Array]]  # weights and biases of each layer in turn


def _conv(x: jax.Array, layer: tuple[jax.Array, jax.Array], padding: str = "SAME") -> jax.Array:
    weights, biases = layer
    y = lax.conv_general_dilated(x, weights, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jax.nn.relu(y + biases)


def _pool(x: jax.Array) -> jax.Array:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")


def _dense(x: jax.Array, layer: tuple[jax.Array, jax.Array]) -> jax.Array:
    return x @ layer[0] + layer[1]


def _flat(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0], -1)


def _dropout(x: jax.Array, key: jax.Array, keep: float) -> jax.Array:
    return jnp.where(jax.random.bernoulli(key, keep, x.shape), x / keep, 0.0)


def mlp(parameters: Parameters, x: jax.Array, key: jax.Array | None) -> jax.Array:
    first, second, last = parameters
    return _dense(jax.nn.relu(_dense(jax.nn.relu(_dense(x, first)), second)), last)


def lenet(parameters: Parameters, x: jax.Array, key: jax.Array | None) -> jax.Array:
    first, second, third, last = parameters
    h = _flat(_pool(_conv(_pool(_conv(x, first)), second)))
    h = jax.nn.relu(_dense(h, third))
    return _dense(h if key is None else _dropout(h, key, 0.75), last)


def kp1(parameters: Parameters, x: jax.Array, key: jax.Array | None) -> jax.Array:
    first, last = parameters
    return _dense(jax.nn.relu(_dense(x, first)), last)


def kpcnn(parameters: Parameters, x: jax.Array, key: jax.Array | None) -> jax.Array:
    *convolutions, fourth, fifth, last = parameters
    for layer in convolutions:
        x = _pool(_conv(x, layer, "VALID"))
    return _dense(jax.nn.relu(_dense(jax.nn.relu(_dense(_flat(x), fourth)), fifth)), last)


def convnet128(parameters: Parameters, x: jax.Array, key: jax.Array | None) -> jax.Array:
    *convolutions, ninth, last = parameters
    for first, second in zip(convolutions[::2], convolutions[1::2]):
        x = _pool(_conv(_conv(x, first), second))
    return jax.nn.relu(_dense(_flat(_conv(x, ninth)), last))


FORWARD: dict[str, Callable[[Parameters, jax.Array, jax.Array | None], jax.Array]] = {
    "mlp": mlp,
    "lenet": lenet,
    "kp1": kp1,
    "kpcnn": kpcnn,
    "convnet128": convnet128,
}
