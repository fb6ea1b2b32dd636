"""Rows of ops on shapes, positions and constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases import Case
from tests.cases._inputs import block, integers, matrix, spread_out, uniform, vector

SOME = (1, 7, 8, 9, 33)  # for rows whose slices do not exist in an empty tensor
X = uniform(-2, 2, matrix)
BLOCK = uniform(-2, 2, block)


def fixed(*shape: int) -> Any:
    """Inputs of a shape that does not depend on the size."""
    return uniform(-2, 2, lambda n: shape)


def images(n: int) -> tuple[int, ...]:
    return (n, 4, 6, 8)


def discrete(name: str, build: Any, inputs: Any, oracle: Any, **options: Any) -> Case:
    """A row without a gradient."""
    return Case(name, build, inputs, oracle, differentiable=False, **options)


def with_integers(inputs: Any, low: int, high: int, shape: Any) -> Any:
    """The given inputs and one more: integers of `shape` in [low, high)."""
    return lambda rng, n: [*inputs(rng, n), *integers(low, high, shape)(rng, n)]


# --- shapes ----------------------------------------------------------------------------------------------------------------

SHAPES = [
    discrete("shape", lambda tf, x: tf.shape(x), BLOCK, lambda x: np.array(x.shape, np.int32)),
    discrete("shape as int64", lambda tf, x: tf.shape(x, out_type=tf.int64), X, lambda x: np.array(x.shape, np.int64)),
    discrete("shapes of two", lambda tf, x: tf.shape_n([x, x[:, :1]]), X, lambda x: [np.int32([len(x), k]) for k in (3, 1)]),
    discrete("size", lambda tf, x: tf.size(x), BLOCK, lambda x: np.int32(len(x[0]) * 6)),
    discrete("rank", lambda tf, x: tf.rank(x), BLOCK, lambda x: np.int32(3)),
    Case("reshape to a vector", lambda tf, x: tf.reshape(x, [-1]), X, lambda x: np.concatenate([np.zeros(0), *x])),
    Case(
        "reshape by its own shape",
        lambda tf, x: tf.reshape(x, [tf.shape(x)[1], 6]),
        BLOCK,
        lambda x: (
            np.stack([x[i // len(x[0]), i % len(x[0])] for i in range(2 * len(x[0]))]).reshape(-1, 6)
            if x.size
            else np.zeros((0, 6))
        ),
    ),
    Case("squeeze", lambda tf, x: tf.squeeze(x[:, None, :, None], [1, -1]), X, lambda x: x),
    Case(
        "expand_dims", lambda tf, x: [tf.expand_dims(x, 0), tf.expand_dims(x, axis=-1)], X, lambda x: [x[None], x[..., None]]
    ),
    Case("transpose", lambda tf, x: tf.transpose(x), BLOCK, lambda x: np.einsum("abc->cba", x)),
    Case("transpose by a permutation", lambda tf, x: tf.transpose(x, [1, 0, 2]), BLOCK, lambda x: np.einsum("abc->bac", x)),
    Case(
        "broadcast_to",
        lambda tf, x: tf.broadcast_to(x[:, :1], [2, tf.shape(x)[0], 4]),
        X,
        lambda x: np.array([[[v] * 4 for v in x[:, 0]]] * 2).reshape(2, -1, 4),
    ),
    Case("tile", lambda tf, x: tf.tile(x, [2, 3]), X, lambda x: np.vstack([np.hstack([x] * 3)] * 2)),
    Case(
        "tile along the batch",
        lambda tf, x, y: tf.tile(x, [tf.shape(y)[0], 1]),
        lambda rng, n: [rng.uniform(-2, 2, (1, 3)), rng.uniform(-2, 2, (n, 2))],
        lambda x, y: np.ones((len(y), 1)) @ x,
    ),
    Case(
        "space_to_depth",
        lambda tf, x: tf.space_to_depth(x, 2),
        uniform(-2, 2, images),
        lambda x: np.concatenate([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=3),
        sizes=(0, 1, 7),
    ),
    Case(
        "depth_to_space",
        lambda tf, x: tf.depth_to_space(x, 2),
        uniform(-2, 2, images),
        lambda x: np.stack(
            [x[:, i // 2, j // 2, (i % 2 * 2 + j % 2) * 2 :][:, :2] for i in range(8) for j in range(12)], 1
        ).reshape(-1, 8, 12, 2),
        sizes=(0, 1, 7),
    ),
    Case(
        "space_to_batch",
        lambda tf, x: tf.space_to_batch_nd(x, [2, 3], [[1, 1], [0, 3]]),
        uniform(-2, 2, lambda n: (n, 4, 6, 2)),
        lambda x: np.concatenate(
            [np.pad(x, [[0, 0], [1, 1], [0, 3], [0, 0]])[:, i::2, j::3] for i in (0, 1) for j in range(3)]
        ),
        sizes=(0, 1, 7),
    ),
    Case(
        "batch_to_space",
        lambda tf, x: tf.batch_to_space(tf.concat([x, -x, 2 * x, 3 * x], 0), [[1, 0], [0, 1]], 2),
        uniform(-2, 2, lambda n: (n, 2, 3, 2)),
        lambda x: np.stack([np.stack([-x, x][::-1], 3), np.stack([2 * x, 3 * x], 3)], 2).reshape(-1, 4, 6, 2)[:, 1:, :-1],
        sizes=(0, 1, 7),
    ),
]

# --- joining and splitting ------------------------------------------------------------------------

JOINS = [
    Case(
        "concat rows",
        lambda tf, x, y: tf.concat([x, y, x], 0),
        uniform(-2, 2, matrix, matrix),
        lambda x, y: np.vstack([x, y, x]),
    ),
    Case(
        "concat columns",
        lambda tf, x, y: tf.concat([x, y], -1),
        uniform(-2, 2, matrix, lambda n: (n, 2)),
        lambda x, y: np.hstack([x, y]),
    ),
    Case(
        "concat in the middle",
        lambda tf, x: tf.concat([x, x * 2.0], axis=1),
        BLOCK,
        lambda x: np.stack([np.vstack([a, 2 * a]) for a in x]),
    ),
    Case("concat of one", lambda tf, x: tf.concat([x], 0), X, lambda x: x),
    Case(
        "stack",
        lambda tf, x: [tf.stack([x, -x]), tf.stack([x, x], axis=-1)],
        X,
        lambda x: [np.array([x, -x]), np.einsum("ij,k->ijk", x, np.ones(2))],
    ),
    Case("unstack", lambda tf, x: tf.unstack(x, 3, axis=1), X, lambda x: list(x.T)),
    Case("some of unstack", lambda tf, x: tf.unstack(x, 2)[1], BLOCK, lambda x: x[1]),
    Case("split evenly", lambda tf, x: tf.split(x, 2, 1), uniform(-2, 2, lambda n: (n, 4)), lambda x: [x[:, :2], x[:, 2:]]),
    Case(
        "split by sizes",
        lambda tf, x: tf.split(x, [1, -1, 2], axis=1),
        uniform(-2, 2, lambda n: (n, 5)),
        lambda x: [x[:, :1], x[:, 1:3], x[:, 3:]],
    ),
]

# --- slices ----------------------------------------------------------------------------------------------------------------

SLICES = [
    Case("slice", lambda tf, x: tf.slice(x, [0, 0, 1], [1, -1, 2]), BLOCK, lambda x: np.delete(x[:1], 0, axis=2)),
    Case("column", lambda tf, x: x[:, 1], X, lambda x: x @ np.array([0, 1, 0])),
    Case("columns", lambda tf, x: x[:, 1:], X, lambda x: np.delete(x, 0, axis=1)),
    Case(
        "ellipsis and new axes",
        lambda tf, x: x[..., None, 1:3],
        BLOCK,
        lambda x: np.einsum("abc,d->abdc", x[:, :, 1:3], np.ones(1)),
    ),
    Case("new axis in front", lambda tf, x: x[tf.newaxis, :, 0], X, lambda x: np.array([x[:, 0]])),
    Case(
        "to the size of another", lambda tf, x: x[: tf.shape(x)[0], : tf.size(x[0]) - 1], X, lambda x: x[:, :2], sizes=SOME
    ),
    Case(
        "strided_slice",
        lambda tf, x: tf.strided_slice(x, [0, 0, 0], [2, 9, 3], [1, 1, 2], end_mask=2),
        BLOCK,
        lambda x: x.compress([True, False, True], axis=2),
    ),
    Case("reverse", lambda tf, x: tf.reverse(x, [0, -1]), BLOCK, lambda x: np.rot90(x, 2, (0, 2))),
    Case(
        "pad",
        lambda tf, x: tf.pad(x, [[0, 0], [2, 1]]),
        X,
        lambda x: np.hstack([np.zeros((len(x), 2)), x, np.zeros((len(x), 1))]),
    ),
    Case(
        "pad with a constant",
        lambda tf, x: tf.pad(x, [[0, 0], [1, 0], [0, 2]], constant_values=1.5),
        BLOCK,
        lambda x: np.pad(x, [[0, 0], [1, 0], [0, 2]], constant_values=1.5),
    ),
    Case("pad by reflection", lambda tf, x: tf.pad(x, [[0, 0], [2, 1]], "REFLECT"), X, lambda x: x[:, [2, 1, 0, 1, 2, 1]]),
    Case(
        "pad by symmetry",
        lambda tf, x: tf.pad(x, [[1, 0], [0, 0], [3, 2]], "symmetric"),
        BLOCK,
        lambda x: np.pad(x, [[1, 0], [0, 0], [3, 2]], mode="symmetric"),
    ),
]

# --- gathering and scattering ----------------------------------------------------------------------------------------------


def scattered(places: Any, updates: Any, shape: Any) -> np.ndarray:
    """Each update added at its place, one after the other."""
    result = np.zeros(shape)
    for place, update in zip(places, updates, strict=True):
        result[place] += update
    return result


GATHERS = [
    Case(
        "gather", lambda tf, x, i: tf.gather(x, i), with_integers(fixed(5, 3), 0, 5, vector), lambda x, i: np.eye(5)[i] @ x
    ),
    Case(
        "gather by a matrix",
        lambda tf, x, i: tf.gather(x, i),
        with_integers(fixed(5, 2), 0, 5, matrix),
        lambda x, i: np.eye(5)[i] @ x,
    ),
    Case(
        "gather columns",
        lambda tf, x, i: tf.gather(x, i, axis=1),
        with_integers(X, 0, 3, lambda n: (4,)),
        lambda x, i: x @ np.eye(3)[i].T,
    ),
    Case(
        "gather the last axis",
        lambda tf, x, i: tf.gather(x, i, axis=-1),
        with_integers(BLOCK, 0, 3, lambda n: (2, 2)),
        lambda x, i: np.einsum("abc,ijc->abij", x, np.eye(3)[i]),
    ),
    Case(
        "gather in batches",
        lambda tf, x, i: tf.gather(x, i, batch_dims=1),
        with_integers(X, 0, 3, lambda n: (n, 2)),
        lambda x, i: np.einsum("nc,nkc->nk", x, np.eye(3)[i]),
    ),
    Case(
        "gather_nd",
        lambda tf, x, i: tf.gather_nd(x, i),
        with_integers(fixed(3, 3, 2), 0, 3, lambda n: (n, 2)),
        lambda x, i: np.einsum("abc,na,nb->nc", x, np.eye(3)[i[:, 0]], np.eye(3)[i[:, 1]]),
    ),
    Case(
        "gather_nd along the batch",
        lambda tf, x: tf.gather_nd(x, tf.stack([tf.range(tf.shape(x)[0])] * 2, 1) % 3),
        X,
        lambda x: np.array([x[i % 3, i % 3] for i in range(len(x))]),
        sizes=(7, 8, 9),
    ),
    Case(
        "scatter_nd",
        lambda tf, x, i: tf.scatter_nd(i, x, [4, 3]),
        with_integers(X, 0, 4, lambda n: (n, 1)),
        lambda x, i: scattered(i[:, 0], x, (4, 3)),
        atol=4e-6,
    ),
    Case(
        "scatter_nd by pairs",
        lambda tf, x, i: tf.scatter_nd(i, x, [3, 3]),
        with_integers(uniform(-2, 2, vector), 0, 3, lambda n: (n, 2)),
        lambda x, i: scattered(map(tuple, i), x, (3, 3)),
        atol=4e-6,
    ),
    Case(
        "unsorted_segment_sum",
        lambda tf, x, i: tf.unsorted_segment_sum(x, i, 4),
        with_integers(X, -1, 4, vector),
        lambda x, i: np.array([x[i == s].sum(0) for s in range(4)]),
        atol=4e-6,
    ),
    Case("top_k", lambda tf, x: tf.nn.top_k(x, 2)[0], spread_out(lambda n: (n, 5)), lambda x: np.sort(x, 1)[:, :2:-1]),
    discrete(
        "places of top_k",
        lambda tf, x: tf.nn.top_k(x, 3)[1],
        spread_out(lambda n: (n, 5)),
        lambda x: np.array([sorted(range(5), key=lambda j, row=row: -row[j])[:3] for row in x], np.int32).reshape(-1, 3),
    ),
    discrete(
        "top_k of equals",
        lambda tf, x: tf.nn.top_k(x, 3),
        integers(0, 2, lambda n: (n, 5)),
        lambda x: [-np.sort(-x, 1)[:, :3], np.argsort(-x, 1, kind="stable")[:, :3].astype(np.int32)],
    ),
    discrete(
        "in_top_k",
        lambda tf, x, i: tf.nn.in_top_k(x, i, 2),
        with_integers(spread_out(lambda n: (n, 5)), 0, 6, vector),
        lambda x, i: np.array([j < 5 and sum(row > row[j]) < 2 for row, j in zip(x, i, strict=True)], bool),
        dtypes=("float32",),
    ),
]

# --- constants and ranges ------------------------------------------------------------------------------------------------

MADE = [
    Case("identity", lambda tf, x: tf.identity(x), X, lambda x: x),
    discrete("stop_gradient", lambda tf, x: tf.stop_gradient(x), X, lambda x: x),
    Case("placeholder_with_default", lambda tf, x: tf.placeholder_with_default(x, [None, 3]) + 1.0, X, lambda x: 1 + x),
    Case("ensure_shape", lambda tf, x: tf.ensure_shape(x, [None, 3]), X, lambda x: x),
    Case("check_numerics", lambda tf, x: tf.check_numerics(x, "x"), X, lambda x: x),
    discrete(
        "zeros_like",
        lambda tf, x: [tf.zeros_like(x), tf.zeros_like(x, tf.int32)],
        X,
        lambda x: [x - x, np.zeros(x.shape, np.int32)],
    ),
    discrete("ones_like", lambda tf, x: tf.ones_like(x), X, lambda x: x - x + 1),
    discrete("zeros in a shape", lambda tf, x: tf.zeros([tf.shape(x)[0], 2]), X, lambda x: np.zeros((len(x), 2))),
    Case(
        "fill",
        lambda tf, x, v: tf.fill([2, tf.shape(x)[0]], v),
        lambda rng, n: [np.zeros((n, 3)), rng.uniform(1, 2)],
        lambda x, v: np.outer(np.ones(2), np.ones(len(x)) * v),
        differentiable=False,
    ),
    Case(
        "gradient of fill",
        lambda tf, v: tf.fill([2, 3], v),
        lambda rng, n: [rng.uniform(1, 2)],
        lambda v: np.full((2, 3), v),
    ),
    discrete(
        "range over the batch", lambda tf, x: tf.range(tf.shape(x)[0]), X, lambda x: np.cumsum(np.ones(len(x), np.int32)) - 1
    ),
    discrete(
        "range",
        lambda tf, x: tf.range(3, 30, 4) + tf.cast(x[0], tf.int32) * 0,
        fixed(7),
        lambda x: np.int32([3, 7, 11, 15, 19, 23, 27]),
    ),
    discrete(
        "range downwards",
        lambda tf, x: tf.range(1.0, -1.0, -0.25) + x * 0,
        fixed(8),
        lambda x: 1 - np.arange(8) / 4,
        dtypes=("float32",),
    ),
    discrete(
        "linspace",
        lambda tf, x: tf.linspace(-1.0, 2.0, 7) + x * 0,
        fixed(7),
        lambda x: np.arange(7) / 2 - 1,
        dtypes=("float32",),
    ),
    discrete(
        "one_hot",
        lambda tf, i: tf.one_hot(i, 4),
        integers(-1, 5, vector),
        lambda i: np.array([[float(j == k) for k in range(4)] for j in i]).reshape(-1, 4),
    ),
    discrete(
        "one_hot in front",
        lambda tf, i: tf.one_hot(i, 4, 5, -1, axis=0),
        integers(0, 4, matrix),
        lambda i: np.array([np.where(i == k, 5, -1) for k in range(4)]),
    ),
    discrete(
        "one_hot in the middle",
        lambda tf, i: tf.one_hot(i, 4, axis=1),
        integers(0, 4, matrix, dtype="int64"),
        lambda i: np.stack([(i == k).astype(float) for k in range(4)], 1),
    ),
    discrete(
        "sequence_mask",
        lambda tf, i: tf.sequence_mask(i, 6),
        integers(0, 8, vector),
        lambda i: np.arange(6)[None] < i[:, None],
    ),
    Case(
        "meshgrid",
        lambda tf, x, y: tf.meshgrid(x, y),
        lambda rng, n: [rng.uniform(1, 2, n), rng.uniform(1, 2, 3)],
        lambda x, y: np.meshgrid(x, y),
    ),
    Case(
        "meshgrid by index",
        lambda tf, x, y: tf.meshgrid(x, y, indexing="ij"),
        lambda rng, n: [rng.uniform(1, 2, n), rng.uniform(1, 2, 3)],
        lambda x, y: np.meshgrid(x, y, indexing="ij"),
    ),
    discrete(
        "invert_permutation",
        lambda tf, p: tf.invert_permutation(p),
        lambda rng, n: [rng.permutation(n).astype(np.int32)],
        lambda p: np.argsort(p).astype(np.int32),
    ),
]

CASES = SHAPES + JOINS + SLICES + GATHERS + MADE
