"""The CUDA of convolutions of 1 to 4 channels, through the host shim, against sums over taps in NumPy, float64.

The cases that other kernels have, too, are in test_cuda_conv2d.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests._cuda_kernels import Shim, cuda_file, needs_cxx, needs_nvcc, spills
from tests.test_cuda_conv2d import check, emit
from tests.test_kernels_conv2d import OPERANDS, arrays, convolution
from tfgraph.codegen.cuda import thin
from tfgraph.codegen.cuda.thin import ThinPlan
from tfgraph.shapes import Batch

CASES = {
    "one channel": convolution((12, 12, 1), (5, 5, 32)),
    "three channels, several blocks": convolution((40, 70, 3), (3, 3, 32)),
    "four channels": convolution((9, 33, 4), (3, 3, 16), "VALID"),
    "two blocks of output channels": convolution((10, 9, 2), (3, 3, 50)),
    "strides": convolution((31, 30, 3), (7, 7, 8), stride=(2, 2)),
    "dilations": convolution((17, 19, 3), (2, 3, 24), dilation=(2, 3)),
    "one output channel": convolution((11, 6, 2), (3, 2, 1)),
    "a row": convolution((1, 50, 1), (1, 9, 6)),
    "a column": convolution((50, 1, 1), (9, 1, 6)),
    "filter larger than picture": convolution((3, 4, 2), (5, 6, 5)),
}
DIRECTIONS = ("forward", "backprop_filter")


@needs_cxx
@pytest.mark.parametrize("case", CASES)
def test_convolution(case: str) -> None:
    specs = [replace(CASES[case], direction=direction) for direction in DIRECTIONS]
    specs = [spec for spec in specs if thin.suits(spec)]
    assert specs
    kernels = [emit(spec, f"k{i:02d}_conv2d") for i, spec in enumerate(specs)]
    assert all(kernel.method.startswith("few channels") for kernel in kernels)
    shim = Shim(*kernels, checks=True)
    for spec, kernel in zip(specs, kernels, strict=True):
        for batch in (0, 1, 5):
            check(shim, kernel, spec, batch, 3e-6, ("forward", "backward", "7"))


@needs_cxx
def test_more_pictures_than_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of a filter's gradient goes through several parts of pictures, and `images` may be a number."""
    monkeypatch.setattr(thin, "MOST_SHARES", 3)
    monkeypatch.setattr(ThinPlan, "most_shares", 3)
    for images in (7, Batch(2)):
        spec = replace(CASES["one channel"], direction="backprop_filter", images=images)
        kernel = emit(spec)
        assert kernel.launches[0].blocks(4)[0] == 3
        check(Shim(kernel, checks=True), kernel, spec, 4, 3e-6, ("forward", "7"))


@needs_cxx
def test_not_a_number_stays_where_it_is() -> None:
    """A strip's pixels behind the end of a row see numbers of the picture that no output sees: they count for nothing."""
    spec = replace(convolution((5, 20, 1), (3, 3, 8), "VALID"), out_w=13, direction="backprop_filter")
    values, wanted = arrays(spec, 2)
    x = values["x"].copy()
    x[:, :, 15:] = np.nan  # behind what the last of 13 pixels sees
    kernel = emit(spec)
    found = Shim(kernel).run(kernel, 2, [x, values["dy"]], np.zeros(wanted.shape, np.float32))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
    dy = values["dy"].copy()
    dy[0, 0, 0, 3] = np.nan
    found = Shim(kernel).run(kernel, 2, [values["x"], dy], np.zeros(wanted.shape, np.float32))
    assert np.isnan(found[..., 3]).all()
    assert np.isfinite(np.delete(found, 3, axis=-1)).all()


def test_which_convolutions_are_made_so() -> None:
    first = convolution((32, 32, 3), (3, 3, 32))
    for precision in ("float32", "tf32"):
        assert all(thin.suits(replace(first, direction=direction), precision) for direction in DIRECTIONS)
    others = {
        "the gradient of the picture": replace(first, direction="backprop_input"),
        "five channels": convolution((32, 32, 5), (3, 3, 32)),
        "float64": replace(first, dtype="float64"),
        "a product": convolution((32, 32, 3), (1, 1, 32)),
        "a large filter": convolution((32, 32, 3), (9, 9, 32)),
        "more sums than registers": replace(convolution((32, 32, 3), (7, 7, 32)), direction="backprop_filter"),
        "rows that a thread cannot hold": convolution((64, 64, 4), (3, 3, 32), stride=(5, 5)),
    }  # fmt: skip
    assert [name for name, spec in others.items() if thin.suits(spec)] == []
    assert not thin.suits(convolution((32, 32, 3), (5, 5, 32)), "tf32")  # tensor cores are faster


@needs_nvcc
@pytest.mark.parametrize("arch", ["sm_75", "sm_80", "sm_90"])
def test_ptxas_spills_no_registers(arch: str, tmp_path: Path) -> None:
    """The largest filters that are made so among them."""
    cases = (*CASES.values(), convolution((32, 32, 4), (4, 5, 32)), convolution((32, 32, 3), (7, 7, 64), stride=(2, 2)))
    specs = [replace(case, direction=direction) for case in cases for direction in DIRECTIONS]
    kernels = [emit(spec, f"k{i:02d}_conv2d") for i, spec in enumerate(specs) if thin.suits(spec)]
    count, spilled = spills(cuda_file(*kernels), arch, tmp_path)
    assert count == sum(len(kernel.launches) for kernel in kernels)
    assert spilled == []


@pytest.mark.parametrize("case", CASES)
def test_strips_cover_the_output(case: str) -> None:
    plan = ThinPlan(CASES[case], "k00")
    assert plan.tiles_across * plan.strips.width >= plan.out_w
    assert plan.tiles_down * plan.strips.height >= plan.out_h
    assert plan.pitch % 4 == 0
    assert (plan.memory + plan.deep * plan.lanes) * 4 <= 48 << 10
    assert OPERANDS[plan.direction] == ("x", "w", "y")
