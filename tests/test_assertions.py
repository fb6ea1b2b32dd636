"""`tf.assert_equal` and its kin: errors at once where the values are known, in the run where they are not."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

import tfgraph as tf

pytestmark = pytest.mark.usefixtures("graph")

PAIRS = {
    "assert_equal": operator.eq,
    "assert_none_equal": operator.ne,
    "assert_less": operator.lt,
    "assert_less_equal": operator.le,
    "assert_greater": operator.gt,
    "assert_greater_equal": operator.ge,
}
SIGNS = {
    "assert_positive": operator.gt,
    "assert_negative": operator.lt,
    "assert_non_negative": operator.ge,
    "assert_non_positive": operator.le,
}


def holds(assertion: Any, feeds: Any = None) -> bool:
    with tf.Session() as sess:
        try:
            sess.run(assertion, feeds)
        except tf.errors.InvalidArgumentError:
            return False
    return True


@pytest.mark.parametrize("name", PAIRS)
def test_of_two(name: str) -> None:
    function = getattr(tf, name)
    x, y = tf.placeholder(tf.int32, [None]), tf.placeholder(tf.int32, [None])
    later = function(x, y, message="said")
    for one, other in (([1, 2], [1, 2]), ([1, 2], [3, 4]), ([3, 4], [1, 2]), ([1, 4], [2, 3])):
        expected = all(map(PAIRS[name], one, other))
        assert holds(later, {x: one, y: other}) == expected
        if expected:
            assert holds(function(one, other))
        else:
            with pytest.raises(tf.errors.InvalidArgumentError, match="did not hold element-wise"):
                function(one, other)


@pytest.mark.parametrize("name", SIGNS)
def test_of_one(name: str) -> None:
    x = tf.placeholder(tf.float32, [None])
    later = getattr(tf.debugging, name)(x)
    for values in ([1.0, 2.0], [0.0], [-1.0, -2.0], [1.0, -1.0]):
        assert holds(later, {x: values}) == all(SIGNS[name](value, 0) for value in values)


def test_near() -> None:
    assert holds(tf.assert_near([1.0], [1.0 + 1e-6]))
    assert holds(tf.assert_near([1.0, 2.0], [1.1, 2.1], atol=0.2))
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.assert_near([1.0], [1.1])


def test_ranks() -> None:
    known, unknown = tf.placeholder(tf.float32, [None, 2]), tf.placeholder(tf.float32)
    for function, wanted in ((tf.assert_rank, 2), (tf.assert_rank_at_least, 1), (tf.assert_rank_in, (1, 2))):
        assert holds(function(known, wanted))
        assert holds(function(unknown, wanted), {unknown: np.zeros((1, 1))})
        assert not holds(function(unknown, wanted), {unknown: np.float32(0)})
    with pytest.raises(ValueError, match=r"must have rank 3.  Received rank 2"):
        tf.assert_rank(known, 3)
    with pytest.raises(ValueError, match="at least 3"):
        tf.assert_rank_at_least(known, 3)
    with pytest.raises(ValueError, match="in 0, 1"):
        tf.assert_rank_in(known, (0, 1))
    with pytest.raises(ValueError, match="Expected scalar shape"):
        tf.assert_scalar(known)


def test_types() -> None:
    x = tf.placeholder(tf.float32, [2])
    assert holds(tf.assert_type(x, tf.float32))
    assert holds(tf.assert_integer(tf.constant(1)))
    with pytest.raises(TypeError, match="must be of type"):
        tf.assert_type(x, tf.int32)
    with pytest.raises(TypeError, match="to be integer type"):
        tf.assert_integer(x)
    assert tf.assert_same_float_dtype([x, None]) == tf.float32
    with pytest.raises(ValueError, match="Expected floating point type"):
        tf.assert_same_float_dtype([tf.constant(1)])
    with pytest.raises(TypeError, match="proper"):
        tf.assert_proper_iterable("text")
    assert tf.is_numeric_tensor(x)
    assert not tf.is_numeric_tensor(3)


def test_order_and_finiteness() -> None:
    x = tf.placeholder(tf.float32, [None])
    found = [tf.is_non_decreasing(x), tf.is_strictly_increasing(x)]
    with tf.Session() as sess:
        assert [sess.run(found, {x: v}) for v in ([1, 2, 3], [1, 1], [2, 1], [])] == [
            [True, True], [True, False], [False, False], [True, True]
        ]  # fmt: skip
        checked = tf.verify_tensor_all_finite(x, "not finite")
        assert sess.run(checked, {x: [1.0]}) == [1.0]
        with pytest.raises(tf.errors.InvalidArgumentError, match="not finite"):
            sess.run(checked, {x: [np.inf]})


def test_nothing_has_happened_when_an_assertion_about_feeds_fails() -> None:
    x, total = tf.placeholder(tf.float32, [None]), tf.Variable(1.0)
    with tf.control_dependencies([tf.assert_positive(x)]):
        step = tf.assign_add(total, tf.reduce_sum(tf.exp(x)))
    with tf.Session() as sess:
        sess.run(total.initializer)
        with pytest.raises(tf.errors.InvalidArgumentError, match="Condition x > 0"):
            sess.run(step, {x: [1.0, -1.0]})
        assert sess.run(total) == 1
        assert sess.run(step, {x: [1.0]}) == pytest.approx(1 + np.e)
