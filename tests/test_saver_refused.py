"""`tf.train.Saver`: what is refused, and that a refusal changes nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._saved import FORMATS, saved, session

pytestmark = pytest.mark.usefixtures("graph")


def test_no_variables(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No variables to save"):
        tf.train.Saver()
    saver = tf.train.Saver(allow_empty=True)
    assert saver.save(tf.Session(), tmp_path / "ck") is None
    saver.restore(tf.Session(), "anything")
    assert list(tmp_path.iterdir()) == []


def test_building_later(tmp_path: Path) -> None:
    saver = tf.train.Saver(defer_build=True)
    v = tf.Variable(1.0)
    sess = session()
    with pytest.raises(RuntimeError, match=r"`build\(\)` should be called before save"):
        saver.save(sess, tmp_path / "ck")
    saver.build()
    saver.restore(sess, saver.save(sess, tmp_path / "ck"))
    with pytest.raises(ValueError, match="then build cannot be deferred"):
        tf.train.Saver([v], defer_build=True)
    for option in ({"saver_def": 1}, {"builder": 1}):
        with pytest.raises(NotImplementedError, match="adds no operations to the graph"):
            tf.train.Saver([v], **option)


def test_what_is_no_list_of_variables() -> None:
    v, c = tf.Variable(1.0), tf.constant(1.0)
    for given in (3, "Variable", v):
        with pytest.raises(TypeError, match="Variables to save should be passed in a dict or a list"):
            tf.train.Saver(given)
    for items in ([c], [3], ["Variable"]):
        with pytest.raises(TypeError, match="Variable to save is not a Variable"):
            tf.train.Saver(items)
    with pytest.raises(TypeError, match="Not a variable"):
        tf.train.Saver({"c": c})
    with pytest.raises(TypeError, match="Name is not a string: 3"):
        tf.train.Saver({3: v})
    with pytest.raises(ValueError, match="At least two variables have the same name: Variable"):
        tf.train.Saver([v, v])
    with pytest.raises(ValueError, match="The same saveable will be restored with two names: b"):
        tf.train.Saver({"a": v, "b": v})


def test_a_variable_without_a_value(tmp_path: Path) -> None:
    v, w = tf.Variable(1.0, name="v"), tf.Variable(2.0, name="w")
    sess = tf.Session()
    sess.run(v.initializer)
    with pytest.raises(tf.errors.FailedPreconditionError, match="Attempting to use uninitialized value w") as caught:
        tf.train.Saver().save(sess, tmp_path / "ck")
    assert caught.value.op is w.op
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    tf.Variable(1.0)
    saver, sess = tf.train.Saver(), session()
    with pytest.raises(ValueError, match=r"Parent directory of .*/a/b/ck doesn't exist, can't save\."):
        saver.save(sess, tmp_path / "a/b/ck")
    with pytest.raises(ValueError, match="Parent directory of nowhere/ck doesn't exist"):
        saver.save(tf.Session(), "nowhere/ck")  # the variable without a value is not worth telling
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="Parent directory of"):
        saver.save(sess, tmp_path / "file/ck")


def test_paths_that_are_wrong(tmp_path: Path) -> None:
    tf.Variable(1.0)
    saver, sess = tf.train.Saver(), session()
    with pytest.raises(ValueError, match="'latest_filename' must not contain path components"):
        saver.save(sess, tmp_path / "ck", latest_filename="a/b")
    with pytest.raises(ValueError, match="'latest_filename' collides with 'save_path'"):
        saver.save(sess, tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="Can't load save_path when it is None"):
        saver.restore(sess, None)
    with pytest.raises(ValueError, match="The passed save_path is not a valid checkpoint: nowhere/ck"):
        saver.restore(sess, "nowhere/ck")


def test_sessions_that_are_wrong(tmp_path: Path) -> None:
    tf.Variable(1.0)
    saver, sess = tf.train.Saver(), session()
    path = saver.save(sess, tmp_path / "ck")
    with pytest.raises(TypeError, match="'sess' must be a Session; None"):
        saver.save(None, path)
    with pytest.raises(ValueError, match="is not an element of this graph"):
        saver.restore(tf.Session(graph=tf.Graph()), path)
    sess.close()
    for use in (saver.save, saver.restore):
        with pytest.raises(RuntimeError, match="Attempted to use a closed Session"):
            use(sess, path)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_half_restored(tmp_path: Path, name: str) -> None:
    """The first variable fits, another does not: all keep their values."""
    path = saved(tmp_path / name, [1.0, 2.0], [3.0])
    cases: list[tuple[Any, Any, str]] = [
        ("z", [0.0], "NotFoundError"),
        ("b", [0.0, 0.0], "InvalidArgumentError"),
        ("b", [[0.0]], "InvalidArgumentError"),
        ("b", [7], "InvalidArgumentError"),
    ]
    for other, value, kind in cases:
        with tf.Graph().as_default():
            variables = [tf.Variable([5.0, 6.0], name="a"), tf.Variable(value, name=other)]
            sess = session()
            before = sess.run(variables)
            with pytest.raises(getattr(tf.errors, kind), match="Restoring from checkpoint failed") as caught:
                tf.train.Saver().restore(sess, path)
            assert caught.value.op is variables[1].op
            for now, expected in zip(sess.run(variables), before):
                np.testing.assert_array_equal(now, expected)


def test_changed_files_restore_all_or_nothing(tmp_path: Path) -> None:
    """One byte of a checkpoint is another, or its end is missing: an error and the old values, or exactly the saved ones."""
    values = [np.arange(6.0).reshape(2, 3), np.int32([7, 8]), np.array([b"ab", b"c"], object)]
    path = saved(tmp_path / "ck", *values)
    variables = [tf.Variable(np.zeros_like(v) if v.dtype != object else ["", "d"], name=n) for n, v in zip("abc", values)]
    files = [Path(path + ".index"), Path(path + ".data-00000-of-00001")]
    generator, saver, sess, refused = random.Random(3), tf.train.Saver(), session(), 0
    before = sess.run(variables)
    for _ in range(400):
        file = generator.choice(files)
        original = file.read_bytes()
        at = generator.randrange(len(original))
        octet = bytes([original[at] ^ 1 << generator.randrange(8)])
        file.write_bytes(original[:at] + (octet + original[at + 1 :] if generator.random() < 0.7 else b""))
        try:
            saver.restore(sess, path)
            expected: Any = values
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
            refused += 1
            expected = before
        file.write_bytes(original)
        for now, value in zip(sess.run(variables), expected):
            np.testing.assert_array_equal(now, value)
        if expected is values:
            sess.run(tf.global_variables_initializer())
    assert refused > 300
