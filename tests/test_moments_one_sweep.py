"""Mean and variance in one sweep: which graphs get it, and its numbers against float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._compiled import Runner, compiled_runner  # noqa: F401  a fixture
from tests._fusion import close, fed, kernel_groups, numbers, variable
from tests._programs import after, roots_of, types
from tfgraph.codegen.target import TARGETS, machine_target, writing_for
from tfgraph.shapes import Batch

N = Batch(1)
MADE = "_SquaredDeviations"

# --- what is recognised -------------------------------------------------------------------------------------------


def by_moments(x: Any) -> list[Any]:
    return list(tf.nn.moments(x, [0, 1, 2]))


def by_hand(x: Any) -> list[Any]:
    mean = tf.reduce_mean(x, [0, 1, 2])
    return [mean, tf.reduce_mean(tf.square(x - mean), [0, 1, 2])]


def the_other_way_round(x: Any) -> list[Any]:
    mean = tf.reduce_mean(x, [0, 1, 2], keepdims=True)
    difference = mean - x
    return [mean, tf.reduce_sum(difference * difference, [0, 1, 2])]


def fused(x: Any) -> list[Any]:
    return list(tf.nn.fused_batch_norm(x, tf.ones([8]), tf.zeros([8]))[1:])


def of_what_is_computed(x: Any) -> list[Any]:
    return list(tf.nn.moments(tf.nn.relu(x * 2.0 + 1.0), [0, 1, 2]))


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("build", [by_moments, by_hand, the_other_way_round, fused, of_what_is_computed])
def test_one_kernel_makes_both(build: Callable[[Any], list[Any]]) -> None:
    x = fed(6, 5, 8)
    (group,) = kernel_groups(build(x), x)
    assert group.kind == "reduce"
    assert [n.type for n in group.nodes].count(MADE) == 1
    assert "SquaredDifference" not in [n.type for n in group.nodes]


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("layer", ["fused", "plain"])
def test_a_training_step_of_batch_normalisation_takes_four_sweeps(layer: str) -> None:
    """The moments, the results; the sums of the gradient, the gradient."""
    x, w = fed(6, 6, 3), variable(3, 3, 3, 8)
    hidden = tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME")
    y = tf.nn.relu(tf.layers.batch_normalization(hidden, training=True, fused=layer == "fused"))
    out = tf.nn.conv2d(y, variable(3, 3, 8, 4), [1, 1, 1, 1], "SAME")
    groups = kernel_groups(tf.gradients(out, [w, *tf.trainable_variables()]), x)
    sweeps = [g.kind for g in groups if g.domain == (N, 6, 6, 8) and g.kind in ("reduce", "pointwise")]
    assert sweeps == ["reduce", "pointwise", "reduce", "pointwise"]


@pytest.mark.usefixtures("graph")
def test_the_normalised_values_are_made_again_for_the_gradient() -> None:
    """Each kernel stores one array: the forward one the activation, the backward one the gradient."""
    x, w = fed(6, 6, 3), variable(3, 3, 3, 8)
    hidden = tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME")
    y = tf.nn.relu(tf.layers.batch_normalization(hidden, training=True, fused=True))
    out = tf.nn.conv2d(y, variable(3, 3, 8, 4), [1, 1, 1, 1], "SAME")
    groups = kernel_groups([out, *tf.gradients(out, tf.trainable_variables())], x)
    inside = [set(g.nodes) for g in groups]
    for own, group in zip(inside, groups, strict=True):
        elsewhere = [n for g, nodes in zip(groups, inside, strict=True) for n in g.nodes if nodes is not own]
        made = {v for n in elsewhere for v in n.inputs if v.op in own and not any(n in o and v.op in o for o in inside)}
        stores = sum(v.dims == (N, 6, 6, 8) for v in made)
        assert stores == (group.domain == (N, 6, 6, 8) and group.kind != "reduce")


def other_axes(x: Any) -> Any:
    return tf.reduce_sum(tf.square(x - tf.reduce_mean(x, [0, 1, 2])), [0, 1])


def other_centre(x: Any) -> Any:
    return tf.reduce_sum(tf.square(x - tf.reduce_max(x, [0, 1, 2])), [0, 1, 2])


def mean_of_something_else(x: Any) -> Any:
    return tf.reduce_sum(tf.square(x - tf.reduce_mean(x * x, [0, 1, 2])), [0, 1, 2])


def no_mean(x: Any) -> Any:
    return tf.reduce_sum(tf.square(x - tf.reduce_sum(x, [0, 1, 2]) / 100.0), [0, 1, 2])


def means_of_other_columns(x: Any) -> Any:
    return tf.reduce_sum(tf.square(x - tf.reverse(tf.reduce_mean(x, [0, 1, 2]), [0])), [0, 1, 2])


def deviations_of_something_else(x: Any) -> Any:
    return tf.reduce_sum(tf.square(x * 2.0 - tf.reduce_mean(x, [0, 1, 2])), [0, 1, 2])


def of_short_rows(x: Any) -> Any:
    return tf.nn.moments(x, [3])[1]


OTHERS = [
    other_axes, other_centre, mean_of_something_else, no_mean, means_of_other_columns, deviations_of_something_else,
    of_short_rows,
]  # fmt: skip


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("build", OTHERS)
def test_what_only_looks_alike_is_left_alone(build: Callable[[Any], Any]) -> None:
    x = fed(6, 5, 8)
    assert MADE not in types(after(roots_of(build(x), {x: (N, 6, 5, 8)})))


@pytest.mark.usefixtures("graph")
def test_a_gpus_kernels_take_two_sweeps() -> None:
    x = fed(6, 5, 8)
    before = roots_of(by_moments(x), {x: (N, 6, 5, 8)})
    with writing_for("cuda"):
        assert MADE not in types(after(before))


# --- numbers ------------------------------------------------------------------------------------------------------

# long and short rows of columns, several blocks of columns, one column, whole rows, rows between kept axes, everything
SHAPES: dict[str, tuple[tuple[int, ...], list[int]]] = {
    "images": ((9, 11, 13, 24), [0, 1, 2]),
    "channels first": ((7, 5, 30, 31), [0, 2, 3]),
    "long rows": ((130, 300), [0]),
    "blocks of rows": ((40, 1500), [0]),
    "one column": ((5000, 1), [0]),
    "everything": ((70, 90), [0, 1]),
    "all results at once": ((600, 3000), [0]),
    "between": ((3, 1100, 5), [1]),
    "one element": ((1, 20), [0]),
    "two elements": ((2, 150), [0]),
}


def data(dims: tuple[int, ...], mean: float, dtype: Any = np.float32) -> np.ndarray:
    return (np.random.default_rng(3).normal(size=dims) + mean).astype(dtype)


def found(runner: Runner, array: np.ndarray, axes: list[int]) -> list[np.ndarray]:
    x = tf.placeholder(tf.as_dtype(array.dtype), [None, *array.shape[1:]])
    return runner.run(list(tf.nn.moments(x, axes)), {x: array})


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mean", [0.0, 1e4, -3e5])
def test_numbers(shape: str, mean: float, runner: Runner) -> None:
    """Deviations of 1 from 300,000 are 32 steps of float32: the variance of the rounded numbers is still exact."""
    dims, axes = SHAPES[shape]
    array = data(dims, mean)
    average, variance = found(runner, array, axes)
    exact = array.astype(np.float64)
    close(variance, exact.var(tuple(axes)), 1e-5)
    np.testing.assert_allclose(average, exact.mean(tuple(axes)), rtol=2e-7, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_numbers_in_double(shape: str, runner: Runner) -> None:
    dims, axes = SHAPES[shape]
    array = data(dims, 1e6, np.float64)
    _, variance = found(runner, array, axes)
    close(variance, array.astype(np.longdouble).var(tuple(axes)), 1e-11)


def test_every_number_of_rows(runner: Runner) -> None:
    """Around the ends of stretches and of parts, and none at all."""
    x = tf.placeholder(tf.float32, [None, 300])
    fetches = list(tf.nn.moments(x, [0]))
    for rows in (1, 2, 3, 4, 5, 15, 16, 17, 19, 64, 65, 109, 257, 4000):
        array = data((rows, 300), 50)
        average, variance = runner.run(fetches, {x: array})
        close(variance, array.astype(np.float64).var(0), 2e-5)
        close(average, array.astype(np.float64).mean(0), 1e-6)
    assert all(np.isnan(value).all() for value in runner.run(fetches, {x: np.zeros((0, 300), np.float32)}))


def steps(rows: int) -> np.ndarray:
    return np.repeat(np.float32([1000, -1000, 7, 1e5]), rows // 4)


def outlier_first(rows: int) -> np.ndarray:
    return np.concatenate([np.float32([1e6]), data((rows - 1,), 0)])


def constant(rows: int) -> np.ndarray:
    return np.full(rows, 0.1, np.float32)


def rising(rows: int) -> np.ndarray:
    return np.arange(rows, dtype=np.float32) + 1e5


def neighbours(rows: int) -> np.ndarray:
    return np.where(np.arange(rows) % 3 == 0, np.float32(1e4), np.nextafter(np.float32(1e4), np.float32(np.inf)))


@pytest.mark.parametrize("build", [steps, outlier_first, constant, rising, neighbours])
def test_numbers_that_are_no_noise(build: Callable[[int], np.ndarray], runner: Runner) -> None:
    """An outlier of a million deviations costs the most: many equal numbers are added to what is much larger."""
    array = np.ascontiguousarray(np.broadcast_to(build(40000)[:, None], (40000, 3)))
    average, variance = found(runner, array, [0])
    exact = array.astype(np.float64)
    assert (variance >= 0).all()
    close(average, exact.mean(0), 1e-5)
    np.testing.assert_allclose(variance, exact.var(0), rtol=2e-4 if build is outlier_first else 2e-5, atol=1e-12)


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", [0, 1, 4097, 8999])
def test_what_is_not_finite_shows(special: float, place: int, runner: Runner) -> None:
    """As in two sweeps: the mean of an infinite number is infinite, the variance NaN; other columns keep theirs."""
    array = data((9000, 4), 5)
    array[place, 2] = special
    average, variance = found(runner, array, [0])
    np.testing.assert_array_equal(average[2], np.float32(special))
    assert np.isnan(variance[2])
    others = [0, 1, 3]
    close(variance[others], array[:, others].astype(np.float64).var(0), 1e-5)


def test_both_infinities(runner: Runner) -> None:
    array = data((9000, 2), 5)
    array[[17, 8000], 1] = np.inf, -np.inf
    average, variance = found(runner, array, [0])
    assert np.isnan([average[1], variance[1]]).all()
    assert np.isfinite(variance[0])


def test_one_infinite_number(runner: Runner) -> None:
    average, variance = found(runner, np.full((1, 3), np.inf, np.float32), [0])
    assert np.isinf(average).all()
    assert np.isnan(variance).all()


def test_large_numbers_do_not_overflow_early(runner: Runner) -> None:
    array = data((70000, 2), 0) * np.float32(1e16)
    close(found(runner, array, [0])[1], array.astype(np.float64).var(0), 1e-5)


def test_beside_other_reductions(runner: Runner) -> None:
    """Sums, maxima and products of the same elements in one kernel with the moments, and two variances."""
    x, y = fed(11, 13, 200), fed(11, 13, 200)
    axes = [0, 1, 2]
    fetches = [*tf.nn.moments(x, axes), tf.reduce_sum(x, axes), tf.reduce_max(x, axes), tf.reduce_sum(x * y, axes)]
    fetches += tf.nn.moments(x + y, axes)
    arrays = numbers(7, 11, 13, 200, seed=1), numbers(7, 11, 13, 200, seed=2) + np.float32(100)
    a, b = (array.astype(np.float64) for array in arrays)
    wanted = [a.mean((0, 1, 2)), a.var((0, 1, 2)), a.sum((0, 1, 2)), a.max((0, 1, 2)), (a * b).sum((0, 1, 2))]
    wanted += [(a + b).mean((0, 1, 2)), (a + b).var((0, 1, 2))]
    for actual, expected in zip(runner.run(fetches, dict(zip((x, y), arrays))), wanted, strict=True):
        close(actual, expected, 3e-5)


@pytest.mark.parametrize("shape", ["images", "long rows", "channels first"])
def test_results_and_gradients_of_batch_normalisation(shape: str, runner: Runner) -> None:
    dims, axes = SHAPES[shape]
    x, dy = (tf.placeholder(tf.float32, [None, *dims[1:]]) for _ in range(2))
    mean, variance = tf.nn.moments(x, axes, keep_dims=True)
    y = tf.nn.batch_normalization(x, mean, variance, None, None, 1e-3)
    given = data(dims, 3), numbers(*dims, seed=8)
    out, gradient = runner.run([y, tf.gradients(y, x, dy)[0]], dict(zip((x, dy), given)))
    a, d = (array.astype(np.float64) for array in given)
    every = tuple(axes)
    rate = 1 / np.sqrt(a.var(every, keepdims=True) + 1e-3)
    normal = (a - a.mean(every, keepdims=True)) * rate
    close(out, normal, 1e-5)
    close(gradient, rate * (d - d.mean(every, keepdims=True) - normal * (d * normal).mean(every, keepdims=True)), 1e-5)


@pytest.mark.parametrize("target", ["sse2", "avx2", "avx512"])
def test_numbers_in_vectors_of_every_width(target: str, monkeypatch: pytest.MonkeyPatch, runner: Runner) -> None:
    if not machine_target().name.startswith(("sse", "avx")) or machine_target().vector_bytes < TARGETS[target].vector_bytes:
        pytest.skip(f"needs an x86-64 processor with {target}")
    monkeypatch.setenv("TFGRAPH_TARGET", target)
    for dims, axes in SHAPES.values():
        array = data(dims, 1e4)
        close(found(runner, array, axes)[1], array.astype(np.float64).var(tuple(axes)), 1e-5)
