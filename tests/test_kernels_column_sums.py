"""Sums of the columns of dy beside the gradient of weights, against NumPy in float64: matrix products, direct convolution
and Winograd's method, dy as it lies and as an array of pooling windows."""

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
    sanitizer_report,
)
from tests.test_kernels_conv2d import arrays, convolution
from tests.test_kernels_conv2d_pool import Pair, pair, pointers
from tfgraph.codegen.emitted import Emitted, Epilogue
from tfgraph.codegen.kinds import conv2d, matmul
from tfgraph.codegen.kinds.conv2d_window import Conv2DSpec
from tfgraph.codegen.kinds.matmul import MatMulSpec
from tfgraph.codegen.target import TARGETS, host_target
from tfgraph.shapes import Batch

N = Batch(1)
BATCHES = (0, 1, 7, 33)

PRODUCTS = {
    "one block": MatMulSpec(16, 24, N, transpose_a=True),
    "several blocks of rows and columns": MatMulSpec(784, 400, N, transpose_a=True),
    "columns that vectors do not divide": MatMulSpec(300, 37, N, transpose_a=True),
    "last columns as rows": MatMulSpec(480, 100, N, transpose_a=True),
    "more columns than registers hold": MatMulSpec(40, 150, N, transpose_a=True),
    "a fixed depth": MatMulSpec(64, 48, 250, transpose_a=True),
    "a multiple of N": MatMulSpec(40, 9, Batch(2), transpose_a=True),
}  # fmt: skip

CONVOLUTIONS = {
    "3x3": convolution((12, 12, 5), (3, 3, 32)),
    "first layer": convolution((14, 14, 1), (3, 3, 16), "VALID"),
    "odd channels": convolution((9, 7, 3), (3, 3, 37)),
    "several blocks": convolution((40, 40, 16), (3, 3, 64)),
    "several blocks of columns": convolution((12, 12, 16), (3, 3, 150)),
    "stride 2": convolution((10, 12, 8), (3, 3, 40), stride=(2, 2)),
    "5x5": convolution((13, 12, 6), (5, 5, 20)),
}

POOLED = {
    "windows of 2": pair(convolution((12, 12, 5), (3, 3, 32)), (2, 2), (2, 2)),
    "windows over the edge": pair(convolution((11, 13, 3), (3, 3, 16)), (2, 2), (2, 2)),
    "places left out": pair(convolution((11, 13, 4), (2, 2, 48), "VALID"), (2, 2), (2, 2), "VALID"),
}


def checked(kernel: Compiled, batch: int, operands: list[np.ndarray], dy: np.ndarray, products: int) -> None:
    """The sums stand behind the products in the result, so that one pointer serves both."""
    columns = dy.shape[-1]
    wanted = dy.astype(np.float64).reshape(-1, columns).sum(0)
    result = np.full(products + columns, 3, dy.dtype)
    found = kernel.run(batch, operands, result, IN_ORDER)
    for order in (REVERSED, FOUR_THREADS):
        assert np.array_equal(found, kernel.run(batch, operands, result, order)), "depends on the order of chunks"
    error = 1e-6 if dy.dtype == np.float32 else 1e-14
    scale = max(1.0, np.abs(dy.astype(np.float64)).reshape(-1, columns).sum(0).max(initial=0))
    np.testing.assert_allclose(found[products:], wanted, rtol=0, atol=error * scale)
    assert not (found[:products] == 3).any()


def beside(result: str, products: int, columns: int) -> Epilogue:
    return Epilogue(
        stores=(f"{result}[row * {columns} + column] = acc;",),
        beside=Epilogue((f"{result}[{products} + column] = acc;",)),
    )  # fmt: skip


def product(spec: MatMulSpec, target: str | None = None) -> Emitted:
    lines = prologue(("a", "b"), "y", C_TYPES[spec.dtype])
    wanted = TARGETS[target] if target else None
    return matmul.emit(spec, "k00_matmul", lines, beside("y", spec.m * spec.n, spec.n), "/* product */", wanted)


def filter_gradient(spec: Conv2DSpec, target: str | None = None) -> Emitted:
    spec = replace(spec, direction="backprop_filter")
    lines = prologue(("x", "dy"), "dw", C_TYPES[spec.dtype])
    products = spec.filter_h * spec.filter_w * spec.in_c * spec.out_c
    wanted = TARGETS[target] if target else None
    return conv2d.emit(spec, "k00_conv2d", lines, beside("dw", products, spec.out_c), "/* gradient */", wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_of_products(name: str, dtype: str, tmp_path: Path) -> None:
    spec = replace(PRODUCTS[name], dtype=dtype)
    assert matmul.takes_column_sums(spec, host_target())
    kernel = Compiled(product(spec), tmp_path)
    for batch in (*BATCHES, 300):
        depth, random = batch_size(spec.k, batch), np.random.default_rng(batch)
        a, b = (random.normal(size=(depth, n)).astype(dtype) for n in (spec.m, spec.n))
        checked(kernel, batch, [a, b], b, spec.m * spec.n)


def test_products_that_have_none() -> None:
    """Columns that do not lie side by side, and blocks that do not see all of a column."""
    for spec in (
        MatMulSpec(16, 24, N),
        MatMulSpec(16, 24, N, transpose_a=True, transpose_b=True),
        MatMulSpec(16, 24, N, transpose_a=True, batch=3),
        MatMulSpec(300, 1, N, transpose_a=True),
        MatMulSpec(16, 16, 100_000, transpose_a=True),  # in shares
    ):
        assert not matmul.takes_column_sums(spec, host_target())


@pytest.mark.parametrize("method", ["direct", "winograd"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_of_convolutions(name: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", method)
    spec = CONVOLUTIONS[name]
    kernel = Compiled(filter_gradient(spec), tmp_path)
    for batch in BATCHES:
        values, _ = arrays(spec, batch)
        checked(kernel, batch, [values["x"], values["dy"]], values["dy"], values["w"].size)


@pytest.mark.parametrize("method", ["direct", "winograd"])
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_vector_sizes(target: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", method)
    spec = replace(CONVOLUTIONS["odd channels"], dtype="float64" if method == "direct" else "float32")
    kernel = Compiled(filter_gradient(spec, target), tmp_path)
    values, _ = arrays(spec, 5)
    checked(kernel, 5, [values["x"], values["dy"]], values["dy"], values["w"].size)


def pooled_gradient(case: Pair) -> Emitted:
    spec = replace(case.conv, direction="backprop_filter")
    products = spec.filter_h * spec.filter_w * spec.in_c * spec.out_c
    lines = pointers("x", "position", "dy", "dw", dtype=spec.dtype, written=("dw",))
    epilogue = beside("dw", products, spec.out_c)
    return conv2d.emit(spec, "k00_conv2d", lines, epilogue, "/* gradient */", None, case.pool)


@pytest.mark.parametrize("method", ["direct", "winograd"])
@pytest.mark.parametrize("name", POOLED)
def test_of_pooled_convolutions(name: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dy is known window by window, and each window's belongs to one pixel."""
    monkeypatch.setenv("TFGRAPH_CONV", method)
    case = POOLED[name]
    kernel = Compiled(pooled_gradient(case), tmp_path)
    for batch in BATCHES:
        values, _ = arrays(case.conv, batch)
        dy = np.random.default_rng(1).normal(size=(batch, case.pool.out_h, case.pool.out_w, case.pool.channels))
        dy, position = dy.astype(np.float32), np.zeros(dy.shape, np.uint8)
        checked(kernel, batch, [values["x"], position, dy], dy, values["w"].size)


@pytest.mark.parametrize("method", ["direct", "winograd"])
def test_memory(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", method)
    spec = CONVOLUTIONS["odd channels"]
    values, _ = arrays(spec, 3)
    sizes = [values["x"].nbytes, values["dy"].nbytes, values["w"].nbytes + 4 * spec.out_c]
    assert sanitizer_report(filter_gradient(spec), 3, sizes, tmp_path) == ""


def test_memory_of_products(tmp_path: Path) -> None:
    spec = PRODUCTS["columns that vectors do not divide"]
    sizes = [4 * 33 * spec.m, 4 * 33 * spec.n, 4 * (spec.m + 1) * spec.n]
    assert sanitizer_report(product(spec), 33, sizes, tmp_path) == ""
