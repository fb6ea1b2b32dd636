"""Copies to shared memory that go on while threads work: in the host shim they arrive when they are waited for."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests._cuda_kernels import Shim, cuda_file, needs_cxx, needs_nvcc
from tests.test_cuda_conv2d import emit as conv2d
from tests.test_cuda_matmul import emit as matmul
from tests.test_cuda_shim import NUMBERS, run
from tests.test_kernels_conv2d import convolution
from tests.test_kernels_matmul import operands
from tfgraph.codegen.cuda.contraction import copy_functions
from tfgraph.codegen.kinds.matmul import MatMulSpec
from tfgraph.errors import InternalError

ARRIVE = "tg_copies_end(); tg_copies_wait<0>();"


def made(body: str, x: np.ndarray = NUMBERS) -> np.ndarray:
    (functions,) = copy_functions()
    head = 'struct step { float *x; float *y; long long n; };\nextern "C" __global__ void k(const step s)'
    names = "__shared__ __align__(16) float t[128];\nconst int i = threadIdx.x;"
    return run(f"{functions.source}\n{head}\n{{\n{names}\n{body}\n}}\n", x)


@needs_cxx
def test_a_copy_is_there_after_waiting() -> None:
    body = f"tg_copy<4>(t + i, s.x + i, i % 2); {ARRIVE} __syncthreads(); s.y[i] = t[63 - i];"
    assert np.array_equal(made(body), np.where(NUMBERS % 2, NUMBERS, 0)[::-1])


@needs_cxx
def test_vectors() -> None:
    body = f"if (i < 16) tg_copy<16>(t + i * 4, s.x + i * 4, i != 3); {ARRIVE} __syncthreads(); s.y[i] = t[i];"
    assert np.array_equal(made(body), np.where(NUMBERS // 4 == 3, 0, NUMBERS))


@needs_cxx
def test_groups_arrive_in_order() -> None:
    """The last group may still be on its way; its place holds nothing of use."""
    body = """
        t[i + 64] = 5;
        tg_copy<4>(t + i, s.x + i, true);
        tg_copies_end();
        tg_copy<4>(t + 64 + i, s.x + i, true);
        tg_copies_end();
        tg_copies_wait<1>();
        s.y[i] = i < 32 ? t[i] : t[i + 64];
        tg_copies_wait<0>();
        if (i >= 48)
            s.y[i] = t[i + 64];"""
    found = made(body)
    assert np.array_equal(found[:32], NUMBERS[:32])
    assert np.isnan(found[32:48]).all()
    assert np.array_equal(found[48:], NUMBERS[48:])


WRONG = {
    "another thread's copy without a barrier": (f"tg_copy<4>(t + i, s.x + i, true); {ARRIVE} s.y[i] = t[63 - i];", "race"),
    "what others still read is copied over": (
        f"t[i] = 1; __syncthreads(); s.y[i] = t[63 - i]; tg_copy<4>(t + i, s.x + i, true); {ARRIVE}", "race"
    ),
    "nobody waits": ("tg_copy<4>(t + i, s.x + i, true); tg_copies_end();", "on the way"),
    "not to shared memory": (f"tg_copy<4>(s.y + i, s.x + i, true); {ARRIVE}", "not in shared memory"),
    "between multiples": (f"if (i < 8) tg_copy<16>(t + i * 4, s.x + i, true); {ARRIVE}", "multiples"),
    "from outside of memory": (f"tg_copy<4>(t + i, s.x + i + 1, true); {ARRIVE}", "memory"),
}  # fmt: skip


@needs_cxx
@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_found(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_SHIM_CHECK", "1")
    body, said = WRONG[case]
    with pytest.raises(InternalError, match=said):
        made(body)


@needs_cxx
def test_a_product_that_waits_too_late_makes_no_numbers() -> None:
    """The oracle sees a wait that leaves one group more on its way."""
    spec = MatMulSpec(40, 64, 64)
    kernel = matmul(spec)
    a, b, expected = operands(spec, 0)
    source = kernel.source.replace("tg_copies_wait<1>", "tg_copies_wait<2>")
    assert source != kernel.source
    late = replace(kernel, source=source.replace("// the sums by rows", "tg_copies_wait<0>(); // the sums by rows"))
    found = Shim(late).run(late, 0, [a, b], np.zeros(expected.shape, np.float32))
    assert np.isnan(found).any()


@needs_nvcc
def test_before_compute_capability_8(tmp_path: Path) -> None:
    """There copies are loads and stores, tensor cores of tf32 and bfloat16 are refused with a reason."""
    specs = MatMulSpec(64, 64, 64), convolution((8, 8, 8), (3, 3, 16))
    for precision, taken in (("float32", True), ("tf32", False)):
        kernels = matmul(specs[0], "k00_matmul", precision), conv2d(specs[1], "k01_conv2d", precision)
        (tmp_path / "step.cu").write_text(cuda_file(*kernels))
        command = ["nvcc", "-cubin", "-arch=sm_75", "-o", "step.cubin", "step.cu"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode == 0) == taken, done.stderr
        assert taken or "compute capability 8.0" in done.stderr
