"""The kernel cases in tfgraph: a graph of the operation alone, compiled, its kernels called directly."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import tfgraph as tf

from ..kernel_cases import Case
from . import matmul_operands, numbers, one_hot, row_indices
from .direct_calls import direct_call

Graph = tuple[Any, dict[Any, np.ndarray]]  # fetches, and what is fed

_WINDOW: dict[str, Any] = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "SAME"}


def build(case: Case, threads: int) -> Callable[[], Any]:
    """The call of a case; KeyError if it has no operation here."""
    operation = OPERATIONS[case.operation]
    os.environ.update(case.environment)
    try:
        with tf.Graph().as_default():
            return direct_call(*operation(case.sizes), threads)[0]
    finally:
        for name in case.environment:
            del os.environ[name]


def _fed(array: np.ndarray, batched: bool = True) -> tuple[Any, np.ndarray]:
    """A placeholder for an array; its first dimension is left open if `batched`."""
    shape = [None, *array.shape[1:]] if batched else list(array.shape)
    return tf.placeholder(tf.as_dtype(array.dtype), shape), array


def _matmul(sizes: Mapping[str, Any]) -> Graph:
    (a, a_values), (b, b_values) = (_fed(array, batched=False) for array in matmul_operands(sizes))
    form = {"transpose_a": sizes["transpose_a"], "transpose_b": sizes["transpose_b"]}
    return tf.matmul(a, b, **form), {a: a_values, b: b_values}


def _convolution(sizes: Mapping[str, Any]) -> Graph:
    batch, size, inputs = sizes["batch"], sizes["size"], sizes["inputs"]
    strides = [1, sizes["stride"], sizes["stride"], 1]
    weights_shape = [sizes["filter"], sizes["filter"], inputs, sizes["outputs"]]
    x, x_values = _fed(numbers(batch, size, size, inputs))
    dy, dy_values = _fed(numbers(batch, sizes["out_size"], sizes["out_size"], sizes["outputs"], seed=1))
    weights = tf.Variable(numbers(*weights_shape, seed=2))
    options = {"strides": strides, "padding": sizes["padding"]}
    if sizes["direction"] == "forward":
        return tf.nn.conv2d(x, weights, **options), {x: x_values}
    if sizes["direction"] == "dX":
        shape = [tf.shape(dy)[0], size, size, inputs]
        return tf.nn.conv2d_backprop_input(shape, weights, dy, **options), {dy: dy_values}
    return tf.nn.conv2d_backprop_filter(x, weights_shape, dy, **options), {x: x_values, dy: dy_values}


def _convolution_block(sizes: Mapping[str, Any]) -> Graph:
    y, feeds = _convolution(sizes)
    y = tf.nn.relu(tf.nn.bias_add(y, tf.Variable(numbers(sizes["outputs"], seed=3))))
    return tf.nn.max_pool(y, **_WINDOW) if sizes["pool"] else y, feeds


def _max_pool(sizes: Mapping[str, Any]) -> Graph:
    x, values = _fed(numbers(*sizes["shape"]))
    return tf.nn.max_pool(x, **_WINDOW), {x: values}


def _avg_pool(sizes: Mapping[str, Any]) -> Graph:
    x, values = _fed(numbers(*sizes["shape"]))
    return tf.nn.avg_pool(x, **_WINDOW), {x: values}


def _max_pool_gradient(sizes: Mapping[str, Any]) -> Graph:
    n, height, width, channels = sizes["shape"]
    x, values = _fed(numbers(*sizes["shape"]))
    dy, dy_values = _fed(numbers(n, height // 2, width // 2, channels, seed=1))
    y = tf.nn.max_pool(x, **_WINDOW)
    return [y, *tf.gradients(y, [x], grad_ys=[dy])], {x: values, dy: dy_values}


def _pointwise(function: Callable[[Any, Any], Any]) -> Callable[[Mapping[str, Any]], Graph]:
    def operation(sizes: Mapping[str, Any]) -> Graph:
        (x, x_values), (y, y_values) = _fed(numbers(sizes["count"])), _fed(numbers(sizes["count"], seed=1))
        return function(x, y), {x: x_values, y: y_values}

    return operation


def _rows(function: Callable[[Any], Any]) -> Callable[[Mapping[str, Any]], Graph]:
    """A function of one fed array whose first dimension is the batch."""

    def operation(sizes: Mapping[str, Any]) -> Graph:
        x, values = _fed(numbers(*sizes["shape"]))
        return function(x), {x: values}

    return operation


def _softmax_cross_entropy(sizes: Mapping[str, Any]) -> Graph:
    (x, values), (labels, label_values) = _fed(numbers(*sizes["shape"])), _fed(one_hot(sizes["shape"]))
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=x))
    return [loss, *tf.gradients(loss, [x])], {x: values, labels: label_values}


def _batch_norm(sizes: Mapping[str, Any]) -> Graph:
    x, values = _fed(numbers(*sizes["shape"]))
    return _normalised(x)[0], {x: values}


def _batch_norm_gradient(sizes: Mapping[str, Any]) -> Graph:
    (x, values), (dy, dy_values) = _fed(numbers(*sizes["shape"])), _fed(numbers(*sizes["shape"], seed=1))
    y, parameters = _normalised(x)
    return [y, *tf.gradients(y, [x, *parameters], grad_ys=[dy])], {x: values, dy: dy_values}


def _normalised(x: Any) -> tuple[Any, list[Any]]:
    channels = int(x.shape[-1])
    scale, offset = tf.Variable(np.ones(channels, np.float32)), tf.Variable(np.zeros(channels, np.float32))
    mean, variance = tf.nn.moments(x, [0, 1, 2])
    return tf.nn.batch_normalization(x, mean, variance, offset, scale, 1e-3), [scale, offset]


def _random(function: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Graph]:
    return lambda sizes: (function([sizes["count"]], seed=1), {})


def _dropout(sizes: Mapping[str, Any]) -> Graph:
    x, values = _fed(numbers(sizes["count"]))
    return tf.nn.dropout(x, keep_prob=0.75, seed=1), {x: values}


def _gather(sizes: Mapping[str, Any]) -> Graph:
    table = tf.Variable(numbers(*sizes["table"]))
    rows, values = _fed(row_indices(sizes))
    return tf.gather(table, rows), {rows: values}


def _scatter_add(sizes: Mapping[str, Any]) -> Graph:
    (rows, values), (x, x_values) = _fed(row_indices(sizes)), _fed(numbers(sizes["rows"], sizes["table"][1]))
    return tf.unsorted_segment_sum(x, rows, sizes["table"][0]), {rows: values, x: x_values}


def _transpose(sizes: Mapping[str, Any]) -> Graph:
    x, values = _fed(numbers(*sizes["shape"]), batched=False)
    return tf.transpose(x, list(sizes["axes"])), {x: values}


def _concat(sizes: Mapping[str, Any]) -> Graph:
    (x, x_values), (y, y_values) = _fed(numbers(*sizes["shape"])), _fed(numbers(*sizes["shape"], seed=1))
    return tf.concat([x, y], 1), {x: x_values, y: y_values}


def _top_k(sizes: Mapping[str, Any]) -> Graph:
    x, values = _fed(numbers(*sizes["shape"]))
    return list(tf.nn.top_k(x, sizes["k"])), {x: values}


def _updates(make: Callable[[], Any]) -> Callable[[Mapping[str, Any]], Graph]:
    def operation(sizes: Mapping[str, Any]) -> Graph:
        feeds, pairs = {}, []
        for shape in sizes["shapes"]:
            gradient, values = _fed(numbers(*shape, seed=1), batched=False)
            feeds[gradient] = values
            pairs.append((gradient, tf.Variable(numbers(*shape))))
        return make().apply_gradients(pairs), feeds

    return operation


OPERATIONS: dict[str, Callable[[Mapping[str, Any]], Graph]] = {
    "matmul": _matmul,
    "convolution": _convolution,
    "convolution_block": _convolution_block,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "max_pool_gradient": _max_pool_gradient,
    "add": _pointwise(lambda x, y: x + y),
    "chain": _pointwise(lambda x, y: tf.nn.relu(2.0 * x + 0.5) * (1.0 - x) + y),
    "tanh": _pointwise(lambda x, y: tf.tanh(x)),
    "exp": _pointwise(lambda x, y: tf.exp(x)),
    "sum": _rows(tf.reduce_sum),
    "sum_rows": _rows(lambda x: tf.reduce_sum(x, 1)),
    "sum_columns": _rows(lambda x: tf.reduce_sum(x, 0)),
    "max_rows": _rows(lambda x: tf.reduce_max(x, 1)),
    "argmax_rows": _rows(lambda x: tf.argmax(x, 1)),
    "cumsum": _rows(lambda x: tf.cumsum(x, 1)),
    "top_k": _top_k,
    "softmax": _rows(tf.nn.softmax),
    "softmax_cross_entropy": _softmax_cross_entropy,
    "batch_norm": _batch_norm,
    "batch_norm_gradient": _batch_norm_gradient,
    "l2_normalize": _rows(lambda x: tf.nn.l2_normalize(x, 1)),
    "random_uniform": _random(tf.random_uniform),
    "random_normal": _random(tf.random_normal),
    "truncated_normal": _random(tf.truncated_normal),
    "dropout": _dropout,
    "gather": _gather,
    "scatter_add": _scatter_add,
    "transpose": _transpose,
    "concat": _concat,
    "pad": _rows(lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])),
    "Adam": _updates(lambda: tf.train.AdamOptimizer(1e-6)),
    "momentum": _updates(lambda: tf.train.MomentumOptimizer(1e-9, 0.9)),
}
