"""`tf.metrics` over several batches against NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import tfgraph as tf

RNG = np.random.RandomState(1)


@pytest.fixture(autouse=True)
def fresh_graph() -> Iterator[None]:
    with tf.Graph().as_default():
        yield


def test_accuracy_counts_over_batches_and_starts_again() -> None:
    labels, predictions = tf.placeholder(tf.int64, [None]), tf.placeholder(tf.int64, [None])
    value, update = tf.metrics.accuracy(labels, predictions)
    batches = [(RNG.randint(0, 3, n), RNG.randint(0, 3, n)) for n in (4, 7, 1)]
    with tf.Session() as sess:
        for _ in range(2):
            sess.run(tf.local_variables_initializer())
            assert sess.run(value) == 0
            right = seen = 0
            for a, b in batches:
                right, seen = right + np.sum(a == b), seen + len(a)
                assert sess.run(update, {labels: a, predictions: b}) == np.float32(right / seen)
            assert sess.run(value) == np.float32(right / seen)


def test_weights_and_a_last_axis_of_one() -> None:
    labels, weights = np.array([[1.0], [0.0], [1.0]], np.float32), np.array([2.0, 1.0, 0.0], np.float32)
    value, update = tf.metrics.accuracy(labels, np.array([1.0, 1.0, 1.0], np.float32), weights)
    with tf.Session() as sess:
        sess.run(tf.local_variables_initializer())
        assert sess.run(update) == pytest.approx(2 / 3)
        assert sess.run(value) == pytest.approx(2 / 3)


def test_errors_and_means() -> None:
    x, y = RNG.randn(5, 2).astype(np.float32), RNG.randn(5, 2).astype(np.float32)
    made = {
        "mean": (tf.metrics.mean(x), x.mean()),
        "squared": (tf.metrics.mean_squared_error(y, x), ((x - y) ** 2).mean()),
        "root": (tf.metrics.root_mean_squared_error(y, x), np.sqrt(((x - y) ** 2).mean())),
        "absolute": (tf.metrics.mean_absolute_error(y, x), np.abs(x - y).mean()),
    }
    with tf.Session() as sess:
        sess.run(tf.local_variables_initializer())
        for name, ((value, update), expected) in made.items():
            assert sess.run(update) == pytest.approx(expected, rel=1e-6), name
            assert sess.run(value) == pytest.approx(expected, rel=1e-6), name


def test_collections_and_wrong_shapes() -> None:
    value, update = tf.metrics.accuracy(np.zeros(3), np.zeros(3), metrics_collections=["m"], updates_collections=["u"])
    assert (tf.get_collection("m"), tf.get_collection("u")) == ([value], [update])
    assert [v.op.name for v in tf.local_variables()] == ["accuracy/total", "accuracy/count"]
    with pytest.raises(ValueError, match="incompatible"):
        tf.metrics.accuracy(np.zeros(3), np.zeros(4))
