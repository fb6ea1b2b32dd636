"""Every size of Winograd's squares in all directions against NumPy, float64, and which of them a convolution gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tfgraph as tf
from tests._kernels import FOUR_THREADS, Compiled, sanitizer_report
from tests.test_kernels_conv2d import DIRECTIONS, OPERANDS, arrays, convolution, emitted
from tests.test_kernels_conv2d_pool import check as check_pooled
from tests.test_kernels_conv2d_pool import pair
from tests.test_kernels_winograd import check
from tfgraph.codegen.emitted import Epilogue
from tfgraph.codegen.kinds import conv2d, winograd_choice
from tfgraph.codegen.kinds.conv2d_window import Conv2DSpec
from tfgraph.codegen.kinds.winograd_choice import FORMS, best_form
from tfgraph.codegen.kinds.winograd_transforms import Form
from tfgraph.codegen.target import TARGETS

EVERY = [form for forms in FORMS.values() for form in forms]
SMALL = [Form(2, 3), Form(3, 3), Form(6, 2)]
SIZES = {"one pixel": (1, 1), "a square": (3, 2), "over the edge": (7, 5), "whole squares": (12, 6)}


@pytest.fixture(autouse=True)
def winograd_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", "winograd")


def only(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(winograd_choice.FORMS, form.taps, (form,))


def text(form: Form, direction: str) -> str:
    step, taps = (form.taps, form.step) if direction == "backprop_filter" else (form.step, form.taps)
    return f"Winograd F({step}x{step},{taps}x{taps})"


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", EVERY, ids=str)
def test_form(form: Form, size: str, direction: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(form, monkeypatch)
    spec = replace(convolution((*SIZES[size], 32), (form.taps, form.taps, 48)), direction=direction)
    kernel = emitted(spec)
    assert kernel.method.startswith(text(form, direction))
    check(spec, Compiled(kernel, tmp_path), 13)


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("form", SMALL, ids=str)
def test_vector_sizes(
    form: Form, direction: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    only(form, monkeypatch)
    spec = replace(convolution((7, 8, 37), (form.taps, form.taps, 21)), direction=direction)
    check(spec, Compiled(emitted(spec, target), tmp_path), 5)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("form", SMALL, ids=str)
def test_double_precision(form: Form, direction: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(form, monkeypatch)
    spec = replace(convolution((7, 8, 16), (form.taps, form.taps, 16)), direction=direction, dtype="float64")
    check(spec, Compiled(emitted(spec), tmp_path), 5)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("form", SMALL, ids=str)
def test_sums_of_a_deep_layer(form: Form, direction: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many channels, pictures and blocks of squares."""
    only(form, monkeypatch)
    spec = replace(convolution((6, 6, 256), (form.taps, form.taps, 256)), direction=direction)
    check(spec, Compiled(emitted(spec), tmp_path), 32)


@pytest.mark.parametrize("form", SMALL, ids=str)
def test_epilogue(form: Form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A residual and ReLU before the store."""
    only(form, monkeypatch)
    spec = convolution((7, 9, 16), (form.taps, form.taps, 40))
    place = f"row * {spec.out_c} + column"
    lines = (f"const float v1 = acc + residual[{place}];", "const float v2 = v1 > 0 ? v1 : 0;")
    kernel = Compiled(emitted(spec, None, Epilogue(lines, (f"y[{place}] = v2;",)), ("residual",)), tmp_path)
    values, wanted = arrays(spec, 7)
    residual = np.random.default_rng(3).standard_normal(wanted.shape).astype(np.float32)
    found = kernel.run(7, [values["x"], values["w"], residual], np.zeros(wanted.shape, np.float32), FOUR_THREADS)
    atol = 2e-5 * np.abs(wanted).max()
    np.testing.assert_allclose(found, np.maximum(wanted + residual, 0), rtol=0, atol=atol)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("form", SMALL, ids=str)
def test_memory(form: Form, direction: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(form, monkeypatch)
    spec = replace(convolution((5, 7, 21), (form.taps, form.taps, 16)), direction=direction)
    values, wanted = arrays(spec, 3)
    reads = [values[name].nbytes for name in OPERANDS[direction][:-1]]
    assert sanitizer_report(emitted(spec), 3, [*reads, wanted.nbytes // 2], tmp_path) == ""


POOLED = {
    Form(2, 3): pair(convolution((9, 6, 16), (3, 3, 32)), (2, 2), (2, 2)),
    Form(3, 3): pair(convolution((9, 6, 16), (3, 3, 32)), (3, 3), (3, 3)),
    Form(6, 2): pair(convolution((12, 15, 16), (2, 2, 32)), (2, 3), (2, 3)),
}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("form", POOLED, ids=str)
def test_pooling(form: Form, direction: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maxima of windows that divide the squares, and gradients that are known at these."""
    only(form, monkeypatch)
    assert conv2d.takes_pool(replace(POOLED[form].conv, direction=direction), POOLED[form].pool)
    check_pooled(POOLED[form], direction, tmp_path, (0, 3))


def layer(side: int, channels: int, columns: int, taps: int = 3, images: int = 64) -> Conv2DSpec:
    return replace(convolution((side, side, channels), (taps, taps, columns)), images=images)


BEST = [
    (layer(2, 256, 256), Form(2, 3)),
    (layer(3, 128, 128), Form(3, 3)),
    (layer(4, 128, 128), Form(4, 3)),
    (layer(5, 64, 64), Form(3, 3)),
    (layer(6, 128, 128), Form(3, 3)),
    (layer(7, 128, 128), Form(4, 3)),
    (layer(8, 128, 128), Form(4, 3)),
    (layer(32, 128, 128), Form(4, 3)),
    (replace(convolution((2, 6, 64), (3, 3, 64)), images=128), Form(2, 3)),
    (replace(convolution((23, 23, 64), (2, 2, 128), "VALID"), images=128), Form(6, 2)),
    (layer(8, 64, 128, taps=2), Form(4, 2)),
]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("spec", "form"), BEST, ids=str)
def test_the_best_form(spec: Conv2DSpec, form: Form, direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one with the fewest products over squares that lie over the edge; it is faster than direct sums, too."""
    monkeypatch.setenv("TFGRAPH_CONV", "auto")
    spec = replace(spec, direction=direction)
    assert best_form(spec, TARGETS["avx512"]) == form
    assert emitted(spec, "avx512").method.startswith(text(form, direction))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_pooling_is_fused_where_its_squares_are_worth_it(direction: str) -> None:
    """F(3x3,3x3) cannot take windows of 2 x 2, and F(2x2,3x3) needs more products, which tell in a deep layer."""
    for side, channels, form, fused in ((2, 64, Form(2, 3), True), (6, 128, Form(2, 3), False), (32, 64, Form(4, 3), True)):
        case = pair(layer(side, channels, channels), (2, 2), (2, 2))
        spec = replace(case.conv, direction=direction)
        assert best_form(spec, TARGETS["avx512"], case.pool) == form
        assert conv2d.takes_pool(spec, case.pool, TARGETS["avx512"]) is fused


def test_explain_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", "auto")
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [128, 2, 2, 64])
        w = tf.placeholder(tf.float32, [3, 3, 64, 64])
        y = tf.nn.relu(tf.nn.conv2d(x, w, strides=[1, 1, 1, 1], padding="SAME"))
        values = {x: np.zeros([128, 2, 2, 64], np.float32), w: np.zeros([3, 3, 64, 64], np.float32)}
        assert "Winograd F(2x2,3x3), tile " in str(session.explain(y, values))
