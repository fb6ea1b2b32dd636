"""From CUDA text to a cubin for one architecture: nvcc, else NVRTC. Kept on disk like compiled C modules."""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from ...errors import InternalError, UnavailableError
from ..cache import key_of, module_cache

SUFFIX = ".cubin"
OPTIONS = ("-std=c++17",)
REPORT = ("-Xptxas", "-v")
QUIET = ("--diag-suppress=177",)  # a function of the prelude that this program does not call
SHOWN_LINES = 30  # of a failed compiler's output
HOW_TO_INSTALL = (
    "Install NVIDIA's CUDA toolkit (nvcc on PATH, or CUDA_HOME set) or `pip install nvidia-cuda-nvrtc`. "
    "TFGRAPH_CUDA=off runs graphs on the CPU."
)


def cubin(source: str, arch: str) -> Path:
    """The cubin of a CUDA text for an architecture such as sm_90, from the cache if it has been compiled before.

    UnavailableError: there is no compiler. InternalError: it does not take the text.
    """
    shelf = module_cache()
    key = key_of("cubin", source, _identity(_compiler()), arch, *OPTIONS)
    entry = shelf.find(key, SUFFIX)
    if entry is not None:
        return entry
    with shelf.build_folder() as folder:
        return shelf.store(key, built(source, arch, folder)[0], SUFFIX)


def built(source: str, arch: str, folder: Path, report: bool = False) -> tuple[Path, str]:
    """A cubin compiled in `folder`, and what the compiler said; with `report` it tells each kernel's registers and spills.
    Raises as `cubin`."""
    compiler = _compiler()
    product = folder / f"step{SUFFIX}"
    options = (*OPTIONS, *QUIET, *(REPORT if report else ()))
    if compiler == find_nvcc():
        (folder / "step.cu").write_text(source)
        return product, run_compiler(
            [compiler, "-cubin", f"-arch={arch}", *options, "-o", product.name, "step.cu"], folder
        )
    image, said = _Nvrtc(compiler).compile(source, arch, options)
    product.write_bytes(image)
    return product, said


def _compiler() -> str:
    """nvcc, else the library of NVRTC."""
    found = find_nvcc() or find_nvrtc()
    if found is None:
        raise UnavailableError(None, None, f"There is no compiler for CUDA kernels. {HOW_TO_INSTALL}")
    return found


@cache
def find_nvcc() -> str | None:
    """nvcc on PATH, else of $CUDA_HOME or $CUDA_PATH."""
    folders = [os.path.join(os.environ[name], "bin") for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    return shutil.which("nvcc") or next((found for f in folders if (found := shutil.which("nvcc", path=f))), None)


@cache
def find_nvrtc() -> str | None:
    """The library of the nvidia-cuda-nvrtc package, else the system's."""
    spec = importlib.util.find_spec("nvidia")
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        # libnvrtc-builtins, beside it, is loaded by it
        found = sorted(glob.glob(os.path.join(root, "*", "lib", "libnvrtc.so.*")))
        if found:
            return found[-1]
    for name in ("libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return name
    return None


def _identity(compiler: str) -> str:
    """What tells a compiler from others: where it is, when it changed and its size."""
    path = os.path.realpath(compiler)
    if not os.path.exists(path):
        return compiler
    status = os.stat(path)
    return f"{path} {status.st_mtime_ns} {status.st_size}"


def run_compiler(command: list[str], folder: Path) -> str:
    """Run nvcc in a folder; what it said. InternalError if it fails."""
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise InternalError(None, None, _failure(" ".join(command), done.stdout + done.stderr))
    return done.stdout + done.stderr


def _failure(command: str, said: str) -> str:
    lines = "\n".join(f"    {line}" for line in said.strip().splitlines()[:SHOWN_LINES])
    return f"The CUDA compiler does not take the kernels.\n  command: {command}\n  it said:\n{lines}"


class _Nvrtc:
    """NVRTC's C functions."""

    def __init__(self, library: str) -> None:
        self._library = ctypes.CDLL(library)

    def compile(self, source: str, arch: str, options: tuple[str, ...]) -> tuple[bytes, str]:
        """The cubin and the compiler's log. InternalError with the log."""
        program = ctypes.c_void_p()
        self._call("nvrtcCreateProgram", ctypes.byref(program), source.encode(), b"step.cu", 0, None, None)
        try:
            words = [f"--gpu-architecture={arch}", *options]
            given = (ctypes.c_char_p * len(words))(*(word.encode() for word in words))
            failed = self._library.nvrtcCompileProgram(program, len(words), given) != 0
            log = self._bytes("nvrtcGetProgramLogSize", "nvrtcGetProgramLog", program).rstrip(b"\0").decode(errors="replace")
            if failed:
                raise InternalError(None, None, _failure(f"NVRTC {' '.join(words)}", log))
            return self._bytes("nvrtcGetCUBINSize", "nvrtcGetCUBIN", program), log
        finally:
            self._call("nvrtcDestroyProgram", ctypes.byref(program))

    def _bytes(self, size_of: str, bytes_of: str, program: Any) -> bytes:
        size = ctypes.c_size_t()
        self._call(size_of, program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self._call(bytes_of, program, buffer)
        return buffer.raw

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            raise InternalError(None, None, f"{name} failed with status {status}")
