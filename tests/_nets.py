"""Small networks that together use every kind of kernel, for tests of the compiler and of whole training steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import tfgraph as tf


@dataclass(frozen=True)
class Net:
    """A training step in the default graph: `fetches` of one run, and what to feed for a batch."""

    fetches: list[Any]
    shapes: Mapping[Any, tuple[int, ...]]  # of one sample, per placeholder
    classes: Any = None  # the placeholder that takes one-hot rows

    def feeds(self, batch: int, seed: int = 0) -> dict[Any, np.ndarray]:
        rng = np.random.default_rng(seed)
        arrays = {x: rng.normal(size=(batch, *shape)).astype(np.float32) for x, shape in self.shapes.items()}
        if self.classes is not None:
            (count,) = self.shapes[self.classes]
            arrays[self.classes] = np.eye(count, dtype=np.float32)[rng.integers(0, count, batch)]
        return arrays

    def batch_shapes(self, batch: int) -> dict[Any, tuple[int, ...]]:
        return {x: (batch, *shape) for x, shape in self.shapes.items()}


class _Weights:
    """Variables with initial values from a generator of their own: nothing needs compiling to set them."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(7)

    def __call__(self, *shape: int) -> Any:
        scale = 1 / np.sqrt(np.prod(shape[:-1]))
        return tf.Variable((self.rng.normal(size=shape) * scale).astype(np.float32), name="weights")

    def bias(self, count: int) -> Any:
        return tf.Variable(np.full(count, 0.1, np.float32), name="biases")

    def dense(self, x: Any, count: int, activation: Any = None) -> Any:
        y = tf.nn.bias_add(tf.matmul(x, self(int(x.shape[-1]), count)), self.bias(count))
        return y if activation is None else activation(y)

    def conv(self, x: Any, size: int, count: int, padding: str = "SAME") -> Any:
        filters = self(size, size, int(x.shape[-1]), count)
        y = tf.nn.conv2d(x, filters, strides=[1, 1, 1, 1], padding=padding)
        return tf.nn.relu(tf.nn.bias_add(y, self.bias(count)))


def _pool(x: Any) -> Any:
    return tf.nn.max_pool(x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")


def _flat(x: Any) -> Any:
    return tf.reshape(x, [-1, int(np.prod([int(d) for d in x.shape[1:]]))])


def _classifier(logits: Any, x: Any, optimizer: Any = None) -> Net:
    count = int(logits.shape[-1])
    labels = tf.placeholder(tf.float32, [None, count], name="labels")
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits))
    right = tf.equal(tf.argmax(logits, 1), tf.argmax(labels, 1))
    accuracy = tf.reduce_mean(tf.cast(right, tf.float32))
    step = (optimizer or tf.train.AdamOptimizer(1e-3)).minimize(loss)
    sample = tuple(int(d) for d in x.shape[1:])
    return Net([step, loss, accuracy], {x: sample, labels: (count,)}, labels)


def _regression(y: Any, x: Any) -> Net:
    count = int(y.shape[-1])
    target = tf.placeholder(tf.float32, [None, count], name="target")
    loss = tf.reduce_mean(tf.square(y - target))
    step = tf.train.AdamOptimizer(1e-3).minimize(loss)
    return Net([step, loss], {x: tuple(int(d) for d in x.shape[1:]), target: (count,)})


def _images(*shape: int) -> Any:
    return tf.placeholder(tf.float32, [None, *shape], name="x")


def mlp() -> Net:
    x, w = _images(36), _Weights()
    return _classifier(w.dense(w.dense(w.dense(x, 24, tf.nn.relu), 24, tf.nn.relu), 10), x)


def lenet() -> Net:
    x, w = _images(12, 12, 1), _Weights()
    y = _pool(w.conv(_pool(w.conv(x, 5, 8)), 5, 12))
    y = tf.nn.dropout(w.dense(_flat(y), 20, tf.nn.relu), keep_prob=0.75, seed=3)
    return _classifier(w.dense(y, 10), x)


def keypoints_dense() -> Net:
    x, w = _images(100), _Weights()
    return _regression(w.dense(w.dense(x, 17, tf.nn.relu), 6), x)


def keypoints_convolutional() -> Net:
    x, w = _images(22, 22, 1), _Weights()
    y = _pool(w.conv(x, 3, 6, "VALID"))
    y = _pool(w.conv(y, 2, 8, "VALID"))
    y = _pool(w.conv(y, 2, 16, "VALID"))
    return _regression(w.dense(w.dense(_flat(y), 20, tf.nn.relu), 6), x)


def convnet() -> Net:
    x, w = _images(8, 8, 3), _Weights()
    y = _pool(w.conv(w.conv(x, 3, 8), 3, 8))
    y = _pool(w.conv(w.conv(y, 3, 16), 3, 16))
    y = w.conv(y, 4, 16)
    return _classifier(w.dense(_flat(y), 10, tf.nn.relu), x)


def batch_norm() -> Net:
    """Batch normalisation with moving averages, dropout with a fed rate, several losses."""
    x, w = _images(6, 6, 4), _Weights()
    y = w.conv(x, 3, 8)
    mean, variance = tf.nn.moments(y, [0, 1, 2])
    moving = tf.Variable(np.zeros(8, np.float32), name="moving_mean")
    y = tf.nn.batch_normalization(y, mean, variance, w.bias(8), w.bias(8), 1e-3)
    y = tf.nn.avg_pool(y, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    y = tf.nn.dropout(_flat(y), keep_prob=0.5, seed=11)
    net = _classifier(w.dense(y, 5), x, tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True))
    update = tf.assign(moving, moving * 0.9 + mean * 0.1)
    return Net([*net.fetches, update, tf.nn.l2_loss(y)], net.shapes, net.classes)


def arrays() -> Net:
    """Embedding, concatenation, padding, slices, transposes, gathers and their gradients."""
    x = _images(6, 4)
    w = _Weights()
    table = w(9, 5)
    indices = tf.cast(tf.clip_by_value(tf.abs(x[:, :, 0]) * 4.0, 0.0, 8.0), tf.int32)
    embedded = tf.nn.embedding_lookup(table, indices)  # (N, 6, 5)
    joined = tf.concat([embedded, x, tf.transpose(tf.pad(x, [[0, 0], [1, 1], [0, 2]]), [0, 2, 1])[:, :, 1:5]], axis=2)
    first, second = tf.split(joined, [4, 9], axis=2)
    both = tf.stack([first[:, ::-1, :], second[:, :, :4]], axis=1)
    tiled = tf.tile(tf.reduce_max(both, axis=1), [1, 2, 1])
    return _classifier(w.dense(_flat(tf.tanh(tiled)), 7), x, tf.train.GradientDescentOptimizer(0.1))


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "gradient_descent": lambda: tf.train.GradientDescentOptimizer(0.1),
    "momentum": lambda: tf.train.MomentumOptimizer(0.1, 0.9),
    "adam": lambda: tf.train.AdamOptimizer(1e-2),
    "adagrad": lambda: tf.train.AdagradOptimizer(0.1),
    "adadelta": lambda: tf.train.AdadeltaOptimizer(0.1),
    "rmsprop": lambda: tf.train.RMSPropOptimizer(0.01, momentum=0.5),
    "rmsprop_centered": lambda: tf.train.RMSPropOptimizer(0.01, centered=True),
    "ftrl": lambda: tf.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01),
    "adagrad_da": lambda: tf.train.AdagradDAOptimizer(0.1, tf.train.get_or_create_global_step()),
    "proximal_adagrad": lambda: tf.train.ProximalAdagradOptimizer(0.1, l1_regularization_strength=0.01),
    "proximal_gradient_descent": lambda: tf.train.ProximalGradientDescentOptimizer(0.1, l2_regularization_strength=0.01),
}


def optimizers() -> Net:
    """Every optimizer's update, each on a variable of its own, in one step."""
    x, w = _images(5), _Weights()
    parts, steps = [], []
    for make in OPTIMIZERS.values():
        variable = w(5, 3)
        parts.append(tf.reduce_sum(tf.square(tf.matmul(x, variable) - 1.0)))
        steps.append(make().minimize(parts[-1], var_list=[variable]))
    return Net([*steps, tf.add_n(parts)], {x: (5,)})


FIVE: dict[str, Callable[[], Net]] = {
    "mlp": mlp,
    "lenet": lenet,
    "keypoints_dense": keypoints_dense,
    "keypoints_convolutional": keypoints_convolutional,
    "convnet": convnet,
}
NETS: dict[str, Callable[[], Net]] = {**FIVE, "batch_norm": batch_norm, "arrays": arrays, "optimizers": optimizers}
