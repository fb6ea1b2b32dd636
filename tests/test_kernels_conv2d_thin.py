"""Convolutions from and to 1 to 4 channels: when they have kernels of their own, on every target, stores past the caches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests._kernels import FOUR_THREADS, Compiled, sanitizer_report
from tests.test_kernels_conv2d import CASES, DIRECTIONS, OPERANDS, arrays, check, convolution, emitted
from tests.test_kernels_conv2d_pool import CASES as POOLED
from tests.test_kernels_conv2d_pool import RELU, check_forward, forward, gradient
from tests.test_kernels_conv2d_pool import check as check_pooled
from tests.test_kernels_pool import expected as pooled
from tfgraph.codegen.emitted import Epilogue
from tfgraph.codegen.kinds import past_caches
from tfgraph.codegen.target import TARGETS

THIN = tuple(name for name in CASES if name.startswith("thin"))
THIN_POOLED = tuple(name for name in POOLED if name.startswith("thin"))
NARROW = tuple(name for name in CASES if name.startswith("narrow"))
WHOLE = tuple(name for name, target in TARGETS.items() if target.vector_bytes >= 16)


@pytest.fixture(autouse=True)
def direct_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", "direct")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("direction", ["forward", "backprop_filter"])
def test_few_channels_have_kernels_of_their_own(direction: str, channels: int) -> None:
    spec = replace(convolution((20, 24, channels), (3, 3, 32)), direction=direction)
    assert emitted(spec, "avx512").method.startswith("thin")


@pytest.mark.parametrize("direction", ["forward", "backprop_filter"])
def test_others_do_not(direction: str) -> None:
    five, narrow = convolution((20, 24, 5), (3, 3, 32)), convolution((20, 5, 3), (3, 3, 32))
    for spec in (five, narrow):
        assert emitted(replace(spec, direction=direction), "avx512").method.startswith("direct")


@pytest.mark.parametrize("target", WHOLE)
@pytest.mark.parametrize("direction", ["forward", "backprop_filter"])
@pytest.mark.parametrize("name", ["thin", "thin, stride 2", "thin, dilated"])
def test_every_target(name: str, direction: str, target: str, tmp_path: Path) -> None:
    spec = replace(CASES[name], direction=direction)
    check(spec, Compiled(emitted(spec, target), tmp_path), 3)


@pytest.mark.parametrize("target", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("name", NARROW)
def test_few_results(name: str, target: str, tmp_path: Path) -> None:
    kernel = emitted(CASES[name], target)
    fills_half = 8 * CASES[name].out_c > TARGETS[target].vector_bytes
    assert kernel.method.startswith("direct" if fills_half else "narrow")
    check(CASES[name], Compiled(kernel, tmp_path), 3)


@pytest.mark.parametrize("target", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("name", ["thin", "thin, stride 2", "thin, dilated"])
def test_gradients_of_few_channels(name: str, target: str, tmp_path: Path) -> None:
    spec = replace(CASES[name], direction="backprop_input")
    kernel = emitted(spec, target)
    fills_half = 8 * spec.in_c > TARGETS[target].vector_bytes
    assert kernel.method.startswith("direct" if fills_half else "narrow")
    check(spec, Compiled(kernel, tmp_path), 3)


@pytest.mark.parametrize("channels", [64, 128])
def test_many_filters_are_left_to_winograds_method(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """5 x 5 taps from 128 channels take 15 ms as sums along the channels, 13 by Winograd's method."""
    monkeypatch.setenv("TFGRAPH_CONV", "auto")
    method = emitted(convolution((64, 64, channels), (5, 5, 3)), "avx512").method
    assert method.startswith("narrow" if channels == 64 else "Winograd")


@pytest.mark.parametrize("target", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("name", THIN_POOLED)
def test_windows_of_sums_in_registers(name: str, target: str, tmp_path: Path) -> None:
    """Small windows of whole vectors of channels; rows of sums for the others. Both with bias, ReLU and NaNs."""
    in_registers = {"avx512": 64, "avx2": 32}.get(target, 0)
    conv, pool = POOLED[name].conv, POOLED[name].pool
    vectors = in_registers and min(-(-conv.out_c * 4 // in_registers), 8 // (pool.window_h * pool.window_w))
    few_taps = conv.filter_h * conv.filter_w * conv.in_c <= 27
    kernel = forward(POOLED[name], Epilogue(RELU, (), "v2"), target)
    whole = vectors and few_taps and conv.out_c * 4 % (vectors * in_registers) == 0
    assert ("sums in registers" in kernel.method) == bool(whole)
    check_forward(POOLED[name], Compiled(kernel, tmp_path), 3, relu=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_filter_that_is_no_number(value: float, tmp_path: Path) -> None:
    """All sums of one channel: the rows are done again, and the other channels stay as they are."""
    case = POOLED["thin"]
    values, results = arrays(case.conv, 2)
    values["w"][0, 0, 0, 5] = value
    bias = np.zeros(case.conv.out_c, np.float32)
    position = np.full((2, case.pool.out_h, case.pool.out_w, case.pool.channels), 255, np.uint8)
    kernel = Compiled(forward(case), tmp_path)
    found = kernel.run(2, [values["x"], values["w"], bias, position], np.zeros(position.shape, np.float32))
    broken = np.arange(case.conv.out_c) == 5
    with np.errstate(invalid="ignore"):
        patches = values["x"][:, : case.conv.out_h, : case.conv.out_w, 0] * np.float32(value)
    nans, _ = pooled(case.pool, np.repeat(patches[..., None], 32, 3), np.zeros(position.shape))
    np.testing.assert_array_equal(np.isnan(found[..., broken]), np.isnan(nans[..., broken]))
    wanted, _ = pooled(case.pool, results, np.zeros(position.shape))
    np.testing.assert_allclose(found[..., ~broken], wanted[..., ~broken], rtol=0, atol=4e-6 * np.abs(results).max())
    np.testing.assert_array_equal(position < 4, True)


@pytest.mark.parametrize("target", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_pooled_on_targets(direction: str, target: str, tmp_path: Path) -> None:
    check_pooled(POOLED["thin, with edges"], direction, tmp_path, (3,), target)


@pytest.mark.parametrize("direction", ["forward", "backprop_filter"])
def test_float64(direction: str, tmp_path: Path) -> None:
    spec = replace(CASES["thin"], direction=direction, dtype="float64", images=5)
    check(spec, Compiled(emitted(spec), tmp_path), 0)
    conv, pool = (replace(part, dtype="float64", images=3) for part in (POOLED["thin"].conv, POOLED["thin"].pool))
    (tmp_path / "pooled").mkdir()
    check_pooled(replace(POOLED["thin"], conv=conv, pool=pool), direction, tmp_path / "pooled", (0,))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", [*THIN, *NARROW])
def test_memory(name: str, direction: str, tmp_path: Path) -> None:
    spec = replace(CASES[name], direction=direction)
    values, wanted = arrays(spec, 3)
    sizes = [*(values[operand].nbytes for operand in OPERANDS[direction][:-1]), 4 * wanted.size]
    assert sanitizer_report(emitted(spec), 3, sizes, tmp_path) == ""


@pytest.mark.parametrize("name", THIN_POOLED)
def test_memory_of_pooled_gradients(name: str, tmp_path: Path) -> None:
    case = POOLED[name]
    pooled = 3 * case.pool.out_h * case.pool.out_w * case.pool.channels
    x = 4 * 3 * case.conv.in_h * case.conv.in_w * case.conv.in_c
    dw = 4 * case.conv.filter_h * case.conv.filter_w * case.conv.in_c * case.conv.out_c
    assert sanitizer_report(gradient(case, "backprop_filter"), 3, [x, pooled, 4 * pooled, dw], tmp_path) == ""


def aligned(shape: tuple[int, ...], offset: int = 0) -> np.ndarray:
    """Elements of 3 that begin `offset` floats behind a multiple of 64 bytes."""
    size = int(np.prod(shape))
    memory = np.full(size + 32, 3, np.float32)
    first = -memory.ctypes.data // 4 % 16 + offset
    return memory[first : first + size].reshape(shape)


@pytest.mark.parametrize("target", ["avx512", "avx2", "sse2"])
@pytest.mark.parametrize("offset", [0, 1], ids=["aligned", "unaligned"])
def test_rows_past_the_caches(offset: int, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the results were larger than the caches, with ReLU behind a bias."""
    monkeypatch.setattr(past_caches, "CACHE_BYTES", 0)
    spec = CASES["thin"]
    values, sums = arrays(spec, 5)
    bias = np.linspace(-1, 1, spec.out_c).astype(np.float32)
    kernel = Compiled(emitted(spec, target, Epilogue(RELU, ("y[row * 32 + column] = v2;",)), ("bias",)), tmp_path)
    y = aligned(sums.shape, offset)
    found = kernel.run(5, [values["x"], values["w"], bias], y, FOUR_THREADS)
    np.testing.assert_allclose(found, np.maximum(sums + bias, 0), rtol=0, atol=4e-6 * np.abs(sums).max())


@pytest.mark.parametrize("target", ["avx512", "avx2", "sse2"])
def test_plain_results_past_the_caches(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_caches, "CACHE_BYTES", 0)
    kernel = emitted(CASES["thin"], target)
    assert ("tg_stores_done" in kernel.source) == (target != "sse2")
    check(CASES["thin"], Compiled(kernel, tmp_path), 3)


@pytest.mark.parametrize("name", THIN_POOLED)
def test_maxima_past_the_caches(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_caches, "CACHE_BYTES", 0)
    check_forward(POOLED[name], Compiled(forward(POOLED[name], Epilogue(RELU, (), "v2")), tmp_path), 3, relu=True)


def test_results_that_the_caches_hold_stay_in_them() -> None:
    text = emitted(CASES["thin"], "avx512", Epilogue((), ("y[row * 32 + column] = acc;",))).source
    assert f"N * {9 * 40 * 32 * 4} > {past_caches.CACHE_BYTES}" in text


def test_only_the_one_store_of_floats_is_kept_back() -> None:
    lines = ("float *restrict y = (float *)(s->y);", "uint8_t *restrict mask = s->mask;")
    store, other = "y[row * 8 + column] = v1;", "mask[row * 8 + column] = m1;"
    changed, pointer = past_caches.kept_rows(Epilogue((store, "keep(v1);")), lines, "float", 8, "kept[c]")
    assert (changed.lines, pointer) == (("kept[c] = v1;", "keep(v1);"), "y")
    for stores in ((), (other,), (store, store), ("y[row * 9 + column] = v1;",)):
        epilogue = Epilogue(stores=stores)
        assert past_caches.kept_rows(epilogue, lines, "float", 8, "kept[c]") == (epilogue, "")
