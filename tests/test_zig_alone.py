"""`pip install .[zig]` is enough: with no compiler in PATH, Session and tf.compile work through the package ziglang."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ziglang", reason="needs zig (pip install ziglang)")

pytestmark = pytest.mark.xdist_group("zig alone")  # what zig builds first, it builds once
ROOT = Path(__file__).parent.parent


def alone(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python without any program in PATH, and with a home and a cache of its own."""
    (folder / "empty").mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TFGRAPH_", "XDG_", "ZIG_", "CC"))}
    own = {"PATH": str(folder / "empty"), "HOME": str(folder), "TFGRAPH_CACHE": str(folder / "cache")}
    line = [sys.executable, *words]
    return subprocess.run(line, cwd=ROOT, env=kept | own, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zig")


def test_ops_training_and_export_need_no_other_compiler(folder: Path) -> None:
    done = alone(folder, "-m", "tests._zig_alone", str(folder / "out"))
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["compiler"] is True
    assert not told["wrong"], "\n".join(told["wrong"])
    assert told["programs"] > 0, "the steps were compiled, not interpreted"
    assert told["session"] == told["library"]
    assert np.ptp(told["session"]) > 0
    assert {path.name for path in (folder / "out").iterdir()} >= {"libnet.so", "libnet.a", "net.safetensors"}


def test_what_zig_keeps_is_in_the_users_own_cache(folder: Path) -> None:
    done = alone(folder, "-c", "import tfgraph as tf; print(tf.Session().run(tf.constant(2.0) * tf.exp(tf.constant(0.0))))")
    assert done.returncode == 0, done.stderr[-4000:]
    for path in (folder / "cache", folder / "cache" / "zig"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert any((folder / "cache" / "zig").iterdir())
    assert not {".cache", ".zig-cache", "zig-cache"} & {path.name for path in folder.iterdir()}


def test_the_doctor_says_so(folder: Path) -> None:
    done = alone(folder, "-m", "tfgraph", "doctor", "--json")
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 0
    assert found["compiler"]["state"] == found["zig"]["state"] == found["self-test"]["state"] == "ok"
    assert "ziglang cc (found): " in found["compiler"]["found"]
