"""Random programs for property tests: a list of steps, each an op on values made so far, then what is fetched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tfgraph as tf

WIDTH = 6
# the shapes that values have; the first dimension of some is the batch
MATRIX, SQUARE, ROW, COLUMN, SCALAR, IMAGE = "matrix", "square", "row", "column", "scalar", "image"


@dataclass(frozen=True)
class Program:
    """What was built in the default graph."""

    fetches: list[Any]
    shapes: dict[Any, tuple[int, ...]]  # of one sample, per placeholder

    def feeds(self, batch: int, seed: int = 0) -> dict[Any, np.ndarray]:
        rng = np.random.default_rng(seed)
        return {x: rng.uniform(-1, 1, (batch, *shape)).astype(np.float32) for x, shape in self.shapes.items()}

    def batch_shapes(self, batch: int) -> dict[Any, tuple[int, ...]]:
        return {x: (batch, *shape) for x, shape in self.shapes.items()}


def _squashed(f: Callable[..., Any]) -> Callable[..., Any]:
    """f, kept within [-1, 1] so that long chains stay finite."""
    return lambda *xs: tf.tanh(f(*xs))


def _filters(size: int) -> Any:
    return tf.constant(np.linspace(-0.5, 0.5, size * size * 4).reshape(size, size, 2, 2).astype(np.float32))


def _pool(x: Any) -> Any:
    return tf.nn.max_pool(x, [1, 2, 2, 1], [1, 1, 1, 1], "SAME")


# name: (shapes of the operands, shape of the result, how)
STEPS: dict[str, tuple[tuple[str, ...], str, Callable[..., Any]]] = {
    "tanh": ((MATRIX,), MATRIX, tf.tanh),
    "sigmoid": ((MATRIX,), MATRIX, tf.sigmoid),
    "relu": ((MATRIX,), MATRIX, tf.nn.relu),
    "half": ((MATRIX,), MATRIX, lambda x: x * 0.5 + 0.125),
    "add": ((MATRIX, MATRIX), MATRIX, _squashed(lambda x, y: x + y)),
    "multiply": ((MATRIX, MATRIX), MATRIX, lambda x, y: x * y),
    "where": ((MATRIX, MATRIX), MATRIX, lambda x, y: tf.where(x > y, x, -y)),
    "add_row": ((MATRIX, ROW), MATRIX, _squashed(lambda x, y: x + y)),
    "scale_rows": ((MATRIX, COLUMN), MATRIX, lambda x, y: x * tf.expand_dims(y, 1)),
    "scale": ((MATRIX, SCALAR), MATRIX, lambda x, y: x * y),
    "product": ((MATRIX, SQUARE), MATRIX, _squashed(tf.matmul)),
    "product_of_transposed": ((MATRIX, SQUARE), MATRIX, _squashed(lambda x, y: tf.matmul(x, y, transpose_b=True))),
    "gram": ((MATRIX, MATRIX), SQUARE, lambda x, y: tf.tanh(tf.matmul(x, y, transpose_a=True) * 0.1)),
    "transpose": ((SQUARE,), SQUARE, tf.transpose),
    "add_transposed": ((SQUARE, SQUARE), SQUARE, _squashed(lambda x, y: x + tf.transpose(y))),
    "softmax": ((MATRIX,), MATRIX, tf.nn.softmax),
    "mean_of_columns": ((MATRIX,), ROW, lambda x: tf.reduce_mean(x, 0)),
    "max_of_rows": ((MATRIX,), COLUMN, lambda x: tf.reduce_max(x, 1)),
    "mean_of_rows": ((MATRIX,), COLUMN, lambda x: tf.reduce_mean(x, 1)),
    "mean": ((MATRIX,), SCALAR, tf.reduce_mean),
    "norm": ((SQUARE,), SCALAR, lambda x: tf.tanh(tf.nn.l2_loss(x) * 0.1)),
    "row_of_square": ((SQUARE,), ROW, lambda x: x[2]),
    "add_rows": ((ROW, ROW), ROW, _squashed(lambda x, y: x + y)),
    "exp_of_column": ((COLUMN,), COLUMN, lambda x: tf.exp(-tf.abs(x))),
    "reversed": ((MATRIX,), MATRIX, lambda x: x[:, ::-1]),
    "rolled": ((MATRIX, MATRIX), MATRIX, lambda x, y: tf.concat([x[:, 2:], y[:, :2]], 1)),
    "padded": ((MATRIX,), MATRIX, lambda x: tf.pad(x[:, 1:-1], [[0, 0], [2, 0]])),
    "folded": ((MATRIX,), MATRIX, lambda x: tf.reshape(tf.reshape(x, [-1, 2, 3]) * [[1.0], [-1.0]], [-1, WIDTH])),
    "normalised": ((MATRIX,), MATRIX, lambda x: tf.nn.l2_normalize(x, 1)),
    "noise": ((MATRIX,), MATRIX, lambda x: x + tf.random_uniform(tf.shape(x), -0.1, 0.1, seed=5)),
    "picture": ((MATRIX, MATRIX), IMAGE, lambda x, y: tf.reshape(tf.concat([x, y], 1), [-1, 3, 2, 2])),
    "conv": ((IMAGE,), IMAGE, lambda x: tf.nn.relu(tf.nn.conv2d(x, _filters(3), [1, 1, 1, 1], "SAME") + 0.1)),
    "conv_1x1": ((IMAGE,), IMAGE, lambda x: tf.tanh(tf.nn.conv2d(x, _filters(1), [1, 1, 1, 1], "VALID"))),
    "pool": ((IMAGE,), IMAGE, _pool),
    "add_images": ((IMAGE, IMAGE), IMAGE, _squashed(lambda x, y: x + y)),
    "flat": ((IMAGE,), MATRIX, lambda x: tf.reshape(x, [-1, 12])[:, 3:9]),
}

steps = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=16)
choices = st.tuples(steps, st.lists(st.integers(0, 30), min_size=1, max_size=4), st.booleans())
"""What `build` makes a program of: steps, the values to fetch, whether to train as well."""


def build(chosen: tuple[list[tuple[str, int, int]], list[int], bool]) -> Program:
    """The program in the default graph. A step whose operands do not exist yet is left out."""
    taken, fetched, trains = chosen
    x, y = (tf.placeholder(tf.float32, [None, WIDTH], name=name) for name in "xy")
    rng = np.random.default_rng(3)
    weights = tf.Variable(rng.uniform(-0.5, 0.5, (WIDTH, WIDTH)).astype(np.float32), name="weights")
    bias = tf.Variable(rng.uniform(-0.5, 0.5, WIDTH).astype(np.float32), name="bias")
    values: dict[str, list[Any]] = {
        MATRIX: [x, y],
        SQUARE: [weights],
        ROW: [bias],
        COLUMN: [],
        SCALAR: [],
        IMAGE: [],
    }
    made = [x + y]
    for name, first, second in taken:
        shapes, result, how = STEPS[name]
        if not all(values[shape] for shape in shapes):
            continue
        operands = [
            values[shape][-1 - pick % len(values[shape])] for shape, pick in zip(shapes, (first, second), strict=False)
        ]
        made.append(how(*operands))
        values[result].append(made[-1])
    fetches = [made[i % len(made)] for i in fetched]
    if trains:
        # every trainable value takes part, so that each has a gradient
        loss = tf.reduce_mean(tf.square(made[-1])) + tf.nn.l2_loss(tf.matmul(x + bias, weights)) * 0.01
        fetches += [loss, tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)]
    return Program(fetches, {x: (WIDTH,), y: (WIDTH,)})
