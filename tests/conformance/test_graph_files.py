"""Graphs in files, both ways: built on TensorFlow and run here, built here and run on TensorFlow. The numbers are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance._both import TF, TOLERANCES, differences, tfgraph

pytest.importorskip("tensorboard", reason="GraphDef files need its protos: pip install tensorboard")
pytestmark = pytest.mark.conformance

STEPS = 8
_rng = np.random.RandomState(0)
IMAGES, LABELS = _rng.rand(6, 10, 10, 2).astype(np.float32), np.eye(3, dtype=np.float32)[np.arange(6) % 3]
FEEDS = {"x:0": IMAGES, "y:0": LABELS}


def inputs(tf: Any) -> tuple[Any, Any]:
    return tf.placeholder(tf.float32, [None, 10, 10, 2], "x"), tf.placeholder(tf.float32, [None, 3], "y")


def finished(tf: Any, logits: Any, y: Any, optimizer: Any) -> None:
    """The nodes `loss`, `train` and `init`."""
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=logits))
    tf.identity(loss, "loss")
    optimizer.minimize(loss, global_step=tf.train.get_or_create_global_step(), name="train")
    tf.global_variables_initializer()


def convolutions(tf: Any) -> None:
    x, y = inputs(tf)
    filters = tf.Variable(tf.truncated_normal([3, 3, 2, 4], stddev=0.3, seed=1))
    h = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, filters, [1, 1, 1, 1], "VALID"), tf.Variable(tf.fill([4], 0.1))))
    h = tf.nn.avg_pool(tf.nn.max_pool(h, [1, 2, 2, 1], [1, 2, 2, 1], "SAME"), [1, 2, 2, 1], [1, 1, 1, 1], "VALID")
    h = tf.reshape(h, [-1, 36])
    finished(tf, tf.matmul(h, tf.Variable(tf.random_normal([36, 3], stddev=0.3, seed=2))), y, tf.train.AdamOptimizer(1e-2))


def shapes(tf: Any) -> None:
    """Concatenations, slices, broadcasts and reductions, whose gradients compute with shapes."""
    x, y = inputs(tf)
    rows = tf.reshape(x, [tf.shape(x)[0], 200])
    w = tf.Variable(tf.random_normal([200, 4], stddev=0.1, seed=3))
    h = tf.tanh(tf.matmul(rows, w) * tf.Variable(tf.ones([4])) + tf.Variable(tf.zeros([1])))
    h = tf.concat([h[:, 1:3], tf.sigmoid(h) / (1.0 + tf.reduce_max(tf.abs(h), 1, keepdims=True))], 1)
    h = h - tf.reduce_mean(h, axis=[0], keepdims=True)
    logits = tf.matmul(h, tf.Variable(tf.random_normal([6, 3], stddev=0.3, seed=4))) + tf.reduce_sum(h) / 10.0
    rate = tf.train.exponential_decay(0.3, tf.train.get_or_create_global_step(), 3, 0.5)
    finished(tf, logits, y, tf.train.MomentumOptimizer(rate, 0.9))


def dropped(tf: Any) -> None:
    x, y = inputs(tf)
    h = tf.nn.dropout(tf.reshape(x, [-1, 200]), 0.7, seed=5)
    w = tf.Variable(tf.random_uniform([200, 3], -0.1, 0.1, seed=6))
    loss = tf.nn.l2_loss(w) * 0.01
    tf.add_to_collection("losses", loss)
    finished(tf, tf.matmul(h, w) + loss, y, tf.train.RMSPropOptimizer(1e-2))


NETS: dict[str, Callable[[Any], None]] = {"convolutions": convolutions, "shapes": shapes, "dropped": dropped}


def losses(tf: Any) -> list[Any]:
    """The losses of a few steps of the default graph, found by name."""
    with tf.Session() as sess:
        sess.run("init")
        return [sess.run(["loss:0", "train"], FEEDS)[0] for _ in range(STEPS)]


def message(tf: Any, content: bytes) -> Any:
    found = tf.GraphDef()
    found.ParseFromString(content)
    return found


def moved(build: Callable[[Any], None], source: Any, target: Any) -> tuple[list[Any], list[Any]]:
    """The losses on `source`, which builds the graph, and on `target`, which gets it as a GraphDef."""
    with source.Graph().as_default() as graph:
        build(source)
        expected = losses(source)
        content = graph.as_graph_def().SerializeToString()
    with target.Graph().as_default():
        target.import_graph_def(message(target, content), name="")
        return losses(target), expected


@pytest.mark.parametrize("name", NETS)
def test_training_graphs_of_tensorflow_run_here(name: str) -> None:
    ours, theirs = moved(NETS[name], TF, tfgraph)
    assert not differences(ours, theirs, TOLERANCES["losses"])


@pytest.mark.parametrize("name", NETS)
def test_training_graphs_of_this_package_run_on_tensorflow(name: str) -> None:
    theirs, ours = moved(NETS[name], tfgraph, TF)
    assert not differences(ours, theirs, TOLERANCES["losses"])


def test_tensorflows_gradients_are_compiled_here(capfd: pytest.CaptureFixture[str]) -> None:
    moved(shapes, TF, tfgraph)
    assert "interpreter" not in capfd.readouterr().err


@pytest.mark.parametrize(("source", "target"), [(TF, tfgraph), (tfgraph, TF)], ids=["theirs here", "ours there"])
@pytest.mark.parametrize("as_text", [False, True])
def test_frozen_graphs(source: Any, target: Any, as_text: bool, tmp_path: Path) -> None:
    with source.Graph().as_default() as graph:
        convolutions(source)
        with source.Session() as sess:
            sess.run("init")
            sess.run("train", FEEDS)
            expected = sess.run("MatMul:0", {"x:0": IMAGES})
            frozen = source.graph_util.convert_variables_to_constants(sess, graph.as_graph_def(), ["MatMul"])
        path = source.train.write_graph(frozen, str(tmp_path), "net.pbtxt" if as_text else "net.pb", as_text)
    content = Path(path).read_bytes()
    if as_text:
        from google.protobuf import text_format

        graph_def = text_format.Merge(content.decode(), target.GraphDef())
    else:
        graph_def = message(target, content)
    assert not any(node.op.startswith("Variable") for node in graph_def.node)
    with target.Graph().as_default():
        images = target.placeholder(target.float32, [None, 10, 10, 2], "images")
        (logits,) = target.import_graph_def(graph_def, {"x:0": images}, ["MatMul:0"], name="net")
        assert logits.name == "net/MatMul:0"
        with target.Session() as sess:
            found = sess.run(logits, {images: IMAGES})
    assert not differences(found, expected, TOLERANCES["values"])


@pytest.mark.parametrize(("source", "target"), [(TF, tfgraph), (tfgraph, TF)], ids=["theirs here", "ours there"])
def test_meta_graphs(source: Any, target: Any, tmp_path: Path) -> None:
    """A graph with its collections and checkpoint goes on training where it stopped."""
    path = str(tmp_path / "net")
    with source.Graph().as_default():
        dropped(source)
        source.add_to_collection("inputs", source.get_default_graph().get_tensor_by_name("x:0"))
        with source.Session() as sess:
            sess.run("init")
            sess.run("train", FEEDS)
            source.train.Saver().save(sess, path)
            expected = sess.run(source.trainable_variables()[0])
        names = {key: [v.name for v in source.get_collection(key)] for key in ("variables", "trainable_variables", "losses")}
    with target.Graph().as_default():
        saver = target.train.import_meta_graph(path + ".meta") or target.train.Saver()
        assert {key: [v.name for v in target.get_collection(key)] for key in names} == names
        assert [t.name for t in target.get_collection("inputs")] == ["x:0"]
        with target.Session() as sess:
            saver.restore(sess, path)
            np.testing.assert_array_equal(sess.run(target.trainable_variables()[0]), expected)
            sess.run("train", FEEDS)


def test_a_saver_in_a_graph_of_tensorflow_works_here(tmp_path: Path) -> None:
    with TF.Graph().as_default() as graph:
        dropped(TF)
        TF.train.Saver()
        content = graph.as_graph_def().SerializeToString()
    path = {"save/Const:0": str(tmp_path / "net")}
    with tfgraph.Graph().as_default():
        tfgraph.import_graph_def(message(tfgraph, content), name="")
        with tfgraph.Session() as sess:
            sess.run("init")
            sess.run("train", FEEDS)
            sess.run("save/control_dependency:0", path)
            saved = sess.run("Variable:0")
        with tfgraph.Session() as sess:
            sess.run("save/restore_all", path)
            np.testing.assert_array_equal(sess.run("Variable:0"), saved)
