"""The driver of tests/fake_driver in this process, once it is loaded in place of NVIDIA's: `make test-pycuda` does that."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

IS_LOADED = importlib.util.find_spec("pycuda") is not None and bool(os.environ.get("TFGRAPH_FAKE_CUDA"))

needs_fake_cuda = pytest.mark.skipif(not IS_LOADED, reason="needs PyCUDA and the tests' own driver: make test-pycuda")

OUT_OF_MEMORY, ILLEGAL_ADDRESS, UNKNOWN = 2, 700, 999  # CUresult's
THINGS = ("memory", "pinned", "streams", "events", "modules", "graphs", "executables", "stack")


@cache
def library() -> Any:
    """The driver. It is an error if it is NVIDIA's."""
    found = ctypes.CDLL("libcuda.so.1")
    found.fake_cuda_count.restype = ctypes.c_long
    found.fake_cuda_limit.argtypes = [ctypes.c_int, ctypes.c_size_t]
    return found


def count(what: str) -> int:
    """How many of these there are in the driver now, or have happened."""
    number: int = library().fake_cuda_count(what.encode())
    return number


def things() -> dict[str, int]:
    """What the process has of the driver, apart from its contexts."""
    gc.collect()
    return {what: count(what) for what in THINGS}


def fail(function: str, status: int, after: int = 0) -> None:
    """Let the call of a driver's function fail that comes after so many others."""
    library().fake_cuda_fail(function.encode(), after, status)


def run_script(text: str, **environment: str) -> str:
    """What a Python program prints; it is an error if it fails, or writes anything to stderr."""
    command = [sys.executable, "-c", text]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout
