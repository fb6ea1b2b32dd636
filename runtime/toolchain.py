"""The C compiler of this machine: which one, and what identifies it in a cache key."""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import UnavailableError

CANDIDATES = ("cc", "gcc", "clang")

HOW_TO_INSTALL = (
    "Install a C compiler: `apt install gcc libc6-dev` (Debian, Ubuntu), `dnf install gcc` (Fedora), "
    "`xcode-select --install` (macOS) or `pip install ziglang` (anywhere), or name one in $CC. "
    "TFGRAPH_BACKEND=interpreter runs graphs without a compiler, slowly."
)

OPTIONS = (
    "-O3", "-std=gnu11", "-fPIC", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd",
    "-fvisibility=hidden", "-pthread",
)  # fmt: skip
LIBRARIES = ("-lm",)


@dataclass(frozen=True)
class Compiler:
    """A C compiler: the command to start it with, and what tells it from other compilers and versions."""

    command: tuple[str, ...]
    identity: str

    @property
    def is_zig(self) -> bool:
        """True for zig's C compiler, which has its own names for processors and a cache of its own."""
        return any(word == "ziglang" or Path(word).stem == "zig" for word in self.command)

    @property
    def own_options(self) -> tuple[str, ...]:
        """zig checks for undefined behaviour at run time, and adds what debuggers want, unless told not to."""
        return ("-fno-sanitize=undefined", "-g0") if self.is_zig else ()

    def environment(self, folder: Path) -> dict[str, str]:
        """The environment to run it in: messages in English, and what it keeps for later goes into `folder`."""
        own = {"LC_ALL": "C"}
        if self.is_zig:
            (folder / "zig").mkdir(mode=0o700, exist_ok=True)  # what zig finds there it links: nobody else may write to it
            own |= dict.fromkeys(("ZIG_LOCAL_CACHE_DIR", "ZIG_GLOBAL_CACHE_DIR"), str(folder / "zig"))
        return {**os.environ, **own}

    def command_line(self, source: str, output: str, target: tuple[str, ...]) -> list[str]:
        """The command that makes the shared object `output` of the C file `source`, with $TFGRAPH_CFLAGS at its end."""
        return [*self._beginning(target), "-shared", "-o", output, source, *LIBRARIES, *_extra_options()]

    def unit_line(self, source: str, unit: int, output: str, target: tuple[str, ...]) -> list[str]:
        """The command that makes the object file `output` of one translation unit of `source` (see codegen/units.py)."""
        # -Wall in $TFGRAPH_CFLAGS would speak of shared functions that only other units call
        own = ("-c", f"-DTG_UNIT={unit}", "-Wno-unused-function")
        return [*self._beginning(target), *own, "-o", output, source, *_extra_options()]

    def link_line(self, objects: Sequence[str], output: str, target: tuple[str, ...]) -> list[str]:
        """The command that makes the shared object `output` of the object files of all units."""
        return [*self._beginning(target), "-shared", "-o", output, *objects, *LIBRARIES, *_extra_options()]

    def _beginning(self, target: tuple[str, ...]) -> tuple[str, ...]:
        return (*self.command, *OPTIONS, *self.own_options, *target)


def _extra_options() -> list[str]:
    return _words("TFGRAPH_CFLAGS", os.environ.get("TFGRAPH_CFLAGS", ""))


def _words(variable: str, text: str) -> list[str]:
    """The words of a command, as a shell reads them. ValueError names the variable that it stands in."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{variable} is {text!r}: {error}") from None


def find_compiler() -> Compiler | None:
    """$CC, else cc, gcc or clang, else the ziglang package, else None. UnavailableError if $CC names nothing."""
    return compiler_of(os.environ.get("CC", ""))


def compiler_of(command: str) -> Compiler | None:
    """The compiler that `command` starts, or the first one of this machine if it is empty; as `find_compiler`."""
    return _find(command.strip(), os.environ.get("PATH", ""))


@cache
def _find(wanted: str, path: str) -> Compiler | None:
    if wanted:
        command = _words("$CC", wanted)
        if shutil.which(command[0], path=path) is None:
            text = f"$CC is {wanted!r}, but there is no program {command[0]!r} that could be run. {HOW_TO_INSTALL}"
            raise UnavailableError(None, None, text)
        return Compiler(tuple(command), _identity(command, path))
    for name in CANDIDATES:
        if shutil.which(name, path=path) is not None:
            return Compiler((name,), _identity([name], path))
    zig = importlib.util.find_spec("ziglang")
    if zig is not None and zig.submodule_search_locations:
        command = [sys.executable, "-m", "ziglang", "cc"]
        return Compiler(tuple(command), _identity([*command, *zig.submodule_search_locations], path))
    return None


def _identity(command: list[str], path: str) -> str:
    """The command and, for each file it names, where it is, when it changed and its size: cheaper than `--version`."""
    parts = []
    for word in command:
        parts.append(word)
        file = shutil.which(word, path=path) or (word if os.path.exists(word) else None)
        if file is not None:
            file = os.path.realpath(file)
            status = os.stat(file)
            parts.append(f"{file} {status.st_mtime_ns} {status.st_size}")
    return "\n".join(parts)


def processor_count() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# lines of /proc/cpuinfo that say what code a processor can run, and which tuning suits it
_TELLING = frozenset(
    (
        "vendor_id", "cpu family", "model", "model name", "stepping", "flags", "isa", "uarch",
        "Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part",
    )
)  # fmt: skip


@cache
def processor_identity() -> str:
    """What tells this processor from others that code compiled for it may not suit."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            told = []
            for line in lines:
                if not line.strip():
                    break  # one block per processor; the first says it all
                if line.partition(":")[0].strip() in _TELLING:
                    told.append(line.strip())
    except OSError:
        told = [platform.processor()]
    return "\n".join([platform.system(), platform.machine(), *told])


# what each target of codegen may assume of the processor, and how zig says it
_PROCESSORS = {
    "avx512": ("-march=skylake-avx512", "-mcpu=skylake_avx512"),
    "avx2": ("-march=haswell", "-mcpu=haswell"),
    "sse2": ("-march=x86-64", "-mcpu=x86_64"),
    "neon": ("-march=armv8-a", "-mcpu=generic"),
    "neon32": ("-march=armv7-a -mfpu=neon", "-mcpu=generic+v7a+neon"),
    "rv64": ("-march=rv64gc", "-mcpu=baseline_rv64"),
    "simd128": ("-msimd128", "-mcpu=generic+simd128"),
}


def processor_options(target: str, compiler: Compiler) -> tuple[str, ...]:
    """The options that let `compiler` use what every processor of a target of codegen has."""
    plain, zig = _PROCESSORS[target]
    return tuple((zig if compiler.is_zig else plain).split())


def target_options(compiler: Compiler) -> tuple[str, ...]:
    """The options that let `compiler` use everything that $TFGRAPH_TARGET, else this processor, has."""
    from ..codegen.target import machine_target, wanted_target  # with the compiler, whose imports take time

    wanted = wanted_target()
    if wanted is not None:
        return processor_options(wanted.name, compiler)
    machine = platform.machine().lower()
    if machine in ("aarch64", "arm64") or machine.startswith("armv"):
        return ("-mcpu=native",)
    if machine in ("x86_64", "amd64"):
        return ("-march=native",)
    return processor_options(machine_target().name, compiler)
