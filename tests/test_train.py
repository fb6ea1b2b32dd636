"""Training: every optimizer against its formula in float64 NumPy, schedules, averages, the global step, names, errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tfgraph as tf

Array = np.ndarray
State = dict[str, Array]


@pytest.fixture(params=["interpreter", "compiled"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TFGRAPH_BACKEND", request.param)
    return request.param


@pytest.fixture(autouse=True)
def graph() -> Iterator[tf.Graph]:
    with tf.Graph().as_default() as graph:
        yield graph


# --- the formulas -----------------------------------------------------------------------------------------------------
# each takes w, its gradient, the number of the step (from 1) and the optimizer's memory; it gives the new w


def gradient_descent(w: Array, g: Array, t: int, s: State) -> Array:
    return w - 0.1 * g


def momentum(w: Array, g: Array, t: int, s: State) -> Array:
    s["momentum"] = 0.9 * s.get("momentum", 0 * w) + g
    return w - 0.1 * s["momentum"]


def nesterov(w: Array, g: Array, t: int, s: State) -> Array:
    s["momentum"] = 0.9 * s.get("momentum", 0 * w) + g
    return w - 0.1 * (g + 0.9 * s["momentum"])


def adam(w: Array, g: Array, t: int, s: State) -> Array:
    s["m"] = 0.8 * s.get("m", 0 * w) + 0.2 * g
    s["v"] = 0.95 * s.get("v", 0 * w) + 0.05 * g**2
    rate = 0.05 * math.sqrt(1 - 0.95**t) / (1 - 0.8**t)
    return w - rate * s["m"] / (np.sqrt(s["v"]) + 1e-3)


def adagrad(w: Array, g: Array, t: int, s: State) -> Array:
    s["accumulator"] = s.get("accumulator", 0 * w + 0.2) + g**2
    return w - 0.1 * g / np.sqrt(s["accumulator"])


def rms_prop(w: Array, g: Array, t: int, s: State) -> Array:
    s["rms"] = 0.8 * s.get("rms", 0 * w + 1) + 0.2 * g**2
    s["momentum"] = 0.5 * s.get("momentum", 0 * w) + 0.01 * g / np.sqrt(s["rms"] + 1e-2)
    return w - s["momentum"]


def centered_rms_prop(w: Array, g: Array, t: int, s: State) -> Array:
    s["rms"] = 0.8 * s.get("rms", 0 * w + 1) + 0.2 * g**2
    s["mg"] = 0.8 * s.get("mg", 0 * w) + 0.2 * g
    s["momentum"] = 0.5 * s.get("momentum", 0 * w) + 0.01 * g / np.sqrt(s["rms"] - s["mg"] ** 2 + 1e-2)
    return w - s["momentum"]


def adadelta(w: Array, g: Array, t: int, s: State) -> Array:
    s["accum"] = 0.9 * s.get("accum", 0 * w) + 0.1 * g**2
    step = np.sqrt(s.get("accum_update", 0 * w) + 1e-4) / np.sqrt(s["accum"] + 1e-4) * g
    s["accum_update"] = 0.9 * s.get("accum_update", 0 * w) + 0.1 * step**2
    return w - 0.5 * step


def ftrl_with(power: float, l1: float, l2: float, shrinkage: float) -> Callable[[Array, Array, int, State], Array]:
    def ftrl(w: Array, g: Array, t: int, s: State) -> Array:
        old = s.get("accum", 0 * w + 0.1)
        s["accum"] = old + g**2
        sigma = (s["accum"] ** -power - old**-power) / 0.3
        s["linear"] = s.get("linear", 0 * w) + g + 2 * shrinkage * w - sigma * w
        outside = np.abs(s["linear"]) > l1
        solution = (np.sign(s["linear"]) * l1 - s["linear"]) / (s["accum"] ** -power / 0.3 + 2 * l2)
        return np.where(outside, solution, 0)

    return ftrl


def soft_threshold(x: Array, size: Any) -> Array:
    return np.where(x > size, x - size, np.where(x < -size, x + size, 0))


def proximal_gradient_descent(w: Array, g: Array, t: int, s: State) -> Array:
    return soft_threshold(w - 0.1 * g, 0.1 * 0.3) / (1 + 0.1 * 0.4)


def proximal_adagrad(w: Array, g: Array, t: int, s: State) -> Array:
    s["accumulator"] = s.get("accumulator", 0 * w + 0.1) + g**2
    rate = 0.1 / np.sqrt(s["accumulator"])
    return soft_threshold(w - rate * g, rate * 0.3) / (1 + rate * 0.4)


def adagrad_dual_averaging(w: Array, g: Array, t: int, s: State) -> Array:
    s["gradient_accumulator"] = s.get("gradient_accumulator", 0 * w) + g
    s["gradient_squared_accumulator"] = s.get("gradient_squared_accumulator", 0 * w + 0.1) + g**2
    total = soft_threshold(s["gradient_accumulator"], 0.02 * t)
    return -0.1 * total / (0.04 * t * 0.1 + np.sqrt(s["gradient_squared_accumulator"]))


T = tf.train
OPTIMIZERS: dict[str, tuple[Callable[[Any], Any], Callable[[Array, Array, int, State], Array]]] = {
    "gradient descent": (lambda step: T.GradientDescentOptimizer(0.1), gradient_descent),
    "momentum": (lambda step: T.MomentumOptimizer(0.1, 0.9), momentum),
    "nesterov": (lambda step: T.MomentumOptimizer(0.1, 0.9, use_nesterov=True), nesterov),
    "adam": (lambda step: T.AdamOptimizer(0.05, 0.8, 0.95, 1e-3), adam),
    "adagrad": (lambda step: T.AdagradOptimizer(0.1, 0.2), adagrad),
    "rmsprop": (lambda step: T.RMSPropOptimizer(0.01, 0.8, 0.5, 1e-2), rms_prop),
    "centered rmsprop": (lambda step: T.RMSPropOptimizer(0.01, 0.8, 0.5, 1e-2, centered=True), centered_rms_prop),
    "adadelta": (lambda step: T.AdadeltaOptimizer(0.5, 0.9, 1e-4), adadelta),
    "ftrl": (lambda step: T.FtrlOptimizer(0.3), ftrl_with(-0.5, 0.0, 0.0, 0.0)),
    "ftrl with penalties": (
        lambda step: T.FtrlOptimizer(0.3, -0.4, l1_regularization_strength=0.2, l2_regularization_strength=0.1),
        ftrl_with(-0.4, 0.2, 0.1, 0.0),
    ),
    "ftrl with shrinkage": (
        lambda step: T.FtrlOptimizer(0.3, l1_regularization_strength=0.2, l2_shrinkage_regularization_strength=0.3),
        ftrl_with(-0.5, 0.2, 0.0, 0.3),
    ),
    "proximal gradient descent": (
        lambda step: T.ProximalGradientDescentOptimizer(0.1, 0.3, 0.4),
        proximal_gradient_descent,
    ),
    "proximal adagrad": (lambda step: T.ProximalAdagradOptimizer(0.1, 0.1, 0.3, 0.4), proximal_adagrad),
    "adagrad dual averaging": (lambda step: T.AdagradDAOptimizer(0.1, step, 0.1, 0.02, 0.04), adagrad_dual_averaging),
}
TARGET = np.array([[0.4, -2.0, 0.0], [1.0, 3.0, -0.01]])
START = np.array([[1.0, -1.0, 0.5], [2.0, -0.3, 0.02]])
SCALE = np.array([1.0, 0.5, 3.0])


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_optimizers_follow_their_formulas(name: str, dtype: Any, backend: str) -> None:
    """Six steps on sum(scale * (w - target)^2) / 2, whose gradient is scale * (w - target)."""
    make, formula = OPTIMIZERS[name]
    w = tf.Variable(START.astype(dtype), name="w")
    step = tf.train.get_or_create_global_step()
    loss = tf.reduce_sum(SCALE.astype(dtype) * tf.square(w - TARGET.astype(dtype))) * 0.5
    # as in TensorFlow, a rate given as a number is rounded to float32 on its way to a float64 variable
    tolerance = 2e-6
    optimizer = make(step)
    train = optimizer.minimize(loss, global_step=step)
    expected, memory = START.copy(), {}
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for t in range(1, 7):
            sess.run(train)
            expected = formula(expected, SCALE * (expected - TARGET), t, memory)
            np.testing.assert_allclose(sess.run(w), expected, rtol=tolerance * t, atol=tolerance)
        assert sess.run(step) == 6
        assert optimizer.get_slot_names() == sorted(memory)
        for slot, value in memory.items():
            found = sess.run(optimizer.get_slot(w, slot))
            assert found.dtype == dtype
            np.testing.assert_allclose(found, value, rtol=2e-5, atol=1e-6)


def test_rates_may_change_from_step_to_step(backend: str) -> None:
    w, rate = tf.Variable(1.0), tf.placeholder(tf.float32, [])
    train = tf.train.GradientDescentOptimizer(rate).minimize(w * w)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        expected = 1.0
        for value in (0.1, 0.25, 0.01):
            sess.run(train, {rate: value})
            expected -= value * 2 * expected
        assert sess.run(w) == pytest.approx(expected, rel=1e-6)


def test_a_fetched_loss_is_the_one_before_the_step(backend: str) -> None:
    w = tf.Variable(3.0)
    loss = w * w
    train = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        assert sess.run([train, loss]) == [None, 9.0]
        assert sess.run(loss) == 0.0


def test_constraints(backend: str) -> None:
    w = tf.Variable([3.0, -3.0], constraint=lambda v: tf.clip_by_value(v, 0.0, 1.0))
    train = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(w))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(train)
        assert sess.run(w).tolist() == [1.0, 0.0]


# --- names ------------------------------------------------------------------------------------------------------------


def test_nodes_of_adam(graph: tf.Graph) -> None:
    with tf.name_scope("net"):
        w = tf.Variable(tf.ones([2, 2]), name="W")
    loss = tf.reduce_sum(tf.matmul(w, w))
    optimizer = tf.train.AdamOptimizer()
    before = len(graph.get_operations())
    train = optimizer.minimize(loss)
    assert (train.name, train.type) == ("Adam", "NoOp")
    names = [op.name for op in graph.get_operations()[before:] if not op.name.startswith("gradients")]
    variables = ["beta1_power", "beta2_power", "net/W/Adam", "net/W/Adam_1"]
    assert names == [
        *[f"{v}{part}" for v in variables[:2] for part in ("/initial_value", "", "/Assign", "/read")],
        *[f"{v}{part}" for v in variables[2:] for part in ("/Initializer/zeros", "", "/Assign", "/read")],
        *[f"Adam/{scalar}" for scalar in ("learning_rate", "beta1", "beta2", "epsilon")],
        "Adam/update_net/W/ApplyAdam",
        "Adam/mul",
        "Adam/Assign",
        "Adam/mul_1",
        "Adam/Assign_1",
        "Adam",
    ]
    assert [v.name for v in optimizer.variables()] == [f"{v}:0" for v in variables]
    assert [op.name for op in graph.get_operation_by_name("Adam/mul").control_inputs] == ["Adam/update_net/W/ApplyAdam"]
    assert optimizer.get_name() == "Adam"
    assert optimizer.get_slot(w, "m").name == "net/W/Adam:0"
    assert optimizer.get_slot(w, "nothing") is None
    assert tf.get_collection(tf.GraphKeys.TRAIN_OP) == [train]
    assert tf.trainable_variables() == [w]


def test_names_with_a_global_step(graph: tf.Graph) -> None:
    w = tf.Variable(1.0, name="w")
    step = tf.train.create_global_step()
    train = tf.train.GradientDescentOptimizer(0.1).minimize(w * w, global_step=step)
    assert (train.name, train.type) == ("GradientDescent", "AssignAdd")
    assert [op.name for op in train.inputs[1].op.control_inputs] == ["GradientDescent/update"]


@pytest.mark.parametrize(
    ("make", "slots"),
    [
        (lambda: T.MomentumOptimizer(0.1, 0.9), {"momentum": "w/Momentum"}),
        (lambda: T.AdagradOptimizer(0.1), {"accumulator": "w/Adagrad"}),
        (lambda: T.RMSPropOptimizer(0.1), {"momentum": "w/RMSProp_1", "rms": "w/RMSProp"}),
        (
            lambda: T.RMSPropOptimizer(0.1, centered=True),
            {"mg": "w/RMSProp_1", "momentum": "w/RMSProp_2", "rms": "w/RMSProp"},
        ),
        (lambda: T.AdadeltaOptimizer(), {"accum": "w/Adadelta", "accum_update": "w/Adadelta_1"}),
        (lambda: T.FtrlOptimizer(0.1), {"accum": "w/Ftrl", "linear": "w/Ftrl_1"}),
    ],
)
def test_names_of_slots(make: Callable[[], Any], slots: dict[str, str]) -> None:
    w = tf.Variable(1.0, name="w")
    optimizer = make()
    optimizer.minimize(w * w)
    assert {slot: optimizer.get_slot(w, slot).op.name for slot in optimizer.get_slot_names()} == slots


def test_two_optimizers_of_one_kind() -> None:
    w = tf.Variable(1.0, name="w")
    first, second = tf.train.MomentumOptimizer(0.1, 0.9), tf.train.MomentumOptimizer(0.1, 0.9)
    assert [first.minimize(w * w).name, second.minimize(w * w).name] == ["Momentum", "Momentum_1"]
    assert [o.get_slot(w, "momentum").op.name for o in (first, second)] == ["w/Momentum", "w/Momentum_1"]


# --- the two halves of minimize ---------------------------------------------------------------------------------------


def test_gradients_may_be_changed_before_they_are_applied(backend: str) -> None:
    w, unused = tf.Variable([3.0, 4.0]), tf.Variable(1.0)
    optimizer = tf.train.GradientDescentOptimizer(1.0)
    pairs = optimizer.compute_gradients(tf.reduce_sum(w * w))
    assert [v for _, v in pairs] == [w, unused]
    assert pairs[1][0] is None
    train = optimizer.apply_gradients([(None if g is None else tf.clip_by_norm(g, 5.0), v) for g, v in pairs])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(train)
        np.testing.assert_allclose(sess.run(w), [0.0, 0.0], atol=1e-6)


def test_which_variables_are_trained(backend: str) -> None:
    a, b, c = tf.Variable(1.0), tf.Variable(1.0), tf.Variable(1.0, trainable=False)
    loss = a * b * c
    every = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
    only = tf.train.GradientDescentOptimizer(0.5).minimize(loss, var_list=[c])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(every)
        assert sess.run([a, b, c]) == [0.5, 0.5, 1.0]
        sess.run(only)
        assert sess.run([a, b, c]) == [0.5, 0.5, 0.875]


@pytest.mark.parametrize("gate", [0, 1, 2])
def test_gates_change_no_number(gate: int, backend: str) -> None:
    a, b = tf.Variable([[2.0]]), tf.Variable([[3.0]])
    train = tf.train.GradientDescentOptimizer(1.0).minimize(tf.matmul(a, b), gate_gradients=gate)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(train)
        assert sess.run([a, b]) == [[[-1.0]], [[1.0]]]


def test_errors() -> None:
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    with pytest.raises(ValueError, match=r"^No variables to optimize\.$"):
        optimizer.minimize(tf.constant(1.0))
    v = tf.Variable(1.0)
    unconnected = tf.constant(1.0, name="c")
    with pytest.raises(ValueError, match="No gradients provided") as caught:
        optimizer.minimize(unconnected)
    assert str(caught.value) == (
        "No gradients provided for any variable, check your graph for ops that do not support gradients, between variables "
        '["<tf.Variable \'Variable:0\' shape=() dtype=float32_ref>"] and loss Tensor("c:0", shape=(), dtype=float32).'
    )
    with pytest.raises(
        ValueError, match=r"Invalid type tf\.int32 for i:0, expected: \[tf\.float32, tf\.float64, tf\.float16"
    ):
        optimizer.minimize(tf.constant(1, name="i"))
    with pytest.raises(ValueError, match=r"gate_gradients must be one of: Optimizer\.GATE_NONE.*  Not 7"):
        optimizer.minimize(v * v, gate_gradients=7)
    with pytest.raises(ValueError, match=r"^No variables provided\.$"):
        optimizer.apply_gradients([])
    with pytest.raises(ValueError, match="No gradients provided for any variable: "):
        optimizer.apply_gradients([(None, v)])
    with pytest.raises(NotImplementedError, match="Trying to update a Tensor"):
        optimizer.minimize(v * v, var_list=[tf.constant(1.0)])
    with pytest.raises(ValueError, match="Must specify the optimizer name"):
        tf.train.GradientDescentOptimizer(0.1, name="")
    with pytest.raises(ValueError, match="needs to be negative or zero"):
        tf.train.FtrlOptimizer(0.1, learning_rate_power=0.5)
    with pytest.raises(ValueError, match="initial_accumulator_value must be positive"):
        tf.train.AdagradOptimizer(0.1, 0.0)


# --- schedules --------------------------------------------------------------------------------------------------------


def cycles(step: int) -> int:
    return max(1, math.ceil(step / 10))


def restarts(step: int, first: float, growth: float, height: float, alpha: float) -> float:
    """Counts periods one by one, where the graph sums a geometric series."""
    start, length, level = 0.0, first, 1.0
    while step >= start + length:
        start, length, level = start + length, length * growth, level * height
    wave = 0.5 * level * (1 + math.cos(math.pi * (step - start) / length))
    return 0.1 * ((1 - alpha) * wave + alpha)


SCHEDULES: dict[str, tuple[Callable[[Any], Any], Callable[[int], float]]] = {
    "exponential": (lambda g: T.exponential_decay(0.1, g, 10, 0.9), lambda t: 0.1 * 0.9 ** (t / 10)),
    "exponential stairs": (lambda g: T.exponential_decay(0.1, g, 10, 0.9, staircase=True), lambda t: 0.1 * 0.9 ** (t // 10)),
    "natural": (lambda g: T.natural_exp_decay(0.1, g, 10, 0.9), lambda t: 0.1 * math.exp(-0.9 * t / 10)),
    "natural stairs": (lambda g: T.natural_exp_decay(0.1, g, 10, 0.9, True), lambda t: 0.1 * math.exp(-0.9 * (t // 10))),
    "inverse": (lambda g: T.inverse_time_decay(0.1, g, 10, 0.9), lambda t: 0.1 / (1 + 0.9 * t / 10)),
    "inverse stairs": (lambda g: T.inverse_time_decay(0.1, g, 10, 0.9, True), lambda t: 0.1 / (1 + 0.9 * (t // 10))),
    "polynomial": (
        lambda g: T.polynomial_decay(0.1, g, 10, 0.01, power=2.0),
        lambda t: 0.09 * (1 - min(t, 10) / 10) ** 2 + 0.01,
    ),
    "polynomial cycles": (
        lambda g: T.polynomial_decay(0.1, g, 10, 0.01, cycle=True),
        lambda t: 0.09 * (1 - t / (10 * cycles(t))) + 0.01,
    ),
    "cosine": (
        lambda g: T.cosine_decay(0.1, g, 10, alpha=0.2),
        lambda t: 0.1 * (0.8 * 0.5 * (1 + math.cos(math.pi * min(t, 10) / 10)) + 0.2),
    ),
    "cosine restarts": (lambda g: T.cosine_decay_restarts(0.1, g, 4, 2.0, 0.8, 0.1), lambda t: restarts(t, 4, 2, 0.8, 0.1)),
    "cosine equal restarts": (lambda g: T.cosine_decay_restarts(0.1, g, 4, 1.0), lambda t: restarts(t, 4, 1, 1.0, 0.0)),
    "linear cosine": (
        lambda g: T.linear_cosine_decay(0.1, g, 10),
        lambda t: 0.1 * ((10 - min(t, 10)) / 10 * 0.5 * (1 + math.cos(math.pi * min(t, 10) / 10)) + 0.001),
    ),
    "pieces": (
        lambda g: T.piecewise_constant(g, [3, 7], [1.0, 0.5, 0.1]),
        lambda t: 1.0 if t <= 3 else 0.5 if t <= 7 else 0.1,
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str, backend: str) -> None:
    make, formula = SCHEDULES[name]
    step = tf.placeholder(tf.int64, [])
    rate = make(step)
    assert rate.dtype is tf.float32
    with tf.Session() as sess:
        steps = [
            t for t in range(0, 30) if "restarts" not in name or t not in (4, 12, 28)
        ]  # on an edge either side is right
        np.testing.assert_allclose(
            [sess.run(rate, {step: t}) for t in steps], [formula(t) for t in steps], rtol=2e-5, atol=1e-7
        )


def test_a_schedule_follows_the_global_step(backend: str) -> None:
    w, step = tf.Variable(0.0), tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(1.0, step, 1, 0.5)
    train = tf.train.GradientDescentOptimizer(rate).minimize(-w, global_step=step)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for expected in (1.0, 1.5, 1.75):
            sess.run(train)
            assert sess.run(w) == pytest.approx(expected)


def test_schedule_errors() -> None:
    with pytest.raises(ValueError, match=r"global_step is required for exponential_decay\."):
        tf.train.exponential_decay(0.1, None, 10, 0.9)
    with pytest.raises(ValueError, match="The length of boundaries should be 1 less than the length of values"):
        tf.train.piecewise_constant(tf.constant(1), [1], [1.0])
    with pytest.raises(ValueError, match=r"Boundaries .* must have the same dtype as x"):
        tf.train.piecewise_constant(tf.constant(1), [1.5], [1.0, 2.0])
    with pytest.raises(ValueError, match="Values must have elements all with the same dtype"):
        tf.train.piecewise_constant(tf.constant(1), [1], [1.0, 2])


# --- the global step --------------------------------------------------------------------------------------------------


def test_global_step(backend: str) -> None:
    assert tf.train.get_global_step() is None
    step = tf.train.create_global_step()
    assert (step.name, step.dtype.base_dtype, step.trainable) == ("global_step:0", tf.int64, False)
    assert tf.train.get_global_step() is step
    assert tf.train.get_or_create_global_step() is step
    with pytest.raises(ValueError, match='"global_step" already exists'):
        tf.train.create_global_step()
    with tf.Session() as sess:
        sess.run(step.initializer)
        assert tf.train.global_step(sess, step) == 0


def test_a_global_step_must_count() -> None:
    tf.Variable(1.0, name="global_step")
    with pytest.raises(TypeError, match='Existing "global_step" does not have integer type'):
        tf.train.get_global_step()


# --- moving averages --------------------------------------------------------------------------------------------------


def test_moving_averages(backend: str) -> None:
    v = tf.Variable([1.0, 2.0], name="v")
    count = tf.placeholder(tf.float32, [])
    averages = tf.train.ExponentialMovingAverage(0.9, num_updates=count)
    update = averages.apply([v])
    grow = v.assign_add([1.0, -3.0])
    shadow = averages.average(v)
    assert shadow is not None
    assert (shadow.op.name, averages.average_name(v), update.name) == ("v/ExponentialMovingAverage",) * 2 + (
        "ExponentialMovingAverage",
    )
    assert averages.variables_to_restore() == {"v/ExponentialMovingAverage": v}
    assert tf.moving_average_variables() == [v]
    value, expected = np.array([1.0, 2.0]), np.array([1.0, 2.0])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for n in range(5):
            sess.run(grow)
            sess.run(update, {count: n})
            value = value + np.array([1.0, -3.0])
            decay = min(0.9, (1 + n) / (10 + n))
            expected = decay * expected + (1 - decay) * value
            np.testing.assert_allclose(sess.run(shadow), expected, rtol=1e-5)


def test_an_average_of_a_tensor_is_corrected_for_its_start(backend: str) -> None:
    x = tf.placeholder(tf.float32, [2])
    value = x * 1.0
    averages = tf.train.ExponentialMovingAverage(0.75, zero_debias=True)
    update = averages.apply([value])
    biased, weight = np.zeros(2), 0.0
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for fed in ([1.0, 2.0], [3.0, -4.0], [0.5, 0.5]):
            sess.run(update, {x: fed})
            biased = 0.75 * biased + 0.25 * np.array(fed)
            weight = 0.75 * weight + 0.25
            np.testing.assert_allclose(sess.run(averages.average(value)), biased / weight, rtol=1e-5)


def test_averages_of_integers_are_refused() -> None:
    with pytest.raises(TypeError, match="The variables must be half, float, or double: Variable:0"):
        tf.train.ExponentialMovingAverage(0.9).apply([tf.Variable(1)])
