"""`tf.train.Saver`: what is saved comes back, into this graph and into others."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._saved import FORMATS, saved, session

pytestmark = pytest.mark.usefixtures("graph")


@pytest.mark.parametrize("name", FORMATS)
def test_values_come_back(tmp_path: Path, backend: str, name: str) -> None:
    values = [1.5, [[1, 2], [3, 4]], [True, False], np.float64([0.1]), np.zeros((0, 2), np.float32), np.float16([2, 3])]
    variables = [tf.Variable(value) for value in values]
    saver, sess = tf.train.Saver(), session()
    before = sess.run(variables)
    path = saver.save(sess, tmp_path / name)
    assert path == str(tmp_path / name)
    other = tf.Session()  # nothing is initialised there
    saver.restore(other, path)
    for ours, expected in zip(other.run(variables), before):
        np.testing.assert_array_equal(ours, expected)
        assert np.asarray(ours).dtype == np.asarray(expected).dtype
    sess.run([v.assign(np.zeros_like(value)) for v, value in zip(variables, before)])
    saver.restore(sess, path)  # over other values
    for ours, expected in zip(sess.run(variables), before):
        np.testing.assert_array_equal(ours, expected)


def test_strings_come_back(tmp_path: Path) -> None:
    v = tf.Variable(["ab", "", "c" * 300])
    saver, sess = tf.train.Saver(), session()
    path = saver.save(sess, str(tmp_path / "ck"))
    other = tf.Session()
    saver.restore(other, path)
    assert other.run(v).tolist() == [b"ab", b"", b"c" * 300]
    with pytest.raises(tf.errors.InvalidArgumentError, match="safetensors has no strings"):
        saver.save(sess, str(tmp_path / "ck.safetensors"))


def model() -> tuple[Any, Any, Any]:
    x = tf.placeholder(tf.float32, [None, 3])
    hidden = tf.tanh(tf.matmul(x, tf.Variable(tf.random_normal([3, 4], seed=1))) + tf.Variable(tf.zeros([4])))
    loss = tf.reduce_mean(tf.square(hidden - 0.3))
    step = tf.train.get_or_create_global_step()
    return x, loss, tf.train.AdamOptimizer(0.1).minimize(loss, global_step=step)


@pytest.mark.parametrize("name", FORMATS)
def test_training_goes_on_where_it_was(tmp_path: Path, backend: str, name: str) -> None:
    """Five steps, a save, five steps: the same bits as five steps from the checkpoint in a new graph and session."""
    feed = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)

    def steps(sess: tf.Session, x: Any, loss: Any, train: Any) -> list[float]:
        return [sess.run([loss, train], {x: feed})[0] for _ in range(5)]

    net = model()
    sess = session()
    steps(sess, *net)
    path = tf.train.Saver().save(sess, tmp_path / name, global_step=tf.train.get_global_step())
    assert path.endswith("ck-5.safetensors" if name.endswith("safetensors") else "ck-5")
    expected = steps(sess, *net)
    assert {"beta1_power", "beta2_power", "global_step"} < {name for name, _ in tf.train.list_variables(path)}
    assert any(name.endswith("/Adam_1") for name, _ in tf.train.list_variables(path))
    with tf.Graph().as_default():
        net = model()
        other = tf.Session()
        tf.train.Saver().restore(other, path)
        assert steps(other, *net) == expected
        assert other.run(tf.train.get_global_step()) == 10


def test_a_finalized_graph(tmp_path: Path, graph: tf.Graph) -> None:
    v = tf.Variable([1.0, 2.0])
    sess = session()
    count = len(graph.get_operations())
    graph.finalize()
    saver = tf.train.Saver([v])
    saver.restore(sess, saver.save(sess, tmp_path / "ck", global_step=3))
    assert len(graph.get_operations()) == count


def test_names_of_a_dictionary(tmp_path: Path) -> None:
    v = tf.Variable([1.0, 2.0], name="v")
    path = tf.train.Saver({"other/name": v}).save(session(), tmp_path / "ck")
    assert tf.train.list_variables(path) == [("other/name", [2])]
    with tf.Graph().as_default():
        w, rest = tf.Variable([0.0, 0.0], name="w"), tf.Variable(7.0)
        sess = session()
        tf.train.Saver({"other/name": w}).restore(sess, path)
        assert sess.run([w, rest])[0].tolist() == [1, 2]
        assert sess.run(rest) == 7


def test_moving_averages(tmp_path: Path) -> None:
    v = tf.Variable([1.0, 2.0], name="v")
    average = tf.train.ExponentialMovingAverage(0.5)
    update = average.apply([v])
    sess = session()
    sess.run(v.assign([3.0, 4.0]))
    sess.run(update)
    path = tf.train.Saver().save(sess, tmp_path / "ck")
    tf.train.Saver(average.variables_to_restore()).restore(sess, path)
    assert sess.run(v).tolist() == [2, 3]


def test_a_variable_in_another_shape(tmp_path: Path) -> None:
    path = saved(tmp_path / "ck", [[1.0, 2.0], [3.0, 4.0]])
    v = tf.Variable([0.0] * 4, name="a")
    sess = session()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"lhs shape= \[4\] rhs shape= \[2,2\]"):
        tf.train.Saver().restore(sess, path)
    tf.train.Saver(reshape=True).restore(sess, path)
    assert sess.run(v).tolist() == [1, 2, 3, 4]


def test_a_variable_of_unknown_shape(tmp_path: Path, backend: str) -> None:
    path = saved(tmp_path / "ck", [1.0, 2.0, 3.0])
    v = tf.Variable([5.0], validate_shape=False, name="a")
    doubled = v * 2.0
    sess = session()
    assert sess.run(doubled).tolist() == [10]
    tf.train.Saver().restore(sess, path)
    assert sess.run(doubled).tolist() == [2, 4, 6]


def test_a_save_is_of_one_moment(tmp_path: Path) -> None:
    """Another thread counts two variables up together: no checkpoint has them apart."""
    a, b = tf.Variable(np.zeros(1000)), tf.Variable(np.zeros(1000))
    both = tf.group(a.assign_add(np.ones(1000)), b.assign_add(np.ones(1000)))
    saver, sess, other = tf.train.Saver(), session(), tf.Session()
    sess.run(both)
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            sess.run(both)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        for _ in range(20):
            saver.restore(other, saver.save(sess, tmp_path / "ck"))
            assert len({*other.run(a), *other.run(b)}) == 1
    finally:
        done.set()
        thread.join()
