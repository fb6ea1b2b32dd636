"""The op cases as CUDA kernels, on the host shim: every row of tests/cases against its oracle."""

from __future__ import annotations

import pytest

from tests._cuda import on_cuda
from tests._cuda_kernels import needs_cxx
from tests.test_ops import AREAS, _run_area
from tfgraph.runtime.cuda import shim_build

pytestmark = needs_cxx

# the tiles of convolutions take the host's compiler long: two sizes have to do
SIZES = [(7, "float32"), (9, "float64"), (0, "float32"), (33, "float32")]
LONG = ("convolutions", "pools")
RUNS = [(area, size, dtype) for area in AREAS for size, dtype in SIZES[: 2 if area in LONG else None]]


@pytest.mark.parametrize(("area", "size", "dtype"), RUNS)
def test_cuda(area: str, size: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows of an area are one program, which the shim's compiler need not optimise."""
    monkeypatch.setattr(shim_build, "KERNEL_OPTIONS", tuple(o.replace("-O2", "-O1") for o in shim_build.KERNEL_OPTIONS))
    wrong = _run_area(AREAS[area], size, dtype, on_cuda)
    assert not wrong, "\n".join(wrong)
