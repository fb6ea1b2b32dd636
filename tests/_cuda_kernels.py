"""Runs emitted CUDA kernels through the host shim on NumPy arrays, and compiles them with nvcc."""

from __future__ import annotations

import os
import re
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from tfgraph.runtime.cuda.images import built, find_nvcc, find_nvrtc
from tfgraph.runtime.cuda.shim_driver import ShimDriver, ShimModule

PRELUDE = r"""
#ifdef __CUDACC_RTC__
typedef int int32_t;
typedef long int64_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long uint64_t;
typedef unsigned long uintptr_t;
#else
#include <stdint.h>
#endif
struct tg_step { int64_t N; char *scratch; char **pointers; };
"""

needs_cxx = pytest.mark.skipif(
    not (os.environ.get("CXX") or any(map(shutil.which, ("c++", "g++", "clang++")))),
    reason="the host shim needs a C++ compiler: apt install g++",
)
needs_nvcc = pytest.mark.skipif(
    (find_nvcc() is None and find_nvrtc() is None) or bool(os.environ.get("TFGRAPH_FAKE_CUDA")),  # its nvcc is no compiler
    reason="needs a compiler for CUDA: pip install nvidia-cuda-nvrtc, or the CUDA toolkit's nvcc",
)


def cuda_file(*kernels: Any) -> str:
    """Emitted kernels as one file."""
    shared = {item.name: item.source for kernel in kernels for item in kernel.shared}
    return "\n".join((PRELUDE, *shared.values(), *(kernel.source for kernel in kernels)))


class Shim:
    """Kernels in a module of the shim. `checks`: look for races and for accesses outside of memory."""

    def __init__(self, *kernels: Any, checks: bool = False) -> None:
        self.driver = ShimDriver()
        with mock.patch.dict(os.environ, TFGRAPH_SHIM_CHECK=str(int(checks))):
            self.module: ShimModule = self.driver.load(self.driver.image(cuda_file(*kernels), "sm_80"))

    def run(
        self, kernel: Any, batch: int, operands: Sequence[np.ndarray], result: np.ndarray, order: str = "forward"
    ) -> np.ndarray:
        """What the launches of `kernel` make of `result`, in memory of exactly the arrays' sizes; scratch is NaN before."""
        driver = self.driver
        memory = [driver.allocate(array.nbytes) for array in (*operands, result)]
        for place, array in zip(memory, (*operands, result), strict=True):
            driver.copy_in(place.address, np.ascontiguousarray(array))
        addresses = np.array([place.address for place in memory], np.uint64)
        table = driver.allocate(addresses.nbytes)
        driver.copy_in(table.address, addresses)
        scratch = driver.allocate(kernel.scratch.per_batch_bytes * batch + kernel.scratch.fixed_bytes)
        step = struct.pack("qQQ", batch, scratch.address, table.address)
        with mock.patch.dict(os.environ, TFGRAPH_SHIM_ORDER=order):
            for launch in kernel.launches:
                function = self.module.function(launch.function)
                driver.launch(function, launch.blocks(batch), launch.threads, launch.shared, step)
        made = np.empty_like(result)
        driver.copy_out(made, memory[-1].address)
        for place in (*memory, table, scratch):
            place.free()
        return made


def ptxas_report(text: str, arch: str, folder: Path) -> str:
    """What the compilers say of a file, nvcc or NVRTC: registers, stack and spills of each kernel, and any warnings."""
    cubin, said = built(text, arch, folder, report=True)
    assert cubin.stat().st_size > 100
    return said


def spills(text: str, arch: str, folder: Path) -> tuple[int, list[str]]:
    """How many kernels a file has, and those that put registers into memory."""
    said = ptxas_report(text, arch, folder)
    found = re.findall(r"Function properties for (\w+)\n\D*(\d+) bytes stack frame, (\d+) bytes spill stores", said)
    return len(found), [name for name, stack, spilled in found if (stack, spilled) != ("0", "0")]
