"""Libraries for other machines: a trainer is exported for each target, and runs there where an emulator can be had."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._emulated import EMULATORS, cross_builder, run_in_wasmtime
from tests._nets import Net, lenet
from tfgraph.codegen.target import TARGETS, host_target, machine_target, writing_for
from tfgraph.errors import UnavailableError
from tfgraph.runtime import targets
from tfgraph.runtime.cache import module_cache
from tfgraph.runtime.targets import PLATFORMS, builder, find_platform, own_platform
from tfgraph.runtime.toolchain import Compiler, processor_options

PROGRAM = Path(__file__).with_name("_target_trainer.c")
BATCH, STEPS = 16, 10
SEED = 5
ON_X86 = machine_target().name in ("sse2", "avx2", "avx512")


@contextmanager
def network() -> Iterator[Net]:
    with tf.Graph().as_default():
        tf.set_random_seed(SEED)
        yield lenet()


def export(folder: Path, **options: Any) -> Any:
    with network() as net:
        (step, loss, _), (x, labels) = net.fetches, net.shapes
        functions = {"train_step": ({"step": step, "loss": loss}, {"x": x, "labels": labels})}
        return tf.compile(functions, folder, prefix="trainer", **options)


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The numbers that the C program trains on."""
    state = 1

    def following() -> int:
        nonlocal state
        state = (state * 1664525 + 1013904223) % 2**32
        return state >> 8

    for _ in range(STEPS):
        images = np.array([following() for _ in range(BATCH * 144)], np.float32) / np.float32(2**24)
        yield images.reshape(BATCH, 12, 12, 1), np.eye(10, dtype=np.float32)[[following() % 10 for _ in range(BATCH)]]


@cache
def session_losses(target: str = "") -> list[float]:
    """The losses of a Session on this machine."""
    with pytest.MonkeyPatch.context() as patch, network() as net:
        if target:
            patch.setenv("TFGRAPH_TARGET", target)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            return [float(session.run(net.fetches, dict(zip(net.shapes, batch)))[1]) for batch in batches()]


def compiled_program(platform: str, folder: Path) -> Path:
    """The program that trains, linked with the exported static library by a compiler that has a whole C library."""
    tools = cross_builder(platform)
    if tools.compiler.is_zig and platform != "wasm32":
        pytest.skip(f"needs a C library to link with (apt install {tools.platform.package})")
    shutil.copy(PROGRAM, folder / "program.c")
    link = ("-s",) if platform == "wasm32" else ("-static",)  # -s: with the C library that zig built for the export
    own = (*tools.platform.options, *tools.compiler.own_options)
    options = (*own, *processor_options(tools.platform.kernels, tools.compiler))
    command = [*tools.compiler.command, "-O1", *options, *link, "-o", "program", "program.c", "libtrainer.a", "-lm"]
    environment = tools.compiler.environment(module_cache().folder)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "program"


def checked_output(text: str) -> tuple[str, list[float]]:
    isa, *losses = text.split()
    return isa, [float(np.float32(loss)) for loss in losses]


# --- targets that run here ------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", EMULATORS)
def test_trains_like_the_session(platform: str, tmp_path: Path) -> None:
    """Ten steps of Adam with dropout on another processor, with a checkpoint between, end as they do here."""
    emulator = EMULATORS[platform]
    if emulator.missing():
        pytest.skip(emulator.missing())
    exported = export(tmp_path / "out", target=platform)
    assert set(exported.files) >= {PLATFORMS[platform].shared.format("trainer"), "libtrainer.a"}
    assert b"libpthread" not in exported.library.read_bytes(), "libc and libm are all that it needs"
    program = compiled_program(platform, tmp_path / "out")
    if emulator.command:
        done = subprocess.run([*emulator.command, program], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.returncode}: {done.stderr}"
        printed = done.stdout
    else:
        printed = run_in_wasmtime(program, b"", tmp_path).decode()
    isa, losses = checked_output(printed)
    assert isa == PLATFORMS[platform].kernels
    np.testing.assert_allclose(losses, session_losses(), rtol=2e-5)


PROCESSORS = {"sse2": "Nehalem", "avx2": "Haswell", "avx512": "max"}


@pytest.fixture(scope="module")
def x86_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trainer with code for three instruction sets."""
    if not ON_X86 or own_platform() != PLATFORMS["x86_64"]:
        pytest.skip("needs Linux on an x86-64 processor")
    folder = tmp_path_factory.mktemp("x86")
    export(folder)
    return compiled_program("x86_64", folder)


@pytest.mark.xdist_group("x86 program")
def test_the_best_instruction_set_is_chosen(x86_program: Path, tmp_path: Path) -> None:
    """This processor's own, and then the losses are the Session's for that target bit for bit."""
    done = subprocess.run([x86_program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    isa, losses = checked_output(done.stdout)
    assert isa == machine_target().name
    assert losses == session_losses(isa)


@pytest.mark.xdist_group("x86 program")
@pytest.mark.parametrize("isa", ["sse2", "avx2"])
def test_older_processors(isa: str, x86_program: Path, tmp_path: Path) -> None:
    """On an emulated processor with no more than `isa` the library uses that, and the losses are the Session's."""
    if shutil.which("qemu-x86_64") is None:
        pytest.skip("needs qemu-x86_64 (apt install qemu-user)")
    command = ["qemu-x86_64", "-cpu", PROCESSORS[isa], str(x86_program)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert checked_output(done.stdout) == (isa, session_losses(isa))


# --- targets that only compile --------------------------------------------------------------------------------


@pytest.mark.xdist_group("other systems")  # groups come first: zig builds a C library for each
@pytest.mark.parametrize("platform", ["x86_64", "x86_64-windows", "x86_64-macos", "aarch64-macos"])
def test_libraries_for_other_systems(platform: str, tmp_path: Path) -> None:
    try:
        builder(PLATFORMS[platform])
    except UnavailableError as error:
        pytest.skip(str(error))
    exported = export(tmp_path, target=platform)
    shared = tmp_path / PLATFORMS[platform].shared.format("trainer")
    beginnings = {"": b"\x7fELF", "-windows": b"MZ", "-macos": b"\xcf\xfa\xed\xfe"}
    assert shared.read_bytes().startswith(beginnings[platform.removeprefix("x86_64").removeprefix("aarch64")])
    assert (tmp_path / "libtrainer.a").read_bytes().startswith(b"!<arch>")
    assert b"trainer_train_step" in shared.read_bytes()
    assert exported.record["target"] == platform


def test_a_module_of_webassembly_exports_the_interface(tmp_path: Path) -> None:
    """What JavaScript calls: the functions of the header, and memory to call them with."""
    wasmtime = pytest.importorskip("wasmtime", reason="needs wasmtime (pip install wasmtime)")
    pytest.importorskip("ziglang", reason="needs zig (pip install ziglang)")
    export(tmp_path, target="wasm32")
    module = wasmtime.Module.from_file(wasmtime.Engine(), str(tmp_path / "trainer.wasm"))
    names = {export.name for export in module.exports}
    assert names >= {"memory", "malloc", "free", "_initialize", "trainer_create", "trainer_train_step", "trainer_save"}
    assert {item.module for item in module.imports} <= {"wasi_snapshot_preview1"}


# --- tables and errors ----------------------------------------------------------------------------------------


def test_every_platform_has_kernels_and_options() -> None:
    for name, found in PLATFORMS.items():
        assert find_platform(name) is found
        assert found.kernels in TARGETS
        for command in (("cc",), ("python", "-m", "ziglang", "cc")):
            assert processor_options(found.kernels, Compiler(command, ""))


def test_an_unknown_target() -> None:
    with pytest.raises(ValueError, match=r"no target 'vax'; one of x86_64, aarch64, .*wasm32"):
        find_platform("vax")


def test_what_to_install_for_a_target(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(targets.importlib.util, "find_spec", lambda name: None)
    other = "riscv64" if own_platform() != PLATFORMS["riscv64"] else "aarch64"
    with pytest.raises(UnavailableError, match=rf"pip install ziglang.*apt install gcc-{other}-linux-gnu"):
        builder(PLATFORMS[other])


def test_zig_before_a_cross_compiler() -> None:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("needs zig (pip install ziglang)")
    tools = builder(PLATFORMS["riscv64"])
    assert tools.compiler.is_zig
    assert tools.compile("m.c", "m.o")[-4:] == ["-c", "-o", "m.o", "m.c"]
    assert "riscv64-linux-gnu.2.34" in tools.link(["m.o"], "libm.so")
    assert tools.archive(["m.o"], "libm.a")[-3:] == ["rcsD", "libm.a", "m.o"]


def test_writing_for_a_target() -> None:
    before = host_target()
    with writing_for("rv64") as target:
        assert host_target() is target is TARGETS["rv64"]
    assert host_target() is before
