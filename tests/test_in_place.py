"""A variable that is written from its own elements at other places: no kernel may read what it has just written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tfgraph as tf

RNG = np.random.default_rng(0)
MATRIX = (RNG.standard_normal((300, 300)) / 17).astype(np.float32)


def _softmax(a: np.ndarray) -> np.ndarray:
    e = np.exp(a - a.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


CASES: dict[str, tuple[tuple[int, ...], Callable[[Any], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "product with it": ((300, 300), lambda v: tf.matmul(v, tf.constant(MATRIX)), lambda a: a @ MATRIX),
    "relu of a product": ((300, 300), lambda v: tf.nn.relu(tf.matmul(MATRIX, v)), lambda a: (MATRIX @ a).clip(0)),
    "transpose": ((300, 300), lambda v: tf.transpose(v), lambda a: a.T),
    "transpose and itself": ((300, 300), lambda v: tf.transpose(v) * 2 + v, lambda a: a.T * 2 + a),
    "reverse": ((100_000,), lambda v: tf.reverse(v, [0]), lambda a: a[::-1]),
    "rotation": ((100_000,), lambda v: tf.concat([v[1:], v[:1]], 0), lambda a: np.roll(a, -1)),
    "first row": ((100, 1000), lambda v: v + v[0], lambda a: a + a[0]),
    "first element": ((1000, 1000), lambda v: v + v[0, 0], lambda a: a + a[0, 0]),
    "first column": ((1000, 1000), lambda v: v * v[:, :1], lambda a: a * a[:, :1]),
    "softmax": ((100, 10), lambda v: tf.nn.softmax(v), _softmax),
    "minus its sum": ((100, 10), lambda v: v - tf.reduce_sum(v), lambda a: a - a.sum()),
    "minus column sums": ((100, 10), lambda v: v - tf.reduce_sum(v, 0), lambda a: a - a.sum(0)),
    "times row sums": ((100, 10), lambda v: v * tf.reduce_sum(v, 1, keepdims=True), lambda a: a * a.sum(1, keepdims=True)),
}


@pytest.mark.parametrize("name", CASES)
def test_an_assignment_reads_the_value_before_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_BACKEND", "compiled")
    shape, build, oracle = CASES[name]
    start = RNG.standard_normal(shape).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.Variable(start)
        update = v.assign(build(v))
        session.run(tf.global_variables_initializer())
        session.run(update)
        expected = oracle(start.astype(np.float64))
        np.testing.assert_allclose(session.run(v), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_fetches_beside_an_update_are_from_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_BACKEND", "compiled")
    start = RNG.standard_normal((100, 10)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.Variable(start)
        rows = tf.reduce_sum(v, 1, keepdims=True)
        total = tf.reduce_sum(v)
        session.run(tf.global_variables_initializer())
        new, before, triple = session.run([v.assign(v * rows), total, v * 3])
    np.testing.assert_allclose(new, start * start.sum(1, keepdims=True), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(before, start.sum(), rtol=1e-3)
    np.testing.assert_allclose(triple, start * 3, rtol=1e-6)
