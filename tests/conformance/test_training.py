"""Every optimizer, learning-rate schedule and kind of variable on TensorFlow and here: nodes, losses, variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.conformance._both import TF, TOLERANCES, tfgraph

pytestmark = pytest.mark.conformance

STEPS = 20
_rng = np.random.RandomState(0)
WEIGHTS = _rng.randn(3, 4)
INPUTS, TARGETS = _rng.randn(STEPS, 7, 3), _rng.randn(STEPS, 7, 4)

OPTIMIZERS: dict[str, Callable[[Any, Any], Any]] = {
    "gradient descent": lambda t, step: t.GradientDescentOptimizer(0.1),
    "momentum": lambda t, step: t.MomentumOptimizer(0.1, 0.9),
    "nesterov": lambda t, step: t.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    "adam": lambda t, step: t.AdamOptimizer(0.05),
    "adagrad": lambda t, step: t.AdagradOptimizer(0.1),
    "rmsprop": lambda t, step: t.RMSPropOptimizer(0.01, momentum=0.5),
    "centered rmsprop": lambda t, step: t.RMSPropOptimizer(0.01, centered=True),
    "adadelta": lambda t, step: t.AdadeltaOptimizer(1.0),
    "ftrl": lambda t, step: t.FtrlOptimizer(0.1, l1_regularization_strength=0.01, l2_regularization_strength=0.02),
    "ftrl with shrinkage": lambda t, step: t.FtrlOptimizer(
        0.1, learning_rate_power=-0.3, l2_shrinkage_regularization_strength=0.02
    ),
    "proximal gradient descent": lambda t, step: t.ProximalGradientDescentOptimizer(0.1, 0.01, 0.02),
    "proximal adagrad": lambda t, step: t.ProximalAdagradOptimizer(0.1, 0.1, 0.01, 0.02),
    "adagrad dual averaging": lambda t, step: t.AdagradDAOptimizer(0.1, step, 0.1, 0.01, 0.02),
    "falling rate": lambda t, step: t.GradientDescentOptimizer(t.exponential_decay(0.1, step, 3, 0.5, staircase=True)),
}


def training(tf: Any, name: str, dtype: Any) -> tuple[list[float], dict[str, np.ndarray], list[str]]:
    """The losses of a few steps, all variables after them, and the nodes that the optimizer made."""
    with tf.Graph().as_default() as graph:
        x, y = tf.placeholder(dtype, [None, 3]), tf.placeholder(dtype, [None, 4])
        w, b = tf.Variable(WEIGHTS.astype(dtype), name="W"), tf.Variable(np.zeros(4, dtype), name="b")
        loss = tf.reduce_mean(tf.square(tf.matmul(x, w) + b - y))
        step = tf.train.get_or_create_global_step()
        before = len(graph.get_operations())
        train = OPTIMIZERS[name](tf.train, step).minimize(loss, global_step=step)
        nodes = [op.name for op in graph.get_operations()[before:] if not op.name.startswith("gradients/")]
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            batches = zip(INPUTS, TARGETS, strict=True)
            losses = [sess.run([loss, train], {x: inputs, y: targets})[0] for inputs, targets in batches]
            return losses, {v.name: sess.run(v) for v in tf.global_variables()}, nodes


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_optimizers(name: str, dtype: Any) -> None:
    if dtype is np.float64 and ("proximal" in name or "dual" in name):
        pytest.skip("TensorFlow takes float32 rates only here")
    tolerance = TOLERANCES["variables" if dtype is np.float32 else "variables float64"]
    expected_losses, expected_variables, expected_nodes = training(TF, name, dtype)
    losses, variables, nodes = training(tfgraph, name, dtype)
    np.testing.assert_allclose(losses, expected_losses, rtol=tolerance.relative)
    assert variables.keys() == expected_variables.keys()
    for variable, value in variables.items():
        expected = expected_variables[variable]
        np.testing.assert_allclose(value, expected, tolerance.relative, tolerance.absolute, err_msg=variable)
    # later releases compute FTRL's L2 term from a new setting, and call the step's number differently in dual averaging
    if "ftrl" not in name and "dual" not in name:
        assert nodes == expected_nodes


def variables_of_scopes(tf: Any) -> tuple[list[str], list[np.ndarray]]:
    with tf.Graph().as_default() as graph:
        with tf.variable_scope("s"):
            tf.get_variable("a", [3, 4], initializer=tf.glorot_uniform_initializer(seed=5))
            tf.get_variable("b", [5], initializer=tf.random_normal_initializer(stddev=0.1, seed=9))
            with tf.variable_scope("t"):
                tf.get_variable("c", [5, 2], initializer=tf.truncated_normal_initializer(stddev=0.1, seed=11))
                tf.get_variable("d", [3, 3, 2, 4], initializer=tf.initializers.variance_scaling(2.0, seed=1))
        with tf.variable_scope("s", reuse=tf.AUTO_REUSE):
            tf.get_variable("e", [4], initializer=tf.random_uniform_initializer(-1, 1, seed=3))
            tf.get_variable("f", [4], dtype=tf.float64, initializer=tf.glorot_normal_initializer(seed=4))
            tf.get_variable("g", [4], initializer=tf.constant_initializer([1.0, 2.0, 3.0, 4.0]))
            tf.constant(1.0)
        w = tf.Variable(tf.random_normal([3], seed=21), name="w")
        tf.Variable(w.initialized_value() * 2.0, name="u")
        tf.Variable(w * 3.0, name="v")
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            values = [sess.run(v) for v in tf.global_variables()]
        return sorted(op.name for op in graph.get_operations()), values


def test_variables_and_their_initial_values() -> None:
    expected_nodes, expected = variables_of_scopes(TF)
    nodes, values = variables_of_scopes(tfgraph)
    assert nodes == expected_nodes
    for found, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=3e-7)


def branches(tf: Any) -> tuple[list[str], list[Any]]:
    with tf.Graph().as_default() as graph:
        p, x = tf.placeholder(tf.bool, (), name="p"), tf.placeholder(tf.float32, [3], name="x")
        v = tf.Variable(tf.ones([3]), name="v")
        y = tf.cond(p, lambda: x * 2.0, lambda: tf.exp(v) * x)
        z = tf.cond(p, lambda: (v.assign(x), 3), lambda: (tf.identity(x), 4))
        tf.cond(p, lambda: x, lambda: tf.cond(p, lambda: v + 0.0, lambda: x))
        nodes = sorted(op.name for op in graph.get_operations())
        gradients = tf.gradients(y, [x, v])
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            results = []
            for taken in (False, True, False):
                feeds = {p: taken, x: [0.5, 1.0, -2.0]}
                results += [*sess.run([y, *gradients], feeds), *sess.run(z, feeds), sess.run(v)]
        return nodes, results


def test_branches() -> None:
    expected_nodes, expected = branches(TF)
    nodes, results = branches(tfgraph)
    assert nodes == expected_nodes
    for found, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


SCHEDULES: list[Callable[[Any, Any], Any]] = [
    lambda t, step: t.exponential_decay(0.1, step, 10, 0.9),
    lambda t, step: t.exponential_decay(0.1, step, 10, 0.9, staircase=True),
    lambda t, step: t.inverse_time_decay(0.1, step, 10, 0.9),
    lambda t, step: t.inverse_time_decay(0.1, step, 10, 0.9, staircase=True),
    lambda t, step: t.natural_exp_decay(0.1, step, 10, 0.9),
    lambda t, step: t.polynomial_decay(0.1, step, 10),
    lambda t, step: t.polynomial_decay(0.1, step, 10, 0.01, power=2.0, cycle=True),
    lambda t, step: t.cosine_decay(0.1, step, 10, 0.1),
    lambda t, step: t.cosine_decay_restarts(0.1, step, 5),
    lambda t, step: t.cosine_decay_restarts(0.1, step, 5, 1.0, 0.9, 0.1),
    lambda t, step: t.linear_cosine_decay(0.1, step, 10),
    lambda t, step: t.piecewise_constant(step, [3, 7], [1.0, 0.5, 0.1]),
]


def rates(tf: Any) -> np.ndarray:
    with tf.Graph().as_default():
        step = tf.placeholder(tf.int64, [])
        schedules = [make(tf.train, step) for make in SCHEDULES]
        with tf.Session() as sess:
            return np.array([sess.run(schedules, {step: t}) for t in range(40)])


def test_schedules() -> None:
    near = TOLERANCES["rates"]
    np.testing.assert_allclose(rates(tfgraph), rates(TF), near.relative, near.absolute)


def averages(tf: Any) -> np.ndarray:
    with tf.Graph().as_default():
        v, count = tf.Variable([1.0, 2.0], name="v"), tf.placeholder(tf.float32, [])
        value = v * 2.0
        plain = tf.train.ExponentialMovingAverage(0.9, num_updates=count)
        corrected = tf.train.ExponentialMovingAverage(0.9, zero_debias=True, name="corrected")
        updates = [plain.apply([v]), corrected.apply([value])]
        grow = v.assign_add([1.0, 3.0])
        results = []
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            for n in range(6):
                sess.run(grow)
                sess.run(updates, {count: n})
                results += sess.run([plain.average(v), corrected.average(value)])
        return np.array(results)


def test_moving_averages() -> None:
    np.testing.assert_allclose(averages(tfgraph), averages(TF), rtol=1e-6)
