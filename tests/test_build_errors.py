"""Mistakes that a graph's construction refuses: class and text, as TensorFlow 1.x words them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tfgraph as tf

pytestmark = pytest.mark.usefixtures("graph")


@dataclass(frozen=True)
class Refused:
    """A call, and the error that it raises at once."""

    name: str
    error: type[Exception]
    text: str
    call: Callable[[], Any]


def zeros(*shape: int) -> tf.Tensor:
    return tf.zeros(list(shape))


def foreign() -> tf.Tensor:
    with tf.Graph().as_default():
        return tf.constant(1.0)


def finalized() -> None:
    tf.get_default_graph().finalize()
    tf.constant(1.0)


def get_variable_twice() -> None:
    with tf.variable_scope("a"):
        tf.get_variable("w", [2])
        tf.get_variable("w", [2])


def get_missing_variable() -> None:
    with tf.variable_scope("a", reuse=True):
        tf.get_variable("w", [2])


def get_variable_of_another_shape() -> None:
    with tf.variable_scope("a"):
        tf.get_variable("w", [2])
    with tf.variable_scope("a", reuse=True):
        tf.get_variable("w", [3])


def minimize(loss: Callable[[], tf.Tensor], variables: bool = True) -> Callable[[], Any]:
    def call() -> None:
        if variables:
            tf.Variable(1.0)
        tf.train.GradientDescentOptimizer(0.1).minimize(loss())

    return call


def conv(padding: str, *shapes: tuple[int, ...]) -> Callable[[], Any]:
    return lambda: tf.nn.conv2d(zeros(*shapes[0]), zeros(*shapes[1]), [1, 1, 1, 1], padding)


def xent(**arguments: tuple[int, ...]) -> Callable[[], Any]:
    return lambda: tf.nn.softmax_cross_entropy_with_logits(**{k: zeros(*v) for k, v in arguments.items()})


SHAPES = [
    Refused(
        "matmul", ValueError,
        "Dimensions must be equal, but are 3 and 4 for 'MatMul' (op: 'MatMul') with input shapes: [2,3], [4,5].",
        lambda: tf.matmul(zeros(2, 3), zeros(4, 5)),
    ),
    Refused(
        "matmul rank", ValueError, "Shape must be rank 2 but is rank 1 for 'MatMul'", lambda: tf.matmul(zeros(3), zeros(3))
    ),
    Refused(
        "add", ValueError, "Dimensions must be equal, but are 3 and 4 for 'add' (op: 'Add') with input shapes: [2,3], [4].",
        lambda: zeros(2, 3) + zeros(4),
    ),
    Refused(
        "convolution larger than its input", ValueError,
        "Negative dimension size caused by subtracting 3 from 2 for 'Conv2D'", conv("VALID", (1, 2, 2, 3), (3, 3, 3, 1)),
    ),
    Refused(
        "convolution depth", ValueError, "Dimensions must be equal, but are 3 and 2 for 'Conv2D'",
        conv("SAME", (1, 4, 4, 3), (3, 3, 2, 1)),
    ),
    Refused(
        "convolution rank", ValueError, "Shape must be rank 4 but is rank 3 for 'Conv2D'",
        conv("SAME", (4, 4, 3), (3, 3, 2, 1)),
    ),
    Refused(
        "pool larger than its input", ValueError, "Negative dimension size caused by subtracting 3 from 2 for 'MaxPool'",
        lambda: tf.nn.max_pool(zeros(1, 2, 2, 3), [1, 3, 3, 1], [1, 1, 1, 1], "VALID"),
    ),
    Refused(
        "bias_add", ValueError, "Dimensions must be equal, but are 3 and 4 for 'BiasAdd'",
        lambda: tf.nn.bias_add(zeros(2, 3), zeros(4)),
    ),
    Refused(
        "reshape", ValueError,
        "Cannot reshape a tensor with 6 elements to shape [4] (4 elements) for 'Reshape' (op: 'Reshape') with input shapes: "
        "[2,3], [1] and with input tensors computed as partial shapes: input[1] = [4].",
        lambda: tf.reshape(zeros(2, 3), [4]),
    ),
    Refused(
        "concat", ValueError,
        "Dimension 1 in both shapes must be equal, but are 3 and 2. Shapes are [2,3] and [2,2]. for 'concat'",
        lambda: tf.concat([zeros(1, 2, 3), zeros(1, 2, 2)], 0),
    ),
    Refused(
        "assign", ValueError, "Dimension 0 in both shapes must be equal, but are 2 and 3. Shapes are [2] and [3].",
        lambda: tf.assign(tf.Variable([1.0, 2.0]), zeros(3)),
    ),
    Refused(
        "cross-entropy", ValueError, "Dimensions must be equal, but are 3 and 4", xent(logits=(2, 3), labels=(2, 4))
    ),
    Refused(
        "sparse cross-entropy rank", ValueError,
        "Rank mismatch: Rank of labels (received 2) should equal rank of logits minus 1 (received 2).",
        lambda: tf.nn.sparse_softmax_cross_entropy_with_logits(logits=zeros(2, 3), labels=tf.zeros([2, 3], tf.int32)),
    ),
]  # fmt: skip

TYPES = [
    Refused(
        "operator", ValueError,
        "Tensor conversion requested dtype float32 for Tensor with dtype int32: "
        "'Tensor(\"Const_1:0\", shape=(), dtype=int32)'",
        lambda: tf.constant(1.0) + tf.constant(1),
    ),
    Refused(
        "function", TypeError, "Input 'y' of 'Add' Op has type int32 that does not match type float32 of argument 'x'.",
        lambda: tf.add(tf.constant(1.0), tf.constant(1)),
    ),
    Refused(
        "fraction to an integer tensor", TypeError, "Expected int32, got 1.5 of type 'float' instead.",
        lambda: tf.constant(1) + 1.5,
    ),
    Refused(
        "disallowed", TypeError,
        "Value passed to parameter 'logits' has DataType int32 not in list of allowed values: float16, float32, float64",
        lambda: tf.nn.softmax(tf.constant([1, 2])),
    ),
    Refused(
        "conversion", ValueError, "Tensor conversion requested dtype int32 for Tensor with dtype float32",
        lambda: tf.convert_to_tensor(tf.constant(1.0), tf.int32),
    ),
    Refused(
        "attribute", ValueError, "Attr 'padding' of 'Conv2D' Op passed string 'FOO' not in: \"SAME\", \"VALID\".",
        conv("FOO", (1, 4, 4, 1), (3, 3, 1, 1)),
    ),
    Refused(
        "truth of a tensor", TypeError,
        "Using a `tf.Tensor` as a Python `bool` is not allowed. Use `if t is not None:` instead of `if t:` to test if "
        "a tensor is defined, and use TensorFlow ops such as tf.cond to execute subgraphs conditioned on the value of a "
        "tensor.",
        lambda: bool(tf.constant(True)),
    ),
    Refused(
        "iterating over a tensor", TypeError,
        "Tensor objects are only iterable when eager execution is enabled. To iterate over this tensor use tf.map_fn.",
        lambda: list(tf.constant([1, 2])),
    ),
    Refused("iterating over a variable", TypeError, "'Variable' object is not iterable.", lambda: list(tf.Variable([1.0]))),
]  # fmt: skip

CALLS = [
    Refused(
        "cross-entropy by position", ValueError,
        "Only call `softmax_cross_entropy_with_logits` with named arguments (labels=..., logits=..., ...)",
        lambda: tf.nn.softmax_cross_entropy_with_logits(zeros(2, 3), zeros(2, 3)),
    ),
    Refused("cross-entropy without labels", ValueError, "Both labels and logits must be provided.", xent(logits=(2, 3))),
    Refused(
        "dropout", ValueError, "keep_prob must be a scalar tensor or a float in the range (0, 1], got 1.5",
        lambda: tf.nn.dropout(zeros(2), 1.5),
    ),
    Refused("no variables", ValueError, "No variables to optimize.", minimize(lambda: tf.constant(1.0), variables=False)),
    Refused(
        "no gradients", ValueError,
        "No gradients provided for any variable, check your graph for ops that do not support gradients, between variables "
        "[\"<tf.Variable 'Variable:0' shape=() dtype=float32_ref>\"] and loss Tensor(\"Const:0\", shape=(), dtype=float32).",
        minimize(lambda: tf.constant(1.0)),
    ),
    Refused(
        "minimizing an integer", ValueError, "Invalid type tf.int32 for mul:0, expected: [",
        minimize(lambda: tf.constant(2) * 3),
    ),
    Refused(
        "get_variable twice", ValueError,
        "Variable a/w already exists, disallowed. Did you mean to set reuse=True or reuse=tf.AUTO_REUSE in VarScope? "
        "Originally defined at:", get_variable_twice,
    ),
    Refused(
        "get_variable that is not there", ValueError,
        "Variable a/w does not exist, or was not created with tf.get_variable(). Did you mean to set reuse=tf.AUTO_REUSE in "
        "VarScope?", get_missing_variable,
    ),
    Refused(
        "get_variable of another shape", ValueError,
        "Trying to share variable a/w, but specified shape (3,) and found shape (2,).", get_variable_of_another_shape,
    ),
    Refused(
        "get_variable without a shape", ValueError,
        "Shape of a new variable (w) must be fully defined, but instead was <unknown>.", lambda: tf.get_variable("w"),
    ),
    Refused("variable without a value", ValueError, "initial_value must be specified.", tf.Variable),
    Refused(
        "variable of unknown shape", ValueError, "initial_value must have a shape specified: Tensor(",
        lambda: tf.Variable(tf.placeholder(tf.float32)),
    ),
    Refused("constant None", ValueError, "None values not supported.", lambda: tf.constant(None)),
    Refused(
        "constant too long", ValueError, "Too many elements provided. Needed at most 2, but received 3",
        lambda: tf.constant([1, 2, 3], shape=[2]),
    ),
    Refused("ragged constant", ValueError, "Argument must be a dense tensor:", lambda: tf.constant([[1, 2], [3]])),
    Refused("unknown dtype", TypeError, "'foo'", lambda: tf.placeholder("foo")),
]  # fmt: skip

GRAPHS = [
    Refused("finalized", RuntimeError, "Graph is finalized and cannot be modified.", finalized),
    Refused(
        "two graphs", ValueError, 'Tensor("Const:0", shape=(), dtype=float32) must be from the same graph as Tensor(',
        lambda: tf.add(tf.constant(1.0), foreign()),
    ),
    Refused("scope name", ValueError, "'a b' is not a valid scope name", lambda: tf.name_scope("a b").__enter__()),
    Refused("node name", ValueError, "'a b' is not a valid ", lambda: tf.constant(1.0, name="a b")),
    Refused(
        "no such tensor", KeyError,
        "The name 'x:0' refers to a Tensor which does not exist. The operation, 'x', does not exist in the graph.",
        lambda: tf.get_default_graph().get_tensor_by_name("x:0"),
    ),
    Refused(
        "an operation's name", ValueError,
        "The name 'x' looks like an (invalid) Operation name, not a Tensor. Tensor names must be of the form "
        '"<op_name>:<output_index>".', lambda: tf.get_default_graph().get_tensor_by_name("x"),
    ),
    Refused(
        "no such operation", KeyError, "The name 'x' refers to an Operation not in the graph.",
        lambda: tf.get_default_graph().get_operation_by_name("x"),
    ),
    Refused(
        "shape as a list", ValueError, "as_list() is not defined on an unknown TensorShape.",
        lambda: tf.TensorShape(None).as_list(),
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", [*SHAPES, *TYPES, *CALLS, *GRAPHS], ids=lambda row: row.name)
def test_refused(row: Refused) -> None:
    with pytest.raises(row.error) as caught:
        row.call()
    assert row.text in str(caught.value)
    assert type(caught.value) is row.error


def test_what_is_refused_leaves_the_graph_usable() -> None:
    x = tf.placeholder(tf.float32, [2, 3])
    before = len(tf.get_default_graph().get_operations())
    for _ in range(2):
        with pytest.raises(ValueError, match="Dimensions must be equal"):
            tf.matmul(x, x)
    assert len(tf.get_default_graph().get_operations()) == before
    product = tf.matmul(x, x, transpose_b=True)
    with tf.Session() as sess:
        np.testing.assert_array_equal(sess.run(product, {x: np.ones((2, 3))}), np.full((2, 2), 3.0))
