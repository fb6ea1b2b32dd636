"""Kernel texts as libraries of the host: the same CUDA C++ through the host's compiler, with `shim/shim.h` before it.

A checking library announces every access to memory to the shim's runtime, which looks for races and for accesses
outside of what is allocated; it runs about ten times slower.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ...errors import InternalError, UnavailableError
from ..cache import key_of, module_cache
from ..toolchain import Compiler, compiler_of, find_compiler, processor_identity, target_options

FOLDER = Path(__file__).parent / "shim"
HEADERS = ("abi.h", "shim.h")
RUNTIME_HEADERS, RUNTIME_SOURCES = ("abi.h", "runtime.h"), ("fibers.c", "copies.c", "order.c", "check.c")

OPTIONS = (
    "-O2", "-ftree-vectorize", "-fPIC", "-shared", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
    "-fvisibility=hidden",
)  # fmt: skip
KERNEL_OPTIONS = (*OPTIONS, "-fno-exceptions", "-x", "c++", "-std=gnu++17", "-include", "shim.h")
CHECKING_OPTIONS = ("-O1", "-fsanitize=thread", "-DTG_SHIM_CHECKS")
# with the jumps between stacks, glibc's checked longjmp would stop the process
RUNTIME_OPTIONS = (*OPTIONS, "-std=gnu11", "-U_FORTIFY_SOURCE", "-fcf-protection=none", "-fvisibility=default")

HOW_TO_INSTALL = "Install a C++ compiler (`apt install g++`, `dnf install gcc-c++`) or name one in $CXX."
SHOWN_LINES = 30  # of a failed compiler's output

_KERNEL = re.compile(r"\b__global__\s+(?:void\s+)?(?:__launch_bounds__\s*\([^()]*\)\s*)?(?:void\s+)?(\w+)\s*\(")


def wants_checks() -> bool:
    """$TFGRAPH_SHIM_CHECK: kernels are compiled so that races and accesses outside of memory are found."""
    return os.environ.get("TFGRAPH_SHIM_CHECK", "0").strip() not in ("", "0")


def kernel_names(source: str) -> tuple[str, ...]:
    """The kernels that a text defines."""
    return tuple(dict.fromkeys(_KERNEL.findall(source)))


def kernel_library(source: str, checks: bool) -> Path:
    """The library of a CUDA text, compiled if the cache has none.

    UnavailableError: there is no C++ compiler. InternalError: it does not take the text.
    """
    compiler = _cxx_compiler()
    entries = "\n".join(f"TG_SHIM_KERNEL({name})" for name in kernel_names(source))
    text = f"{source}\n{entries}\n"
    command = (*compiler.command, *KERNEL_OPTIONS, *compiler.own_options, *target_options(compiler))
    command = (*command, *(CHECKING_OPTIONS if checks else ()), "-o", "step.so", "step.cu")
    if checks:
        command = (*command, "-nostdlib", "-lc", "-lm")  # the shim's runtime takes the calls, not the compiler's
    return _library(compiler, command, {"step.cu": text}, HEADERS)


def runtime_library() -> Path:
    """The shim's own runtime, compiled if the cache has none; raises as `kernel_library`."""
    compiler = find_compiler()
    if compiler is None:
        raise UnavailableError(None, None, f"The host shim needs a C compiler. {HOW_TO_INSTALL}")
    command = (*compiler.command, *RUNTIME_OPTIONS, *compiler.own_options, "-o", "step.so", *RUNTIME_SOURCES)
    return _library(compiler, command, {}, (*RUNTIME_HEADERS, *RUNTIME_SOURCES))


def _library(compiler: Compiler, command: Sequence[str], texts: dict[str, str], own: Sequence[str]) -> Path:
    files = {**texts, **{name: _own_file(name) for name in own}}
    shelf = module_cache()
    key = key_of(*files, *files.values(), compiler.identity, " ".join(command), processor_identity())
    entry = shelf.find(key)
    if entry is not None:
        return entry
    with shelf.build_folder() as folder:
        for name, text in files.items():
            (folder / name).write_text(text)
        _run(command, compiler.environment(shelf.folder), folder)
        return shelf.store(key, folder / "step.so")


def _run(command: Sequence[str], environment: dict[str, str], folder: Path) -> None:
    done = subprocess.run(
        command,
        cwd=folder,  # so that no path of this machine gets into the product
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        said = "\n".join(f"    {line}" for line in done.stderr.strip().splitlines()[:SHOWN_LINES])
        status = f"The host's compiler does not take the kernels (status {done.returncode})."
        raise InternalError(None, None, f"{status}\n  command: {' '.join(command)}\n{said}")


@cache
def _own_file(name: str) -> str:
    return (FOLDER / name).read_text()


def _cxx_compiler() -> Compiler:
    """$CXX, else the first C++ compiler of this machine, zig's last."""
    wanted = os.environ.get("CXX", "").strip()
    found = [wanted] if wanted else [name for name in ("g++", "c++", "clang++") if shutil.which(name)]
    compiler = compiler_of(found[0] if found else f"{sys.executable} -m ziglang c++")
    if compiler is None or (compiler.is_zig and not wanted and not _has_zig()):
        raise UnavailableError(None, None, f"The host shim needs a C++ compiler. {HOW_TO_INSTALL}")
    return compiler


def _has_zig() -> bool:
    import importlib.util

    return importlib.util.find_spec("ziglang") is not None
