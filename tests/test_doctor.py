"""`python -m tfgraph doctor`: what it finds, what it says of missing pieces, its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tfgraph.codegen.target import machine_target


def doctor(*options: str, **changed: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **changed}
    line = [sys.executable, "-m", "tfgraph", "doctor", *options]
    return subprocess.run(line, capture_output=True, text=True, env=env, timeout=300, check=False)


def findings(**changed: str) -> tuple[int, dict[str, Any]]:
    done = doctor("--json", **changed)
    return done.returncode, {one["name"]: one for one in json.loads(done.stdout)}


def test_a_machine_that_works(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    status, found = findings(TFGRAPH_CACHE=str(cache), TFGRAPH_NUM_THREADS="3", TFGRAPH_TARGET="")
    assert status == 0
    assert found["compiler"]["state"] == found["self-test"]["state"] == "ok"
    assert found["instructions"]["found"].startswith(machine_target().name)
    assert found["threads"]["found"].startswith("3 by TFGRAPH_NUM_THREADS")
    assert str(cache) in found["cache"]["found"]
    assert "mode 700" in found["cache"]["found"]
    assert any(cache.iterdir()), "the self-test compiles"
    assert "ok       compiler" in doctor(TFGRAPH_CACHE=str(cache)).stdout


def test_a_compiler_that_does_not_work(tmp_path: Path) -> None:
    status, found = findings(CC="false", TFGRAPH_CACHE=str(tmp_path / "cache"))
    assert status == 1
    assert found["self-test"]["state"] == "problem"
    status, found = findings(CC="no-such-compiler", TFGRAPH_CACHE=str(tmp_path / "cache"))
    assert status == 1
    assert "no-such-compiler" in found["compiler"]["found"]


def test_missing_packages_are_named_with_what_they_give(tmp_path: Path) -> None:
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text("import sys\nsys.modules['tensorboard'] = None\n")
    status, found = findings(PYTHONPATH=str(tmp_path), TFGRAPH_CACHE=str(tmp_path / "cache"))
    assert status == 0
    assert found["tensorboard"]["state"] == "missing"
    assert "tfgraph-compiler[tensorboard]" in found["tensorboard"]["advice"]
