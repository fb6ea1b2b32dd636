"""The CUDA of convolutions and their gradients, run through the host shim, against sums over taps in NumPy, float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests._cuda_kernels import Shim, cuda_file, needs_cxx, needs_nvcc, spills
from tests._kernels import C_TYPES, prologue
from tests.test_cuda_matmul import EVERY_TILE, only, tile_name
from tests.test_kernels_conv2d import CASES, DIRECTIONS, OPERANDS, arrays, convolution
from tfgraph.codegen.cuda import conv2d, tiles
from tfgraph.codegen.cuda.contraction import PRECISIONS, CudaEmitted
from tfgraph.codegen.emitted import PLAIN, Epilogue
from tfgraph.codegen.kinds.conv2d_window import Conv2DSpec

TOLERANCE = {"float32": 3e-6, "tf32": 3e-3, "bf16": 2e-2, "float64": 1e-13}  # of the largest result


def emit(
    spec: Conv2DSpec, name: str = "k00_conv2d", precision: str = "float32", epilogue: Epilogue = PLAIN,
    extra: tuple[str, ...] = (),
) -> CudaEmitted:  # fmt: skip
    *reads, result = OPERANDS[spec.direction]
    lines = prologue((*reads, *extra), result, C_TYPES[spec.dtype])
    return conv2d.emit(spec, name, lines, epilogue, "/* convolution */", precision)


def directions(case: Conv2DSpec) -> list[Conv2DSpec]:
    return [replace(case, direction=direction) for direction in DIRECTIONS]


def check(shim: Shim, kernel: CudaEmitted, spec: Conv2DSpec, batch: int, tolerance: float, orders: tuple[str, ...]) -> None:
    values, wanted = arrays(spec, batch)
    reads = [values[name] for name in OPERANDS[spec.direction][:-1]]
    found = [shim.run(kernel, batch, reads, np.zeros(wanted.shape, spec.dtype), order) for order in orders]
    assert all(np.array_equal(found[0], other) for other in found), "depends on the order of threads"
    np.testing.assert_allclose(found[0], wanted, rtol=0, atol=tolerance * np.abs(wanted).max(initial=1e-9))


@needs_cxx
@pytest.mark.parametrize("case", CASES)
def test_convolution(case: str) -> None:
    specs = directions(CASES[case])
    kernels = [emit(spec, f"k{i:02d}_conv2d") for i, spec in enumerate(specs)]
    shim = Shim(*kernels)
    for spec, kernel in zip(specs, kernels, strict=True):
        for batch in (0, 1, 3) if spec.in_h * spec.in_w < 1000 else (1,):
            check(shim, kernel, spec, batch, TOLERANCE["float32"], ("forward", "7"))


@needs_cxx
@pytest.mark.parametrize(("precision", "tile"), EVERY_TILE, ids=tile_name)
def test_every_tile_is_without_races(precision: str, tile: tiles.Tile, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, tile)
    cases = (convolution((6, 6, 8), (3, 3, 20)), convolution((7, 6, 3), (3, 3, 12), stride=(2, 2)))
    specs = [spec for case in cases for spec in directions(case)]
    kernels = [emit(spec, f"k{i:02d}_conv2d", precision) for i, spec in enumerate(specs)]
    shim = Shim(*kernels, checks=True)
    for spec, kernel in zip(specs, kernels, strict=True):
        check(shim, kernel, spec, 3, TOLERANCE[precision], ("5",))


@needs_cxx
def test_float64() -> None:
    specs = [replace(s, dtype="float64") for s in directions(convolution((7, 9, 4), (3, 2, 12), stride=(2, 1)))]
    kernels = [emit(spec, f"k{i:02d}_conv2d") for i, spec in enumerate(specs)]
    shim = Shim(*kernels)
    for spec, kernel in zip(specs, kernels, strict=True):
        check(shim, kernel, spec, 5, TOLERANCE["float64"], ("forward",))


@needs_cxx
@pytest.mark.parametrize("case", ["3x3", "stride 2", "one tap", "whole picture", "first layer"])
def test_epilogue(case: str) -> None:
    """`row` and `column` are those of the output as a matrix, in every direction and phase."""
    specs = directions(CASES[case])
    kernels = []
    for i, spec in enumerate(specs):
        columns = spec.in_c if spec.direction == "backprop_input" else spec.out_c
        place = f"row * {columns} + column"
        lines = (f"const float more = acc + bias[{place}];", f"bias[{place}] = -acc;")
        epilogue = Epilogue(lines, (f"{OPERANDS[spec.direction][2]}[{place}] = more;",))
        made = emit(spec, f"k{i:02d}_conv2d", epilogue=epilogue, extra=("bias",))
        writable = made.source.replace("const float *__restrict__ bias = (const", "float *bias = (")
        kernels.append(replace(made, source=writable))
    shim = Shim(*kernels, checks=True)
    for spec, kernel in zip(specs, kernels, strict=True):
        values, wanted = arrays(spec, 3)
        reads = [values[name] for name in OPERANDS[spec.direction][:-1]]
        bias = np.random.default_rng(5).standard_normal(wanted.shape).astype(np.float32)
        found = shim.run(kernel, 3, [*reads, bias], np.zeros(wanted.shape, np.float32))
        np.testing.assert_allclose(found, wanted + bias, rtol=0, atol=1e-5 * np.abs(wanted).max())


@needs_nvcc
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_ptxas_spills_no_registers(precision: str, arch: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cases = (convolution((32, 32, 64), (3, 3, 64)), convolution((32, 32, 3), (3, 3, 32), stride=(2, 2)))
    kernels = []
    for tile in (tiles.TILES if precision == "float32" else tiles.TENSOR_TILES)[:3]:
        only(monkeypatch, tile)
        for spec in (spec for case in cases for spec in directions(case)):
            kernels.append(emit(spec, f"k{len(kernels):02d}_conv2d", precision))
    count, spilled = spills(cuda_file(*kernels), arch, tmp_path)
    assert count == sum(len(kernel.launches) for kernel in kernels)
    assert spilled == []
