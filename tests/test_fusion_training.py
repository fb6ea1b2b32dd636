"""Training steps in few sweeps: losses with their gradients, normalisations, residual sums. Kernels and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._compiled import Runner, compiled_runner  # noqa: F401  a fixture
from tests._fusion import close, fed, kernels_of, kinds_of, numbers, reasons, variable

RATE = 0.5


# --- classification loss ------------------------------------------------------------------------------------------


def softmax(z: np.ndarray) -> np.ndarray:
    powers = np.exp(z - z.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


class Classifier:
    """A dense layer under a cross entropy, one step of gradient descent, and the same in float64."""

    def __init__(self, sparse: bool) -> None:
        self.x, self.w, self.b = fed(6), variable(6, 10), variable(10, seed=1)
        logits = tf.matmul(self.x, self.w) + self.b
        if sparse:
            self.labels = tf.placeholder(tf.int32, [None])
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=self.labels, logits=logits)
        else:
            self.labels = fed(10)
            losses = tf.nn.softmax_cross_entropy_with_logits_v2(labels=self.labels, logits=logits)
        self.loss = tf.reduce_mean(losses)
        self.train = tf.train.GradientDescentOptimizer(RATE).minimize(self.loss)
        self.sparse = sparse

    def feeds(self, count: int) -> dict[Any, np.ndarray]:
        classes = np.random.default_rng(2).integers(0, 10, count).astype(np.int32)
        return {self.x: numbers(count, 6), self.labels: classes if self.sparse else np.eye(10, dtype=np.float32)[classes]}

    def expected(self, w: np.ndarray, b: np.ndarray, feeds: dict[Any, np.ndarray]) -> list[np.ndarray]:
        """The loss, and the weights and biases after the step."""
        x, labels = feeds[self.x].astype(np.float64), feeds[self.labels]
        rows = np.eye(10)[labels] if self.sparse else labels.astype(np.float64)
        probability = softmax(x @ w + b)
        gradient = (probability - rows) / len(x)
        loss = -(rows * np.log(probability)).sum(1).mean()
        return [np.asarray(loss), w - RATE * x.T @ gradient, b - RATE * gradient.sum(0)]


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("sparse", [False, True])
def test_loss_gradient_and_bias_are_one_sweep(sparse: bool) -> None:
    """The sweep over the logits also adds up the mean loss and the gradient of the biases, and updates these."""
    net = Classifier(sparse)
    kernels = kernels_of([net.train, net.loss], net.x, net.labels)
    assert [kind for kind, _ in kernels if kind != "check_labels"] == ["matmul", "rows", "matmul"]
    (types,) = (types for kind, types in kernels if kind == "rows")
    assert types.count("Exp") == types.count("Max") == 1
    assert types[-1] == "ApplyGradientDescent"
    assert types.count("Sum") == 4  # of powers, of a row's losses, of all losses, of columns
    assert "pointwise" not in [kind for kind, _ in kernels]  # 1 / N is computed where it is used


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("count", [1, 7, 33, 3000])
def test_numbers_of_a_classifiers_step(sparse: bool, count: int, runner: Runner) -> None:
    net = Classifier(sparse)
    runner.execute(tf.global_variables_initializer())
    w, b = (v.astype(np.float64) for v in runner.run([net.w, net.b]))
    feeds = net.feeds(count)
    with tf.control_dependencies([net.train]):
        after = [tf.identity(net.w.read_value()), tf.identity(net.b.read_value())]
    for actual, wanted in zip(runner.run([net.loss, *after], feeds), net.expected(w, b, feeds), strict=True):
        close(actual, wanted)


def test_mean_of_no_rows(runner: Runner) -> None:
    net = Classifier(sparse=False)
    runner.execute(tf.global_variables_initializer())
    assert np.isnan(runner.run(net.loss, net.feeds(0)))


@pytest.mark.usefixtures("graph")
def test_what_needs_all_rows_waits() -> None:
    """A gradient that is scaled by the finished loss cannot be in the sweep that makes the loss."""
    x = fed(10)
    probability = tf.nn.softmax(x)
    scaled = probability * tf.reduce_mean(tf.reduce_max(probability, 1))
    assert kinds_of(scaled, x) == ["rows", "pointwise"]
    assert any("needs the results of all rows" in reason for reason in reasons(scaled, x))


@pytest.mark.usefixtures("graph")
def test_sums_over_some_of_the_rows_are_another_kernel() -> None:
    x = fed(4, 10)
    y = tf.reduce_sum(tf.reduce_max(x, 2), 1)
    assert kinds_of(y, x) == ["rows", "rows"]
    assert any("a reduction over some of the rows" in reason for reason in reasons(y, x))


# --- normalisation ------------------------------------------------------------------------------------------------


def test_layer_normalisation_with_its_gradients_is_one_sweep(runner: Runner) -> None:
    x, scale, shift = fed(64), variable(64), variable(64, seed=1)
    mean, variance = tf.nn.moments(x, [1], keep_dims=True)
    y = (x - mean) * tf.rsqrt(variance + 1e-3) * scale + shift
    weights = numbers(64, seed=9)
    fetches = [y, *tf.gradients(tf.reduce_sum(y * y * weights), [x, scale, shift])]
    assert kinds_of(fetches, x) == ["rows"]
    runner.execute(tf.global_variables_initializer())
    g, b = (v.astype(np.float64) for v in runner.run([scale, shift]))
    for count in (1, 9, 700):
        array = numbers(count, 64).astype(np.float64)
        centred = array - array.mean(1, keepdims=True)
        rate = 1 / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-3)
        normal = centred * rate
        out = normal * g + b
        dy = 2 * out * weights
        dn = dy * g
        dx = rate * (dn - dn.mean(1, keepdims=True) - normal * (dn * normal).mean(1, keepdims=True))
        found = runner.run(fetches, {x: array.astype(np.float32)})
        for actual, wanted in zip(found, [out, dx, (dy * normal).sum(0), dy.sum(0)], strict=True):
            close(actual, wanted, 1e-4)


class BatchNorm:
    """Convolution, batch normalisation in training, activation; gradients of everything."""

    def __init__(self) -> None:
        self.x, self.w = fed(6, 6, 3), variable(3, 3, 3, 8)
        self.scale, self.shift = variable(8, seed=1), variable(8, seed=2)
        self.conv = tf.nn.conv2d(self.x, self.w, [1, 1, 1, 1], "SAME")
        mean, variance = tf.nn.moments(self.conv, [0, 1, 2])
        self.y = tf.nn.relu(tf.nn.batch_normalization(self.conv, mean, variance, self.shift, self.scale, 1e-3))
        self.weights = numbers(6, 6, 8, seed=9)
        loss = tf.reduce_sum(tf.square(self.y) * self.weights)
        self.gradients = tf.gradients(loss, [self.conv, self.scale, self.shift])

    def expected(self, conv: np.ndarray, g: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
        axes = (0, 1, 2)
        centred = conv - conv.mean(axes)
        rate = 1 / np.sqrt((centred**2).mean(axes) + 1e-3)
        normal = centred * rate
        y = np.maximum(normal * g + b, 0)
        dy = 2 * y * self.weights
        dn = dy * g
        dx = rate * (dn - dn.mean(axes) - normal * (dn * normal).mean(axes))
        return [y, dx, (dy * normal).sum(axes), dy.sum(axes)]


@pytest.mark.usefixtures("graph")
def test_batch_normalisation_sweeps() -> None:
    """Forward: mean, variance and what follows from them per channel in one sweep, normalisation with the activation.
    Backward: the sums per channel in one sweep, the gradient in another."""
    net = BatchNorm()
    forward = kernels_of(net.y, net.x)
    assert [kind for kind, _ in forward] == ["conv2d", "reduce", "pointwise"]
    assert "Rsqrt" in forward[1][1]  # not a kernel of its own over the channels
    assert forward[2][1] == ["Mul", "Add", "Relu"]
    both = kernels_of([net.y, *net.gradients], net.x)
    assert [kind for kind, _ in both] in (
        ["conv2d", "reduce", "pointwise", "reduce", "pointwise"],
        ["conv2d", "reduce", "reduce", "pointwise"],
    )


def test_numbers_of_batch_normalisation(runner: Runner) -> None:
    net = BatchNorm()
    runner.execute(tf.global_variables_initializer())
    g, b = (v.astype(np.float64) for v in runner.run([net.scale, net.shift]))
    for count in (1, 5, 70):
        feeds = {net.x: numbers(count, 6, 6, 3)}
        conv, *found = runner.run([net.conv, net.y, *net.gradients], feeds)
        for actual, wanted in zip(found, net.expected(conv.astype(np.float64), g, b), strict=True):
            close(actual, wanted, 2e-4)


@pytest.mark.usefixtures("graph")
def test_sums_behind_a_convolutions_gradient_share_a_sweep() -> None:
    """Both sums per channel read the gradient that the convolution's kernel stores; the product of one is not stored."""
    x, w, scale = fed(8, 8, 16), variable(3, 3, 16, 16), variable(16)
    hidden = tf.nn.relu(x * scale)
    (gradient,) = tf.gradients(tf.nn.conv2d(hidden, w, [1, 1, 1, 1], "SAME"), [hidden])
    masked = gradient * tf.sign(hidden)
    sums = [masked, tf.reduce_sum(masked, [0, 1, 2]), tf.reduce_sum(masked * x, [0, 1, 2])]
    kernels = kernels_of(sums, x)
    assert [kind for kind, _ in kernels if kind == "reduce"] == ["reduce"]
    (types,) = (types for kind, types in kernels if kind == "reduce")
    assert types == ["Sum", "Mul", "Sum"]
    assert any("made here, of what is in memory anyway" in reason for reason in reasons(sums, x))


@pytest.mark.usefixtures("graph")
def test_sums_of_one_array_share_a_sweep() -> None:
    x, y = fed(8, 8, 16), fed(8, 8, 16)
    sums = [tf.reduce_sum(x * y, [0, 1, 2]), tf.reduce_max(x, [0, 1, 2]), tf.reduce_sum(tf.square(x), [0, 1, 2])]
    assert kernels_of(sums, x, y) == [("reduce", ["Mul", "Sum", "Max", "Square", "Sum"])]
    apart = [tf.reduce_sum(x, [0, 1, 2]), tf.reduce_sum(y, [0, 1, 2])]
    assert kinds_of(apart, x, y) == ["reduce", "reduce"]  # nothing is loaded only once


@pytest.mark.usefixtures("graph")
def test_a_sum_of_what_another_sum_makes_is_another_sweep() -> None:
    x = fed(8, 8, 16)
    first = tf.reduce_sum(x, [0, 1, 2])
    assert kinds_of([first, tf.reduce_sum(x * first, [0, 1, 2])], x) == ["reduce", "reduce"]


# --- residual sums ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shortcut_first", [False, True])
def test_residual_sum_is_in_the_convolutions_kernel(shortcut_first: bool, runner: Runner) -> None:
    x, w, b = fed(7, 7, 8), variable(3, 3, 8, 8), variable(8, seed=1)
    branch = tf.nn.bias_add(tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME"), b)
    y = tf.nn.relu(x + branch if shortcut_first else branch + x)
    weights = numbers(8, seed=9)
    gradient = tf.gradients(tf.reduce_sum(y * weights), x)[0]
    assert kernels_of(y, x) == [("conv2d", ["_Conv2D", "Add", "Add", "Relu"])]
    both = kernels_of([y, gradient], x)
    assert [kind for kind, _ in both] == ["conv2d", "conv2d_backprop_input"]
    assert both[1][1][-1] in ("Add", "AddN")  # the gradient of the shortcut is added where the other one is stored
    runner.execute(tf.global_variables_initializer())
    kernel, bias = (v.astype(np.float64) for v in runner.run([w, b]))
    array = numbers(5, 7, 7, 8)
    out, dx = runner.run([y, gradient], {x: array})
    wide = np.pad(array.astype(np.float64), [(0, 0), (1, 1), (1, 1), (0, 0)])
    taps = [(i, j) for i in range(3) for j in range(3)]
    total = sum(wide[:, i : i + 7, j : j + 7] @ kernel[i, j] for i, j in taps) + bias + array
    close(out, np.maximum(total, 0))
    dy = np.where(total > 0, weights, 0.0)
    back = np.pad(dy, [(0, 0), (1, 1), (1, 1), (0, 0)])
    close(dx, dy + sum(back[:, 2 - i : 9 - i, 2 - j : 9 - j] @ kernel[i, j].T for i, j in taps))


@pytest.mark.parametrize("shortcut_first", [False, True])
def test_residual_sum_is_in_the_products_kernel(shortcut_first: bool, runner: Runner) -> None:
    x, w, b = fed(24), variable(24, 24), variable(24, seed=1)
    branch = tf.matmul(x, w) + b
    y = tf.tanh(x + branch if shortcut_first else branch + x)
    gradient = tf.gradients(y, x)[0]
    assert kernels_of(y, x) == [("matmul", ["MatMul", "Add", "Add", "Tanh"])]
    assert kinds_of([y, gradient], x) == ["matmul", "matmul"]
    runner.execute(tf.global_variables_initializer())
    kernel, bias = (v.astype(np.float64) for v in runner.run([w, b]))
    array = numbers(37, 24)
    out, dx = runner.run([y, gradient], {x: array})
    wanted = np.tanh(array + array.astype(np.float64) @ kernel + bias)
    close(out, wanted)
    dy = 1 - wanted**2
    close(dx, dy + dy @ kernel.T)


# --- sums of everything and of columns ----------------------------------------------------------------------------


def test_a_regressions_loss_and_bias_gradient_are_one_sweep(runner: Runner) -> None:
    x, target, w, b = fed(6), fed(5), variable(6, 5), variable(5, seed=1)
    loss = tf.reduce_mean(tf.square(tf.matmul(x, w) + b - target))
    gradient = tf.gradients(loss, b)[0]
    assert kinds_of([loss, gradient], x, target) == ["matmul", "rows"]
    runner.execute(tf.global_variables_initializer())
    weights, biases = (v.astype(np.float64) for v in runner.run([w, b]))
    for count in (1, 8, 5000):
        feeds = {x: numbers(count, 6), target: numbers(count, 5, seed=8)}
        error = feeds[x] @ weights + biases - feeds[target]
        found = runner.run([loss, gradient], feeds)
        close(found[0], np.asarray((error**2).mean()))
        close(found[1], 2 * error.sum(0) / error.size)


def test_what_does_not_need_the_rows_is_not_in_their_sweep(runner: Runner) -> None:
    """A penalty on the biases is added to a sum of columns, but does not follow from any row."""
    x, b = fed(10), variable(10)
    decayed = tf.square(b) * 0.5
    total = tf.reduce_sum(tf.nn.softmax(x), 0) + decayed
    kernels = kernels_of([total, decayed], x)
    assert [kind for kind, _ in kernels if kind != "pointwise"] == ["rows"]
    runner.execute(tf.global_variables_initializer())
    biases = runner.run(b).astype(np.float64)
    for count in (1, 40):
        array = numbers(count, 10)
        close(runner.run(total, {x: array}), softmax(array.astype(np.float64)).sum(0) + biases**2 / 2)


def test_a_chain_after_all_rows(runner: Runner) -> None:
    """Means of columns, normalised by the mean of all: two sizes of results, the one needed by the other."""
    x = fed(12)
    probability = tf.nn.softmax(x)
    columns, everything = tf.reduce_mean(probability * x, 0), tf.reduce_mean(probability * x)
    fetches = [columns, everything, tf.sqrt(tf.abs(columns)) + 1.0, columns / everything, tf.reduce_max(probability, 0)]
    for count in (1, 9, 4000):
        array = numbers(count, 12)
        products = softmax(array.astype(np.float64)) * array
        wanted = [
            products.mean(0),
            np.asarray(products.mean()),
            np.sqrt(np.abs(products.mean(0))) + 1,
            products.mean(0) / products.mean(),
            softmax(array.astype(np.float64)).max(0),
        ]
        for actual, one in zip(runner.run(fetches, {x: array}), wanted, strict=True):
            close(actual, one, 1e-4)
    assert "rows" in kinds_of(fetches, x)


# --- gradients of biases ----------------------------------------------------------------------------------------------


class Layers:
    """A convolution, a dense layer and a linear one, each with biases, under half the sum of squares."""

    def __init__(self) -> None:
        self.x = fed(6, 5, 3)
        self.variables = [variable(3, 3, 3, 16), variable(16), variable(480, 12), variable(12), variable(12, 4)]
        filters, first, weights, second, last = self.variables
        self.hidden = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(self.x, filters, [1, 1, 1, 1], "SAME"), first))
        dense = tf.nn.relu(tf.matmul(tf.reshape(self.hidden, [-1, 480]), weights) + second)
        self.loss = tf.nn.l2_loss(tf.matmul(dense, last))


@pytest.mark.usefixtures("graph")
def test_gradients_of_hidden_biases_are_summed_where_the_weights_are_made() -> None:
    net = Layers()
    train = tf.train.AdamOptimizer(0.1).minimize(net.loss)
    kernels = kernels_of(train, net.x)
    assert "reduce" not in [kind for kind, _ in kernels]
    summing = [(kind, types.count("ApplyAdam")) for kind, types in kernels if kind != "rows" and "Sum" in types]
    assert sorted(summing) == [("conv2d_backprop_filter", 2), ("matmul", 2)]


@pytest.mark.usefixtures("graph")
def test_other_uses_of_gradients_of_biases() -> None:
    """Sums of squares are no sums of what is loaded; noise is drawn before; clipped gradients are applied later."""
    net = Layers()
    gradients = tf.gradients(net.loss, net.variables)
    squares = tf.reduce_sum(tf.square(tf.gradients(net.loss, net.hidden)[0]), [0, 1, 2])
    assert "reduce" in kinds_of([gradients[0], squares], net.x)
    kinds = kinds_of([gradients[0], gradients[1] + tf.random_uniform([16], seed=1)], net.x)
    assert "reduce" not in kinds
    assert kinds.count("random") == 1
    clipped, _ = tf.clip_by_global_norm(gradients, 1.0)
    pairs = zip(clipped, net.variables, strict=True)
    kernels = kernels_of(tf.train.GradientDescentOptimizer(0.1).apply_gradients(pairs), net.x)
    (types,) = (types for kind, types in kernels if kind == "conv2d_backprop_filter")
    assert "Sum" in types
    assert "ApplyGradientDescent" not in types


@pytest.mark.parametrize("method", ["direct", "winograd"])
@pytest.mark.parametrize("count", [0, 1, 7, 33])
def test_numbers_of_gradients_of_biases(count: int, method: str, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", method)
    net = Layers()
    dy = tf.gradients(net.loss, net.hidden)[0] * tf.cast(net.hidden > 0, tf.float32)
    runner.execute(tf.global_variables_initializer())
    feeds = {net.x: numbers(count, 6, 5, 3)}
    gradients = runner.run(tf.gradients(net.loss, net.variables), feeds)
    close(gradients[1], runner.run(dy, feeds).astype(np.float64).sum((0, 1, 2)))
