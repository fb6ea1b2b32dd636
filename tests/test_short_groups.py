"""Folds and operands of short groups of neighbours, as in group normalisation, have no loops as short as a group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._compiled import Runner, compiled_runner  # noqa: F401  a fixture
from tests._fusion import close, fed, kernel_groups, numbers
from tests._programs import after, roots_of
from tfgraph.codegen.passes.short_groups import short_groups
from tfgraph.codegen.target import writing_for
from tfgraph.shapes import Batch

EPSILON = 1e-3
AXES = (1, 2, 4)


def group_norm(x: Any, groups: int) -> Any:
    _, height, width, channels = x.shape.as_list()
    apart = tf.reshape(x, [-1, height, width, groups, channels // groups])
    mean, variance = tf.nn.moments(apart, list(AXES), keep_dims=True)
    return tf.reshape((apart - mean) * tf.rsqrt(variance + EPSILON), [-1, height, width, channels])


def expected(x: np.ndarray, dy: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    dims = (*x.shape[:3], groups, x.shape[3] // groups)
    x, dy = (array.astype(np.float64).reshape(dims) for array in (x, dy))
    rate = 1 / np.sqrt(x.var(AXES, keepdims=True) + EPSILON)
    y = (x - x.mean(AXES, keepdims=True)) * rate
    dx = rate * (dy - dy.mean(AXES, keepdims=True) - y * (dy * y).mean(AXES, keepdims=True))
    whole = (*dims[:3], dims[3] * dims[4])
    return y.reshape(whole), dx.reshape(whole)


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(64, 8), (30, 10), (21, 3), (96, 6), (12, 6), (32, 32)],  # the last ones are no short groups, or ones
)
def test_numbers_of_group_normalisation(channels: int, groups: int, runner: Runner) -> None:
    x, dy = fed(6, 5, channels), fed(6, 5, channels)
    y = group_norm(x, groups)
    for batch in (0, 1, 9):
        given = numbers(batch, 6, 5, channels, seed=1) + np.float32(0.5), numbers(batch, 6, 5, channels, seed=2)
        found = runner.run([y, tf.gradients(y, x, dy)[0]], dict(zip((x, dy), given)))
        for actual, wanted in zip(found, expected(*given, groups), strict=True):
            close(actual, wanted)


@pytest.mark.parametrize("fold", ["sum", "prod", "max", "min", "any", "all"])
@pytest.mark.parametrize("axes", [(0, 1, 3), (1, 3), (-4, -1)])
@pytest.mark.parametrize("keeps", [False, True])
def test_every_fold_in_two_steps(fold: str, axes: tuple[int, ...], keeps: bool, runner: Runner) -> None:
    is_logical = fold in ("any", "all")
    array = numbers(7, 5, 6, 4) > 1 if is_logical else numbers(7, 5, 6, 4)
    if fold in ("max", "min"):
        array[1, 2, 3, 1] = np.nan
    x = tf.placeholder(tf.bool if is_logical else tf.float32, [None, 5, 6, 4])
    found = runner.run(getattr(tf, f"reduce_{fold}")(x, list(axes), keepdims=keeps), {x: array})
    wanted = getattr(np, fold)(array if is_logical else array.astype(np.float64), axis=axes, keepdims=keeps)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-5)


def test_no_loop_is_as_short_as_a_group() -> None:
    """What goes over the pictures takes as many numbers from each operand as there are channels, or one."""
    x, dy = fed(16, 16, 64), fed(16, 16, 64)
    y = group_norm(x, 8)
    for group in kernel_groups([y, tf.gradients(y, x, dy)[0]], x, dy):
        over = [n for n in group.nodes if n.outputs[0].dims == (Batch(1), 16, 16, 8, 8)]
        assert all(v.dims[-2:] in ((8, 8), (1, 1)) for n in over for v in n.inputs if len(v.dims) == 5)
        assert group.axes in ((), (1, 2), (4,))


@pytest.mark.parametrize(
    ("dims", "axes"),
    [
        ((16, 16, 8, 16), [1, 2, 4]),  # a group fills a vector
        ((16, 16, 2, 4), [1, 2, 4]),  # all groups together do not
        ((16, 16, 8, 8), [1, 2, 3, 4]),
        ((16, 16, 8, 8), [4]),
        ((1, 1, 8, 8), [1, 2, 4]),
    ],
)
def test_other_folds_stay(dims: tuple[int, ...], axes: list[int]) -> None:
    x = fed(*dims)
    y = tf.reduce_sum(x, axes)
    folds = [n for n in after(roots_of(y, {x: (Batch(1), *dims)})).nodes if n.type == "Sum"]
    assert len(folds) == 1


def test_operands_as_large_as_their_users_stay() -> None:
    """A copy of them would move more than the short loops cost."""
    x, scale = fed(16, 8, 8), fed(16, 8, 1)
    roots = after(roots_of(x * scale, {x: (Batch(1), 16, 8, 8), scale: (Batch(1), 16, 8, 1)}))
    assert not [n for n in roots.nodes if n.type == "_Copy"]


def test_gpus_keep_their_folds() -> None:
    x = fed(16, 16, 64)
    roots = after(roots_of(group_norm(x, 8), {x: (Batch(1), 16, 16, 64)}), [])
    with writing_for("cuda"):
        assert short_groups(roots) is roots
