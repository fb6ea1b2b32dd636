"""Random choices that Python makes before the compiled part of a step, and what depends on them."""

from __future__ import annotations

import numpy as np
import pytest

import tfgraph as tf
from tests._compiled import COMPILER
from tfgraph.runtime.hybrid import python_sources

pytestmark = pytest.mark.usefixtures("graph")


def test_rows_are_shuffled_anew_in_every_run() -> None:
    x = tf.placeholder(tf.float32, [None, 2])
    shuffled = tf.random_shuffle(x, seed=3)
    rows = np.arange(40, dtype=np.float32).reshape(20, 2)
    with tf.Session() as sess:
        first, second = sess.run(shuffled, {x: rows}), sess.run(shuffled, {x: rows})
    assert not np.array_equal(first, second)
    for found in (first, second):
        np.testing.assert_array_equal(found[np.argsort(found[:, 0])], rows)
    with tf.Session() as sess:
        np.testing.assert_array_equal(sess.run(shuffled, {x: rows}), first)


def test_classes_are_drawn_in_proportion() -> None:
    drawn = tf.multinomial([*np.log([[0.1, 0.2, 0.7]]).tolist(), [0.0, -np.inf, 0.0]], 4000, seed=1)
    with tf.Session() as sess:
        found = sess.run(drawn)
    assert found.dtype == np.int64
    for row, chances in zip(found, ([0.1, 0.2, 0.7], [0.5, 0.0, 0.5]), strict=True):
        np.testing.assert_allclose(np.bincount(row, minlength=3) / 4000, chances, atol=0.03)


def test_candidates_are_different_and_small_ones_frequent() -> None:
    sampled = tf.nn.log_uniform_candidate_sampler([[3]], 1, 10, True, 1000, seed=2)
    with tf.Session() as sess:
        runs = [sess.run(sampled)[0] for _ in range(50)]
    assert all(len(set(run)) == 10 for run in runs)
    assert np.mean(np.concatenate(runs) < 31) == pytest.approx(0.5, abs=0.1)  # log(32) is half of log(1001)
    with pytest.raises(ValueError, match="range is too small"):
        tf.nn.uniform_candidate_sampler([[3]], 1, 10, True, 5)


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
def test_what_depends_on_choices_is_compiled() -> None:
    """With a sampled loss, a training step keeps its kernels: only the sampler runs in Python."""
    weights, biases = tf.Variable(tf.random_normal([30, 4], seed=1)), tf.Variable(tf.zeros([30]))
    x, y = tf.placeholder(tf.float32, [None, 4]), tf.placeholder(tf.int64, [None, 1])
    loss = tf.reduce_mean(tf.nn.sampled_softmax_loss(weights, biases, y, x, 6, 30, seed=4))
    step = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
    feeds = {x: np.random.RandomState(0).randn(8, 4), y: np.arange(8).reshape(8, 1)}
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        explained = sess.explain([step, loss], feeds)
        assert explained.kernels
        (note,) = [note for note in explained.notes if "before the compiled kernels" in note]
        assert note.count("/") >= 1
        assert "LogUniformCandidateSampler" in note
        assert "," not in note.split(": ")[1]
        losses = [sess.run([loss, step], feeds)[0] for _ in range(30)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_what_runs_first_depends_on_feeds_alone() -> None:
    x, v = tf.placeholder(tf.float32, [None]), tf.Variable([1.0, 2.0])
    of_feeds, of_variables = tf.random_shuffle(tf.exp(x)), tf.random_shuffle(v * 2.0)
    alone = tf.random_shuffle(x)
    order = [op for op in x.graph.get_operations() if op.type != "Assign"]
    total = [tf.reduce_sum(of_feeds), tf.reduce_sum(of_variables)]
    order += [t.op for t in total]
    assert python_sources(order, [x]) == [of_feeds.op]
    assert alone.op in order  # nothing compiled waits for it
