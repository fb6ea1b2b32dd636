"""The C of convolutions by Winograd's method against sums over filter taps in NumPy, float64."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests._kernels import FOUR_THREADS, IN_ORDER, REVERSED, Compiled, sanitizer_report
from tests.test_kernels_conv2d import DIRECTIONS, OPERANDS, arrays, convolution, emitted
from tfgraph.codegen.emitted import Epilogue
from tfgraph.codegen.kinds import conv2d, conv2d_filter, conv2d_sweep, winograd, winograd_filter
from tfgraph.codegen.kinds.conv2d_window import Conv2DSpec
from tfgraph.codegen.kinds.winograd_choice import FORMS
from tfgraph.codegen.kinds.winograd_transforms import Form, Terms, transform
from tfgraph.codegen.target import TARGETS, host_target
from tfgraph.shapes import Batch

CASES = {
    "3x3, whole squares": convolution((8, 8, 16), (3, 3, 32)),
    "3x3, squares over the edge": convolution((7, 10, 32), (3, 3, 16)),
    "3x3, no padding": convolution((9, 11, 16), (3, 3, 48), "VALID"),
    "3x3, no padding, whole squares": convolution((10, 6, 16), (3, 3, 16), "VALID"),
    "3x3, one square": convolution((3, 3, 16), (3, 3, 16), "VALID"),
    "3x3, picture smaller than a square": convolution((2, 1, 16), (3, 3, 16)),
    "3x3, a long row": convolution((1, 21, 16), (3, 3, 16)),
    "3x3, several blocks": convolution((40, 36, 32), (3, 3, 64)),
    "3x3, several panels": convolution((12, 12, 48), (3, 3, 160)),
    "3x3, channels that rows do not divide": convolution((6, 6, 80), (3, 3, 112)),
    "3x3, channels that vectors do not divide": convolution((7, 6, 37), (3, 3, 21)),
    "3x3, several panels, the last one short": convolution((6, 6, 5), (3, 3, 139)),
    "3x3, few channels": convolution((9, 9, 3), (3, 3, 1)),
    "3x3, wide padding": replace(convolution((6, 6, 16), (3, 3, 16)), pad_top=2, pad_left=2, out_h=8, out_w=8),
    "2x2, whole squares": convolution((10, 10, 16), (2, 2, 32)),
    "2x2, squares over the edge": convolution((7, 12, 32), (2, 2, 16)),
    "2x2, no padding": convolution((9, 11, 16), (2, 2, 48), "VALID"),
    "2x2, picture smaller than a square": convolution((2, 3, 16), (2, 2, 16)),
    "2x2, channels that vectors do not divide": convolution((9, 8, 19), (2, 2, 35)),
    "5x5, whole squares": convolution((6, 8, 16), (5, 5, 32)),
    "5x5, squares over the edge": convolution((7, 9, 32), (5, 5, 16)),
    "5x5, no padding": convolution((9, 10, 16), (5, 5, 48), "VALID"),
    "5x5, picture smaller than a square": convolution((2, 1, 16), (5, 5, 16)),
    "5x5, channels that vectors do not divide": convolution((6, 7, 40), (5, 5, 9)),
    "5x5, first layer": convolution((13, 12, 1), (5, 5, 32)),
}  # fmt: skip
ERROR = {"float32": 1e-5, "float64": 2e-14}
"""Of the result's scale: some three times what is found. The 7 and 8 points of 2 x 2 and 5 x 5 filters err more."""


def allowed(spec: Conv2DSpec) -> float:
    return ERROR[spec.dtype] * {2: 2, 3: 1, 5: 3}[spec.filter_h]


@pytest.fixture(autouse=True)
def winograd_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", "winograd")


def error_of(spec: Conv2DSpec, kernel: Compiled, batch: int) -> float:
    """The largest error over the result's scale; the order of chunks must not matter."""
    values, wanted = arrays(spec, batch)
    reads = [values[name] for name in OPERANDS[spec.direction][:-1]]
    result = np.full(wanted.shape, 3, spec.dtype)
    found = kernel.run(batch, reads, result, IN_ORDER)
    for order in (REVERSED, FOUR_THREADS):
        assert np.array_equal(found, kernel.run(batch, reads, result, order)), "depends on the order of chunks"
    return float(np.abs(found - wanted).max(initial=0) / np.abs(wanted).max(initial=1))


def check(spec: Conv2DSpec, kernel: Compiled, batch: int) -> None:
    assert error_of(spec, kernel, batch) < allowed(spec)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", CASES)
def test_convolution(case: str, direction: str, tmp_path: Path) -> None:
    spec = replace(CASES[case], direction=direction)
    assert conv2d.writer(spec, host_target()) in (winograd, winograd_filter)
    kernel = Compiled(emitted(spec), tmp_path)
    small = spec.in_h * spec.in_w * spec.in_c < 5000
    for batch in (0, 1, 7, 33) if small else (2,):
        check(spec, kernel, batch)


EDGES = [f"{taps}x{taps}, squares over the edge" for taps in FORMS]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", [*EDGES, "3x3, channels that vectors do not divide"])
def test_double_precision(case: str, direction: str, tmp_path: Path) -> None:
    spec = replace(CASES[case], direction=direction, dtype="float64")
    check(spec, Compiled(emitted(spec), tmp_path), 5)


@pytest.mark.parametrize("images", [3, Batch(2)])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_numbers_of_images(direction: str, images: int | Batch, tmp_path: Path) -> None:
    spec = replace(CASES["3x3, squares over the edge"], direction=direction, images=images)
    check(spec, Compiled(emitted(spec), tmp_path), 5)


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("case", [*EDGES, "3x3, channels that vectors do not divide"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_vector_sizes(target: str, case: str, direction: str, tmp_path: Path) -> None:
    spec = replace(CASES[case], direction=direction)
    check(spec, Compiled(emitted(spec, target), tmp_path), 5)


DEEP = {
    "2x2": convolution((23, 23, 64), (2, 2, 128), "VALID"),
    "3x3": convolution((24, 24, 128), (3, 3, 128)),
    "5x5": convolution((14, 14, 32), (5, 5, 64)),
    "5x5, deep": convolution((14, 14, 128), (5, 5, 128)),
}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", DEEP)
def test_sums_of_a_deep_layer(case: str, direction: str, tmp_path: Path) -> None:
    """Many channels and pixels: the errors of the points must not add up."""
    spec = replace(DEEP[case], direction=direction)
    error = error_of(spec, Compiled(emitted(spec), tmp_path), 8)
    print(f"F for {case}, {direction}: largest error {error:.1e} of the result's scale")
    assert error < allowed(spec)


def matrix(rows: tuple[Terms, ...], columns: int, lines: tuple[tuple[str, Terms], ...]) -> list[list[Fraction]]:
    """Sums over d0, d1, ... and over the names of `lines` as exact coefficients of d0, d1, ..."""
    known = {f"d{i}": [Fraction(i == j) for j in range(columns)] for i in range(columns)}

    def expand(terms: Terms) -> list[Fraction]:
        return [sum((factor * known[name][j] for factor, name in terms), Fraction()) for j in range(columns)]

    for name, terms in lines:
        known[name] = expand(terms)
    return [expand(terms) for terms in rows]


@pytest.mark.parametrize("form", [form for forms in FORMS.values() for form in forms], ids=str)
def test_maps_are_exact(form: Form) -> None:
    """With exact numbers the maps compute a correlation, and its transposes, in one dimension."""
    maps = {}
    for role in ("input", "filter", "output", "gradient", "taps"):
        t = transform(role, form)
        maps[role] = np.array(matrix(t.results, t.inputs, t.lines), object)
    tensor = np.einsum("ap,pb,pc->abc", maps["output"], maps["filter"], maps["input"])
    for a, b, c in np.ndindex(form.step, form.taps, form.side):
        assert tensor[a, b, c] == (a + b == c)
    assert (maps["gradient"] == maps["output"].T).all()
    assert (maps["taps"] == maps["filter"].T).all()


BIASED = [*EDGES, "3x3, several panels", "3x3, several panels, the last one short"]


@pytest.mark.parametrize("case", BIASED)
def test_epilogue(case: str, tmp_path: Path) -> None:
    """Bias and ReLU before the store."""
    spec = CASES[case]
    lines = ("const float v1 = acc + bias[column];", "const float v2 = v1 > 0 ? v1 : 0;")
    epilogue = Epilogue(lines, (f"y[row * {spec.out_c} + column] = v2;",))
    kernel = Compiled(emitted(spec, None, epilogue, ("bias",)), tmp_path)
    values, wanted = arrays(spec, 7)
    bias = np.linspace(-2, 2, spec.out_c).astype(np.float32)
    found = kernel.run(7, [values["x"], values["w"], bias], np.zeros(wanted.shape, np.float32), FOUR_THREADS)
    atol = ERROR["float32"] * np.abs(wanted).max()
    np.testing.assert_allclose(found, np.maximum(wanted + bias, 0), rtol=0, atol=atol)


@pytest.mark.parametrize("case", [*BIASED, "3x3, no padding"])
def test_epilogue_of_the_input_gradient(case: str, tmp_path: Path) -> None:
    """A ReLU's mask on dx, added to what is there: the epilogue sees each input pixel and channel once."""
    spec = replace(CASES[case], direction="backprop_input")
    place = f"row * {spec.in_c} + column"
    epilogue = Epilogue((f"const float v1 = pre[{place}] > 0 ? acc : 0;",), (f"dx[{place}] = v1 + dx[{place}];",))
    kernel = Compiled(emitted(spec, None, epilogue, ("pre",)), tmp_path)
    values, wanted = arrays(spec, 7)
    found = kernel.run(7, [values["w"], values["dy"], values["x"]], np.ones(wanted.shape, np.float32), FOUR_THREADS)
    atol = ERROR["float32"] * np.abs(wanted).max()
    np.testing.assert_allclose(found, 1 + np.where(values["x"] > 0, wanted, 0), rtol=0, atol=atol)


@pytest.mark.parametrize("case", BIASED)
def test_epilogue_of_the_filter_gradient(case: str, tmp_path: Path) -> None:
    """A step against the gradient: the epilogue sees each filter element once."""
    spec = replace(CASES[case], direction="backprop_filter")
    place = f"row * {spec.out_c} + column"
    epilogue = Epilogue(("const float v1 = 0.5f * acc;",), (f"dw[{place}] = dw[{place}] - v1;",))
    kernel = Compiled(emitted(spec, None, epilogue), tmp_path)
    values, wanted = arrays(spec, 7)
    found = kernel.run(7, [values["x"], values["dy"]], np.ones(wanted.shape, np.float32), FOUR_THREADS)
    np.testing.assert_allclose(found, 1 - wanted / 2, rtol=0, atol=ERROR["float32"] * np.abs(wanted).max())


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", [*EDGES, "3x3, no padding", "3x3, a long row", "3x3, channels that vectors do not divide"])
def test_memory(case: str, direction: str, tmp_path: Path) -> None:
    spec = replace(CASES[case], direction=direction)
    values, wanted = arrays(spec, 3)
    reads = [values[name].nbytes for name in OPERANDS[direction][:-1]]
    assert sanitizer_report(emitted(spec), 3, [*reads, wanted.nbytes // 2], tmp_path) == ""


OTHERS = {
    "stride": convolution((16, 16, 16), (3, 3, 16), stride=(2, 2)),
    "dilation": convolution((16, 16, 16), (3, 3, 16), dilation=(2, 2)),
    "4x4 filter": convolution((16, 16, 16), (4, 4, 16)),
    "filter that is not square": convolution((16, 16, 16), (3, 5, 16)),
}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", OTHERS)
def test_other_convolutions_are_direct(case: str, direction: str) -> None:
    spec = replace(OTHERS[case], direction=direction)
    assert conv2d.writer(spec, TARGETS["avx512"]) in (conv2d_sweep, conv2d_filter)


BETTER = {
    "convnet128": convolution((128, 128, 32), (3, 3, 32)),
    "lenet": convolution((14, 14, 32), (5, 5, 64)),
    "kpcnn": convolution((47, 47, 32), (2, 2, 64), "VALID"),
}
WORSE = {
    "few squares": replace(convolution((4, 4, 64), (3, 3, 64)), images=2),
    "few channels": convolution((64, 64, 3), (3, 3, 4)),
    "squares mostly over the edge": convolution((2, 2, 64), (2, 2, 64)),
}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", [*BETTER, *WORSE])
def test_automatic_choice(case: str, direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", "auto")
    spec = replace((BETTER | WORSE)[case], direction=direction)
    assert (conv2d.writer(spec, TARGETS["avx512"]) in (winograd, winograd_filter)) == (case in BETTER)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_choice(direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` takes Winograd for large layers; scratch memory and code belong to the same choice."""
    large = replace(convolution((32, 32, 64), (3, 3, 64)), direction=direction)
    few_tiles = replace(convolution((4, 4, 64), (3, 3, 64)), direction=direction, images=2)
    for method, expects in (("direct", (False, False)), ("winograd", (True, True)), ("auto", (True, False))):
        monkeypatch.setenv("TFGRAPH_CONV", method)
        chosen = [conv2d.writer(spec, host_target()) in (winograd, winograd_filter) for spec in (large, few_tiles)]
        assert tuple(chosen) == expects
        assert emitted(large).scratch == conv2d.scratch(large, epilogue_is_plain=True)
    monkeypatch.setenv("TFGRAPH_CONV", "fast")
    with pytest.raises(ValueError, match="TFGRAPH_CONV must be one of auto, direct, winograd, not 'fast'"):
        conv2d.writer(large, host_target())
