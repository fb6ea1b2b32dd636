"""What a user is told before anything runs: wrong feeds, wrong fetches, wrong sessions; and the error classes.

The texts are TensorFlow 1.x's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tfgraph as tf

pytestmark = pytest.mark.usefixtures("graph")


def placeholder(dtype: Any = tf.float32, shape: Any = None, name: str | None = None) -> tf.Tensor:
    return tf.placeholder(dtype, shape, name)


# --- wrong feeds: before the run ----------------------------------------------------------------------------


@dataclass(frozen=True)
class WrongFeed:
    """What feeding `key` (or x itself) with `value` raises."""

    name: str
    error: type[Exception]
    text: str
    value: Any = 1.0
    key: Any = None
    dtype: Any = tf.float32
    shape: Any = None


WRONG_FEEDS = [
    WrongFeed(
        "shape", ValueError, "Cannot feed value of shape (2, 3) for Tensor 'x:0', which has shape '(?, 4)'",
        np.zeros((2, 3)), shape=[None, 4],
    ),
    WrongFeed(
        "rank", ValueError, "Cannot feed value of shape () for Tensor 'x:0', which has shape '(?, 4)'", 1.0, shape=[None, 4]
    ),
    WrongFeed(
        "unknown name", TypeError,
        "Cannot interpret feed_dict key as Tensor: The name 'nope:0' refers to a Tensor which does not exist. The "
        "operation, 'nope', does not exist in the graph.", key="nope:0",
    ),
    WrongFeed(
        "operation's name", TypeError,
        "Cannot interpret feed_dict key as Tensor: The name 'x' looks like an (invalid) Operation name, not a Tensor. "
        'Tensor names must be of the form "<op_name>:<output_index>".', key="x",
    ),
    WrongFeed("no such output", TypeError, "The operation, 'x', exists but only has 1 outputs.", key="x:1"),
    WrongFeed(
        "integer key", TypeError, "Cannot interpret feed_dict key as Tensor: Can not convert a int into a Tensor.", key=3
    ),
    WrongFeed(
        "integer too large", TypeError,
        "Type of feed value 1099511627776 with type <class 'int'> is not compatible with Tensor type <class 'numpy.int32'>. "
        "Try explicitly setting the type of the feed tensor to a larger type (e.g. int64).", 2**40, dtype=tf.int32,
    ),
    WrongFeed(
        "integer too small", TypeError, "Type of feed value -1 with type <class 'int'> is not compatible", -1, dtype=tf.uint8
    ),
    WrongFeed("text", ValueError, "could not convert string to float", "abc"),
    WrongFeed("ragged", ValueError, "setting an array element with a sequence", [[1.0, 2.0], [3.0]]),
]  # fmt: skip


@pytest.mark.parametrize("row", WRONG_FEEDS, ids=lambda row: row.name)
def test_wrong_feeds(row: WrongFeed) -> None:
    x = placeholder(row.dtype, row.shape, "x")
    y = tf.identity(x)
    v = tf.Variable(1.0)
    with tf.Session() as sess:
        sess.run(v.initializer)
        for _ in range(2):  # the second time goes another way through the session
            with pytest.raises(row.error) as caught:
                sess.run([y, v.assign_add(1.0)], {x if row.key is None else row.key: row.value})
            assert row.text in str(caught.value)
        assert sess.run(v) == 1.0


def test_feeding_a_tensor() -> None:
    x = placeholder(name="x")
    with tf.Session() as sess, pytest.raises(TypeError) as caught:
        sess.run(x + 1.0, {x: tf.constant(1.0)})
    assert str(caught.value) == (
        "The value of a feed cannot be a tf.Tensor object. Acceptable feed values include Python scalars, strings, lists, "
        'numpy ndarrays, or TensorHandles. For reference, the tensor object was Tensor("Const:0", shape=(), dtype=float32) '
        'which was passed to the feed with key Tensor("x:0", dtype=float32).'
    )


def test_feeding_a_variable_as_a_value() -> None:
    x, v = placeholder(), tf.Variable(1.0)
    with tf.Session() as sess, pytest.raises(TypeError, match=r"The value of a feed cannot be a tf\.Tensor object"):
        sess.run(x + 1.0, {x: v})


def test_feeding_a_foreign_tensor() -> None:
    y = placeholder() + 1.0
    with tf.Graph().as_default():
        foreign = placeholder(name="foreign")
    with tf.Session() as sess, pytest.raises(TypeError) as caught:
        sess.run(y, {foreign: 1.0})
    assert str(caught.value) == (
        'Cannot interpret feed_dict key as Tensor: Tensor Tensor("foreign:0", dtype=float32) is not an element of this '
        "graph."
    )


def test_feeding_what_may_not_be_fed(graph: tf.Graph) -> None:
    a = tf.constant(1.0)
    graph.prevent_feeding(a)
    assert not graph.is_feedable(a)
    with tf.Session() as sess, pytest.raises(ValueError, match="may not be fed") as caught:
        sess.run(a + 1.0, {a: 2.0})
    assert str(caught.value) == 'Tensor Tensor("Const:0", shape=(), dtype=float32) may not be fed.'


def test_feeds_that_are_no_dictionary() -> None:
    x = placeholder()
    with tf.Session() as sess, pytest.raises(TypeError, match="feed_dict must be a dictionary"):
        sess.run(x + 1.0, [(x, 1.0)])


def test_a_wrong_feed_is_told_before_a_wrong_fetch() -> None:
    x = placeholder(shape=[2])
    with tf.Session() as sess, pytest.raises(ValueError, match="Cannot feed value of shape"):
        sess.run("nope:0", {x: [1.0]})


def test_a_wrong_feed_after_right_ones() -> None:
    x = placeholder(shape=[None, 2], name="x")
    y = x * 2.0
    with tf.Session() as sess:
        sess.run(y, {x: [[1.0, 2.0]]})
        with pytest.raises(ValueError, match=re.escape("Cannot feed value of shape (1, 3) for Tensor 'x:0'")):
            sess.run(y, {x: [[1.0, 2.0, 3.0]]})
        with pytest.raises(ValueError, match="could not convert"):
            sess.run(y, {x: [["a", "b"]]})


# --- wrong fetches: before the run --------------------------------------------------------------------------

WRONG_FETCHES = [
    (None, TypeError, "Fetch argument None has invalid type <class 'NoneType'>"),
    (
        3, TypeError,
        "Fetch argument 3 has invalid type <class 'int'>, must be a string or Tensor. (Can not convert a int into a Tensor "
        "or Operation.)",
    ),
    (
        "foo:0", ValueError,
        "Fetch argument 'foo:0' cannot be interpreted as a Tensor. (\"The name 'foo:0' refers to a Tensor which does not "
        "exist. The operation, 'foo', does not exist in the graph.\")",
    ),
    (
        "c:1", ValueError,
        "Fetch argument 'c:1' cannot be interpreted as a Tensor. (\"The name 'c:1' refers to a Tensor which does not exist. "
        "The operation, 'c', exists but only has 1 outputs.\")",
    ),
    ("foo", ValueError, "(\"The name 'foo' refers to an Operation not in the graph.\")"),
    (np.zeros(2), TypeError, "has invalid type <class 'numpy.ndarray'>, must be a string or Tensor."),
]  # fmt: skip


@pytest.mark.parametrize("nest", [lambda f: f, lambda f: ["c:0", f], lambda f: {"k": ("c:0", [f])}])
@pytest.mark.parametrize(("fetch", "error", "text"), WRONG_FETCHES)
def test_wrong_fetches(fetch: Any, error: type[Exception], text: str, nest: Callable[[Any], Any]) -> None:
    tf.constant(1.0, name="c")
    with tf.Session() as sess, pytest.raises(error) as caught:
        sess.run(nest(fetch))
    assert text in str(caught.value)


def test_fetching_from_another_graph() -> None:
    tf.constant(1.0)
    with tf.Graph().as_default():
        foreign = tf.constant(1.0)
    with tf.Session() as sess:
        with pytest.raises(ValueError, match="cannot be interpreted") as caught:
            sess.run(foreign)
        assert str(caught.value) == (
            "Fetch argument <tf.Tensor 'Const:0' shape=() dtype=float32> cannot be interpreted as a Tensor. (Tensor "
            'Tensor("Const:0", shape=(), dtype=float32) is not an element of this graph.)'
        )
        with pytest.raises(ValueError, match="is not an element of this graph"):
            sess.run(foreign.op)


# --- wrong sessions -----------------------------------------------------------------------------------------


def test_closed_session() -> None:
    a = tf.constant(1.0)
    sess = tf.Session()
    sess.run(a)
    sess.close()
    sess.close()
    with pytest.raises(RuntimeError) as caught:
        sess.run(a)
    assert str(caught.value) == "Attempted to use a closed Session."


def test_empty_graph() -> None:
    with tf.Session() as sess, pytest.raises(RuntimeError) as caught:
        sess.run("a:0")
    assert str(caught.value) == "The Session graph is empty.  Add operations to the graph before calling run()."


def test_entering_twice() -> None:
    with tf.Session() as sess:
        with pytest.raises(RuntimeError) as caught, sess:
            pass
        assert str(caught.value) == (
            "Session context managers are not re-entrant. Use `Session.as_default()` if you want to enter a session "
            "multiple times."
        )
        with sess.as_default(), sess.as_default():
            assert tf.constant(1.0).eval() == 1.0


def test_no_session() -> None:
    a = tf.constant(1.0)
    with pytest.raises(ValueError, match="No default session") as caught:
        a.eval()
    assert str(caught.value) == (
        "Cannot evaluate tensor using `eval()`: No default session is registered. Use `with sess.as_default()` or pass an "
        "explicit session to `eval(session=sess)`"
    )
    with pytest.raises(ValueError, match=r"Cannot execute operation using `run\(\)`: No default session is registered\."):
        a.op.run()
    assert a.eval(session=tf.Session()) == 1.0


def test_a_session_of_another_graph() -> None:
    a = tf.constant(1.0)
    with tf.Graph().as_default(), tf.Session():
        with pytest.raises(ValueError, match="the tensor's graph is different from the session's graph"):
            a.eval()
        with pytest.raises(ValueError, match="graph is different from the session's graph"):
            a.eval(session=tf.get_default_session())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"target": 3}, "target must be a string, but got 3"),
        ({"graph": "g"}, "graph must be a tf.Graph, but got g"),
        ({"config": {"a": 1}}, "config must be a tf.ConfigProto, but got {'a': 1}"),
    ],
)
def test_wrong_arguments_of_a_session(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError) as caught:
        tf.Session(**arguments)
    assert str(caught.value) == text


# --- the error classes --------------------------------------------------------------------------------------

CODES = {
    "Cancelled": 1, "Unknown": 2, "InvalidArgument": 3, "DeadlineExceeded": 4, "NotFound": 5, "AlreadyExists": 6,
    "PermissionDenied": 7, "ResourceExhausted": 8, "FailedPrecondition": 9, "Aborted": 10, "OutOfRange": 11,
    "Unimplemented": 12, "Internal": 13, "Unavailable": 14, "DataLoss": 15, "Unauthenticated": 16,
}  # fmt: skip


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_error_classes(name: str, code: int) -> None:
    kind = getattr(tf.errors, f"{name}Error")
    error = kind(None, None, "text")
    assert isinstance(error, tf.errors.OpError)
    assert (error.error_code, error.message, error.op, error.node_def) == (code, "text", None, None)
    assert str(error) == "text"
