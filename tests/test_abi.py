"""The generated cffi module is the one that the declarations give."""

from __future__ import annotations

from pathlib import Path

from tfgraph.runtime import abi


def test_the_generated_module_is_current(tmp_path: Path) -> None:
    abi.generate(tmp_path / "_step_abi.py")
    assert (tmp_path / "_step_abi.py").read_text() == abi.GENERATED.read_text(), "run python -m tfgraph.runtime.abi"
