"""Random numbers inside the kernels that use them: TensorFlow's bits, in no memory, the same mask forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._compiled import Runner, compiled_runner  # noqa: F401  a fixture
from tests._fusion import close, fed, kernel_groups, kernels_of, kinds_of, numbers, reasons, variable
from tests._programs import N, groups_of
from tfgraph.philox import COUNTERS_PER_OUTPUT, sample, seeds_of

COUNTS = (0, 1, 3, 33, 700)


class Masks:
    """The masks that the runs of a session draw, from the generator in NumPy."""

    def __init__(self, op: Any) -> None:
        self.seeds = seeds_of(op.get_attr("seed"), op.get_attr("seed2"))
        self.counter = 0

    def uniform(self, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
        """The numbers of the next run."""
        size = int(np.prod(shape))
        drawn = sample("RandomUniform", self.seeds, self.counter, size, dtype)
        self.counter += COUNTERS_PER_OUTPUT * size
        return drawn.reshape(shape)


def random_ops() -> list[Any]:
    return [op for op in tf.get_default_graph().get_operations() if op.type == "RandomUniform"]


def random_op() -> Any:
    (op,) = random_ops()
    return op


def stored(fetches: Any, *feeds: Any) -> bool:
    """True if the random numbers have a kernel of their own."""
    return "random" in kinds_of(fetches, *feeds)


# --- kernels --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("graph")
def test_dropout_is_one_kernel_with_what_makes_its_operand() -> None:
    x, w = fed(20), variable(20, 64)
    y = tf.nn.dropout(tf.nn.relu(tf.matmul(x, w)), keep_prob=0.5)
    ((kind, types),) = kernels_of(y, x)
    assert kind == "matmul"
    assert types == ["MatMul", "Relu", "Mul", "RandomUniform", "GreaterEqual", "SelectV2"]


@pytest.mark.usefixtures("graph")
def test_the_backward_pass_draws_the_mask_again() -> None:
    x, w, v = fed(20), variable(20, 64), variable(64, 48)
    y = tf.matmul(tf.nn.dropout(tf.nn.relu(tf.matmul(x, w)), keep_prob=0.5), v)
    groups = kernel_groups([y, tf.gradients(tf.nn.l2_loss(y), w)[0]], x)
    drawing = [g for g in groups if g.drawn]
    assert [g.kind for g in drawing] == ["matmul", "matmul"]
    assert all("GreaterEqual" in [n.type for n in g.nodes] for g in drawing)
    assert not any(g.kind == "random" for g in groups)


@pytest.mark.usefixtures("graph")
def test_kernels_that_draw() -> None:
    x, image = fed(64), fed(6, 6, 8)
    assert kinds_of(tf.nn.dropout(tf.exp(x), keep_prob=0.5), x) == ["pointwise"]
    assert kinds_of(tf.nn.dropout(tf.nn.softmax(x), keep_prob=0.5), x) == ["rows"]
    conv = tf.nn.conv2d(image, variable(3, 3, 8, 32), [1, 1, 1, 1], "SAME")
    assert kinds_of(tf.nn.dropout(tf.nn.relu(conv), keep_prob=0.5), image) == ["conv2d"]
    assert kinds_of(tf.Variable(tf.random_uniform([7, 5], -1.0, 1.0)).initializer) == ["pointwise"]


@pytest.mark.usefixtures("graph")
def test_why_numbers_are_stored() -> None:
    x, image = fed(20), fed(6, 6, 8)
    narrow = tf.nn.dropout(tf.matmul(x, variable(20, 8)), keep_prob=0.5)
    assert stored(narrow, x)
    assert any("rows of 8 random numbers are too short" in reason for reason in reasons(narrow, x))
    total = tf.reduce_sum(tf.nn.dropout(x, keep_prob=0.5), 0)
    assert stored(total, x)
    assert any("reduce makes no random numbers" in reason for reason in reasons(total, x))
    one = tf.nn.dropout(image, keep_prob=0.5, noise_shape=[1, 6, 6, 8])
    assert stored(one, image)
    assert any("random numbers at other positions" in reason for reason in reasons(one, image))
    uniform = tf.random_uniform([64, 64])
    many = [tf.matmul(variable(64, 64), variable(64, 64)) * uniform for _ in range(3)]
    assert stored(many)
    assert any("drawn once, because 3 kernels use it" in reason for reason in reasons(many))


@pytest.mark.usefixtures("graph")
def test_fetched_numbers_are_stored() -> None:
    x = fed(64)
    uniform = tf.random_uniform(tf.shape(x))
    assert stored([uniform, x * uniform], x)


@pytest.mark.usefixtures("graph")
def test_numbers_of_sizes_and_feeds_are_no_kernels() -> None:
    x, keep = fed(20), tf.placeholder(tf.float32, [])
    y = tf.reduce_mean(tf.square(tf.nn.dropout(x, keep_prob=keep)))
    groups = kernel_groups_with(keep, [tf.nn.dropout(x, keep_prob=keep), tf.gradients(y, x)[0]], x)
    assert "[]" not in [str(list(g.domain)) for g in groups]
    assert any(g.hoisted for g in groups)


def kernel_groups_with(keep: Any, fetches: Any, x: Any) -> Any:
    return groups_of(fetches, {x: (N, 20), keep: ()})


# --- bits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [4, 20, 64, 67])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_bits_of_a_sweep(columns: int, dtype: Any, runner: Runner) -> None:
    """One loop over all elements, or one over rows where an operand is the same in all of them."""
    x = tf.placeholder(dtype, [None, columns])
    row = numbers(columns).astype(dtype.as_numpy_dtype)
    uniform = tf.random_uniform(tf.shape(x), dtype=dtype, seed=4)
    for y, plain in ((x * uniform, lambda u, a: a * u), (tf.maximum(uniform, x) * row, lambda u, a: np.maximum(u, a) * row)):
        masks, session = Masks(uniform.op), Runner(runner._monkeypatch)
        for count in COUNTS:
            array = numbers(count, columns).astype(dtype.as_numpy_dtype)
            drawn = masks.uniform((count, columns), dtype.as_numpy_dtype)
            np.testing.assert_array_equal(session.run(y, {x: array}), plain(drawn, array))


@pytest.mark.parametrize("columns", [64, 100, 102, 300])
def test_bits_of_a_product(columns: int, runner: Runner) -> None:
    """Rows that begin with a counter's first number (64, 100, 300), and that do not (102)."""
    x, w, v = fed(24), variable(24, columns), variable(columns, 40, seed=1)
    hidden = tf.nn.dropout(tf.nn.relu(tf.matmul(x, w)), keep_prob=0.75, seed=3)
    loss = tf.reduce_sum(tf.square(tf.matmul(hidden, v)))
    (gradient,) = tf.gradients(loss, w)
    assert not stored([hidden, gradient], x)
    masks = Masks(random_op())
    runner.execute(tf.global_variables_initializer())
    a, b = (value.astype(np.float64) for value in runner.run([w, v]))
    for count in COUNTS:
        array = numbers(count, 24).astype(np.float64)
        kept = masks.uniform((count, columns)) >= np.float32(0.25)
        out, dw = runner.run([hidden, gradient], {x: array.astype(np.float32)})
        before = array @ a
        wanted = np.where(kept, np.maximum(before, 0) / 0.75, 0.0)
        close(out, wanted)
        assert np.array_equal(out != 0, kept & (out != 0))
        dh = 2 * (wanted @ b) @ b.T
        close(dw, array.T @ np.where(kept & (before > 0), dh / 0.75, 0.0), 1e-4)


def test_bits_of_a_convolution_and_of_rows(runner: Runner) -> None:
    image, x = fed(5, 5, 4), fed(64)
    conv = tf.nn.dropout(tf.nn.relu(tf.nn.conv2d(image, variable(3, 3, 4, 40), [1, 1, 1, 1], "SAME")), keep_prob=0.5, seed=1)
    first = Masks(random_op())
    rows = tf.nn.dropout(tf.nn.softmax(x), keep_prob=0.5, seed=2)
    second = Masks(random_ops()[-1])
    assert not stored([conv, rows], image, x)
    runner.execute(tf.global_variables_initializer())
    for count in COUNTS:
        found = runner.run([conv, rows], {image: np.abs(numbers(count, 5, 5, 4)) + 1, x: numbers(count, 64)})
        kept = first.uniform((count, 5, 5, 40)) >= 0.5
        assert not np.any((found[0] != 0) & ~kept)
        np.testing.assert_array_equal(found[1] != 0, second.uniform((count, 64)) >= 0.5)


@pytest.mark.parametrize("channels", [8, 3])
def test_bits_of_pictures_that_are_flattened(channels: int, runner: Runner) -> None:
    """Dropout of pictures before a product: its gradient takes their numbers as rows, of 280 or of 105."""
    columns = 5 * 7 * channels
    image, w = fed(5, 7, channels), variable(columns, 40)
    y = tf.matmul(tf.reshape(tf.nn.dropout(image, keep_prob=0.75, seed=3), [-1, columns]), w)
    (gradient,) = tf.gradients(tf.reduce_sum(tf.square(y)), image)
    drawing = [g.kind for g in kernel_groups([y, gradient], image) if g.drawn]
    assert drawing == ["pointwise", "matmul"]
    assert not stored([y, gradient], image)
    masks = Masks(random_op())
    runner.execute(tf.global_variables_initializer())
    a = runner.run(w).astype(np.float64)
    for count in COUNTS:
        array = numbers(count, 5, 7, channels).astype(np.float64)
        kept = masks.uniform(array.shape) >= np.float32(0.25)
        out, dx = runner.run([y, gradient], {image: array.astype(np.float32)})
        wanted = np.where(kept, array / 0.75, 0.0).reshape(count, columns) @ a
        close(out, wanted, 1e-4)
        close(dx, np.where(kept, (2 * wanted @ a.T).reshape(array.shape) / 0.75, 0.0), 1e-4)
        assert not np.any((dx != 0) & ~kept)


def test_a_fed_probability(runner: Runner) -> None:
    x, keep = fed(64), tf.placeholder(tf.float32, [])
    y = tf.nn.dropout(x, keep_prob=keep, seed=5)
    (gradient,) = tf.gradients(y, x)
    masks = Masks(random_op())
    array = np.abs(numbers(9, 64)) + np.float32(0.5)
    for probability in (0.3, 1.0, 0.9):
        drawn = masks.uniform((9, 64))
        kept = drawn >= np.float32(1) - np.float32(probability)
        out, dx = runner.run([y, gradient], {x: array, keep: probability})
        np.testing.assert_array_equal(out != 0, kept)
        np.testing.assert_array_equal(dx != 0, kept)
        if probability == 1.0:
            np.testing.assert_array_equal(out, array)
