"""Sessions of several threads compile at once, each its own graph."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

import tfgraph as tf
from tfgraph.codegen.rewrite import Builder, active_builder

GRAPHS = 6


def test_a_rewrite_sees_the_builder_of_its_own_thread() -> None:
    entered, seen = threading.Event(), threading.Event()

    def other() -> None:
        with Builder():
            entered.set()
            seen.wait(timeout=60)

    thread = threading.Thread(target=other)
    with Builder() as own:
        thread.start()
        assert entered.wait(timeout=60)
        found = active_builder()
        seen.set()
        thread.join()
    assert found is own


def kernels_of_a_step(units: int) -> str:
    """The kernels of a training step that differs from others by the size of its hidden layer."""
    with tf.Graph().as_default():
        x, y = tf.placeholder(tf.float32, [None, 7]), tf.placeholder(tf.float32, [None, 3])
        hidden = tf.nn.relu(tf.matmul(x, tf.Variable(tf.ones([7, units]))) + tf.Variable(tf.zeros([units])))
        mean, variance = tf.nn.moments(hidden, [0])
        hidden = tf.nn.batch_normalization(hidden, mean, variance, None, None, 1e-3)
        logits = tf.matmul(hidden, tf.Variable(tf.ones([units, 3])))
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=logits))
        train = tf.train.AdamOptimizer().minimize(loss)
        with tf.Session() as sess:
            return str(sess.explain([loss, train], {x: np.ones((4, 7)), y: np.ones((4, 3))}))


def test_steps_are_the_same_when_threads_compile_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_NUM_THREADS", "1")
    found: dict[int, str] = {}

    def work(units: int) -> None:
        found[units] = kernels_of_a_step(units)

    threads = [threading.Thread(target=work, args=(units,)) for units in range(1, GRAPHS + 1)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # threads take turns often, within every pass of the compiler
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert found == {units: kernels_of_a_step(units) for units in range(1, GRAPHS + 1)}
