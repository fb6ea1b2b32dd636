"""Rewrites of programs. Each rule, and each pass, has two obligations with no other pass running: it makes the graph that
it should, and the numbers stay the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests import _programs
from tests._nets import NETS
from tests._programs import N, evaluate, expressions, roots_of, types
from tests.test_ops import ROWS, inputs_of, outputs_of
from tfgraph.codegen.compile import STAGES
from tfgraph.codegen.index import access_of
from tfgraph.codegen.ir import Roots
from tfgraph.codegen.passes import simplify as rules
from tfgraph.codegen.passes.expand import expand
from tfgraph.codegen.passes.fold_constants import LIMIT, fold_constants
from tfgraph.codegen.passes.name_sizes import name_sizes
from tfgraph.codegen.passes.place_copies import place_copies
from tfgraph.codegen.passes.settle_static import settle_static
from tfgraph.codegen.passes.simplify import RULES, simplify
from tfgraph.codegen.problems import NeedsConstants, NeedsValues, NotCompilable
from tfgraph.codegen.rewrite import rewrite
from tfgraph.opdef import REGISTRY, Composite
from tfgraph.shapes import Undecided

pytestmark = pytest.mark.usefixtures("graph")

BATCH = 3
AWKWARD = np.array(
    [[0.0, -0.0, 1.5, -2.0], [np.inf, -np.inf, np.nan, 1e-40], [3.0, 1e30, -1e-30, 0.5]], np.float32
)  # as many rows as BATCH


def fed() -> Any:
    return tf.placeholder(tf.float32, [None, 4], name="x")


def same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    """Equal bit by bit, but for which NaN it is."""
    return len(one) == len(other) and all(
        a.shape == b.shape
        and a.dtype == b.dtype
        and np.array_equal(np.nan_to_num(a, nan=7.0).tobytes(), np.nan_to_num(b, nan=7.0).tobytes())
        and np.array_equal(np.isnan(a), np.isnan(b))
        for a, b in zip(one, other, strict=True)
    )


def check_rewrite(stage: Callable[[Roots], Roots], build: Callable[[Any], Any], expected: Sequence[str]) -> Roots:
    """`stage` alone makes `expected` of what `build` makes of a fed [N, 4], and the same numbers."""
    x = fed()
    built = build(x)
    before = roots_of(built, {x: (N, 4)})
    after = stage(before)
    assert expressions(after) == list(expected)
    assert same(evaluate(before, [AWKWARD], BATCH), evaluate(after, [AWKWARD], BATCH))
    return after


# --- simplify, rule by rule -----------------------------------------------------------------------------------


def only(rule: Callable[[Any], Any]) -> Callable[[Roots], Roots]:
    """A pass of this one rule, on the ops that the table gives it to."""

    def apply(node: Any) -> Any:
        result = rule(node) if rule in RULES.get(node.type, ()) else None
        return None if result is None else [result]

    return lambda roots: rewrite(roots, apply)


def cast_to_same(x: Any) -> Any:
    return REGISTRY["Cast"](x, DstT=tf.float32)  # tf.cast itself makes no node here


APPLIED = [
    (rules.multiply_by_one, lambda x: x * 1.0, "x"),
    (rules.multiply_by_one, lambda x: 1.0 * x, "x"),
    (rules.multiply_by_one, lambda x: x * tf.ones([4]), "x"),
    (rules.divide_by_one, lambda x: x / 1.0, "x"),
    (rules.subtract_zero, lambda x: x - 0.0, "x"),
    (rules.negate_twice, lambda x: tf.negative(-x), "x"),
    (rules.square, lambda x: tf.pow(x, 2.0), "Square(x)"),
    (rules.square, lambda x: tf.pow(x, 1.0), "x"),
    (rules.same_dtype_cast, cast_to_same, "x"),
    (rules.same_shape_view, lambda x: tf.reshape(x, tf.shape(x)), "x"),
    (rules.same_shape_view, lambda x: tf.reshape(x, [-1, 4]), "x"),
    (rules.same_shape_view, lambda x: tf.broadcast_to(x, tf.shape(x)), "x"),
    (rules.reshape_twice, lambda x: tf.reshape(tf.reshape(x, [-1]), [-1, 4]), "x"),
    (rules.reshape_twice, lambda x: tf.reshape(tf.reshape(x, [-1]), [-1, 2, 2]), "Reshape(x, [1*N, 2, 2])"),
    (rules.reshape_twice, lambda x: tf.squeeze(tf.expand_dims(x, 1), [1]), "x"),
    (rules.identity_permutation, lambda x: tf.transpose(x, [0, 1]), "x"),
    (rules.reduction_of_one, lambda x: tf.reduce_sum(x, []), "x"),
    (rules.reduction_of_one, lambda x: tf.reduce_max(x, []), "x"),
    (rules.reduction_of_one, lambda x: tf.reduce_min(tf.expand_dims(x, 1), 1), "Reshape(ExpandDims(x, 1), [1*N, 4])"),
    (rules.reduction_of_one, lambda x: tf.reduce_prod(tf.expand_dims(x, 1), 1, keepdims=True), "ExpandDims(x, 1)"),
    (
        rules.empty_product,
        lambda x: tf.matmul(x[:, :0], tf.zeros([0, 3])),
        "Fill([1*N, 3], 0.0)",
    ),
    (
        rules.transposed_operand,
        lambda x: tf.matmul(tf.transpose(x), x),
        "MatMul(x, x, transpose_a)",
    ),
    (
        rules.transposed_operand,
        lambda x: tf.matmul(x, tf.transpose(x), transpose_b=False),
        "MatMul(x, x, transpose_b)",
    ),
    (
        rules.transposed_operand,
        lambda x: tf.matmul(x, tf.transpose(x), transpose_a=True, transpose_b=True),
        "MatMul(x, x, transpose_a)",
    ),
]


def test_the_table_above_has_every_rule() -> None:
    assert {rule for rule, _, _ in APPLIED} == {rule for found in RULES.values() for rule in found}


@pytest.mark.parametrize(("rule", "build", "expected"), APPLIED, ids=lambda p: getattr(p, "__name__", ""))
def test_rule(rule: Any, build: Any, expected: str) -> None:
    wanted = expected.replace("1*N", repr(N))
    check_rewrite(only(rule), build, [wanted])


UNTOUCHED = {
    "x + 0 turns -0 into 0": lambda x: x + 0.0,
    "0 - x turns 0 into 0, not -0": lambda x: 0.0 - x,
    "x * 0 is NaN for inf": lambda x: x * 0.0,
    "x - x is NaN for inf": lambda x: x - x,
    "x / x": lambda x: x / x,
    "sqrt differs from x ** 0.5": lambda x: tf.pow(x, 0.5),
    "x ** 3": lambda x: tf.pow(x, 3.0),
    "1 / x": lambda x: 1.0 / x,
    "a factor that broadcasts": lambda x: x * tf.ones([2, 1, 1]),
    "a divisor that broadcasts": lambda x: x / tf.ones([2, 1, 1]),
    "x - (-0) turns -0 into 0": lambda x: x - tf.constant(-0.0),
    "a difference that broadcasts": lambda x: x - tf.zeros([2, 1, 1]),
    "factors of which one is not 1": lambda x: x * [1.0, 1.0, 1.0, 2.0],
    "another shape": lambda x: tf.reshape(x, [-1, 2]),
    "a real permutation": lambda x: tf.transpose(x, [1, 0]),
    "a reduction": lambda x: tf.reduce_sum(x, [1]),
    "a reduction of one axis that is kept": lambda x: tf.reduce_sum(x, [1], keepdims=True),
    "one negation": lambda x: -x,
}


@pytest.mark.parametrize("build", UNTOUCHED.values(), ids=UNTOUCHED)
def test_simplify_leaves_alone(build: Any) -> None:
    x = fed()
    before = roots_of(build(x), {x: (N, 4)})
    after = simplify(before)
    assert expressions(after) == expressions(before)
    assert same(evaluate(before, [AWKWARD], BATCH), evaluate(after, [AWKWARD], BATCH))


def test_casts_that_lose_something_stay() -> None:
    check_rewrite(
        simplify,
        lambda x: tf.cast(tf.cast(x > 0, tf.int32), tf.float32),
        ["Cast(Cast(Greater(x, 0.0)))"],
    )


def test_simplify_reaches_through_several_rules() -> None:
    check_rewrite(simplify, lambda x: tf.negative(-(tf.reshape(tf.reshape(x * 1.0 - 0.0, [-1]), [-1, 4]) / 1.0)), ["x"])


# --- equal nodes are one --------------------------------------------------------------------------------------


def test_equal_pure_nodes_merge() -> None:
    x = fed()
    fetches = [tf.exp(x) + 1.0, tf.exp(x) + 1.0, tf.exp(x) + 2.0]
    assert types(roots_of(fetches, {x: (N, 4)})) == ["_Feed", "Exp", "Add", "Add"]


def test_random_nodes_do_not_merge() -> None:
    fetches = [tf.random_uniform([4], seed=1), tf.random_uniform([4], seed=1)]
    roots = _programs.after(roots_of(fetches, {}))
    assert types(roots).count("RandomUniform") == 2


def test_reads_on_both_sides_of_a_write_do_not_merge() -> None:
    v = tf.Variable(np.ones(4, np.float32), name="v")
    first = v + 1.0
    with tf.control_dependencies([first]):
        write = tf.assign(v, [5.0, 6.0, 7.0, 8.0])
    with tf.control_dependencies([write]):
        second = tf.identity(v.op.outputs[0]) + 1.0
    roots = roots_of([first, second], {})
    assert types(roots).count("_Read") == 2
    results = evaluate(roots, [], variables={"v": np.ones(4, np.float32)})
    assert [r.tolist() for r in results] == [[2.0] * 4, [6.0, 7.0, 8.0, 9.0]]


def test_nodes_with_other_attributes_do_not_merge() -> None:
    x = fed()
    fetches = [tf.matmul(x, x, transpose_a=True), tf.matmul(x, x, transpose_b=True)]
    assert types(roots_of(fetches, {x: (N, 4)})).count("MatMul") == 2


def test_constants_of_other_dtypes_or_signs_do_not_merge() -> None:
    x = fed()
    fetches = [x * tf.constant(0.0), x * tf.constant(-0.0), tf.cast(x, tf.float64) * tf.constant(0.0, tf.float64)]
    roots = roots_of(fetches, {x: (N, 4)})
    assert [n.type for n in roots.nodes].count("Const") == 3


# --- fold_constants -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda x: x * (tf.constant(2.0) + 3.0), "Mul(x, 5.0)"),
        (lambda x: x + tf.reduce_sum(tf.constant([[1.0, 2.0], [3.0, 4.0]])), "Add(x, 10.0)"),
        (lambda x: x * tf.transpose(tf.constant([[1.0], [2.0], [3.0], [4.0]])), "Mul(x, [[1.0, 2.0, 3.0, 4.0]])"),
        (lambda x: x * tf.cast(tf.shape(x)[1], tf.float32), "Mul(x, 4.0)"),
        (lambda x: x * tf.cast(tf.rank(x), tf.float32), "Mul(x, 2.0)"),
        (lambda x: x + tf.matmul([[1.0, 2.0]], [[3.0], [4.0]]), "Add(x, [[11.0]])"),
    ],
)
def test_folds(build: Any, expected: str) -> None:
    check_rewrite(fold_constants, build, [expected])


def test_does_not_fold_what_is_large() -> None:
    small, large = tf.fill([LIMIT], 1.0) + 0.5, tf.fill([LIMIT + 1], 1.0) + 0.5
    folded, kept = fold_constants(roots_of([small, large], {})).fetches
    assert folded.op.type == "Const"
    assert kept.op.type == "Add"


def test_does_not_fold_randomness_checks_or_variables() -> None:
    v = tf.Variable(np.ones(4, np.float32))
    random = tf.random_normal([4], seed=2)
    quotient = tf.constant([1, 2, 3]) // tf.constant([1, 1, 0])
    kept = fold_constants(roots_of([random, quotient, v + 1.0], {}))
    assert {"RandomStandardNormal", "FloorDiv", "_Read"} <= set(types(kept))


def test_does_not_fold_sizes_that_depend_on_the_batch() -> None:
    check_rewrite(
        fold_constants,
        lambda x: [tf.shape(x)[1:] * 2, tf.shape(x)[0] + 0 * tf.size(x[0])],
        ["[8]", "Add(StridedSlice(Shape(x), [0], [1], [1]), 0)"],
    )


# --- expand ---------------------------------------------------------------------------------------------------


def test_expand_leaves_no_composite() -> None:
    x = fed()
    labels = tf.nn.softmax(x)
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=tf.nn.log_softmax(x)))
    gradient = tf.gradients(loss, x)
    before = roots_of([loss, *gradient], {x: (N, 4)})
    assert any(isinstance(n.kind, Composite) for n in before.nodes)
    # sizes as values come first: a mean divides by a number that depends on the batch
    after = expand(before)
    assert not any(isinstance(n.kind, Composite) for n in after.nodes)
    values = [np.random.default_rng(0).normal(size=(BATCH, 4)).astype(np.float32)]
    for one, other in zip(evaluate(before, values, BATCH), evaluate(after, values, BATCH), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6)


def test_expand_gives_parts_the_name_of_the_whole() -> None:
    x = fed()
    after = expand(roots_of(tf.nn.softmax(x, name="probabilities"), {x: (N, 4)}))
    parts = [n for n in after.nodes if n.type in ("Max", "Exp", "Sum", "RealDiv")]
    assert len(parts) == 4
    assert {n.label for n in parts} == {"probabilities"}


def test_bias_add_becomes_a_broadcast_sum() -> None:
    check_rewrite(expand, lambda x: tf.nn.bias_add(x, [1.0, 2.0, 3.0, 4.0]), ["Add(x, [1.0, 2.0, 3.0, 4.0])"])


# --- name_sizes -----------------------------------------------------------------------------------------------


def test_names_the_batch_size() -> None:
    size = f"size[{N!r}]"
    check_rewrite(name_sizes, lambda x: tf.shape(x)[0], [size])


def test_names_sizes_in_arithmetic() -> None:
    x = fed()
    before = roots_of([tf.size(x), tf.shape(x)[0] * 3, tf.shape(x)], {x: (N, 4)})
    after = name_sizes(before)
    assert "_Extent" in types(after)
    assert "Shape" not in types(after)
    assert "Size" not in types(after)
    results = evaluate(after, [AWKWARD], BATCH)
    assert [r.tolist() for r in results] == [12, 9, [3, 4]]
    assert same(results, evaluate(before, [AWKWARD], BATCH))
    assert [r.dtype for r in results] == [np.int32] * 3


def test_sizes_that_are_numbers_are_constants_in_the_end() -> None:
    x = fed()
    before = roots_of(x * tf.cast(tf.shape(x)[1], tf.float32), {x: (N, 4)})
    assert expressions(_programs.after(before)) == ["Mul(x, 4.0)"]


# --- settle_static --------------------------------------------------------------------------------------------


def test_settles_arguments_that_are_computed() -> None:
    x = fed()
    before = roots_of(tf.reduce_sum(x, tf.range(tf.rank(x) - 1, tf.rank(x))), {x: (N, 4)})
    after = settle_static(before)
    assert expressions(after) == ["Sum(x, [1])"]
    assert same(evaluate(before, [AWKWARD], BATCH), evaluate(after, [AWKWARD], BATCH))


def test_settles_shapes_with_the_batch_in_them() -> None:
    x = fed()
    before = roots_of(tf.reshape(x, [tf.shape(x)[0] * 2, 2]), {x: (N, 4)})
    after = settle_static(before)
    assert types(after) == ["_Feed", "Reshape"]
    assert same(evaluate(before, [AWKWARD], BATCH), evaluate(after, [AWKWARD], BATCH))


# --- place_copies ---------------------------------------------------------------------------------------------


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


def test_fetched_variable_is_the_one_before_the_update() -> None:
    v = tf.Variable(np.zeros(2, np.float32), name="v")
    update = tf.assign_add(v, [1.0, 1.0])
    after = place_copies(roots_of([v.op.outputs[0], update.op], {}))
    (value,) = evaluate(after, [], variables={"v": np.array([4.0, 5.0], np.float32)}, in_place=True)
    assert value.tolist() == [4.0, 5.0]


# --- every pass on every op and on whole nets -----------------------------------------------------------------


def check_each_stage(before: Roots, arrays: Sequence[np.ndarray], n: int, variables: Any = None) -> None:
    wanted = evaluate(before, arrays, n, variables)
    roots = before
    for stage in STAGES:
        roots = stage(roots)
        for one, other in zip(wanted, evaluate(roots, arrays, n, variables), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6, err_msg=f"after {stage.__name__}")


@pytest.mark.parametrize("case", ROWS)
def test_stages_keep_the_numbers_of(case: Any) -> None:
    """Every op with the first dimension of its inputs open, at batch 7."""
    arrays = inputs_of(case, 7, "float32")
    dims = [tuple(N if d == 7 and i == 0 else d for i, d in enumerate(a.shape)) for a in arrays]
    tensors = [tf.placeholder(a.dtype, [None if d is N else d for d in dim]) for a, dim in zip(arrays, dims, strict=True)]
    outputs = outputs_of(case, tensors)
    values = dict(zip(tensors, arrays, strict=True))
    run = _programs.prepared(outputs, tensors)
    try:
        before = roots_of(outputs, dict(zip(tensors, dims, strict=True)))
        _programs.after(before)
    except (NeedsConstants, NeedsValues, NotCompilable, Undecided):
        return  # it runs at exact sizes or in the interpreter
    check_each_stage(before, [values[t] for t in run.feeds], 7)


@pytest.mark.parametrize("build", NETS.values(), ids=NETS)
def test_stages_keep_the_numbers_of_the_net(build: Any) -> None:
    net = build()
    feeds = net.feeds(BATCH)
    run = _programs.prepared(net.fetches, feeds)
    before = roots_of(net.fetches, {x: (N, *shape) for x, shape in net.shapes.items()})
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        variables = {v.op.name: session.run(v) for v in tf.global_variables()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_each_stage(before, [feeds[t] for t in run.feeds], BATCH, variables)
