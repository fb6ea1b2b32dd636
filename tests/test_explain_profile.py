"""Profiles of kernels, the limits they are set against, and `python -m tfgraph explain`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._compiled import COMPILER
from tests._explained import array, constant, default_environment, fed  # noqa: F401  a fixture among them
from tfgraph.runtime import peaks as peaks_module
from tfgraph.runtime.peaks import Peaks, peaks
from tfgraph.runtime.profile import Stopwatch

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
pytestmark = pytest.mark.usefixtures("graph", "environment")

LIMITS = Peaks(2, 1e11, ((1 << 16, 1e11), (1 << 26, 1e10)))


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Peaks:
    """A machine whose limits are known without measuring."""
    monkeypatch.setattr("tfgraph.runtime.explain.peaks", lambda threads: LIMITS)
    return LIMITS


# --- profiles ---------------------------------------------------------------------------------------------------------


@needs_compiler
def test_times_are_positive_and_below_the_wall_time(limits: Peaks) -> None:
    x = fed(64)
    y = tf.reduce_mean(tf.nn.softmax(tf.matmul(tf.nn.relu(tf.matmul(x, constant(64, 64))), constant(64, 10))), 0)
    begin = time.perf_counter()
    found = tf.Session().explain(y, {x: array(100, 64)}, profile=True)
    elapsed = time.perf_counter() - begin
    assert found.profile is not None
    assert all(kernel.time is not None and kernel.time.seconds > 0 for kernel in found.kernels)
    assert found.seconds is not None
    assert 0 < found.seconds <= found.profile.wall_seconds < elapsed
    for kernel in found.kernels:
        t = kernel.time
        assert t is not None
        floor = max(kernel.flops / 1e11, kernel.bytes / 1e11)  # all of these fit in the first footprint's cache
        assert t.floor_seconds == pytest.approx(floor)
        assert t.share_of_floor == pytest.approx(floor / t.seconds)
        assert t.gflops_per_second == pytest.approx(kernel.flops / t.seconds / 1e9)
    assert "of floor" in str(found)
    assert json.loads(found.to_json())["seconds"] == found.seconds


@needs_compiler
def test_a_profile_changes_nothing(limits: Peaks) -> None:
    x = fed(8)
    v = tf.Variable(array(8, 3))
    loss = tf.reduce_mean(tf.square(tf.nn.dropout(tf.matmul(x, v), 0.5, seed=1)))
    train = tf.train.AdamOptimizer(0.1).minimize(loss)
    feeds = {x: array(6, 8)}

    def losses(asks: bool) -> list[bytes]:
        session = tf.Session()
        session.run(tf.global_variables_initializer())
        found = []
        for _ in range(3):
            if asks:
                assert session.explain([train, loss], feeds, profile=True).profile is not None
            found.append(np.asarray(session.run([train, loss], feeds)[1]).tobytes())
        return [*found, session.run(v).tobytes()]

    assert losses(True) == losses(False)


@needs_compiler
def test_a_profile_of_a_first_write_leaves_no_variable(limits: Peaks) -> None:
    v = tf.Variable(tf.exp(tf.ones([4])))
    session = tf.Session()
    assert session.explain(v.initializer, profile=True) is not None
    with pytest.raises(tf.errors.FailedPreconditionError):
        session.run(v)
    session.run(v.initializer)
    np.testing.assert_allclose(session.run(v), np.full(4, np.e), rtol=1e-6)


@needs_compiler
def test_a_profile_raises_what_a_run_raises(limits: Peaks) -> None:
    x, v = fed(4), tf.Variable(np.zeros(4, np.float32), name="v")
    with pytest.raises(tf.errors.FailedPreconditionError):
        tf.Session().explain(tf.exp(x) + v, {x: array(2, 4)}, profile=True)


def test_a_stopwatch_stops_at_a_failed_check() -> None:
    class Step:
        N = 3

    calls: list[tuple[int, int]] = []

    def run(step: Any, first: int, last: int) -> int:
        calls.append((first, last))
        return 7 if first == 1 else 0

    watch = Stopwatch(run)
    assert watch(Step, 0, 3) == 7
    assert calls == [(0, 1), (1, 2)]
    assert watch.times[3].wall == float("inf")
    assert watch.usual_batch == 3


@needs_compiler
def test_peaks_are_measured_by_the_first_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks_module, "SECONDS_PER_FIGURE", 0.0)
    monkeypatch.setattr(peaks_module, "FOOTPRINTS", (1 << 16, 1 << 18))
    monkeypatch.setattr(peaks_module, "MEASUREMENTS", 2)
    found: dict[str, Peaks] = {}
    monkeypatch.setattr(peaks_module, "_found", found)
    first = peaks(1)
    assert 1e8 < first.flops_per_second < 1e13
    sizes, speeds = zip(*first.bandwidths)
    assert sizes == (1 << 16, 1 << 18)
    assert list(speeds) == sorted(speeds, reverse=True)
    found.clear()  # as in another process
    faster = Peaks(1, 2 * first.flops_per_second, ((1 << 16, 0.5 * speeds[0]), (1 << 18, 2 * speeds[1])))
    monkeypatch.setattr(peaks_module, "_measured", lambda threads, target: faster)
    best = Peaks(1, 2 * first.flops_per_second, ((1 << 16, speeds[0]), (1 << 18, 2 * speeds[1])))
    assert peaks(1) == best
    found.clear()
    monkeypatch.setattr(peaks_module, "_measured", lambda threads, target: pytest.fail("measured again"))
    assert peaks(1) == peaks(1) == best


def test_the_floor_takes_the_harder_limit() -> None:
    assert LIMITS.floor_seconds(10**9, 100) == pytest.approx(1e-2)
    assert LIMITS.floor_seconds(10**9, 100, item_size=8) == pytest.approx(2e-2)
    assert LIMITS.floor_seconds(1, 1 << 27) == pytest.approx((1 << 27) / 1e10)
    assert LIMITS.floor_seconds(1, 1 << 20) == pytest.approx((1 << 20) / 1e11)


# --- the command ------------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
import numpy as np
import tfgraph as tf
x = tf.placeholder(tf.float32, [None, 8], name="x")
y = tf.nn.relu(tf.matmul(x, tf.constant(np.full((8, 4), 0.37, np.float32))), name="act")
with tf.Session() as session:
    for n in (2, 5, 5):
        print(session.run(y, {x: np.full((n, 8), 0.61, np.float32)}).tobytes().hex())
print(sys.argv)
sys.exit(int(sys.argv[1]))
"""


def command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TFGRAPH_")}
    return subprocess.run(
        [sys.executable, "-m", "tfgraph", *arguments],
        env={**inherited, "TFGRAPH_CACHE": str(folder / "modules")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


@needs_compiler
def test_the_command_explains_a_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = command("explain", "script.py", "3", "--profile", folder=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "['script.py', '3', '--profile']" in done.stdout  # what follows the script is the script's
    assert "N = 5; 1 kernels of 2 nodes" in done.stdout
    assert "[MatMul], act" in done.stdout
    profiled = command("explain", "--profile", "--format", "json", "--output", "o.json", "script.py", "0", folder=tmp_path)
    assert profiled.returncode == 0, profiled.stderr
    (program,) = json.loads((tmp_path / "o.json").read_text())
    assert program["batch"] == 5
    assert program["profile"]["runs"] == 2
    assert program["kernels"][0]["time"]["seconds"] > 0
    results = [line for line in profiled.stdout.splitlines() if not line.startswith("[")]
    assert len(results) == 3
    assert results == [line for line in done.stdout.splitlines() if len(line) in {2 * 4 * 8, 5 * 4 * 8} and " " not in line]


@needs_compiler
def test_the_command_explains_a_module(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "part.py").write_text(SCRIPT)
    done = command("explain", "--format", "html", "package.part", "0", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "<table>" in done.stdout


def test_the_table_of_commands(tmp_path: Path) -> None:
    assert command("--version", folder=tmp_path).stdout.startswith("tfgraph ")
    without = command(folder=tmp_path)
    assert without.returncode == 2
    assert "explain" in without.stdout
    assert command("nothing", folder=tmp_path).returncode == 2
    empty = tmp_path / "empty.py"
    empty.write_text("raise SystemExit('no data')")
    done = command("explain", str(empty), folder=tmp_path)
    assert done.returncode == 1
    assert "no data" in done.stderr
    assert "No program was compiled" in done.stdout


@pytest.mark.parametrize("name", ["missing.py", "no_such_module", "no_such.module", "folder/missing", "folder"])
def test_a_script_that_is_not_there(name: str, tmp_path: Path, environment: None) -> None:
    (tmp_path / "folder").mkdir()
    done = subprocess.run([sys.executable, "-m", "tfgraph", "explain", name], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip() == f"python -m tfgraph explain: error: there is no file and no module {name!r}"
