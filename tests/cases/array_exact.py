"""Rows on shapes and positions that no multiple of the batch size describes: their programs are made for one size."""

from __future__ import annotations

import numpy as np

from tests.cases import Case
from tests.cases._inputs import integers, matrix, uniform, vector

X = uniform(-2, 2, matrix)
SOME = (1, 7, 8, 9, 33)  # for rows whose slices do not exist in an empty tensor

CASES = [
    Case("reshape a scalar", lambda tf, x: tf.reshape(x[:1, :1], []), X, lambda x: x[0, 0], sizes=SOME),
    Case(
        "list of tensors",
        lambda tf, x: tf.convert_to_tensor([[x[0, 0], 1.0], [2.0, x[0, 1]]]),
        X,
        lambda x: np.array([[x[0, 0], 1], [2, x[0, 1]]]),
        ("float32",),
        sizes=SOME,
    ),
    Case("row", lambda tf, x: x[0], X, lambda x: next(iter(x)), sizes=SOME),
    Case("last row", lambda tf, x: x[-1], X, lambda x: list(x)[-1], sizes=SOME),
    Case("inner rows", lambda tf, x: x[1:-1], X, lambda x: np.array(list(x)[1:-1]).reshape(-1, 3)),
    Case("every other row", lambda tf, x: x[::2], X, lambda x: x[np.arange(len(x)) % 2 == 0]),
    Case("backwards", lambda tf, x: x[::-1, ::-2], X, lambda x: np.flipud(x)[:, [2, 0]]),
    Case(
        "backwards from the middle",
        lambda tf, x: x[5:1:-2],
        X,
        lambda x: x[[i for i in (5, 3) if i < len(x)]],
        sizes=(7, 8, 9),
    ),
    Case(
        "concat of ints",
        lambda tf, x: tf.concat([x, [7]], 0),
        integers(-9, 9, vector),
        lambda x: np.append(x, np.int32(7)),
        differentiable=False,
    ),
    Case(
        "pad rows",
        lambda tf, x: tf.pad(x, [[1, 2], [0, 0]]),
        X,
        lambda x: np.vstack([np.zeros((1, 3)), x, np.zeros((2, 3))]),
    ),
    Case(
        "segment_sum",
        lambda tf, x: tf.segment_sum(x, [0, 0, 1, 1, 1, 3, 3]),
        X,
        lambda x: np.array([x[:2].sum(0), x[2:5].sum(0), 0 * x[0], x[5:].sum(0)]),
        sizes=(7,),
    ),
]
