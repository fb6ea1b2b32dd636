"""50 steps of training whole nets with the same seeds: the same losses at every step.

The nets are those that the benchmarks time. Two have their full size; the images and dense layers of the others are
smaller, their layers and paddings are not. Every initial value and dropout mask comes from TensorFlow's random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.conformance._both import TF, TOLERANCES, both, run_on

pytestmark = pytest.mark.conformance

STEPS = 50
BATCHES = 4  # different ones, seen in turn
FULL_RATE = 1e-3

# With ten layers and Adam at the full rate, float32 rounding grows into differences of 3e-3 within 50 steps: TensorFlow
# differs as much from itself with and without oneDNN. So float32 gets a lower rate there, float64 the full one.
CALM_RATE = 3e-5
CALM_STEPS = 10


class Layers:
    """The layers of the nets on one module; each weight has its own seed."""

    def __init__(self, tf: Any, dtype: str) -> None:
        self.tf, self.dtype, self._seed = tf, tf.as_dtype(dtype), 0

    def weights(self, shape: list[int]) -> Any:
        self._seed += 1
        stddev = (2.0 / np.prod(shape[:-1])) ** 0.5
        drawn = self.tf.truncated_normal(shape, stddev=stddev, dtype=self.dtype, seed=self._seed)
        return self.tf.Variable(drawn)

    def biases(self, length: int) -> Any:
        return self.tf.Variable(self.tf.constant(0.05, self.dtype, [length]))

    def conv(self, x: Any, size: int, filters: int, padding: str = "SAME") -> Any:
        w = self.weights([size, size, x.shape.as_list()[-1], filters])
        y = self.tf.nn.conv2d(x, w, strides=[1, 1, 1, 1], padding=padding)
        return self.tf.nn.relu(self.tf.nn.bias_add(y, self.biases(filters)))

    def pool(self, x: Any) -> Any:
        return self.tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")

    def dense(self, x: Any, outputs: int, relu: bool = True) -> Any:
        y = self.tf.matmul(x, self.weights([x.shape.as_list()[-1], outputs])) + self.biases(outputs)
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
    return layers.dense(layers.flat(layers.conv(x, 4, 128)), 10)


@dataclass(frozen=True)
class Net:
    """A net, the shape of one of its inputs, and what it is trained to tell: 10 classes or 30 numbers."""

    build: Callable[[Layers, Any], Any]
    shape: tuple[int, ...]
    batch: int
    classes: bool
    rate: float = FULL_RATE  # in float32

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (batches, batch, ...) in [0, 1) and targets (batches, batch, 10 or 30)."""
        rng = np.random.default_rng(7)
        inputs = rng.random((BATCHES, self.batch, *self.shape))
        if self.classes:
            return inputs, np.eye(10)[rng.integers(0, 10, (BATCHES, self.batch))]
        return inputs, rng.uniform(-1, 1, (BATCHES, self.batch, 30))

    def losses(self, tf: Any, dtype: str, scale: float = 1.0) -> list[float]:
        """The loss at every step of Adam, with inputs times `scale`."""
        inputs, targets = self.data()
        inputs = inputs * scale
        x = tf.placeholder(dtype, [None, *self.shape])
        y = tf.placeholder(dtype, [None, targets.shape[-1]])
        outputs = self.build(Layers(tf, dtype), x)
        if self.classes:
            each = tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=outputs)
        else:
            each = tf.square(outputs - y)
        loss = tf.reduce_mean(each)
        rate = self.rate if dtype == "float32" else FULL_RATE
        train = tf.train.AdamOptimizer(rate).minimize(loss)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            feeds = [{x: a, y: b} for a, b in zip(inputs, targets, strict=True)]
            return [session.run([train, loss], feeds[i % BATCHES])[1] for i in range(STEPS)]


NETS = {
    "mlp, full size": Net(mlp, (784,), 100, True),
    "lenet, full size": Net(lenet, (28, 28, 1), 128, True),
    "lenet": Net(lenet, (12, 12, 1), 9, True),
    "kp1": Net(kp1, (9216,), 16, False),
    "kpcnn": Net(kpcnn, (24, 24, 1), 16, False),
    "convnet128": Net(convnet128, (32, 32, 3), 8, True, CALM_RATE),
}


@pytest.mark.parametrize("name", NETS)
def test_losses(name: str) -> None:
    """In float32, to 1e-4 at every step.

    A deep net with Adam can make more of one rounding within 50 steps, on TensorFlow as well. If the losses differ by more,
    TensorFlow has to differ as much from itself when its inputs change in the last bit.
    """
    net = NETS[name]
    ours, theirs = both(lambda tf: net.losses(tf, "float32"), seed=1)
    apart = check(ours, theirs)
    allowed = TOLERANCES["losses"].relative
    if apart.max() > allowed:
        moved = run_on(TF, lambda tf: net.losses(tf, "float32", 1 + 2**-22), seed=1)
        rounding = check(moved, theirs)
        assert apart[:CALM_STEPS].max() <= allowed
        assert apart.max() <= 10 * rounding.max(), f"TensorFlow after one rounding: only {rounding.max():.1e}"


@pytest.mark.parametrize("name", ["mlp, full size", "lenet", "kp1", "kpcnn", "convnet128"])
def test_losses_in_float64(name: str) -> None:
    """The same arithmetic, with rounding too small to grow."""
    net = NETS[name]
    apart = check(*both(lambda tf: net.losses(tf, "float64"), seed=1))
    assert apart.max() <= TOLERANCES["losses float64"].relative


def check(ours: list[float], theirs: list[float]) -> np.ndarray:
    """How far apart the losses are at each step, relative to TensorFlow's."""
    assert np.all(np.isfinite(theirs))
    assert theirs[-1] < theirs[0], "nothing was learned"
    apart = np.abs(np.array(ours) - theirs) / np.abs(theirs)
    print(f"worst {apart.max():.1e} at step {apart.argmax()}; losses {theirs[0]:.4g} to {theirs[-1]:.4g}")
    return apart
