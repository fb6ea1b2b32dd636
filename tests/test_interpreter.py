"""Runs as transactions: variables, random counters, branches, effects; and Python beside compiled code."""

from __future__ import annotations

import numpy as np
import pytest

import tfgraph as tf
from tfgraph import philox
from tfgraph.order import execution_order
from tfgraph.runtime.interpreter import interpret
from tfgraph.runtime.memory import ALIGNMENT, State, Transaction, aligned_empty

pytestmark = pytest.mark.usefixtures("graph")


# --- memory -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (2, 0, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.bool_, np.int16])
def test_aligned_memory(shape: tuple[int, ...], dtype: type) -> None:
    array = aligned_empty(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.size == 0 or array.ctypes.data % ALIGNMENT == 0
    assert array.flags.c_contiguous
    array[...] = 1
    assert (array == 1).all()


def test_a_variable_stays_where_it_is() -> None:
    state = State()
    state.assign("v", np.array([1.0, 2.0]))
    held, version = state.variables["v"], state.version
    state.assign("v", np.array([3.0, 4.0]))
    assert state.variables["v"] is held
    assert held.tolist() == [3, 4]
    assert state.version == version
    state.assign("v", np.array([3.0]))  # another shape
    assert state.variables["v"] is not held
    assert state.version != version


def test_a_transaction_shows_its_writes_to_itself_alone() -> None:
    state = State()
    state.assign("v", np.array(1.0))
    transaction = Transaction(state)
    transaction.write("v", np.array(2.0))
    assert transaction.read("v") == 2.0
    assert state.variables["v"] == 1.0
    transaction.commit()
    assert state.variables["v"] == 2.0


# --- runs as transactions -----------------------------------------------------------------------------------


def test_a_failing_run_changes_no_variable(backend: str) -> None:
    x, y = tf.placeholder(tf.float32, [None]), tf.placeholder(tf.float32, [None])
    v = tf.Variable(1.0)
    grow = v.assign_add(1.0)
    with tf.control_dependencies([grow]):
        late = x + y  # fails after the update
    with tf.Session() as sess:
        sess.run(v.initializer)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"Incompatible shapes: \[2\] vs\. \[3\]"):
            sess.run(late, {x: [1, 2], y: [1, 2, 3]})
        assert sess.run(v) == 1.0
        assert sess.run(late, {x: [1, 2], y: [1, 2]}).tolist() == [2, 4]
        assert sess.run(v) == 2.0


def test_a_failing_run_moves_no_random_counter(backend: str) -> None:
    tf.set_random_seed(7)
    x = tf.placeholder(tf.float32, [None])
    noise = tf.random_uniform([3], seed=1)
    total = noise + x
    with tf.Session() as sess:
        first = sess.run(noise)
    with tf.Session() as sess:
        with pytest.raises(tf.errors.InvalidArgumentError, match="Incompatible shapes"):
            sess.run(total, {x: [1.0, 2.0]})
        np.testing.assert_array_equal(sess.run(noise), first)


def test_a_dry_run_changes_nothing() -> None:
    v = tf.Variable(1.0)
    grow = v.assign_add(1.0)
    state = State()
    interpret(execution_order([], [v.initializer], []), [], {}, state)
    order = execution_order([grow], [], [])
    assert interpret(order, [grow], {}, state, commit=False) == [2.0]
    assert state.variables["Variable"] == 1.0
    assert interpret(order, [grow], {}, state) == [2.0]
    assert state.variables["Variable"] == 2.0


def test_variables_may_be_exchanged(backend: str) -> None:
    a, b = tf.Variable([1.0, 1.0], name="a"), tf.Variable([2.0, 2.0], name="b")
    old_a, old_b = tf.identity(a), tf.identity(b)
    with tf.control_dependencies([old_a, old_b]):
        swap = tf.group(a.assign(old_b), b.assign(old_a))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(swap)
        assert [x.tolist() for x in sess.run([a, b])] == [[2, 2], [1, 1]]
        sess.run(swap)
        assert [x.tolist() for x in sess.run([a, b])] == [[1, 1], [2, 2]]


def test_updates_that_follow_each_other(backend: str) -> None:
    v = tf.Variable([1.0, 2.0])
    with tf.control_dependencies([v.assign_add([1.0, 1.0])]):
        doubled = v.assign(v.read_value() * 2.0)
    with tf.control_dependencies([doubled]):
        final = v.assign_sub([0.5, 0.5])
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(final).tolist() == [3.5, 5.5]
        assert sess.run(v).tolist() == [3.5, 5.5]


def test_scattered_updates(backend: str) -> None:
    v = tf.Variable(np.zeros((4, 2), np.float32))
    indices = tf.placeholder(tf.int32, [None])
    add = tf.scatter_add(v, indices, [[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])
    put = tf.scatter_update(v, [3], [[7.0, 8.0]])
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(add, {indices: [0, 2, 0]}).tolist() == [[101, 202], [0, 0], [10, 20], [0, 0]]
        sess.run(put.op)
        assert sess.run(v)[3].tolist() == [7, 8]
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices\[1\] = 4 is not in \[0, 4\)"):
            sess.run(add, {indices: [0, 4, 0]})
        assert sess.run(v).tolist() == [[101, 202], [0, 0], [10, 20], [7, 8]]


def test_updates_of_a_fed_variable_are_refused(backend: str) -> None:
    v = tf.Variable(1.0)
    grow = v.assign_add(1.0)
    with tf.Session() as sess:
        sess.run(v.initializer)
        with pytest.raises(tf.errors.InvalidArgumentError, match="was passed float from Variable:0 incompatible"):
            sess.run(grow, {v: 5.0})


def test_initialisation_is_told(backend: str) -> None:
    v, w = tf.Variable(1.0), tf.Variable(1.0)
    told = [tf.is_variable_initialized(v), tf.is_variable_initialized(w)]
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(told) == [True, False]
        sess.run(w.initializer)
        assert sess.run(told) == [True, True]


# --- random numbers -----------------------------------------------------------------------------------------


def test_random_numbers_are_philoxs(backend: str) -> None:
    tf.set_random_seed(5)
    uniform = tf.random_uniform([2, 3], seed=3)
    integers = tf.random_uniform([7], -5, 100, tf.int32, seed=4)
    seeds = philox.seeds_of(5, 3)
    with tf.Session() as sess:
        for run in range(3):
            expected = philox.sample("RandomUniform", seeds, 256 * 6 * run, 6, np.float32).reshape(2, 3)
            np.testing.assert_array_equal(sess.run(uniform), expected)
        expected = philox.sample("RandomUniformInt", philox.seeds_of(5, 4), 0, 7, np.int32, -5, 100)
        np.testing.assert_array_equal(sess.run(integers), expected)


def test_both_backends_go_on_from_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters belong to the session, whatever ran before."""
    tf.set_random_seed(5)
    noise = tf.random_uniform([4], seed=1) + 0.0
    doubled = noise * 2.0
    with tf.Session() as sess:
        reference = [sess.run(noise) for _ in range(2)]
    with tf.Session() as sess:
        monkeypatch.setenv("TFGRAPH_BACKEND", "interpreter")
        np.testing.assert_array_equal(sess.run(noise), reference[0])
        monkeypatch.setenv("TFGRAPH_BACKEND", "compiled")
        np.testing.assert_array_equal(sess.run(doubled), 2 * reference[1])


def test_every_session_starts_anew(backend: str) -> None:
    tf.set_random_seed(1)
    noise = tf.random_normal([5])
    unrelated = tf.random_normal([5])
    runs = []
    for _ in range(2):
        with tf.Session() as sess:
            runs.append([sess.run(noise), sess.run(noise), sess.run(unrelated)])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0][0], runs[0][1])
    assert not np.array_equal(runs[0][0], runs[0][2])


def test_without_seeds_sessions_differ(backend: str) -> None:
    noise = tf.random_uniform([8])
    with tf.Session() as one, tf.Session() as two:
        first, second = one.run(noise), one.run(noise)
        assert not np.array_equal(first, second)
        assert not np.array_equal(first, two.run(noise))


# --- branches -----------------------------------------------------------------------------------------------


def test_only_the_taken_branch_runs(backend: str) -> None:
    p = tf.placeholder(tf.bool, [])
    v, w = tf.Variable(0.0), tf.Variable(0.0)
    out = tf.cond(p, lambda: v.assign_add(1.0), lambda: w.assign_add(10.0))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        assert sess.run(out, {p: True}) == 1.0
        assert sess.run([v, w]) == [1.0, 0.0]
        assert sess.run(out, {p: False}) == 10.0
        assert sess.run([v, w]) == [1.0, 10.0]


def test_a_branch_that_would_fail_does_no_harm_if_it_is_not_taken(backend: str) -> None:
    x = tf.placeholder(tf.int32, [])
    safe = tf.cond(tf.equal(x, 0), lambda: tf.constant(-1), lambda: 100 // x)
    with tf.Session() as sess:
        assert [sess.run(safe, {x: value}) for value in (0, 7, 3)] == [-1, 14, 33]


def test_nested_branches(backend: str) -> None:
    p, q = tf.placeholder(tf.bool, []), tf.placeholder(tf.bool, [])
    x = tf.constant([1.0, 2.0])
    out = tf.cond(p, lambda: tf.cond(q, lambda: x + 1.0, lambda: x + 2.0), lambda: x * 10.0)
    with tf.Session() as sess:
        found = {(a, b): sess.run(out, {p: a, q: b})[0] for a in (True, False) for b in (True, False)}
    assert found == {(True, True): 2.0, (True, False): 3.0, (False, True): 10.0, (False, False): 10.0}


def test_a_branch_decided_by_a_variable(backend: str) -> None:
    v = tf.Variable(3.0)
    out = tf.cond(v > 2.0, lambda: v * 10.0, lambda: v - 1.0)
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(out) == 30.0
        v.load(1.0, sess)
        assert sess.run(out) == 0.0


def test_a_value_of_the_branch_not_taken_cannot_be_fetched(backend: str) -> None:
    p = tf.placeholder(tf.bool, [])
    inside: list[tf.Tensor] = []

    def branch() -> tf.Tensor:
        inside.append(tf.constant(1.0) + 1.0)
        return inside[0]

    tf.cond(p, branch, lambda: tf.constant(0.0))
    with tf.Session() as sess:
        assert sess.run(inside[0], {p: True}) == 2.0
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"Retval\[0\] does not have value"):
            sess.run(inside[0], {p: False})


# --- what runs in Python ------------------------------------------------------------------------------------


def test_print(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    x = tf.placeholder(tf.float32, [3])
    shown = tf.Print(x * 2.0, [x, tf.shape(x)], message="x: ", first_n=2)
    out = shown + 1.0
    with tf.Session() as sess:
        for _ in range(3):
            assert sess.run(out, {x: [1, 2, 3]}).tolist() == [3, 5, 7]
    assert capsys.readouterr().err == "x: [1 2 3][3]\n" * 2
    with tf.Session() as sess:  # every session counts for itself
        sess.run(out, {x: [1, 2, 3]})
    assert capsys.readouterr().err == "x: [1 2 3][3]\n"


def test_assert_holds_back_what_depends_on_it(backend: str) -> None:
    x = tf.placeholder(tf.float32, [])
    v = tf.Variable(1.0)
    with tf.control_dependencies([tf.Assert(x > 0.0, ["x must be positive, is", x], name="positive")]):
        grow = v.assign_add(x)
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(grow, {x: 2.0}) == 3.0
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            sess.run(grow, {x: -1.0})
        assert "assertion failed: [x must be positive, is] [-1]" in caught.value.message
        assert caught.value.op.type == "Assert"
        assert sess.run(v) == 3.0


def test_python_beside_compiled_code(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A training step with something printed: the step stays compiled, what is printed is from before it."""
    x = tf.placeholder(tf.float32, [None])
    v = tf.Variable(2.0)
    loss = tf.reduce_sum(x) * v
    train = v.assign_sub(0.5)
    told = tf.Print(loss, [loss, v], "loss ")
    with tf.Session() as sess:
        sess.run(v.initializer)
        compiled = len(sess._machine.sources)
        results = sess.run([told, loss, train, x, "Variable/read:0"], {x: [1.0, 2.0]})
        assert [np.asarray(r).tolist() for r in results] == [6.0, 6.0, 1.5, [1, 2], 1.5]
        assert capsys.readouterr().err == "loss [6][2]\n"
        if backend == "compiled":
            assert len(sess._machine.sources) == compiled + 1
        assert sess.run(v) == 1.5
