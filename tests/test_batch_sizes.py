"""One compiled program serves every batch size, and changing a number compiles nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._evaluate import refuse_interpreter
from tests._nets import NETS
from tfgraph.runtime import cpu, statistics

pytestmark = pytest.mark.usefixtures("graph")

_numbers = itertools.count()
BATCHES = (1, 2, 17, 5, 10_000, 17, 1)


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing compiled before, and no recourse to the interpreter (but for runs that only move values)."""
    refuse_interpreter(monkeypatch)
    monkeypatch.delenv("TFGRAPH_BACKEND")
    monkeypatch.setenv("TFGRAPH_CACHE", str(tmp_path / "modules"))
    # -O1: compiling takes most of the time here; the name makes modules that other tests have loaded useless
    monkeypatch.setenv("TFGRAPH_CFLAGS", f"-O1 -DFOR_{next(_numbers)}")


@pytest.fixture
def compilations() -> Callable[[], int]:
    """How many programs have been compiled since the last call."""
    cpu.pool(cpu.thread_count())  # its module is no program
    before = [statistics().compilations]

    def count() -> int:
        since = statistics().compilations - before[0]
        before[0] = statistics().compilations
        return since

    return count


def fed(*dims: int, dtype: Any = tf.float32) -> Any:
    return tf.placeholder(dtype, [None, *dims])


def uniform(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).uniform(-1, 1, shape).astype(np.float32)


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Session() as session:
        yield session


# --- batch sizes ----------------------------------------------------------------------------------------------


def test_prediction_at_every_batch_size(session: tf.Session, compilations: Any) -> None:
    x, w = fed(20), uniform(20, 6)
    y = tf.nn.softmax(tf.nn.relu(tf.matmul(x, tf.constant(w))))
    for n in BATCHES:
        data = uniform(n, 20)
        logits = np.maximum(data.astype(np.float64) @ w, 0)
        expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        np.testing.assert_allclose(session.run(y, {x: data}), expected, rtol=1e-4, atol=1e-6)
    assert compilations() == 1


@pytest.mark.parametrize("name", ["mlp", "lenet", "batch_norm", "arrays"])
def test_training_at_every_batch_size(name: str, session: tf.Session, compilations: Any) -> None:
    """A batch of 10,000 takes place in the middle, a ragged one at the end."""
    net = NETS[name]()
    session.run(tf.global_variables_initializer())
    compilations()
    for n in (16, 16, 3, 10_000 if name == "mlp" else 500, 1, 16, 7):
        values = session.run(net.fetches, net.feeds(n))
        assert all(np.isfinite(v).all() for v in values if v is not None)
    assert compilations() == 1


def test_each_sample_has_the_same_result_in_any_batch(session: tf.Session) -> None:
    x = fed(8, 8, 3)
    y = tf.nn.relu(tf.nn.conv2d(x, tf.constant(uniform(3, 3, 3, 5)), [1, 1, 1, 1], "SAME"))
    y = tf.nn.max_pool(y, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    data = uniform(70, 8, 8, 3)
    whole = session.run(y, {x: data})
    parts = [session.run(y, {x: data[i : i + 17]}) for i in range(0, 70, 17)]  # the last has two
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_an_empty_batch(session: tf.Session, compilations: Any) -> None:
    x, w = fed(4), tf.Variable(uniform(4, 3))
    y = tf.matmul(x, w)
    fetches = [y, tf.reduce_sum(y), tf.reduce_mean(y), tf.reduce_max(y, 0), tf.argmax(y, 1), tf.shape(y), tf.nn.softmax(y)]
    session.run(w.initializer)
    for n in (0, 5, 0):
        values = session.run(fetches, {x: uniform(n, 4)})
        assert values[0].shape == (n, 3)
        assert values[4].shape == (n,)
        assert values[5].tolist() == [n, 3]
        assert values[6].shape == (n, 3)
    assert values[1] == 0
    assert np.isnan(values[2])
    assert values[3].tolist() == [-np.inf] * 3
    assert compilations() == 1


def test_an_empty_batch_trains_nothing(session: tf.Session) -> None:
    net = NETS["keypoints_convolutional"]()
    session.run(tf.global_variables_initializer())
    step = tf.train.GradientDescentOptimizer(0.5).minimize(tf.reduce_sum(tf.square(net.fetches[1].op.inputs[0])))
    before = session.run(tf.trainable_variables())
    session.run(step, net.feeds(0))
    for one, other in zip(before, session.run(tf.trainable_variables()), strict=True):
        np.testing.assert_array_equal(one, other)


# --- other open dimensions ------------------------------------------------------------------------------------


def test_feeds_that_share_the_batch(session: tf.Session, compilations: Any) -> None:
    x, y = fed(3), fed(3)
    total = tf.reduce_sum(x * y, 1)
    for n in (4, 9):
        a, b = uniform(n, 3), uniform(n, 3) + 1
        np.testing.assert_allclose(session.run(total, {x: a, y: b}), (a * b).sum(1), rtol=1e-5)
    assert compilations() == 1
    # one row for all: another program
    a, b = uniform(4, 3), uniform(1, 3)
    np.testing.assert_allclose(session.run(total, {x: a, y: b}), (a * b).sum(1), rtol=1e-5)
    assert compilations() == 1


def test_two_batches_of_different_sizes(session: tf.Session, compilations: Any) -> None:
    """The first open dimension is N; a second one of another size is compiled as the number that it is."""
    x, y = fed(3), fed(3)
    products = tf.matmul(x, y, transpose_b=True)
    for n, m in ((4, 6), (9, 6), (2, 6)):
        a, b = uniform(n, 3), uniform(m, 3)
        np.testing.assert_allclose(session.run(products, {x: a, y: b}), a @ b.T, rtol=1e-5, atol=1e-6)
    assert compilations() == 1
    for n, m in ((4, 7), (5, 5)):
        a, b = uniform(n, 3), uniform(m, 3)
        np.testing.assert_allclose(session.run(products, {x: a, y: b}), a @ b.T, rtol=1e-5, atol=1e-6)
    assert compilations() == 2


def test_inner_dimensions_are_compiled_as_numbers(session: tf.Session, compilations: Any) -> None:
    x = tf.placeholder(tf.float32, [None, None])
    y = tf.reduce_sum(tf.exp(x), 1)
    for n, columns, new in ((3, 5, 1), (8, 5, 0), (3, 6, 1), (4, 5, 0), (0, 6, 0)):
        data = uniform(n, columns)
        np.testing.assert_allclose(session.run(y, {x: data}), np.exp(data).sum(1), rtol=1e-5)
        assert compilations() == new


def test_an_open_dimension_that_is_not_the_first(session: tf.Session, compilations: Any) -> None:
    x = tf.placeholder(tf.float32, [3, None])
    y = x * 2.0
    for columns in (2, 5, 2):
        data = uniform(3, columns)
        np.testing.assert_allclose(session.run(y, {x: data}), data * 2, rtol=1e-6)
    assert compilations() == 2


def test_a_feed_of_unknown_rank(session: tf.Session, compilations: Any) -> None:
    x = tf.placeholder(tf.float32)
    y = tf.exp(x)
    for shape, new in (((3,), 1), ((8,), 0), ((2, 3), 1), ((7, 3), 0), ((), 1)):
        data = uniform(*shape)
        np.testing.assert_allclose(session.run(y, {x: data}), np.exp(data), rtol=1e-5)
        assert compilations() == new


def test_a_shape_that_mixes_the_batch_with_numbers(session: tf.Session) -> None:
    """N + 1 rows have no multiple of N to stand for them: such a program is for one size."""
    x = fed(3)
    y = tf.concat([x, [[1.0, 2.0, 3.0]]], 0) * 2.0
    for n in (2, 5, 0):
        data = uniform(n, 3)
        np.testing.assert_array_equal(session.run(y, {x: data}), np.concatenate([data, [[1, 2, 3]]]) * np.float32(2))


def test_feeds_that_decide_shapes(session: tf.Session, compilations: Any) -> None:
    x, shape = fed(6), tf.placeholder(tf.int32, [2])
    y = tf.reshape(x, shape) + 1.0
    for n in (2, 4):
        data = uniform(n, 6)
        np.testing.assert_array_equal(session.run(y, {x: data, shape: [-1, 3]}), data.reshape(-1, 3) + 1)
    assert compilations() == 1
    np.testing.assert_array_equal(session.run(y, {x: data, shape: [8, 3]}), data.reshape(8, 3) + 1)


# --- numbers that compile nothing -----------------------------------------------------------------------------


def train(session: tf.Session, rate: Any, extra: dict[Any, Any] | None = None) -> np.ndarray:
    """The weights after a step from ones, against inputs of ones."""
    x = fed(4)
    w = tf.Variable(np.ones((4, 2), np.float32))
    step = tf.train.GradientDescentOptimizer(rate).minimize(tf.reduce_mean(tf.matmul(x, w)))
    session.run([v.initializer for v in tf.global_variables()])
    session.run(step, {x: np.ones((3, 4), np.float32), **(extra or {})})
    return session.run(w)


def test_learning_rate_in_a_new_graph(compilations: Any) -> None:
    counts = []
    for rate in (0.1, 0.02, 1e-5, 3.0, 0.0, 0.5, 1.0, -2.0):
        with tf.Graph().as_default(), tf.Session() as session:
            np.testing.assert_allclose(train(session, rate), 1 - rate / 2, rtol=1e-6)
        counts.append(compilations())
    assert counts == [1] + 7 * [0]


def test_learning_rate_as_placeholder_and_variable(session: tf.Session, compilations: Any) -> None:
    fed_rate, held_rate = tf.placeholder(tf.float32, []), tf.Variable(0.5, trainable=False)
    x, w = fed(4), tf.Variable(np.zeros((4, 2), np.float32))
    loss = tf.reduce_mean(tf.matmul(x, w))
    steps = [tf.train.GradientDescentOptimizer(rate).minimize(loss) for rate in (fed_rate, held_rate)]
    session.run(tf.global_variables_initializer())
    data = np.ones((3, 4), np.float32)
    expected = 0.0
    for rate in (0.1, 0.2, 0.7):
        session.run(steps[0], {x: data, fed_rate: rate})
        expected -= rate / 2
    assert compilations() == 1
    for rate in (0.3, 0.4):
        held_rate.load(rate, session)
        session.run(steps[1], {x: data})
        expected -= rate / 2
    assert compilations() == 1
    np.testing.assert_allclose(session.run(w), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda a: tf.train.AdamOptimizer(a, beta1=0.4 + a, epsilon=a),
        lambda a: tf.train.MomentumOptimizer(a, 1 - a),
        lambda a: tf.train.RMSPropOptimizer(a, decay=1 - a),
    ],
)
def test_other_numbers_of_optimizers(make: Any, compilations: Any) -> None:
    counts = []
    for a in (0.1, 0.013, 0.5):  # with 0.5 some of them are equal, or what algebra would simplify
        with tf.Graph().as_default(), tf.Session() as session:
            x, w = fed(4), tf.Variable(np.ones((4, 2), np.float32))
            step = make(a).minimize(tf.reduce_mean(tf.square(tf.matmul(x, w) + 0.3)))
            session.run(tf.global_variables_initializer())
            compilations()
            session.run(step, {x: np.ones((3, 4), np.float32)})
        counts.append(compilations())
    assert counts == [1, 0, 0]


SCHEDULES = {
    "exponential": lambda a, step: tf.train.exponential_decay(a, step, 2, a),
    "inverse time": lambda a, step: tf.train.inverse_time_decay(a, step, 2, a),
    "polynomial": lambda a, step: tf.train.polynomial_decay(a, step, 5, a / 10, power=a),
    "piecewise": lambda a, step: tf.train.piecewise_constant(step, [2], [a, a / 2]),
    "cosine": lambda a, step: tf.train.cosine_decay(a, step, 5, a / 4),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_numbers_of_schedules(name: str, compilations: Any) -> None:
    counts = []
    for a in (0.1, 0.5, 1.0, 2.0):
        with tf.Graph().as_default(), tf.Session() as session:
            step = tf.train.get_or_create_global_step()
            x, w = fed(4), tf.Variable(np.ones((4, 2), np.float32))
            optimizer = tf.train.GradientDescentOptimizer(SCHEDULES[name](a, step))
            train_step = optimizer.minimize(tf.reduce_mean(tf.matmul(x, w)), step)
            session.run(tf.global_variables_initializer())
            compilations()
            session.run(train_step, {x: np.ones((3, 4), np.float32)})
            counts.append(compilations())
            np.testing.assert_allclose(session.run(w), 1 - a / 2, rtol=1e-6)
            compilations()
    assert counts == [1, 0, 0, 0]


def test_learning_rate_schedules(session: tf.Session, compilations: Any) -> None:
    step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(0.1, step, 2, 0.5)
    x, w = fed(4), tf.Variable(np.ones((4, 2), np.float32))
    train_step = tf.train.GradientDescentOptimizer(rate).minimize(tf.reduce_mean(tf.matmul(x, w)), step)
    session.run(tf.global_variables_initializer())
    compilations()
    rates = [session.run([rate, train_step], {x: np.ones((3, 4), np.float32)})[0] for _ in range(4)]
    np.testing.assert_allclose(rates, 0.1 * 0.5 ** (np.arange(4) / 2), rtol=1e-5)
    assert compilations() == 1


def test_keep_prob(compilations: Any) -> None:
    counts = []
    for keep in (0.75, 0.3, 0.5):
        with tf.Graph().as_default(), tf.Session() as session:
            x = fed(50)
            kept = session.run(tf.nn.dropout(x, keep, seed=3), {x: np.ones((400, 50), np.float32)}) != 0
            assert kept.mean() == pytest.approx(keep, abs=0.02)
        counts.append(compilations())
    assert counts == [1, 0, 0]


def test_keep_prob_as_placeholder(session: tf.Session, compilations: Any) -> None:
    x, keep = fed(50), tf.placeholder(tf.float32, [])
    y = tf.nn.dropout(x, keep, seed=3)
    for value in (0.9, 0.2, 1.0):
        kept = session.run(y, {x: np.ones((400, 50), np.float32), keep: value}) != 0
        assert kept.mean() == pytest.approx(value, abs=0.02)
    assert compilations() == 1


def test_seeds(compilations: Any) -> None:
    counts, drawn = [], []
    for seed in ((1, 2), (1, 3), (9, None)):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(seed[0])
            drawn.append(session.run(tf.random_normal([20], seed=seed[1]) * 2.0))
        counts.append(compilations())
    assert counts == [1, 0, 0]
    assert len({values.tobytes() for values in drawn}) == 3


def test_other_weights_and_data_compile_nothing(compilations: Any) -> None:
    """Constants of the graph are data of the program, not part of its code."""
    counts = []
    for seed in (1, 2):
        with tf.Graph().as_default(), tf.Session() as session:
            w = np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32)
            x = fed(4)
            result = session.run(tf.matmul(x, tf.constant(w)) * float(w[0, 0]), {x: np.eye(4, dtype=np.float32)})
            np.testing.assert_allclose(result, w * w[0, 0], rtol=1e-5)
        counts.append(compilations())
    assert counts == [1, 0]


def test_names_do_change_the_source_but_sessions_share_it(compilations: Any) -> None:
    """Two sessions, or two equal graphs, run the same module."""
    x = fed(4)
    y = tf.tanh(x) * 3.0
    for _ in range(2):
        with tf.Session() as session:
            session.run(y, {x: uniform(2, 4)})
    assert compilations() == 1
