"""What is in the library of the exported digits trainer: what it needs, how large it is, what it shows and what it tells."""

from __future__ import annotations

import getpass
import re
import shutil
import socket
from pathlib import Path

import pytest

from tests import _exported
from tests._c_compiler import COMPILER
from tests._exported import run
from tfgraph.examples import digits

TOOLS = ("ldd", "readelf", "nm", "strip")
pytestmark = [
    pytest.mark.xdist_group(_exported.GROUP),
    pytest.mark.skipif(COMPILER is None, reason="needs a C compiler in PATH"),
    pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {', '.join(TOOLS)} in PATH"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "digits"
    output = tmp_path_factory.mktemp("output")
    assert digits.main(["--epochs", "0", "--output", str(output), "--export", str(folder)]) == 0
    return folder


def test_it_needs_libc_and_libm_only(folder):
    lines = run(["ldd", "libdigits.so"], folder).splitlines()
    names = {Path(line.split()[0]).name.split(".")[0] for line in lines}
    assert names <= {"linux-vdso", "libc", "libm", "ld-linux-x86-64", "ld-linux-aarch64"}
    assert "libc" in names


def test_it_is_small(folder, tmp_path):
    """So is LeNet for images of 28x28."""
    for library in (folder / "libdigits.so", _exported.library() / "libmnist.so"):
        run(["strip", "-o", "stripped.so", library], tmp_path)
        assert (tmp_path / "stripped.so").stat().st_size < 300_000


def test_its_stack_cannot_be_executed_and_its_tables_cannot_be_written(folder):
    lines = run(["readelf", "-lW", "libdigits.so"], folder).splitlines()
    [stack] = [line.split() for line in lines if "GNU_STACK" in line]
    assert stack[-2] == "RW"
    assert any("GNU_RELRO" in line for line in lines)
    assert not any("LOAD" in line and "RWE" in line for line in lines)


@pytest.mark.parametrize("library", ["libdigits.so", "libdigits.a"])
def test_it_shows_the_functions_of_its_header_only(folder, library):
    dynamic = ["-D"] if library.endswith(".so") else []
    lines = run(["nm", "-g", "--defined-only", *dynamic, library], folder).splitlines()
    shown = {line.split()[-1] for line in lines if len(line.split()) == 3}
    header = re.sub(r"/\*.*?\*/", "", (folder / "digits.h").read_text(), flags=re.DOTALL)
    declared = set(re.findall(r"\b(digits_\w+)\(", header))
    assert {"digits_create", "digits_train_step", "digits_predict"} <= declared
    if library.endswith(".so"):
        assert shown == declared
    else:  # an archive's hidden symbols are seen by nm, but by nobody who links the library into another
        assert declared <= shown
        assert all(name.startswith("digits_") for name in shown)


def test_it_tells_nothing_of_where_it_was_made(folder):
    """No path, user or host, in the library or in a text beside it."""
    secrets = {str(folder.parent), str(Path.home()), str(Path.cwd()), f"/{getpass.getuser()}/", socket.gethostname()}
    secrets -= {"/", "localhost"}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert folder / "libdigits.so" in files
    for path in files:
        content = path.read_bytes()
        found = [secret for secret in secrets if len(secret) > 3 and secret.encode() in content]
        assert not found, path
