"""The folder that tf.compile writes for CUDA: what compilers and linkers say of it, programs, its record, the command."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import tfgraph as tf
from tests._c_compiler import COMPILER, compile_c
from tests._cuda_export import CXX, NVCC, build
from tests._export_library import Library
from tests.test_export import convolutional, dense
from tests.test_export_files import API, CALLER, WARNINGS
from tfgraph.__main__ import main

pytestmark = [pytest.mark.xdist_group("export_cuda_files"), pytest.mark.usefixtures("graph")]
needs_nvcc = pytest.mark.skipif(NVCC is None, reason="needs nvcc of NVIDIA's CUDA toolkit in PATH")
needs_shim = pytest.mark.skipif(CXX is None or COMPILER is None, reason="needs a C and a C++ compiler in PATH")
WHOLE_LIFE = """
#include "net.h"
#include <stdio.h>
#include <stdlib.h>
#define MUST(wanted, call) if ((call) != NET_##wanted) return fprintf(stderr, "line %d: no %s\\n", __LINE__, #wanted), 1
int main(void)
{
    enum { BATCH = 7 };
    float *x = calloc(BATCH * 12, sizeof *x), *results = calloc(BATCH * 4, sizeof *results), loss;
    int32_t *labels = calloc(BATCH, sizeof *labels);
    net *model = net_create();
    for (int step = 0; step < 4; ++step) {
        MUST(OK, step % 2 ? NET_OK : net_initialize(model, 3));
        for (int64_t batch = BATCH; batch >= 0; batch -= 3)
            MUST(OK, net_train_step(model, batch, x, labels, 0.01f, 0.5f, &loss));
        MUST(OK, net_predict(model, BATCH, x, results));
    }
    labels[3] = 4;
    MUST(CHECK_FAILED, net_train_step(model, BATCH, x, labels, 0.01f, 0.5f, &loss));
    MUST(OK, net_save(model, "life.safetensors"));
    MUST(OK, net_load(model, "life.safetensors"));
    MUST(OK, net_load_weights(model, "life.safetensors"));
    MUST(CANNOT_OPEN, net_load(model, "none.safetensors"));
    MUST(BAD_ALIGNMENT, net_create_in(&model, results, 1 << 30, 1));
    MUST(BATCH_TOO_LARGE, net_predict(model, INT64_MAX, x, results));
    net_destroy(model);
    free(x);
    free(results);
    free(labels);
    return 0;
}
"""
TEXTS = ("net.cu", "net.h", "CMakeLists.txt", "main.c", "README.md")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dense net without libraries, as a machine without CUDA writes it."""
    path = tmp_path_factory.mktemp("text")
    with tf.Graph().as_default():
        tf.compile(dense(), path, prefix="net", target="cuda", c_only=True)
    return path


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolutional net as nvcc makes it."""
    path = tmp_path_factory.mktemp("compiled")
    with tf.Graph().as_default():
        tf.compile(convolutional(), path, prefix="net", target="cuda")
    return path


# --- nvcc -----------------------------------------------------------------------------------------------------------------


@needs_nvcc
def test_nvcc_makes_both_libraries(compiled: Path) -> None:
    """The shared one needs libc and libm, shows the interface alone and has no executable stack."""
    needed = subprocess.run(["ldd", "libnet.so"], cwd=compiled, capture_output=True, text=True, check=True).stdout
    names = {line.split()[0].rpartition("/")[2] for line in needed.splitlines()}
    assert names <= {"linux-vdso.so.1", "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
    shown = subprocess.run(["nm", "-D", "--defined-only", "libnet.so"], cwd=compiled, capture_output=True, text=True)
    assert {line.split()[-1] for line in shown.stdout.splitlines()} == {f"net_{name}" for name in (*API, "device_error")}
    headers = subprocess.run(["readelf", "-lW", "libnet.so"], cwd=compiled, capture_output=True, text=True).stdout
    (stack,) = [line for line in headers.splitlines() if "GNU_STACK" in line]
    assert "RWE" not in stack
    images = (compiled / "libnet.so").read_bytes()
    assert b"sm_80" in images
    assert b"sm_90" in images


@needs_nvcc
def test_without_a_gpu_the_library_says_so(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    library = Library(compiled)
    library.function("device_error").restype = ctypes.c_char_p
    assert library.function("create")() is None
    assert library.function("device_error")() != b""
    assert library.function("isa")() == b""
    model = ctypes.c_void_p()
    size = library.function("instance_bytes")() + library.arena_bytes(4)
    code = library.function("create_in")(ctypes.byref(model), ctypes.c_void_p(256), ctypes.c_int64(size), ctypes.c_int64(4))
    assert library.status(code) in ("NO_DEVICE", "DEVICE_FAILED")
    (compiled / "caller.cpp").write_text(CALLER)
    subprocess.run(["g++", "-o", "caller", "caller.cpp", "-L.", "-lnet"], cwd=compiled, check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(compiled)}
    assert subprocess.run(["./caller"], cwd=compiled, env=environment).returncode == 1  # there is no instance


@needs_nvcc
def test_the_static_library_does_too(compiled: Path) -> None:
    (compiled / "other.cpp").write_text(CALLER)
    command = ["nvcc", "-o", "static_caller", "other.cpp", "libnet.a"]
    subprocess.run(command, cwd=compiled, check=True, capture_output=True)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    assert subprocess.run(["./static_caller"], cwd=compiled, env=environment).returncode == 1


@needs_nvcc
def test_an_architecture_may_be_named(tmp_path: Path) -> None:
    record = tf.compile(dense(), tmp_path, prefix="net", target="cuda:sm_86").record
    assert record["archs"] == ["sm_86"]
    images = (tmp_path / "libnet.so").read_bytes()
    assert b"sm_86" in images
    assert b"sm_90" not in images


# --- the host as the device -----------------------------------------------------------------------------------------------


@needs_shim
def test_programs_in_c_and_cpp_run(text: Path, tmp_path: Path) -> None:
    """The example, and a C++ program, against the library of the same MODEL.cu."""
    folder = tmp_path / "net"
    shutil.copytree(text, folder)
    build(folder, "-O1")
    compile_c("-std=c11", *WARNINGS, "-o", "example", "main.c", "-L.", "-lnet", f"-Wl,-rpath,{folder}", folder=folder)
    printed = subprocess.run(["./example"], cwd=folder, capture_output=True, text=True)
    assert printed.returncode == 0
    assert "sm_80, initialize: no error" in printed.stdout
    assert "predict: no error" in printed.stdout
    (folder / "caller.cpp").write_text(CALLER)
    assert CXX is not None
    command = [CXX, "-std=c++17", "-o", "caller", "caller.cpp", "-L.", "-lnet", f"-Wl,-rpath,{folder}"]
    subprocess.run(command, cwd=folder, check=True)
    assert subprocess.run(["./caller"], cwd=folder).returncode == 0


@needs_shim
@pytest.mark.parametrize("sanitizer", ["address", "undefined"])
def test_sanitizers_find_nothing(sanitizer: str, text: Path, tmp_path: Path) -> None:
    """Of a whole life, leaks included. The kernels' threads have stacks of their own, which is all that the warnings say."""
    folder = tmp_path / "net"
    shutil.copytree(text, folder)
    flags = (f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-O1", "-g1")
    build(folder, *flags)
    (folder / "life.c").write_text(WHOLE_LIFE)
    compile_c("-std=c11", *flags, "-o", "life", "life.c", "-L.", "-lnet", f"-Wl,-rpath,{folder}", folder=folder)
    done = subprocess.run(["./life"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "runtime error" not in done.stderr
    assert "ERROR" not in done.stderr


@pytest.mark.parametrize(("compiler", "language"), [("gcc", "c11"), ("clang", "c11"), ("gcc", "c++17"), ("clang", "c++17")])
def test_the_header_is_strict(compiler: str, language: str, text: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler} (`apt install {compiler}`)")
    options = [f"-std={language}", "-x", "c++" if language == "c++17" else "c", "-fsyntax-only"]
    for file in ["net.h", "main.c"] if language == "c11" else ["net.h"]:
        assert compile_c(*WARNINGS[:4], *options, file, folder=text, compiler=compiler) == ""


# --- texts, record, command -----------------------------------------------------------------------------------------------


def test_the_record_tells_what_is_there(text: Path) -> None:
    library_free = [f for f in os.listdir(text) if f.endswith((".so", ".a"))]
    assert library_free == []
    record = tf.compile(dense(), text, prefix="net", target="cuda", c_only=True).record
    assert (record["target"], record["archs"], record["isas"]) == ("cuda", ["sm_80", "sm_90"], [])
    assert set(record["files"]) == set(TEXTS)
    arguments = record["functions"]["train_step"]["arguments"]
    assert [a["name"] for a in arguments] == ["x", "labels", "learning_rate", "keep_prob"]
    assert set(record["arena_bytes"]) == {"cuda"}


def test_the_interface_is_that_of_the_c_library(text: Path, tmp_path: Path) -> None:
    """A program for the one compiles for the other: the same declarations, and one more."""
    tf.compile(dense(), tmp_path, prefix="net", c_only=True)
    in_c, here = (_declarations(folder / "net.h") for folder in (tmp_path, text))
    assert [line for line in here if line not in in_c] == ["NET_API const char *net_device_error(void);"]
    assert [line for line in in_c if line not in here] == []


def _declarations(header: Path) -> list[str]:
    return [line for line in header.read_text().splitlines() if line.startswith("NET_API")]


def test_equal_graphs_give_equal_bytes(text: Path, tmp_path: Path) -> None:
    tf.compile(dense(), tmp_path, prefix="net", target="cuda", c_only=True)
    assert all((tmp_path / name).read_bytes() == (text / name).read_bytes() for name in TEXTS)


@pytest.mark.parametrize("target", ["cuda:", "cuda:90", "cuda:sm_80,", "cuda:compute_80", "cudas"])
def test_other_targets_are_refused(target: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cuda"):
        tf.compile(dense(), tmp_path, target=target, c_only=True)


def test_what_is_about_processors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="isas is about processors"):
        tf.compile(dense(), tmp_path, target="cuda", isas=["native"], c_only=True)
    with pytest.raises(ValueError, match="split is about processors"):
        tf.compile(dense(), tmp_path, target="cuda", split=True, c_only=True)


def test_what_has_no_cuda_form_is_refused(tmp_path: Path) -> None:
    x = tf.placeholder(tf.string, [None], name="x")
    with pytest.raises(tf.errors.InvalidArgumentError, match="string"):
        tf.compile({"f": (tf.identity(x), x)}, tmp_path, target="cuda", c_only=True)


def test_without_nvcc_only_the_text_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfgraph.runtime import export_cuda

    monkeypatch.setattr(export_cuda, "find_nvcc", lambda: None)
    functions = dense()
    with pytest.raises(tf.errors.UnavailableError, match="c_only=True"):
        tf.compile(functions, tmp_path, prefix="net", target="cuda")
    tf.compile(functions, tmp_path, prefix="net", target="cuda", c_only=True)


def test_the_command(tmp_path: Path) -> None:
    script = tmp_path / "net.py"
    script.write_text(
        "import tfgraph as tf\n"
        "x = tf.placeholder(tf.float32, [None, 3], name='x')\n"
        "functions = {'double': (tf.multiply(x, 2.0, name='y'), x)}\n"
    )
    command = ["compile", str(script), "--output", str(tmp_path / "out"), "--prefix", "net", "--c-only", "--target"]
    assert main([*command, "cuda:sm_90"]) == 0
    assert "__global__ void double_k00" in (tmp_path / "out" / "net.cu").read_text()
    assert main([*command, "cuda:none"]) == 2
