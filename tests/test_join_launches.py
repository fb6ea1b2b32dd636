"""Kernels that touch nothing of each other are launched together: which, what the C says, and that nothing changes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._programs import program_of
from tfgraph.codegen.emitted import Launch
from tfgraph.codegen.joined import write_joined
from tfgraph.codegen.passes.join_launches import Run, join_launches

SIZES = (40_000, 50_000, 300)


def updates(optimizer: Any, sizes: tuple[int, ...] = SIZES) -> tuple[Any, list[Any], Any]:
    """One vector variable per size, its clipped gradient applied by `optimizer`; the training operation."""
    variables = [tf.Variable(np.linspace(-1, 1, size, dtype=np.float32)) for size in sizes]
    loss = tf.add_n([tf.reduce_sum(tf.square(v)) for v in variables])
    gradients = tf.gradients(loss, variables)
    clipped, norm = tf.clip_by_global_norm(gradients, 5.0)
    return optimizer.apply_gradients(zip(clipped, variables, strict=True)), variables, norm


@pytest.mark.parametrize(
    "make",
    [
        lambda: tf.train.GradientDescentOptimizer(0.1),
        lambda: tf.train.MomentumOptimizer(0.1, 0.9),
        lambda: tf.train.AdamOptimizer(0.1),
    ],
    ids=["sgd", "momentum", "adam"],
)
def test_all_updates_of_a_step_are_one_launch(make: Any) -> None:
    train, _, _ = updates(make())
    program = program_of([train], {})
    updating = [k.index for k in program.kernels if any(n.type.startswith("Apply") for n in k.group.nodes)]
    assert len(updating) == len(SIZES)
    (run,) = [run for run in join_launches(program.kernels) if run.first <= updating[0] <= run.last]
    assert run.first <= min(updating)
    assert max(updating) <= run.last
    name = f"k{run.first:02d}_to_k{run.last:02d}"
    assert f"static void {name}(const tg_step *s, int64_t chunk)" in program.source
    assert f"{{{run.first}, {run.last}, {name}}}," in program.source


def test_joined_launches_change_no_value() -> None:
    """Against NumPy, and the same bits for a step that runs its kernels one by one."""
    train, variables, norm = updates(tf.train.GradientDescentOptimizer(0.1))
    values = [np.linspace(-1, 1, size, dtype=np.float32).astype(np.float64) for size in SIZES]
    length = np.sqrt(sum(np.sum((2 * v) ** 2) for v in values))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        _, found = session.run([train, norm])
        np.testing.assert_allclose(found, length, rtol=1e-6)
        together = session.run(variables)
        for value, result in zip(values, together, strict=True):
            np.testing.assert_allclose(result, value - 0.1 * 2 * value * 5.0 / length, rtol=1e-5, atol=1e-7)
        session.run(tf.global_variables_initializer())
        explained = str(session.explain([train, norm], profile=True))  # runs kernel by kernel, and changes nothing
        assert "k00" in explained
        session.run([train, norm])
        for first, second in zip(together, session.run(variables), strict=True):
            np.testing.assert_array_equal(first, second)


def test_what_depends_on_each_other_is_not_joined() -> None:
    x = tf.placeholder(tf.float32, [None, 300])
    y = tf.nn.softmax(tf.matmul(x, tf.Variable(tf.ones([300, 300]))))
    program = program_of([tf.matmul(y, tf.Variable(tf.ones([300, 300])))], {x: (128, 300)})
    assert len(program.kernels) > 1
    assert join_launches(program.kernels) == ()


def test_little_work_is_not_joined() -> None:
    """Waking a thread would take longer than all of it."""
    train, _, _ = updates(tf.train.GradientDescentOptimizer(0.1), (10, 20, 30))
    assert join_launches(program_of([train], {}).kernels) == ()


def test_chunks_of_a_joined_launch() -> None:
    """The largest kernel comes first; small ones of one chunk share chunks; second launches follow the first ones."""
    work = (30_000, 90_000, 15_000, 15_000, 1_000)
    launches = [
        [Launch("k03_rows", "tg_chunks(N, 8)"), Launch("k03_rows_total", "1")],
        [Launch("k04_matmul", "6")],
        [Launch("k05_a", "tg_chunks(100, 16384)")],
        [Launch("k06_b", "1")],
        [Launch("k07_c", "1")],
    ]
    joined = write_joined(Run(3, 7, work), launches)
    assert joined.launches == (Launch("k03_to_k07", "6 + tg_chunks(N, 8) + 1 + 1"), Launch("k03_rows_total", "1"))
    calls = re.findall(r"(k\d\d_\w+)\(s, (.*?)\);", joined.source)
    assert calls == [
        ("k04_matmul", "chunk"),
        ("k03_rows", "chunk - end1"),
        ("k05_a", "0"),
        ("k06_b", "0"),
        ("k07_c", "chunk - end3"),
    ]
