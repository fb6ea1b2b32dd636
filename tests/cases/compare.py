"""Rows of comparisons, logic, choices and casts."""

from __future__ import annotations

import numpy as np

from tests.cases import Case
from tests.cases._inputs import integers, matrix, row, uniform, vector

CASES = [
    Case(
        "comparisons",
        lambda tf, x, y: [
            tf.equal(x, y),
            tf.not_equal(x, y),
            tf.less(x, y),
            tf.less_equal(x, y),
            x > y,
            x >= y,
        ],
        integers(-2, 3, matrix, row),
        lambda x, y: [x == y, x != y, x < y, x <= y, x > y, x >= y],
        ("float32",),
        False,
    ),
    Case(
        "comparisons with NaN",
        lambda tf, x: [tf.equal(x, x), tf.not_equal(x, x), tf.less(x, 1.0), x >= 1.0],
        lambda rng, n: [np.resize([np.nan, 0.0, 2.0], n)],
        lambda x: [~np.isnan(x), np.isnan(x), x < 1, x >= 1],
        differentiable=False,
    ),
    Case(
        "logic",
        lambda tf, x, y: [x & y, x | y, ~x, x ^ y],
        lambda rng, n: [rng.random((n, 3)) < 0.5, rng.random(3) < 0.5],
        lambda x, y: [x * y, (x + y) > 0, x == False, x != y],  # noqa: E712
        ("float32",),
        False,
    ),
    Case(
        "approximate_equal",
        lambda tf, x: tf.approximate_equal(x, x + 0.25, tolerance=0.3),
        uniform(-2, 2, vector),
        lambda x: np.ones(x.shape, bool),
        differentiable=False,
    ),
    Case(
        "where",
        lambda tf, c, x, y: tf.where(c, x, y),
        lambda rng, n: [rng.random((n, 3)) < 0.5, rng.random((n, 3)), rng.random((n, 3))],
        lambda c, x, y: c * x + (1 - c) * y,
    ),
    Case(
        "where chooses rows",
        lambda tf, c, x, y: tf.where(c, x, y),
        lambda rng, n: [rng.random(n) < 0.5, rng.random((n, 3)), rng.random((n, 3))],
        lambda c, x, y: c[:, None] * x + (1 - c[:, None]) * y,
    ),
    Case(
        "where_v2 broadcasts",
        lambda tf, c, x, y: tf.where_v2(c, x, y),
        lambda rng, n: [rng.random((n, 1)) < 0.5, rng.random(3), rng.random((n, 3))],
        lambda c, x, y: c * x + (1 - c) * y,
    ),
    Case(
        "casts of floats",
        lambda tf, x: [tf.cast(x, tf.int32), tf.to_int64(x), tf.cast(x, tf.bool), tf.to_double(x), tf.to_float(x)],
        lambda rng, n: [np.resize([-1.75, 0.0, 0.5, 100.25], n)],
        lambda x: [np.trunc(x).astype(np.int32), np.trunc(x).astype(np.int64), x != 0, x, x],
        differentiable=False,
    ),
    Case("cast there and back", lambda tf, x: tf.cast(tf.cast(x, tf.float64), x.dtype), uniform(-2, 2, matrix), lambda x: x),
    Case(
        "casts of bool and int",
        lambda tf, b, i: [tf.cast(b, tf.float32), tf.cast(b, tf.int32), tf.to_float(i), tf.cast(i, tf.uint8)],
        lambda rng, n: [rng.random(n) < 0.5, rng.integers(0, 200, n).astype(np.int32)],
        lambda b, i: [b * 1.0, b * np.int32(1), i * 1.0, i],
        ("float32",),
        False,
    ),
    Case(
        "saturate_cast",
        lambda tf, x: tf.saturate_cast(x, tf.uint8),
        uniform(-200, 500, vector),
        lambda x: np.trunc(np.where(x < 0, 0, np.where(x > 255, 255, x))),
        differentiable=False,
    ),
]
