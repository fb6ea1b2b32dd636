"""Reshapes and transposes that stand between nodes of one kernel move out of the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._compiled import Runner, compiled_runner  # noqa: F401  a fixture
from tests._fusion import close, fed, kernels_of, kinds_of, numbers, variable
from tests._programs import N, expressions, roots_of
from tests._rewrites import check_rewrite
from tfgraph.codegen.passes.move_reshapes import move_reshapes
from tfgraph.codegen.passes.move_transposes import move_transposes

# --- transposes -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda x: tf.transpose(tf.exp(tf.transpose(x))), "Exp(x)"),
        (lambda x: tf.transpose(tf.transpose(x) * 2.0 + tf.transpose(x)), "Add(Mul(x, 2.0), x)"),
        (lambda x: tf.transpose(tf.reduce_sum(tf.transpose(x), 0, keepdims=True)), "Sum(x, [1])"),
        (
            lambda x: tf.transpose(tf.transpose(x) - tf.reduce_max(tf.transpose(x), [0], keepdims=True)),
            "Sub(x, Max(x, [1]))",
        ),
        (lambda x: tf.transpose(tf.transpose(x)) + tf.reduce_sum(tf.transpose(x), 1), "Add(x, Sum(x, [0]))"),
    ],
)
def test_transposes_that_cancel(build: Any, expected: str) -> None:
    check_rewrite(move_transposes, build, [expected])


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize(
    "build",
    [lambda x: tf.exp(tf.transpose(x)), lambda x: tf.transpose(tf.exp(tf.transpose(x)) + np.ones((4, 1), np.float32))],
)
def test_transposes_that_stay_where_they_are(build: Any) -> None:
    x = tf.placeholder(tf.float32, [None, 4], name="x")
    roots = roots_of(build(x), {x: (N, 4)})
    assert expressions(move_transposes(roots)) == expressions(roots)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_softmax_along_any_axis(axis: int, runner: Runner) -> None:
    """One kernel over arrays as they lie, row by row or slab by slab; along the batch a kernel for each sweep."""
    x = fed(5, 6, 7)
    y = tf.nn.softmax(x, axis=axis)
    weights = numbers(5, 6, 7, seed=9)
    gradient = tf.gradients(tf.reduce_sum(y * y * weights), x)[0]
    forward = kinds_of(y, x)
    assert forward == {0: ["reduce", "reduce", "pointwise"], 3: ["rows"]}.get(axis, ["slabs"])
    assert kinds_of([y, gradient], x) == (forward if axis else ["reduce", "reduce", "reduce", "pointwise"])
    assert not any("Transpose" in types or "_Copy" in types for _, types in kernels_of([y, gradient], x))
    for count in (4, 60):
        array = numbers(count, 5, 6, 7).astype(np.float64)
        powers = np.exp(array - array.max(axis, keepdims=True))
        wanted = powers / powers.sum(axis, keepdims=True)
        out, dx = runner.run([y, gradient], {x: array.astype(np.float32)})
        close(out, wanted)
        dy = 2 * wanted * weights
        close(dx, (dy - (wanted * dy).sum(axis, keepdims=True)) * wanted)


@pytest.mark.parametrize("axis", [0, 1, 2, 3, None])
def test_l2_normalize_along_any_axis(axis: Any, runner: Runner) -> None:
    x = fed(5, 6, 7)
    y = tf.nn.l2_normalize(x, axis)
    weights = numbers(5, 6, 7, seed=9)
    gradient = tf.gradients(tf.reduce_sum(y * weights), x)[0]
    forward = kinds_of(y, x)
    assert forward == {1: ["slabs"], 2: ["slabs"], 3: ["rows"]}.get(axis, ["reduce", "pointwise"])
    assert len(kinds_of([y, gradient], x)) <= (1 if axis in (1, 2, 3) else 4)
    for count in (4, 60):
        array = numbers(count, 5, 6, 7).astype(np.float64)
        rate = 1 / np.sqrt((array**2).sum(axis, keepdims=True))
        normal = array * rate
        out, dx = runner.run([y, gradient], {x: array.astype(np.float32)})
        close(out, normal)
        close(dx, rate * (weights - normal * (weights * normal).sum(axis, keepdims=True)), 1e-4)


# --- reshapes -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (
            lambda x: tf.nn.relu(tf.reshape(tf.matmul(x, x, transpose_a=True), [2, 8])),
            "Reshape(Relu(MatMul(x, x, transpose_a)), [2, 8])",
        ),
        (
            lambda x: tf.exp(tf.reshape(tf.matmul(x, x, transpose_a=True), [16])) * 3.0,
            "Reshape(Mul(Exp(MatMul(x, x, transpose_a)), 3.0), [16])",
        ),
        (lambda x: tf.exp(tf.reshape(tf.tanh(x), [-1])), "Exp(Reshape(Tanh(x), [-1]))"),  # no product
    ],
)
def test_reshapes_behind_products(build: Any, expected: str) -> None:
    x = tf.placeholder(tf.float32, [None, 4], name="x")
    assert expressions(move_reshapes(roots_of(build(x), {x: (N, 4)}))) == [expected]


def test_a_flattened_layers_mask_is_applied_by_the_dense_layers_gradient(runner: Runner) -> None:
    x, w = fed(4, 5, 6), variable(120, 16)
    hidden = tf.nn.relu(x)
    gradient = tf.gradients(tf.matmul(tf.reshape(hidden, [-1, 120]), w), x)[0]
    assert ("matmul", ["MatMul", "ReluGrad"]) in kernels_of(gradient, x)
    runner.execute(tf.global_variables_initializer())
    weights = runner.run(w).astype(np.float64)
    for count in (1, 9):
        array = numbers(count, 4, 5, 6)
        wanted = np.where(array > 0, weights.sum(1).reshape(4, 5, 6), 0.0)
        close(runner.run(gradient, {x: array}), wanted)
