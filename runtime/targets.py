"""The platforms that a model can be compiled for, and the commands that build a library for one of them.

This machine's own compiler serves its own platform. For any other one the ziglang package is enough; a cross compiler of
the system will do where it is not installed.
"""

from __future__ import annotations

import importlib.util
import platform
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import UnavailableError
from .toolchain import HOW_TO_INSTALL, Compiler, compiler_of, find_compiler, processor_options

COMMON_OPTIONS = (
    "-O3", "-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd",
    "-fvisibility=hidden",
)  # fmt: skip
"""What every object of a library is compiled with."""

_NO_EXECUTABLE_STACK = "-Wl,-z,noexecstack"
# code and constants of ELF files share pages: 4 KB less of 301 for LeNet; zig's linker does so by itself
_DENSE = ("-Wl,-z,noseparate-code",)


@dataclass(frozen=True)
class Platform:
    """Where a library is to run. `{}` in a file name stands for the model's prefix."""

    name: str
    kernels: str  # the target of codegen that every processor there can run
    triple: str  # the platform's name for zig
    cross: str = ""  # the beginning of a system cross compiler's command, "" where none is known
    package: str = ""  # the Debian package of that compiler
    options: tuple[str, ...] = ("-fPIC", "-pthread")
    link: tuple[str, ...] = ("-shared", "-pthread", "-lm", _NO_EXECUTABLE_STACK)
    shared: str = "lib{}.so"
    static: str = "lib{}.a"


_MAC: dict[str, Any] = {"link": ("-shared", "-Wl,-install_name,@rpath/{}"), "shared": "lib{}.dylib"}

# glibc 2.34 is the first whose threads are in libc itself: a library needs libc and libm, and no libpthread
PLATFORMS = {
    found.name: found
    for found in (
        Platform("x86_64", "sse2", "x86_64-linux-gnu.2.34", "x86_64-linux-gnu", "gcc-x86-64-linux-gnu"),
        Platform("aarch64", "neon", "aarch64-linux-gnu.2.34", "aarch64-linux-gnu", "gcc-aarch64-linux-gnu"),
        Platform("riscv64", "rv64", "riscv64-linux-gnu.2.34", "riscv64-linux-gnu", "gcc-riscv64-linux-gnu"),
        Platform("arm", "neon32", "arm-linux-gnueabihf.2.34", "arm-linux-gnueabihf", "gcc-arm-linux-gnueabihf"),
        Platform(
            "wasm32", "simd128", "wasm32-wasi",
            options=(),
            link=("-mexec-model=reactor", "-Wl,--export-dynamic", "-Wl,--export=malloc", "-Wl,--export=free", "-lm"),
            shared="{}.wasm",
        ),
        Platform(
            "x86_64-windows", "sse2", "x86_64-windows-gnu", "x86_64-w64-mingw32", "gcc-mingw-w64-x86-64",
            options=(),
            link=("-shared",),
            shared="{}.dll",
        ),
        Platform("x86_64-macos", "sse2", "x86_64-macos", **_MAC),
        Platform("aarch64-macos", "neon", "aarch64-macos", **_MAC),
    )
}  # fmt: skip


def own_platform() -> Platform | None:
    """The platform that this process runs on; None if it is none of PLATFORMS."""
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64", "armv7l": "arm", "armv8l": "arm"}.get(machine, machine)
    system = {"Linux": "", "Darwin": "-macos", "Windows": "-windows"}.get(platform.system(), "-unknown")
    return PLATFORMS.get(machine + system)


def find_platform(name: str | None) -> Platform:
    """The platform called `name`, or this machine's. ValueError if there is no such platform."""
    found = own_platform() if name is None else PLATFORMS.get(name)
    if found is None:
        what = "this machine's platform is not known; name a target," if name is None else f"there is no target {name!r};"
        raise ValueError(f"{what} one of {', '.join(PLATFORMS)}, or cuda")
    return found


@dataclass(frozen=True)
class Builder:
    """A compiler for a platform, and the commands to start it with. All paths are relative to the folder it runs in."""

    platform: Platform
    compiler: Compiler
    archiver: tuple[str, ...]

    def compile(self, source: str, output: str, kernels: str | None = None, options: Sequence[str] = ()) -> list[str]:
        """The command that makes the object file `output` of a C file, for a target of codegen (default: the platform's)."""
        target = processor_options(kernels or self.platform.kernels, self.compiler)
        own = (*COMMON_OPTIONS, *self.platform.options, *self.compiler.own_options)
        return [*self.compiler.command, *own, *target, *options, "-c", "-o", output, source]

    def link(self, objects: Sequence[str], output: str) -> list[str]:
        """The command that makes a shared library (for wasm32 a module without `main`) of object files."""
        target = processor_options(self.platform.kernels, self.compiler)
        options = [option.format(output) for option in self.platform.link]
        dense = _DENSE if _NO_EXECUTABLE_STACK in options and not self.compiler.is_zig else ()
        # zig's own options here too: without them it builds a run time for its checks, 4 of the 8 s of a first library
        own = (*self.compiler.own_options, *target)
        return [*self.compiler.command, *own, "-s", "-o", output, *objects, *options, *dense]

    def archive(self, objects: Sequence[str], output: str) -> list[str]:
        """The command that makes a static library of object files."""
        return [*self.archiver, "rcsD", output, *objects]


def builder(wanted: Platform) -> Builder:
    """What builds for a platform here: for this machine's own its C compiler, else zig, else a cross compiler.

    UnavailableError says what to install if there is none.
    """
    if wanted == own_platform():
        compiler = find_compiler()
        if compiler is None:
            raise UnavailableError(None, None, f"There is no C compiler. {HOW_TO_INSTALL}")
        return Builder(wanted, compiler, _zig("ar") if compiler.is_zig else (shutil.which("ar") or "ar",))
    if importlib.util.find_spec("ziglang"):
        compiler = compiler_of(shlex.join((*_zig("cc"), "-target", wanted.triple)))
        assert compiler is not None
        return Builder(wanted, compiler, _zig("ar"))
    cross = f"{wanted.cross}-gcc"
    if wanted.cross and shutil.which(cross):
        compiler = compiler_of(cross)
        assert compiler is not None
        return Builder(wanted, compiler, (f"{wanted.cross}-ar",))
    other = f", or `apt install {wanted.package}` (Debian, Ubuntu)" if wanted.package else ""
    text = f"There is no C compiler for {wanted.name} here. Install one: `pip install ziglang` (anywhere){other}."
    raise UnavailableError(None, None, text)


@cache
def _zig(tool: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "ziglang", tool)
