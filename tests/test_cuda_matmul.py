"""The CUDA of matrix products, run through the host shim, against NumPy in float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests._cuda_kernels import Shim, cuda_file, needs_cxx, needs_nvcc, spills
from tests._kernels import C_TYPES, batch_size, prologue
from tests.test_kernels_matmul import SHAPES, operands
from tfgraph.codegen.cuda import matmul, tiles
from tfgraph.codegen.cuda.contraction import PRECISIONS, CudaEmitted
from tfgraph.codegen.emitted import PLAIN, Epilogue
from tfgraph.codegen.kinds.matmul import MatMulSpec
from tfgraph.shapes import Batch

N = Batch(1)
ORDERS = ("forward", "backward", "7")
TOLERANCE = {"float32": 2e-6, "tf32": 2e-3, "bf16": 1.2e-2, "float64": 1e-14}  # times the depth and the largest product


def emit(
    spec: MatMulSpec, name: str = "k00_matmul", precision: str = "float32", epilogue: Epilogue = PLAIN, **more: object
) -> CudaEmitted:
    names = ("a", "b") if epilogue.is_plain else ("a", "b", "bias")
    lines = prologue(names, "y", C_TYPES[spec.dtype])
    return matmul.emit(spec, name, lines, epilogue, "/* product */", precision, **more)  # type: ignore[arg-type]


def transposes(spec: MatMulSpec) -> list[MatMulSpec]:
    return [replace(spec, transpose_a=a, transpose_b=b) for a in (False, True) for b in (False, True)]


def check(
    shim: Shim, kernel: CudaEmitted, spec: MatMulSpec, batch: int, tolerance: float, orders: tuple[str, ...] = ORDERS
) -> None:
    a, b, expected = operands(spec, batch)
    found = [shim.run(kernel, batch, [a, b], np.zeros(expected.shape, spec.dtype), order) for order in orders]
    assert all(np.array_equal(found[0], other) for other in found), "depends on the order of threads"
    largest = 100 * max(1, batch_size(spec.k, batch))
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=tolerance * largest)


def only(monkeypatch: pytest.MonkeyPatch, tile: tiles.Tile) -> None:
    """Let the plans have no other tile."""
    monkeypatch.setattr(tiles, "TILES", (tile,))
    monkeypatch.setattr(tiles, "TENSOR_TILES", (tile,))


def tile_name(value: str | tiles.Tile) -> str:
    return value if isinstance(value, str) else f"{value.rows}x{value.columns}"


@needs_cxx
@pytest.mark.parametrize("shape", SHAPES)
def test_product(shape: str) -> None:
    specs = transposes(SHAPES[shape])
    kernels = [emit(spec, f"k{i:02d}_matmul") for i, spec in enumerate(specs)]
    shim = Shim(*kernels)
    varies = any(isinstance(d, Batch) for d in (specs[0].m, specs[0].n, specs[0].k, specs[0].batch))
    for spec, kernel in zip(specs, kernels, strict=True):
        for batch in (0, 1, 37) if varies else (0,):
            check(shim, kernel, spec, batch, TOLERANCE["float32"])


EVERY_TILE = [
    *(("float32", tile) for tile in tiles.TILES), *((p, tile) for p in ("tf32", "bf16") for tile in tiles.TENSOR_TILES)
]  # fmt: skip


@needs_cxx
@pytest.mark.parametrize(("precision", "tile"), EVERY_TILE, ids=tile_name)
def test_every_tile_is_without_races(precision: str, tile: tiles.Tile, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, tile)
    specs = [
        MatMulSpec(Batch(20), 70, 50), MatMulSpec(133, 70, Batch(20), True, True), MatMulSpec(36, 20, 52, batch=3),
        MatMulSpec(64, 72, 700, False, True),
    ]  # fmt: skip
    kernels = [emit(spec, f"k{i:02d}_matmul", precision) for i, spec in enumerate(specs)]
    shim = Shim(*kernels, checks=True)
    for spec, kernel in zip(specs, kernels, strict=True):
        check(shim, kernel, spec, 3, TOLERANCE[precision], ("forward", "5"))


@needs_cxx
@pytest.mark.parametrize("dtype", ["float64", "int32", "int64"])
def test_dtypes(dtype: str) -> None:
    specs = transposes(MatMulSpec(N, 70, 530, dtype=dtype))
    kernels = [emit(spec, f"k{i:02d}_matmul", "tf32") for i, spec in enumerate(specs)]  # which is of float32 alone
    shim = Shim(*kernels)
    for spec, kernel in zip(specs, kernels, strict=True):
        check(shim, kernel, spec, 33, TOLERANCE.get(dtype, 0))


@needs_cxx
@pytest.mark.parametrize("spec", [MatMulSpec(N, 70, 50), MatMulSpec(N, 70, 5000), MatMulSpec(3, 20, 7, batch=N)], ids=str)
def test_epilogue(spec: MatMulSpec) -> None:
    epilogue = Epilogue(
        ("const float moved = acc + bias[column];", "const float kept = moved > 0.0f ? moved : (float)row;"),
        (f"y[row * {spec.n} + column] = kept;",),
    )
    kernel = emit(spec, epilogue=epilogue)
    a, b, product = operands(spec, 33)
    bias = np.linspace(-500, 500, spec.n).astype(np.float32)
    expected = (product + bias).reshape(-1, spec.n)
    rows = np.broadcast_to(np.arange(len(expected))[:, None], expected.shape)
    expected = np.where(expected > 0, expected, rows).reshape(product.shape)
    found = Shim(kernel, checks=True).run(kernel, 33, [a, b, bias], np.zeros(product.shape, np.float32))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * 100 * spec.k)


@needs_cxx
def test_operands_without_alignment() -> None:
    """Copies of 16 bytes are for those that begin at a multiple of them."""
    spec = MatMulSpec(40, 64, 64)
    kernels = [emit(spec), emit(spec, "k01_matmul", aligned=())]
    assert kernels[0].source.count("tg_copy<16>(") == 2
    assert kernels[1].source.count("tg_copy<4>(") == 2
    check(Shim(*kernels), kernels[1], spec, 0, TOLERANCE["float32"])


@needs_cxx
def test_not_a_number() -> None:
    """One operand's NaN spoils its row, and nothing else; tensor cores' roundings keep it."""
    spec = MatMulSpec(40, 64, 64)
    a, b, expected = operands(spec, 0)
    a[0, 7, 3] = np.nan
    for precision in PRECISIONS:
        kernel = emit(spec, precision=precision)
        found = Shim(kernel).run(kernel, 0, [a, b], np.zeros(expected.shape, np.float32))
        assert np.isnan(found[0, 7]).all(), precision
        assert np.isfinite(np.delete(found[0], 7, axis=0)).all(), precision


@needs_nvcc
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_ptxas_spills_no_registers(precision: str, arch: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernels = []
    for tile in tiles.TILES if precision == "float32" else tiles.TENSOR_TILES:
        only(monkeypatch, tile)
        for spec in (MatMulSpec(1024, 1024, 512), MatMulSpec(N, 1000, 500, True, True)):
            kernels.append(emit(spec, f"k{len(kernels):02d}_matmul", precision))
    count, spilled = spills(cuda_file(*kernels), arch, tmp_path)
    assert count == sum(len(kernel.launches) for kernel in kernels)
    assert spilled == []


@pytest.mark.parametrize("shape", SHAPES)
def test_grids_are_possible_for_every_batch_size(shape: str) -> None:
    for spec in transposes(SHAPES[shape]):
        for launch in emit(spec).launches:
            x, y, z = launch.blocks(10**7)
            assert x < 2**31, launch
            assert max(y, z) < 2**16, launch


@needs_cxx
def test_many_columns() -> None:
    """More blocks across than a grid has along y."""
    spec = MatMulSpec(2, N, 3)
    kernel = emit(spec)
    check(Shim(kernel), kernel, spec, 600_000, TOLERANCE["float32"], ("backward",))


def test_sums_of_n_squared_elements_are_not_shared_out() -> None:
    """Their scratch memory would be no multiple of N."""
    assert matmul.scratch(MatMulSpec(N, N, 5000)).is_empty
    assert not matmul.scratch(MatMulSpec(N, 64, 5000)).is_empty
