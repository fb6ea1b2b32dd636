"""JAX on a GPU: the whole training step is one jitted function. Without optax, Adam is written out here."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..models import Net
from .jax_nets import FORWARD, Parameters

_most_before = 0  # bytes, of the process

PRODUCTS = {"float32": "highest", "tf32": "tensorfloat32", "bf16": "default"}
"""JAX's names for what products round to; bfloat16 operands are bfloat16 already."""
RATE, FIRST, SECOND, LEAST = 1e-3, 0.9, 0.999, 1e-8  # Adam's


def _optimizer() -> tuple[Any, Any]:
    """`init` and `update` of Adam, which gives new parameters and a new state."""
    try:
        import optax
    except ImportError:
        return _adam_init, _adam_update
    adam = optax.adam(RATE)

    def update(gradients: Any, state: Any, parameters: Any) -> tuple[Any, Any]:
        updates, state = adam.update(gradients, state, parameters)
        return optax.apply_updates(parameters, updates), state

    return adam.init, update


def _adam_init(parameters: Any) -> Any:
    zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)
    return jnp.zeros((), jnp.int32), zeros, zeros


def _adam_update(gradients: Any, state: Any, parameters: Any) -> tuple[Any, Any]:
    steps, means, squares = state
    steps = steps + 1
    each = jax.tree_util.tree_map
    means = each(lambda m, g: FIRST * m + (1 - FIRST) * g, means, gradients)
    squares = each(lambda v, g: SECOND * v + (1 - SECOND) * g * g, squares, gradients)
    rate = RATE * jnp.sqrt(1 - SECOND**steps) / (1 - FIRST**steps)
    new = each(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + LEAST), parameters, means, squares)
    return new, (steps, means, squares)


class Trainer:
    """Sets the weights and trains the net step by step on a batch that is on the GPU already."""

    def __init__(
        self, variant: str, net: Net, parameters: list[np.ndarray], data: list[np.ndarray], threads: int, precision: str
    ) -> None:
        jax.config.update("jax_default_matmul_precision", PRODUCTS[precision])
        arrays = [jnp.asarray(array) for array in parameters]
        self._parameters: Parameters = list(zip(arrays[::2], arrays[1::2], strict=True))
        self._x, self._y = (jnp.asarray(array) for array in data)
        init, self._adam = _optimizer()
        self._state = init(self._parameters)
        self._key = jax.random.key(7)
        self._dropout = net.dropout
        self._forward = FORWARD[net.name]
        self._classes = net.classes
        self._type = jnp.bfloat16 if precision == "bf16" else jnp.float32
        self._update = jax.jit(self._training_step, donate_argnums=(0, 1), static_argnums=5)

    def without_dropout(self) -> Trainer:
        """This trainer, with dropout switched off."""
        self._dropout = False
        return self

    def _loss(self, parameters: Parameters, x: jax.Array, y: jax.Array, key: jax.Array | None) -> jax.Array:
        cast = partial(jax.tree_util.tree_map, lambda array: array.astype(self._type))
        out = self._forward(cast(parameters), cast(x), key).astype(jnp.float32)
        if self._classes:
            return -(jax.nn.log_softmax(out) * y).sum(1).mean()
        return jnp.square(out - y).mean()

    def _training_step(
        self, parameters: Parameters, state: Any, x: jax.Array, y: jax.Array, key: jax.Array, dropout: bool
    ) -> tuple[Parameters, Any, jax.Array, jax.Array]:
        key, own = jax.random.split(key) if dropout else (key, None)
        loss, gradients = jax.value_and_grad(self._loss)(parameters, x, y, own)
        new, state = self._adam(gradients, state, parameters)
        return new, state, key, loss

    def step(self) -> float:
        """One training step, waited for; the loss before it."""
        self._parameters, self._state, self._key, loss = self._update(
            self._parameters, self._state, self._x, self._y, self._key, self._dropout
        )
        jax.block_until_ready(self._parameters)
        return float(loss)

    def peak_bytes(self) -> int:
        """The most device memory that was in use; 0 where another trainer of this process has had more, for JAX tells only
        the most of a process."""
        global _most_before
        most = int((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0))
        before, _most_before = _most_before, most
        return most if most > before else 0

    def close(self) -> None:
        """Give the memory back."""
        del self._parameters, self._state, self._x, self._y, self._update
        jax.clear_caches()
        gc.collect()


def device() -> str:
    """The GPU's name; empty where there is none."""
    first = jax.devices()[0]
    return first.device_kind if first.platform == "gpu" else ""
