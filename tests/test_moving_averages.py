"""Moving averages of variables and tensors against the recurrence that defines them."""

from __future__ import annotations

import numpy as np
import pytest

import tfgraph as tf

pytestmark = pytest.mark.usefixtures("graph")


def test_moving_averages(backend: str) -> None:
    v = tf.Variable([1.0, 2.0], name="v")
    count = tf.placeholder(tf.float32, [])
    averages = tf.train.ExponentialMovingAverage(0.9, num_updates=count)
    update = averages.apply([v])
    grow = v.assign_add([1.0, -3.0])
    shadow = averages.average(v)
    assert shadow is not None
    assert (shadow.op.name, averages.average_name(v), update.name) == ("v/ExponentialMovingAverage",) * 2 + (
        "ExponentialMovingAverage",
    )
    assert averages.variables_to_restore() == {"v/ExponentialMovingAverage": v}
    assert tf.moving_average_variables() == [v]
    value, expected = np.array([1.0, 2.0]), np.array([1.0, 2.0])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for n in range(5):
            sess.run(grow)
            sess.run(update, {count: n})
            value = value + np.array([1.0, -3.0])
            decay = min(0.9, (1 + n) / (10 + n))
            expected = decay * expected + (1 - decay) * value
            np.testing.assert_allclose(sess.run(shadow), expected, rtol=1e-5)


def test_an_average_that_waits_for_a_step_is_of_what_it_leaves(backend: str) -> None:
    v = tf.Variable([1.0, 2.0])
    before = v * 1.0
    step = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(v))
    averages = tf.train.ExponentialMovingAverage(0.5)
    with tf.control_dependencies([step]):
        update, after = averages.apply([v]), v * 1.0
    value, expected = np.array([1.0, 2.0]), np.array([1.0, 2.0])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for _ in range(3):
            found = sess.run([before, after, update])
            np.testing.assert_allclose(found[:2], [value, value - 0.1], rtol=1e-6)
            value = value - 0.1
            expected = (expected + value) / 2
            np.testing.assert_allclose(sess.run(averages.average(v)), expected, rtol=1e-6)


def test_an_average_of_a_tensor_is_corrected_for_its_start(backend: str) -> None:
    x = tf.placeholder(tf.float32, [2])
    value = x * 1.0
    averages = tf.train.ExponentialMovingAverage(0.75, zero_debias=True)
    update = averages.apply([value])
    biased, weight = np.zeros(2), 0.0
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for fed in ([1.0, 2.0], [3.0, -4.0], [0.5, 0.5]):
            sess.run(update, {x: fed})
            biased = 0.75 * biased + 0.25 * np.array(fed)
            weight = 0.75 * weight + 0.25
            np.testing.assert_allclose(sess.run(averages.average(value)), biased / weight, rtol=1e-5)


def test_averages_of_integers_are_refused() -> None:
    with pytest.raises(TypeError, match="The variables must be half, float, or double: Variable:0"):
        tf.train.ExponentialMovingAverage(0.9).apply([tf.Variable(1)])
