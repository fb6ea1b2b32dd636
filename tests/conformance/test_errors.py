"""Misuse: the same exception at the same moment as TensorFlow, with the words of TensorFlow 1.x."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.conformance._both import TF, run_on, tfgraph

pytestmark = pytest.mark.conformance


@dataclass(frozen=True)
class Misuse:
    """A script whose graph cannot be built, and a phrase of the error's text."""

    name: str
    script: Callable[[Any], Any]
    phrase: str


# Where TensorFlow 2 raises another class than 1.x did, or words it so differently that the phrase is not in its text:
# name -> (class in TensorFlow 2 or None if the same, phrase of TensorFlow 2 or None if there is no error at all)
CHANGED_IN_2X: dict[str, tuple[str | None, str | None]] = {
    "add dtypes, operator": ("TypeError", "Input 'y' of 'AddV2' Op has type int32 that does not match type float32"),
    "add dtypes, function": (None, "Input 'y' of 'AddV2' Op has type int32 that does not match type float32"),
    "fraction to an integer": ("TypeError", "Input 'y' of 'AddV2' Op has type float32 that does not match type int32"),
    "disallowed dtype": (None, "has DataType int32 not in list of allowed values: float16, bfloat16, float32, float64"),
    "feed of a wrong shape": (None, "Cannot feed value of shape (2, 3) for Tensor x:0, which has shape (?, 4)"),
    "feed of a wrong rank": (None, "Cannot feed value of shape () for Tensor x:0, which has shape (?, 4)"),
    "feed of a tensor": (None, "which was passed to the argument `feed_dict` with key"),
    "fetch None": (None, 'Argument `fetch` = None has invalid type "NoneType"'),
    "fetch a number": (None, 'Argument `fetch` = 3 has invalid type "int" must be a string or Tensor.'),
    "fetch an unknown name": (None, "Argument `fetch` = foo:0 cannot be interpreted as a Tensor."),
    "fetch an output that is not there": (None, "Argument `fetch` = c:1 cannot be interpreted as a Tensor."),
    "fetch from another graph": (None, "is not an element of this graph"),
    "empty graph": (None, "The Session graph is empty. Add operations to the graph before calling run()."),
    "enter a session twice": (None, "Session context managers are not re-entrant."),
    "matmul shapes": (None, "Dimensions must be equal, but are 3 and 4 for '{{node MatMul}}"),
    "matmul rank": (None, "Shape must be rank 2 but is rank 1 for '{{node MatMul}}"),
    "convolution depth": (None, "Depth of input (3) is not a multiple of input depth of filter (2)"),
    "padding": (None, "Attr 'padding' of 'Conv2D' Op passed string 'FOO' not in"),
    "constant too long": ("ValueError", "Too many elements provided. Takes at most 2, but got 3"),
    "ragged constant": ("ValueError", "setting an array element with a sequence"),
    "cross-entropy by position": (None, None),
    "cross-entropy without labels": (None, "Both `labels` and `logits` must be provided"),
    "sparse cross-entropy rank": (None, "`labels.shape.rank` must equal `logits.shape.rank - 1`"),
    "keep_prob above 1": (None, "`rate` must be a scalar tensor or a float in the range [0, 1)"),
    "dropout of integers": (None, "`x.dtype` must be a floating point tensor"),
    "truth of a tensor": ("OperatorNotAllowedInGraphError", "Using a symbolic `tf.Tensor` as a Python `bool` is not allowed"),
    "iterating over a tensor": ("OperatorNotAllowedInGraphError", "Iterating over a symbolic `tf.Tensor` is not allowed"),
    "iterating over a variable": ("OperatorNotAllowedInGraphError", "Iterating over a symbolic `tf.Tensor` is not allowed"),
    "get_variable without a shape": (None, "Variable w did not get an initializer, so its `shape` argument must be specified"),
    "get_variable twice": (None, "Variable a/w already exists, disallowed."),
    "scope name": (None, "is not a valid root scope name"),
    "node name": (None, "is not a valid node name"),
    "convolution depth in a run": (None, "input depth must be evenly divisible by filter depth: 3 vs 2"),
    "cross-entropy in a run": (None, "logits and labels must be broadcastable: logits_size=[2,3] labels_size=[2,4]"),
    "concat in a run": (None, "ConcatOp : Dimension 1 in both shapes must be equal: shape[0] = [2,3] vs. shape[1] = [2,4]"),
}


def conv(tf: Any, image: list[int], window: list[int], padding: str = "SAME") -> Any:
    return tf.nn.conv2d(tf.zeros(image), tf.zeros(window), [1, 1, 1, 1], padding)


def foreign(tf: Any) -> Any:
    with tf.Graph().as_default():
        return tf.constant(1.0)


def get_variable(tf: Any, *shapes: list[int], reuse: bool) -> None:
    for i, shape in enumerate(shapes):
        with tf.variable_scope("a", reuse=reuse and i == len(shapes) - 1):
            tf.get_variable("w", shape)


def minimize(tf: Any, loss: Callable[[], Any]) -> None:
    tf.train.GradientDescentOptimizer(0.1).minimize(loss())


def minimize_without_gradient(tf: Any) -> None:
    tf.Variable(1.0)
    minimize(tf, lambda: tf.constant(1.0))


def minimize_integer(tf: Any) -> None:
    v = tf.Variable(2)
    minimize(tf, lambda: v * 3)


def finalized(tf: Any) -> None:
    tf.get_default_graph().finalize()
    tf.constant(1.0)


BUILD = [
    Misuse("matmul shapes", lambda tf: tf.matmul(tf.zeros([2, 3]), tf.zeros([4, 5])), "Dimensions must be equal, but are 3 and 4 for 'MatMul' (op: 'MatMul') with input shapes: [2,3], [4,5]."),
    Misuse("matmul rank", lambda tf: tf.matmul(tf.zeros([3]), tf.zeros([3])), "Shape must be rank 2 but is rank 1 for 'MatMul'"),
    Misuse("add shapes", lambda tf: tf.zeros([2, 3]) + tf.zeros([4]), "Dimensions must be equal, but are 3 and 4 for "),
    Misuse("add dtypes, operator", lambda tf: tf.constant(1.0) + tf.constant(1), "Tensor conversion requested dtype float32 for Tensor with dtype int32"),
    Misuse("add dtypes, function", lambda tf: tf.add(tf.constant(1.0), tf.constant(1)), "Input 'y' of 'Add' Op has type int32 that does not match type float32 of argument 'x'."),
    Misuse("matmul dtypes", lambda tf: tf.matmul(tf.zeros([2, 2], tf.float64), tf.zeros([2, 2])), "Input 'b' of 'MatMul' Op has type float32 that does not match type float64 of argument 'a'."),
    Misuse("fraction to an integer", lambda tf: tf.constant(1) + 1.5, "Expected int32, got 1.5 of type 'float' instead."),
    Misuse("disallowed dtype", lambda tf: tf.nn.softmax(tf.constant([1, 2])), "Value passed to parameter 'logits' has DataType int32 not in list of allowed values: float16, float32, float64"),
    Misuse("disallowed label dtype", lambda tf: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.zeros([2]), logits=tf.zeros([2, 3])), "Value passed to parameter 'labels' has DataType float32 not in list of allowed values: int32, int64"),
    Misuse("convolution depth", lambda tf: conv(tf, [1, 4, 4, 3], [3, 3, 2, 1]), "Dimensions must be equal, but are 3 and 2 for 'Conv2D'"),
    Misuse("convolution rank", lambda tf: conv(tf, [4, 4, 3], [3, 3, 2, 1]), "Shape must be rank 4 but is rank 3 for "),
    Misuse("convolution larger than its input", lambda tf: conv(tf, [1, 2, 2, 3], [3, 3, 3, 1], "VALID"), "Negative dimension size caused by subtracting 3 from 2 for "),
    Misuse("padding", lambda tf: conv(tf, [1, 4, 4, 1], [3, 3, 1, 1], "FOO"), "Attr 'padding' of 'Conv2D' Op passed string 'FOO' not in: \"SAME\", \"VALID\"."),
    Misuse("pool larger than its input", lambda tf: tf.nn.max_pool(tf.zeros([1, 2, 2, 3]), [1, 3, 3, 1], [1, 1, 1, 1], "VALID"), "Negative dimension size caused by subtracting 3 from 2 for "),
    Misuse("bias_add", lambda tf: tf.nn.bias_add(tf.zeros([2, 3]), tf.zeros([4])), "Dimensions must be equal, but are 3 and 4 for "),
    Misuse("reshape", lambda tf: tf.reshape(tf.zeros([2, 3]), [4]), "Cannot reshape a tensor with 6 elements to shape [4] (4 elements) for "),
    Misuse("reshape, the rest of the text", lambda tf: tf.reshape(tf.zeros([2, 3]), [4]), "with input shapes: [2,3], [1] and with input tensors computed as partial shapes: input[1] = [4]."),
    Misuse("concat", lambda tf: tf.concat([tf.zeros([2, 3]), tf.zeros([3, 2])], 0), "Shapes are [3] and [2]."),
    Misuse("concat of two axes", lambda tf: tf.concat([tf.zeros([1, 2, 3]), tf.zeros([1, 2, 2])], 0), "Dimension 1 in both shapes must be equal, but are 3 and 2. Shapes are [2,3] and [2,2]."),
    Misuse("stack", lambda tf: tf.stack([tf.zeros([2]), tf.zeros([3])]), "Dimension 0 in both shapes must be equal, but are 2 and 3. Shapes are [2] and [3]."),
    Misuse("cross-entropy shapes", lambda tf: tf.nn.softmax_cross_entropy_with_logits(labels=tf.zeros([2, 4]), logits=tf.zeros([2, 3])), "Dimensions must be equal, but are 3 and 4 for "),
    Misuse("cross-entropy by position", lambda tf: tf.nn.softmax_cross_entropy_with_logits(tf.zeros([2, 3]), tf.zeros([2, 3])), "Only call `softmax_cross_entropy_with_logits` with named arguments (labels=..., logits=..., ...)"),
    Misuse("cross-entropy without labels", lambda tf: tf.nn.softmax_cross_entropy_with_logits(logits=tf.zeros([2, 3])), "Both labels and logits must be provided."),
    Misuse("sparse cross-entropy rank", lambda tf: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.zeros([2, 3], tf.int32), logits=tf.zeros([2, 3])), "Rank mismatch: Rank of labels (received 2) should equal rank of logits minus 1 (received 2)."),
    Misuse("keep_prob above 1", lambda tf: tf.nn.dropout(tf.zeros([2]), 1.5), "keep_prob must be a scalar tensor or a float in the range (0, 1], got 1.5"),
    Misuse("dropout of integers", lambda tf: tf.nn.dropout(tf.zeros([2], tf.int32), 0.5), "x has to be a floating point tensor since it's going to be scaled."),
    Misuse("truth of a tensor", lambda tf: bool(tf.constant(True)), "Using a `tf.Tensor` as a Python `bool` is not allowed. Use `if t is not None:` instead of `if t:` to test if a tensor is defined"),
    Misuse("iterating over a tensor", lambda tf: list(tf.zeros([3])), "Tensor objects are only iterable when eager execution is enabled."),
    Misuse("iterating over a variable", lambda tf: list(tf.Variable([1.0])), "'Variable' object is not iterable."),
    Misuse("number from a tensor", lambda tf: float(tf.constant(1.0)), "float() argument must be a string or a real number"),
    Misuse("two graphs", lambda tf: tf.add(tf.constant(1.0), foreign(tf)), "must be from the same graph as Tensor("),
    Misuse("finalized graph", finalized, "Graph is finalized and cannot be modified."),
    Misuse("no variables", lambda tf: minimize(tf, lambda: tf.constant(1.0)), "No variables to optimize."),
    Misuse("no gradients", minimize_without_gradient, "No gradients provided for any variable, check your graph for ops that do not support gradients, between variables [\"<tf.Variable 'Variable:0' shape=() dtype=float32_ref>\"] and loss Tensor(\"Const:0\", shape=(), dtype=float32)."),
    Misuse("minimize an integer", minimize_integer, "Invalid type tf.int32 for "),
    Misuse("get_variable twice", lambda tf: get_variable(tf, [2], [2], reuse=False), "Variable a/w already exists, disallowed. Did you mean to set reuse=True or reuse=tf.AUTO_REUSE in VarScope?"),
    Misuse("get_variable that is not there", lambda tf: get_variable(tf, [2], reuse=True), "Variable a/w does not exist, or was not created with tf.get_variable(). Did you mean to set reuse=tf.AUTO_REUSE in VarScope?"),
    Misuse("get_variable of another shape", lambda tf: get_variable(tf, [2], [3], reuse=True), "Trying to share variable a/w, but specified shape (3,) and found shape (2,)."),
    Misuse("get_variable without a shape", lambda tf: tf.get_variable("w"), "Shape of a new variable (w) must be fully defined, but instead was <unknown>."),
    Misuse("variable of unknown shape", lambda tf: tf.Variable(tf.placeholder(tf.float32)), "initial_value must have a shape specified: Tensor(\"Placeholder:0\", dtype=float32)"),
    Misuse("variable without a value", lambda tf: tf.Variable(), "initial_value must be specified."),
    Misuse("assign", lambda tf: tf.assign(tf.Variable([1.0, 2.0]), [1.0, 2.0, 3.0]), "Dimension 0 in both shapes must be equal, but are 2 and 3. Shapes are [2] and [3]."),
    Misuse("constant None", lambda tf: tf.constant(None), "None values not supported."),
    Misuse("constant too long", lambda tf: tf.constant([1, 2, 3], shape=[2]), "Too many elements provided. Needed at most 2, but received 3"),
    Misuse("ragged constant", lambda tf: tf.constant([[1, 2], [3]]), "Argument must be a dense tensor: "),
    Misuse("conversion", lambda tf: tf.convert_to_tensor(tf.constant(1.0), tf.int32), "Tensor conversion requested dtype int32 for Tensor with dtype float32"),
    Misuse("unknown dtype", lambda tf: tf.placeholder("foo"), "'foo'"),
    Misuse("no dtype", lambda tf: tf.as_dtype("nope"), "'nope'"),
    Misuse("scope name", lambda tf: tf.name_scope("a b").__enter__(), "'a b' is not a valid scope name"),
    Misuse("node name", lambda tf: tf.constant(1.0, name="a b"), "'a b' is not a valid "),
    Misuse("tensor that is not there", lambda tf: tf.get_default_graph().get_tensor_by_name("x:0"), "The name 'x:0' refers to a Tensor which does not exist. The operation, 'x', does not exist in the graph."),
    Misuse("tensor by an operation's name", lambda tf: tf.get_default_graph().get_tensor_by_name("x"), "The name 'x' looks like an (invalid) Operation name, not a Tensor. Tensor names must be of the form \"<op_name>:<output_index>\"."),
    Misuse("operation that is not there", lambda tf: tf.get_default_graph().get_operation_by_name("x"), "The name 'x' refers to an Operation not in the graph."),
    Misuse("unknown shape as a list", lambda tf: tf.TensorShape(None).as_list(), "as_list() is not defined on an unknown TensorShape."),
    Misuse("bias of another rank", lambda tf: tf.nn.bias_add(tf.zeros([2, 3]), tf.zeros([1, 3])), "Shape must be rank 1 but is rank 2 for "),
    Misuse("axis out of range", lambda tf: tf.reduce_sum(tf.zeros([2, 3]), 2), "Invalid reduction dimension 2 for input with 2 dimensions"),
    Misuse("squeeze", lambda tf: tf.squeeze(tf.zeros([2, 3]), [0]), "Can not squeeze dim[0], expected a dimension of 1, got 2 for "),
    Misuse("split", lambda tf: tf.split(tf.zeros([3]), 2), "Dimension size must be evenly divisible by 2 but is 3"),
    Misuse("transpose", lambda tf: tf.transpose(tf.zeros([2, 3]), [0, 1, 2]), "Dimension must be 2 but is 3 for "),
    Misuse("set_shape", lambda tf: tf.zeros([2, 3]).set_shape([3, 3]), "Dimension 0 in both shapes must be equal, but are 2 and 3"),
]  # fmt: skip


@dataclass(frozen=True)
class FailingRun:
    """Fetches and feeds that a script makes, whose run fails."""

    name: str
    script: Callable[[Any], tuple[Any, Any]]
    phrase: str


def placeholder(tf: Any, dtype: str = "float32", shape: Any = (None, 4)) -> Any:
    return tf.placeholder(dtype, shape, name="x")


def fed(tf: Any, value: Any, shape: Any = (None, 4), dtype: str = "float32") -> tuple[Any, Any]:
    x = placeholder(tf, dtype, shape)
    return tf.identity(x), {x: value}


def fed_key(tf: Any, key: Any) -> tuple[Any, Any]:
    return tf.identity(placeholder(tf)), {key: 1.0}


def fetched(tf: Any, fetch: Any) -> tuple[Any, None]:
    tf.constant(1.0, name="c")
    return fetch, None


def op(call: Callable[..., Any], *values: Any) -> Callable[[Any], tuple[Any, Any]]:
    """A run of `call` on placeholders whose shapes are not known when the graph is built."""

    def script(tf: Any) -> tuple[Any, Any]:
        arrays = [np.asarray(v, np.float32 if np.asarray(v).dtype.kind == "f" else np.int32) for v in values]
        tensors = [tf.placeholder(a.dtype, name=f"x{i}") for i, a in enumerate(arrays)]
        return call(tf, *tensors), dict(zip(tensors, arrays, strict=True))

    return script


def known_rank(x: Any, rank: int = 2) -> Any:
    x.set_shape([None] * rank)
    return x


RUNS = [
    FailingRun("unfed placeholder", lambda tf: (placeholder(tf) + 1.0, None), "You must feed a value for placeholder tensor 'x' with dtype float and shape [?,4]\n\t [[{{node x}}]]"),
    FailingRun("unfed placeholder of unknown rank", lambda tf: (placeholder(tf, "int64", None) + 1, None), "You must feed a value for placeholder tensor 'x' with dtype int64\n\t [[{{node x}}]]"),
    FailingRun("uninitialised variable", lambda tf: (tf.Variable(1.0) + 1.0, None), "Attempting to use uninitialized value Variable\n\t [[{{node Variable/read}}]]"),
    FailingRun("uninitialised variable, fetched", lambda tf: (tf.Variable(1.0), None), "Attempting to use uninitialized value Variable"),
    FailingRun("uninitialised variable, added to", lambda tf: (tf.assign_add(tf.Variable(1.0), 1.0), None), "Attempting to use uninitialized value Variable\n\t [[{{node AssignAdd}}]]"),
    FailingRun("feed of a wrong shape", lambda tf: fed(tf, np.zeros((2, 3))), "Cannot feed value of shape (2, 3) for Tensor 'x:0', which has shape '(?, 4)'"),
    FailingRun("feed of a wrong rank", lambda tf: fed(tf, 1.0), "Cannot feed value of shape () for Tensor 'x:0', which has shape '(?, 4)'"),
    FailingRun("feed of a tensor", lambda tf: fed(tf, tf.constant(1.0)), "The value of a feed cannot be a tf.Tensor object. Acceptable feed values include Python scalars, strings, lists, numpy ndarrays, or TensorHandles."),
    FailingRun("feed of text", lambda tf: fed(tf, "abc", None), "could not convert string to float"),
    FailingRun("feed of a ragged list", lambda tf: fed(tf, [[1.0, 2.0], [3.0]], None), "setting an array element with a sequence"),
    FailingRun("feed of a large integer", lambda tf: fed(tf, 2**40, (), "int32"), "Type of feed value 1099511627776 with type <class 'int'> is not compatible with Tensor type <class 'numpy.int32'>. Try explicitly setting the type of the feed tensor to a larger type (e.g. int64)."),
    FailingRun("feed of an unknown name", lambda tf: fed_key(tf, "nope:0"), "Cannot interpret feed_dict key as Tensor: The name 'nope:0' refers to a Tensor which does not exist. The operation, 'nope', does not exist in the graph."),
    FailingRun("feed of a number", lambda tf: fed_key(tf, 3), "Cannot interpret feed_dict key as Tensor: Can not convert a int into a Tensor."),
    FailingRun("feed to another graph", lambda tf: fed_key(tf, foreign(tf)), "Cannot interpret feed_dict key as Tensor: Tensor Tensor(\"Const:0\", shape=(), dtype=float32) is not an element of this graph."),
    FailingRun("fetch None", lambda tf: fetched(tf, None), "Fetch argument None has invalid type <class 'NoneType'>"),
    FailingRun("fetch a number", lambda tf: fetched(tf, 3), "Fetch argument 3 has invalid type <class 'int'>, must be a string or Tensor. (Can not convert a int into a Tensor or Operation.)"),
    FailingRun("fetch an unknown name", lambda tf: fetched(tf, "foo:0"), "Fetch argument 'foo:0' cannot be interpreted as a Tensor. (\"The name 'foo:0' refers to a Tensor which does not exist."),
    FailingRun("fetch an output that is not there", lambda tf: fetched(tf, "c:1"), "Fetch argument 'c:1' cannot be interpreted as a Tensor."),
    FailingRun("fetch from another graph", lambda tf: fetched(tf, foreign(tf)), "cannot be interpreted as a Tensor. (Tensor Tensor(\"Const:0\", shape=(), dtype=float32) is not an element of this graph.)"),
    FailingRun("empty graph", lambda tf: ("a:0", None), "The Session graph is empty.  Add operations to the graph before calling run()."),
    FailingRun("add in a run", op(lambda tf, x, y: tf.add(x, y), [1.0, 2.0], [1.0, 2.0, 3.0]), "Incompatible shapes: [2] vs. [3]"),
    FailingRun("matmul in a run", op(lambda tf, x, y: tf.matmul(known_rank(x), known_rank(y)), np.ones((2, 3)), np.ones((2, 3))), "Matrix size-incompatible: In[0]: [2,3], In[1]: [2,3]"),
    FailingRun("reshape in a run", op(lambda tf, x: tf.reshape(x, [4]), [1.0, 2.0, 3.0]), "Input to reshape is a tensor with 3 values, but the requested shape has 4"),
    FailingRun("reshape to -1 in a run", op(lambda tf, x: tf.reshape(x, [2, -1]), [1.0, 2.0, 3.0]), "Input to reshape is a tensor with 3 values, but the requested shape requires a multiple of 2"),
    FailingRun("convolution depth in a run", op(lambda tf, x, w: tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME"), np.ones((1, 4, 4, 3)), np.ones((3, 3, 2, 1))), "input and filter must have the same depth: 3 vs 2"),
    FailingRun("bias_add in a run", op(lambda tf, x, b: tf.nn.bias_add(x, b), np.ones((2, 3)), np.ones(4)), "Must provide as many biases as the last dimension of the input tensor: [4] vs. [2,3]"),
    FailingRun("cross-entropy in a run", op(lambda tf, x, y: tf.nn.softmax_cross_entropy_with_logits(logits=x, labels=y), np.ones((2, 3)), np.ones((2, 4))), "logits and labels must be same size: logits_size=[2,3] labels_size=[2,4]"),
    FailingRun("label out of range", op(lambda tf, x, y: tf.nn.sparse_softmax_cross_entropy_with_logits(logits=x, labels=y), np.ones((1, 3)), [7]), "Received a label value of 7 which is outside the valid range of [0, 3).  Label values: 7"),
    FailingRun("sparse cross-entropy in a run", op(lambda tf, x, y: tf.nn.sparse_softmax_cross_entropy_with_logits(logits=known_rank(x), labels=known_rank(y, 1)), np.ones((1, 3)), [1, 2]), "logits and labels must have the same first dimension, got logits shape [1,3] and labels shape [2]"),
    FailingRun("gather in a run", op(lambda tf, x, i: tf.gather(x, i), [1.0, 2.0, 3.0], [7]), "indices[0] = 7 is not in [0, 3)"),
    FailingRun("concat in a run", op(lambda tf, x, y: tf.concat([x, y], 0), np.ones((2, 3)), np.ones((2, 4))), "ConcatOp : Dimensions of inputs should match: shape[0] = [2,3] vs. shape[1] = [2,4]"),
    FailingRun("division by zero", op(lambda tf, x, y: x // y, [1, 2], [1, 0]), "Integer division by zero"),
    FailingRun("check_numerics", op(lambda tf, x: tf.check_numerics(x, "weights"), [1.0, np.nan]), "weights : Tensor had NaN values"),
    FailingRun("assertion", op(lambda tf, x: tf.Assert(x > 1.0, ["too small"]), 0.5), "assertion failed: [too small]"),
    FailingRun("assign in a run", op(lambda tf, x: tf.assign(tf.Variable([1.0, 2.0]), x), [1.0, 2.0, 3.0]), "Assign requires shapes of both tensors to match. lhs shape= [2] rhs shape= [3]"),
]  # fmt: skip


def error_of(action: Callable[[], Any]) -> Exception | None:
    try:
        action()
    except Exception as error:
        return error
    return None


def check(name: str, phrase: str, ours: Exception | None, theirs: Exception | None) -> None:
    changed = CHANGED_IN_2X.get(name)
    kind_of_2x, phrase_of_2x = changed if changed else (None, phrase)
    assert ours is not None, "no error"
    assert phrase in str(ours)
    if phrase_of_2x is None:
        assert theirs is None, "TensorFlow 2 does raise"
        return
    assert theirs is not None, "no error in TensorFlow"
    assert type(theirs).__name__ == (kind_of_2x or type(ours).__name__)
    assert phrase_of_2x in str(theirs)


@pytest.mark.parametrize("row", BUILD, ids=lambda row: row.name)
def test_build(row: Misuse) -> None:
    ours, theirs = (error_of(lambda tf=tf: run_on(tf, row.script)) for tf in (tfgraph, TF))
    check(row.name, row.phrase, ours, theirs)


@pytest.mark.parametrize("row", RUNS, ids=lambda row: row.name)
def test_run(row: FailingRun) -> None:
    """The graph builds; the run raises, with the failing operation's name and the same code."""

    def failure(tf: Any) -> Exception | None:
        fetch, feeds = row.script(tf)
        with tf.Session() as session:
            return error_of(lambda: session.run(fetch, feeds))

    ours, theirs = (run_on(tf, failure) for tf in (tfgraph, TF))
    check(row.name, row.phrase, ours, theirs)
    if isinstance(theirs, TF.errors.OpError):
        assert isinstance(ours, tfgraph.errors.OpError)
        assert ours.error_code == theirs.error_code
        assert (ours.op is None) == (theirs.op is None)
        assert ours.op is None or ours.op.name == theirs.op.name


def sessions(tf: Any) -> dict[str, Exception | None]:
    c = tf.constant(1.0)
    closed, entered = tf.Session(), tf.Session()
    closed.close()
    with entered:
        twice = error_of(entered.__enter__)
    return {
        "closed session": error_of(lambda: closed.run(c)),
        "enter a session twice": twice,
        "eval without a session": error_of(c.eval),
        "run without a session": error_of(c.op.run),
    }


SESSION_PHRASES = {
    "closed session": "Attempted to use a closed Session.",
    "enter a session twice": "Session context managers are not re-entrant. Use `Session.as_default()` if you want to enter a session multiple times.",
    "eval without a session": "Cannot evaluate tensor using `eval()`: No default session is registered. Use `with sess.as_default()` or pass an explicit session to `eval(session=sess)`",
    "run without a session": "Cannot execute operation using `run()`: No default session is registered.",
}  # fmt: skip


def test_sessions() -> None:
    ours, theirs = run_on(tfgraph, sessions), run_on(TF, sessions)
    for name, phrase in SESSION_PHRASES.items():
        check(name, phrase, ours[name], theirs[name])


def test_the_table_of_changes_has_no_dead_rows() -> None:
    names = {row.name for row in (*BUILD, *RUNS)} | set(SESSION_PHRASES)
    assert set(CHANGED_IN_2X) <= names


def test_error_codes() -> None:
    codes = {name: getattr(TF.errors, name) for name in dir(TF.errors) if name.isupper()}
    assert {name: getattr(tfgraph.errors, name) for name in codes} == codes
    classes = [name for name in dir(TF.errors) if name.endswith("Error")]
    assert [name for name in classes if not hasattr(tfgraph.errors, name)] == []
