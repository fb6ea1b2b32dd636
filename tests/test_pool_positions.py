"""Max pooling with positions: which programs get them, and that their numbers are those of programs without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._programs import N, after, evaluate, groups_of, roots_of, types
from tfgraph.codegen import compile as compiler
from tfgraph.codegen.compile import STAGES
from tfgraph.codegen.kinds import epilogues
from tfgraph.codegen.passes.pool_positions import pool_positions
from tfgraph.codegen.passes.spread_gradients import spread_gradients

pytestmark = pytest.mark.usefixtures("graph")


@pytest.fixture(autouse=True)
def direct_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which kernels take a pooling depends on the method; programs are made anew and compared with the reference."""
    monkeypatch.setenv("TFGRAPH_CONV", "direct")
    monkeypatch.setenv("TFGRAPH_CHECK", "1")


def fed(*dims: int) -> Any:
    return tf.placeholder(tf.float32, [None, *dims])


def variable(*dims: int, scale: float = 1.0) -> Any:
    return tf.Variable((scale * np.random.default_rng(1).standard_normal(dims)).astype(np.float32))


def pooled(x: Any, window: int = 2, stride: int = 2, padding: str = "SAME") -> Any:
    return tf.nn.max_pool(x, [1, window, window, 1], [1, stride, stride, 1], padding)


class Layers:
    """conv, bias, ReLU, pool, twice, and a loss that weighs every element of the result."""

    def __init__(
        self, size: int = 9, pool_padding: str = "SAME", activation: Callable[[Any], Any] = tf.nn.relu, scale: float = 1.0
    ) -> None:
        self.x = fed(size, size + 1, 3)
        self.filters = [variable(3, 3, 3, 5, scale=scale), variable(2, 2, 5, 7, scale=scale)]
        self.biases = [variable(5, scale=scale), variable(7, scale=scale)]
        self.active: list[Any] = []
        self.pools: list[Any] = []
        y = self.x
        for w, b in zip(self.filters, self.biases, strict=True):
            y = activation(tf.nn.bias_add(tf.nn.conv2d(y, w, [1, 1, 1, 1], "SAME"), b))
            self.active.append(y)
            y = pooled(y, padding=pool_padding)
            self.pools.append(y)
        self.loss = tf.reduce_sum(y * y)

    @property
    def fetches(self) -> list[Any]:
        """The maxima, then the gradients of pictures, filters and biases."""
        return [*self.pools, *tf.gradients(self.loss, [self.x, *self.filters, *self.biases])]

    def picture(self, batch: int) -> np.ndarray:
        dims = [int(d) for d in self.x.shape[1:]]
        return np.random.default_rng(2).standard_normal((batch, *dims)).astype(np.float32)


def run(fetches: Any, feeds: dict[Any, np.ndarray]) -> list[np.ndarray]:
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return [np.asarray(v) for v in session.run(fetches, feeds)]


def run_apart(fetches: Any, feeds: dict[Any, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The same run with a kernel of its own for every pooling, and no positions."""
    with monkeypatch.context() as patch:
        stages = tuple(s for s in STAGES if s not in (pool_positions, spread_gradients))
        patch.setattr(compiler, "STAGES", stages)
        patch.setattr(epilogues, "takes_pool", lambda *_: False)
        return run(fetches, feeds)


def kinds(fetches: Any, *feeds: Any) -> list[str]:
    return [g.kind for g in groups_of(fetches, {x: (N, *x.shape.as_list()[1:]) for x in feeds})]


def types_of(fetches: Any, *feeds: Any) -> list[str]:
    return types(after(roots_of(fetches, {x: (N, *x.shape.as_list()[1:]) for x in feeds})))


# --- numbers --------------------------------------------------------------------------------------------------


def check_equal(found: list[np.ndarray], apart: list[np.ndarray]) -> None:
    """Maxima and the picture's gradient bit by bit; filters and biases sum the same numbers in another order."""
    for one, other in zip(found[:3], apart[:3], strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(found[3:], apart[3:], strict=True):
        scale = np.abs(other).max(initial=1e-30, where=np.isfinite(other))
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("batch", [1, 2, 17])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_numbers_are_those_of_separate_kernels(padding: str, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Layers(pool_padding=padding)
    feeds = {net.x: net.picture(batch)}
    fetches = net.fetches
    check_equal(run(fetches, feeds), run_apart(fetches, feeds, monkeypatch))


@pytest.mark.parametrize("activation", [tf.nn.relu, tf.nn.relu6, tf.tanh, tf.identity], ids=lambda f: f.__name__)
def test_every_activation(activation: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    net = Layers(8, activation=activation)
    feeds = {net.x: net.picture(3)}
    fetches = net.fetches
    check_equal(run(fetches, feeds), run_apart(fetches, feeds, monkeypatch))


def test_ties(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal pixels give equal sums everywhere: every window's gradient goes to its first place."""
    net = Layers(8)
    feeds = {net.x: np.ones((2, 8, 9, 3), np.float32)}
    fetches = net.fetches
    check_equal(run(fetches, feeds), run_apart(fetches, feeds, monkeypatch))


def test_windows_that_relu_has_emptied_take_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Layers(8, scale=0.0)
    feeds = {net.x: net.picture(2)}
    fetches = net.fetches
    found = run(fetches, feeds)
    check_equal(found, run_apart(fetches, feeds, monkeypatch))
    assert all((f == 0).all() for f in found)


def test_nan_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Layers(8)
    picture = net.picture(2)
    picture[0, 3, 3, 1] = np.nan
    fetches = net.fetches
    found = run(fetches, {net.x: picture})
    assert np.isnan(found[0][0]).any()
    assert np.isfinite(found[0][1]).all()
    check_equal(found, run_apart(fetches, {net.x: picture}, monkeypatch))


def test_overlapping_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = fed(9, 8, 2), variable(3, 3, 2, 4)
    y = pooled(tf.nn.relu(tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME")), 3, 2)
    fetches = [y, *tf.gradients(tf.reduce_sum(y * y), [x, w])]
    assert "_MaxPoolGradAt" in types_of(fetches, x)
    feeds = {x: np.random.default_rng(0).integers(-3, 4, (5, 9, 8, 2)).astype(np.float32)}
    for one, other in zip(run(fetches, feeds), run_apart(fetches, feeds, monkeypatch), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)


def test_threads_and_runs_agree_bit_by_bit() -> None:
    net = Layers(12)
    fetches, feeds = net.fetches, {net.x: net.picture(5)}
    results = []
    with tf.Session() as first:
        first.run(tf.global_variables_initializer())
        results += [first.run(fetches, feeds) for _ in range(2)]
    for threads in (1, 3):
        with tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=threads)) as session:
            session.run(tf.global_variables_initializer())
            results.append(session.run(fetches, feeds))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_the_reference_of_each_stage_agrees() -> None:
    net = Layers(8)
    picture = net.picture(2)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        variables = {v.op.name: session.run(v) for v in tf.global_variables()}
    roots = roots_of(net.fetches, {net.x: (N, 8, 9, 3)})
    wanted = evaluate(roots, [picture], 2, variables)
    for stage in STAGES:
        roots = stage(roots)
        for one, other in zip(evaluate(roots, [picture], 2, variables), wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, err_msg=f"after {stage.__name__}")


# --- programs -------------------------------------------------------------------------------------------------


def test_a_layer_is_one_kernel_in_each_direction() -> None:
    net = Layers()
    filters = tf.gradients(net.loss, net.filters)
    found = kinds(filters, net.x)
    assert found.count("conv2d") == 2
    assert sorted(k for k in found if "conv2d" in k and k != "conv2d") == [
        "conv2d_backprop_filter_at", "conv2d_backprop_filter_at", "conv2d_backprop_input_at",
    ]  # fmt: skip
    assert not any("pool" in kind for kind in found)


def test_nothing_has_the_size_of_the_activation() -> None:
    net = Layers()
    groups = groups_of(tf.gradients(net.loss, net.filters + net.biases), {net.x: (N, 9, 10, 3)})
    inner = {value for g in groups for node in g.nodes for value in node.outputs}
    read = {value for g in groups for node in g.nodes if node not in g.nodes[:0] for value in node.inputs}
    crossing = [v for v in inner & read if any(v in n.inputs for g in groups if v.op not in g.nodes for n in g.nodes)]
    assert crossing
    assert not any(v.dims[1:3] == (9, 10) for v in crossing)


def test_inference_keeps_no_positions() -> None:
    net = Layers()
    assert kinds(net.pools[-1], net.x) == ["conv2d", "conv2d"]
    assert "_MaxPoolWithPosition" not in types_of(net.pools[-1], net.x)


def test_the_mask_is_that_of_the_maxima() -> None:
    net = Layers()
    roots = after(roots_of(tf.gradients(net.loss, net.filters[:1]), {net.x: (N, 9, 10, 3)}))
    masks = [n for n in roots.nodes if n.type == "ReluGrad"]
    assert [m.inputs[1].op.type for m in masks] == ["_MaxPoolWithPosition"] * 2


def test_bias_gradients_are_sums_over_windows() -> None:
    net = Layers()
    roots = after(roots_of(tf.gradients(net.loss, net.biases), {net.x: (N, 9, 10, 3)}))
    sums = [n for n in roots.nodes if n.type == "Sum"]
    assert [s.inputs[0].dims[1:3] for s in sums] == [(3, 3), (5, 5)]


def test_a_fetched_activation_is_written() -> None:
    net = Layers()
    assert kinds([net.pools[0], net.active[0]], net.x) == ["conv2d", "max_pool"]
    gradient = tf.gradients(net.loss, net.filters)
    assert kinds([*gradient, net.active[0]], net.x).count("max_pool_with_position") == 1


def test_an_activation_with_another_user_is_written() -> None:
    net = Layers()
    sparsity = tf.reduce_mean(net.active[0])
    found = kinds([net.pools[0], sparsity], net.x)
    assert sorted(found) == ["conv2d", "max_pool", "reduce"]


def test_a_fed_activation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its maxima are those of the fed elements, and no gradient passes to what would have made it."""
    net = Layers(8)
    fetches = [net.pools[0], *tf.gradients(net.loss, [net.active[0], net.filters[1]])]
    activation = np.random.default_rng(3).standard_normal((2, 8, 9, 5)).astype(np.float32)
    found = run(fetches, {net.active[0]: activation})
    padded = np.pad(activation, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=-np.inf)
    np.testing.assert_array_equal(found[0], padded.reshape(2, 4, 2, 5, 2, 5).max((2, 4)))
    check_equal(found, run_apart(fetches, {net.active[0]: activation}, monkeypatch))


def test_fed_maxima_are_compared_with_the_activation() -> None:
    """The gradient goes to elements that equal what was fed, wherever the real maximum is."""
    x = fed(4, 4, 1)
    y = pooled(x)
    (gradient,) = tf.gradients(tf.reduce_sum(y * tf.constant(np.arange(1, 5, dtype=np.float32).reshape(1, 2, 2, 1))), x)
    picture = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    maxima = np.array([0, 3, 12, 15], np.float32).reshape(1, 2, 2, 1)
    (found,) = run([gradient], {x: picture, y: maxima})
    wanted = np.zeros((4, 4))
    wanted[0, 0], wanted[0, 3], wanted[3, 0], wanted[3, 3] = 1, 2, 3, 4
    np.testing.assert_array_equal(found[0, :, :, 0], wanted)
    assert "_MaxPoolGrad" in types_of([gradient], x, y)


def test_a_gradient_with_another_user_is_written_once() -> None:
    """The gradient of the activation itself is fetched: nothing would be saved by spreading it in other kernels."""
    net = Layers()
    fetches = tf.gradients(net.loss, [net.filters[0], tf.get_default_graph().get_tensor_by_name("BiasAdd:0")])
    found = types_of(fetches, net.x)
    assert found.count("_MaxPoolGradAt") == 1
    assert found.count("_Conv2DBackpropFilter") == 1


def test_large_windows_keep_no_positions() -> None:
    """There are more than 256 places in a window: a byte cannot count them."""
    x = fed(20, 20, 1)
    y = pooled(x, 20, 20)
    found = types_of(tf.gradients(tf.reduce_sum(y * y), x), x)
    assert "_MaxPoolGrad" in found
    assert "_MaxPoolWithPosition" not in found
