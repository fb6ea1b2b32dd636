"""Random choices: `tf.random_shuffle`, `tf.multinomial`, `tf.random.categorical`."""

from __future__ import annotations

from typing import Any

from .convert import convert_to_tensor
from .dtypes import as_dtype, int32, int64
from .naming import scope_of
from .ops import sampling
from .random import seed_attributes
from .tensor import Tensor

__all__ = ["multinomial", "random_shuffle"]


def random_shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """The rows of `value` in a random order. There is no gradient."""
    return sampling.random_shuffle(value, name=name, **seed_attributes(seed))


def multinomial(
    logits: Any, num_samples: Any, seed: int | None = None, name: str | None = None, output_dtype: Any = None
) -> Tensor:
    """[batch, num_samples] classes, drawn for each row of `logits` [batch, classes] with probabilities in proportion to
    e^logits; int64, or `output_dtype`. Rows are drawn independently."""
    return _drawn(logits, num_samples, output_dtype, seed, name, "multinomial")


def categorical(
    logits: Any, num_samples: Any, dtype: Any = None, seed: int | None = None, name: str | None = None
) -> Tensor:
    """`multinomial` under its name in `tf.random`."""
    return _drawn(logits, num_samples, dtype, seed, name, "categorical")


def _drawn(logits: Any, num_samples: Any, dtype: Any, seed: int | None, name: str | None, scope: str) -> Tensor:
    with scope_of(name, scope, logits):
        logits = convert_to_tensor(logits, name="logits")
        count = convert_to_tensor(num_samples, dtype=int32, name="num_samples")
        wanted = int64 if dtype is None else as_dtype(dtype)
        return sampling.multinomial(logits, count, output_dtype=wanted, **seed_attributes(seed))
