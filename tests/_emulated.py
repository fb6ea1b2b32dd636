"""Sessions whose steps run on another processor: each program becomes an executable that an emulator runs.

Everything around the step is the session's own; only the call of the compiled module is replaced. The memory of a step
goes to the executable's standard input and comes back from its standard output (tests/_emulation_driver.c).
"""

from __future__ import annotations

import importlib.util
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests._evaluate import refuse_interpreter
from tfgraph.errors import UnavailableError
from tfgraph.runtime import cpu, programs, targets
from tfgraph.runtime.cache import key_of, module_cache
from tfgraph.runtime.targets import COMMON_OPTIONS, PLATFORMS, Builder
from tfgraph.runtime.toolchain import compiler_of, processor_options
from tfgraph.shapes import at_batch

DRIVER = Path(__file__).with_name("_emulation_driver.c")
SUFFIX = ".program"
WARNINGS = ("-Wall", "-Wextra", "-Werror")
"""Options for sources without any; loops that clang leaves to the ordinary instructions at -O1 are none."""


def run_in_wasmtime(program: Path, sent: bytes, own_folder: Path | None = None) -> bytes:
    """What a WASI program writes to standard output. It sees no files, or those of a folder of its own."""
    import wasmtime

    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    linker.define_wasi()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in").write_bytes(sent)
        config = wasmtime.WasiConfig()
        config.stdin_file, config.stdout_file = f"{folder}/in", f"{folder}/out"
        if own_folder is not None:
            config.preopen_dir(str(own_folder), ".")
        store.set_wasi(config)
        start = linker.instantiate(store, wasmtime.Module.from_file(engine, str(program))).exports(store)["_start"]
        try:
            start(store)
        except wasmtime.ExitTrap as end:
            assert end.code == 0, f"the program ended with {end.code}"  # noqa: PT017 (no other code may come)
        return (Path(folder) / "out").read_bytes()


@dataclass(frozen=True)
class Emulator:
    """How programs of a platform are run here."""

    platform: str
    command: tuple[str, ...] = ()  # none: in wasmtime

    def missing(self) -> str:
        """What is not installed, "" if nothing."""
        if self.command and shutil.which(self.command[0]) is None:
            return f"needs {self.command[0]} (apt install qemu-user)"
        if not self.command and importlib.util.find_spec("wasmtime") is None:
            return "needs wasmtime (pip install wasmtime)"
        try:
            cross_builder(self.platform)
        except UnavailableError as error:
            return str(error)
        return ""

    def run(self, program: Path, sent: bytes) -> bytes:
        if not self.command:
            return run_in_wasmtime(program, sent)
        done = subprocess.run([*self.command, str(program)], input=sent, capture_output=True)
        assert done.returncode == 0, f"the program ended with {done.returncode}: {done.stderr.decode()[-2000:]}"
        return done.stdout


EMULATORS = {
    "aarch64": Emulator("aarch64", ("qemu-aarch64",)),
    "riscv64": Emulator("riscv64", ("qemu-riscv64",)),
    "arm": Emulator("arm", ("qemu-arm",)),
    "wasm32": Emulator("wasm32"),
}


@cache
def cross_builder(name: str) -> Builder:
    """What builds for a platform: gcc as on such a machine, if it is here."""
    wanted = PLATFORMS[name]
    if wanted.cross and shutil.which(f"{wanted.cross}-gcc"):
        return Builder(wanted, compiler_of(f"{wanted.cross}-gcc"), ())
    return targets.builder(wanted)


def build(name: str, source: str, options: Sequence[str]) -> Path:
    """The executable of a generated program for a platform, from the cache if it has been built before."""
    found = cross_builder(name)
    own = (*COMMON_OPTIONS, *found.platform.options, *found.compiler.own_options)
    target = processor_options(found.platform.kernels, found.compiler)
    # -s: the same C library for wasm32, which takes zig 30 s of processor time, as exported libraries are linked with
    link = ("-s",) if name == "wasm32" else ("-static",)
    quiet = ("-Wno-pass-failed",) if found.compiler.is_zig else ()
    words = [*found.compiler.command, *own, *target, *options, *quiet, *link]
    command = [*words, "-o", "program", "step.c", "driver.c", "-lm"]
    key = key_of(source, DRIVER.read_text(), found.compiler.identity, "\n".join(command))
    cached = module_cache()
    entry = cached.find(key, SUFFIX)
    if entry is not None:
        return entry
    with cached.build_folder() as folder:
        (folder / "step.c").write_text(source)
        (folder / "driver.c").write_text(DRIVER.read_text())
        environment = found.compiler.environment(cached.folder)
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:4000]
        return cached.store(key, folder / "program", SUFFIX)


def _bytes(arrays: Sequence[np.ndarray]) -> bytes:
    """A table of arrays as the driver reads it."""
    parts = [struct.pack("<q", len(arrays))]
    for array in arrays:
        parts += [struct.pack("<q", array.nbytes), array.tobytes()]
    return b"".join(parts)


class EmulatedProgram(programs.LoadedProgram):
    """A program that another processor runs."""

    emulator: Emulator
    options: Sequence[str]

    def __init__(self, program: Any, threads: int) -> None:
        super().__init__(program, threads)
        self._executable = build(self.emulator.platform, program.source, self.options)
        self.run = self._run

    def _view(self, address: Any, slot: Any, n: int) -> np.ndarray:
        """The memory behind an address as an array."""
        shape, dtype = at_batch(slot.dims, n), np.dtype(slot.dtype.base_dtype.as_numpy_dtype)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return np.frombuffer(cpu.ffi.buffer(cpu.ffi.cast("char *", address), size), np.uint8)

    def _run(self, step: Any, first: int, last: int) -> int:
        program, n = self.program, int(step.N)
        assert (first, last) == (0, program.kernel_count)
        feeds = [self._view(self.feeds[i], slot, n) for i, slot in enumerate(program.feeds)]
        fetches = [self._view(self.fetches[i], slot, n) for i, slot in enumerate(program.fetches)]
        variables = self._variable_arrays
        words = np.frombuffer(cpu.ffi.buffer(self.random), np.uint64)[: 3 * len(program.randoms)]
        header = (self.threads, program.kernel_count, n, program.batch_arena_bytes(n), program.fixed_bytes)
        sent = [struct.pack("<5q", *header), _bytes(feeds), struct.pack("<q", len(fetches))]
        sent += [struct.pack("<q", array.nbytes) for array in fetches]
        sent += [_bytes(variables), _bytes(self._constant_arrays), struct.pack("<q", words.size), words.tobytes()]
        received = self.emulator.run(self._executable, b"".join(sent))
        failed = struct.unpack_from("<q", received)[0]
        at = 8
        for array in (*fetches, *variables):
            values = np.frombuffer(received, np.uint8, array.nbytes, at)
            array.reshape(-1).view(np.uint8)[...] = values
            at += array.nbytes
        assert at == len(received)
        return failed


@contextmanager
def emulation(platform: str, options: Sequence[str] = ()) -> Iterator[Emulator]:
    """While this lasts, every session of this process computes on `platform`. Skips the test where tools are missing."""
    emulator = EMULATORS[platform]
    missing = emulator.missing()
    if missing:
        pytest.skip(missing)
    chosen = type("ChosenProgram", (EmulatedProgram,), {"emulator": emulator, "options": options})
    module = SimpleNamespace(tg_run=None)
    load: Callable[..., Any] = lambda *arguments, **options: module
    with pytest.MonkeyPatch.context() as patch:
        refuse_interpreter(patch)
        patch.setenv("TFGRAPH_TARGET", PLATFORMS[platform].kernels)
        patch.setattr(cpu, "load", load)
        patch.setattr(cpu, "start_pool", lambda: None)
        patch.setattr(cpu, "pool", lambda *arguments: cpu.ffi.NULL)
        patch.setattr(programs, "LoadedProgram", chosen)
        yield emulator
