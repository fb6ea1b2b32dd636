"""Where random operations stand, saved and restored with the variables in one safetensors file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._checkpoint_files import put_safetensors
from tfgraph.checkpoint.model import RANDOM_PREFIX, write_model_checkpoint
from tfgraph.checkpoint.safetensors import SafetensorsReader, write_safetensors

NAME = "ck.safetensors"
DRAW = "draw/RandomUniform"


@pytest.fixture(params=["interpreter", "compiled"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TFGRAPH_BACKEND", request.param)
    return request.param


@pytest.fixture(autouse=True)
def graph() -> Iterator[tf.Graph]:
    with tf.Graph().as_default() as graph:
        yield graph


def session() -> tf.Session:
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    return sess


def random_rows(path: Any) -> dict[str, list[int]]:
    reader = SafetensorsReader(str(path))
    values = reader.read([name for name in reader.entries if name.startswith(RANDOM_PREFIX)])
    return {name.removeprefix(RANDOM_PREFIX): value.tolist() for name, value in values.items()}


def test_the_rows(tmp_path: Path, backend: str) -> None:
    """One for each random operation of the graph, whether it has run or not: its seeds, and 256 counters an output."""
    tf.set_random_seed(5)
    tf.Variable(tf.random_normal([3], seed=8, name="start"), name="v")
    x = tf.placeholder(tf.float32, [None])
    dropped = tf.nn.dropout(x, keep_prob=0.5, seed=9)
    tf.random_uniform([2], seed=-1, name="draw")
    saver, sess = tf.train.Saver(), session()
    sess.run(dropped, {x: np.ones(7)})
    sess.run(dropped, {x: np.ones(2)})
    assert random_rows(saver.save(sess, tmp_path / NAME)) == {
        "start/RandomStandardNormal": [5, 8, 3 * 256],
        "dropout/random_uniform/RandomUniform": [5, 9, 9 * 256],
        DRAW: [5, 2**31 - 2, 0],
    }


@pytest.mark.parametrize("seeds", [(5, 6), (None, None)], ids=["seeds", "no seeds"])
def test_random_numbers_go_on(tmp_path: Path, backend: str, seeds: tuple[int | None, int | None]) -> None:
    """Also in a graph with other seeds, and where an operation's key is drawn at its first run, or at a save before it."""

    def draw(seeds: tuple[int | None, int | None]) -> tf.Tensor:
        tf.set_random_seed(seeds[0])
        tf.Variable(1.0, name="v")
        return tf.random_uniform([4], seed=seeds[1], name="draw")

    numbers = draw(seeds)
    saver, sess = tf.train.Saver(), session()
    fresh = saver.save(sess, tmp_path / f"fresh.{NAME}")
    first = sess.run(numbers)
    path = saver.save(sess, tmp_path / NAME)
    second, third = sess.run(numbers), sess.run(numbers)
    saver.restore(sess, path)  # back, where programs are bound to the key already
    np.testing.assert_array_equal(sess.run(numbers), second)
    with tf.Graph().as_default():
        numbers = draw((1, 2))
        saver, other = tf.train.Saver(), session()
        other.run(numbers)
        saver.restore(other, path)
        np.testing.assert_array_equal(other.run(numbers), second)
        np.testing.assert_array_equal(other.run(numbers), third)
        saver.restore(other, fresh)
        np.testing.assert_array_equal(other.run(numbers), first)


def test_a_saver_of_some_variables(tmp_path: Path) -> None:
    """It is for their values: it neither writes random states nor takes them back."""
    v, w = tf.Variable(1.0, name="v"), tf.Variable(2.0, name="w")
    draw = tf.random_uniform([4], seed=3, name="draw")
    sess = session()
    everything, some = tf.train.Saver(), tf.train.Saver([v])
    assert random_rows(some.save(sess, tmp_path / f"some.{NAME}")) == {}
    path = everything.save(sess, tmp_path / NAME)
    first, second = sess.run(draw), sess.run(draw)
    some.restore(sess, path)
    assert not set(sess.run(draw)) & {*first, *second}
    listed = tf.train.Saver([w, v])  # all of them, by name
    listed.restore(sess, listed.save(sess, path))
    assert random_rows(path)[DRAW][2] == 3 * 4 * 256
    tf.train.Saver({"v": v, "w": w}).restore(sess, everything.save(sess, path))
    deferred = tf.train.Saver(defer_build=True)
    deferred.build()
    assert list(random_rows(deferred.save(sess, path))) == [DRAW]


def test_a_file_without_them(tmp_path: Path) -> None:
    """One of another program, or without some operation: what is not there goes on where it is."""
    v = tf.Variable(1.0, name="v")
    draw, other = tf.random_uniform([4], seed=3, name="draw"), tf.random_uniform([4], seed=4, name="other")
    saver, sess = tf.train.Saver(), session()
    first = sess.run([draw, other])
    head = {"v": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}
    saver.restore(sess, put_safetensors(tmp_path / "plain.safetensors", head, np.float32(5).tobytes()))
    assert sess.run(v) == 5
    assert not set(sess.run(draw)) & set(first[0])
    write_model_checkpoint(
        str(tmp_path / NAME), {"v": np.float32(6)}, {DRAW: (*_seeds(graph_op(DRAW)), 0), "gone": (1, 2, 3)}
    )
    saver.restore(sess, tmp_path / NAME)
    np.testing.assert_array_equal(sess.run(draw), first[0])
    assert not set(sess.run(other)) & set(first[1])


def graph_op(name: str) -> Any:
    return tf.get_default_graph().get_operation_by_name(name)


def _seeds(op: Any) -> tuple[int, int]:
    return op.attr("seed"), op.attr("seed2")


@pytest.mark.parametrize("row", [np.int64([1, 2, 3]), np.uint64([1, 2]), np.uint64([[1, 2, 3]]), np.float32(1)])
def test_rows_that_are_no_states(tmp_path: Path, row: Any) -> None:
    v = tf.Variable(1.0, name="v")
    draw = tf.random_uniform([4], seed=3, name="draw")
    saver, sess = tf.train.Saver(), session()
    first = sess.run(draw)
    path = saver.save(sess, tmp_path / NAME)
    second = sess.run(draw)
    write_safetensors(str(tmp_path / f"wrong.{NAME}"), {"v": np.float32(2), RANDOM_PREFIX + DRAW: row})
    with pytest.raises(tf.errors.InvalidArgumentError, match="not the state of a random operation"):
        saver.restore(sess, tmp_path / f"wrong.{NAME}")
    assert sess.run(v) == 1
    saver.restore(sess, path)
    np.testing.assert_array_equal(sess.run(draw), second)
    assert not set(first) & set(second)


def test_a_damaged_file_changes_nothing(tmp_path: Path) -> None:
    v = tf.Variable(1.0, name="v")
    draw = tf.random_uniform([4], seed=3, name="draw")
    saver, sess = tf.train.Saver(), session()
    path = saver.save(sess, tmp_path / NAME)
    sess.run([v.assign(2.0), draw])
    before = sess.copy_state({"v": v.op}, [graph_op(DRAW)])
    content = bytearray(Path(path).read_bytes())
    content[-1] ^= 1
    Path(path).write_bytes(content)
    assert ("v", []) in tf.train.list_variables(path)
    with pytest.raises(tf.errors.DataLossError, match="Checksum does not match"):
        saver.restore(sess, path)
    assert sess.copy_state({"v": v.op}, [graph_op(DRAW)]) == before


def test_names_that_mean_a_state(tmp_path: Path) -> None:
    v = tf.Variable(1.0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="under a name of a random state"):
        tf.train.Saver({RANDOM_PREFIX + "x": v}).save(session(), tmp_path / NAME)
    assert list(tmp_path.iterdir()) == []


def test_equal_states_make_equal_files(tmp_path: Path) -> None:
    """Whatever the order in which variables were made, set or listed."""
    files = []
    for order in ("abc", "cab"):
        with tf.Graph().as_default():
            variables = {name: tf.Variable(np.full(3, ord(name), kind), name=name) for name, kind in _kinds(order)}
            sess = session()
            path = tf.train.Saver(variables).save(sess, tmp_path / f"{order}.safetensors")
            files.append(Path(path).read_bytes())
    assert files[0] == files[1]


def _kinds(order: str) -> list[tuple[str, Any]]:
    kinds = {"a": np.int8, "b": np.float32, "c": np.int32}
    return [(name, kinds[name]) for name in order]
