"""The nodes that a call makes: names, types and number as TensorFlow's, one call after the other in one graph.

Names matter to users (fetches by name, checkpoints) and their number decides the suffixes of later names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.conformance._both import TF, nodes_of, tfgraph

pytestmark = pytest.mark.conformance

# TensorFlow 2's type -> TensorFlow 1.14's, which this project has
TYPES_OF_1X = {
    "AddV2": "Add",
    "BatchMatMulV2": "BatchMatMul",
    "MatrixDiagV3": "MatrixDiag",
}

# calls whose inner nodes differ from TensorFlow 2's, and why; the names of their results are the same
DIFFERENT_INSIDE = {
    "a ^ b": "the inner nodes have no scope of their own",
    "tf.clip_by_norm": "one node in place of the three of ones_like",
    "tf.clip_by_global_norm": "1.x selects NaN where TensorFlow 2 adds norm - norm",
    "tf.eye": "the diagonal of 1.x takes no placement or padding",
    "tf.nn.softmax axis": "the permutation is known, so no nodes compute it",
    "tf.nn.zero_fraction": "a mean; TensorFlow counts, in int32 or int64 as a tf.cond on the size decides",
    "tf.losses": "no nodes check shapes and weights that are known",
    "tf.losses.softmax_cross_entropy": "no nodes check shapes and weights that are known",
}


class Given:
    """The tensors that the calls use."""

    def __init__(self, tf: Any) -> None:
        self.x = tf.placeholder(tf.float32, [None, 4], name="x")
        self.y = tf.placeholder(tf.float32, [2, 4], name="y")
        self.s = tf.placeholder(tf.float32, [], name="s")
        self.i = tf.placeholder(tf.int32, [None], name="i")
        self.j = tf.placeholder(tf.int32, [2], name="j")
        self.b = tf.placeholder(tf.bool, [2], name="b")
        self.p = tf.placeholder(tf.bool, [], name="p")
        self.u = tf.placeholder(tf.float32, name="u")
        self.images = tf.placeholder(tf.float32, [None, 6, 6, 3], name="images")
        self.filters = tf.placeholder(tf.float32, [3, 3, 3, 2], name="filters")
        self.w = tf.placeholder(tf.float32, [4, 3], name="w")
        self.stack = tf.placeholder(tf.float32, [2, 3, 4], name="stack_of_matrices")
        self.v = tf.Variable(np.ones(4, np.float32), name="v")


Call = Callable[[Any, Given], Any]

ARITHMETIC: dict[str, Call] = {
    "x + 1": lambda tf, g: g.x + 1.0,
    "tf.add": lambda tf, g: tf.add(g.x, 1.0),
    "1 + x": lambda tf, g: 1 + g.x,
    "x - 1": lambda tf, g: g.x - 1.0,
    "1 - x": lambda tf, g: 1.0 - g.x,
    "x * 2": lambda tf, g: g.x * 2.0,
    "array * x": lambda tf, g: np.ones(4, np.float32) * g.x,
    "x / 2": lambda tf, g: g.x / 2.0,
    "1 / x": lambda tf, g: 1.0 / g.x,
    "-x": lambda tf, g: -g.x,
    "x ** 2": lambda tf, g: g.x**2,
    "2 ** x": lambda tf, g: 2.0**g.x,
    "x // 2": lambda tf, g: g.x // 2.0,
    "x % 2": lambda tf, g: g.x % 2.0,
    "abs": lambda tf, g: abs(g.x),
    "comparisons": lambda tf, g: [g.x > 0.0, g.x <= g.x, g.x < 1.0, g.x >= 1.0],
    "i / i": lambda tf, g: g.i / g.i,
    "i / 2": lambda tf, g: g.i / 2,
    "x @ w": lambda tf, g: g.x @ g.w,
    "bools": lambda tf, g: [g.b & g.b, g.b | g.b, ~g.b],
    "a ^ b": lambda tf, g: g.b ^ g.b,
    "v + 1": lambda tf, g: g.v + 1.0,
    "v * v": lambda tf, g: g.v * g.v,
    "tf.multiply": lambda tf, g: tf.multiply(g.x, 2.0),
    "tf.divide": lambda tf, g: tf.divide(g.x, 2.0),
    "tf.div": lambda tf, g: tf.div(g.x, 2.0),
    "tf.truediv": lambda tf, g: tf.truediv(g.x, 2.0),
    "tf.floordiv": lambda tf, g: tf.floordiv(g.x, 2.0),
    "tf.floormod": lambda tf, g: tf.floormod(g.x, 2.0),
    "tf.mod": lambda tf, g: tf.mod(g.x, 2.0),
    "tf.subtract": lambda tf, g: tf.subtract(g.x, 1.0),
    "tf.negative": lambda tf, g: tf.negative(g.x),
    "tf.pow": lambda tf, g: tf.pow(g.x, 2.0),
    "tf.square, sqrt, exp, log, sign": lambda tf, g: [
        f(g.x) for f in (tf.square, tf.sqrt, tf.exp, tf.log, tf.sign, tf.abs, tf.floor, tf.ceil, tf.round, tf.rsqrt)
    ],
    "tf.maximum, minimum": lambda tf, g: [tf.maximum(g.x, 0.0), tf.minimum(1.0, g.x), tf.squared_difference(g.x, 1.0)],
    "tf.logical": lambda tf, g: [
        tf.logical_and(g.b, True), tf.logical_or(g.b, g.b), tf.logical_not(g.b), tf.logical_xor(g.b, g.b),
    ],
    "tf.equal": lambda tf, g: [tf.equal(g.i, 3), tf.not_equal(g.x, g.x)],
    "tf.cast": lambda tf, g: [tf.cast(g.i, tf.float32), tf.to_float(g.i), tf.cast(g.x, tf.float32)],
    "tf.add_n": lambda tf, g: [tf.add_n([g.x, g.x]), tf.add_n([g.x])],
    "tf.scalar_mul": lambda tf, g: tf.scalar_mul(2.0, g.x),
    "tf.clip_by_value": lambda tf, g: tf.clip_by_value(g.x, -1.0, 1.0),
    "tf.clip_by_norm": lambda tf, g: tf.clip_by_norm(g.x, 1.0),
    "tf.clip_by_global_norm": lambda tf, g: tf.clip_by_global_norm([g.x, g.w], 1.0),
    "tf.global_norm": lambda tf, g: tf.global_norm([g.x, g.w]),
    "tf.identity, stop_gradient": lambda tf, g: [tf.identity(g.x), tf.stop_gradient(g.x), tf.check_numerics(g.x, "message")],
}  # fmt: skip

REDUCTIONS: dict[str, Call] = {
    "tf.reduce_mean": lambda tf, g: tf.reduce_mean(g.x),
    "tf.reduce_mean of known rank": lambda tf, g: tf.reduce_mean(g.y),
    "tf.reduce_mean of unknown rank": lambda tf, g: tf.reduce_mean(g.u),
    "tf.reduce_sum 1": lambda tf, g: tf.reduce_sum(g.x, 1),
    "tf.reduce_sum [0, 1]": lambda tf, g: tf.reduce_sum(g.x, [0, 1], keepdims=True),
    "tf.reduce_max, min, prod": lambda tf, g: [tf.reduce_max(g.x), tf.reduce_min(g.x, 0), tf.reduce_prod(g.x, axis=-1)],
    "tf.reduce_all, any": lambda tf, g: [tf.reduce_all(g.b), tf.reduce_any(g.b, 0)],
    "tf.reduce_logsumexp": lambda tf, g: tf.reduce_logsumexp(g.x, 1),
    "tf.argmax": lambda tf, g: [tf.argmax(g.x, 1), tf.argmin(g.x), tf.argmax(g.x, axis=0)],
    "accuracy": lambda tf, g: tf.reduce_mean(tf.cast(tf.equal(tf.argmax(g.x, 1), tf.argmax(g.x, 1)), tf.float32)),
    "tf.cumsum": lambda tf, g: tf.cumsum(g.x, 1),
    "tf.norm": lambda tf, g: tf.norm(g.x),
}

ARRAYS: dict[str, Call] = {
    "tf.constant": lambda tf, g: [tf.constant(1.0), tf.constant([1, 2], name="c"), tf.zeros([2, 3]), tf.ones([3])],
    "tf.zeros of a tensor": lambda tf, g: [tf.zeros(tf.shape(g.x)), tf.ones(tf.shape(g.x)[0:1])],
    "tf.zeros_like, ones_like": lambda tf, g: [tf.zeros_like(g.x), tf.zeros_like(g.y), tf.ones_like(g.x), tf.ones_like(g.y)],
    "tf.fill": lambda tf, g: tf.fill([2, 3], 1.0),
    "tf.range": lambda tf, g: [tf.range(5), tf.range(1, 7, 2), tf.range(tf.shape(g.x)[0])],
    "tf.shape, size, rank": lambda tf, g: [
        tf.shape(g.x), tf.size(g.x), tf.rank(g.x), tf.shape(g.y), tf.size(g.y), tf.rank(g.u), tf.shape(g.u),
    ],
    "x[0]": lambda tf, g: g.x[0],
    "x[:, 1:2]": lambda tf, g: g.x[:, 1:2],
    "x[i0, ..., newaxis]": lambda tf, g: g.x[g.j[0], ..., tf.newaxis],
    "shape as a list": lambda tf, g: tf.reshape(g.x, [tf.shape(g.x)[0], 2, 2]),
    "tf.reshape": lambda tf, g: [tf.reshape(g.x, [-1]), tf.reshape(g.x, (-1, 2, 2))],
    "tf.transpose": lambda tf, g: [tf.transpose(g.x), tf.transpose(g.y), tf.transpose(g.images, [0, 3, 1, 2])],
    "tf.concat": lambda tf, g: [tf.concat([g.x, g.x], 1), tf.concat([g.x], 0), tf.concat(axis=0, values=[g.x, g.x])],
    "tf.stack": lambda tf, g: [tf.stack([g.x, g.x]), tf.stack([g.s, 1.0], axis=0)],
    "tf.unstack": lambda tf, g: tf.unstack(g.y),
    "tf.split": lambda tf, g: [tf.split(g.x, 2, 1), tf.split(g.x, [1, 3], 1)],
    "tf.squeeze, expand_dims": lambda tf, g: [tf.squeeze(g.y), tf.expand_dims(g.x, 1), tf.squeeze(tf.expand_dims(g.x, 0), [0])],
    "tf.gather": lambda tf, g: [tf.gather(g.x, g.i), tf.gather(g.x, [0, 1]), tf.gather(g.x, g.i, axis=1)],
    "tf.gather_nd": lambda tf, g: tf.gather_nd(g.x, [[0, 1]]),
    "tf.one_hot": lambda tf, g: tf.one_hot(g.i, 10),
    "tf.pad": lambda tf, g: [tf.pad(g.x, [[1, 1], [0, 0]]), tf.pad(g.y, [[1, 1], [0, 0]], "REFLECT")],
    "tf.tile": lambda tf, g: tf.tile(g.x, [1, 2]),
    "tf.slice": lambda tf, g: tf.slice(g.x, [0, 1], [-1, 2]),
    "tf.strided_slice": lambda tf, g: tf.strided_slice(g.x, [0, 0], [2, 2]),
    "tf.reverse": lambda tf, g: tf.reverse(g.x, [0]),
    "tf.where": lambda tf, g: [tf.where(g.y > 0.0, g.y, -g.y), tf.where(g.b)],
    "tf.boolean_mask": lambda tf, g: tf.boolean_mask(g.y, g.b),
    "tf.placeholder_with_default": lambda tf, g: tf.placeholder_with_default([1.0, 2.0], [None]),
    "automatic packing": lambda tf, g: tf.identity([g.s, 2.0]),
    "tf.matmul": lambda tf, g: [tf.matmul(g.x, g.w), tf.matmul(g.x, g.x, transpose_b=True)],
    "batch matmul": lambda tf, g: tf.matmul(g.stack, g.stack, adjoint_b=True),
    "tf.eye": lambda tf, g: tf.eye(3),
    "tf.meshgrid": lambda tf, g: tf.meshgrid(g.j, g.j),
}  # fmt: skip

LAYERS: dict[str, Call] = {
    "tf.nn.conv2d": lambda tf, g: tf.nn.conv2d(g.images, g.filters, [1, 1, 1, 1], "SAME"),
    "pools": lambda tf, g: [
        tf.nn.max_pool(g.images, [1, 2, 2, 1], [1, 2, 2, 1], "SAME"),
        tf.nn.avg_pool(g.images, [1, 2, 2, 1], [1, 2, 2, 1], "VALID"),
    ],
    "tf.nn.bias_add": lambda tf, g: tf.nn.bias_add(g.images, [1.0, 2.0, 3.0]),
    "activations": lambda tf, g: [
        f(g.x) for f in (tf.nn.relu, tf.nn.relu6, tf.nn.elu, tf.nn.selu, tf.nn.softplus, tf.nn.softsign, tf.sigmoid, tf.tanh)
    ],
    "tf.nn.leaky_relu": lambda tf, g: tf.nn.leaky_relu(g.x),
    "tf.nn.crelu": lambda tf, g: tf.nn.crelu(g.x),
    "tf.nn.softmax": lambda tf, g: [tf.nn.softmax(g.x), tf.nn.softmax(g.images), tf.nn.log_softmax(g.x)],
    "tf.nn.softmax axis": lambda tf, g: tf.nn.softmax(g.stack, axis=1),
    "dropout": lambda tf, g: tf.nn.dropout(g.x, 0.5),
    "dropout with a tensor": lambda tf, g: tf.nn.dropout(g.x, g.s),
    "dropout with a rate": lambda tf, g: tf.nn.dropout(g.x, rate=0.25),
    "dropout that keeps all": lambda tf, g: tf.nn.dropout(g.x, 1.0),
    "softmax cross-entropy": lambda tf, g: tf.nn.softmax_cross_entropy_with_logits(labels=g.x, logits=g.x),
    "softmax cross-entropy v2": lambda tf, g: tf.nn.softmax_cross_entropy_with_logits_v2(labels=g.x, logits=g.x),
    "softmax cross-entropy of known shape": lambda tf, g: tf.nn.softmax_cross_entropy_with_logits_v2(labels=g.y, logits=g.y),
    "sparse cross-entropy": lambda tf, g: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=g.i, logits=g.x),
    "sigmoid cross-entropy": lambda tf, g: tf.nn.sigmoid_cross_entropy_with_logits(labels=g.x, logits=g.x),
    "weighted cross-entropy": lambda tf, g: tf.nn.weighted_cross_entropy_with_logits(g.x, g.x, 2.0),
    "tf.nn.l2_loss": lambda tf, g: tf.nn.l2_loss(g.w),
    "tf.nn.lrn": lambda tf, g: tf.nn.lrn(g.images),
    "tf.nn.l2_normalize": lambda tf, g: tf.nn.l2_normalize(g.x, 1),
    "tf.nn.moments": lambda tf, g: tf.nn.moments(g.x, [0]),
    "tf.nn.batch_normalization": lambda tf, g: tf.nn.batch_normalization(g.x, 0.0, 1.0, 0.5, 2.0, 1e-3),
    "tf.nn.fused_batch_norm": lambda tf, g: tf.nn.fused_batch_norm(g.images, [1.0] * 3, [0.0] * 3),
    "tf.nn.conv2d_transpose": lambda tf, g: tf.nn.conv2d_transpose(
        tf.nn.conv2d(g.images, g.filters, [1, 1, 1, 1], "SAME"), g.filters, [2, 6, 6, 3], [1, 1, 1, 1]
    ),
    "tf.nn.convolution": lambda tf, g: tf.nn.convolution(g.images, g.filters, "SAME"),
    "tf.nn.xw_plus_b": lambda tf, g: tf.nn.xw_plus_b(g.x, g.w, [1.0, 2.0, 3.0]),
    "tf.nn.relu_layer": lambda tf, g: tf.nn.relu_layer(g.x, g.w, [1.0, 2.0, 3.0]),
    "tf.nn.embedding_lookup": lambda tf, g: tf.nn.embedding_lookup(g.w, g.i),
    "tf.nn.in_top_k": lambda tf, g: [tf.nn.in_top_k(g.x, g.i, 2), tf.nn.top_k(g.x, 2)],
    "tf.nn.zero_fraction": lambda tf, g: tf.nn.zero_fraction(g.x),
    "tf.losses": lambda tf, g: [tf.losses.mean_squared_error(g.x, g.x), tf.losses.get_total_loss()],
    "tf.losses.softmax_cross_entropy": lambda tf, g: tf.losses.softmax_cross_entropy(g.x, g.x),
    "random": lambda tf, g: [
        tf.random_normal([2, 3]), tf.random_uniform([3]), tf.random_uniform([3], -1.0, 2.0), tf.truncated_normal([4], stddev=0.1),
        tf.random_uniform([3], maxval=5, dtype=tf.int32),
    ],
}  # fmt: skip


def scoped(tf: Any, g: Given) -> None:
    with tf.name_scope("outer"):
        tf.constant(1.0)
        with tf.name_scope("inner"):
            g.x + 1.0
            tf.Variable(1.0)
        with tf.name_scope("inner"):
            tf.Variable(tf.truncated_normal([2, 3]), name="weights")
    with tf.name_scope("outer") as scope:
        tf.nn.relu(g.x, name="activation")
    with tf.name_scope(scope):
        tf.nn.relu(g.x)
    with tf.name_scope(None), tf.name_scope("default", values=[g.x]):
        tf.nn.relu(g.x)
    with tf.variable_scope("layer"):
        tf.get_variable("kernel", [4, 2])
        g.x * 2.0
    with tf.variable_scope("layer", reuse=True):
        tf.get_variable("kernel", [4, 2])
        g.x * 2.0
    with tf.variable_scope(None, default_name="layer"):
        tf.get_variable("bias", [2], initializer=tf.zeros_initializer())


def controlled(tf: Any, g: Given) -> None:
    update = g.v.assign_add(np.ones(4, np.float32))
    with tf.control_dependencies([update]):
        tf.identity(g.x)
        tf.no_op()
    tf.group(update, tf.no_op())
    tf.group(update, name="together")
    tf.tuple([g.x, g.s])
    tf.assign(g.v, np.zeros(4))
    tf.assign_sub(g.v, g.v)
    g.v.read_value()
    tf.is_variable_initialized(g.v)
    tf.global_variables_initializer()
    tf.variables_initializer([g.v], name="again")
    tf.cond(g.p, lambda: g.x, lambda: g.x * 2.0)
    tf.train.get_or_create_global_step()
    tf.Variable(np.float32(3.0), trainable=False)
    tf.Variable(lambda: tf.ones([3]), name="lazy", dtype=tf.float32)


SCOPES: dict[str, Call] = {"scopes": scoped, "state and control": controlled}


def made(tf: Any, calls: dict[str, Call]) -> dict[str, list[tuple[str, str]]]:
    """The nodes that each call adds to the graph of those before it, by name."""
    with tf.Graph().as_default() as graph:
        given = Given(tf)
        results = {}
        for name, call in calls.items():
            before = len(graph.get_operations())
            call(tf, given)
            results[name] = sorted(nodes_of(graph, before))
        return results


def with_types_of_1x(nodes: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, TYPES_OF_1X.get(kind, kind)) for name, kind in nodes]


TABLES = {"arithmetic": ARITHMETIC, "reductions": REDUCTIONS, "arrays": ARRAYS, "layers": LAYERS, "scopes": SCOPES}


@pytest.mark.parametrize("table", TABLES)
def test_nodes(table: str) -> None:
    """All the calls together: a missing or additional node shows in the names that come later too."""
    calls = {name: call for name, call in TABLES[table].items() if name not in DIFFERENT_INSIDE}
    ours, theirs = made(tfgraph, calls), made(TF, calls)
    wrong = [
        f"{name}: {ours[name]}, not {with_types_of_1x(nodes)}"
        for name, nodes in theirs.items()
        if ours[name] != with_types_of_1x(nodes)
    ]
    assert not wrong, "\n".join(wrong)


def names_of_results(tf: Any, call: Call) -> list[str]:
    with tf.Graph().as_default():
        return [tensor.name for tensor in flat(call(tf, Given(tf)))]


def flat(result: Any) -> list[Any]:
    return [t for part in result for t in flat(part)] if isinstance(result, (list, tuple)) else [result]


@pytest.mark.parametrize("name", DIFFERENT_INSIDE)
def test_results_of_calls_that_differ_inside(name: str) -> None:
    [call] = [calls[name] for calls in TABLES.values() if name in calls]
    assert names_of_results(tfgraph, call) == names_of_results(TF, call)
