"""The C of convolutions that are fused with a max pooling of their results, against NumPy in float64."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from tests._kernels import C_TYPES, FOUR_THREADS, IN_ORDER, REVERSED, Compiled, sanitizer_report
from tests.test_kernels_conv2d import arrays, axis, convolution, expected
from tests.test_kernels_pool import expected as pooled
from tests.test_kernels_pool import first_maxima
from tfgraph.codegen.emitted import PLAIN, Emitted, Epilogue
from tfgraph.codegen.kinds import conv2d
from tfgraph.codegen.kinds.conv2d_window import Conv2DSpec
from tfgraph.codegen.kinds.pool import PoolSpec
from tfgraph.codegen.target import TARGETS

DIRECTIONS = ("forward", "backprop_input", "backprop_filter")


@dataclass(frozen=True)
class Pair:
    """A convolution and the pooling of its results."""

    conv: Conv2DSpec
    pool: PoolSpec


def pair(conv: Conv2DSpec, window: tuple[int, int], stride: tuple[int, int], padding: str = "SAME") -> Pair:
    down, top = axis(conv.out_h, window[0], stride[0], 1, padding)
    across, left = axis(conv.out_w, window[1], stride[1], 1, padding)
    sizes = (conv.out_h, conv.out_w, conv.out_c, *window, *stride, top, left, down, across)
    return Pair(conv, PoolSpec("max_at", conv.images, *sizes, dtype=conv.dtype))


CASES = {
    "2x2": pair(convolution((12, 10, 5), (3, 3, 32)), (2, 2), (2, 2)),
    "first layer": pair(convolution((14, 14, 1), (3, 3, 16), "VALID"), (2, 2), (2, 2)),
    "odd sizes, SAME": pair(convolution((9, 11, 3), (3, 3, 20)), (2, 2), (2, 2)),
    "odd sizes, VALID": pair(convolution((9, 11, 3), (2, 2, 7), "VALID"), (2, 2), (2, 2), "VALID"),
    "padding in front": pair(convolution((10, 13, 4), (3, 3, 8)), (3, 3), (3, 3)),
    "places left out": pair(convolution((11, 12, 4), (3, 3, 8)), (2, 1), (3, 2), "VALID"),
    "tall windows": pair(convolution((12, 7, 4), (3, 3, 33)), (4, 1), (4, 1)),
    "stride 2": pair(convolution((17, 19, 6), (3, 3, 12), stride=(2, 2)), (2, 2), (2, 2)),
    "dilated": pair(convolution((12, 12, 5), (3, 3, 9), dilation=(2, 2)), (2, 2), (2, 2)),
    "several panels": pair(convolution((8, 8, 20), (3, 3, 150)), (2, 2), (2, 2)),
    "several blocks": pair(convolution((40, 42, 16), (5, 5, 64)), (2, 2), (2, 2)),
    "one channel": pair(convolution((7, 8, 1), (2, 2, 1)), (2, 2), (2, 2)),
    "thin": pair(convolution((22, 24, 1), (3, 3, 32), "VALID"), (2, 2), (2, 2)),
    "thin, with edges": pair(convolution((20, 22, 3), (3, 3, 64)), (2, 2), (2, 2)),
    "thin, places left out": pair(convolution((29, 30, 2), (3, 3, 16), stride=(1, 1)), (2, 2), (3, 3), "VALID"),
    "thin, odd size": pair(convolution((21, 35, 4), (5, 5, 16), stride=(2, 2)), (3, 2), (3, 2), "VALID"),
    "thin, tall windows": pair(convolution((24, 20, 1), (3, 3, 64), "VALID", stride=(1, 2)), (3, 2), (4, 3), "VALID"),
    "thin, several blocks": pair(convolution((130, 140, 2), (3, 3, 32)), (2, 2), (2, 2)),
    "thin, part of a vector": pair(convolution((20, 22, 1), (3, 3, 24)), (2, 2), (2, 2)),
    "narrow": pair(convolution((12, 24, 16), (3, 3, 2)), (2, 2), (2, 2)),
    "whole picture": pair(convolution((6, 6, 3), (3, 3, 10)), (6, 6), (6, 6)),
    "windows larger than the picture": pair(convolution((3, 3, 3), (2, 2, 10)), (4, 4), (4, 4)),
}
RELU = ("const float v1 = acc + bias[column];", "const float v2 = v1 > 0 || v1 != v1 ? v1 : 0;")


@pytest.fixture(autouse=True)
def direct_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", "direct")


def pointers(*names: str, dtype: str, written: tuple[str, ...]) -> tuple[str, ...]:
    lines = ["const int64_t N = s->N;", "char *restrict scratch = s->scratch;"]
    for i, name in enumerate(names):
        c_type = "uint8_t" if name == "position" else C_TYPES[dtype]
        kind = f"{'' if name in written else 'const '}{c_type} *"
        lines.append(f"{kind}restrict {name} = ({kind})s->pointers[{i}];")
    return tuple(lines)


def forward(case: Pair, epilogue: Epilogue = PLAIN, target: str | None = None) -> Emitted:
    lines = pointers("x", "w", "bias", "position", "y", dtype=case.conv.dtype, written=("position", "y"))
    wanted = TARGETS[target] if target else None
    return conv2d.emit(case.conv, "k00_conv2d", lines, epilogue, "/* convolution */", wanted, case.pool)


def gradient(case: Pair, direction: str, epilogue: Epilogue = PLAIN, target: str | None = None) -> Emitted:
    operands = {"backprop_input": ("w", "position", "dy", "dx"), "backprop_filter": ("x", "position", "dy", "dw")}[direction]
    lines = pointers(*operands, dtype=case.conv.dtype, written=operands[-1:])
    wanted = TARGETS[target] if target else None
    spec = replace(case.conv, direction=direction)
    return conv2d.emit(spec, "k00_conv2d", lines, epilogue, "/* gradient */", wanted, case.pool)


def tolerance(wanted: np.ndarray, dtype: str) -> float:
    """Of direct sums; Winograd's method errs more, most with 5 x 5 filters."""
    method = 1 if os.environ["TFGRAPH_CONV"] == "direct" else 6
    return method * float(np.abs(wanted).max(initial=1)) * (4e-6 if dtype == "float32" else 1e-14)


def check_forward(case: Pair, kernel: Compiled, batch: int, relu: bool = False) -> None:
    """Maxima against the reference; positions against the elements, which rounding may have moved a little."""
    values, results = arrays(case.conv, batch)
    bias = np.linspace(-2, 2, case.conv.out_c).astype(case.conv.dtype)
    if relu:
        results = np.maximum(results + bias, 0)
    wanted, _ = pooled(case.pool, results, np.zeros((len(results), case.pool.out_h, case.pool.out_w, case.pool.channels)))
    found, positions = [], []
    for order in (IN_ORDER, REVERSED, FOUR_THREADS):
        position = np.full(wanted.shape, 255, np.uint8)
        operands = [values["x"], values["w"], bias, position]
        found.append(kernel.run(batch, operands, np.full(wanted.shape, 3, case.conv.dtype), order))
        positions.append(position)
    assert all(np.array_equal(found[0], f) for f in found), "depends on the order of chunks"
    assert all(np.array_equal(positions[0], p) for p in positions), "depends on the order of chunks"
    close = tolerance(results, case.conv.dtype)
    np.testing.assert_allclose(found[0], wanted, rtol=0, atol=close)
    differ = positions[0] != first_maxima(case.pool, results)
    assert differ.sum() <= 0.01 * differ.size
    at_position = values_at(case.pool, results, positions[0])
    np.testing.assert_allclose(at_position, wanted, rtol=0, atol=2 * close)


def values_at(pool: PoolSpec, results: np.ndarray, position: np.ndarray) -> np.ndarray:
    """The element of each window that a position names."""
    image, down, across, channel = np.indices(position.shape)
    row = down * pool.stride_h - pool.pad_top + position // pool.window_w
    column = across * pool.stride_w - pool.pad_left + position % pool.window_w
    return results[image, row, column, channel]


def spread(pool: PoolSpec, position: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """The gradient of all results, from that of the maxima."""
    image, down, across, channel = np.indices(position.shape)
    whole = np.zeros((len(dy), pool.in_h, pool.in_w, pool.channels), dy.dtype)
    row = down * pool.stride_h - pool.pad_top + position // pool.window_w
    column = across * pool.stride_w - pool.pad_left + position % pool.window_w
    whole[image, row, column, channel] = dy
    return whole


def gradient_arrays(case: Pair, batch: int, direction: str) -> tuple[list[np.ndarray], np.ndarray]:
    """The operands, and the gradient that they give in float64."""
    values, _ = arrays(case.conv, batch)
    position = first_maxima(case.pool, arrays(case.conv, batch)[0]["dy"])
    dy = np.random.default_rng(5).standard_normal(position.shape).astype(case.conv.dtype)
    spec = replace(case.conv, direction=direction)
    wanted = expected(spec, values["x"], values["w"], spread(case.pool, position, dy))
    return [values["w" if direction == "backprop_input" else "x"], position, dy], wanted


def check_gradient(case: Pair, kernel: Compiled, batch: int, direction: str) -> None:
    operands, wanted = gradient_arrays(case, batch, direction)
    start = np.full(wanted.shape, 3, case.conv.dtype)
    found = kernel.run(batch, operands, start, IN_ORDER)
    for order in (REVERSED, FOUR_THREADS):
        assert np.array_equal(found, kernel.run(batch, operands, start, order)), "depends on the order of chunks"
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance(wanted, case.conv.dtype))


def check(case: Pair, direction: str, folder: Path, batches: tuple[int, ...], target: str | None = None) -> None:
    if direction == "forward":
        kernel = Compiled(forward(case, target=target), folder)
        for batch in batches:
            check_forward(case, kernel, batch)
        return
    kernel = Compiled(gradient(case, direction, target=target), folder)
    for batch in batches:
        check_gradient(case, kernel, batch, direction)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", CASES)
def test_pooled_convolution(name: str, direction: str, tmp_path: Path) -> None:
    small = CASES[name].conv.in_h * CASES[name].conv.in_w * CASES[name].conv.out_c < 5000
    check(CASES[name], direction, tmp_path, (0, 1, 2, 17) if small else (2,))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_float64(direction: str, tmp_path: Path) -> None:
    case = CASES["odd sizes, SAME"]
    conv, pool = (replace(spec, dtype="float64", images=3) for spec in (case.conv, case.pool))
    check(Pair(conv, pool), direction, tmp_path, (0,))


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_vector_sizes(target: str, direction: str, tmp_path: Path) -> None:
    check(CASES["odd sizes, SAME"], direction, tmp_path, (5,), target)


@pytest.mark.parametrize("name", ["2x2", "odd sizes, SAME", "several panels", "thin", "thin, with edges"])
def test_bias_and_relu_come_before_the_maximum(name: str, tmp_path: Path) -> None:
    kernel = Compiled(forward(CASES[name], Epilogue(RELU, (), "v2")), tmp_path)
    check_forward(CASES[name], kernel, 3, relu=True)


@pytest.mark.parametrize("name", ["2x2", "odd sizes, SAME", "thin", "thin, with edges"])
def test_windows_of_equal_elements_have_their_first_position(name: str, tmp_path: Path) -> None:
    """ReLU makes whole windows 0: the first place in the picture is their maximum."""
    case = CASES[name]
    values, results = arrays(case.conv, 2)
    wanted = np.zeros((2, case.pool.out_h, case.pool.out_w, case.pool.channels), np.float32)
    position = np.full(wanted.shape, 255, np.uint8)
    bias = np.full(case.conv.out_c, -1e6, np.float32)
    kernel = Compiled(forward(case, Epilogue(RELU, (), "v2")), tmp_path)
    assert (kernel.run(2, [values["x"], values["w"], bias, position], wanted + 3) == 0).all()
    np.testing.assert_array_equal(position, first_maxima(case.pool, np.zeros(results.shape)))


@pytest.mark.parametrize("name", ["first layer", "odd sizes, SAME", "thin", "thin, with edges", "thin, tall windows"])
def test_the_first_nan_is_the_maximum(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    values, _ = arrays(case.conv, 1)
    values["x"][0, 4, 4, 0] = np.nan
    results = expected(case.conv, **values)
    wanted, _ = pooled(case.pool, results, np.zeros((1, case.pool.out_h, case.pool.out_w, case.pool.channels)))
    assert np.isnan(wanted).any()
    position = np.full(wanted.shape, 255, np.uint8)
    bias = np.zeros(case.conv.out_c, np.float32)
    kernel = Compiled(forward(case, Epilogue(RELU, (), "v2")), tmp_path)
    found = kernel.run(1, [values["x"], values["w"], bias, position], np.zeros(wanted.shape, np.float32))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    where = np.isnan(wanted)
    np.testing.assert_array_equal(position[where], first_maxima(case.pool, results)[where])


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


@pytest.mark.parametrize("op", ["max", "max_at"])
def test_without_positions(op: str, tmp_path: Path) -> None:
    case = CASES["odd sizes, SAME"]
    pool = replace(case.pool, op=op, results=("y",))
    values, results = arrays(case.conv, 2)
    wanted, _ = pooled(pool, results, np.zeros((2, pool.out_h, pool.out_w, pool.channels)))
    position = np.full(wanted.shape, 255, np.uint8)
    bias = np.zeros(case.conv.out_c, np.float32)
    kernel = Compiled(forward(Pair(case.conv, pool)), tmp_path)
    found = kernel.run(2, [values["x"], values["w"], bias, position], np.zeros(wanted.shape, np.float32))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance(results, "float32"))
    assert (position == 255).all()


def test_the_epilogue_of_a_gradient(tmp_path: Path) -> None:
    case = CASES["odd sizes, SAME"]
    place = f"row * {case.conv.out_c} + column"
    epilogue = Epilogue(("const float v1 = 0.5f * acc;",), (f"dw[{place}] = dw[{place}] - v1;",))
    operands, wanted = gradient_arrays(case, 7, "backprop_filter")
    kernel = Compiled(gradient(case, "backprop_filter", epilogue), tmp_path)
    found = kernel.run(7, operands, np.ones(wanted.shape, np.float32), FOUR_THREADS)
    np.testing.assert_allclose(found, 1 - wanted / 2, rtol=0, atol=4e-4)


def test_which_convolutions_take_a_pooling() -> None:
    case = CASES["2x2"]
    assert conv2d.takes_pool(case.conv, case.pool)
    overlapping = pair(case.conv, (3, 3), (2, 2))
    one_tap = pair(convolution((12, 10, 5), (1, 1, 32)), (2, 2), (2, 2))  # a matrix product
    wide = pair(convolution((8, 3000, 5), (3, 3, 64)), (2, 2), (2, 2))  # the rows do not fit on the stack
    for refused in (overlapping, one_tap, wide):
        assert not conv2d.takes_pool(refused.conv, refused.pool)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", ["odd sizes, SAME", "odd sizes, VALID", "padding in front", "places left out", "stride 2"])
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
