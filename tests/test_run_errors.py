"""What a user is told when a run fails at an operation: class, text, node and source line, on both backends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tfgraph as tf

InvalidArgument = tf.errors.InvalidArgumentError
FailedPrecondition = tf.errors.FailedPreconditionError


pytestmark = pytest.mark.usefixtures("graph")


def placeholder(dtype: Any = tf.float32, shape: Any = None, name: str | None = None) -> tf.Tensor:
    return tf.placeholder(dtype, shape, name)


# --- runs that lack a value ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "shape", "told"),
    [
        (tf.float32, [None, 4], "with dtype float and shape [?,4]"),
        (tf.float32, None, "with dtype float"),
        (tf.float64, [], "with dtype double and shape []"),
        (tf.int32, [3], "with dtype int32 and shape [3]"),
        (tf.bool, [None], "with dtype bool and shape [?]"),
        (tf.string, [], "with dtype string and shape []"),
    ],
)
def test_unfed_placeholder(dtype: Any, shape: Any, told: str, backend: str) -> None:
    x = placeholder(dtype, shape, "x")
    y = tf.identity(x)
    with tf.Session() as sess, pytest.raises(InvalidArgument) as caught:
        sess.run(y)
    error = caught.value
    assert error.message == f"You must feed a value for placeholder tensor 'x' {told}\n\t [[{{{{node x}}}}]]"
    assert error.op is x.op
    assert error.error_code == 3
    assert isinstance(error, tf.errors.OpError)
    assert str(error).startswith(error.message + "\n\nCaused by op 'x', defined at:\n")
    assert "test_run_errors.py" in str(error)
    assert "return tf.placeholder(dtype, shape, name)" in str(error)  # the user's own line


def test_an_unfed_placeholder_fetched_itself() -> None:
    x = placeholder(name="x")
    with tf.Session() as sess, pytest.raises(InvalidArgument, match="You must feed a value for placeholder tensor 'x'"):
        sess.run(x)


def test_uninitialised_variable(backend: str) -> None:
    v = tf.Variable(1.0)
    with tf.Session() as sess:
        for fetch, reader in (
            (v + 1.0, "Variable/read"),
            (v.assign_add(1.0), "AssignAdd"),
            (v.read_value(), None),
        ):
            with pytest.raises(FailedPrecondition) as caught:
                sess.run(fetch)
            error = caught.value
            name = reader or fetch.op.name
            assert error.message == f"Attempting to use uninitialized value Variable\n\t [[{{{{node {name}}}}}]]"
            assert error.op.name == name
            assert error.error_code == 9


def test_fetching_an_uninitialised_variable(backend: str) -> None:
    v = tf.Variable(1.0)
    with tf.Session() as sess, pytest.raises(FailedPrecondition) as caught:
        sess.run(v)
    assert caught.value.message == ("Attempting to use uninitialized value Variable\n\t [[{{node _retval_Variable_0_0}}]]")


def test_variables_made_after_init_need_their_own(backend: str) -> None:
    tf.Variable(1.0)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        late = tf.Variable(2.0, name="late")
        with pytest.raises(FailedPrecondition, match="uninitialized value late"):
            sess.run(late * 2.0)
        sess.run(late.initializer)
        assert sess.run(late * 2.0) == 4.0


# --- runs that fail at an operation -------------------------------------------------------------------------


@dataclass(frozen=True)
class FailingRun:
    """A graph that builds, and the error of running it with these feeds."""

    name: str
    text: str
    build: Callable[..., Any]  # of one placeholder per fed value
    values: tuple[Any, ...]
    dtypes: tuple[Any, ...] = (tf.float32, tf.float32)
    op_type: str | None = None


def matrix(x: tf.Tensor) -> tf.Tensor:
    """x, known to have rank 2."""
    x.set_shape([None, None])
    return x


FAILING_RUNS = [
    FailingRun("add", "Incompatible shapes: [2] vs. [3]", tf.add, ([1, 2], [1, 2, 3]), op_type="Add"),
    FailingRun(
        "matmul", "Matrix size-incompatible: In[0]: [2,3], In[1]: [2,3]", lambda x, y: tf.matmul(matrix(x), matrix(y)),
        (np.ones((2, 3)), np.ones((2, 3))),
    ),
    FailingRun(
        "reshape", "Input to reshape is a tensor with 3 values, but the requested shape has 4",
        lambda x: tf.reshape(x, [4]), ([1, 2, 3],),
    ),
    FailingRun(
        "reshape -1", "Input to reshape is a tensor with 3 values, but the requested shape requires a multiple of 2",
        lambda x: tf.reshape(x, [2, -1]), ([1, 2, 3],),
    ),
    FailingRun(
        "conv2d depth", "input and filter must have the same depth: 3 vs 2",
        lambda x, w: tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME"), (np.ones((1, 4, 4, 3)), np.ones((3, 3, 2, 1))),
    ),
    FailingRun(
        "bias_add", "Must provide as many biases as the last dimension of the input tensor: [4] vs. [2,3]",
        tf.nn.bias_add, (np.ones((2, 3)), np.ones(4)),
    ),
    FailingRun(
        "cross-entropy", "logits and labels must be same size: logits_size=[2,3] labels_size=[2,4]",
        lambda x, y: tf.nn.softmax_cross_entropy_with_logits(logits=x, labels=y), (np.ones((2, 3)), np.ones((2, 4))),
    ),
    FailingRun(
        "label", "Received a label value of 7 which is outside the valid range of [0, 3).  Label values: 7",
        lambda x, y: tf.nn.sparse_softmax_cross_entropy_with_logits(logits=x, labels=y), (np.ones((1, 3)), [7]),
        (tf.float32, tf.int32),
    ),
    FailingRun(
        "gather", "indices[0] = 7 is not in [0, 3)", tf.gather, ([1, 2, 3], [7]), (tf.float32, tf.int32)
    ),
    FailingRun(
        "concat", "ConcatOp : Dimensions of inputs should match: shape[0] = [2,3] vs. shape[1] = [2,4]",
        lambda x, y: tf.concat([x, y], 0), (np.ones((2, 3)), np.ones((2, 4))),
    ),
    FailingRun(
        "integer division", "Integer division by zero", lambda x, y: x // y, (3, 0), (tf.int32, tf.int32)
    ),
    FailingRun("assert", "assertion failed: [boo]", lambda x: tf.Assert(x > 0.0, ["boo"]), (-1.0,)),
    FailingRun("check_numerics", "msg : Tensor had NaN values", lambda x: tf.check_numerics(x, "msg"), (np.nan,)),
    FailingRun("random range", "Need minval < maxval, got 5 >= 5",
               lambda x: tf.random_uniform([2], x, 5, tf.int32), (5,), (tf.int32,)),
]  # fmt: skip


@pytest.mark.parametrize("row", FAILING_RUNS, ids=lambda row: row.name)
def test_failing_runs(row: FailingRun, backend: str) -> None:
    inputs = [placeholder(dtype) for dtype, _ in zip(row.dtypes, row.values, strict=False)]
    out = row.build(*inputs)
    v = tf.Variable(1.0)
    with tf.Session() as sess:
        sess.run(v.initializer)
        with pytest.raises(InvalidArgument) as caught:
            sess.run([out, v.assign_add(1.0)], dict(zip(inputs, row.values, strict=True)))
        assert sess.run(v) == 1.0 or row.name == "assert"  # a check in Python comes after the compiled step
    error = caught.value
    assert error.message.startswith(row.text)
    assert error.message.endswith(f"\n\t [[{{{{node {error.op.name}}}}}]]")
    assert error.error_code == 3
    assert row.op_type is None or error.op.type == row.op_type
    assert f"Caused by op '{error.op.name}', defined at:" in str(error)
    assert "test_run_errors.py" in str(error)


def test_assigning_another_shape(backend: str) -> None:
    v, x = tf.Variable([1.0, 2.0]), placeholder()
    assign = tf.assign(v, x)
    with tf.Session() as sess:
        sess.run(v.initializer)
        with pytest.raises(InvalidArgument) as caught:
            sess.run(assign, {x: [1.0, 2.0, 3.0]})
        assert caught.value.message == (
            "Assign requires shapes of both tensors to match. lhs shape= [2] rhs shape= [3]\n\t [[{{node Assign}}]]"
        )
        assert sess.run(assign, {x: [3.0, 4.0]}).tolist() == [3, 4]
