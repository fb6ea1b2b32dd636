"""The order of a run: complete, minimal, edges respected, writes late, without more work than the graph has operations."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tfgraph as tf
from tfgraph.order import execution_order

pytestmark = pytest.mark.usefixtures("graph")


def names(order: list[tf.Operation]) -> list[str]:
    return [op.name for op in order]


def test_only_what_is_needed() -> None:
    a, b = tf.constant(1.0, name="a"), tf.constant(2.0, name="b")
    total = tf.add(a, b, name="total")
    tf.multiply(a, b, name="unused")
    assert names(execution_order([total], [], [])) == ["a", "b", "total"]
    assert names(execution_order([], [total.op], [])) == ["a", "b", "total"]
    assert execution_order([], [], []) == []


def test_feeds_cut() -> None:
    a = tf.constant(1.0, name="a")
    b = tf.negative(a, name="b")
    c = tf.negative(b, name="c")
    assert names(execution_order([c], [], [b])) == ["c"]
    assert names(execution_order([c, b], [], [b])) == ["c"]
    assert names(execution_order([c], [b.op], [b])) == ["a", "b", "c"]  # asked for by itself


def test_a_fed_output_leaves_the_others() -> None:
    x = tf.constant([1.0, 2.0], name="x")
    first, second = tf.unstack(x, name="parts")
    total = tf.add(first, second, name="total")
    assert names(execution_order([total], [], [first])) == ["x", "parts", "total"]
    assert names(execution_order([total], [], [first, second])) == ["total"]


def test_control_inputs_count() -> None:
    a = tf.constant(1.0, name="a")
    with tf.control_dependencies([a]):
        b = tf.constant(2.0, name="b")
    assert names(execution_order([b], [], [])) == ["a", "b"]


def test_writes_come_last() -> None:
    v = tf.Variable(1.0, name="v")
    early = v.assign_add(1.0, name="early")  # made first, by number
    w = tf.Variable(1.0, name="w")
    later = w.assign_add(1.0, name="later")
    read = tf.multiply(v, w, name="read")
    order = names(execution_order([read], [early.op, later.op], []))
    assert order.index("read") < order.index("early") < order.index("later")


def test_what_waits_for_one_write_goes_before_the_next() -> None:
    v, w = tf.Variable(1.0, name="v"), tf.Variable(1.0, name="w")
    first = v.assign_add(1.0, name="first")
    second = w.assign_add(1.0, name="second")
    with tf.control_dependencies([first]):
        after = tf.identity(w.op.outputs[0], name="after")
    order = names(execution_order([after], [second.op], []))
    assert order.index("first") < order.index("after") < order.index("second")


def test_a_cycle_is_told() -> None:
    a = tf.constant(1.0, name="a")
    b = tf.negative(a, name="b")
    a.op._add_control_input(b.op)
    with pytest.raises(tf.errors.InvalidArgumentError, match="contains a cycle with 2 nodes: "):
        execution_order([b], [], [])


@settings(deadline=None)
@given(st.data())
def test_random_graphs(data: st.DataObject) -> None:
    """Against the definition, on random graphs with control inputs, writes and feeds."""
    with tf.Graph().as_default() as graph:
        tensors = [tf.constant(float(i)) for i in range(3)]
        variables = [tf.Variable(float(i)) for i in range(2)]
        for _ in range(data.draw(st.integers(1, 25))):
            pick = st.sampled_from(tensors)
            waits = data.draw(st.lists(st.sampled_from(graph.get_operations()), max_size=2))
            with tf.control_dependencies(waits):
                if data.draw(st.integers(0, 3)) == 0:
                    target = data.draw(st.sampled_from(variables))
                    tensors.append(tf.identity(target.assign(data.draw(pick))))
                else:
                    tensors.append(data.draw(pick) + data.draw(pick))
        fetches = data.draw(st.lists(st.sampled_from(tensors), max_size=3))
        fed = set(data.draw(st.lists(st.sampled_from(tensors), max_size=2)))
        order = execution_order(fetches, [], fed)

    def sources(op: tf.Operation) -> set[tf.Operation]:
        return {t.op for t in op.inputs if t not in fed} | set(op.control_inputs)

    needed: set[tf.Operation] = set()
    waiting = [t.op for t in fetches if t not in fed]
    while waiting:
        op = waiting.pop()
        if op not in needed:
            needed.add(op)
            waiting += sources(op)
    assert set(order) == needed
    assert len(order) == len(needed)
    done: set[tf.Operation] = set()
    for op in order:
        assert sources(op) <= done
        ready = {o for o in needed - done if sources(o) <= done}
        if op.opdef.effect == "write":
            assert all(o.opdef.effect == "write" for o in ready)
        else:
            assert op.id == min(o.id for o in ready if o.opdef.effect != "write")
        done.add(op)


def test_the_work_grows_as_the_graph_does() -> None:
    """Calls are counted, not time: twice the operations take twice the calls, and a few more for a deeper heap."""
    assert calls_for(2000) < 2.3 * calls_for(1000)


def calls_for(pairs: int) -> int:
    """The number of calls, of C's functions too, that order a graph of so many pairs of operations."""
    x = y = tf.constant(1.0)
    for _ in range(pairs):
        x, y = y, tf.add(x, y)
        x = tf.negative(x)
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        order = execution_order([x, y], [], [])
    finally:
        sys.setprofile(before)
    assert len(order) >= 2 * pairs
    return calls
