"""What a run accepts and returns: fetch structures, feeds, variables."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest

import tfgraph as tf

Point = namedtuple("Point", ["x", "y"])


pytestmark = pytest.mark.usefixtures("graph")


# --- what a run returns -------------------------------------------------------------------------------------


def test_kinds_of_results(backend: str) -> None:
    scalar = tf.constant(1.5) * 2.0
    vector = tf.constant([1, 2]) + 1
    flag = tf.equal(tf.constant(1), 1)
    with tf.Session() as sess:
        assert type(sess.run(scalar)) is np.float32
        assert sess.run(scalar) == 3.0
        assert type(sess.run(flag)) is np.bool_
        array = sess.run(vector)
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.int32
        assert array.tolist() == [2, 3]
        assert sess.run(vector.op) is None


def test_strings(backend: str) -> None:
    one, several = tf.constant("hi"), tf.constant([["a", "b"]])
    x = tf.placeholder(tf.string, [None])
    with tf.Session() as sess:
        assert sess.run(one) == b"hi"
        assert type(sess.run(one)) is bytes
        array = sess.run(several)
        assert array.dtype == object
        assert array.tolist() == [[b"a", b"b"]]
        assert sess.run(tf.identity(x), {x: ["é", b"\xff"]}).tolist() == ["é".encode(), b"\xff"]


def test_structures(backend: str) -> None:
    a, b = tf.constant(1.0) + 0.0, tf.constant(2.0) + 0.0
    with tf.Session() as sess:
        assert sess.run([a, b]) == [1.0, 2.0]
        assert sess.run((a, b)) == (1.0, 2.0)
        assert sess.run([]) == []
        assert sess.run({"a": a, "b": [b, (a,)]}) == {"a": 1.0, "b": [2.0, (1.0,)]}
        assert sess.run([a, a, [a]]) == [1.0, 1.0, [1.0]]
        point = sess.run(Point(x=a, y=[b]))
        assert type(point) is Point
        assert point == Point(1.0, [2.0])
        ordered = sess.run(OrderedDict([("z", a), ("y", b)]))
        assert type(ordered) is OrderedDict
        assert list(ordered.items()) == [("z", 1.0), ("y", 2.0)]
        defaults = defaultdict(list, {"k": a})
        assert sess.run(defaults) == {"k": 1.0}
        assert sess.run(["add:0", "add", a.op]) == [1.0, None, None]


def test_structures_that_only_differ_in_type_or_keys() -> None:
    a, b = tf.constant(1.0), tf.constant(2.0)
    with tf.Session() as sess:
        assert type(sess.run((a, b))) is tuple
        assert type(sess.run([a, b])) is list
        assert type(sess.run(Point(a, b))) is Point
        assert sess.run({"p": a, "q": b}) == {"p": 1.0, "q": 2.0}
        assert sess.run({"q": a, "p": b}) == {"q": 1.0, "p": 2.0}


def test_a_fetched_structure_may_change_afterwards() -> None:
    a, b = tf.constant(1.0), tf.constant(2.0)
    fetches = {"a": a}
    with tf.Session() as sess:
        assert sess.run(fetches) == {"a": 1.0}
        fetches["b"] = b
        assert sess.run(fetches) == {"a": 1.0, "b": 2.0}
        del fetches["b"]
        assert sess.run(fetches) == {"a": 1.0}


def test_results_are_the_callers_own(backend: str) -> None:
    v = tf.Variable([1.0, 2.0])
    c = tf.constant([5.0, 6.0])
    same = tf.identity(c)
    x = tf.placeholder(tf.float32, [2])
    passed = tf.identity(x)
    with tf.Session() as sess:
        sess.run(v.initializer)
        for fetch in (v, c, same):
            before = sess.run(fetch).copy()
            sess.run(fetch)[:] = 99.0
            np.testing.assert_array_equal(sess.run(fetch), before)
        fed = np.array([1, 2], np.float32)
        sess.run(passed, {x: fed})[:] = 99.0
        assert fed.tolist() == [1, 2]


# --- feeds --------------------------------------------------------------------------------------------------


def test_any_tensor_may_be_fed(backend: str) -> None:
    c = tf.constant(1.0, name="c")
    v = tf.Variable(1.0, name="v")
    mid = c + 1.0
    end = mid * 10.0 + v
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(end) == 21.0
        assert sess.run(end, {c: 2.0}) == 31.0
        assert sess.run(end, {mid: 5.0}) == 51.0
        assert sess.run(end, {v: 2.0}) == 22.0
        assert sess.run(end, {"v/read:0": 3.0}) == 23.0
        assert sess.run(end, {"c:0": 0.0, v: 0.0}) == 10.0
        assert sess.run(end) == 21.0


def test_a_fed_variable_needs_no_value(backend: str) -> None:
    v = tf.Variable(1.0)
    doubled = v * 2.0
    with tf.Session() as sess:
        assert sess.run(doubled, {v: 10.0}) == 20.0


def test_fetching_what_is_fed() -> None:
    x = tf.placeholder(tf.float32, name="x")
    with tf.Session() as sess:
        result = sess.run(x, {x: 1})
        assert isinstance(result, np.ndarray)
        assert result.shape == ()
        assert result == 1.0
        both = sess.run([x * 2.0, x, "x:0"], {x: [1.0, 2.0]})
        assert [array.tolist() for array in both] == [[2.0, 4.0], [1.0, 2.0], [1.0, 2.0]]


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2], [3, 4]],
        ((1.0, 2.0), (3.0, 4.0)),
        np.array([[1, 2], [3, 4]], np.int8),
        np.array([[1, 3], [2, 4]], ">f8").T,
        np.arange(1, 9, dtype=np.float32).reshape(2, 4)[:, ::2] * [[1, 2 / 3], [3 / 5, 4 / 7]],
        [np.float64(1), np.float64(2)] * 2,
    ],
)
def test_values_that_may_be_fed(value: object, backend: str) -> None:
    x = tf.placeholder(tf.float32, None)
    with tf.Session() as sess:
        result = sess.run(x + 1.0, {x: value})
    np.testing.assert_array_equal(result, np.asarray(value, np.float32) + np.float32(1))


def test_a_feed_at_an_odd_address(backend: str) -> None:
    x = tf.placeholder(tf.float32, [3])
    odd = np.frombuffer(b"?" + np.array([1, 2, 3], np.float32).tobytes(), np.uint8)[1:].view(np.float32)
    assert not odd.flags.aligned
    with tf.Session() as sess:
        assert sess.run(x * 2.0, {x: odd}).tolist() == [2, 4, 6]


def test_read_only_feeds(backend: str) -> None:
    x = tf.placeholder(tf.float32, [3])
    fed = np.ones(3, np.float32)
    fed.flags.writeable = False
    with tf.Session() as sess:
        assert sess.run(x + x, {x: fed}).tolist() == [2, 2, 2]


def test_feeds_in_any_order_and_more_than_needed(backend: str) -> None:
    x, y = tf.placeholder(tf.float32, [None]), tf.placeholder(tf.float32, [])
    unused = tf.placeholder(tf.int32, [3])
    product = x * y
    with tf.Session() as sess:
        assert sess.run(product, {x: [1, 2], y: 3}).tolist() == [3, 6]
        assert sess.run(product, {y: 4, unused: [1, 2, 3], x: [1, 2, 3]}).tolist() == [4, 8, 12]


def test_a_tuple_of_feeds(backend: str) -> None:
    x, y = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    total = x - y
    with tf.Session() as sess:
        for _ in range(2):
            assert sess.run(total, {(x, y): (5.0, 2.0)}) == 3.0
        with pytest.raises(ValueError, match="Key had 2 elements"):
            sess.run(total, {(x, y): (5.0,)})


def test_shapes_come_with_the_run(backend: str) -> None:
    x = tf.placeholder(tf.float32, [None, 3])
    anything = tf.placeholder(tf.float32)
    total, doubled = tf.reduce_sum(x), anything * 2.0
    with tf.Session() as sess:
        for rows in (1, 2, 17, 0, 5):
            assert sess.run(total, {x: np.ones((rows, 3))}) == 3 * rows
        for shape in ((), (2,), (2, 3), (0, 2)):
            assert sess.run(doubled, {anything: np.ones(shape)}).tolist() == np.full(shape, 2.0).tolist()


def test_placeholder_with_default(backend: str) -> None:
    x = tf.placeholder_with_default(tf.constant([1.0, 2.0]), [None])
    doubled = x * 2.0
    with tf.Session() as sess:
        assert sess.run(doubled).tolist() == [2, 4]
        assert sess.run(doubled, {x: [5.0]}).tolist() == [10]


# --- variables ----------------------------------------------------------------------------------------------


def test_variables_belong_to_a_session(backend: str) -> None:
    v = tf.Variable(1.0)
    grow = v.assign_add(1.0)
    with tf.Session() as one, tf.Session() as two:
        one.run(v.initializer)
        two.run(v.initializer)
        assert [one.run(grow), one.run(grow), two.run(grow)] == [2.0, 3.0, 2.0]
        assert [one.run(v), two.run(v)] == [3.0, 2.0]


def test_what_is_computed_beside_an_update_is_from_before_it_and_the_variable_from_after_it(backend: str) -> None:
    v = tf.Variable([1.0, 2.0])
    doubled = v * 2.0
    update = v.assign([10.0, 20.0])
    with tf.Session() as sess:
        sess.run(v.initializer)
        itself, old, new, same = sess.run([v, doubled, update, tf.identity(v)])
        assert old.tolist() == [2, 4]
        assert itself.tolist() == same.tolist() == [10, 20]
        assert new.tolist() == [10, 20]
        assert sess.run([v, doubled])[1].tolist() == [20, 40]


def test_control_dependencies_decide_what_a_read_sees(backend: str) -> None:
    v = tf.Variable(1.0)
    with tf.control_dependencies([v.assign_add(1.0)]):
        after = v.read_value() + 0.0
    with tf.control_dependencies([after]):
        final = v.assign(after * 10.0)
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run([v + 0.0, after, final]) == [1.0, 2.0, 20.0]
        assert sess.run(v) == 20.0


def test_fetching_a_variable_beside_its_initializer(backend: str) -> None:
    v = tf.Variable(3.0)
    with tf.Session() as sess:
        assert sess.run([v.initializer, v])[1] == 3.0


def test_load_and_eval(backend: str) -> None:
    v = tf.Variable([1.0, 2.0])
    with tf.Session() as sess:
        v.load([3.0, 4.0], sess)
        assert v.eval().tolist() == [3, 4]
        v.load([5.0, 6.0])
        assert sess.run(v).tolist() == [5, 6]


def test_a_variable_may_change_its_shape(backend: str) -> None:
    v = tf.Variable([1.0, 2.0], validate_shape=False)
    assign = tf.assign(v, tf.placeholder_with_default(tf.constant([1.0, 2.0]), None), validate_shape=False)
    total = tf.reduce_sum(v * 2.0)
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(total) == 6.0
        sess.run(assign, {assign.op.inputs[1]: [1.0, 2.0, 3.0]})
        assert sess.run(v).tolist() == [1, 2, 3]
        assert sess.run(total) == 12.0
