"""Rows of arithmetic, comparisons, reductions and linear algebra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special

from tests.cases import Case

Arrays = Sequence[np.ndarray]


def uniform(low: float, high: float, *shapes: Callable[[int], tuple[int, ...]]) -> Callable[[Any, int], Arrays]:
    """Inputs of the given shapes (functions of the size), uniform in [low, high)."""
    return lambda rng, n: [rng.uniform(low, high, shape(n)) for shape in shapes]


def integers(low: int, high: int, *shapes: Callable[[int], tuple[int, ...]], dtype: str = "int32") -> Callable[[Any, int], Arrays]:
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


def rounded_to_even(x: np.ndarray) -> np.ndarray:
    low = np.floor(x)
    return np.where(x - low > 0.5, low + 1, np.where(x - low < 0.5, low, low + low % 2))


# name, function of (tf, x), oracle, low, high; options
_FUNCTIONS: list[tuple[str, Callable[[Any, Any], Any], Callable[..., Any], float, float, dict[str, Any]]] = [
    ("neg", lambda tf, x: -x, lambda x: 0 - x, -3, 3, {}),
    ("square", lambda tf, x: tf.square(x), lambda x: x**2, -3, 3, {}),
    ("sqrt", lambda tf, x: tf.sqrt(x), lambda x: x**0.5, 0.1, 9, {}),
    ("rsqrt", lambda tf, x: tf.rsqrt(x), lambda x: x**-0.5, 0.1, 9, {}),
    ("reciprocal", lambda tf, x: tf.reciprocal(x), lambda x: x**-1.0, 0.2, 4, {}),
    ("exp", lambda tf, x: tf.exp(x), lambda x: np.e**x, -9, 9, {"rtol": 4e-6}),
    ("expm1", lambda tf, x: tf.expm1(x), np.expm1, -1, 1, {}),
    ("log", lambda tf, x: tf.log(x), lambda x: np.log2(x) * np.log(2.0), 0.1, 30, {}),
    ("log1p", lambda tf, x: tf.log1p(x), np.log1p, -0.5, 3, {}),
    ("tanh", lambda tf, x: tf.tanh(x), lambda x: 1 - 2 / (np.exp(2 * x) + 1), -4, 4, {}),
    ("sigmoid", lambda tf, x: tf.sigmoid(x), lambda x: 1 / (1 + np.exp(-x)), -9, 9, {}),
    ("erf", lambda tf, x: tf.erf(x), special.erf, -3, 3, {}),
    ("sin", lambda tf, x: tf.sin(x), np.sin, -7, 7, {}),
    ("cos", lambda tf, x: tf.cos(x), np.cos, -7, 7, {}),
    ("tan", lambda tf, x: tf.tan(x), lambda x: np.sin(x) / np.cos(x), -1.3, 1.3, {}),
    ("asin", lambda tf, x: tf.asin(x), np.arcsin, -0.9, 0.9, {}),
    ("acos", lambda tf, x: tf.acos(x), np.arccos, -0.9, 0.9, {}),
    ("atan", lambda tf, x: tf.atan(x), np.arctan, -5, 5, {}),
    ("sinh", lambda tf, x: tf.sinh(x), lambda x: (np.exp(x) - np.exp(-x)) / 2, -3, 3, {"rtol": 4e-6}),
    ("cosh", lambda tf, x: tf.cosh(x), lambda x: (np.exp(x) + np.exp(-x)) / 2, -3, 3, {}),
    ("floor", lambda tf, x: tf.floor(x), np.floor, -5, 5, {"differentiable": False}),
    ("ceil", lambda tf, x: tf.ceil(x), np.ceil, -5, 5, {"differentiable": False}),
    ("rint", lambda tf, x: tf.rint(x), rounded_to_even, -5, 5, {"differentiable": False}),
]

UNARY = [
    Case(name, build, uniform(low, high, matrix), oracle, **options)
    for name, build, oracle, low, high, options in _FUNCTIONS
]
UNARY += [
    Case("abs", lambda tf, x: tf.abs(x), apart(-3, 3), lambda x: np.where(x < 0, -x, x)),
    Case("sign", lambda tf, x: tf.sign(x), apart(-3, 3), lambda x: np.where(x < 0, -1.0, 1.0)),
    Case("abs of int", lambda tf, x: tf.abs(x), integers(-9, 9, vector), np.abs, ("float32",), False),
    Case(
        "round halves to even",
        lambda tf, x: tf.round(x),
        lambda rng, n: [np.arange(n) / 2 - 3],
        rounded_to_even,
        differentiable=False,
    ),
    Case("round of int", lambda tf, x: tf.round(x), integers(-9, 9, vector), lambda x: x, ("float32",), False),
    Case(
        "finite, infinite, NaN",
        lambda tf, x: [tf.is_finite(x), tf.is_inf(x), tf.is_nan(x)],
        lambda rng, n: [np.resize([1.0, np.inf, np.nan, -np.inf, 0.0], n)],
        lambda x: [np.abs(x) < np.inf, np.abs(x) == np.inf, ~(x == x)],
        differentiable=False,
    ),
    Case(
        "NaN and infinity pass through",
        lambda tf, x: [tf.maximum(x, 0.0), tf.minimum(0.0, x), tf.exp(x), tf.tanh(x), tf.sigmoid(x), tf.abs(x), x * 0.0],
        lambda rng, n: [np.resize([np.nan, np.inf, -np.inf], n)],
        lambda x: [
            np.where(x != x, x, np.where(x > 0, x, 0)),
            np.where(x != x, x, np.where(x < 0, x, 0)),
            np.where(x != x, x, np.where(x > 0, x, 0)),
            np.where(x != x, x, np.where(x > 0, 1, -1)),
            np.where(x != x, x, np.where(x > 0, 1, 0)),
            np.where(x != x, x, np.inf),
            np.full(x.shape, np.nan),
        ],
        differentiable=False,
    ),
]

PAIR = uniform(0.5, 3, matrix, matrix)
BINARY = [
    Case("add", lambda tf, x, y: tf.add(x, y), PAIR, lambda x, y: x + y),
    Case("add a row", lambda tf, x, y: x + y, uniform(-2, 2, matrix, row), lambda x, y: x + y),
    Case("row minus columns", lambda tf, x, y: x - y, uniform(-2, 2, row, column), lambda x, y: x - y),
    Case("times outer", lambda tf, x, y: x * y, uniform(-2, 2, column, row), np.multiply),
    Case("times itself", lambda tf, x: x * x + x, uniform(-2, 2, matrix), lambda x: x * x + x),
    Case("ranks 3 and 1", lambda tf, x, y: x * y, uniform(-2, 2, block, row), lambda x, y: x * y),
    Case("scalar operands", lambda tf, x: 2 * x + 1 - x / 4, uniform(-2, 2, matrix), lambda x: 1.75 * x + 1),
    Case("int operands", lambda tf, x: 3 * x - 1, integers(-9, 9, matrix), lambda x: 3 * x - 1, ("float32",), False),
    Case("divide", lambda tf, x, y: tf.divide(x, y), uniform(0.5, 3, matrix, row), lambda x, y: x / y),
    Case("div of floats", lambda tf, x, y: tf.div(x, y), PAIR, lambda x, y: x / y),
    Case("realdiv", lambda tf, x, y: tf.realdiv(x, y), uniform(0.5, 3, column, row), lambda x, y: x / y),
    Case(
        "div_no_nan",
        lambda tf, x, y: tf.div_no_nan(x, y),
        lambda rng, n: [rng.uniform(1, 2, n), np.resize([0.0, 2.0], n)],
        lambda x, y: np.where(y == 0, 0, x / np.where(y == 0, 1, y)),
        differentiable=False,
    ),
    Case(
        "truediv of ints is float64",
        lambda tf, x, y: [x / y, tf.truediv(x, 2)],
        integers(1, 9, vector, vector),
        lambda x, y: [x.astype(float) / y, x * 0.5],
        ("float64",),
        False,
    ),
    Case(
        "integer quotients",
        lambda tf, x, y: [x // y, x % y, tf.truncatediv(x, y), tf.truncatemod(x, y), tf.div(x, y)],
        lambda rng, n: [rng.integers(-20, 20, n).astype(np.int32), np.resize(np.array([3, -4, 7, -2], np.int32), n)],
        lambda x, y: [
            np.floor(x / y).astype(np.int32),
            x - y * np.floor(x / y).astype(np.int32),
            np.trunc(x / y).astype(np.int32),
            x - y * np.trunc(x / y).astype(np.int32),
            np.floor(x / y).astype(np.int32),
        ],
        ("float32",),
        False,
    ),
    Case("floordiv", lambda tf, x, y: x // y, uniform(-9, 9, vector, vector), lambda x, y: np.floor(x / y), ("float64",), False),
    Case(
        "floormod",
        lambda tf, x, y: tf.floormod(x, y),
        lambda rng, n: [rng.uniform(0.1, 0.9, n) + rng.integers(-9, 9, n) * 2.0, np.full(n, 2.0)],
        lambda x, y: x - y * np.floor(x / y),
    ),
    Case("pow", lambda tf, x, y: tf.pow(x, y), uniform(0.5, 2, matrix, row), lambda x, y: np.exp(y * np.log(x)), rtol=4e-6),
    Case("square by pow", lambda tf, x: x**2, uniform(-2, 2, matrix), lambda x: x * x),
    Case("pow of int", lambda tf, x: x**3, integers(-5, 5, vector), lambda x: x * x * x, ("float32",), False),
    Case("squared_difference", lambda tf, x, y: tf.squared_difference(x, y), uniform(-2, 2, matrix, row), lambda x, y: (x - y) ** 2),
    Case("maximum", lambda tf, x, y: tf.maximum(x, y), spread_out(matrix, row), lambda x, y: np.where(x > y, x, y)),
    Case("minimum", lambda tf, x, y: tf.minimum(x, y), spread_out(matrix, column), lambda x, y: np.where(x < y, x, y)),
    Case("atan2", lambda tf, y, x: tf.atan2(y, x), uniform(0.5, 3, matrix, row), lambda y, x: np.angle(x + 1j * y)),
    Case("add_n", lambda tf, x, y, z: tf.add_n([x, y, z, x]), uniform(-2, 2, *[matrix] * 3), lambda x, y, z: 2 * x + y + z),
    Case("accumulate_n", lambda tf, x, y: tf.accumulate_n([x, y]), PAIR, lambda x, y: x + y),
    Case("scalar_mul", lambda tf, x: tf.scalar_mul(2.5, x), uniform(-2, 2, matrix), lambda x: 2.5 * x),
]

LOGIC = [
    Case(
        "comparisons",
        lambda tf, x, y: [
            tf.equal(x, y), tf.not_equal(x, y), tf.less(x, y), tf.less_equal(x, y), x > y, x >= y,
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


def soft_maximum(x: np.ndarray, axis: Any = None, keep: bool = False) -> np.ndarray:
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keep))


REDUCTIONS = [
    Case("sum of all", lambda tf, x: tf.reduce_sum(x), uniform(-2, 2, matrix), lambda x: np.einsum("ij->", x), rtol=1e-5, atol=1e-5),
    Case("sum of rows", lambda tf, x: tf.reduce_sum(x, 1), uniform(-2, 2, matrix), lambda x: x @ np.ones(3)),
    Case(
        "sum of columns", lambda tf, x: tf.reduce_sum(x, reduction_indices=[0]), uniform(-2, 2, matrix),
        lambda x: np.ones(len(x)) @ x, rtol=1e-5, atol=1e-5,
    ),
    Case(
        "sum over outer axes", lambda tf, x: tf.reduce_sum(x, [0, -1], keep_dims=True), uniform(-2, 2, block),
        lambda x: np.einsum("anb->n", x)[None, :, None], atol=2e-6,
    ),
    Case("sum over nothing", lambda tf, x: tf.reduce_sum(x, []), uniform(-2, 2, matrix), lambda x: x),
    Case("sum of ints", lambda tf, x: tf.reduce_sum(x, 0), integers(-9, 9, matrix), lambda x: x.T @ np.ones(len(x), int), ("float32",), False),
    Case("mean of all", lambda tf, x: tf.reduce_mean(x), uniform(-2, 2, matrix), lambda x: np.einsum("ij->", x) / np.float64(x.size), atol=2e-6),
    Case("mean of rows", lambda tf, x: tf.reduce_mean(x, 1, keepdims=True), uniform(-2, 2, matrix), lambda x: (x @ np.ones((3, 1))) / 3),
    Case(
        "mean of columns", lambda tf, x: tf.reduce_mean(x, axis=[0, 1]), uniform(-2, 2, block),
        lambda x: np.einsum("anb->b", x) / np.float64(2 * x.shape[1]), atol=2e-6,
    ),
    Case(
        "mean of ints", lambda tf, x: tf.reduce_mean(x, 1), integers(-20, 20, matrix),
        lambda x: np.trunc((x @ np.ones(3)) / 3).astype(np.int32), ("float32",), False,
    ),
    Case("max", lambda tf, x: tf.reduce_max(x, 1), spread_out(matrix), lambda x: np.sort(x, 1)[:, -1]),
    Case("max of all", lambda tf, x: tf.reduce_max(x), spread_out(matrix), lambda x: max(x.reshape(-1), default=-np.inf)),
    Case("min", lambda tf, x: tf.reduce_min(x, [0], keepdims=True), spread_out(matrix), lambda x: np.sort(x, 0)[:1] if len(x) else np.full((1, 3), np.inf)),
    Case(
        "equal extremes share the gradient", lambda tf, x: tf.reduce_max(tf.floor(x) * 0.0 + 1.0, 1) + tf.reduce_sum(x, 1),
        uniform(-2, 2, matrix), lambda x: 1 + x.sum(1), differentiable=False,
    ),
    Case("max with NaN", lambda tf, x: tf.reduce_max(x, 1), lambda rng, n: [np.resize([1.0, np.nan, 2.0, 3.0], (n, 2))],
         lambda x: np.where(np.isnan(x).any(1), np.nan, np.nan_to_num(x).max(1)), differentiable=False),
    Case("prod", lambda tf, x: tf.reduce_prod(x, 1), apart(-2, 2), lambda x: x[:, 0] * x[:, 1] * x[:, 2]),
    Case(
        "prod with zeros", lambda tf, x: tf.reduce_prod(x, [1]),
        lambda rng, n: [np.resize([2.0, 0.0, 3.0, 0.5, 0.0, 0.0, 4.0], (n, 3))], lambda x: x[:, 0] * x[:, 1] * x[:, 2],
    ),
    Case("prod over two axes", lambda tf, x: tf.reduce_prod(x, [0, 2]), uniform(0.5, 1.5, block), lambda x: np.exp(np.log(x).sum((0, 2)))),
    Case(
        "all and any", lambda tf, x: [tf.reduce_all(x, 1), tf.reduce_any(x, 0), tf.reduce_all(x), tf.reduce_any(x)],
        lambda rng, n: [rng.random((n, 3)) < 0.6],
        lambda x: [x.sum(1) == 3, x.sum(0) > 0, x.sum() == x.size, x.sum() > 0], ("float32",), False,
    ),
    Case("logsumexp", lambda tf, x: tf.reduce_logsumexp(x, 1), uniform(-3, 3, matrix), lambda x: soft_maximum(x, 1)),
    Case("logsumexp of all", lambda tf, x: tf.reduce_logsumexp(x, keepdims=True), uniform(-3, 3, matrix), lambda x: soft_maximum(x, None, True)),
    Case("logsumexp of large", lambda tf, x: tf.reduce_logsumexp(x + 1000.0, 1), uniform(-3, 3, matrix), lambda x: 1000 + soft_maximum(x, 1)),
    Case("count_nonzero", lambda tf, x: tf.count_nonzero(x, 1), integers(-1, 2, matrix), lambda x: (x * x).sum(1), ("float32",), False),
    Case(
        "argmax and argmin", lambda tf, x: [tf.argmax(x, 1), tf.argmin(x, axis=-1), tf.argmax(x, 1, output_type=tf.int32)],
        spread_out(matrix), lambda x: [np.argsort(x, 1)[:, -1], np.argsort(x, 1)[:, 0], np.argsort(x, 1)[:, -1]], differentiable=False,
    ),
    Case("argmax across", lambda tf, x: tf.argmax(x, 0), spread_out(matrix), lambda x: np.argsort(x, 0)[-1], differentiable=False, sizes=(1, 7, 8, 9, 33)),
    Case(
        "argmax of equals is the first", lambda tf, x: [tf.argmax(x, 1), tf.argmin(x, 1)],
        integers(0, 2, lambda n: (n, 9)),
        lambda x: [[list(r).index(max(r)) for r in x] or np.zeros(0, int), [list(r).index(min(r)) for r in x] or np.zeros(0, int)],
        ("float32",), False,
    ),
    Case(
        "argmax passes over NaN", lambda tf, x: [tf.argmax(x, 1), tf.argmin(x, 1)],
        lambda rng, n: [np.resize([np.nan, 1.0, 2.0, 3.0, np.nan, np.nan, np.nan, np.nan, np.nan], (n, 3))],
        lambda x: [np.resize([2, 0, 0], len(x)), np.resize([1, 0, 0], len(x))], differentiable=False,
    ),
]  # fmt: skip


def running(x: np.ndarray, exclusive: bool = False, backwards: bool = False) -> np.ndarray:
    """Running sums of the rows of x, through a triangular matrix."""
    ones = np.tri(len(x), k=-1 if exclusive else 0)
    return (ones.T if backwards else ones) @ x


SCANS = [
    Case("cumsum", lambda tf, x: tf.cumsum(x), uniform(-2, 2, matrix), running, rtol=1e-5, atol=1e-5),
    Case("cumsum along rows", lambda tf, x: tf.cumsum(x, -1), uniform(-2, 2, matrix), lambda x: running(x.T).T),
    Case(
        "cumsum, exclusive and reverse",
        lambda tf, x: [tf.cumsum(x, 0, True), tf.cumsum(x, 0, reverse=True), tf.cumsum(x, 0, True, True)],
        uniform(-2, 2, matrix),
        lambda x: [running(x, True), running(x, False, True), running(x, True, True)],
        rtol=1e-5,
        atol=1e-5,
    ),
    Case("cumsum of ints", lambda tf, x: tf.cumsum(x), integers(-9, 9, matrix), running, ("float32",), False),
    Case(
        "cumprod",
        lambda tf, x: [tf.cumprod(x, 1), tf.cumprod(x, 1, exclusive=True), tf.cumprod(x, 1, reverse=True)],
        uniform(0.5, 1.5, matrix),
        lambda x: [
            np.stack([x[:, 0], x[:, 0] * x[:, 1], x[:, 0] * x[:, 1] * x[:, 2]], 1),
            np.stack([x[:, 0] * 0 + 1, x[:, 0], x[:, 0] * x[:, 1]], 1),
            np.stack([x[:, 0] * x[:, 1] * x[:, 2], x[:, 1] * x[:, 2], x[:, 2]], 1),
        ],
    ),
]


def product(rows: Any, columns: Any) -> Callable[[Any, int], Arrays]:
    return uniform(-1, 1, rows, columns)


MATRICES = [
    Case("matmul", lambda tf, a, b: tf.matmul(a, b), product(lambda n: (n, 5), lambda n: (5, 4)), lambda a, b: np.einsum("ij,jk->ik", a, b)),
    Case("matmul, inner size", lambda tf, a, b: a @ b, product(lambda n: (3, n), lambda n: (n, 4)), lambda a, b: np.einsum("ij,jk->ik", a, b), rtol=1e-5, atol=5e-6),
    Case("matmul, columns", lambda tf, a, b: tf.matmul(a, b), product(lambda n: (3, 5), lambda n: (5, n)), lambda a, b: np.einsum("ij,jk->ik", a, b)),
    Case("matmul, a transposed", lambda tf, a, b: tf.matmul(a, b, transpose_a=True), product(lambda n: (n, 5), lambda n: (n, 4)), lambda a, b: np.einsum("ji,jk->ik", a, b), rtol=1e-5, atol=5e-6),
    Case("matmul, b transposed", lambda tf, a, b: tf.matmul(a, b, transpose_b=True), product(lambda n: (n, 5), lambda n: (4, 5)), lambda a, b: np.einsum("ij,kj->ik", a, b)),
    Case("matmul, both transposed", lambda tf, a, b: tf.matmul(a, b, True, adjoint_b=True), product(lambda n: (5, n), lambda n: (4, 5)), lambda a, b: np.einsum("ji,kj->ik", a, b)),
    Case("matmul of ints", lambda tf, a, b: tf.matmul(a, b), integers(-5, 5, lambda n: (n, 5), lambda n: (5, 2)), lambda a, b: np.einsum("ij,jk->ik", a, b), ("float32",), False),
    Case("batch matmul", lambda tf, a, b: tf.matmul(a, b), product(lambda n: (2, n, 5), lambda n: (2, 5, 4)), lambda a, b: np.einsum("aij,ajk->aik", a, b)),
    Case("batch matmul, batches", lambda tf, a, b: tf.matmul(a, b, transpose_b=True), product(lambda n: (n, 2, 3, 5), lambda n: (n, 2, 4, 5)), lambda a, b: np.einsum("abij,abkj->abik", a, b)),
    Case("batch matmul, a adjoint", lambda tf, a, b: tf.matmul(a, b, adjoint_a=True), product(lambda n: (2, 5, n), lambda n: (2, 5, 4)), lambda a, b: np.einsum("aji,ajk->aik", a, b)),
    Case("batch matmul, both adjoint", lambda tf, a, b: tf.matmul(a, b, adjoint_a=True, adjoint_b=True), product(lambda n: (2, 5, n), lambda n: (2, 4, 5)), lambda a, b: np.einsum("aji,akj->aik", a, b)),
    Case("tensordot", lambda tf, a, b: tf.tensordot(a, b, 1), product(lambda n: (n, 2, 3), lambda n: (3, 4)), lambda a, b: np.einsum("abc,cd->abd", a, b)),
    Case("tensordot over axes", lambda tf, a, b: tf.tensordot(a, b, [[0, 2], [1, 0]]), product(lambda n: (3, n, 2), lambda n: (2, 3, 4)), lambda a, b: np.einsum("cna,acd->nd", a, b)),
    Case("matrix_transpose", lambda tf, a: tf.matrix_transpose(a), uniform(-1, 1, block), lambda a: np.einsum("abc->acb", a)),
    Case("diag", lambda tf, x: tf.diag(x), uniform(-1, 1, vector), lambda x: np.where(np.eye(len(x)) > 0, x, 0)),
    Case("diag of a matrix", lambda tf, x: tf.diag(x), uniform(-1, 1, lambda n: (n, 2)), lambda x: np.einsum("ij,ik,jl->ijkl", x, np.eye(len(x)), np.eye(2))),
    Case("diag_part", lambda tf, x: tf.diag_part(x), uniform(-1, 1, lambda n: (n, n)), lambda x: np.einsum("ii->i", x)),
    Case("diag_part of rank 4", lambda tf, x: tf.diag_part(x), uniform(-1, 1, lambda n: (n, 2, n, 2)), lambda x: np.einsum("ijij->ij", x), sizes=(0, 1, 7)),
    Case("matrix_diag", lambda tf, x: tf.matrix_diag(x), uniform(-1, 1, matrix), lambda x: np.einsum("ij,jk->ijk", x, np.eye(3))),
    Case("matrix_diag_part", lambda tf, x: tf.matrix_diag_part(x), uniform(-1, 1, lambda n: (2, n, 8)), lambda x: np.einsum("aii->ai", x[:, : min(x.shape[1:]), : min(x.shape[1:])])),
    Case(
        "matrix_set_diag", lambda tf, x, d: tf.matrix_set_diag(x, d), uniform(-1, 1, lambda n: (2, n, 8), lambda n: (2, min(n, 8))),
        lambda x, d: x * (1 - np.eye(x.shape[1], 8)) + np.einsum("ij,jn,jm->inm", d, np.eye(d.shape[1], x.shape[1]), np.eye(d.shape[1], 8)),
    ),
    Case("trace", lambda tf, x: tf.trace(x), uniform(-1, 1, lambda n: (2, n, n)), lambda x: np.einsum("aii->a", x), rtol=1e-5, atol=2e-6),
    Case("eye", lambda tf, x: [tf.eye(3), tf.eye(2, 3, [2]), tf.matmul(x, tf.eye(3))], uniform(-1, 1, matrix),
         lambda x: [np.identity(3), np.broadcast_to(np.identity(3)[:2], (2, 2, 3)), x], ("float32",), False),
    Case("norm", lambda tf, x: [tf.norm(x), tf.norm(x, axis=1), tf.norm(x, 1, axis=[0, 1], keepdims=True)], uniform(0.1, 1, matrix),
         lambda x: [(x**2).sum() ** 0.5, (x**2).sum(1) ** 0.5, np.reshape(max(x.sum(0), default=0), (1, 1))], rtol=1e-5, differentiable=False),
    Case("norms of other orders", lambda tf, x: [tf.norm(x, 1, 1), tf.norm(x, 3, 1), tf.norm(x, np.inf, 1)], spread_out(matrix),
         lambda x: [np.abs(x).sum(1), (np.abs(x) ** 3).sum(1) ** (1 / 3), np.abs(x).max(1)], rtol=1e-5),
]  # fmt: skip


def clipped_to(x: np.ndarray, limit: float, norm: Any) -> np.ndarray:
    return x * limit / np.maximum(norm, limit)


CLIPS = [
    Case("clip_by_value", lambda tf, x: tf.clip_by_value(x, -1.0, 1.5), apart(-3, 3, 0.01), lambda x: np.where(x < -1, -1, np.where(x > 1.5, 1.5, x))),
    Case("clip_by_norm", lambda tf, x: tf.clip_by_norm(x, 0.7), uniform(0.5, 1, matrix), lambda x: clipped_to(x, 0.7, np.sqrt((x * x).sum())), rtol=1e-5),
    Case("clip_by_norm of rows", lambda tf, x: tf.clip_by_norm(x, 1.2, 1), uniform(0.1, 1, matrix), lambda x: clipped_to(x, 1.2, np.sqrt((x * x).sum(1))[:, None])),
    Case("clip_by_norm of zeros", lambda tf, x: tf.clip_by_norm(x * 0.0, 1.0), uniform(0.1, 1, matrix), lambda x: x * 0),
    Case(
        "clip_by_global_norm", lambda tf, x, y: [t for t in tf.clip_by_global_norm([x, None, y], 0.5)[0] if t is not None],
        uniform(0.5, 1, matrix, row),
        lambda x, y: [clipped_to(v, 0.5, np.sqrt((x * x).sum() + (y * y).sum())) for v in (x, y)], rtol=1e-5,
    ),
    Case("global_norm", lambda tf, x, y: tf.global_norm([x, y]), uniform(0.5, 1, matrix, row), lambda x, y: np.sqrt((x * x).sum() + (y * y).sum()), rtol=1e-5),
]  # fmt: skip

CASES = [*UNARY, *BINARY, *LOGIC, *REDUCTIONS, *SCANS, *MATRICES, *CLIPS]
