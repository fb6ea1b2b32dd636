"""The C of pooling and its gradients against windows taken one by one in NumPy."""

from __future__ import annotations

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
    run_sanitized,
)
from tfgraph.codegen.emitted import Emitted
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
    run_sanitized(emitted(spec), 3, [values[name].nbytes for name in OPERANDS[op]], tmp_path)
