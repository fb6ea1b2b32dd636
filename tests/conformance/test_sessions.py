"""What a session does with a graph: order of effects, branches, feeds of any tensor, scopes, collections, fetches."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.conformance._both import assert_same, tfgraph

pytestmark = pytest.mark.conformance

Pair = namedtuple("Pair", ["first", "second"])


def initialised(tf: Any) -> Any:
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    return session


# --- order of effects -----------------------------------------------------------------------------------------------


def updates_in_order(tf: Any) -> Any:
    """Control dependencies decide what a read sees."""
    v = tf.Variable(1.0)
    double = v.assign(v * 2.0)
    with tf.control_dependencies([double]):
        add = v.assign_add(10.0)
        with tf.control_dependencies([add]):
            after = v.read_value()
            shown = tf.identity(v.value())  # the same node as before, read when its turn comes
    with initialised(tf) as session:
        return [session.run(after), session.run(v), session.run([after, add, double])[0], session.run(v), shown.name]


def updates_return_the_new_value(tf: Any) -> Any:
    v = tf.Variable([1.0, 2.0])
    with initialised(tf) as session:
        return [
            session.run(f)
            for f in (
                v.assign([3.0, 4.0]), tf.assign_add(v, [1.0, 1.0]), tf.assign_sub(v, [0.5, 0.25]), v, v + v,
                tf.assign(v, v * 3.0), v.assign_add(v), v,
            )
        ]  # fmt: skip


def groups_and_tuples(tf: Any) -> Any:
    v, w = tf.Variable(0.0), tf.Variable(0.0)
    both = tf.group(v.assign_add(1.0), w.assign_add(2.0))
    with tf.control_dependencies([both]):
        total = v.read_value() + w.read_value()
    x, _ = tf.tuple([tf.constant(5.0), v.assign_add(100.0)])
    with initialised(tf) as session:
        results = [session.run(both), session.run([v, w]), session.run(total), session.run(x), session.run([v, w])]
        both.run(session=session)
        return [*results, session.run([v, w])]


def a_loss_is_that_before_the_step(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [None, 2])
    w = tf.Variable([[1.0], [-2.0]])
    loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - 1.0))
    step = tf.Variable(0, trainable=False)
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss, global_step=step)
    with tf.control_dependencies([train]):
        count = tf.identity(step.read_value())
    feeds = {x: [[1.0, 2.0], [3.0, -1.0]]}
    with initialised(tf) as session:
        first = session.run([train, loss], feeds)[1]
        again = session.run([loss, train], feeds)[0]
        return [first, again, session.run([count], feeds), session.run([step, w])]


def a_variable_is_that_after_the_step(tf: Any) -> Any:
    """Whatever of it is fetched; what is computed of it and waited for by the step is from before."""
    w = tf.Variable([[1.0], [-2.0]])
    before = w * 1.0
    step = tf.Variable(0, trainable=False)
    train = tf.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(tf.square(w)), global_step=step)
    with tf.control_dependencies([before]):
        double = w.assign(w * 2.0)
    with initialised(tf) as session:
        first = session.run([step, train, w, w.value(), tf.identity(w), step.op.outputs[0]])
        return [first[:1] + first[2:], session.run([w, before, double]), session.run([step, w])]


def what_waits_for_a_step_sees_what_it_leaves(tf: Any) -> Any:
    v = tf.Variable([1.0, 2.0])
    train = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(v))
    averages = tf.train.ExponentialMovingAverage(0.5)
    with tf.control_dependencies([train]):
        double, update = v * 2.0, averages.apply([v])
    with initialised(tf) as session:
        return [session.run([double, update])[0], session.run(double), session.run([averages.average(v), v])]


def initial_values_in_order(tf: Any) -> Any:
    """Variables made of others' initial values need no care about the order of their initialisers."""
    a = tf.Variable(tf.random_normal([3], seed=5))
    b = tf.Variable(a.initialized_value() * 2.0)
    c = tf.Variable(lambda: tf.ones([2]) * 3.0)
    with tf.Session() as session:
        before = session.run([tf.is_variable_initialized(v) for v in (a, b)])
        missing = session.run(tf.report_uninitialized_variables())
        session.run(tf.variables_initializer([b, a, c]))
        x, y = session.run([a, b])
        session.run(a.initializer)  # the next random numbers
        later = session.run(tf.report_uninitialized_variables())
        return [before, missing, bool(np.all(y == 2 * x)), bool(np.any(session.run(a) != x)), later, session.run(c)]


def variables_of_two_sessions(tf: Any) -> Any:
    v = tf.Variable(1.0)
    first, second = initialised(tf), initialised(tf)
    first.run(v.assign(5.0))
    v.load(7.0, second)
    return [first.run(v), second.run(v), v.eval(first), v.eval(session=second)]


# --- branches -----------------------------------------------------------------------------------------------------------


def branches_with_effects(tf: Any) -> Any:
    """Only the taken branch's updates happen; what both branches use from outside happens either way."""
    p = tf.placeholder(tf.bool, [])
    v, w = tf.Variable(0.0), tf.Variable(0.0)
    outside = w.assign_add(1.0)
    y = tf.cond(p, lambda: v.assign_add(10.0) + outside, lambda: v.assign_sub(1.0) - outside)
    z = tf.cond(p, lambda: tf.constant([1, 2]), lambda: tf.constant([3, 4]))
    with initialised(tf) as session:
        results = [session.run([y, z], {p: taken}) + session.run([v, w]) for taken in (True, False, True, False, False)]
        return [*results, session.run(z, {p: True}), session.run([v, w])]


def nested_branches(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [])

    def size(name: str) -> Any:
        return tf.constant(name)

    small = tf.cond(x < 1.0, lambda: size("small"), lambda: tf.cond(x < 10.0, lambda: size("medium"), lambda: size("large")))
    chosen = tf.case([(x < 1.0, lambda: x), (x < 10.0, lambda: x * 10.0)], default=lambda: x * 100.0)
    slope = tf.gradients(chosen, x)[0]
    with tf.Session() as session:
        return [session.run([small, chosen, slope], {x: value}) for value in (0.5, 5.0, 50.0)]


def branches_over_batches(tf: Any) -> Any:
    training = tf.placeholder_with_default(False, [])
    x = tf.placeholder(tf.float32, [None, 3])
    y = tf.cond(training, lambda: tf.nn.dropout(x, 0.5, seed=3), lambda: tf.identity(x))
    with tf.Session() as session:
        rows = [np.ones((n, 3)) for n in (4, 1, 7)]
        return [session.run(y, {x: r, training: t}) for r in rows for t in (True, False)] + [session.run(y, {x: rows[0]})]


# --- feeds ----------------------------------------------------------------------------------------------------------------


def feeds_of_any_tensor(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    c, v = tf.constant([1.0, 2.0], name="c"), tf.Variable([5.0, 6.0], name="v")
    h = tf.nn.relu(x + c, name="h")
    y = h * v
    with tf.Session() as session:
        return [
            session.run(y, {h: [[1.0, 2.0]], v: [10.0, 20.0]}),
            session.run(y, {x: [[1.0, -9.0]], c: [0.5, 0.5], "v:0": [1.0, 1.0]}),
            session.run([h, x], {"x:0": [[0.0, 0.0]]}),
            session.run([h, y], {h: [[7.0, 8.0]], v.name: [1.0, 2.0]}),
            session.run("h:0", {x: np.zeros((0, 2))}),
            session.run(v, {v: [3.0, 4.0]}),
        ]


def feeds_of_every_kind(tf: Any) -> Any:
    f, i, b = tf.placeholder(tf.float32), tf.placeholder(tf.int32), tf.placeholder(tf.bool)
    s, d = tf.placeholder(tf.string), tf.placeholder(tf.float64)
    tensors = [tf.identity(t) for t in (f, i, b, s, d)]
    with tf.Session() as session:
        return [
            session.run(tensors, {f: 1, i: 2, b: 1, s: "text", d: 3}),
            session.run(tensors, {f: [1, 2], i: np.int32(7), b: [True, 0], s: ["a", "bc"], d: np.float32(0.1)}),
            session.run([f, d], {f: np.float64(0.1), d: [[1], [2]]}),
            session.run(tf.shape(f), {f: np.zeros((2, 0, 3))}),
        ]


def defaults(tf: Any) -> Any:
    rate = tf.placeholder_with_default(0.5, [])
    rows = tf.placeholder_with_default([[1.0, 2.0]], [None, 2])
    y = tf.reduce_sum(rows, 0) * rate
    with tf.Session() as session:
        return [session.run(y), session.run(y, {rate: 2.0}), session.run([y, rows], {rows: np.ones((5, 2))}), y.shape.as_list()]


# --- fetches ------------------------------------------------------------------------------------------------------------


def fetch_structures(tf: Any) -> Any:
    a, b = tf.constant(1.0, name="a"), tf.constant([1, 2], name="b")
    v = tf.Variable(3.0, name="v")
    with initialised(tf) as session:
        return [
            session.run(a), session.run([a]), session.run((a, [b, (v,)])), session.run({"x": a, "y": [b, {"z": a}]}),
            session.run([]), session.run({}), session.run([a, a, v, v]), session.run("a:0"), session.run(["a", "b:0"]),
            session.run(Pair(a, [b, tf.no_op()])), session.run(tf.constant(["x", "yz"])).tolist(), session.run(tf.constant("x")),
            session.run([v.op.outputs[0], v.initializer]), session.run(tf.constant([True, False])),
            [type(r).__name__ for r in session.run([a, b, tf.constant(True), tf.constant("s"), tf.no_op()])],
            session.run([tf.shape(b), tf.size(b), tf.rank(b)]), session.run(session.graph.get_tensor_by_name("b:0")),
        ]  # fmt: skip


def a_graph_grows_between_runs(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [None])
    y = x * 2.0
    with tf.Session() as session:
        results = [session.run(y, {x: [1.0, 2.0]})]
        z = y + 1.0
        results.append(session.run(z, {x: [1.0]}))
        v = tf.Variable(tf.ones([2]))
        session.run(v.initializer)
        return [*results, session.run([z, z * v], {x: [3.0, 4.0]}), session.run(tf.gradients(z, x)[0], {x: [1.0, 5.0]})]


def callables(tf: Any) -> Any:
    x, y = tf.placeholder(tf.float32), tf.placeholder(tf.float32)
    with tf.Session() as session:
        call = session.make_callable([x + y, {"d": x - y}] if tf is tfgraph else [x + y, x - y], [x, y])
        found = call(5.0, 3.0)
        return [found[0], found[1]["d"] if isinstance(found[1], dict) else found[1]]


def partial_shapes(tf: Any) -> Any:
    """Placeholders of unknown rank and size take one shape in this run and another in the next."""
    x, y = tf.placeholder(tf.float32), tf.placeholder(tf.float32, [None, None, 2])
    outputs = [tf.reduce_sum(x), x * 2.0, tf.shape(x), tf.transpose(y), tf.reshape(y, [-1, 2]), y[:, -1], tf.reduce_mean(y, [0, 1])]
    shapes = [t.shape.as_list() if t.shape.ndims is not None else None for t in outputs]
    with tf.Session() as session:
        feeds = [
            {x: 3.0, y: np.arange(12.0).reshape(2, 3, 2)},
            {x: np.ones((2, 2)), y: np.ones((1, 1, 2))},
            {x: [1.0], y: np.arange(8.0).reshape(1, 4, 2)},
        ]
        return [shapes, *(session.run(outputs, feed) for feed in feeds)]


# --- scopes, collections, devices -----------------------------------------------------------------------------------


def scopes(tf: Any) -> Any:
    names = []
    with tf.variable_scope("net", initializer=tf.constant_initializer(0.5), regularizer=lambda w: tf.nn.l2_loss(w)) as net:
        a = tf.get_variable("a", [2])
        with tf.variable_scope("inner", initializer=tf.ones_initializer()):
            b = tf.get_variable("b", [2], trainable=False)
            names += [tf.add(a, b).name, tf.get_variable_scope().name]
        with tf.name_scope("only_names"):
            c = tf.get_variable("c", [], regularizer=lambda w: None)
            names.append(tf.constant(1.0).name)
    with tf.variable_scope(net, reuse=True):
        again = tf.get_variable("a")
        names.append(tf.constant(2.0).name)
    with tf.variable_scope("net", reuse=tf.AUTO_REUSE):
        d = tf.get_variable("d", initializer=[1.0, 2.0])
        e = tf.get_variable("a", [2])
        names.append(tf.get_variable_scope().reuse is tf.AUTO_REUSE)
    with tf.variable_scope(None, default_name="layer"), tf.variable_scope(tf.get_variable_scope(), reuse=False):
        f = tf.get_variable("f", [1], dtype=tf.float64)
    with initialised(tf) as session:
        return [
            names, [v.name for v in (a, b, c, d, e, f)], again is a, [v.op.type for v in (a, f)], session.run([a, b, c, d]),
            [v.name for v in tf.global_variables()], [v.name for v in tf.trainable_variables()],
            [t.name for t in tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)],
            session.run(tf.losses.get_regularization_loss()), [v.name for v in tf.global_variables("net/")],
        ]  # fmt: skip


def collections(tf: Any) -> Any:
    with tf.name_scope("block"):
        tf.add_to_collection("things", tf.constant(1.0))
        tf.add_to_collection("things", 3)
    tf.add_to_collection("things", tf.constant(2.0))
    v = tf.Variable(1.0, collections=["own", tf.GraphKeys.LOCAL_VARIABLES])
    step = tf.train.get_or_create_global_step()
    tf.losses.add_loss(tf.constant(4.0))
    graph = tf.get_default_graph()
    names = [getattr(t, "name", t) for t in tf.get_collection("things")]
    inside = [t.name for t in tf.get_collection("things", scope="block")]
    return [
        names, inside, [t.name for t in tf.get_collection("own")], [t.name for t in tf.local_variables()],
        [t.name for t in tf.global_variables()], sorted(str(k) for k in graph.get_all_collection_keys()),
        tf.train.get_global_step() is step, tf.losses.get_total_loss().name, tf.get_collection("none"), v.name,
        tf.get_collection_ref("things") is tf.get_collection_ref("things"),
    ]  # fmt: skip


def graphs_and_defaults(tf: Any) -> Any:
    outer = tf.get_default_graph()
    a = tf.constant(1.0, name="a")
    other = tf.Graph()
    with other.as_default():
        b = tf.constant(2.0, name="a")
        inside = tf.get_default_graph() is other
        with outer.as_default():
            c = a + 1.0
    with tf.Session(graph=other) as session:
        values = [session.run(b), session.run("a:0"), tf.get_default_session() is session, tf.get_default_graph() is other]
        value = b.eval()
    with tf.Session() as session:
        values += [c.eval(), session.graph is outer, session.run("add:0")]
    return [inside, a.graph is outer, b.graph is other, values, value, tf.get_default_session() is None, c.name]


def descriptions(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [None, 4], name="x")
    u, v = tf.placeholder(tf.int32), tf.Variable([1.0], name="v")
    op = tf.matmul(x, tf.zeros([4, 3]), name="product").op
    return [
        str(x), repr(x), str(u), repr(u), repr(v), str(x.dtype), repr(x.dtype), str(x.shape), repr(v.dtype), op.name, op.type,
        [t.name for t in op.inputs], [t.name for t in op.outputs], op.get_attr("transpose_a"), str(op.outputs[0].shape),
        [c.name for c in x.consumers()], x.op.get_attr("dtype").name, v.op.type, v.initializer.name, v.value().name, op.device,
        tf.as_dtype("float").name, tf.float32.is_floating, tf.int64.max, x.shape.is_fully_defined(), x.shape[1].value,
    ]  # fmt: skip


def devices(tf: Any) -> Any:
    with tf.device("/cpu:0"):
        a = tf.constant(1.0)
        with tf.device(None):
            b = tf.constant(2.0)
    with tf.device("/device:GPU:3"):
        c = a + b
    config = tf.ConfigProto(allow_soft_placement=True)
    with tf.Session(config=config) as session:
        return [a.device, b.device, c.device, session.run(c)]


SCRIPTS: list[Callable[[Any], Any]] = [
    updates_in_order, updates_return_the_new_value, groups_and_tuples, a_loss_is_that_before_the_step,
    a_variable_is_that_after_the_step, what_waits_for_a_step_sees_what_it_leaves, initial_values_in_order, variables_of_two_sessions, branches_with_effects, nested_branches, branches_over_batches,
    feeds_of_any_tensor, feeds_of_every_kind, defaults, fetch_structures, a_graph_grows_between_runs, callables,
    partial_shapes, scopes, collections, graphs_and_defaults, descriptions, devices,
]  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_script(script: Callable[[Any], Any]) -> None:
    assert_same(script)
