"""`tf.layers`: variables and their names, reuse, what wrong arguments say, values against NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tfgraph as tf

RNG = np.random.RandomState(0)


@pytest.fixture(autouse=True)
def fresh_graph() -> Iterator[None]:
    with tf.Graph().as_default():
        yield


def run(fetches: Any, feeds: Any = None) -> Any:
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        return sess.run([fetches, *tf.global_variables()], feeds)


def test_dense_is_a_product_with_bias_and_activation() -> None:
    x = tf.placeholder(tf.float32, [None, 2, 5])
    y = tf.layers.dense(x, 3, tf.nn.relu, bias_initializer=tf.constant_initializer(0.25), name="fc")
    assert y.shape.as_list() == [None, 2, 3]
    rows = RNG.randn(4, 2, 5)
    found, kernel, bias = run(y, {x: rows})
    np.testing.assert_allclose(found, np.maximum(rows @ kernel.astype(float) + bias, 0), rtol=1e-5, atol=1e-6)
    assert [v.name for v in tf.trainable_variables()] == ["fc/kernel:0", "fc/bias:0"]


def test_layers_without_a_name_are_numbered_and_named_ones_share() -> None:
    x = tf.zeros([2, 3])
    for _ in range(2):
        tf.layers.dense(x, 4)
    tf.layers.dense(x, 4, name="fc")
    tf.layers.dense(x, 4, name="fc", reuse=True)
    with pytest.raises(ValueError, match="fc/kernel"):
        tf.layers.dense(x, 4, name="fc")
    kernels = [v.op.name for v in tf.global_variables() if v.op.name.endswith("kernel")]
    assert kernels == ["dense/kernel", "dense_1/kernel", "fc/kernel"]


def test_a_layer_object_keeps_its_variables() -> None:
    layer = tf.layers.Dense(4, name="fc")
    one, two = layer(tf.ones([2, 3])), layer(tf.ones([5, 3]))
    assert [v.op.name for v in layer.variables] == ["fc/kernel", "fc/bias"]
    assert len(tf.global_variables()) == 2
    assert (one.op.name, two.op.name) == ("fc/BiasAdd", "fc/BiasAdd_1")


def test_regularizers_collect_their_losses() -> None:
    layer = tf.layers.Dense(4, kernel_regularizer=tf.nn.l2_loss, activity_regularizer=tf.reduce_sum)
    layer(tf.ones([2, 3]))
    collected = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    assert len(collected) == 2
    assert layer.losses == collected
    found, kernel, _bias = run(tf.add_n(collected))
    expected = (kernel.astype(float) ** 2).sum() / 2 + 2 * kernel.astype(float).sum()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("fused", [None, False])
def test_batch_normalization_uses_the_batch_and_then_its_averages(fused: bool | None) -> None:
    x, training = tf.placeholder(tf.float32, [None, 4, 4, 3]), tf.placeholder(tf.bool, [])
    y = tf.layers.batch_normalization(x, training=training, momentum=0.5, epsilon=0.01, fused=fused)
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    images = RNG.randn(6, 4, 4, 3) * 3 + 1
    mean, variance = images.mean((0, 1, 2)), images.var((0, 1, 2))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        of_batch = sess.run([y, *updates], {x: images, training: True})[0]
        of_averages = sess.run([y, *updates], {x: images, training: False})[0]
        kept = {v.op.name.split("/")[-1]: sess.run(v) for v in tf.global_variables()}
    count = images.size / 3
    kept_variance = variance if fused is False else variance * count / (count - 1)  # the fused op reports the unbiased one
    np.testing.assert_allclose(of_batch, (images - mean) / np.sqrt(variance + 0.01), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(kept["moving_mean"], 0.5 * mean, rtol=1e-5)
    np.testing.assert_allclose(kept["moving_variance"], 0.5 + 0.5 * kept_variance, rtol=1e-5)
    expected = (images - 0.5 * mean) / np.sqrt(0.5 + 0.5 * kept_variance + 0.01)
    np.testing.assert_allclose(of_averages, expected, rtol=1e-4, atol=1e-5)


def test_transposed_convolution_undoes_the_shape() -> None:
    x = tf.placeholder(tf.float32, [None, 5, 4, 3])
    assert tf.layers.conv2d_transpose(x, 7, 3, 2, padding="same").shape.as_list() == [None, 10, 8, 7]
    assert tf.layers.conv2d_transpose(x, 7, 3, 2).shape.as_list() == [None, 11, 9, 7]


def test_channels_first() -> None:
    x = tf.placeholder(tf.float32, [None, 3, 6, 6])
    y = tf.layers.conv2d(x, 5, 3, data_format="channels_first")
    assert tf.layers.max_pooling2d(y, 2, 2, data_format="channels_first").shape.as_list() == [None, 5, 2, 2]
    z = tf.layers.flatten(x, data_format="channels_first")
    images = RNG.rand(2, 3, 6, 6).astype(np.float32)
    found = run(z, {x: images})[0]
    np.testing.assert_array_equal(found, images.transpose(0, 2, 3, 1).reshape(2, -1))


WRONG: list[tuple[str, Any]] = [
    ("should be defined", lambda: tf.layers.dense(tf.placeholder(tf.float32, [3, None]), 2)),
    ("min_ndim=2, found ndim=1", lambda: tf.layers.dense(tf.zeros([3]), 2)),
    ("expected ndim=4, found ndim=2", lambda: tf.layers.conv2d(tf.zeros([3, 3]), 2, 3)),
    ("kernel_size", lambda: tf.layers.conv2d(tf.zeros([1, 8, 8, 3]), 2, (3, 3, 3))),
    ("padding", lambda: tf.layers.max_pooling2d(tf.zeros([1, 8, 8, 3]), 2, 2, "full")),
    ("data_format", lambda: tf.layers.flatten(tf.zeros([1, 8]), data_format="NHWC")),
    ("renorm", lambda: tf.layers.batch_normalization(tf.zeros([1, 8]), renorm=True)),
    ("Invalid axis", lambda: tf.layers.batch_normalization(tf.zeros([1, 8]), axis=2)),
]


@pytest.mark.parametrize(("said", "call"), WRONG, ids=[said for said, _ in WRONG])
def test_wrong_arguments_are_told(said: str, call: Any) -> None:
    with pytest.raises(ValueError, match=said):
        call()
