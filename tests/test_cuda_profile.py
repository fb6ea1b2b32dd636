"""Kernels of a GPU timed launch by launch: explanations, traces, and the limits they are set against."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._cuda import DRIVER
from tests._cuda_kernels import needs_cxx, needs_nvcc, spills
from tfgraph.codegen.cuda.launches import CudaLaunch
from tfgraph.codegen.cuda.program import CudaProgram
from tfgraph.codegen.ir import Plan
from tfgraph.runtime.cuda import launch_times
from tfgraph.runtime.cuda import peaks as peaks_module
from tfgraph.runtime.cuda.choice import find_driver
from tfgraph.runtime.cuda.gpu import Gpu
from tfgraph.runtime.cuda.launch_times import shares
from tfgraph.runtime.cuda.peaks import GpuPeaks, gpu_peaks, probe_source

LIMITS = GpuPeaks("a device", {"float32": 1e12, "float64": 5e11, "tf32": 8e12}, ((1 << 20, 1e12), (1 << 24, 1e11)))


@pytest.fixture(autouse=True)
def _graph(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TFGRAPH_CUDA", DRIVER)
    monkeypatch.delenv("TFGRAPH_BACKEND", raising=False)
    with tf.Graph().as_default():
        yield


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose limits are known without measuring."""
    monkeypatch.setattr(launch_times, "gpu_peaks", lambda gpu: LIMITS)


def network() -> tuple[Any, list[Any]]:
    """(x, [train, loss]) of a small network with dropout whose updates share launches."""
    x = tf.placeholder(tf.float32, [None, 8], name="x")
    with tf.device("/gpu:0"):
        hidden = x
        for i, size in enumerate((8, 6, 5)):
            weights = tf.Variable(np.full((hidden.shape[1], size), 0.1 * i - 0.05, np.float32), name=f"weights{i}")
            hidden = tf.nn.relu(tf.matmul(hidden, weights) + tf.Variable(np.full(size, 0.1, np.float32), name=f"biases{i}"))
        loss = tf.reduce_mean(tf.nn.dropout(hidden, 0.5, seed=1), name="loss")
        train = tf.train.AdamOptimizer(0.1).minimize(loss)
    return x, [train, loss]


def batch(size: int) -> np.ndarray:
    return np.random.default_rng(size).normal(size=(size, 8)).astype(np.float32)


# --- explanations -----------------------------------------------------------------------------------------------------


@needs_cxx
def test_kernels_have_times_and_shares_of_the_floor(limits: None) -> None:
    x, fetches = network()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        found = session.explain(fetches, {x: batch(70)}, profile=True)
    assert found.profile is not None
    assert found.profile.runs == 10
    assert found.seconds is not None
    assert 0 < found.seconds <= found.profile.wall_seconds
    for kernel in found.kernels:
        t = kernel.time
        assert t is not None
        assert t.floor_seconds == pytest.approx(max(kernel.flops / 1e12, kernel.bytes / 1e12))
        assert t.share_of_floor == pytest.approx(t.floor_seconds / t.seconds)
    text = str(found)
    assert "floor = max(FLOP / 1.00 TFLOP/s in float32, 500 GFLOP/s in float64, 8.00 TFLOP/s in tf32, bytes" in text
    assert "as measured on a device" in text
    shared = any(kernel.launched_with for kernel in found.kernels)
    assert ("share their launch's time in proportion to their floors" in text) == shared
    record = json.loads(found.to_json())
    assert record["profile"]["peaks"]["flops_per_second"]["tf32"] == 8e12


@needs_cxx
def test_a_profile_changes_nothing(limits: None) -> None:
    x, fetches = network()

    def losses(asks: bool) -> list[bytes]:
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            found = []
            for _ in range(3):
                if asks:
                    assert session.explain(fetches, {x: batch(6)}, profile=True).profile is not None
                found.append(session.run(fetches, {x: batch(6)})[1].tobytes())
            return [*found, *(value.tobytes() for value in session.run(tf.global_variables()))]

    assert losses(True) == losses(False)


@needs_cxx
def test_a_profile_of_a_first_write_leaves_no_variable(limits: None) -> None:
    with tf.device("/gpu:0"):
        v = tf.Variable(tf.random_uniform([4], seed=1) * 2.0)
        doubled = v * 2.0
    with tf.Session() as session:
        assert session.explain(v.initializer, profile=True).profile is not None
        with pytest.raises(tf.errors.FailedPreconditionError):
            session.run(doubled)
        session.run(v.initializer)
        np.testing.assert_allclose(session.run(doubled), 2 * session.run(v))


def test_launches_of_several_kernels_are_shared_out() -> None:
    launches = (CudaLaunch("a"), CudaLaunch("b"), CudaLaunch("b_total"))
    program = CudaProgram(
        source="", feeds=(), fetches=(), variables=(), constants=(), randoms=(), batch_bytes=0, fixed_bytes=0, kernels=(),
        plan=Plan({}, 0, 0, {}), kernel_count=3, launches=launches, launch_kernels=((0,), (1, 2), (1,)),
    )  # fmt: skip
    assert shares(program, [1.0, 4.0, 0.5], [9.0, 3.0, 1.0]) == [1.0, 3.5, 1.0]
    assert shares(program, [1.0, 4.0, 0.5], [0.0, 0.0, 0.0]) == [1.0, 2.5, 2.0]


@needs_cxx
def test_the_command_profiles_a_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import numpy as np, tfgraph as tf\n"
        "with tf.device('/gpu:0'):\n"
        "    x = tf.placeholder(tf.float32, [None, 8])\n"
        "    y = tf.nn.softmax(tf.matmul(x, tf.constant(np.ones((8, 4), np.float32))))\n"
        "with tf.Session() as session:\n"
        "    for n in (2, 5, 5):\n"
        "        session.run(y, {x: np.ones((n, 8))})\n"
    )
    arguments = ["explain", "--profile", "--format", "json", "--output", "o.json", "script.py"]
    done = subprocess.run(
        [sys.executable, "-m", "tfgraph", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    (program,) = json.loads((tmp_path / "o.json").read_text())
    assert program["batch"] == 5
    assert program["profile"]["runs"] == 2
    assert all(kernel["time"]["seconds"] > 0 for kernel in program["kernels"])
    assert program["profile"]["peaks"]["flops_per_second"]["float32"] > 1e6


# --- traces -----------------------------------------------------------------------------------------------------------


@needs_cxx
def test_a_traced_run(limits: None) -> None:
    """Every kernel's time stands at one operation of the GPU, and the run gives what it gives untraced."""
    pytest.importorskip("tensorboard", reason="RunMetadata is a message of the package tensorboard")
    x, fetches = network()

    def losses(traced: bool) -> tuple[list[bytes], Any]:
        metadata = tf.RunMetadata()
        options = {"options": tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE, output_partition_graphs=True)}
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            found = []
            for _ in range(2):
                more = {**options, "run_metadata": metadata} if traced else {}
                found.append(session.run(fetches, {x: batch(6)}, **more)[1].tobytes())
            (loaded,) = (p for step in session._steps.values() for p in getattr(step, "loaded_programs", ()) if p.feeds)
            assert loaded.watch is None
            return found, (metadata, loaded.kernel_count)

    found, (metadata, kernel_count) = losses(True)
    assert found == losses(False)[0]
    devices = {device.device.rpartition("device:")[2]: device for device in metadata.step_stats.dev_stats}
    assert set(devices) == {"CPU:0", "GPU:0"}
    assert [stats.node_name for stats in devices["CPU:0"].node_stats] == ["x"]
    stats = devices["GPU:0"].node_stats
    timed = [one for one in stats if one.op_end_rel_nanos > 0]
    runs = {one.timeline_label.partition("runs as ")[2] for one in timed}
    assert len(runs) == len(timed) == kernel_count
    assert {one.node_name for one in stats} >= {"loss", "weights0", "Adam/update_weights0/ApplyAdam"}
    assert {memory.allocator_name for one in stats for memory in one.memory} == {"GPU_0"}
    placed = {node.name: node.device.rpartition("device:")[2] for node in metadata.partition_graphs[0].node}
    assert placed["loss"] == "GPU:0"
    assert placed["x"] == "CPU:0"


# --- limits -----------------------------------------------------------------------------------------------------------


@needs_cxx
def test_limits_are_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TFGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(peaks_module, "LEAST_MILLISECONDS", 0.1)
    driver = find_driver()
    assert driver is not None
    gpu = Gpu(driver, 0, driver.devices()[0], tf.ConfigProto())
    found = gpu_peaks(gpu)
    assert set(found.flops_per_second) >= {"float32", "float64", "tf32", "bf16"}
    assert all(1e6 < speed < 1e16 for speed in found.flops_per_second.values())
    sizes, speeds = zip(*found.bandwidths, strict=True)
    assert list(sizes) == sorted(sizes)
    assert list(speeds) == sorted(speeds, reverse=True)
    assert gpu.pool.used == 0
    monkeypatch.setattr(peaks_module, "_Probe", lambda gpu: pytest.fail("measured again"))
    assert gpu_peaks(gpu) == found
    gpu.close()


def test_the_floor_takes_the_harder_limit() -> None:
    assert LIMITS.floor_seconds(10**9, 100) == pytest.approx(1e-3)
    assert LIMITS.floor_seconds(10**9, 100, item_size=8) == pytest.approx(2e-3)
    assert LIMITS.floor_seconds(10**9, 100, algorithm="128 x 64 tiles, tf32") == pytest.approx(1.25e-4)
    assert LIMITS.floor_seconds(10**9, 100, algorithm="128 x 64 tiles, bf16") == pytest.approx(1e-3)  # not measured
    assert LIMITS.floor_seconds(1, 1 << 27) == pytest.approx((1 << 27) / 1e11)
    assert LIMITS.floor_seconds(1, 1 << 10) == pytest.approx((1 << 10) / 1e12)


@needs_nvcc
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_the_probe_compiles_without_spills(arch: str, tmp_path: Path) -> None:
    assert spills(probe_source(tensor_cores=True), arch, tmp_path) == (7, [])
