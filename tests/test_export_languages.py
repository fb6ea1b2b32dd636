"""The example programs in several languages: each is built, trains through the exported library and prints the losses
that the Session computes, to the last bit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import _exported
from tests._exported import PROGRAMS, run
from tfgraph.examples import mnist

pytestmark = pytest.mark.xdist_group(_exported.GROUP)
STEPS = 6


@dataclass(frozen=True)
class Language:
    """How a program is built in a folder that has its sources: the result is the command that runs it."""

    build: Callable[[Path, Path], list[str | Path]]
    tools: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    exact: bool = True  # it runs on the Session's own instruction set


def cpp(folder: Path, library: Path) -> list[str | Path]:
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{library}", f"-L{library}"]
    run(["c++", *flags, "train.cpp", "-lmnist", "-o", "train"], folder)
    return ["./train"]


def go(folder: Path, library: Path) -> list[str | Path]:
    settings = {
        "CGO_CFLAGS": f"-I{library}",
        "CGO_LDFLAGS": f"-L{library}",
        "CGO_ENABLED": "1",
        "GOCACHE": str(folder / "cache"),
        "GOPATH": str(folder / "path"),
        "GOFLAGS": "-mod=mod",
        "GO111MODULE": "off",
    }
    run(["go", "build", "-o", "train", "train.go"], folder, {**os.environ, **settings})
    return ["./train"]


def java(folder: Path, library: Path) -> list[str | Path]:
    home = Path(shutil.which("javac") or "").resolve().parent.parent
    run(["javac", "-h", ".", "Train.java"], folder)
    headers = [f"-I{library}", "-I.", f"-I{home / 'include'}", f"-I{home / 'include' / 'linux'}"]
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", "libmnist_jni.so"]
    run(["cc", *flags, *headers, "mnist_jni.c", library / "libmnist.a", "-lm", "-pthread"], folder)
    return ["java", "-Djava.library.path=.", "Train"]


def rust(folder: Path, library: Path) -> list[str | Path]:
    run(["rustc", "-O", "-D", "warnings", "-L", library, "-l", "mnist", "train.rs"], folder)
    return ["./train"]


def python(folder: Path, library: Path) -> list[str | Path]:
    """Alone with the standard library: no site-packages, nothing from the environment."""
    isolated = [sys.executable, "-I", "-S"]
    done = run([*isolated, "-c", "import importlib.util as u; print(u.find_spec('tfgraph'), u.find_spec('numpy'))"], folder)
    assert done == "None None\n"
    return [*isolated, "train.py", library / "libmnist.so"]


def javascript(folder: Path, library: Path) -> list[str | Path]:
    """The same net as WebAssembly."""
    arguments = ["--epochs", "0", "--output", str(folder / "output"), "--export", str(folder / "wasm")]
    assert mnist.main([*arguments, "--target", "wasm32"]) == 0
    return ["node", "--no-warnings", "train.js", "wasm/mnist.wasm"]


LANGUAGES = {
    "cpp": Language(cpp, ("c++",)),
    "go": Language(go, ("go", "cc")),
    "java": Language(java, ("javac", "java", "cc")),
    "rust": Language(rust, ("rustc", "cc")),
    "python": Language(python),
    "javascript": Language(javascript, ("node",), ("ziglang",), exact=False),
}


def works(tool: str) -> bool:
    """True if a tool is there and starts: rustup's rustc does not, for a user without a toolchain."""
    if shutil.which(tool) is None:
        return False
    question = "version" if tool == "go" else "--version"
    return subprocess.run([tool, question], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_program_trains_as_the_session_does(name: str, tmp_path: Path) -> None:
    language = LANGUAGES[name]
    missing = [tool for tool in language.tools if not works(tool)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} in PATH, and set up for this user")
    for package in language.packages:
        pytest.importorskip(package)
    folder = Path(shutil.copytree(PROGRAMS / name, tmp_path / name))
    library = _exported.library()
    command = language.build(folder, library)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library)}
    printed = run([*command, _exported.data(), str(STEPS)], folder, environment)
    expected = _exported.session_losses(STEPS)
    assert _exported.same_numbers(printed, expected, exact=language.exact), f"{printed}\n{expected}"
