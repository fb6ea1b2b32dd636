"""The C of matrix products against NumPy in float64."""

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
from tfgraph.codegen.emitted import PLAIN, Epilogue
from tfgraph.codegen.kinds import matmul
from tfgraph.codegen.kinds.matmul import MatMulSpec
from tfgraph.codegen.target import TARGETS
from tfgraph.shapes import Batch

N = Batch(1)
BATCHES = (0, 1, 7, 8, 9, 33, 300)

SHAPES = {
    "dense": MatMulSpec(N, 10, 33),
    "columns of N": MatMulSpec(5, N, 70),
    "depth of N": MatMulSpec(37, 20, N),
    "one row": MatMulSpec(1, 17, N),
    "one column": MatMulSpec(N, 1, 1),
    "whole vectors": MatMulSpec(N, 64, 300),
    "deep, shared out": MatMulSpec(N, 7, 2049),
    "products of N": MatMulSpec(3, 5, 7, batch=N),
    "products": MatMulSpec(60, 33, 20, batch=3),
    "fixed, shared out": MatMulSpec(128, 100, 2000),
    "multiple of N": MatMulSpec(70, 3, Batch(8)),
    "no depth": MatMulSpec(N, 5, 0),
    "narrow last panel": MatMulSpec(N, 100, 64),
    "equal blocks": MatMulSpec(400, 256, 300),
    "large, few rows in some blocks": MatMulSpec(N, 310, 450),
    "the same, shared out": MatMulSpec(N, 30, 5000),
    "row times matrix": MatMulSpec(1, 300, 2000),
    "matrix times column": MatMulSpec(N, 1, 1500),
    "transposed matrix times column": MatMulSpec(300, 1, N),
    "row times column": MatMulSpec(1, 1, 5000),
    "three rows": MatMulSpec(3, 200, 1100),
    "three columns": MatMulSpec(N, 3, 1100),
    "rows times matrices": MatMulSpec(1, 33, 20, batch=N),
    "better transposed": MatMulSpec(N, 20, 2100),
    "better transposed, shared out": MatMulSpec(N, 28, 9000),
    "several blocks, fetched": MatMulSpec(401, 1200, 900),
    "last columns as rows": MatMulSpec(480, 100, N),
    "last columns as rows of whole blocks": MatMulSpec(80, 36, 300),
    "last columns along k": MatMulSpec(N, 100, 784),
    "last columns along k, blocks of it": MatMulSpec(1200, 72, 1000, batch=2),
    "last columns along k, shared out": MatMulSpec(N, 35, 9000),
}


def operands(spec: MatMulSpec, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random a and b as they lie in memory, and their product in float64."""
    products, m, n, k = (batch_size(d, batch) for d in (spec.batch, spec.m, spec.n, spec.k))
    random = np.random.default_rng(1)
    a = random.integers(-9, 10, (products, m, k)) + (random.random((products, m, k)) if "float" in spec.dtype else 0)
    b = random.integers(-9, 10, (products, k, n)) + (random.random((products, k, n)) if "float" in spec.dtype else 0)
    a, b = a.astype(spec.dtype), b.astype(spec.dtype)
    product = a.astype(np.float64) @ b.astype(np.float64)
    return (a.swapaxes(1, 2) if spec.transpose_a else a), (b.swapaxes(1, 2) if spec.transpose_b else b), product


def compiled(spec: MatMulSpec, folder: Path, target: str | None = None, epilogue: Epilogue = PLAIN) -> Compiled:
    names = ("a", "b") if epilogue.is_plain else ("a", "b", "bias")
    lines = prologue(names, "y", C_TYPES[spec.dtype])
    emitted = matmul.emit(spec, "k00_matmul", lines, epilogue, "/* product */", TARGETS[target] if target else None)
    return Compiled(emitted, folder)


def check(spec: MatMulSpec, kernel: Compiled, batch: int) -> None:
    a, b, expected = operands(spec, batch)
    result = np.zeros(expected.shape, spec.dtype)
    found = kernel.run(batch, [a, b], result, IN_ORDER)
    for order in (REVERSED, FOUR_THREADS):
        assert np.array_equal(found, kernel.run(batch, [a, b], result, order)), "depends on the order of chunks"
    tolerance = {"float32": 2e-6, "float64": 1e-14}.get(spec.dtype, 0)
    largest = 100 * max(1, batch_size(spec.k, batch))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("transposed", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize("shape", SHAPES)
def test_product(shape: str, transposed: str, tmp_path: Path) -> None:
    spec = replace(SHAPES[shape], transpose_a=transposed[0] == "t", transpose_b=transposed[1] == "t")
    kernel = compiled(spec, tmp_path)
    varies = any(isinstance(d, Batch) for d in (spec.m, spec.n, spec.k, spec.batch))
    for batch in BATCHES if varies else (0,):
        check(spec, kernel, batch)


@pytest.mark.parametrize("dtype", ["float64", "int32", "int64"])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize(("columns", "k"), [(21, 35), (20, 300)], ids=["whole vectors", "last columns along k"])
def test_dtypes(dtype: str, transpose_b: bool, columns: int, k: int, tmp_path: Path) -> None:
    spec = MatMulSpec(N, columns, k, transpose_b=transpose_b, dtype=dtype)
    kernel = compiled(spec, tmp_path)
    for batch in (1, 33):
        check(spec, kernel, batch)


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("transposed", ["nn", "nt", "tn", "tt"])
def test_vector_sizes(target: str, transposed: str, tmp_path: Path) -> None:
    flags = {"transpose_a": transposed[0] == "t", "transpose_b": transposed[1] == "t"}
    for i, spec in enumerate((MatMulSpec(N, 21, 700), MatMulSpec(N, 210, 650), MatMulSpec(2, 21, 40))):
        folder = tmp_path / str(i)
        folder.mkdir()
        kernel = compiled(replace(spec, **flags), folder, target)
        for batch in (1, 3, 33):
            check(replace(spec, **flags), kernel, batch)


@pytest.mark.parametrize(("columns", "k"), [(21, 33), (21, 4096), (1, 33), (3, 33), (1, 9000), (130, 1100), (36, 300)])
def test_epilogue(columns: int, k: int, tmp_path: Path) -> None:
    """Bias and ReLU on all ways to the output: of tiles, of few rows or columns, and after the shares of k are added."""
    spec = MatMulSpec(N, columns, k)
    lines = ("const float v1 = acc + bias[column];", "const float v2 = v1 > 0 ? v1 : 0;")
    kernel = compiled(spec, tmp_path, None, Epilogue(lines, (f"y[row * {columns} + column] = v2;",)))
    for batch in (1, 33):
        a, b, product = operands(spec, batch)
        bias = np.linspace(-900, 900, columns).astype(np.float32)
        found = kernel.run(batch, [a, b, bias], np.zeros(product.shape, np.float32), FOUR_THREADS)
        np.testing.assert_allclose(found, np.maximum(product + bias, 0), rtol=0, atol=2e-4 * k)


@pytest.mark.parametrize("columns", [200, 100])
def test_update_in_the_epilogue(columns: int, tmp_path: Path) -> None:
    """An epilogue that reads as many elements as there are sums; they are fetched while the sums are made."""
    rows = 2_200_000 // columns // 16 * 16
    spec = MatMulSpec(rows, columns, N, transpose_a=True)
    place = f"row * {columns} + column"
    epilogue = Epilogue((f"const float v1 = bias[{place}] - 0.5f * acc;",), (f"y[{place}] = v1;",))
    emitted = matmul.emit(spec, "k00_matmul", prologue(("a", "b", "bias"), "y", "float"), epilogue, target=TARGETS["avx512"])
    assert "later[0] = (tg_later_f32){bias + " in emitted.source
    kernel = compiled(spec, tmp_path, None, epilogue)
    for batch in (1, 70, 300):
        a, b, product = operands(spec, batch)
        before = np.random.default_rng(2).random(product.shape, np.float32)
        found = kernel.run(batch, [a, b, before], np.zeros(product.shape, np.float32), FOUR_THREADS)
        np.testing.assert_allclose(found, before - 0.5 * product, rtol=0, atol=2e-4 * batch)


@pytest.mark.parametrize("columns", [1040, 270], ids=["packed", "as it lies"])
@pytest.mark.parametrize("transposed", ["nn", "nt", "tn", "tt"])
def test_large_right_operand_is_fetched(columns: int, transposed: str, tmp_path: Path) -> None:
    """The operands' next blocks are fetched while sums are made: of k, of the next share of it, of the next columns."""
    flags = {"transpose_a": transposed[0] == "t", "transpose_b": transposed[1] == "t"}
    spec = MatMulSpec(N, columns, 2_200_000 // columns, **flags)
    emitted = matmul.emit(spec, "k00_matmul", prologue(("a", "b"), "y", "float"), target=TARGETS["avx512"])
    assert "tg_later_f32_piece(later, 2, ahead_columns, left, &ahead_pitch)" in emitted.source
    check(spec, compiled(spec, tmp_path), 70)


def test_blocks_are_shared_evenly() -> None:
    """Two threads have a half each, though 48 columns are as good a tile as 32: blocks of 288 and 212 are no halves."""
    found = matmul.plan(MatMulSpec(N, 500, 15488), TARGETS["avx512"])
    assert (found.width, found.block_columns) == (32, 256)


@pytest.mark.parametrize("k", [33, 300])
def test_panel_of_varying_width_is_complete(k: int) -> None:
    """How many columns the last panel has is known in a run only, so there is no narrower tile for it."""
    found = matmul.plan(MatMulSpec(300, N, k), TARGETS["avx512"])
    assert found.narrow == 0
    assert batch_size(N, 128) % found.width == 0


def test_shares_of_k_need_scratch() -> None:
    assert matmul.scratch(MatMulSpec(N, 21, 33)).is_empty
    deep = matmul.scratch(MatMulSpec(N, 7, 4096))
    assert deep.per_batch_bytes > 0
    assert deep.fixed_bytes > 0


@pytest.mark.parametrize(
    ("spec", "method"),
    [
        (MatMulSpec(N, 256, 784), "N x 784 x 256, tile 8 x 32, b as it lies, k in blocks of 262"),
        (MatMulSpec(1, 1000, 1000), "1 x 1000 x 1000, b streams past"),
        (MatMulSpec(N, 1, 9000), "N x 9000 x 1, a streams past"),
        (
            MatMulSpec(N, 1024, 3136, transpose_b=True),
            "N x 3136 x 1024, tile 8 x 32, b packed, k in blocks of 128",
        ),
        (MatMulSpec(N, 20, 9216), "N x 9216 x 20, transposed, tile 10 x 32, a packed, k in 8 shares"),
        (MatMulSpec(N, 100, 9216), "N x 9216 x 100, tile 8 x 48, b as it lies, last 4 columns as rows, k in 8 shares"),
        (
            MatMulSpec(N, 100, 784),
            "N x 784 x 100, tile 8 x 48, b as it lies, last 4 columns as rows, k in blocks of 392",
        ),
        (
            MatMulSpec(9216, 100, N, transpose_a=True),
            "9216 x N x 100, tile 8 x 32, b as it lies, a copied, last 4 columns as rows, k in blocks of 256",
        ),
    ],
)
def test_method(spec: MatMulSpec, method: str) -> None:
    assert matmul.plan(spec, TARGETS["avx512"]).method == method


@pytest.mark.parametrize(
    "spec",
    [
        MatMulSpec(N, 21, 700),
        MatMulSpec(5, N, 20, transpose_b=True),
        MatMulSpec(37, 20, N, transpose_a=True),
        MatMulSpec(N, 7, 2049),
        MatMulSpec(N, 310, 450),
        MatMulSpec(N, 310, 450, transpose_b=True),
        MatMulSpec(N, 30, 5000),
        MatMulSpec(1, 33, 70),
        MatMulSpec(1, 5, 20000),
        MatMulSpec(N, 3, 70),
        MatMulSpec(300, 1, N, transpose_a=True),
        MatMulSpec(N, 100, 2100),
        MatMulSpec(480, 100, N, transpose_a=True),
        MatMulSpec(N, 270, 4100),
        MatMulSpec(N, 270, 4100, transpose_b=True),
    ],
    ids=str,
)
@pytest.mark.parametrize("batch", [1, 7, 131])
def test_memory(spec: MatMulSpec, batch: int, tmp_path: Path) -> None:
    a, b, product = operands(spec, batch)
    emitted = matmul.emit(spec, "k00_matmul", prologue(("a", "b"), "y", "float"), comment="/* product */")
    assert sanitizer_report(emitted, batch, [a.nbytes, b.nbytes, product.nbytes // 2], tmp_path) == ""
