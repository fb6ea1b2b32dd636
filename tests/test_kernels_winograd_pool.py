"""Winograd's convolutions with a max pooling, and gradients that are known at its maxima, against NumPy, float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests._kernels import Compiled, sanitizer_report
from tests.test_kernels_conv2d import DIRECTIONS, arrays, convolution
from tests.test_kernels_conv2d_pool import (
    RELU,
    Pair,
    check,
    check_forward,
    forward,
    gradient,
    gradient_arrays,
    pair,
    pooled,
    tolerance,
)
from tfgraph.codegen.emitted import Epilogue
from tfgraph.codegen.kinds import conv2d, winograd, winograd_filter
from tfgraph.codegen.target import TARGETS, host_target

CASES = {
    "3x3": pair(convolution((12, 8, 16), (3, 3, 32)), (2, 2), (2, 2)),
    "2x2, squares over the edge": pair(convolution((15, 23, 32), (2, 2, 16), "VALID"), (2, 2), (2, 2)),
    "5x5": pair(convolution((14, 14, 16), (5, 5, 32)), (2, 2), (2, 2)),
    "odd sizes, SAME": pair(convolution((9, 11, 32), (3, 3, 16)), (2, 2), (2, 2)),
    "odd sizes, VALID": pair(convolution((9, 11, 16), (3, 3, 48)), (2, 2), (2, 2), "VALID"),
    "places left out": pair(convolution((11, 12, 16), (3, 3, 16)), (2, 1), (4, 2), "VALID"),
    "tall windows": pair(convolution((12, 7, 16), (3, 3, 32)), (4, 1), (4, 1)),
    "several panels": pair(convolution((8, 8, 16), (3, 3, 160)), (2, 2), (2, 2)),
    "several blocks": pair(convolution((40, 42, 16), (5, 5, 64)), (2, 2), (2, 2)),
    "windows larger than the picture": pair(convolution((3, 4, 16), (3, 3, 16)), (4, 4), (4, 4)),
}


@pytest.fixture(autouse=True)
def winograd_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", "winograd")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", CASES)
def test_pooled_convolution(name: str, direction: str, tmp_path: Path) -> None:
    case = CASES[name]
    conv = replace(case.conv, direction=direction)
    assert conv2d.writer(conv, host_target()) in (winograd, winograd_filter)
    assert conv2d.takes_pool(conv, case.pool)
    small = conv.in_h * conv.in_w * conv.in_c < 5000
    check(case, direction, tmp_path, (0, 1, 7) if small else (2,))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_double_precision(direction: str, tmp_path: Path) -> None:
    case = CASES["odd sizes, SAME"]
    conv, pool = (replace(spec, dtype="float64", images=3) for spec in (case.conv, case.pool))
    check(Pair(conv, pool), direction, tmp_path, (0,))


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_vector_sizes(target: str, direction: str, tmp_path: Path) -> None:
    check(CASES["odd sizes, SAME"], direction, tmp_path, (5,), target)


@pytest.mark.parametrize("name", ["3x3", "odd sizes, SAME", "several panels"])
def test_bias_and_relu_come_before_the_maximum(name: str, tmp_path: Path) -> None:
    kernel = Compiled(forward(CASES[name], Epilogue(RELU, (), "v2")), tmp_path)
    check_forward(CASES[name], kernel, 3, relu=True)


def test_channels_that_vectors_do_not_divide(tmp_path: Path) -> None:
    """The maxima are stored; the gradients' squares are made of whole vectors only."""
    case = pair(convolution((8, 8, 16), (3, 3, 21)), (2, 2), (2, 2))
    check(case, "forward", tmp_path, (3,))
    for direction in ("backprop_input", "backprop_filter"):
        assert not conv2d.takes_pool(replace(case.conv, direction=direction), case.pool)


@pytest.mark.parametrize(
    ("window", "stride", "padding"),
    [((5, 5), (5, 5), "VALID"), ((3, 3), (2, 2), "SAME"), ((8, 8), (8, 8), "VALID")],
    ids=["windows in two squares", "windows that overlap", "windows larger than a square"],
)
def test_poolings_that_squares_do_not_take(window: tuple[int, int], stride: tuple[int, int], padding: str) -> None:
    case = pair(convolution((24, 24, 16), (3, 3, 32)), window, stride, padding)
    for direction in DIRECTIONS:
        assert not conv2d.takes_pool(replace(case.conv, direction=direction), case.pool)


def test_an_epilogue_may_ask_for_the_pixel(tmp_path: Path) -> None:
    """A residual is added to each element before the maximum is taken."""
    case = CASES["odd sizes, SAME"]
    values, results = arrays(case.conv, 2)
    residual = np.random.default_rng(9).standard_normal(results.shape).astype(np.float32)
    lines = (f"const float v1 = acc + bias[row * {case.conv.out_c} + column];",)
    kernel = Compiled(forward(case, Epilogue(lines, (), "v1")), tmp_path)
    wanted, _ = pooled(case.pool, results + residual, np.zeros((2, case.pool.out_h, case.pool.out_w, case.pool.channels)))
    position = np.zeros(wanted.shape, np.uint8)
    found = kernel.run(2, [values["x"], values["w"], residual, position], np.zeros(wanted.shape, np.float32))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance(results, "float32"))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", ["odd sizes, SAME", "odd sizes, VALID", "places left out"])
def test_memory(name: str, direction: str, tmp_path: Path) -> None:
    case = CASES[name]
    if direction == "forward":
        values, _ = arrays(case.conv, 3)
        pooled_size = 3 * case.pool.out_h * case.pool.out_w * case.pool.channels
        sizes = [values["x"].nbytes, values["w"].nbytes, 4 * case.conv.out_c, pooled_size, 4 * pooled_size]
        assert sanitizer_report(forward(case), 3, sizes, tmp_path) == ""
        return
    operands, wanted = gradient_arrays(case, 3, direction)
    sizes = [*(a.nbytes for a in operands), wanted.nbytes // 2]
    assert sanitizer_report(gradient(case, direction), 3, sizes, tmp_path) == ""


@pytest.mark.parametrize("direction", DIRECTIONS[1:])
def test_layers_of_other_sizes_share_the_map(direction: str) -> None:
    """The sizes of pictures are arguments of the function, so that equal names have equal texts."""
    first, second = (
        {item.name: item.source for item in gradient(CASES[name], direction).shared if "_at_" in item.name}
        for name in ("3x3", "several panels")
    )
    assert len(first) == 1
    assert first == second
