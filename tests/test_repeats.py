"""Kernels that repeat others: which are taken for the same, and that the functions they share compute the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._programs import program_of
from tests.test_golden import COMPILERS, complaints
from tfgraph.codegen import repeats, source
from tfgraph.codegen.repeats import share_repeats
from tfgraph.runtime import stored

pytestmark = pytest.mark.usefixtures("graph")

KERNEL = """
/*
 * layer/Add -> layer/Relu
 * pointwise, float32 [N, 8]
 */
/* The helper of one. */
static void k00_add_help(const tg_step *s, int64_t chunk, float *to)
{
    const float *restrict bias = (const float *)(s->variables[3]);
    to[chunk] += bias[0];
}

static void k00_add(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict x = (const float *)(s->batch + 64 * N);
    float *restrict y = (float *)(s->batch + 128 * N);
    const float *restrict rate = (const float *)(s->constants[0]);
    const tg_square here = {0};
    for (int64_t i = 0; i < N; ++i) {
        const float sum = x[i] + 1.0f;
        y[i] = tg_max_f32(sum, rate[0]) + here.down;
        k00_add_help(s, chunk, y);
    }
}
"""
OTHER = (
    KERNEL.replace("k00", "k07")
    .replace("variables[3]", "variables[5]")
    .replace("64 * N", "256 * N")
    .replace("layer/", "next/")
    .replace("sum", "total")
    .replace(" x", " input")
    .replace("x[", "input[")
)


@pytest.fixture
def every_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even short kernels are shared, and no program is taken from the disk or kept there."""
    monkeypatch.setattr(repeats, "SHORTEST", 0)
    monkeypatch.setattr(stored, "find", lambda key: None)
    monkeypatch.setattr(stored, "keep", lambda key, answer: None)


# --- which kernels are the same -----------------------------------------------------------------------------------


def test_kernels_that_differ_in_names_and_addresses_share(every_length: None) -> None:
    (first, second), (type_, functions) = share_repeats([KERNEL, OTHER])
    assert ".x = (const float *)(s->batch + 64 * N)," in first
    assert ".x = (const float *)(s->batch + 256 * N)," in second
    assert ".bias = (const float *)(s->variables[5])," in second
    assert "next/Add -> next/Relu" in second
    assert all("static void k0" in text and "restrict" not in text for text in (first, second))
    assert "const float *x;" in type_.source
    assert "*y;" not in type_.source  # the same array for both
    assert "*rate;" not in type_.source
    assert "float *restrict y = (float *)(s->batch + 128 * N);" in functions.source
    assert "const float *restrict x = tg_arrays->x;" in functions.source
    assert functions.source.count("static TG_ALONE void k00_add_on(") == 1
    assert "/* The helper of one. */\nstatic void k00_add_help_on(" in functions.source


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.0f", "2.0f"),
        ("tg_max_f32", "tg_min_f32"),
        ("here.down", "here.across"),
        ("i < N", "i <= N"),
        ("const float *restrict rate", "float *restrict rate"),
        ("k07_add_help(s, chunk, y)", "k07_add_help(s, i, y)"),
        ("(s->constants[0])", "(s->constants[0]) + chunk"),
        ("total", "i"),
    ],
)
def test_kernels_that_differ_in_anything_else_do_not(every_length: None, old: str, new: str) -> None:
    changed = OTHER.replace(old, new)
    assert changed != OTHER
    assert share_repeats([KERNEL, changed]) == ([KERNEL, changed], [])


def test_kernels_that_call_another_of_their_helpers_do_not(every_length: None) -> None:
    """Two helpers of the same form, of which one kernel calls the first, the other the second."""
    helper, main = KERNEL.split("static void k00_add(")
    both = helper + helper.replace("_help(", "_aid(").replace("+=", "-=") + "static void k00_add(" + main
    other = both.replace("k00", "k07").replace("64 * N", "256 * N")
    assert share_repeats([both, other])[1]
    changed = other.replace("k07_add_help(s, chunk, y)", "k07_add_aid(s, chunk, y)")
    assert share_repeats([both, changed]) == ([both, changed], [])


def test_a_member_that_is_called_like_a_local_variable(every_length: None) -> None:
    """Members keep their names: here.down is not here.total."""
    changed = OTHER.replace("total", "down").replace("here.down", "here.total")
    assert share_repeats([KERNEL, changed])[1] == []


def test_short_kernels_and_other_texts_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(KERNEL) < repeats.SHORTEST
    assert share_repeats([KERNEL, OTHER])[1] == []
    monkeypatch.setattr(repeats, "SHORTEST", 0)
    table = "static const int16_t k00_table[1] = {0};\n"
    assert share_repeats([table + KERNEL, table + OTHER])[1] == []


# --- the same program ---------------------------------------------------------------------------------------------


def deep(name: Callable[[int], str] = "layer{}".format) -> tuple[Any, Any]:
    """A chain of equal layers, dense ones and convolutions, and its training."""
    x = tf.placeholder(tf.float32, [None, 8, 8, 16], name="x")
    rng = np.random.default_rng(0)

    def variable(*shape: int) -> Any:
        return tf.Variable(rng.normal(0, 0.2, shape).astype(np.float32))

    h = x
    for i in range(3):
        y = tf.nn.bias_add(tf.nn.conv2d(h, variable(3, 3, 16, 16), [1, 1, 1, 1], "SAME", name=name(i)), variable(16))
        h = h + tf.nn.relu(y, name=name(i))
    h = tf.reshape(h, [-1, 64, 16])[:, 0]
    for i in range(3):
        h = h + 0.1 * tf.tanh(tf.matmul(h, variable(16, 16), name=name(i)) + variable(16), name=name(i))
    loss = tf.reduce_mean(tf.square(h))
    return [tf.train.AdamOptimizer(0.01).minimize(loss), loss], {x: (5, 8, 8, 16)}


def bits(build: Callable[[], tuple[Any, Any]], folder: Path) -> tuple[list[bytes], str]:
    """Losses and variables after two steps, and the source of the step."""
    with tf.Graph().as_default(), tf.Session() as session:
        fetches, shapes = build()
        data = {x: np.random.default_rng(1).normal(size=shape).astype(np.float32) for x, shape in shapes.items()}
        session.run(tf.global_variables_initializer())
        found = [session.run(fetches, data)[-1] for _ in range(2)]
        found += session.run(tf.global_variables())
        return [np.asarray(v).tobytes() for v in found], Path(session.export_source(folder)[-1]).read_text()


def test_shared_functions_compute_the_same_bits(tmp_path: Path, every_length: None, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, text = bits(deep, tmp_path)
    monkeypatch.setattr(source, "share_repeats", lambda kernels: (kernels, []))
    apart, longer = bits(deep, tmp_path)
    assert "tg_arrays" in text
    assert "tg_arrays" not in longer
    assert shared == apart


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", ["layer{}", "tg_arrays{}", "arrays{}", "s{}", "N{}"])
def test_shared_functions_make_no_warnings(name: str, compiler: str, tmp_path: Path, every_length: None) -> None:
    """Whatever the nodes are called."""
    text = program_of(*deep(lambda i: name.format("" if i == 0 else i))).source
    assert text.count("_on(&arrays, s, chunk);") >= 4
    assert complaints(compiler, text, tmp_path, "-O1", "-Wshadow") == ""


def test_a_deeper_net_has_little_more_text() -> None:
    """Of twenty more equal layers only the calls."""

    def size(layers: int) -> int:
        with tf.Graph().as_default():
            x = h = tf.placeholder(tf.float32, [None, 32])
            for _ in range(layers):
                h = h + tf.tanh(
                    tf.matmul(h, tf.Variable(np.ones((32, 32), np.float32))) + tf.Variable(np.ones(32, np.float32))
                )
            return len(program_of([h], {x: (4, 32)}).source)

    assert size(25) - size(5) < 20 * 1_000
