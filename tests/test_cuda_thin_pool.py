"""The CUDA of convolutions of few channels with a max pooling of their results, and of the gradient of filters that is known
window by window, through the host shim, against NumPy in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests._cuda_kernels import Shim, needs_cxx
from tests.test_kernels_column_sums import beside
from tests.test_kernels_conv2d import arrays, convolution
from tests.test_kernels_conv2d_pool import CASES as ALL
from tests.test_kernels_conv2d_pool import RELU, Pair, gradient_arrays, pair, pointers, values_at
from tests.test_kernels_pool import expected as pooled
from tests.test_kernels_pool import first_maxima
from tfgraph.codegen.cuda import conv2d, thin
from tfgraph.codegen.cuda.contraction import CudaEmitted
from tfgraph.codegen.emitted import PLAIN, Epilogue

ORDERS = ("forward", "7")
CASES = {
    **{name: ALL[name] for name in ("first layer", "odd sizes, SAME", "odd sizes, VALID", "one channel")},
    "several blocks": pair(convolution((34, 41, 2), (3, 3, 40)), (2, 2), (2, 2)),
    "stride 2": pair(convolution((23, 21, 3), (3, 3, 12), stride=(2, 2)), (2, 2), (2, 2)),
}


def forward(case: Pair, last: str, epilogue: Epilogue = PLAIN) -> CudaEmitted:
    """The kernel; the array that is looked at is the last one."""
    names = ("x", "w", "bias", *sorted(("y", "position"), key=lambda name: name == last))
    lines = pointers(*names, dtype="float32", written=("position", "y"))
    return conv2d.emit(case.conv, "k00_conv2d", lines, epilogue, "/* convolution */", pool=case.pool)


def gradient(case: Pair, epilogue: Epilogue = PLAIN) -> CudaEmitted:
    lines = pointers("x", "position", "dy", "dw", dtype="float32", written=("dw",))
    spec = replace(case.conv, direction="backprop_filter")
    return conv2d.emit(spec, "k00_conv2d", lines, epilogue, "/* gradient */", pool=case.pool)


def run(kernel: CudaEmitted, batch: int, operands: list[np.ndarray], result: np.ndarray) -> np.ndarray:
    shim = Shim(kernel, checks=True)
    first, second = (shim.run(kernel, batch, operands, result, order) for order in ORDERS)
    assert np.array_equal(first, second, equal_nan=True), "depends on the order of threads"
    return first


@needs_cxx
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_maxima_and_positions(name: str, relu: bool) -> None:
    case = CASES[name]
    assert thin.takes_pool(case.conv, case.pool)
    values, results = arrays(case.conv, 3)
    bias = np.linspace(-2, 2, case.conv.out_c).astype(np.float32)
    epilogue = PLAIN
    if relu:
        results, epilogue = np.maximum(results + bias, 0), Epilogue(RELU, (), "v2")
    shape = (3, case.pool.out_h, case.pool.out_w, case.pool.channels)
    wanted, _ = pooled(case.pool, results, np.zeros(shape))
    y, position = np.full(shape, 3, np.float32), np.full(shape, 255, np.uint8)
    operands, close = [values["x"], values["w"], bias], 4e-6 * np.abs(results).max()
    found = run(forward(case, "y", epilogue), 3, [*operands, position], y)
    places = run(forward(case, "position", epilogue), 3, [*operands, y], position)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=close)
    assert (places != first_maxima(case.pool, results)).mean() <= 0.01
    np.testing.assert_allclose(values_at(case.pool, results, places), wanted, rtol=0, atol=2 * close)


@needs_cxx
@pytest.mark.parametrize("name", CASES)
def test_gradients_of_filters_and_their_sums(name: str) -> None:
    case = CASES[name]
    products = case.conv.filter_h * case.conv.filter_w * case.conv.in_c * case.conv.out_c
    for batch in (0, 1, 5):
        operands, wanted = gradient_arrays(case, batch, "backprop_filter")
        sums = operands[2].astype(np.float64).reshape(-1, case.conv.out_c).sum(0)
        result = np.full(products + case.conv.out_c, 3, np.float32)
        found = run(gradient(case, beside("dw", products, case.conv.out_c)), batch, operands, result)
        scale = max(1.0, np.abs(wanted).max(initial=0), np.abs(sums).max(initial=0))
        np.testing.assert_allclose(found, [*wanted.ravel(), *sums], rtol=0, atol=4e-6 * scale)


@needs_cxx
def test_not_a_number_is_the_largest() -> None:
    case = CASES["first layer"]
    values, results = arrays(case.conv, 1)
    x = values["x"].copy()
    x[0, 5, 6] = np.nan
    shape = (1, case.pool.out_h, case.pool.out_w, case.pool.channels)
    bias, position = np.zeros(case.conv.out_c, np.float32), np.full(shape, 255, np.uint8)
    found = run(forward(case, "y"), 1, [x, values["w"], bias, position], np.zeros(shape, np.float32))
    results[0, 3:6, 4:7] = np.nan  # the pixels that see it
    wanted = results.reshape(1, case.pool.out_h, 2, case.pool.out_w, 2, -1).max((2, 4))
    assert np.array_equal(np.isnan(found), np.isnan(wanted))


def test_other_windows_have_kernels_of_their_own() -> None:
    first = CASES["first layer"]
    others = ("padding in front", "places left out", "2x2")  # the last one has five channels
    assert not any(thin.takes_pool(ALL[name].conv, ALL[name].pool) for name in others)
    assert not thin.takes_pool(replace(first.conv, dtype="float64"), first.pool)
