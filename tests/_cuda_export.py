"""Libraries exported for CUDA, with the host as the device: the same MODEL.cu through the host's C++ compiler."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tests._export_library import Library
from tfgraph.runtime.cuda import shim_build
from tfgraph.runtime.toolchain import compiler_of, find_compiler, target_options

CXX = next((name for name in (os.environ.get("CXX", ""), "g++", "c++", "clang++") if name and shutil.which(name)), None)
NVCC = shutil.which("nvcc")


class Device(ctypes.Structure):
    """`tg_shim_device` of runtime/cuda/shim/cuda_runtime.h."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in ("memory", "used", "devices", "fails", "copies_in", "copies_out", "launches", "graph_launches")
    )


def built(folder: Path, *options: str) -> Library:
    """The library of an exported folder for the host."""
    build(folder, *options)
    library = Library(folder)
    library.function("device_error").restype = ctypes.c_char_p
    return library


def build(folder: Path, *options: str) -> None:
    """Compile the `.so` of an exported folder for the host, beside the text."""
    assert CXX is not None
    compiler = compiler_of(CXX)
    assert compiler is not None
    (record,) = folder.glob("*.json")
    prefix = record.stem
    kernels = [*shim_build.KERNEL_OPTIONS, f"-I{shim_build.FOLDER}", *target_options(compiler), *options]
    output = folder / f"lib{prefix}.so"
    _run([*compiler.command, *kernels, "-o", str(output), f"{prefix}.cu", "-x", "none", *map(str, _runtime())], folder)


@functools.cache
def _runtime() -> tuple[Path, ...]:
    """The shim's own runtime as object files, compiled once for all tests of a process."""
    compiler = find_compiler()
    assert compiler is not None
    folder = Path(_KEPT.name)
    options = [o for o in shim_build.RUNTIME_OPTIONS if o != "-shared"]
    found = []
    for name in shim_build.RUNTIME_SOURCES:
        found.append(folder / f"{name}.o")
        _run([*compiler.command, *options, "-c", "-o", str(found[-1]), str(shim_build.FOLDER / name)], folder)
    return tuple(found)


_KEPT = tempfile.TemporaryDirectory(prefix="tfgraph-shim-")  # until the tests end


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stderr[-4000:]}"


def device(library: Library) -> Device:
    """The device of a library, to look at and to change."""
    return Device.in_dll(library.c, "tg_shim_device")


class DeviceArray:
    """An array in the memory of a library's device, `offset` bytes behind a place that is aligned for anything."""

    def __init__(self, library: Library, array: np.ndarray, offset: int = 0) -> None:
        self._library = library
        self.array = np.ascontiguousarray(array)
        allocate = library.c.tg_shim_allocate
        allocate.argtypes, allocate.restype = [ctypes.c_size_t], ctypes.c_void_p
        self._memory = allocate(self.array.nbytes + offset)
        self.address = ctypes.c_void_p(self._memory + offset)
        ctypes.memmove(self.address, self.array.ctypes.data, self.array.nbytes)

    def value(self) -> np.ndarray:
        """What is there now."""
        found = np.empty_like(self.array)
        ctypes.memmove(found.ctypes.data, self.address, found.nbytes)
        return found

    def free(self) -> None:
        self._library.c.tg_shim_free(ctypes.c_void_p(self._memory))
