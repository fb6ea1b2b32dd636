"""Shapes and random numbers that the rows share: each shape is a function of the size n."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = Sequence[np.ndarray]


def uniform(low: float, high: float, *shapes: Callable[[int], tuple[int, ...]]) -> Callable[[Any, int], Arrays]:
    """Inputs of the given shapes (functions of the size), uniform in [low, high)."""
    return lambda rng, n: [rng.uniform(low, high, shape(n)) for shape in shapes]


def integers(
    low: int, high: int, *shapes: Callable[[int], tuple[int, ...]], dtype: str = "int32"
) -> Callable[[Any, int], Arrays]:
    """Integer inputs in [low, high)."""
    return lambda rng, n: [rng.integers(low, high, shape(n)).astype(dtype) for shape in shapes]


def vector(n: int) -> tuple[int, ...]:
    return (n,)


def matrix(n: int) -> tuple[int, ...]:
    return (n, 3)


def block(n: int) -> tuple[int, ...]:
    return (2, n, 3)


def row(n: int) -> tuple[int, ...]:
    return (3,)


def column(n: int) -> tuple[int, ...]:
    return (n, 1)


def apart(low: float, high: float, gap: float = 0.3, shape: Any = matrix) -> Callable[[Any, int], Arrays]:
    """One input with no element nearer to 0 than `gap`, so that kinks at 0 are not straddled."""

    def inputs(rng: np.random.Generator, n: int) -> Arrays:
        x = rng.uniform(low, high, shape(n))
        return [np.where(np.abs(x) < gap, gap, x)]

    return inputs


def spread_out(*shapes: Any) -> Callable[[Any, int], Arrays]:
    """Inputs whose elements are all different by at least 0.1, in random order: extremes are unique."""

    def inputs(rng: np.random.Generator, n: int) -> Arrays:
        total = sum(int(np.prod(shape(n))) for shape in shapes)
        numbers = list(rng.permutation(total) * 0.1 - 0.05 * total + 0.033)
        return [np.reshape([numbers.pop() for _ in range(int(np.prod(shape(n))))], shape(n)) for shape in shapes]

    return inputs
