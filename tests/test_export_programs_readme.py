"""The short C program in README.md, with the Python that exports its library: both as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests._c_compiler import COMPILER, compile_c
from tests._exported import run
from tests._subprocesses import ROOT, run_script

README = ROOT / "README.md"


def blocks(language: str, part: str) -> list[str]:
    """README's blocks of code in a language that contain `part`."""
    found = re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [block for block in found if part in block]


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler in PATH")
def test_the_program_trains(tmp_path: Path) -> None:
    programs, exports = blocks("c", "int main"), blocks("python", "tf.compile(")
    if not programs or not exports:
        pytest.skip("README.md has no C program and no tf.compile: nothing to try")
    net = next(block for block in blocks("python", "import tfgraph as tf") if "placeholder" in block)
    script = net + exports[0] if exports[0] != net else net
    assert len(programs[0].strip().splitlines()) <= 16
    run_script(f"{script}\nprint('0')", tmp_path / "cache")
    folder = tmp_path / "product"
    assert (folder / "product.h").exists()
    (tmp_path / "train.c").write_text(programs[0])
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-Iproduct"]
    compile_c(*flags, "train.c", "product/libproduct.a", "-lm", "-pthread", folder=tmp_path)
    loss = float(run([tmp_path / "a.out"], tmp_path).split()[0])
    assert np.isfinite(loss)
    assert loss < 1e-3
