"""JAX: the whole training step, optax's Adam included, is one jitted function; images are NHWC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..models import Net
from .jax_nets import FORWARD, Parameters


class Trainer:
    """Sets the weights and trains the net step by step on arrays that are JAX's already."""

    def __init__(self, variant: str, net: Net, parameters: list[np.ndarray], data: list[np.ndarray], threads: int) -> None:
        arrays = [jnp.asarray(array) for array in parameters]
        self._parameters: Parameters = list(zip(arrays[::2], arrays[1::2], strict=True))
        self._x, self._y = (jnp.asarray(array) for array in data)
        self._optimizer = optax.adam(1e-3)
        self._state = self._optimizer.init(self._parameters)
        self._key = jax.random.key(7)
        self._dropout = net.dropout
        self._forward = FORWARD[net.name]
        self._classes = net.classes
        self._update = jax.jit(self._training_step, donate_argnums=(0, 1), static_argnums=5)

    def without_dropout(self) -> Trainer:
        """This trainer, with dropout switched off."""
        self._dropout = False
        return self

    def _loss(self, parameters: Parameters, x: jax.Array, y: jax.Array, key: jax.Array | None) -> jax.Array:
        out = self._forward(parameters, x, key)
        if self._classes:
            return optax.softmax_cross_entropy(out, y).mean()
        return jnp.square(out - y).mean()

    def _training_step(
        self, parameters: Parameters, state: Any, x: jax.Array, y: jax.Array, key: jax.Array, dropout: bool
    ) -> tuple[Parameters, Any, jax.Array, jax.Array]:
        key, own = jax.random.split(key) if dropout else (key, None)
        loss, gradients = jax.value_and_grad(self._loss)(parameters, x, y, own)
        updates, state = self._optimizer.update(gradients, state, parameters)
        return optax.apply_updates(parameters, updates), state, key, loss

    def step(self) -> float:
        """One training step, waited for; the loss before it."""
        self._parameters, self._state, self._key, loss = self._update(
            self._parameters, self._state, self._x, self._y, self._key, self._dropout
        )
        jax.block_until_ready(self._parameters)
        return float(loss)

    def small_call(self) -> Callable[[], Any]:
        """A call that computes on 4 floats, from NumPy to NumPy."""
        values = np.ones(4, np.float32)
        function = jax.jit(lambda x: x * 2.0 + 1.0)
        return lambda: np.asarray(function(values))

    def code_bytes(self) -> dict[str, int]:
        """Not told: compiled code stays in memory."""
        return {}
