"""50 steps of training whole nets with the same seeds: the same losses at every step, to 1e-4.

The nets are those that the benchmarks time, at their full size; smaller ones have the same layers and paddings. Every
initial value and dropout mask comes from TensorFlow's random numbers.

Adam makes more of a rounding with every step, and the more so the deeper the net: at its usual rate of 1e-3 the losses of
the two deep nets differ by up to 3e-2 between TensorFlow with and without oneDNN. In float32 those get a rate at which
TensorFlow agrees with itself, in float64 all have the usual one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.conformance._both import TOLERANCES, both
from tfgraph.examples import _faces, _shapes

pytestmark = pytest.mark.conformance

STEPS = 50
BATCHES = 4  # different ones, seen in turn
FULL_RATE = 1e-3


class Layers:
    """The layers of the nets on one module; each weight has its own seed."""

    def __init__(self, tf: Any, dtype: str) -> None:
        self.tf, self.dtype, self._seed = tf, tf.as_dtype(dtype), 0

    def weights(self, shape: list[int], gain: float = 2.0) -> Any:
        self._seed += 1
        stddev = (gain / np.prod(shape[:-1])) ** 0.5
        drawn = self.tf.truncated_normal(shape, stddev=stddev, dtype=self.dtype, seed=self._seed)
        return self.tf.Variable(drawn)

    def biases(self, length: int, value: float = 0.05) -> Any:
        return self.tf.Variable(self.tf.constant(value, self.dtype, [length]))

    def conv(self, x: Any, size: int, filters: int, padding: str = "SAME") -> Any:
        w = self.weights([size, size, x.shape.as_list()[-1], filters])
        y = self.tf.nn.conv2d(x, w, strides=[1, 1, 1, 1], padding=padding)
        return self.tf.nn.relu(self.tf.nn.bias_add(y, self.biases(filters)))

    def pool(self, x: Any) -> Any:
        return self.tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")

    def dense(self, x: Any, outputs: int, relu: bool = True, gain: float = 2.0, bias: float = 0.05) -> Any:
        weights = self.weights([x.shape.as_list()[-1], outputs], gain)
        y = self.tf.matmul(x, weights) + self.biases(outputs, bias)
        return self.tf.nn.relu(y) if relu else y

    def flat(self, x: Any) -> Any:
        return self.tf.reshape(x, [-1, x.shape[1:].num_elements()])

    def dropout(self, x: Any, keep: float) -> Any:
        self._seed += 1
        return self.tf.nn.dropout(x, keep, seed=self._seed)


def mlp(layers: Layers, x: Any) -> Any:
    return layers.dense(layers.dense(layers.dense(x, 256), 256), 10, relu=False)


def lenet(layers: Layers, x: Any) -> Any:
    x = layers.pool(layers.conv(x, 5, 32))
    x = layers.pool(layers.conv(x, 5, 64))
    return layers.dense(layers.dropout(layers.dense(layers.flat(x), 1024), 0.75), 10, relu=False)


def kp1(layers: Layers, x: Any) -> Any:
    return layers.dense(layers.dense(x, 100), 30, relu=False)


def kpcnn(layers: Layers, x: Any) -> Any:
    for size, filters in ((3, 32), (2, 64), (2, 128)):
        x = layers.pool(layers.conv(x, size, filters, "VALID"))
    return layers.dense(layers.dense(layers.dense(layers.flat(x), 500), 500), 30, relu=False)


def convnet128(layers: Layers, x: Any) -> Any:
    for filters in (32, 64, 128, 128):
        x = layers.pool(layers.conv(layers.conv(x, 3, filters), 3, filters))
    # the last ReLU needs classes that all start well above 0
    return layers.dense(layers.flat(layers.conv(x, 4, 128)), 10, gain=0.02, bias=2.0)


Samples = Callable[[int], tuple[np.ndarray, np.ndarray]]


def noise(*shape: int, numbers: int = 0) -> Samples:
    """Inputs in [0, 1) that say nothing about their targets: one of 10 classes, or so many numbers in [-1, 1)."""

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(7)
        inputs = rng.random((count, *shape))
        return inputs, rng.uniform(-1, 1, (count, numbers)) if numbers else np.eye(10)[rng.integers(0, 10, count)]

    return draw


def faces(*shape: int) -> Samples:
    """Drawn faces and their keypoints, from -1 to 1; a point out of sight is in the middle."""

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = _faces.draw_faces(count, seed=3)
        points = np.nan_to_num((np.asarray(drawn.keypoints, np.float64) - 48) / 48)
        return np.asarray(drawn.images, np.float64).reshape(count, *shape), points.reshape(count, 30)

    return draw


def shapes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Drawn images of 128x128 pixels, standardised, and which of 10 shapes each shows."""
    images, labels = _shapes.draw_images(count, 3, np.random.default_rng(1))
    images = images - images.mean(axis=(1, 2, 3), keepdims=True)
    return images / images.std(axis=(1, 2, 3), keepdims=True), np.eye(10)[labels]


@dataclass(frozen=True)
class Net:
    """A net, samples to train it on, its batch size, and Adam's rate in float32."""

    build: Callable[[Layers, Any], Any]
    samples: Samples
    batch: int
    rate: float = FULL_RATE

    def losses(self, tf: Any, dtype: str) -> list[float]:
        """The loss at every step of Adam: cross-entropy of 10 classes, mean square of 30 numbers."""
        inputs, targets = self.samples(self.batch * BATCHES)
        x = tf.placeholder(dtype, [None, *inputs.shape[1:]])
        y = tf.placeholder(dtype, [None, targets.shape[1]])
        outputs = self.build(Layers(tf, dtype), x)
        if targets.shape[1] == 10:
            each = tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=outputs)
        else:
            each = tf.square(outputs - y)
        loss = tf.reduce_mean(each)
        train = tf.train.AdamOptimizer(self.rate if dtype == "float32" else FULL_RATE).minimize(loss)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            rows = [slice(i * self.batch, (i + 1) * self.batch) for i in range(BATCHES)]
            feeds = [{x: inputs[r], y: targets[r]} for r in rows]
            return [session.run([train, loss], feeds[i % BATCHES])[1] for i in range(STEPS)]


FULL_SIZE = {
    "mlp": Net(mlp, noise(784), 100),
    "lenet": Net(lenet, noise(28, 28, 1), 128),
    "kp1": Net(kp1, faces(9216), 128),
    "kpcnn": Net(kpcnn, faces(96, 96, 1), 128, rate=3e-6),
    "convnet128": Net(convnet128, shapes, 32, rate=3e-6),
}
SMALL = {
    "lenet": Net(lenet, noise(12, 12, 1), 9, rate=8e-5),
    "kp1": Net(kp1, noise(9216, numbers=30), 16),
    "kpcnn": Net(kpcnn, noise(24, 24, 1, numbers=30), 16),
    "convnet128": Net(convnet128, noise(32, 32, 3), 8, rate=1e-5),
}


@pytest.mark.parametrize("name", FULL_SIZE)
def test_losses(name: str) -> None:
    check(*both(lambda tf: FULL_SIZE[name].losses(tf, "float32"), seed=1), "losses")


@pytest.mark.parametrize("name", SMALL)
def test_losses_of_small_nets(name: str) -> None:
    check(*both(lambda tf: SMALL[name].losses(tf, "float32"), seed=1), "losses")


@pytest.mark.parametrize("name", ["mlp", *SMALL])
def test_losses_in_float64(name: str) -> None:
    """The same arithmetic at the usual rate, with rounding too small to grow."""
    net = SMALL.get(name, FULL_SIZE[name])
    check(*both(lambda tf: net.losses(tf, "float64"), seed=1), "losses float64")


def check(ours: list[float], theirs: list[float], kind: str) -> None:
    """Something was learned, and the losses agree at every step, relative to TensorFlow's."""
    assert np.all(np.isfinite(theirs))
    assert theirs[-1] < theirs[0], "nothing was learned"
    apart = np.abs(np.array(ours) - theirs) / np.abs(theirs)
    print(f"worst {apart.max():.1e} at step {apart.argmax()}; losses {theirs[0]:.4g} to {theirs[-1]:.4g}")
    assert apart.max() <= TOLERANCES[kind].relative
