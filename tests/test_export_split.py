"""tf.compile(..., split=True): the kernels of each instruction set in a C file of their own, and the same library."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._c_compiler import COMPILER, compile_c
from tests._export_library import Library
from tests.test_export import SEED, arguments, convolutional, dense
from tests.test_export_files import API, WARNINGS
from tfgraph.codegen.target import machine_target

pytestmark = [
    pytest.mark.xdist_group("export"),
    pytest.mark.skipif(COMPILER is None, reason="needs a C compiler in PATH"),
]
STEPS = 3
ON_X86 = machine_target().name in ("sse2", "avx2", "avx512")
OPTIONS = {"sse2": "-march=x86-64", "avx2": "-march=haswell", "avx512": "-march=skylake-avx512"}


def export(folder: Path, **options: Any) -> Path:
    with tf.Graph().as_default():
        tf.set_random_seed(SEED)
        tf.compile(dense(), folder, prefix="net", **options)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("split"), split=True)


def sources(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("net*.c"))


def trained(library: Library) -> list[bytes]:
    """The bytes of the losses of some steps, and of a prediction after them."""
    with tf.Graph().as_default():
        values = arguments(dense(), 9)
    instance = library.create()
    assert instance.initialize(5) == "OK"
    results = [instance.results("train_step", 9, *values)[0].tobytes() for _ in range(STEPS)]
    results.append(instance.results("predict", 9, values[0])[0].tobytes())
    instance.destroy()
    return results


def test_it_is_the_same_library(folder: Path, tmp_path: Path) -> None:
    split, whole = Library(folder), Library(export(tmp_path))
    assert split.function("isa")() == whole.function("isa")()
    assert trained(split) == trained(whole)
    assert split.record["arena_bytes"] == whole.record["arena_bytes"]
    assert (folder / "net.h").read_bytes() == (tmp_path / "net.h").read_bytes()
    if shutil.which("nm"):
        symbols = subprocess.run(["nm", "-D", "--defined-only", split.path], capture_output=True, text=True, check=True)
        assert {line.split()[-1] for line in symbols.stdout.splitlines()} == {f"net_{name}" for name in API}


def test_every_file_is_listed(folder: Path) -> None:
    isas = OPTIONS if ON_X86 else (machine_target().name,)
    assert sources(folder) == sorted(["net.c", *(f"net_kernels_{isa}.c" for isa in isas)])
    for name in sources(folder):
        assert name in (folder / "CMakeLists.txt").read_text()
        assert f"`{name}`" in (folder / "README.md").read_text()
        assert name in Library(folder).record["files"]
    assert "k01_" not in (folder / "net.c").read_text()
    assert "net_train_step" not in (folder / f"net_kernels_{machine_target().name}.c").read_text()


@pytest.mark.parametrize("language", ["c11", "c++17"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compilers_have_nothing_to_complain_about(compiler: str, language: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None or not ON_X86:
        pytest.skip(f"needs {compiler} (`apt install {compiler}`) on x86-64")
    with tf.Graph().as_default():
        tf.compile(convolutional(), tmp_path, prefix="net", c_only=True, split=True)
    for name in sources(tmp_path):
        options = [OPTIONS.get(name.removeprefix("net_kernels_").removesuffix(".c"), "-march=x86-64"), f"-std={language}"]
        options += ["-x", "c++"] if language == "c++17" else []
        said = compile_c(*WARNINGS, *options, "-fsyntax-only", name, folder=tmp_path, compiler=compiler)
        assert "warning" not in said


def test_the_files_of_one_instruction_set_are_compiled_with_one_command(tmp_path: Path) -> None:
    export(tmp_path, split=True, isas=["native"], c_only=True)
    names = sources(tmp_path)
    assert len(names) == 2
    assert f"{names[0]} {names[1]} -lm" in (tmp_path / "README.md").read_text()
    compile_c("-O1", "-march=native", "-shared", "-fPIC", "-pthread", "-o", "libnet.so", *names, "-lm", folder=tmp_path)
    assert np.isfinite(np.frombuffer(trained(Library(tmp_path))[0], np.float32)).all()


def test_cmake_builds_it(folder: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake (`apt install cmake`)")
    for words in (["-S", folder, "-B", tmp_path], ["--build", tmp_path]):
        done = subprocess.run(["cmake", *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    example = subprocess.run([tmp_path / "net_example"], capture_output=True, text=True)
    assert example.returncode == 0
    assert example.stdout.startswith(machine_target().name)
