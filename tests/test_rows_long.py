"""Rows that are too long for the stack, in one kernel; what is left of a row when its whole vectors are folded,
and sums of many columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._compiled import Runner, compiled_runner, normal  # noqa: F401  a fixture
from tests._cuda import on_cuda
from tests._cuda_kernels import needs_cxx
from tests._fusion import close, fed, kernels_of, kinds_of, numbers, reasons
from tests._programs import program_of
from tfgraph.codegen.kinds.reduce import MANY, ROW_BLOCK
from tfgraph.codegen.passes.clusters import LONG_ROW_LIMIT, LONG_ROWS, ROW_LIMIT, is_row_reduction, is_short_row_reduction
from tfgraph.codegen.target import TARGETS, machine_target, writing_for
from tfgraph.shapes import Batch

EPSILON = 1e-3
LONG = ROW_LIMIT + 955  # no multiple of a vector

# --- what is computed, in NumPy's float64: the result and the gradient of its product with dy -------------------------


def softmax(x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, ...]:
    powers = np.exp(x - x.max(-1, keepdims=True))
    y = powers / powers.sum(-1, keepdims=True)
    return y, (dy - (dy * y).sum(-1, keepdims=True)) * y


def log_softmax(x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, ...]:
    shifted = x - x.max(-1, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return y, dy - np.exp(y) * dy.sum(-1, keepdims=True)


def l2_normalize(x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, ...]:
    rate = 1 / np.sqrt((x * x).sum(-1, keepdims=True))
    y = x * rate
    return y, rate * (dy - y * (dy * y).sum(-1, keepdims=True))


def normalised(x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, ...]:
    rate = 1 / np.sqrt(x.var(-1, keepdims=True) + EPSILON)
    y = (x - x.mean(-1, keepdims=True)) * rate
    return y, rate * (dy - dy.mean(-1, keepdims=True) - y * (dy * y).mean(-1, keepdims=True))


def log_sum_exp(x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, ...]:
    largest = x.max(-1, keepdims=True)
    total = np.exp(x - largest).sum(-1, keepdims=True)
    return largest + np.log(total), np.exp(x - largest) / total * dy[..., :1]


def normalise(x: Any) -> Any:
    mean, variance = tf.nn.moments(x, [-1], keep_dims=True)
    return (x - mean) * tf.rsqrt(variance + EPSILON)


OPS: dict[str, tuple[Callable[[Any], Any], Callable[..., tuple[np.ndarray, ...]]]] = {
    "softmax": (tf.nn.softmax, softmax),
    "log_softmax": (tf.nn.log_softmax, log_softmax),
    "l2_normalize": (lambda x: tf.nn.l2_normalize(x, -1), l2_normalize),
    "normalised": (normalise, normalised),
    "log_sum_exp": (lambda x: tf.reduce_logsumexp(x, -1, keepdims=True), log_sum_exp),
}


def built(op: str, *dims: int) -> tuple[Any, Any, Any, Any]:
    """x, dy, the result, its gradient."""
    x, dy = fed(*dims), fed(*dims)
    y = OPS[op][0](x)
    return x, dy, y, tf.gradients(y, x, dy if op != "log_sum_exp" else dy[..., :1])[0]


def check(op: str, found: list[np.ndarray], *given: np.ndarray) -> None:
    for actual, expected in zip(found, OPS[op][1](*(a.astype(np.float64) for a in given)), strict=True):
        close(actual, expected)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("columns", [17, 21, 33, 100, ROW_LIMIT, LONG])
def test_numbers(op: str, columns: int, runner: Runner) -> None:
    """One kernel for the result and its gradient, equal for every number of threads."""
    x, dy, y, dx = built(op, columns)
    for batch in (0, 1, 9):
        given = numbers(batch, columns, seed=1) + np.float32(0.5), numbers(batch, columns, seed=2)
        check(op, runner.run([y, dx], dict(zip((x, dy), given))), *given)
    assert len(runner.kernels()) == 1


@pytest.mark.parametrize("target", ["sse2", "avx2", "avx512"])
def test_numbers_in_vectors_of_every_width(target: str, monkeypatch: pytest.MonkeyPatch, runner: Runner) -> None:
    if not machine_target().name.startswith(("sse", "avx")) or machine_target().vector_bytes < TARGETS[target].vector_bytes:
        pytest.skip(f"needs an x86-64 processor with {target}")
    monkeypatch.setenv("TFGRAPH_TARGET", target)
    entries = [(op, columns, *built(op, columns)) for op in OPS for columns in (29, LONG)]
    given = [(numbers(5, columns, seed=1), numbers(5, columns, seed=2)) for _, columns, *_ in entries]
    feeds = {t: a for (_, _, x, dy, *_), pair in zip(entries, given) for t, a in zip((x, dy), pair)}
    found = runner.run([tensor for entry in entries for tensor in entry[4:]], feeds)
    for i, (op, *_) in enumerate(entries):
        check(op, found[2 * i : 2 * i + 2], *given[i])


@pytest.mark.parametrize("columns", [21, LONG])
def test_what_is_no_number_stays_in_its_row(columns: int, runner: Runner) -> None:
    """In whole vectors and in what is left of a row."""
    x = fed(columns)
    array = numbers(6, columns)
    array[0, 1], array[1, -1], array[2, 3], array[3, -2], array[4] = np.nan, np.nan, np.inf, -np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        wanted, _ = softmax(array.astype(np.float64), array)
    found = runner.run(tf.nn.softmax(x), {x: array})
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    assert np.isnan(found).all(1).tolist() == [True, True, True, False, True, False]
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-7)
    assert found[3, -2] == 0


@pytest.mark.parametrize("columns", [33, LONG])
def test_cross_entropy_and_its_gradient(columns: int, runner: Runner) -> None:
    """The mean over all rows is taken in the sweep over them."""
    logits, labels, sparse = fed(columns), fed(columns), tf.placeholder(tf.int64, [None])
    dense = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits))
    other = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=sparse, logits=logits))
    for batch in (1, 11):
        array, classes = numbers(batch, columns), np.arange(batch) * 7 % columns
        hot = np.eye(columns, dtype=np.float32)[classes]
        powers = np.exp(array.astype(np.float64) - array.max(1, keepdims=True))
        rates = powers / powers.sum(1, keepdims=True)
        loss, slopes = -np.log(rates[np.arange(batch), classes]).mean(), (rates - hot) / batch
        for fetches, feeds in (
            ([dense, tf.gradients(dense, logits)[0]], {logits: array, labels: hot}),
            ([other, tf.gradients(other, logits)[0]], {logits: array, sparse: classes}),
        ):
            found = runner.run(fetches, feeds)
            close(found[0], np.asarray(loss))
            close(found[1], slopes)
    assert kinds_of([dense, tf.gradients(dense, logits)[0]], logits, labels) == ["rows"]


def test_whole_numbers_and_doubles(runner: Runner) -> None:
    """Checks in a sweep, and values for which no result has a place of their type."""
    x, y = tf.placeholder(tf.int32, [None, LONG]), tf.placeholder(tf.float64, [None, LONG])
    rest = x - tf.reduce_min(x, 1, keepdims=True)
    shares = tf.cast(tf.exp(y - tf.reduce_max(y, 1, keepdims=True)), tf.float32)
    fetches = [rest // tf.reduce_max(rest, 1, keepdims=True), shares / tf.reduce_sum(shares, 1, keepdims=True)]
    whole, array = np.random.default_rng(0).integers(-4, 4, (3, LONG)).astype(np.int32), normal(1, (3, LONG), np.float64)
    found = runner.run(fetches, {x: whole, y: array})
    above = whole - whole.min(1, keepdims=True)
    np.testing.assert_array_equal(found[0], above // above.max(1, keepdims=True))
    close(found[1], softmax(array, array)[0])
    runner.fails(fetches[0], {x: np.ones((1, LONG), np.int32)}, "division by zero")


def test_a_variable_divided_by_the_sums_of_its_rows(runner: Runner) -> None:
    """What a later sweep reads again is not overwritten before."""
    v = tf.Variable(np.abs(numbers(20, LONG)) + 1)
    update = v.assign(tf.square(v) / tf.reduce_sum(v, 1, keepdims=True))
    runner.execute(tf.global_variables_initializer())
    before = runner.run(v).astype(np.float64)
    runner.execute(update)
    close(runner.run(v), before**2 / before.sum(1, keepdims=True))


@pytest.mark.parametrize(("columns", "axis"), [(40, 1), (40, 0), (LONG, 1)])
def test_what_was_read_before_a_variable_is_written(columns: int, axis: int, runner: Runner) -> None:
    """A sweep after the one that writes it takes what it was, and is not given what it is."""
    before, factors = numbers(20, columns), numbers(20, columns, seed=1)
    w, p = tf.Variable(before), tf.placeholder(tf.float32, [20, columns])
    kept = tf.nn.relu(w)
    first = tf.reduce_sum(w * p, axis, keepdims=True)
    late = kept * tf.reduce_sum(p * first, axis, keepdims=True)
    with tf.control_dependencies([kept]):
        update = tf.assign_sub(w, 0.1 * first * p)
    runner.execute(tf.global_variables_initializer())
    found = runner.run([late, update.op], {p: factors})[0]
    wide, by = before.astype(np.float64), factors.astype(np.float64)
    sums = (wide * by).sum(axis, keepdims=True)
    close(found, np.maximum(wide, 0) * (by * sums).sum(axis, keepdims=True))
    close(runner.run(w), wide - 0.1 * sums * by)


def test_random_numbers_of_long_rows(runner: Runner) -> None:
    x = fed(LONG)
    dropped = tf.nn.dropout(x, keep_prob=0.5, seed=3)
    kept, y = runner.run([dropped, tf.nn.softmax(dropped)], {x: numbers(5, LONG)})
    assert 0.4 < (kept == 0).mean() < 0.6
    close(y, softmax(kept.astype(np.float64), kept)[0])


@needs_cxx
def test_numbers_on_cuda(graph: tf.Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_SHIM_CHECK", "1")
    entries = [(op, columns, *built(op, columns)) for op in ("softmax", "normalised") for columns in (21, LONG)]
    given = [(numbers(3, columns, seed=1), numbers(3, columns, seed=2)) for _, columns, *_ in entries]
    feeds = {t: a for (_, _, x, dy, *_), pair in zip(entries, given) for t, a in zip((x, dy), pair)}
    found = on_cuda([tensor for entry in entries for tensor in entry[4:]], feeds)
    for i, (op, *_) in enumerate(entries):
        check(op, found[2 * i : 2 * i + 2], *given[i])


# --- where values are kept --------------------------------------------------------------------------------------------


def written(fetches: Any, *feeds: Any) -> str:
    return program_of(fetches, {x: (9, *x.shape.as_list()[1:]) for x in feeds}).source


def test_powers_wait_where_the_results_will_be() -> None:
    x, dy = fed(LONG), fed(LONG)
    y = tf.nn.softmax(x)
    for fetches, feeds in (([y], [x]), ([y, tf.gradients(y, x, dy)[0]], [x, dy]), ([tf.gradients(y, x, dy)[0]], [x, dy])):
        source = written(fetches, *feeds)
        assert source.count("= tg_exp_f32(") == 1
        assert not re.search(rf"\[{LONG}\];", source)  # nothing on the stack


def test_what_no_result_has_a_place_for_is_computed_again() -> None:
    x = fed(LONG)
    largest = tf.reduce_max(tf.nn.softmax(x), 1)
    source = written([largest], x)
    assert source.count("= tg_exp_f32(") == 2
    assert kinds_of(largest, x) == ["rows"]


def test_short_rows_are_kept_on_the_stack() -> None:
    x = fed(ROW_LIMIT)
    assert f"float exp_row[{ROW_LIMIT}];" in written([tf.nn.softmax(x)], x)


# --- which folds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dims", "axes", "expected"),
    [
        ((Batch(1), LONG_ROW_LIMIT), (1,), True),
        ((Batch(1), LONG_ROW_LIMIT + 1), (1,), False),
        ((Batch(1), 64, 64, 8), (1, 2, 3), True),
        ((Batch(1), 64, 64, 8), (1, 2), False),
        ((LONG_ROWS, LONG), (1,), True),
        ((LONG_ROWS - 1, LONG), (1,), False),  # too few for the threads
        ((1, ROW_LIMIT), (1,), True),
        ((LONG, Batch(1)), (1,), False),
        ((LONG,), (0,), False),
        ((20, 0), (1,), False),
    ],
)
def test_which_folds_are_rows(dims: tuple[Any, ...], axes: tuple[int, ...], expected: bool) -> None:
    assert is_row_reduction(dims, axes) == expected
    with writing_for("cuda"):  # rows stay in shared memory
        assert is_row_reduction(dims, axes) == is_short_row_reduction(dims, axes)


def test_longer_rows_are_swept_by_kernels_of_their_own() -> None:
    x = fed(LONG_ROW_LIMIT + 1)
    assert [kind for kind, _ in kernels_of(tf.nn.softmax(x), x)] == ["reduce", "reduce", "pointwise"]


def test_sums_of_columns_are_not_taken_beside_long_rows() -> None:
    x, dy, scale = fed(LONG), fed(LONG), tf.Variable(np.ones(LONG, np.float32))
    gradients = tf.gradients(normalise(x) * scale, [x, scale], dy)
    assert "reduce" in kinds_of(gradients, x, dy)
    assert any("sums of columns beside long rows" in reason for reason in reasons(gradients, x, dy))


# --- sums of many columns ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [MANY * ROW_BLOCK - 1, MANY * ROW_BLOCK, MANY * ROW_BLOCK + 300])
def test_many_columns_need_no_parts(columns: int, runner: Runner) -> None:
    """Blocks of columns occupy the threads; with fewer, parts of the rows do, which a second launch adds up."""
    x = fed(columns)
    fetches = [tf.reduce_sum(x, 0), tf.reduce_sum(tf.square(x), 0)]
    for batch in (0, 1, 9, 33):
        array = numbers(batch, columns)
        found = runner.run(fetches, {x: array})
        close(found[0], array.sum(0, dtype=np.float64))
        close(found[1], np.square(array.astype(np.float64)).sum(0))
    assert any(name.endswith("_parts") for name in runner.kernels()) == (columns < MANY * ROW_BLOCK)
