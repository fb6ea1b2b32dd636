"""Sessions on a GPU, the host shim standing for it: placement, variables that are on two devices, failures, limits."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._cuda import DRIVER
from tests._cuda_kernels import needs_cxx
from tfgraph.codegen.cuda import compile as cuda_compile
from tfgraph.codegen.cuda import kinds
from tfgraph.codegen.cuda.launches import count
from tfgraph.runtime.cuda import choice
from tfgraph.runtime.cuda import step as cuda_step
from tfgraph.runtime.cuda.driver import DeviceInfo
from tfgraph.runtime.cuda.shim_driver import ShimDriver
from tfgraph.runtime.cuda.step import CudaStep

pytestmark = needs_cxx


@pytest.fixture(autouse=True)
def _graph(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TFGRAPH_CUDA", DRIVER)
    with tf.Graph().as_default():
        yield


def steps_of(session: tf.Session) -> set[type]:
    """The kinds of steps that the session has run."""
    return {type(step) for step in session._steps.values()}


def doubled(device: str | None = "/gpu:0") -> tuple[Any, Any]:
    with tf.device(device):
        x = tf.placeholder(tf.float32, [None])
        return x, x * 2.0 + 1.0


# --- placement --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("device", "cuda"), [("/gpu:0", True), (None, True), ("/cpu:0", False)])
def test_where_a_step_runs(device: str | None, cuda: bool) -> None:
    x, y = doubled(device)
    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(y, {x: [1.0, 2.0]}), [3.0, 5.0])
        assert (steps_of(session) == {CudaStep}) == cuda


def test_devices_are_listed_and_may_be_forbidden() -> None:
    x, y = doubled(None)

    def kinds_of(config: Any) -> list[str]:
        return [device.device_type for device in tf.Session(config=config).list_devices()]

    assert set(kinds_of(tf.ConfigProto())) == {"CPU", "GPU"}
    forbidding = tf.ConfigProto(device_count={"GPU": 0})
    assert kinds_of(forbidding) == ["CPU"]
    with tf.Session(config=forbidding) as session:
        session.run(y, {x: [1.0]})
        assert CudaStep not in steps_of(session)


@pytest.mark.parametrize("device", ["/gpu:0", "/gpu:3"])
def test_no_such_device(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soft placement takes another GPU if there is one, else the CPU, as in TensorFlow."""
    x, y = doubled(device)
    if device == "/gpu:0":
        monkeypatch.setenv("TFGRAPH_CUDA", "off")
    with tf.Session() as session, pytest.raises(tf.errors.InvalidArgumentError, match="allow_soft_placement=True"):
        session.run(y, {x: [1.0]})
    with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as session:
        assert session.run(y, {x: [1.0]}) == [3.0]
        assert (CudaStep in steps_of(session)) == (device == "/gpu:3")


class TwoDevices(ShimDriver):
    """A machine with two GPUs, of which the second one is used like the first."""

    def devices(self) -> list[DeviceInfo]:
        (one,) = super().devices()
        return [one, replace(one, name="another shim")]


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = TwoDevices()
    monkeypatch.setattr(choice, "find_driver", lambda: driver)
    monkeypatch.setattr(cuda_step, "find_driver", lambda: driver)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["host shim", "another shim"]),
        ({"gpu_options": tf.GPUOptions(visible_device_list="1")}, ["another shim"]),
        ({"gpu_options": tf.GPUOptions(visible_device_list="1, 0")}, ["another shim", "host shim"]),
        ({"device_count": {"GPU": 1}}, ["host shim"]),
        ({"device_count": {"GPU": 1}, "gpu_options": tf.GPUOptions(visible_device_list="1,0")}, ["another shim"]),
        ({"device_count": {"GPU": 0}}, []),
    ],
)
def test_visible_devices(options: Any, names: list[str], two_devices: None, capsys: pytest.CaptureFixture[str]) -> None:
    config = tf.ConfigProto(log_device_placement=True, **options)
    assert [info.name for _, info in choice.devices(config)] == names
    x, y = doubled(f"/gpu:{len(names) - 1}" if names else None)
    with tf.Session(config=config) as session:
        np.testing.assert_array_equal(session.run(y, {x: [1.0]}), [3.0])
        assert (CudaStep in steps_of(session)) == bool(names)
    said = capsys.readouterr().err
    for i, name in enumerate(names):
        number = ["host shim", "another shim"].index(name)
        assert f"device:GPU:{i} -> device: {number}, name: {name}, compute capability: 8.0" in said


@pytest.mark.parametrize(
    ("visible", "message"),
    [
        ("2", "'visible_device_list' listed an invalid GPU id '2' but visible device count is 2"),
        ("0,one", "Could not parse entry in 'visible_device_list': 'one'"),
        ("1,1", "names GPU 1 twice"),
    ],
)
def test_wrong_visible_devices(visible: str, message: str, two_devices: None) -> None:
    x, y = doubled()
    config = tf.ConfigProto(gpu_options=tf.GPUOptions(visible_device_list=visible))
    with tf.Session(config=config) as session, pytest.raises(tf.errors.InvalidArgumentError, match=message):
        session.run(y, {x: [1.0]})


def test_log_device_placement(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = doubled()
    with tf.Session(config=tf.ConfigProto(log_device_placement=True)) as session:
        session.run(y, {x: [1.0]})
    said = capsys.readouterr().err
    assert said.startswith("Device mapping:\n")
    assert "mul: (Mul): /job:localhost/replica:0/task:0/device:GPU:0" in said


def test_log_of_a_step_that_moves_to_the_cpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delitem(kinds.TABLE, "scan")
    with tf.device("/gpu:0"):
        x = tf.placeholder(tf.float32, [None])
        y = tf.cumsum(x, name="moved")
    with tf.Session(config=tf.ConfigProto(log_device_placement=True, allow_soft_placement=True)) as session:
        np.testing.assert_array_equal(session.run(y, {x: [2.0, 3.0]}), [2.0, 5.0])
    placed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("moved: ")]
    assert [line.rpartition("device:")[2] for line in placed] == ["GPU:0", "CPU:0"]


def test_no_cuda_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Placed on the GPU it is an error; with soft placement, or placed nowhere, the step runs on the CPU."""
    monkeypatch.delitem(kinds.TABLE, "scan")
    x = tf.placeholder(tf.float32, [None])
    anywhere = tf.cumsum(x)
    with tf.device("/gpu:0"):
        there = tf.cumsum(x)
    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(anywhere, {x: [1.0, 2.0]}), [1.0, 3.0])
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"no supported kernel for GPU devices.*Cumsum"):
            session.run(there, {x: [1.0]})
    with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as session:
        np.testing.assert_array_equal(session.run(there, {x: [1.0, 2.0]}), [1.0, 3.0])


def test_unknown_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CUDA", "yes")
    x, y = doubled()
    with tf.Session() as session, pytest.raises(ValueError, match="TFGRAPH_CUDA must be off or shim"):
        session.run(y, {x: [1.0]})


# --- variables --------------------------------------------------------------------------------------------------------


def test_variables_on_two_devices() -> None:
    """What either device writes the other one reads, however often they take turns."""
    v = tf.Variable(np.arange(4, dtype=np.float32))
    with tf.device("/gpu:0"):
        there = tf.assign_add(v, tf.ones([4]) * 10.0)
    with tf.device("/cpu:0"):
        here = tf.assign(v, v * 2.0)
        seen = v + 0.5
    with tf.Session() as session:
        session.run(v.initializer)
        want = np.arange(4, dtype=np.float32)
        for _ in range(3):
            session.run(there)
            session.run(there)
            want = want + 20
            np.testing.assert_array_equal(session.run(seen), want + 0.5)
            session.run(here)
            want = want * 2
            session.run(there)
            want = want + 10
            np.testing.assert_array_equal(session.run(v), want)
        v.load(np.zeros(4, np.float32), session)
        session.run(there)
        np.testing.assert_array_equal(session.run(v), [10.0] * 4)


def test_checkpoint_of_a_session_on_the_gpu(tmp_path: Path) -> None:
    v = tf.Variable(np.ones(3, np.float32))
    with tf.device("/gpu:0"):
        step = tf.assign_add(v, tf.ones([3]))
    saver = tf.train.Saver()
    with tf.Session() as session:
        session.run(v.initializer)
        session.run(step)
        path = saver.save(session, str(tmp_path / "model"))
        session.run(step)
        np.testing.assert_array_equal(session.run(v), [3.0] * 3)
        saver.restore(session, path)
        session.run(step)
        np.testing.assert_array_equal(session.run(v), [3.0] * 3)


def test_uninitialized_variable() -> None:
    v = tf.Variable(np.ones(3, np.float32), name="v")
    with tf.device("/gpu:0"):
        y = v * 2.0
    with tf.Session() as session:
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value v"):
            session.run(y)
        session.run(v.initializer)
        np.testing.assert_array_equal(session.run(y), [2.0] * 3)


def test_first_value_from_the_gpu() -> None:
    """A variable whose first value a step on the GPU makes, and random numbers of the CPU's seeds."""
    with tf.device("/gpu:0"):
        v = tf.Variable(tf.random_uniform([33], seed=3) * 2.0)
    with tf.Session() as session:
        session.run(v.initializer)
        first = session.run(v)
    with tf.Session(config=tf.ConfigProto(device_count={"GPU": 0}, allow_soft_placement=True)) as session:
        session.run(v.initializer)
        np.testing.assert_array_equal(first, session.run(v))


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_failed_check_leaves_a_variable_without_a_value() -> None:
    x = tf.placeholder(tf.int32, [2])
    with tf.device("/gpu:0"):
        v = tf.Variable(tf.floordiv(12, x))
    with tf.Session() as session:
        with pytest.raises(tf.errors.InvalidArgumentError, match="division by zero"):
            session.run(v.initializer, {x: [3, 0]})
        with pytest.raises(tf.errors.FailedPreconditionError):
            session.run(v)
        session.run(v.initializer, {x: [3, 4]})
        np.testing.assert_array_equal(session.run(v), [4, 3])


def test_a_failed_check_changes_nothing() -> None:
    x = tf.placeholder(tf.int32, [None])
    v = tf.Variable(np.zeros(3, np.int32))
    with tf.device("/gpu:0"):
        quotient = tf.floordiv(12, x)
        with tf.control_dependencies([quotient]):
            update = tf.assign_add(v, tf.reduce_sum(quotient) + tf.zeros([3], tf.int32))
    with tf.Session() as session:
        session.run(v.initializer)
        session.run(update, {x: [3, 4]})
        with pytest.raises(tf.errors.InvalidArgumentError, match="division by zero"):
            session.run(update, {x: [3, 0]})
        np.testing.assert_array_equal(session.run(v), [7, 7, 7])
        session.run(update, {x: [12, 6]})
        np.testing.assert_array_equal(session.run(v), [10, 10, 10])


# --- found again ------------------------------------------------------------------------------------------------------


def test_a_second_process_compiles_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Programs and their images are found on the disk, each precision's apart."""
    monkeypatch.setenv("TFGRAPH_CACHE", str(tmp_path / "cache"))
    compiled: list[str] = []

    def compiling(*arguments: Any, **named: Any) -> Any:
        compiled.append(os.environ.get("TFGRAPH_CUDA_PRECISION", ""))
        return cuda_compile.compile_cuda_program(*arguments, **named)

    monkeypatch.setattr(cuda_step, "compile_cuda_program", compiling)
    x = tf.placeholder(tf.float32, [None, 4])
    with tf.device("/gpu:0"):
        w = tf.Variable(np.full((4, 3), 0.5, np.float32))
        loss = tf.reduce_sum(tf.nn.dropout(tf.matmul(x, w), 0.5, seed=3))
        train = tf.train.AdamOptimizer(0.1).minimize(loss)

    def losses() -> list[bytes]:
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            return [session.run([train, loss], {x: np.ones((5, 4), np.float32)})[1].tobytes() for _ in range(3)]

    first = losses()
    count = len(compiled)
    assert count > 0
    images = sorted(path.name for path in tmp_path.rglob("*.so"))
    assert losses() == first
    assert len(compiled) == count
    assert sorted(path.name for path in tmp_path.rglob("*.so")) == images
    monkeypatch.setenv("TFGRAPH_CUDA_PRECISION", "tf32")
    losses()
    assert set(compiled[count:]) == {"tf32"}


# --- captured steps ---------------------------------------------------------------------------------------------------


def test_captured_steps_are_kept_by_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_step, "MOST_GRAPHS", 2)
    x, y = doubled()
    with tf.Session() as session:
        for size in (5, 4, 3, 5, 5, 4, 4, 5):
            np.testing.assert_array_equal(session.run(y, {x: np.arange(size)}), np.arange(size) * 2.0 + 1)
        (step,) = session._steps.values()
        (loaded,) = step._programs.values()
        assert [key[0] for key in loaded.graphs] == [4, 5]
        assert all(graph is not None for graph in loaded.graphs.values())


def test_many_pointers(monkeypatch: pytest.MonkeyPatch) -> None:
    """More feeds and variables than a kernel takes parameters: they are found through tables in memory."""
    monkeypatch.setattr(cuda_compile, "MOST_POINTERS", 3)
    xs = [tf.placeholder(tf.float32, [2]) for _ in range(3)]
    v = tf.Variable(np.ones(2, np.float32))
    with tf.device("/gpu:0"):
        total = tf.add_n(xs) * v
    with tf.Session() as session:
        session.run(v.initializer)
        for scale in (1.0, 2.0, 3.0):
            np.testing.assert_array_equal(session.run(total, {x: [scale, scale] for x in xs}), [3 * scale] * 2)


def test_counts_of_blocks() -> None:
    assert count("tg_least(tg_chunks(5 * N, 256), 4096)", 100) == 2
    assert count("(N + 1) / 2 - 1", 9) == 4
    assert count("tg_parts(3 * N, 2, 4)", 1) == 2
    for text in ("__import__('os')", "N.real", "open(1)", "1.5", "[N]"):
        with pytest.raises(ValueError, match="is no number of blocks"):
            count(text, 1)
