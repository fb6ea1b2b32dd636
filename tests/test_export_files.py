"""The folder that tf.compile writes: what compilers and linkers say of it, its record, its errors, the command."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._c_compiler import COMPILER, compile_c
from tests.test_export import convolutional, dense
from tfgraph.__main__ import main
from tfgraph.codegen.export.names import prefix_of

pytestmark = [pytest.mark.xdist_group("export"), pytest.mark.usefixtures("graph")]
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler in PATH")
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fopenmp-simd")
API = {
    "create", "create_in", "destroy", "initialize", "set_threads", "save", "load", "load_weights", "isa", "error_string",
    "arena_bytes", "instance_bytes", "failed_check", "train_step", "predict",
}  # fmt: skip

CALLER = """
#include "net.h"
#include <vector>
int main()
{
    net *model = net_create();
    if (model == nullptr)
        return 1;
    std::vector<float> x(3 * 12), probabilities(3 * 4);
    int status = net_initialize(model, 1);
    if (status == NET_OK)
        status = net_predict(model, 3, x.data(), probabilities.data());
    net_destroy(model);
    return status == NET_OK && probabilities[0] > 0.0f ? 0 : 2;
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dense net as a user gets it."""
    path = tmp_path_factory.mktemp("exported")
    with tf.Graph().as_default():
        tf.compile(dense(), path, prefix="net", c_only=COMPILER is None)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolutional net, C only."""
    path = tmp_path_factory.mktemp("source")
    with tf.Graph().as_default():
        tf.compile(convolutional(), path, prefix="net", c_only=True, isas=["sse2", "avx2", "avx512"])
    return path


def _commands() -> Mapping[str, list[str]]:
    found = {name: [path] for name in ("gcc", "clang") if (path := shutil.which(name))}
    try:
        import ziglang  # noqa: F401
    except ImportError:
        return found
    return found | {"zig cc": [sys.executable, "-m", "ziglang", "cc"]}


# --- what compilers and linkers say ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["c11", "c++17"])
@pytest.mark.parametrize("name", ["gcc", "clang", "zig cc"])
def test_compilers_have_nothing_to_complain_about(name: str, language: str, source: Path, tmp_path: Path) -> None:
    command = _commands().get(name)
    if command is None:
        pytest.skip(f"needs {name} (`apt install {name}` or `pip install ziglang`)")
    options = ["-x", "c++"] if language == "c++17" else []
    for machine in ("x86-64", "haswell", "skylake-avx512"):
        processor = f"-mcpu={machine.replace('-', '_')}" if name == "zig cc" else f"-march={machine}"
        target = ["-target", "x86_64-linux-gnu", "-c", "-o", "out.o"] if name == "zig cc" else ["-fsyntax-only"]
        for file in ("net.c", "main.c"):
            words = [*command, *target, f"-std={language}", *WARNINGS, processor, *options, str(source / file)]
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[:3000]
            assert "warning" not in done.stderr


@needs_compiler
def test_a_cpp_program_calls_it(folder: Path, tmp_path: Path) -> None:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("needs a C++ compiler (`apt install g++`)")
    (tmp_path / "caller.cpp").write_text(CALLER)
    words = ("-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{folder}", "caller.cpp", folder / "libnet.a")
    compile_c(*words, "-pthread", "-o", "caller", folder=tmp_path, compiler=compiler)
    assert subprocess.run([tmp_path / "caller"]).returncode == 0


@needs_compiler
def test_the_c_file_alone_makes_a_library_and_the_example_runs(folder: Path, tmp_path: Path) -> None:
    compile_c("-O1", "-shared", "-fPIC", "-pthread", "-o", "libnet.so", folder / "net.c", "-lm", folder=tmp_path)
    compile_c("-o", "example", folder / "main.c", "libnet.so", "-Wl,-rpath,.", folder=tmp_path)
    done = subprocess.run([tmp_path / "example"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "train_step: no error" in done.stdout


@needs_compiler
def test_the_library_shows_its_functions_only_and_needs_libc_and_libm(folder: Path) -> None:
    for tool in ("nm", "readelf", "ldd"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool} (`apt install binutils libc-bin`)")
    library = str(folder / "libnet.so")
    symbols = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    assert {line.split()[-1] for line in symbols.splitlines()} == {f"net_{name}" for name in API}
    headers = subprocess.run(["readelf", "-lW", library], capture_output=True, text=True, check=True).stdout
    (stack,) = [line for line in headers.splitlines() if "GNU_STACK" in line]
    assert " RW " in stack
    needed = subprocess.run(["ldd", library], capture_output=True, text=True, check=True).stdout
    names = {Path(line.split()[0]).name.split(".so")[0] for line in needed.splitlines()}
    assert names <= {"linux-vdso", "libm", "libc", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64"}
    assert Path(library).stat().st_size < 300_000


# --- the folder -----------------------------------------------------------------------------------------------------------


def test_the_record_describes_functions_and_files(folder: Path) -> None:
    record = json.loads((folder / "net.json").read_text())
    images, labels, rate, keep = record["functions"]["train_step"]["arguments"]
    assert (images["name"], images["dtype"], images["shape"]) == ("x", "float32", ["batch", 12])
    assert (labels["c_type"], labels["shape"]) == ("int32_t", ["batch"])
    assert rate["by_value"]
    assert keep["by_value"]
    assert [o["name"] for o in record["functions"]["predict"]["outputs"]] == ["probabilities"]
    assert {"name": "out/kernel/Adam_1", "dtype": "float32", "shape": [20, 4]} in record["variables"]
    for name, entry in record["files"].items():
        content = (folder / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])
    assert set(record["files"]) | {"net.json"} == {path.name for path in folder.iterdir()}


def test_equal_graphs_give_equal_bytes(source: Path, tmp_path: Path) -> None:
    tf.compile(convolutional(), tmp_path / "again", prefix="net", c_only=True, isas=["sse2", "avx2", "avx512"])
    for path in source.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_c_only_needs_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    functions = dense()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setitem(sys.modules, "ziglang", None)
    exported = tf.compile(functions, tmp_path / "net", c_only=True)
    assert exported.library is None
    assert (tmp_path / "net" / "net.c").is_file()


def test_files_of_others_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    with pytest.raises(FileExistsError, match=r"main\.c is there already"):
        tf.compile(dense(), tmp_path, prefix="net", c_only=True)
    assert [path.name for path in tmp_path.iterdir()] == ["main.c"]


def test_the_header_names_the_instruction_sets(source: Path) -> None:
    assert "one of sse2, avx2, avx512. */" in (source / "net.h").read_text()


# --- errors ---------------------------------------------------------------------------------------------------------------


NO_PREFIXES = ("", "9net", "a b", "../net", "class", "time", "math", "c", "m", "tg_net", "net/x", "x" * 49)


@pytest.mark.parametrize("prefix", NO_PREFIXES)
def test_a_prefix_that_c_cannot_have_is_refused(prefix: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="prefix"):
        tf.compile(dense(), tmp_path, prefix=prefix, c_only=True)


@pytest.mark.parametrize(
    ("folder", "prefix"),
    [("my-net.v2", "my_net_v2"), ("2nd", "m2nd"), ("math", "math_model"), ("c", "c_model"), ("...", "model")],
)
def test_the_folder_names_the_library(folder: str, prefix: str) -> None:
    assert prefix_of(folder) == prefix


def refused(functions: Any, text: str, folder: Path, **options: Any) -> tf.errors.InvalidArgumentError:
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        tf.compile(functions, folder, prefix="net", c_only=True, **options)
    assert text in str(error.value)
    assert __file__ in str(error.value), "it names the line of the user's script"
    assert not folder.exists()
    return error.value


def test_what_c_cannot_compute_is_refused_at_its_line(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    shapeless = tf.placeholder(tf.float32, [None, None], name="open")
    words = tf.placeholder(tf.string, [], name="words")
    half = tf.placeholder(tf.float16, [None], name="half")
    flag = tf.placeholder(tf.bool, [], name="flag")
    branch = tf.cond(flag, lambda: x * 2.0, lambda: x + 1.0)
    folder = tmp_path / "net"
    refused({"f": (tf.reduce_sum(shapeless), [shapeless])}, "only the first dimension", folder)
    refused({"f": (tf.identity(half), [half])}, "float16", folder)
    refused({"f": (tf.identity(words), [words])}, "works on strings", folder)
    refused({"f": (x * 2.0, [])}, "Function 'f' needs x:0: add it to its feeds", folder)
    refused({"f": (x * 2.0, [x, flag])}, "does not use its argument flag:0", folder)
    refused({"f": (x, [x])}, "is an argument of it", folder)
    error = refused({"f": (branch, [x, flag])}, "The value of flag:0 decides what is computed", folder)
    assert error.op is flag.op
    tf.compile({"f": (branch, [x], {flag: True})}, folder, prefix="net", c_only=True)


@needs_compiler
@pytest.mark.parametrize("name", ["int", "class", "NULL", "errno", "main", "model", "initialize_program"])
def test_words_of_c_are_names_of_functions_like_any_other(name: str, tmp_path: Path) -> None:
    """What a user calls a function stands nowhere in the code without the prefix before it or something behind it."""
    x = tf.placeholder(tf.float32, [None, 3], "x")
    tf.compile({name: (tf.nn.relu(x), [x])}, tmp_path, prefix="net", isas=["native"])
    assert f"int net_{name}(net *model" in (tmp_path / "net.h").read_text()
    compile_c("-c", *WARNINGS, "-o", "main.o", "main.c", folder=tmp_path)


@pytest.mark.parametrize("name", ["create", "9f", "a-b", "save", ""])
def test_names_of_functions_are_checked(name: str, tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [None])
    with pytest.raises(ValueError, match="functions"):
        tf.compile({name: (x * 2.0, x)}, tmp_path, prefix="net", c_only=True)


def test_names_in_c_are_the_nodes_or_the_given_ones(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [None], name="scope/class")
    y = tf.placeholder(tf.float32, [None], name="int")
    total = tf.add(x, y, name="scope/class_1")
    functions = {"f": (total, [x, y]), "g": ({"sum": total}, {"left": x, "right": y})}
    record = tf.compile(functions, tmp_path, prefix="net", c_only=True).record["functions"]
    found = {name: [p["name"] for p in (*f["arguments"], *f["outputs"])] for name, f in record.items()}
    assert found == {"f": ["scope_class", "int_2", "scope_class_1"], "g": ["left", "right", "sum"]}
    with pytest.raises(ValueError, match="'class'"):
        tf.compile({"f": ({"class": total}, [x, y])}, tmp_path, prefix="net", c_only=True)


# --- the command ----------------------------------------------------------------------------------------------------------


def test_the_command_compiles_what_a_file_defines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "doubled.py"
    script.write_text(
        "import tfgraph as tf\n"
        "x = tf.placeholder(tf.float32, [None], name='x')\n"
        "functions = {'double_it': (2.0 * x, x)}\n"
        "assert __name__ != '__main__'\n"
    )
    assert main(["compile", str(script), "--output", str(tmp_path / "out"), "--c-only", "--isas", "sse2"]) == 0
    assert "out.c" in capsys.readouterr().out
    assert "out_double_it(out *model, int64_t batch, const float *x, float *mul)" in (tmp_path / "out" / "out.h").read_text()
    assert main(["compile", str(script)]) == 2
    assert "--output" in capsys.readouterr().err
    assert main(["compile", str(script), "--output", "x", "--functions", "others"]) == 2
    assert "others" in capsys.readouterr().err
    assert main(["compile", str(tmp_path / "none.py"), "--output", "x"]) == 2


def test_variables_start_where_their_initial_values_say(tmp_path: Path) -> None:
    """Numbers, arrays, other variables' values: an average's slot starts as its variable does."""
    if COMPILER is None:
        pytest.skip("needs a C compiler in PATH")
    from tests._export_library import Library

    weights = tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3), name="weights")
    bias = tf.Variable(tf.fill([3], 0.25), name="bias")
    doubled = tf.Variable(2.0 * weights.initialized_value(), name="doubled")
    average = tf.train.ExponentialMovingAverage(0.5)
    update = average.apply([weights])
    values = {"weights_now": tf.identity(weights), "sum": doubled + bias, "slow": tf.identity(average.average(weights))}
    tf.compile({"values": (values, []), "update": (update, [])}, tmp_path, prefix="net", isas=["native"])
    instance = Library(tmp_path).create()
    assert instance.initialize() == "OK"
    expected = np.arange(6, dtype=np.float32).reshape(2, 3)
    now, total, slow = instance.results("values", 0)
    np.testing.assert_array_equal(now, expected)
    np.testing.assert_array_equal(total, 2 * expected + 0.25)
    np.testing.assert_array_equal(slow, expected)
    instance.destroy()
