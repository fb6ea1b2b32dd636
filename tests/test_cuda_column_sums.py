"""Sums of the columns of dy beside the gradient of weights on CUDA, through the host shim, against NumPy in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tfgraph as tf
from tests._cuda import on_cuda
from tests._cuda_kernels import Shim, needs_cxx
from tests._kernels import C_TYPES, batch_size, prologue
from tests.test_cuda_matmul import EVERY_TILE, only, tile_name
from tests.test_kernels_column_sums import CONVOLUTIONS, PRODUCTS, beside
from tests.test_kernels_conv2d import arrays
from tfgraph.codegen.cuda import conv2d, matmul, tiles
from tfgraph.codegen.cuda.contraction import CudaEmitted
from tfgraph.codegen.kinds.conv2d_window import Conv2DSpec
from tfgraph.codegen.kinds.matmul import MatMulSpec

TOLERANCE = {"float32": 3e-6, "tf32": 3e-3, "bf16": 2e-2, "float64": 1e-13}  # of the largest result


def product(spec: MatMulSpec, precision: str = "float32") -> CudaEmitted:
    lines = prologue(("a", "b"), "y", C_TYPES[spec.dtype])
    return matmul.emit(spec, "k00_matmul", lines, beside("y", spec.m * spec.n, spec.n), "/* product */", precision)


def filter_gradient(spec: Conv2DSpec, precision: str = "float32") -> CudaEmitted:
    products = spec.filter_h * spec.filter_w * spec.in_c * spec.out_c
    epilogue = beside("dw", products, spec.out_c)
    return conv2d.emit(spec, "k00_conv2d", prologue(("x", "dy"), "dw", "float"), epilogue, "/* gradient */", precision)


def check(
    kernel: CudaEmitted, batch: int, operands: list[np.ndarray], products: np.ndarray, tolerance: float = 3e-6
) -> None:
    """The sums stand behind the products; races, thread orders and accesses outside of memory are looked at, too."""
    columns = products.shape[-1]
    sums = operands[1].astype(np.float64).reshape(-1, columns).sum(0)
    wanted = np.concatenate([products.ravel(), sums])
    shim, result = Shim(kernel, checks=True), np.full(wanted.shape, 3, operands[0].dtype)
    found = [shim.run(kernel, batch, operands, result, order) for order in ("forward", "7")]
    assert np.array_equal(*found), "depends on the order of threads"
    scale = np.abs(wanted).max(initial=1)
    np.testing.assert_allclose(found[0][:-columns], wanted[:-columns], rtol=0, atol=tolerance * scale)
    np.testing.assert_allclose(found[0][-columns:], sums, rtol=0, atol=TOLERANCE["float32"] * scale)


def of_product(spec: MatMulSpec, batch: int) -> tuple[list[np.ndarray], np.ndarray]:
    depth, random = batch_size(spec.k, batch), np.random.default_rng(batch)
    a, b = (random.normal(size=(depth, n)).astype(spec.dtype) for n in (spec.m, spec.n))
    return [a, b], a.T.astype(np.float64) @ b.astype(np.float64)


@needs_cxx
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_of_products(name: str, dtype: str) -> None:
    spec = replace(PRODUCTS[name], dtype=dtype)
    check(product(spec), 33, *of_product(spec, 33))


@needs_cxx
@pytest.mark.parametrize("splits", [1, 4])
@pytest.mark.parametrize(("precision", "tile"), EVERY_TILE, ids=tile_name)
def test_of_products_with_every_tile(
    precision: str, tile: tiles.Tile, splits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In shares and without; float32's sums are not rounded to what the tensor cores take."""
    only(monkeypatch, tile)
    monkeypatch.setattr(tiles, "_splits", lambda *_: [splits])
    spec = MatMulSpec(40, 150, 300, transpose_a=True)
    kernel = product(spec, precision)
    assert len(kernel.launches) == (1 if splits == 1 else 2)
    check(kernel, 0, *of_product(spec, 0), TOLERANCE[precision])


@needs_cxx
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_of_convolutions(name: str) -> None:
    spec = replace(CONVOLUTIONS[name], direction="backprop_filter")
    for batch in (0, 1, 5):
        values, wanted = arrays(spec, batch)
        check(filter_gradient(spec), batch, [values["x"], values["dy"]], wanted)


@needs_cxx
def test_a_dense_layer_sums_them_beside_its_gradient() -> None:
    """One kernel makes both, and gives what the reference gives."""
    random = np.random.default_rng(0)
    with tf.Graph().as_default():
        x, dy = (tf.placeholder(tf.float32, [None, n]) for n in (5, 7))
        fetches = [tf.matmul(x, dy, transpose_a=True), tf.reduce_sum(dy, 0)]
        values = [random.normal(size=(33, n)).astype(np.float32) for n in (5, 7)]
        found = on_cuda(fetches, dict(zip((x, dy), values, strict=True)))
    np.testing.assert_allclose(found[0], values[0].T @ values[1], atol=1e-5)
    np.testing.assert_allclose(found[1], values[1].sum(0), atol=1e-5)
