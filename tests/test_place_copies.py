"""`place_copies`: copies where strides cannot follow, snapshots of values that are read late."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests import _programs
from tests._programs import N, evaluate, expressions, roots_of, types
from tests._rewrites import check_rewrite, fed
from tfgraph.codegen.compile import STAGES
from tfgraph.codegen.index import access_of
from tfgraph.codegen.passes.place_copies import place_copies

pytestmark = pytest.mark.usefixtures("graph")


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda x: x, "_Copy(x)"),  # a feed
        (lambda x: tf.reshape(tf.exp(x), [-1]), "_Copy(Reshape(Exp(x), [-1]))"),  # a view
        (lambda x: tf.exp(x), "Exp(x)"),
        (lambda x: tf.exp(tf.transpose(x)), "Exp(Transpose(x, [1, 0]))"),  # indexing follows strides
        (lambda x: tf.argmax(tf.transpose(x), 0), "ArgMax(_Copy(Transpose(x, [1, 0])), 0)"),  # other kernels do not
    ],
)
def test_copies(build: Any, expected: str) -> None:
    check_rewrite(place_copies, build, [expected])


def test_copies_what_is_fetched_twice() -> None:
    x = fed()
    y = tf.exp(x)
    after = place_copies(roots_of([y, y], {x: (N, 4)}))
    assert expressions(after) == ["Exp(x)", "_Copy(Exp(x))"]


def test_copies_where_strides_cannot_follow() -> None:
    check_rewrite(
        place_copies,
        lambda x: tf.exp(tf.reshape(tf.transpose(x), [-1])),
        ["Exp(Reshape(_Copy(Transpose(x, [1, 0])), [-1]))"],
    )


def test_every_operand_of_a_kernel_is_contiguous() -> None:
    x = tf.placeholder(tf.float32, [None, 6, 6, 2])
    filters = tf.transpose(tf.constant(np.ones((2, 3, 2, 3), np.float32)), [1, 3, 2, 0])
    y = tf.nn.conv2d(x[:, 1:5, ::2, :], filters[:, :, :, :2], [1, 1, 1, 1], "SAME")
    before = _programs.after(roots_of(y, {x: (N, 6, 6, 2)}), STAGES[:-1])
    (conv,) = (n for n in before.nodes if n.label == "Conv2D")
    assert not all(access_of(v).is_contiguous for v in conv.inputs)
    (conv,) = (n for n in place_copies(before).nodes if n.type == conv.type)
    assert all(access_of(v).is_contiguous for v in conv.inputs)


def late_read() -> tuple[list[Any], dict[str, np.ndarray]]:
    """The value of a variable from before its update, used by a node that comes after the update."""
    v = tf.Variable(np.zeros(3, np.float32), name="v")
    before = tf.reshape(tf.identity(v.op.outputs[0]), [3, 1])
    with tf.control_dependencies([before.op]):
        update = tf.assign_add(v, [1.0, 1.0, 1.0])
    with tf.control_dependencies([update]):
        after = before * 10.0
    return [after], {"v": np.array([1.0, 2.0, 3.0], np.float32)}


def test_keeps_a_value_that_is_read_after_the_next_write() -> None:
    fetches, variables = late_read()
    before = roots_of(fetches, {})
    after = place_copies(before)
    assert "_Snapshot" in types(after)
    wanted = [[[10.0], [20.0], [30.0]]]
    assert [r.tolist() for r in evaluate(before, [], variables=variables)] == wanted
    assert [r.tolist() for r in evaluate(after, [], variables=variables, in_place=True)] == wanted
    # and without the pass the run would see the new value
    assert [r.tolist() for r in evaluate(before, [], variables=variables, in_place=True)] != wanted


def test_keeps_nothing_where_nobody_reads_late() -> None:
    v = tf.Variable(np.zeros(3, np.float32), name="v")
    update = tf.assign_add(v, v * 2.0)
    after = place_copies(roots_of([update.op], {}))
    assert not {"_Snapshot", "_Copy"} & set(types(after))


def test_fetched_variable_is_the_one_after_the_update() -> None:
    v = tf.Variable(np.zeros(2, np.float32), name="v")
    update = tf.assign_add(v, [1.0, 1.0])
    after = place_copies(roots_of([v.op.outputs[0], update.op], {}))
    (value,) = evaluate(after, [], variables={"v": np.array([4.0, 5.0], np.float32)}, in_place=True)
    assert value.tolist() == [5.0, 6.0]
