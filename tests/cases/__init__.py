"""One row per op: how to build it, what to feed it at a size, and an independent NumPy oracle.

The oracle is written from TensorFlow's documentation in float64 NumPy; it never calls the code under test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SIZES = (0, 1, 7, 8, 9, 33)


@dataclass(frozen=True)
class Case:
    """`build(tf, *tensors)` gives a tensor or a list; `inputs(rng, n)` the arrays; `oracle(*arrays)` the expectation."""

    name: str
    build: Callable[..., Any]
    inputs: Callable[[np.random.Generator, int], Sequence[np.ndarray]]
    oracle: Callable[..., Any]
    dtypes: tuple[str, ...] = ("float32", "float64")  # floating inputs are cast to each of these in turn
    differentiable: bool = True  # checked by central differences in float64 at size 7
    rtol: float = 2e-6  # float32; float64 uses rtol * 1e-7
    atol: float = 1e-6
    sizes: tuple[int, ...] = SIZES
