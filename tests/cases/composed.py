"""Functions made of other ops: products by letters, orders, bands, images in other sizes. Oracles are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases import Case
from tests.cases._inputs import block, matrix, spread_out, uniform

SOME = (1, 7, 8, 9, 33)


def square(n: int) -> tuple[int, ...]:
    return (n, 3, 3)


def by_letters(equation: str, *shapes: Any) -> Case:
    return Case(
        f"einsum {equation}",
        lambda tf, *x: tf.einsum(equation, *x),
        uniform(-1, 1, *shapes),
        lambda *x: np.einsum(equation, *x),
        rtol=1e-5,
        atol=1e-5,
    )


def backwards(x: np.ndarray) -> np.ndarray:
    """The first 1, 2 and 3 of the last axis in reverse, along the one in the middle."""
    y = x.copy()
    for length in (1, 2):
        y[length - 1, :length] = x[length - 1, :length][::-1]
    return y


CASES = [
    by_letters("ab,cb->ac", matrix, matrix),
    by_letters("abc,dbc->ad", block, block),
    by_letters("abc->ca", block),
    by_letters("abc,abd->bcd", block, block),
    Case("sort", lambda tf, x: tf.sort(x), spread_out(block), lambda x: np.sort(x), sizes=SOME),
    Case(
        "sort the other axis backwards",
        lambda tf, x: tf.sort(x, axis=0, direction="DESCENDING"),
        spread_out(block),
        lambda x: np.sort(x, axis=0)[::-1],
        sizes=SOME,
    ),
    Case("argsort", lambda tf, x: tf.argsort(x), spread_out(block), lambda x: np.argsort(x).astype(np.int32), sizes=SOME,
         differentiable=False),
    Case("matrix_band_part", lambda tf, x: tf.matrix_band_part(x, 1, 0), uniform(-1, 1, square),
         lambda x: np.tril(x) * (np.triu(np.ones((3, 3)), -1))),
    Case("matrix_band_part above", lambda tf, x: tf.matrix_band_part(x, 0, -1), uniform(-1, 1, square), np.triu),
    Case(
        "reverse_sequence",
        lambda tf, x: tf.reverse_sequence(x, [1, 2], seq_axis=1),
        uniform(-1, 1, block),
        backwards,
        sizes=(7, 8, 9, 33),
    ),
    Case("swish", lambda tf, x: tf.nn.swish(x), uniform(-4, 4, matrix), lambda x: x / (1 + np.exp(-x))),
]
