"""What decides a program: sizes that are no multiple of N, and feeds whose values are shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tfgraph.runtime import statistics


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_BACKEND", "compiled")


def _programs() -> int:
    counters = statistics()
    return counters.compilations + counters.cache_hits


@pytest.mark.parametrize(
    ("build", "oracle"),
    [
        (lambda x: tf.reshape(x, [tf.shape(x)[0] // 2, 8]), lambda a: a.reshape(-1, 8)),
        (lambda x: x[: tf.shape(x)[0] - 1], lambda a: a[:-1]),
        (lambda x: x[1:] - x[:-1], lambda a: a[1:] - a[:-1]),
    ],
)
def test_sizes_that_are_no_multiple_of_the_batch(build: Any, oracle: Any) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 4])
        y = tf.exp(build(x))
        for n in (2, 4, 6):
            array = np.random.default_rng(n).random((n, 4), np.float32)
            np.testing.assert_allclose(session.run(y, {x: array}), np.exp(oracle(array)), rtol=1e-5)


def test_one_undecided_run_leaves_the_others_open() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x, z = tf.placeholder(tf.float32, [None, 4]), tf.placeholder(tf.float32, [None])
        y = tf.exp(x * z)
        assert session.run(y, {x: np.ones((1, 4)), z: [2.0]}).shape == (1, 4)  # N = 1: does z grow with it?
        session.run(y, {x: np.ones((2, 4)), z: [2.0]})
        before = _programs()
        for n in (3, 5, 9):
            assert session.run(y, {x: np.ones((n, 4)), z: [2.0]}).shape == (n, 4)
        assert _programs() == before


def test_a_fed_shape_is_part_of_the_program() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x, k = tf.placeholder(tf.float32, [None, 4]), tf.placeholder(tf.int32, [])
        y = tf.exp(tf.reshape(x, tf.stack([k, -1])))
        for rows in (1, 2, 4):
            assert session.run(y, {x: np.zeros((4, 4)), k: rows}).shape == (rows, 16 // rows)
