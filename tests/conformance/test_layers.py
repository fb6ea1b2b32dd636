"""`tf.layers` and `tf.metrics` on TensorFlow and here: nodes, variables, losses of training, what a layer's reuse gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.conformance._both import TF, Script, assert_same, run_on, tfgraph

pytest.importorskip("tf_keras", reason="TensorFlow's own tf.layers need it: pip install tf-keras")
pytestmark = [pytest.mark.conformance, pytest.mark.filterwarnings("ignore:`tf.layers")]

_rng = np.random.RandomState(0)
IMAGES = _rng.rand(5, 8, 8, 3).astype(np.float32)
ROWS = _rng.rand(6, 7).astype(np.float32)


def values(tf: Any, *tensors: Any, feeds: Any = None, updates: bool = False) -> Any:
    """The tensors and then all variables, with a fresh session; `updates` runs the collected updates in between."""
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        found = sess.run(list(tensors), feeds)
        if updates:
            sess.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS), feeds)
        return found, {v.name: sess.run(v) for v in tf.global_variables()}


def dense(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [None, 7])
    one = tf.layers.dense(x, 4, activation=tf.nn.tanh, kernel_regularizer=lambda w: 0.1 * tf.nn.l2_loss(w))
    two = tf.layers.dense(one, 3, use_bias=False)
    three = tf.layers.dense(tf.reshape(one, [-1, 2, 2]), 5, name="wide", bias_initializer=tf.ones_initializer())
    again = tf.layers.dense(tf.reshape(one, [-1, 2, 2]), 5, name="wide", reuse=True)
    with tf.variable_scope("net", reuse=tf.AUTO_REUSE):
        inner = tf.layers.dense(two, 2)
    penalty = tf.add_n(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
    return values(tf, one, two, three, again, inner, penalty, feeds={x: ROWS})


def images(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [None, 8, 8, 3])
    one = tf.layers.conv2d(x, 4, 3, activation=tf.nn.relu)
    two = tf.layers.conv2d(x, 6, (3, 2), strides=(2, 1), padding="SAME", use_bias=False, name="wide")
    three = tf.layers.conv2d(x, 2, [2, 2], dilation_rate=2)
    most, mean = tf.layers.max_pooling2d(one, 2, 2), tf.layers.average_pooling2d(one, 3, 2, padding="same")
    up = tf.layers.conv2d_transpose(one, 3, 3, strides=2, padding="same")
    valid = tf.layers.conv2d_transpose(one, 3, 2, strides=(3, 2), activation=tf.nn.relu)
    flat = tf.layers.flatten(most)
    assert flat.shape.as_list() == [None, 36]
    return values(tf, one, two, three, most, mean, up, valid, flat, feeds={x: IMAGES})


def sequences(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [None, 8, 24])
    one = tf.layers.conv1d(x, 4, 3, activation=tf.nn.relu)
    two = tf.layers.conv1d(x, 5, 2, strides=2, padding="same", use_bias=False, name="wide")
    three = tf.layers.conv1d(x, 2, 2, dilation_rate=2)
    most, mean = tf.layers.max_pooling1d(one, 2, 2), tf.layers.average_pooling1d(two, 3, 1, padding="same")
    slopes = tf.gradients([most, mean, three], tf.trainable_variables())
    return values(tf, one, two, three, most, mean, *slopes, feeds={x: IMAGES.reshape(5, 8, 24)})


def separable(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [None, 8, 8, 3])
    one = tf.layers.separable_conv2d(x, 4, 3, activation=tf.nn.relu, depth_multiplier=2)
    two = tf.layers.separable_conv2d(x, 6, (3, 2), strides=2, padding="SAME", use_bias=False, name="wide")
    return values(tf, one, two, *tf.gradients([one, two], tf.trainable_variables()), feeds={x: IMAGES})


def normalised(training: Any, fused: bool | None, of_images: bool) -> Script:
    def script(tf: Any) -> Any:
        x = tf.placeholder(tf.float32, [None, 8, 8, 3] if of_images else [None, 7])
        flag = tf.placeholder(tf.bool, []) if training == "fed" else training
        feeds = {x: IMAGES if of_images else ROWS}
        y = tf.layers.batch_normalization(x, training=flag, momentum=0.9, fused=fused)
        if training != "fed":
            return values(tf, y, feeds=feeds, updates=bool(training))
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            found = []
            for flag_value in (True, False, True, False):
                updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
                found.append(sess.run([y, *updates], {**feeds, flag: flag_value})[0])
            return found, {v.name: sess.run(v) for v in tf.global_variables()}

    return script


def dropped(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [None, 7])
    kept, lost = tf.layers.dropout(x), tf.layers.dropout(x, 0.4, seed=3, training=True)
    return values(tf, kept, lost, feeds={x: ROWS})


SCRIPTS: dict[str, Script] = {
    "dense": dense,
    "images": images,
    "sequences": sequences,
    "separable": separable,
    "dropped": dropped,
} | {
    f"normalised {training} {fused} {of_images}": normalised(training, fused, of_images)
    for training in (True, False, "fed")
    for fused, of_images in ((None, True), (False, True), (None, False))
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_values(name: str) -> None:
    assert_same(SCRIPTS[name], seed=7)


@pytest.mark.parametrize("name", ["dense", "images", "sequences", "separable", "dropped"])
def test_nodes(name: str) -> None:
    """The same nodes where a script sees them: variables, and what a layer returns."""

    def names(tf: Any) -> list[str]:
        SCRIPTS[name](tf)
        return [op.name for op in tf.get_default_graph().get_operations() if op.type in ("VariableV2", "BiasAdd", "Relu", "Tanh")]

    assert run_on(tfgraph, names) == run_on(TF, names)


def trained(tf: Any) -> Any:
    """A published style of script: layers, batch normalisation with its updates as control dependencies, dropout, metrics."""
    x, y = tf.placeholder(tf.float32, [None, 8, 8, 3]), tf.placeholder(tf.int64, [None])
    training = tf.placeholder_with_default(False, [], "training")
    h = tf.layers.conv2d(x, 6, 3, padding="same", activation=tf.nn.relu)
    h = tf.layers.max_pooling2d(tf.layers.batch_normalization(h, training=training), 2, 2)
    h = tf.layers.dense(tf.layers.flatten(h), 10, tf.nn.relu)
    logits = tf.layers.dense(h, 3)
    loss = tf.losses.sparse_softmax_cross_entropy(y, logits)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        step = tf.train.AdamOptimizer(1e-2).minimize(loss)
    accuracy, update = tf.metrics.accuracy(y, tf.argmax(logits, 1))
    labels = np.arange(5) % 3
    with tf.Session() as sess:
        sess.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        losses = [sess.run([loss, step], {x: IMAGES, y: labels, training: True})[0] for _ in range(20)]
        for shift in range(3):
            sess.run(update, {x: IMAGES, y: (labels + shift) % 3})
        return losses, sess.run(accuracy), [v.name for v in tf.local_variables()]


def test_training() -> None:
    assert_same(trained, "losses", seed=3)
