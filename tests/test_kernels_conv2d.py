"""The C of convolutions and their gradients against sums over filter taps in NumPy, float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests._kernels import (
    C_TYPES,
    FOUR_THREADS,
    IN_ORDER,
    REVERSED,
    Compiled,
    batch_size,
    prologue,
    sanitizer_report,
)
from tfgraph.codegen.emitted import PLAIN, Emitted, Epilogue
from tfgraph.codegen.kinds import conv2d, conv2d_filter
from tfgraph.codegen.kinds.conv2d_window import Conv2DSpec
from tfgraph.codegen.target import TARGETS
from tfgraph.shapes import Batch

N = Batch(1)
OPERANDS = {"forward": ("x", "w", "y"), "backprop_input": ("w", "dy", "dx"), "backprop_filter": ("x", "dy", "dw")}
DIRECTIONS = tuple(OPERANDS)


def axis(size: int, taps: int, stride: int, dilation: int, padding: str) -> tuple[int, int]:
    """Output size and zeros in front, as TensorFlow defines SAME and VALID."""
    extent = (taps - 1) * dilation + 1
    if padding == "SAME":
        out = -(-size // stride)
        return out, max((out - 1) * stride + extent - size, 0) // 2
    return -(-(size - extent + 1) // stride), 0


def convolution(
    picture: tuple[int, int, int], filters: tuple[int, int, int], padding: str = "SAME", stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> Conv2DSpec:  # fmt: skip
    (h, w, channels), (taps_h, taps_w, out_c) = picture, filters
    out_h, top = axis(h, taps_h, stride[0], dilation[0], padding)
    out_w, left = axis(w, taps_w, stride[1], dilation[1], padding)
    return Conv2DSpec(
        "forward", N, h, w, channels, taps_h, taps_w, out_c, *stride, *dilation, top, left, out_h, out_w
    )  # fmt: skip


CASES = {
    "3x3": convolution((8, 8, 16), (3, 3, 32)),
    "odd channels": convolution((7, 9, 3), (3, 2, 7)),
    "first layer": convolution((9, 7, 1), (5, 5, 10), "VALID"),
    "first layer with edges": convolution((11, 12, 1), (3, 3, 32)),
    "first layer, tall filter": convolution((13, 12, 1), (5, 2, 16), stride=(2, 1), dilation=(2, 1)),
    "stride 2": convolution((10, 12, 24), (3, 3, 40), stride=(2, 2)),
    "strides differ": convolution((11, 13, 7), (3, 5, 24), "VALID", stride=(2, 3)),
    "dilated": convolution((12, 12, 5), (3, 3, 9), dilation=(2, 2)),
    "dilations differ": convolution((13, 11, 4), (2, 3, 33), "VALID", dilation=(2, 3)),
    "stride and dilation": convolution((15, 14, 3), (2, 2, 20), stride=(3, 3), dilation=(2, 2)),
    "one tap": convolution((9, 9, 3), (1, 1, 5)),
    "one tap, stride 2": convolution((9, 9, 3), (1, 1, 5), stride=(2, 2)),
    "whole picture": convolution((4, 4, 8), (4, 4, 6), "VALID"),
    "even filter": convolution((4, 4, 8), (4, 4, 6)),
    "filter larger than picture": convolution((5, 5, 2), (7, 7, 3)),
    "stride larger than filter": convolution((15, 15, 3), (3, 3, 20), stride=(4, 4)),
    "stride larger than picture": convolution((3, 3, 2), (2, 2, 2), stride=(5, 5)),
    "one channel": convolution((6, 5, 1), (3, 3, 1)),
    "several blocks": convolution((40, 40, 32), (3, 3, 64)),
    "several panels": convolution((16, 16, 130), (3, 3, 140)),
    "thin": convolution((9, 40, 3), (3, 3, 32)),
    "thin, stride 2": convolution((21, 70, 3), (7, 7, 64), stride=(2, 2)),
    "thin, dilated": convolution((12, 30, 2), (3, 3, 48), "VALID", dilation=(2, 3)),
    "thin, 4 channels": convolution((10, 20, 4), (5, 5, 16)),
    "thin, strides differ": convolution((14, 37, 1), (4, 3, 64), stride=(3, 2), dilation=(1, 2)),
    "thin, rows without taps": replace(convolution((6, 12, 2), (3, 3, 16)), pad_top=4, out_h=12),
    "narrow": convolution((9, 20, 32), (3, 3, 3)),
    "narrow, dilated": convolution((12, 40, 16), (3, 2, 1), "VALID", dilation=(2, 3)),
    "narrow, stride 2": convolution((13, 41, 48), (5, 5, 4), stride=(2, 2)),
    "window in scratch": convolution((6, 400, 130), (5, 3, 8)),
}


@pytest.fixture(autouse=True)
def direct_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Winograd's kernels, which `auto` might choose, round differently and have their own tests."""
    monkeypatch.setenv("TFGRAPH_CONV", "direct")


def taps(spec: Conv2DSpec) -> Iterator[tuple[int, int, slice, slice]]:
    """Each filter tap with the places of the padded input that it meets."""
    for i in range(spec.filter_h):
        for j in range(spec.filter_w):
            top, left = i * spec.dilation_h, j * spec.dilation_w
            yield (
                i, j,
                slice(top, top + (spec.out_h - 1) * spec.stride_h + 1, spec.stride_h),
                slice(left, left + (spec.out_w - 1) * spec.stride_w + 1, spec.stride_w),
            )  # fmt: skip


def expected(spec: Conv2DSpec, x: np.ndarray, w: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """The result of the spec's direction."""
    x, w, dy = (a.astype(np.float64) for a in (x, w, dy))
    reach_h = (spec.out_h - 1) * spec.stride_h + (spec.filter_h - 1) * spec.dilation_h + 1
    reach_w = (spec.out_w - 1) * spec.stride_w + (spec.filter_w - 1) * spec.dilation_w + 1
    inside = (slice(None), slice(spec.pad_top, spec.pad_top + spec.in_h), slice(spec.pad_left, spec.pad_left + spec.in_w))
    size = (max(reach_h, spec.pad_top + spec.in_h), max(reach_w, spec.pad_left + spec.in_w))
    padded = np.zeros((len(x), *size, spec.in_c))
    padded[inside] = x
    if spec.direction == "forward":
        return sum((padded[:, a, b] @ w[i, j] for i, j, a, b in taps(spec)), np.zeros(dy.shape))
    if spec.direction == "backprop_filter":
        dw = np.zeros(w.shape)
        for i, j, a, b in taps(spec):
            dw[i, j] = np.tensordot(padded[:, a, b], dy, ((0, 1, 2), (0, 1, 2)))
        return dw
    dx = np.zeros(padded.shape)
    for i, j, a, b in taps(spec):
        dx[:, a, b] += dy @ w[i, j].T
    return dx[inside]


def arrays(spec: Conv2DSpec, batch: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Operands by name, and the expected result."""
    images = batch_size(spec.images, batch)
    random = np.random.default_rng(2)
    shapes = {
        "x": (images, spec.in_h, spec.in_w, spec.in_c),
        "w": (spec.filter_h, spec.filter_w, spec.in_c, spec.out_c),
        "dy": (images, spec.out_h, spec.out_w, spec.out_c),
    }
    values = {name: random.standard_normal(shape).astype(spec.dtype) for name, shape in shapes.items()}
    return values, expected(spec, **values)


def emitted(spec: Conv2DSpec, target: str | None = None, epilogue: Epilogue = PLAIN, extra: tuple[str, ...] = ()) -> Emitted:
    *reads, result = OPERANDS[spec.direction]
    lines = prologue((*reads, *extra), result, C_TYPES[spec.dtype])
    return conv2d.emit(spec, "k00_conv2d", lines, epilogue, "/* convolution */", TARGETS[target] if target else None)


def check(spec: Conv2DSpec, kernel: Compiled, batch: int) -> None:
    values, wanted = arrays(spec, batch)
    reads = [values[name] for name in OPERANDS[spec.direction][:-1]]
    result = np.full(wanted.shape, 3, spec.dtype)
    found = kernel.run(batch, reads, result, IN_ORDER)
    for order in (REVERSED, FOUR_THREADS):
        assert np.array_equal(found, kernel.run(batch, reads, result, order)), "depends on the order of chunks"
    scale = np.abs(wanted).max(initial=1)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=scale * (4e-6 if spec.dtype == "float32" else 1e-14))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", CASES)
def test_convolution(case: str, direction: str, tmp_path: Path) -> None:
    spec = replace(CASES[case], direction=direction)
    kernel = Compiled(emitted(spec), tmp_path)
    small = spec.in_h * spec.in_w * spec.in_c < 5000
    for batch in (0, 1, 7, 33) if small else (2,):
        check(spec, kernel, batch)


def test_tiles_hold_several_rows_of_taps_where_one_is_short() -> None:
    """As first layers have it whose channels fill no vectors; with more channels a row of taps fills a tile."""
    cases = {**CASES, "odd filters": convolution((11, 12, 1), (3, 3, 10))}
    held = {
        case: conv2d_filter.plan(replace(cases[case], direction="backprop_filter"), TARGETS["avx512"], True).tap_rows
        for case in ("first layer", "odd filters", "3x3")
    }
    assert held["first layer"] > 1
    assert (held["odd filters"], held["3x3"]) == (3, 1)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_images_that_do_not_depend_on_the_batch(direction: str, tmp_path: Path) -> None:
    spec = replace(CASES["stride 2"], direction=direction, images=3, dtype="float64")
    check(spec, Compiled(emitted(spec), tmp_path), 0)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_images_that_are_a_multiple_of_the_batch(direction: str, tmp_path: Path) -> None:
    spec = replace(CASES["odd channels"], direction=direction, images=Batch(2))
    check(spec, Compiled(emitted(spec), tmp_path), 7)


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_vector_sizes(target: str, direction: str, tmp_path: Path) -> None:
    spec = replace(CASES["stride 2"], direction=direction)
    check(spec, Compiled(emitted(spec, target), tmp_path), 5)


@pytest.mark.parametrize("case", ["3x3", "odd channels", "one tap", "whole picture"])
def test_epilogue(case: str, tmp_path: Path) -> None:
    """Bias and ReLU before the store."""
    spec = CASES[case]
    lines = ("const float v1 = acc + bias[column];", "const float v2 = v1 > 0 ? v1 : 0;")
    epilogue = Epilogue(lines, (f"y[row * {spec.out_c} + column] = v2;",))
    kernel = Compiled(emitted(spec, None, epilogue, ("bias",)), tmp_path)
    values, wanted = arrays(spec, 7)
    bias = np.linspace(-2, 2, spec.out_c).astype(np.float32)
    found = kernel.run(7, [values["x"], values["w"], bias], np.zeros(wanted.shape, np.float32), FOUR_THREADS)
    np.testing.assert_allclose(found, np.maximum(wanted + bias, 0), rtol=0, atol=2e-4)


@pytest.mark.parametrize("case", ["3x3", "stride 2", "whole picture", "one tap"])
def test_epilogue_of_the_input_gradient(case: str, tmp_path: Path) -> None:
    """A ReLU's mask on dx: the epilogue sees each input pixel and channel once, in every phase of the stride."""
    spec = replace(CASES[case], direction="backprop_input")
    place = f"row * {spec.in_c} + column"
    epilogue = Epilogue((f"const float v1 = pre[{place}] > 0 ? acc : 0;",), (f"dx[{place}] = v1 + dx[{place}];",))
    kernel = Compiled(emitted(spec, None, epilogue, ("pre",)), tmp_path)
    values, wanted = arrays(spec, 7)
    old = np.ones(wanted.shape, np.float32)
    found = kernel.run(7, [values["w"], values["dy"], values["x"]], old, FOUR_THREADS)
    np.testing.assert_allclose(found, 1 + np.where(values["x"] > 0, wanted, 0), rtol=0, atol=4e-4)


@pytest.mark.parametrize("case", ["3x3", "several panels", "whole picture", "one tap"])
def test_epilogue_of_the_filter_gradient(case: str, tmp_path: Path) -> None:
    """A step against the gradient: the epilogue sees each filter element once."""
    spec = replace(CASES[case], direction="backprop_filter")
    place = f"row * {spec.out_c} + column"
    epilogue = Epilogue(("const float v1 = 0.5f * acc;",), (f"dw[{place}] = dw[{place}] - v1;",))
    kernel = Compiled(emitted(spec, None, epilogue), tmp_path)
    values, wanted = arrays(spec, 7)
    found = kernel.run(7, [values["x"], values["dy"]], np.ones(wanted.shape, np.float32), FOUR_THREADS)
    np.testing.assert_allclose(found, 1 - wanted / 2, rtol=0, atol=4e-4)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", ["odd channels", "first layer", "strides differ", "stride and dilation", "whole picture"])
def test_memory(case: str, direction: str, tmp_path: Path) -> None:
    spec = replace(CASES[case], direction=direction)
    values, wanted = arrays(spec, 3)
    reads = [values[name].nbytes for name in OPERANDS[direction][:-1]]
    assert sanitizer_report(emitted(spec), 3, [*reads, wanted.nbytes // 2], tmp_path) == ""
