"""Folds over axes before the last one that are swept again: one kernel, block by block of columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._compiled import Runner, compiled_runner  # noqa: F401  a fixture
from tests._cuda import on_cuda
from tests._cuda_kernels import needs_cxx
from tests._fusion import close, fed, kinds_of, numbers, variable
from tfgraph.codegen.kinds.slabs import NARROWEST, STACK_BYTES, WIDEST, width_of
from tfgraph.codegen.passes.clusters import NARROW, NARROW_SLAB_LIMIT, SLAB_LIMIT, is_slab_reduction
from tfgraph.codegen.target import TARGETS, machine_target
from tfgraph.shapes import Batch

EPSILON = 1e-3

# --- what is computed, in NumPy's float64: the result and the gradient of its product with dy -------------------------


def softmax(x: np.ndarray, dy: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    powers = np.exp(x - x.max(axes, keepdims=True))
    y = powers / powers.sum(axes, keepdims=True)
    return y, (dy - (dy * y).sum(axes, keepdims=True)) * y


def log_softmax(x: np.ndarray, dy: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    shifted = x - x.max(axes, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(axes, keepdims=True))
    return y, dy - np.exp(y) * dy.sum(axes, keepdims=True)


def l2_normalize(x: np.ndarray, dy: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rate = 1 / np.sqrt((x * x).sum(axes, keepdims=True))
    y = x * rate
    return y, rate * (dy - y * (dy * y).sum(axes, keepdims=True))


def normalised(x: np.ndarray, dy: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rate = 1 / np.sqrt(x.var(axes, keepdims=True) + EPSILON)
    y = (x - x.mean(axes, keepdims=True)) * rate
    return y, rate * (dy - dy.mean(axes, keepdims=True) - y * (dy * y).mean(axes, keepdims=True))


def normalise(x: Any, axes: list[int]) -> Any:
    mean, variance = tf.nn.moments(x, axes, keep_dims=True)
    return (x - mean) * tf.rsqrt(variance + EPSILON)


OPS: dict[str, tuple[Callable[[Any, list[int]], Any], Callable[..., tuple[np.ndarray, np.ndarray]]]] = {
    "softmax": (lambda x, axes: tf.nn.softmax(x, axis=axes[0]), softmax),
    "log_softmax": (lambda x, axes: tf.nn.log_softmax(x, axis=axes[0]), log_softmax),
    "l2_normalize": (lambda x, axes: tf.nn.l2_normalize(x, axes), l2_normalize),
    "normalised": (normalise, normalised),
}

# columns: fewer than a vector, no multiple of one, several blocks, an unknown number; folded axes: first, middle, several
SHAPES: dict[str, tuple[tuple[int | None, ...], list[int]]] = {
    "narrow": ((40, 9, 3), [1]),
    "odd": ((None, 7, 33), [1]),
    "blocks": ((None, 5, 300), [1]),
    "any_columns": ((5, 6, None), [1]),
    "first": ((20, 200), [0]),
    "inner": ((3, 5, 7, 40), [2]),
    "two": ((None, 5, 7, 24), [1, 2]),
    "apart": ((6, 5, 7, 129), [0, 2]),
    "long": ((3, 500, 40), [1]),
}
CASES = [(op, shape) for op in OPS for shape, (_, axes) in SHAPES.items() if len(axes) == 1 or "softmax" not in op]


def arrays(dims: tuple[int | None, ...], batch: int) -> tuple[np.ndarray, np.ndarray]:
    known = [batch if d is None else d for d in dims]
    return numbers(*known, seed=1) + np.float32(0.5), numbers(*known, seed=2)


def built(op: str, dims: tuple[int | None, ...], axes: list[int]) -> tuple[Any, Any, Any, Any]:
    """x, dy, the result, its gradient."""
    x, dy = tf.placeholder(tf.float32, dims), tf.placeholder(tf.float32, dims)
    y = OPS[op][0](x, axes)
    return x, dy, y, tf.gradients(y, x, dy)[0]


def check(op: str, axes: list[int], given: tuple[np.ndarray, np.ndarray], found: list[np.ndarray]) -> None:
    wanted = OPS[op][1](*(array.astype(np.float64) for array in given), tuple(axes))
    for actual, expected in zip(found, wanted, strict=True):
        close(actual, expected)


@pytest.mark.parametrize(("op", "shape"), CASES)
def test_numbers(op: str, shape: str, runner: Runner) -> None:
    """One kernel for the result and its gradient, equal for every number of threads."""
    dims, axes = SHAPES[shape]
    x, dy, y, dx = built(op, dims, axes)
    for batch in (0, 1, 9, 33) if None in dims else (1,):
        given = arrays(dims, batch)
        check(op, axes, given, runner.run([y, dx], dict(zip((x, dy), given))))
    kernels = runner.kernels()
    assert "slabs" in kernels[-1]
    assert len(kernels) == 1 or dims[-1] is None  # every other number of columns is another program


@pytest.mark.parametrize("target", ["sse2", "avx2", "avx512"])
def test_numbers_in_vectors_of_every_width(target: str, monkeypatch: pytest.MonkeyPatch, runner: Runner) -> None:
    if not machine_target().name.startswith(("sse", "avx")) or machine_target().vector_bytes < TARGETS[target].vector_bytes:
        pytest.skip(f"needs an x86-64 processor with {target}")
    monkeypatch.setenv("TFGRAPH_TARGET", target)
    entries = [(op, *built(op, *SHAPES[shape]), *SHAPES[shape]) for op in OPS for shape in ("odd", "first")]
    given = [arrays(dims, 9) for *_, dims, _ in entries]
    feeds = {t: a for (_, x, dy, *_), pair in zip(entries, given) for t, a in zip((x, dy), pair)}
    found = runner.run([tensor for entry in entries for tensor in entry[3:5]], feeds)
    for i, (op, *_, axes) in enumerate(entries):
        check(op, axes, given[i], found[2 * i : 2 * i + 2])


@needs_cxx
def test_numbers_on_cuda(graph: tf.Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread for each column; no race and no access outside of memory."""
    monkeypatch.setenv("TFGRAPH_SHIM_CHECK", "1")
    entries = [(op, *built(op, *SHAPES[shape]), *SHAPES[shape]) for op in OPS for shape in ("odd", "inner")]
    given = [arrays(dims, 9) for *_, dims, _ in entries]
    feeds = {t: a for (_, x, dy, *_), pair in zip(entries, given) for t, a in zip((x, dy), pair)}
    found = on_cuda([tensor for entry in entries for tensor in entry[3:5]], feeds)
    for i, (op, *_, axes) in enumerate(entries):
        check(op, axes, given[i], found[2 * i : 2 * i + 2])


def test_what_is_no_number_stays_in_its_column(runner: Runner) -> None:
    x = fed(6, 40)
    array = numbers(3, 6, 40)
    array[0, 2, 1], array[1, 5, 20], array[2, 0, 3], array[2, :, 39] = np.nan, np.inf, -np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        wanted, _ = softmax(array.astype(np.float64), array, (1,))
    found = runner.run(tf.nn.softmax(x, axis=1), {x: array})
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    assert np.isnan(found).sum() == 3 * 6
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-7)
    assert found[2, 0, 3] == 0


def test_other_types(runner: Runner) -> None:
    """Whole numbers with a check for each, and conditions, kept from sweep to sweep."""
    x = tf.placeholder(tf.int32, [None, 5, 20])
    least = tf.reduce_min(x, 1, keepdims=True)
    y = (x - least) // tf.reduce_max(x - least, 1, keepdims=True)
    z = tf.reduce_any(x > 2, 1, keepdims=True) & (x > 1)
    array = np.random.default_rng(0).integers(-4, 4, (3, 5, 20)).astype(np.int32)
    rest = array - array.min(1, keepdims=True)
    found, conditions = runner.run([y, z], {x: array})
    np.testing.assert_array_equal(found, rest // rest.max(1, keepdims=True))
    np.testing.assert_array_equal(conditions, (array > 2).any(1, keepdims=True) & (array > 1))
    assert all("slabs" in kernel for kernel in runner.kernels())
    runner.fails(y, {x: np.ones((1, 5, 20), np.int32)}, "division by zero")


def test_results_for_each_column_are_stored_too(runner: Runner) -> None:
    """Fetched moments, and a maximum beside them, in the same kernel; a scale for each column of another shape."""
    x, scale = fed(6, 8, 20), variable(8, 1)
    runner.execute(tf.global_variables_initializer())
    mean, variance = tf.nn.moments(x, [1], keep_dims=True)
    y = (x - mean) * tf.rsqrt(variance + EPSILON) * scale
    fetches = [y, tf.squeeze(mean, [1]), variance, tf.reduce_max(x * 2.0, 1)]
    assert kinds_of(fetches, x) == ["slabs"]
    array = numbers(5, 6, 8, 20)
    *found, weights = runner.run([*fetches, scale], {x: array})
    wide = array.astype(np.float64)
    close(found[0], normalised(wide, wide, (1,))[0] * weights)
    close(found[1], wide.mean(1))
    close(found[2], wide.var(1, keepdims=True))
    close(found[3], 2 * wide.max(1))


def test_a_variable_divided_by_its_own_sum(runner: Runner) -> None:
    """What is read elsewhere is not overwritten before."""
    v = tf.Variable(np.abs(numbers(30, 40)) + 1)
    update = v.assign(v / tf.reduce_sum(v, 0))
    runner.execute(tf.global_variables_initializer())
    before = runner.run(v).astype(np.float64)
    runner.execute(update)
    close(runner.run(v), before / before.sum(0))


def test_random_numbers_come_from_memory(runner: Runner) -> None:
    x = fed(6, 40)
    dropped = tf.nn.dropout(x, keep_prob=0.5, seed=3)
    kept, y = runner.run([dropped, tf.nn.softmax(dropped, axis=1)], {x: numbers(5, 6, 40)})
    assert (kept == 0).any()
    close(y, softmax(kept.astype(np.float64), kept, (1,))[0])


# --- which folds ------------------------------------------------------------------------------------------------------


def test_a_fold_that_needs_another_joins_its_kernel() -> None:
    """Sums over the same axes that stand apart in the graph, as in gradients, along rows and along columns."""
    for axis in (1, 2):
        x, dy = fed(30, 40), fed(30, 40)
        for y in (tf.nn.log_softmax(x, axis=axis), tf.nn.l2_normalize(x, axis)):
            assert kinds_of([y, tf.gradients(y, x, dy)[0]], x, dy) == ["slabs" if axis == 1 else "rows"]


def test_a_plain_fold_is_as_it_was() -> None:
    x = fed(30, 40)
    assert kinds_of(tf.sqrt(tf.reduce_sum(x, 1)) + 1.0, x) == ["reduce"]


@pytest.mark.parametrize(
    ("dims", "axes", "expected"),
    [
        ((Batch(1), SLAB_LIMIT, 1000), (1,), True),
        ((Batch(1), SLAB_LIMIT + 1, 1000), (1,), False),
        ((Batch(1), NARROW_SLAB_LIMIT, NARROW), (1,), True),
        ((Batch(1), NARROW_SLAB_LIMIT + 1, NARROW), (1,), False),
        ((Batch(1), 20, 8, 1), (1,), True),
        ((Batch(1), 20, 1), (1,), False),  # rows
        ((Batch(1), 1, 20), (1,), False),  # nothing to fold
        ((Batch(1), 20), (0,), False),  # a batch has any length
        ((20, Batch(1)), (0,), True),
        ((20, 0), (0,), False),
        ((500, 16), (0,), True),  # little work
        ((500, 64), (0,), False),  # too few blocks for all threads
        ((500, 128), (0,), True),
        ((20, 30), (0, 1), False),
    ],
)
def test_which_folds_are_slabs(dims: tuple[Any, ...], axes: tuple[int, ...], expected: bool) -> None:
    assert is_slab_reduction(dims, axes) == expected


@pytest.mark.parametrize("length", [2, 40, 512, 1024])
@pytest.mark.parametrize("columns", [1, 3, 16, 31, 100, 192, 200, 1000, 4096, Batch(3)])
@pytest.mark.parametrize("outer", [[], [64], [Batch(2)]])
@pytest.mark.parametrize("kept", [[], [4], [4, 8, 8, 8, 8, 8]])
def test_widths_of_blocks(length: int, columns: Any, outer: list[Any], kept: list[int]) -> None:
    width = width_of(length, columns, outer, kept)
    assert 1 <= width <= WIDEST
    assert width * length * sum(kept) <= STACK_BYTES
    if isinstance(columns, int):
        assert width <= columns
        if not kept:
            assert width >= min(columns, NARROWEST)
            assert width == columns or width % 16 == 0
