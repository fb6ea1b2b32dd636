"""The order of kernels: valid, no worse than the one that came in, and such that training needs little memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import tfgraph as tf
from tests._nets import NETS
from tests._programs import N, after, program_of, roots_of
from tests._random_graphs import graphs
from tfgraph.codegen.index import access_of
from tfgraph.codegen.ir import Group, Roots
from tfgraph.codegen.passes.group_kernels import group_kernels
from tfgraph.codegen.passes.order_kernels import order_kernels
from tfgraph.codegen.passes.place_copies import variable_of
from tfgraph.codegen.passes.plan_memory import external_values
from tfgraph.codegen.target import NOMINAL_BATCH
from tfgraph.shapes import at_batch

pytestmark = pytest.mark.usefixtures("graph")


def most_alive(groups: Sequence[Group], roots: Roots) -> int:
    """The most bytes, at the nominal batch size, that are alive during one kernel: written by it or before, read by it or
    after."""
    external = external_values(groups, roots)
    sizes: dict[Any, int] = {}
    first: dict[Any, int] = {}
    last: dict[Any, int] = {}
    for i, (reads, writes) in enumerate(external):
        for value in writes:
            if value not in roots.fetches:
                sizes[value] = int(np.prod(at_batch(value.dims, NOMINAL_BATCH), dtype=np.int64)) * value.dtype.size
                first[value] = last[value] = i
        for value in reads:
            if value in last:
                last[value] = i
    return max(
        (sum(size for v, size in sizes.items() if first[v] <= i <= last[v]) for i in range(len(groups))), default=0
    )


def check_order(groups: Sequence[Group], roots: Roots) -> None:
    """What is read has been written, and a variable is read by all who want its old value before it is written."""
    external = external_values(groups, roots)
    made = {value for _, writes in external for value in writes}
    seen: set[Any] = set()
    version: dict[Any, int] = {}
    for group, (reads, writes) in zip(groups, external, strict=True):
        assert all(value in seen for value in reads if value in made)
        seen.update(writes)
        for node in group.nodes:
            for read in (access_of(v).base.op for v in node.data_inputs() if not v.dtype.is_ref):
                if read.type == "_Read":
                    variable = variable_of(read.inputs[0])
                    assert read.attr("version") == version.get(variable, 0), f"{node} reads {variable} at the wrong time"
        for node in group.nodes:
            for variable in (variable_of(v) for v in node.inputs if v.dtype.is_ref):
                if node.opdef.effect == "write":
                    version[variable] = version.get(variable, 0) + 1


def check(fetches: Any, feeds: Any) -> tuple[int, int]:
    """Both orders' bytes, the earlier one's first."""
    roots = after(roots_of(fetches, feeds))
    groups = group_kernels(roots)
    ordered = order_kernels(groups, roots)
    assert sorted(map(id, ordered)) == sorted(map(id, groups))
    check_order(ordered, roots)
    before, now = most_alive(groups, roots), most_alive(ordered, roots)
    assert now < before or ordered == groups
    return before, now


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_random_graphs(drawn: Any) -> None:
    with tf.Graph().as_default():
        inputs, fetches = drawn.build(tf, "float32")
        v = tf.Variable(np.ones(3, np.float32))
        total = tf.add_n([tf.reduce_sum(tf.tanh(value)) for value in fetches])
        step = tf.train.MomentumOptimizer(0.1, 0.9).minimize(tf.nn.l2_loss(v * total))
        shapes = {x: array.shape for x, array in zip(inputs, drawn.arrays(3, "float32"), strict=True)}
        check([*fetches, step], shapes)


def test_a_path_may_lead_through_a_group_of_earlier_nodes() -> None:
    """The path that forbids a merge enters a group by a late node and leaves it by an early one."""
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None, 5, 4, 1])
        pooled = tf.nn.avg_pool(x, [1, 1, 1, 1], [1, 1, 1, 1], "SAME")
        made = [tf.cumsum(tf.atan(tf.nn.leaky_relu(x, 0.25))), pooled, tf.nn.leaky_relu(x, 0.25)]
        fetches = [*made, *tf.gradients(tf.add_n([tf.reduce_sum(tf.square(tf.tanh(value))) for value in made]), [x])]
        v = tf.Variable(np.ones(3, np.float32))
        total = tf.add_n([tf.reduce_sum(tf.tanh(value)) for value in fetches])
        step = tf.train.MomentumOptimizer(0.1, 0.9).minimize(tf.nn.l2_loss(v * total))
        check([*fetches, step], {x: (N, 5, 4, 1)})


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_nets(net: Any) -> None:
    built = net()
    check(built.fetches, {x: (N, *shape) for x, shape in built.shapes.items()})


def test_training_a_deep_net_needs_its_activations_and_two_gradients() -> None:
    """One layer's gradient is used up before the next one is made, not kept until all weights are updated."""
    layers, width = 10, 64
    x = y = tf.placeholder(tf.float32, [None, width])
    rng = np.random.default_rng(0)
    for _ in range(layers):
        y = tf.nn.relu(tf.matmul(y, tf.Variable(rng.normal(size=(width, width)).astype(np.float32))))
    step = tf.train.GradientDescentOptimizer(0.1).minimize(tf.nn.l2_loss(y))
    program = program_of([step], {x: (8, width)})
    assert program.batch_bytes <= (layers + 2) * width * 4


def test_no_variable_changes_before_a_check_that_came_first() -> None:
    x = y = tf.placeholder(tf.float32, [None, 32])
    for _ in range(4):
        y = tf.tanh(tf.matmul(y, tf.Variable(np.eye(32, dtype=np.float32))))
    labels = tf.placeholder(tf.int32, [None])
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=y))
    checked = tf.check_numerics(loss, "loss")
    step = tf.train.AdamOptimizer(0.1).minimize(checked)
    program = program_of([step, checked], {x: (8, 32), labels: (8,)})
    effects = [{n.opdef.effect for n in kernel.group.nodes} for kernel in program.kernels]
    checks = [i for i, found in enumerate(effects) if "check" in found]
    assert len(checks) >= 2
    assert max(checks) < min(i for i, found in enumerate(effects) if "write" in found)


def test_checks_keep_their_order() -> None:
    """Of several that fail, the one that came first is reported, however early the operands of another can be given up."""
    x = tf.placeholder(tf.float32, [None, 8])
    products = [tf.matmul(x, tf.Variable(np.ones((8, width), np.float32))) for width in (64, 32, 16)]
    sums = [tf.reduce_sum(tf.check_numerics(y, "product")) for y in products]
    feeds = {x: (N, 8)}
    roots = after(roots_of(sums, feeds))
    order = order_kernels(group_kernels(roots), roots)
    checks = [n.id for group in order for n in group.nodes if n.opdef.effect == "check"]
    assert len(checks) == 3
    assert checks == sorted(checks)
