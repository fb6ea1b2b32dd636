"""Functions made of others on TensorFlow and here: orders, steps along a dimension, pooling by kind, further cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.conformance._both import assert_same

pytestmark = [pytest.mark.conformance, pytest.mark.filterwarnings("ignore:`tf.nn.rnn_cell")]

BLOCK = np.random.RandomState(0).rand(4, 5, 3).astype(np.float32)


def rearranged(tf: Any, x: Any) -> list[Any]:
    found = [tf.roll(x, 1, 2), tf.roll(x, [1, -2], [0, 2]), tf.sort(x, axis=1), tf.sort(x, direction="DESCENDING")]
    found += [tf.reverse_sequence(x, [2, 0, 5, 3], seq_axis=1), tf.reverse_sequence(x, [1, 2, 3], seq_dim=1, batch_dim=2)]
    found += [tf.matrix_band_part(x, 1, 0), tf.linalg.band_part(x, -1, 1), tf.linalg.matvec(x, BLOCK[:, 0])]
    return [*found, tf.argsort(x, axis=0), tf.argsort(x, direction="DESCENDING")]


def by_letters(tf: Any, x: Any) -> list[Any]:
    matrix, images = tf.constant(BLOCK[0]), tf.reshape(x, [4, -1, 3, 1])
    found = [tf.einsum("abc,dc->abd", x, matrix), tf.einsum("abc,abd->acd", x, x), tf.einsum("abc->cb", x)]
    found += [tf.einsum("abc,abc", x, x), tf.einsum("ij,kj", matrix, matrix)]
    return [*found, tf.einsum("abcd,aecd->acbe", images, images), tf.einsum("abc,dc,db->a", x, matrix, tf.matmul(matrix, x[0], transpose_b=True))]


def stepwise(tf: Any, x: Any) -> list[Any]:
    found = [tf.map_fn(lambda a: a * a + 1, x), tf.map_fn(lambda p: p[0] * tf.reduce_sum(p[1]), (x, x), dtype=tf.float32)]
    found += [tf.scan(lambda a, b: a * 0.5 + b, x), tf.scan(lambda a, b: a + tf.reduce_sum(b), x, 1.0)]
    found += [tf.scan(lambda a, b: a * b, x, reverse=True), tf.foldl(lambda a, b: a * b, x)]
    return [*found, tf.foldr(lambda a, b: a - b, x, tf.zeros([5, 3]))]


def pooled(tf: Any, x: Any) -> list[Any]:
    nn, images = tf.nn, tf.expand_dims(x, 3)
    found = [nn.pool(x, [2], "MAX", "SAME", strides=[2]), nn.pool(images, [2, 2], "AVG", "VALID")]
    found += [nn.max_pool1d(x, 2, 1, "VALID"), nn.avg_pool1d(x, 3, 2, "SAME"), nn.max_pool2d(images, 2, 1, "VALID")]
    return [*found, nn.avg_pool2d(images, 2, 1, "SAME"), nn.swish(x), nn.space_to_depth(images[:, :4, :2], 2)]


@pytest.mark.parametrize("group", [rearranged, by_letters, stepwise, pooled])
def test_values_and_gradients(group: Any) -> None:
    def script(tf: Any) -> Any:
        x = tf.placeholder(tf.float32, [4, None, 3] if group is not pooled else [None, 5, 3])
        found = group(tf, x)
        smooth = [y for y in found if y.dtype == tf.float32 and tf.gradients(y, x)[0] is not None]
        with tf.Session() as sess:
            return sess.run([*found, *[tf.gradients(y * y, x)[0] for y in smooth]], {x: BLOCK})

    assert_same(script, "gradients")


def test_reading_both_ways() -> None:
    pytest.importorskip("tf_keras", reason="TensorFlow's own cells need it: pip install tf-keras")

    def script(tf: Any) -> Any:
        x = tf.placeholder(tf.float32, [None, 5, 3])
        cells = tf.nn.rnn_cell
        found = []
        for i, lengths in enumerate((None, [5, 0, 3, 2])):
            outputs, states = tf.nn.bidirectional_dynamic_rnn(
                cells.GRUCell(4), cells.BasicLSTMCell(2), x, lengths, dtype=tf.float32, scope=f"both_{i}"
            )
            found += [*outputs, states[0], *states[1]]
        slopes = tf.gradients([tf.reduce_sum(y * y) for y in found], [x, *tf.trainable_variables()])
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            return sess.run([*found, *slopes], {x: BLOCK}), [v.name for v in tf.global_variables()]

    assert_same(script, "gradients", seed=3)


def test_memory_seen_and_outputs_projected() -> None:
    pytest.importorskip("tf_keras", reason="TensorFlow's own cells need it: pip install tf-keras")
    options = [{"use_peepholes": True}, {"num_proj": 3, "proj_clip": 0.1}, {"use_peepholes": True, "cell_clip": 0.2, "num_proj": 2}]

    def script(tf: Any) -> Any:
        x = tf.placeholder(tf.float32, [None, 5, 3])
        start = tf.random_uniform_initializer(-0.5, 0.5, seed=2)
        found = []
        for i, given in enumerate(options):
            cell = tf.nn.rnn_cell.LSTMCell(4, initializer=start, **given)
            outputs, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32, scope=f"net_{i}")
            found += [outputs, *state]
        slopes = tf.gradients([tf.reduce_sum(y * y) for y in found], [x, *tf.trainable_variables()])
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            return sess.run([*found, *slopes], {x: BLOCK}), [v.name for v in tf.global_variables()]

    assert_same(script, "gradients", seed=3)
