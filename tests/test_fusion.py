"""Which operations become one kernel: "this graph is that many kernels of these kinds"."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import tfgraph as tf
from tests._nets import NETS
from tests._programs import N, groups_of, program_of
from tests._random_graphs import graphs
from tfgraph.codegen.ir import Group

pytestmark = pytest.mark.usefixtures("graph")

Kernels = list[tuple[str, list[str]]]


def fed(*dims: int) -> Any:
    return tf.placeholder(tf.float32, [None, *dims])


def variable(*dims: int) -> Any:
    return tf.Variable(np.ones(dims, np.float32))


def kernels_of(fetches: Any, *feeds: Any) -> Kernels:
    """(kind, op types) of each kernel in order; every feed's first dimension is the batch."""
    return [(g.kind, [n.type for n in g.nodes]) for g in groups(fetches, *feeds)]


def groups(fetches: Any, *feeds: Any) -> tuple[Group, ...]:
    return groups_of(fetches, {x: (N, *x.shape.as_list()[1:]) for x in feeds})


def reasons(fetches: Any, *feeds: Any) -> list[str]:
    """What is said about neighbours that were not fused."""
    return [str(refusal) for group in groups(fetches, *feeds) for refusal in group.refusals]


# --- pointwise ------------------------------------------------------------------------------------------------


def test_a_chain_is_one_kernel() -> None:
    x = fed(20)
    y = tf.tanh(tf.exp(x * 2.0) + 1.0) * x
    assert kernels_of(y, x) == [("pointwise", ["Mul", "Exp", "Add", "Tanh", "Mul"])]


def test_a_value_in_the_middle_may_be_fetched_too() -> None:
    x = fed(20)
    y = tf.exp(x)
    assert kernels_of([y, y + 1.0, y * 2.0], x) == [("pointwise", ["Exp", "Add", "Mul"])]


def test_views_between_do_not_split_a_chain() -> None:
    x = fed(20)
    y = tf.reshape(tf.reshape(tf.exp(x), [-1, 4, 5]), [-1, 20]) + 1.0
    assert kernels_of(y, x) == [("pointwise", ["Exp", "Add"])]


def test_a_smaller_operand_broadcasts_inside() -> None:
    x, row = fed(20), variable(20)
    assert kernels_of(tf.exp(x * row), x) == [("pointwise", ["Mul", "Exp"])]


def test_a_smaller_domain_is_a_kernel_of_its_own() -> None:
    x, row = fed(20), variable(20)
    assert kernels_of(tf.exp(row) * x, x) == [("pointwise", ["Exp"]), ("pointwise", ["Mul"])]
    assert any("domains [20] and [N, 20]" in reason for reason in reasons(tf.exp(row) * x, x))


def test_another_order_of_elements_is_a_kernel_of_its_own() -> None:
    x = fed(20)
    assert kernels_of(tf.exp(tf.transpose(tf.exp(x))), x) == [("pointwise", ["Exp"]), ("pointwise", ["Exp"])]
    square = tf.placeholder(tf.float32, [6, 6])
    y = tf.exp(square)
    kernels = groups_of(y + tf.transpose(y), {square: (6, 6)})
    assert [len(g.nodes) for g in kernels] == [1, 1]
    assert any("operands at other positions" in refusal.reason for refusal in kernels[1].refusals)


def test_parts_of_a_value_are_another_domain() -> None:
    x = fed(20)
    assert kernels_of(tf.exp(tf.exp(x)[:, ::2]), x) == [("pointwise", ["Exp"]), ("pointwise", ["Exp"])]


def test_a_check_goes_with_its_neighbours() -> None:
    x, y = (tf.placeholder(tf.int32, [None]) for _ in range(2))
    assert kernels_of((x // y) * 2, x, y) == [("pointwise", ["FloorDiv", "Mul"])]


def test_writes_come_after_checks() -> None:
    x, y = (tf.placeholder(tf.int32, [None]) for _ in range(2))
    v = tf.Variable(np.ones(3, np.int32))
    kernels = kernels_of([tf.assign_add(v, [1, 2, 3]).op, x // y], x, y)
    assert [types[-1] for _, types in kernels] == ["FloorDiv", "AssignAdd"]


# --- rows: reductions over the last axes ----------------------------------------------------------------------


def test_softmax_is_one_sweep_over_rows() -> None:
    x = fed(20)
    assert kernels_of(tf.nn.softmax(x), x) == [("rows", ["Max", "Sub", "Exp", "Sum", "RealDiv"])]


def test_cross_entropy_and_its_gradient_are_one_kernel() -> None:
    logits, labels = fed(10), fed(10)
    loss = tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits)
    ((kind, types),) = kernels_of([loss, tf.gradients(loss, logits)[0]], logits, labels)
    assert kind == "rows"
    assert types.count("Exp") == 1  # the gradient uses the forward pass's
    assert types.count("Max") == 1


def test_mean_and_variance_of_rows_are_one_kernel() -> None:
    x = fed(20)
    mean, variance = tf.nn.moments(x, [1], keep_dims=True)
    y = (x - mean) * tf.rsqrt(variance + 1e-3)
    ((kind, types),) = kernels_of(y, x)
    assert kind == "rows"
    assert types.count("Sum") == 2


# --- reduce: the other reductions -----------------------------------------------------------------------------


def test_a_reduction_takes_in_what_feeds_it() -> None:
    x = fed(20)
    assert kernels_of(tf.reduce_sum(tf.square(x) * 3.0), x) == [("reduce", ["Square", "Mul", "Sum"])]
    assert kernels_of(tf.reduce_max(tf.abs(x), 0), x) == [("reduce", ["Abs", "Max"])]


def test_a_reduction_takes_in_what_follows() -> None:
    x = fed(20)
    y = tf.sqrt(tf.reduce_sum(tf.square(x), 0)) + 1.0
    assert kernels_of(y, x) == [("reduce", ["Square", "Sum", "Sqrt", "Add"])]


def test_two_reductions_of_one_value_share_the_sweep() -> None:
    x = fed(20)
    y = tf.square(x)
    ((kind, types),) = kernels_of([tf.reduce_sum(y, 0), tf.reduce_max(y, 0)], x)
    assert kind == "reduce"
    assert sorted(types) == ["Max", "Square", "Sum"]


def test_the_reduced_value_can_be_an_output_as_well() -> None:
    x = fed(20)
    y = tf.exp(x)
    assert kernels_of([y, tf.reduce_sum(y, 0)], x) == [("reduce", ["Exp", "Sum"])]


def test_a_user_of_the_finished_reduction_waits() -> None:
    x = fed(20)
    y = tf.exp(x)
    z = y * tf.reduce_sum(y, 0)
    assert kernels_of(z, x) == [("reduce", ["Exp", "Sum"]), ("pointwise", ["Mul"])]
    assert any("needs the finished reduction" in reason for reason in reasons(z, x))


def test_other_axes_are_another_kernel() -> None:
    x = fed(20)
    kernels = kernels_of([tf.reduce_sum(x, 0), tf.reduce_sum(x, 1)], x)
    assert sorted(kernels) == [("reduce", ["Sum"]), ("rows", ["Sum"])]


# --- matrix products and convolutions with what follows -------------------------------------------------------


def test_dense_layer_is_one_kernel() -> None:
    x, w, b = fed(20), variable(20, 8), variable(8)
    y = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, w), b))
    assert kernels_of(y, x) == [("matmul", ["MatMul", "Add", "Relu"])]
    assert kernels_of(tf.nn.relu(tf.nn.xw_plus_b(x, w, b)), x) == [("matmul", ["MatMul", "Add", "Relu"])]


def test_conv_layer_is_one_kernel() -> None:
    x, w, b = fed(8, 8, 3), variable(3, 3, 3, 16), variable(16)
    y = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME"), b))
    ((kind, types),) = kernels_of(y, x)
    assert kind == "conv2d"
    assert types[1:] == ["Add", "Relu"]


def test_conv_layer_with_pooling_is_one_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", "direct")
    x, w, b = fed(8, 8, 3), variable(3, 3, 3, 16), variable(16)
    active = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME"), b))
    y = tf.nn.max_pool(active, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    ((kind, types),) = kernels_of(y, x)
    assert kind == "conv2d"
    assert types == ["_Conv2D", "Add", "Relu", "_MaxPool"]
    overlapping = tf.nn.max_pool(active, [1, 3, 3, 1], [1, 2, 2, 1], "SAME")
    assert [kind for kind, _ in kernels_of(overlapping, x)] == ["conv2d", "max_pool"]
    assert any("are used elsewhere" in reason for reason in reasons([y, tf.reduce_sum(active)], x))


def test_input_gradient_takes_the_mask_of_the_activation() -> None:
    x, w = fed(20), variable(20, 8)
    hidden = tf.nn.relu(tf.matmul(x, variable(20, 20)))
    y = tf.matmul(hidden, w)
    (gradient,) = tf.gradients(y, [hidden.op.inputs[0]])
    kinds = kernels_of(gradient, x)
    assert ("matmul", ["MatMul", "ReluGrad"]) in kinds


def test_weight_gradient_and_update_are_one_kernel() -> None:
    x, w = fed(20), variable(20, 8)
    loss = tf.reduce_sum(tf.matmul(x, w) * tf.constant(np.ones((1, 8), np.float32)))
    step = tf.train.AdamOptimizer().minimize(loss, var_list=[w])
    assert ("matmul", ["MatMul", "ApplyAdam"]) in kernels_of(step, x)


@pytest.mark.parametrize(
    ("make", "update"),
    [
        (lambda: tf.train.GradientDescentOptimizer(0.1), "ApplyGradientDescent"),
        (lambda: tf.train.MomentumOptimizer(0.1, 0.9), "ApplyMomentum"),
        (lambda: tf.train.RMSPropOptimizer(0.1), "ApplyRMSProp"),
        (lambda: tf.train.AdagradOptimizer(0.1), "ApplyAdagrad"),
    ],
)
def test_filter_gradient_and_update_are_one_kernel(make: Any, update: str) -> None:
    x, w = fed(8, 8, 3), variable(3, 3, 3, 16)
    step = make().minimize(tf.nn.l2_loss(tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME")))
    ((types),) = (types for kind, types in kernels_of(step, x) if kind == "conv2d_backprop_filter")
    assert types[-1] == update


def test_a_fetched_gradient_is_still_made_where_it_is_used() -> None:
    x, w = fed(20), variable(20, 8)
    loss = tf.nn.l2_loss(tf.matmul(x, w))
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    pairs = optimizer.compute_gradients(loss)
    kernels = kernels_of([optimizer.apply_gradients(pairs), pairs[0][0]], x)
    assert ("matmul", ["MatMul", "ApplyGradientDescent"]) in kernels


def test_operand_that_is_no_matrix_refuses() -> None:
    x, w = fed(4, 6, 8), variable(3, 3, 8, 8)
    y = tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME") + tf.transpose(x, [0, 1, 2, 3])[:, ::-1]
    kernels = kernels_of(y, x)
    assert kernels[0][0] == "conv2d"
    assert kernels[-1] == ("pointwise", ["Add"])
    assert any("rows and columns" in reason for reason in reasons(y, x))


def test_dropout_goes_with_what_uses_it() -> None:
    x, w = fed(20), variable(20, 8)
    y = tf.nn.dropout(tf.nn.relu(tf.matmul(x, w)), keep_prob=0.5)
    kinds = [kind for kind, _ in kernels_of(y, x)]
    assert kinds == ["random", "matmul"]


# --- convexity ------------------------------------------------------------------------------------------------


def test_no_group_around_another_kernel() -> None:
    """exp -> pool -> add, exp -> add: exp and add in one kernel would have to run before and after the pool."""
    x = fed(4, 4, 2)
    y = tf.exp(x)
    z = y + tf.nn.max_pool(y, [1, 2, 2, 1], [1, 1, 1, 1], "SAME")
    assert [kind for kind, _ in kernels_of(z, x)] == ["pointwise", "max_pool", "pointwise"]
    assert any("a path through another kernel" in reason for reason in reasons(z, x))


def test_no_circle_of_two_groups() -> None:
    """Two merges that are fine one by one would make two groups that wait for each other."""
    x, y = fed(4, 4, 2), fed(4, 4, 2)

    def pool(v: Any) -> Any:
        return tf.nn.max_pool(v, [1, 2, 2, 1], [1, 1, 1, 1], "SAME")

    a, b = tf.exp(x), tf.tanh(y)
    found = groups([a + pool(b), b * pool(a)], x, y)
    check_groups(found)
    assert len(found) == 5  # two pools, and one of the two merges
    assert any("a path through another kernel" in refusal.reason for g in found for refusal in g.refusals)


def test_a_write_waits_for_every_reader_of_the_old_value() -> None:
    x, v = fed(20), variable(20)
    old = tf.exp(x + v)  # in the order before the update
    update = tf.assign(v, tf.reduce_mean(old, 0))
    position = {n.type: i for i, g in enumerate(groups([old, update.op], x)) for n in g.nodes}
    assert position["Exp"] <= position["Assign"]
    again = tf.reduce_mean(v * 2.0)
    position = {n.type: i for i, g in enumerate(groups([again, update.op], x)) for n in g.nodes}
    assert position["Mul"] <= position["Assign"]


def check_groups(found: tuple[Group, ...]) -> None:
    """Groups read only what earlier groups, or nodes before them in theirs, have made; only cheap nodes are in several."""
    homes: dict[Any, list[int]] = {}
    for i, group in enumerate(found):
        assert len(group.nodes) == len(set(group.nodes))
        for node in group.nodes:
            homes.setdefault(node, []).append(i)
    again = {node for node, places in homes.items() if len(places) > 1}
    assert all(node.opdef.is_pure or node in found[homes[node][0]].drawn for node in again)
    for i, group in enumerate(found):
        for node in group.nodes:
            stack = [v.op for v in node.data_inputs()]
            while stack:
                source = stack.pop()
                if source in homes:
                    assert min(homes[source]) < i or (i in homes[source] and source.id < node.id)
                else:
                    stack += [v.op for v in source.data_inputs()]


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_groups_of_random_graphs_are_in_order(drawn: Any) -> None:
    with tf.Graph().as_default():
        inputs, fetches = drawn.build(tf, "float32")
        shapes = {x: array.shape for x, array in zip(inputs, drawn.arrays(3, "float32"), strict=True)}
        check_groups(tuple(kernel.group for kernel in program_of(fetches, shapes).kernels))


# --- whole nets: kernels per training step --------------------------------------------------------------------


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_groups_of_nets_are_in_order(net: Any) -> None:
    built = net()
    check_groups(groups(built.fetches, *built.shapes))


def test_mlp_step() -> None:
    """Three layers forward, the loss, two input gradients, six updates: nothing runs on its own that could be fused."""
    net = NETS["mlp"]()
    kernels = kernels_of(net.fetches[:2], *net.shapes)
    kinds = [kind for kind, _ in kernels]
    assert kinds.count("matmul") == 3 + 2 + 3
    assert kinds.count("rows") == 1
    updates = [kind for kind, types in kernels if "ApplyAdam" in types]
    assert sorted(updates) == ["matmul"] * 3 + ["rows"]  # those of the biases too
    assert [types for kind, types in kernels if kind == "pointwise"] == [["Mul", "Mul", "Assign", "Assign"]]
