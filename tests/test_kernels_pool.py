"""The C of pooling and its gradients against windows taken one by one in NumPy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

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
from tfgraph.codegen.emitted import Emitted, Epilogue
from tfgraph.codegen.kinds import pool
from tfgraph.codegen.kinds.pool import PoolSpec
from tfgraph.shapes import Batch

N = Batch(1)
OPERANDS = {"max": ("x", "y"), "avg": ("x", "y"), "max_grad": ("x", "y", "dy", "dx"), "avg_grad": ("dy", "dx")}


def axis(size: int, window: int, stride: int, padding: str) -> tuple[int, int]:
    """Output size and places in front, as TensorFlow defines SAME and VALID."""
    if padding == "SAME":
        out = -(-size // stride)
        return out, max((out - 1) * stride + window - size, 0) // 2
    return -(-(size - window + 1) // stride), 0


def pooling(
    picture: tuple[int, int, int], window: tuple[int, int], stride: tuple[int, int], padding: str = "SAME"
) -> PoolSpec:
    out_h, top = axis(picture[0], window[0], stride[0], padding)
    out_w, left = axis(picture[1], window[1], stride[1], padding)
    return PoolSpec("max", N, *picture, *window, *stride, top, left, out_h, out_w)


CASES = {
    "2x2": pooling((8, 8, 32), (2, 2), (2, 2)),
    "2x2 over the edge": pooling((7, 9, 5), (2, 2), (2, 2)),
    "overlapping": pooling((9, 7, 3), (3, 3), (2, 2)),
    "one channel": pooling((10, 11, 1), (3, 2), (1, 2), "VALID"),
    "places left out": pooling((6, 6, 7), (2, 3), (3, 3), "VALID"),
    "whole picture": pooling((5, 5, 4), (5, 5), (1, 1)),
    "several blocks": pooling((64, 64, 32), (2, 2), (2, 2), "VALID"),
    "several blocks over the edge": pooling((65, 66, 33), (2, 2), (2, 2)),
    "several blocks, overlapping": pooling((41, 42, 64), (3, 3), (2, 2)),
    "several blocks, windows of many rows": pooling((36, 50, 70), (7, 3), (2, 1), "VALID"),
}


def expected(spec: PoolSpec, x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y and dx."""
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    y, dx = np.zeros(dy.shape), np.zeros(x.shape)
    for h in range(spec.out_h):
        for q in range(spec.out_w):
            top, left = h * spec.stride_h - spec.pad_top, q * spec.stride_w - spec.pad_left
            rows = slice(max(top, 0), top + spec.window_h)
            places = (slice(None), rows, slice(max(left, 0), left + spec.window_w))
            window = x[places]
            flat = window.reshape(len(x), window.shape[1] * window.shape[2], spec.channels)
            share = np.zeros(flat.shape)
            if spec.op.startswith("max"):
                y[:, h, q] = flat.max(1)
                np.put_along_axis(share, flat.argmax(1)[:, None], dy[:, h, q][:, None], 1)
            else:
                y[:, h, q] = flat.mean(1)
                share += dy[:, h, q][:, None] / flat.shape[1]
            dx[places] += share.reshape(window.shape)
    return y, dx


def arrays(spec: PoolSpec, batch: int) -> dict[str, np.ndarray]:
    """Operands and results by name; x has few different values, so that maxima repeat."""
    images = batch_size(spec.images, batch)
    random = np.random.default_rng(3)
    x = random.integers(-4, 5, (images, spec.in_h, spec.in_w, spec.channels)).astype(spec.dtype)
    dy = (9 * random.standard_normal((images, spec.out_h, spec.out_w, spec.channels))).astype(spec.dtype)
    y, dx = expected(spec, x, dy)
    return {"x": x, "dy": dy, "y": y.astype(spec.dtype), "dx": dx.astype(spec.dtype)}


def emitted(spec: PoolSpec) -> Emitted:
    *reads, result = OPERANDS[spec.op]
    return pool.emit(spec, "k00_pool", prologue(reads, result, C_TYPES[spec.dtype]), comment="/* pooling */")


BEFORE = (
    "const int64_t N = s->N;",
    "const {c_type} *restrict x = (const {c_type} *)s->pointers[0];",
    "uint8_t *restrict position = (uint8_t *)s->pointers[1];",
    "{c_type} *restrict y = ({c_type} *)s->pointers[2];",
)
AFTER = (
    "const int64_t N = s->N;",
    "const uint8_t *restrict position = (const uint8_t *)s->pointers[0];",
    "const {c_type} *restrict dy = (const {c_type} *)s->pointers[1];",
    "{c_type} *restrict dx = ({c_type} *)s->pointers[2];",
)


def with_position(spec: PoolSpec, folder: Path, **options: Any) -> Compiled:
    """A kernel that reads or writes positions; its pointers are (x, position, y) or (position, dy, dx)."""
    lines = [line.format(c_type=C_TYPES[spec.dtype]) for line in (AFTER if "_grad" in spec.op else BEFORE)]
    folder.mkdir(exist_ok=True)
    return Compiled(pool.emit(spec, "k00_pool", lines, **options), folder)


def first_maxima(spec: PoolSpec, x: np.ndarray) -> np.ndarray:
    """The tap of each window where its maximum, or else its first NaN, is first met."""
    position = np.zeros((len(x), spec.out_h, spec.out_w, spec.channels), np.uint8)
    for h in range(spec.out_h):
        for q in range(spec.out_w):
            taps = [
                (i * spec.window_w + j, x[:, row, column])
                for i in range(spec.window_h)
                for j in range(spec.window_w)
                if 0 <= (row := h * spec.stride_h - spec.pad_top + i) < spec.in_h
                and 0 <= (column := q * spec.stride_w - spec.pad_left + j) < spec.in_w
            ]
            values = np.stack([value for _, value in taps])
            position[:, h, q] = np.array([tap for tap, _ in taps])[values.argmax(0)]  # argmax: NaN is the largest
    return position


def check_positions(spec: PoolSpec, batch: int, folder: Path, x: np.ndarray | None = None) -> None:
    values = arrays(spec, batch)
    x = values["x"] if x is None else x
    y, dx = expected(spec, x, values["dy"])
    position = np.full(y.shape, 9, np.uint8)
    forward = with_position(replace(spec, op="max_at"), folder / "forward")
    found = forward.run(batch, [x, position], np.zeros(y.shape, spec.dtype), FOUR_THREADS)
    np.testing.assert_array_equal(found, y)
    np.testing.assert_array_equal(position, first_maxima(spec, x))
    backward = with_position(replace(spec, op="max_grad_at"), folder / "backward")
    start = np.full(x.shape, 9, spec.dtype)
    found = backward.run(batch, [position, values["dy"]], start, FOUR_THREADS)
    assert np.array_equal(found, backward.run(batch, [position, values["dy"]], start, REVERSED))
    np.testing.assert_allclose(found, dx, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_positions(case: str, tmp_path: Path) -> None:
    """x has few different values: a gradient that went to another of the equal maxima would show."""
    check_positions(CASES[case], 2, tmp_path)


@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_positions_of_other_dtypes(dtype: str, tmp_path: Path) -> None:
    check_positions(replace(CASES["2x2 over the edge"], dtype=dtype, images=3), 0, tmp_path)


@pytest.mark.parametrize("case", ["2x2", "overlapping"])
def test_the_first_nan_takes_the_gradient(case: str, tmp_path: Path) -> None:
    spec = CASES[case]
    x = arrays(spec, 2)["x"]
    x[0, 3, 4, 2] = x[0, 3, 5, 2] = x[1, 0, 1, :] = np.nan
    x[1, 4:6, 4:6] = -np.inf
    check_positions(spec, 2, tmp_path, x)


@pytest.mark.parametrize("case", ["2x2", "overlapping"])
def test_the_gradient_from_maxima_agrees_about_nan(case: str, tmp_path: Path) -> None:
    """max_grad looks for the maximum again where no position was kept."""
    spec = replace(CASES[case], op="max_grad")
    values = arrays(spec, 2)
    values["x"][0, 3, 4, 2] = values["x"][0, 3, 5, 2] = values["x"][1, 0, 1, :] = np.nan
    y, dx = expected(spec, values["x"], values["dy"])
    found = Compiled(emitted(spec), tmp_path).run(2, [values["x"], y.astype(np.float32), values["dy"]], values["dx"])
    np.testing.assert_allclose(found, dx, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("results", [("y",), ("position",)])
def test_only_what_is_asked_for_is_stored(results: tuple[str, ...], tmp_path: Path) -> None:
    spec = replace(CASES["2x2"], op="max_at", results=results)
    values = arrays(spec, 2)
    position = np.full(values["y"].shape, 9, np.uint8)
    found = with_position(spec, tmp_path).run(2, [values["x"], position], np.full(values["y"].shape, 7, np.float32))
    assert np.array_equal(found, values["y"]) == ("y" in results)
    assert (position == 9).all() == ("position" not in results)


def test_the_gradient_at_positions_takes_an_epilogue(tmp_path: Path) -> None:
    spec = replace(CASES["2x2"], op="max_grad_at")
    values = arrays(spec, 2)
    place = f"row * {spec.channels} + column"
    epilogue = Epilogue(("const float v1 = 2 * acc;",), (f"dx[{place}] = v1 + 1;",))
    kernel = with_position(spec, tmp_path, epilogue=epilogue)
    found = kernel.run(2, [first_maxima(spec, values["x"]), values["dy"]], values["dx"])
    np.testing.assert_allclose(found, 2 * values["dx"] + 1, rtol=1e-5, atol=1e-5)


def check(spec: PoolSpec, kernel: Compiled, batch: int) -> None:
    values = arrays(spec, batch)
    *reads, result = (values[name] for name in OPERANDS[spec.op])
    start = np.full(result.shape, 9, spec.dtype)
    found = kernel.run(batch, reads, start, IN_ORDER)
    for order in (REVERSED, FOUR_THREADS):
        assert np.array_equal(found, kernel.run(batch, reads, start, order)), "depends on the order of chunks"
    np.testing.assert_allclose(found, result, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op", OPERANDS)
@pytest.mark.parametrize("case", CASES)
def test_pooling(case: str, op: str, tmp_path: Path) -> None:
    spec = replace(CASES[case], op=op)
    kernel = Compiled(emitted(spec), tmp_path)
    small = spec.in_h * spec.in_w * spec.channels < 5000
    for batch in (0, 1, 7, 33) if small else (2,):
        check(spec, kernel, batch)


@pytest.mark.parametrize("op", OPERANDS)
def test_float64(op: str, tmp_path: Path) -> None:
    spec = replace(CASES["overlapping"], op=op, images=3, dtype="float64")
    check(spec, Compiled(emitted(spec), tmp_path), 0)


def test_maximum_of_integers(tmp_path: Path) -> None:
    spec = replace(CASES["overlapping"], dtype="int32")
    check(spec, Compiled(emitted(spec), tmp_path), 7)


@pytest.mark.parametrize("case", ["2x2", "overlapping"])
def test_a_maximum_keeps_nan(case: str, tmp_path: Path) -> None:
    spec = CASES[case]
    values = arrays(spec, 2)
    values["x"][0, 3, 4, 2] = np.nan
    found = Compiled(emitted(spec), tmp_path).run(2, [values["x"]], values["y"])
    wanted, _ = expected(spec, values["x"], values["dy"])
    assert np.isnan(wanted).any()
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("op", OPERANDS)
@pytest.mark.parametrize("case", ["2x2 over the edge", "overlapping", "places left out"])
def test_memory(case: str, op: str, tmp_path: Path) -> None:
    spec = replace(CASES[case], op=op)
    values = arrays(spec, 3)
    assert sanitizer_report(emitted(spec), 3, [values[name].nbytes for name in OPERANDS[op]], tmp_path) == ""
