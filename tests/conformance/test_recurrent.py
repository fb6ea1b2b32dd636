"""Recurrent cells and nets on TensorFlow and here: variables, values, last states, losses of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.conformance._both import TF, Script, assert_same, run_on, tfgraph

pytest.importorskip("tf_keras", reason="TensorFlow's own cells need it: pip install tf-keras")
pytestmark = [pytest.mark.conformance, pytest.mark.filterwarnings("ignore:`tf.nn")]

STEPS, BATCH, SIZE = 4, 3, 5
INPUTS = np.random.RandomState(0).randn(BATCH, STEPS, SIZE).astype(np.float32)
LENGTHS = np.array([2, 4, 1], np.int32)

CELLS: dict[str, Any] = {
    "basic": lambda c: c.BasicRNNCell(6),
    "lstm": lambda c: c.BasicLSTMCell(6, forget_bias=0.5),
    "flat lstm": lambda c: c.BasicLSTMCell(6, state_is_tuple=False),
    "lstm with clip": lambda c: c.LSTMCell(6, cell_clip=0.2),
    "gru": lambda c: c.GRUCell(6),
    "stack": lambda c: c.MultiRNNCell([c.BasicLSTMCell(6), c.GRUCell(4)]),
    "dropout": lambda c: c.DropoutWrapper(c.BasicRNNCell(6), output_keep_prob=1.0),
}


def static(cell: str, lengths: Any = None) -> Script:
    def script(tf: Any) -> Any:
        x = tf.placeholder(tf.float32, [None, STEPS, SIZE])
        steps = tf.unstack(x, STEPS, 1)
        outputs, state = tf.nn.static_rnn(CELLS[cell](tf.nn.rnn_cell), steps, dtype=tf.float32, sequence_length=lengths)
        gradients = tf.gradients(tf.add_n([tf.reduce_sum(o) for o in outputs]), tf.trainable_variables())
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            found = sess.run([outputs, gradients, list(state) if isinstance(state, tuple) else [state]], {x: INPUTS})
            return [found[0], found[1], [np.asarray(s) for s in found[2]] if cell != "stack" else []], [
                v.name for v in tf.global_variables()
            ]

    return script


def both_ways(lengths: Any) -> Script:
    def script(tf: Any) -> Any:
        x = tf.placeholder(tf.float32, [None, STEPS, SIZE])
        cells = tf.nn.rnn_cell.BasicLSTMCell(3), tf.nn.rnn_cell.BasicLSTMCell(2)
        steps = tf.unstack(x, STEPS, 1)
        outputs, _, _ = tf.nn.static_bidirectional_rnn(*cells, steps, dtype=tf.float32, sequence_length=lengths)
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            return sess.run(outputs, {x: INPUTS}), [v.name for v in tf.global_variables()]

    return script


def dynamic(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [None, STEPS, SIZE])
    outputs, state = tf.nn.dynamic_rnn(tf.nn.rnn_cell.BasicLSTMCell(6), x, LENGTHS, dtype=tf.float32)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        return sess.run([outputs, state.c, state.h], {x: INPUTS}), [v.name for v in tf.global_variables()]


SCRIPTS: dict[str, Script] = {
    **{cell: static(cell) for cell in CELLS},
    "lengths": static("lstm", LENGTHS),
    "bidirectional": both_ways(None),
    "bidirectional with lengths": both_ways(LENGTHS),
    "dynamic": dynamic,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_values(name: str) -> None:
    assert_same(SCRIPTS[name], seed=11)


def trained(tf: Any) -> Any:
    """A published style of script: a row of pixels a step, an LSTM, and a product with its last output."""
    x, y = tf.placeholder("float", [None, STEPS, SIZE]), tf.placeholder("float", [None, 2])
    weights = tf.Variable(tf.random_normal([6, 2]))
    outputs, _ = tf.nn.static_rnn(tf.nn.rnn_cell.BasicLSTMCell(6), tf.unstack(x, STEPS, 1), dtype=tf.float32)
    logits = tf.matmul(outputs[-1], weights)
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(logits=logits, labels=y))
    train = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
    labels = np.eye(2)[[0, 1, 1]]
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        return [sess.run([loss, train], {x: INPUTS, y: labels})[0] for _ in range(20)]


def test_training() -> None:
    assert_same(trained, "losses", seed=5)


def test_variables_are_named_alike() -> None:
    def names(tf: Any) -> list[str]:
        SCRIPTS["stack"](tf)
        return [v.name for v in tf.global_variables()]

    assert run_on(tfgraph, names) == run_on(TF, names)
