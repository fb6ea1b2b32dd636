"""Libraries that tf.compile makes for CUDA, with the host as the device: a session's bits, memory, refusals."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests import _nets
from tests._c_compiler import COMPILER
from tests._cuda import refuse_cpu
from tests._cuda_export import CXX, Device, DeviceArray, built, device
from tests._export_library import Instance, Library, argument, pointer
from tests.test_export import BATCHES, NETS, SEED, dense, inputs, session_losses, trained
from tfgraph.codegen.cuda import compile as cuda_compile

pytestmark = [
    pytest.mark.xdist_group("export_cuda"),
    pytest.mark.skipif(CXX is None or COMPILER is None, reason="needs a C and a C++ compiler in PATH"),
]
STRICT = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unknown-pragmas")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The dense net."""
    return _compiled("dense", tmp_path_factory.mktemp("dense"), *STRICT)


@pytest.fixture
def on_shim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions run on the host shim."""
    refuse_cpu(monkeypatch)


@pytest.fixture
def model(library: Library) -> Iterator[Instance]:
    instance = library.create()
    assert instance.initialize() == "OK"
    yield instance
    instance.destroy()


def _compiled(name: str, folder: Path, *options: str) -> Library:
    with tf.Graph().as_default():
        tf.set_random_seed(SEED)
        tf.compile(NETS[name](), folder, prefix="net", target="cuda", c_only=True)
    return built(folder, *options)


# --- numbers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
def test_the_loss_curve_is_the_sessions(
    name: str, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adam, dropout, several batch sizes, each twice; the prediction and the bytes of the checkpoint. The CPU's are near."""
    with monkeypatch.context() as patch:
        refuse_cpu(patch)
        losses, probabilities = session_losses(name, 2 * BATCHES, tmp_path)
    found = library if name == "dense" else _compiled(name, tmp_path / "net")
    instance = found.create()
    assert instance.initialize() == "OK"
    curve = trained(name, instance, 2 * BATCHES)
    assert np.array(curve).tobytes() == np.array(losses).tobytes()
    assert instance.results("predict", 6, inputs(name, 6)[0])[0].tobytes() == probabilities.tobytes()
    assert instance.save(tmp_path / "cuda.safetensors") == "OK"
    assert (tmp_path / "cuda.safetensors").read_bytes() == (tmp_path / "session.safetensors").read_bytes()
    instance.destroy()
    on_cpu, _ = session_losses(name, 2 * BATCHES, tmp_path)
    np.testing.assert_allclose(curve[: len(BATCHES)], on_cpu[: len(BATCHES)], rtol=1e-3)  # equal but for roundings


@pytest.mark.parametrize("name", ["lenet", "keypoints_convolutional", "optimizers"])
def test_training_is_the_sessions_bit_for_bit(name: str, tmp_path: Path, on_shim: None) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(3)
        net = getattr(_nets, name)()
        session.run(tf.global_variables_initializer())
        functions = {"train_step": (net.fetches, list(net.shapes))}
        tf.compile(functions, tmp_path, prefix="net", target="cuda", c_only=True, session=session)
        batches = [net.feeds(9 if step % 3 else 6, step) for step in range(5)]
        expected = [session.run(net.fetches, feeds) for feeds in batches]
        tf.train.Saver().save(session, str(tmp_path / "session.safetensors"))
    instance = built(tmp_path).create()
    assert instance.load(tmp_path / "net.safetensors") == "OK"
    for feeds, values in zip(batches, expected, strict=True):
        found = instance.results("train_step", len(next(iter(feeds.values()))), *feeds.values())
        assert [v.tobytes() for v in values if v is not None] == [f.tobytes() for f in found]
    assert instance.save(tmp_path / "cuda.safetensors") == "OK"
    assert (tmp_path / "cuda.safetensors").read_bytes() == (tmp_path / "session.safetensors").read_bytes()
    instance.destroy()


@pytest.mark.parametrize("seed", [12345, 2**31 - 1])
def test_a_seed_is_that_of_set_random_seed(seed: int, model: Instance, tmp_path: Path, on_shim: None) -> None:
    losses, _ = session_losses("dense", (5, 5), tmp_path, seed)
    assert model.initialize(seed) == "OK"
    assert np.array(trained("dense", model, (5, 5))).tobytes() == np.array(losses).tobytes()


def test_tables_of_pointers_in_memory_give_the_same(
    model: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More pointers than a kernel's parameters can hold."""
    monkeypatch.setattr(cuda_compile, "MOST_POINTERS", 3)
    other = _compiled("dense", tmp_path).create()
    assert "const void *const *feeds;" in (tmp_path / "net.cu").read_text()
    assert other.initialize() == "OK"
    assert [x.tobytes() for x in trained("dense", other, BATCHES)] == [x.tobytes() for x in trained("dense", model, BATCHES)]
    other.destroy()


def test_arguments_and_results_of_many_types(tmp_path: Path) -> None:
    """Numbers come with the call, each in a word of its own; a result may be one element; a variable may be a result."""
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float64, [None, 2], name="x")
        flags = tf.placeholder(tf.bool, [None], name="flags")
        small = tf.placeholder(tf.int8, [None], name="small")
        power, is_wanted = tf.placeholder(tf.int64, [], name="power"), tf.placeholder(tf.bool, [], name="is_wanted")
        calls = tf.Variable(np.int64(0), name="calls")
        counted = tf.assign_add(calls, power)
        either = tf.logical_and(flags, is_wanted)
        fetches = [x * tf.cast(power, tf.float64), either, small + 1, tf.reduce_sum(x), counted]
        feeds = [x, flags, small, power, is_wanted]
        tf.compile({"f": (fetches, feeds)}, tmp_path, prefix="net", target="cuda", c_only=True)
        session.run(tf.global_variables_initializer())
        instance = built(tmp_path, "-O1").create()
        assert instance.initialize() == "OK"
        rng = np.random.default_rng(0)
        for n, wanted in ((3, True), (1, False), (0, True), (3, True), (3, False)):
            arrays = [rng.normal(size=(n, 2)), rng.random(n) < 0.5, rng.integers(-9, 9, n).astype(np.int8), n, wanted]
            expected = session.run(fetches, dict(zip(feeds, arrays, strict=True)))
            found = instance.results("f", n, *arrays)
            for value, result in zip(expected, found, strict=True):
                np.testing.assert_allclose(result, value, rtol=1e-12)
                assert (result.dtype, result.shape) == (np.asarray(value).dtype, np.shape(value))
        instance.destroy()


# --- checkpoints ----------------------------------------------------------------------------------------------------------


def test_checkpoints_go_to_the_c_library_and_back(model: Instance, tmp_path: Path) -> None:
    """What a GPU has begun a processor goes on with, and the other way: the same file, the same random numbers."""
    with tf.Graph().as_default():
        tf.set_random_seed(SEED)
        tf.compile(dense(), tmp_path / "c", prefix="net", isas=["native"])
    in_c = Library(tmp_path / "c").create()
    trained("dense", model, (5, 5))
    assert model.save(tmp_path / "cuda.safetensors") == "OK"
    assert in_c.load(tmp_path / "cuda.safetensors") == "OK"
    assert in_c.save(tmp_path / "c.safetensors") == "OK"
    assert (tmp_path / "c.safetensors").read_bytes() == (tmp_path / "cuda.safetensors").read_bytes()
    np.testing.assert_allclose(trained("dense", in_c, (5, 32)), trained("dense", model, (5, 32)), rtol=1e-4)
    assert in_c.save(tmp_path / "c.safetensors") == "OK"
    assert model.load(tmp_path / "c.safetensors") == "OK"
    assert model.save(tmp_path / "again.safetensors") == "OK"
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()
    in_c.destroy()


def test_a_session_goes_on_from_its_file(model: Instance, tmp_path: Path, on_shim: None) -> None:
    trained("dense", model, (5, 5))
    assert model.save(tmp_path / "cuda.safetensors") == "OK"
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(SEED)
        fetches, feeds = dense()["train_step"]
        tf.train.Saver().restore(session, str(tmp_path / "cuda.safetensors"))
        expected = [session.run(fetches, dict(zip(feeds, inputs("dense", n), strict=True)))[1] for n in (5, 17)]
    assert [x.tobytes() for x in trained("dense", model, (5, 17))] == [x.tobytes() for x in expected]


def test_a_file_that_will_not_do_changes_nothing(model: Instance, tmp_path: Path) -> None:
    assert model.save(tmp_path / "good") == "OK"
    content = (tmp_path / "good").read_bytes()
    trained("dense", model, (5,))
    assert model.save(tmp_path / "before") == "OK"
    (tmp_path / "cut").write_bytes(content[:-1])
    (tmp_path / "changed").write_bytes(content[:-4] + bytes([content[-4] ^ 1]) + content[-3:])
    for name, status in {"cut": "DAMAGED_FILE", "changed": "DAMAGED_FILE", "nothing": "CANNOT_OPEN"}.items():
        assert model.load(tmp_path / name) == status
    assert model.save(tmp_path / "after") == "OK"
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()
    assert model.load_weights(tmp_path / "good") == "OK"
    assert model.save(tmp_path / "no folder" / "x") == "CANNOT_OPEN"


# --- memory of the host and of the device ---------------------------------------------------------------------------------


def test_arrays_may_be_on_the_device(library: Library, model: Instance) -> None:
    """Only those of the host are copied, and those whose place no kernel's loads would take."""
    images, labels, rate, keep = inputs("dense", 5)
    (expected,) = model.results("train_step", 5, images, labels, rate, keep)
    on_device = [DeviceArray(library, array) for array in (images, labels, np.zeros((), np.float32))]
    there = device(library)
    for apart, copies in ((on_device, 0), ([DeviceArray(library, images, 4), *on_device[1:]], 0)):
        assert model.initialize() == "OK"
        before = (there.copies_in, there.copies_out)
        assert _train_step(library, model, 5, apart[0].address, apart[1].address, rate, keep, apart[2].address) == "OK"
        assert apart[2].value().tobytes() == expected.tobytes()
        # control goes in; whether a check has failed comes out
        assert (there.copies_in - before[0] - 1, there.copies_out - before[1] - 1) == (copies, copies)
    loss = np.zeros((), np.float32)
    assert model.initialize() == "OK"
    before = (there.copies_in, there.copies_out)
    assert _train_step(library, model, 5, pointer(images), on_device[1].address, rate, keep, pointer(loss)) == "OK"
    assert loss.tobytes() == expected.tobytes()
    assert (there.copies_in - before[0] - 1, there.copies_out - before[1] - 1) == (1, 1)
    for array in on_device:
        array.free()


def _train_step(library: Library, model: Instance, batch: int, x: Any, labels: Any, rate: Any, keep: Any, loss: Any) -> str:
    values = ctypes.c_float(float(rate)), ctypes.c_float(float(keep))
    return library.status(library.function("train_step")(model.model, ctypes.c_int64(batch), x, labels, *values, loss))


def test_a_call_that_comes_again_is_one_graph(library: Library) -> None:
    """Kernel by kernel at first, then captured. Sixteen different calls are kept; working memory that moves makes others."""
    there, instance = device(library), library.create()
    assert instance.initialize() == "OK"
    values = {n: inputs("dense", n)[0] for n in (*range(1, 21), 900)}
    runs = []
    for batches in ([20], [1, 2, 1, 2, 1], range(3, 17), [1, 16], [17], [2, 1], [900], [16], [16]):
        before = there.graph_launches
        for n in batches:
            instance.results("predict", n, values[n])
        runs.append(there.graph_launches - before)
    # 17 takes the place of 2, which was not repeated for the longest time; 2 then takes that of 3
    assert runs == [0, 3, 0, 2, 0, 1, 0, 0, 1]
    instance.destroy()


def test_an_instance_in_the_callers_memory_allocates_nothing(library: Library, model: Instance) -> None:
    batch, there = 9, device(library)
    size = library.function("instance_bytes")() + library.arena_bytes(batch)
    memory = DeviceArray(library, np.full(size + 256, 0xFF, np.uint8))
    values = inputs("dense", batch)
    expected = [model.results("train_step", batch, *values)[0].tobytes() for _ in range(3)]
    used = there.used
    status, instance = library.create_in(memory.address.value, size, batch)
    assert status == "OK"
    assert instance.initialize() == "OK"
    assert [instance.results("train_step", batch, *values)[0].tobytes() for _ in range(3)] == expected
    assert instance.call("train_step", 10 * batch, *inputs("dense", 10 * batch))[0] == "BATCH_TOO_LARGE"
    instance.destroy()
    assert there.used == used
    assert (memory.value()[size:] == 0xFF).all()
    memory.free()


def test_memory_that_does_not_do_is_refused(library: Library) -> None:
    size = library.function("instance_bytes")() + library.arena_bytes(3)
    memory = DeviceArray(library, np.zeros(size + 256, np.uint8))
    address = memory.address.value or 0
    of_host = np.zeros(size + 256, np.uint8)
    assert library.create_in(address, size - 1, 3)[0] == "BATCH_TOO_LARGE"
    assert library.create_in(address, size, 2**62)[0] == "BATCH_TOO_LARGE"
    assert library.create_in(address, size, -1)[0] == "BAD_BATCH"
    assert library.create_in(address + 64, size, 3)[0] == "BAD_ALIGNMENT"
    assert library.create_in(of_host.ctypes.data + -of_host.ctypes.data % 256, size, 3)[0] == "BAD_ALIGNMENT"
    assert library.create_in(None, size, 3)[0] == "NULL_ARGUMENT"
    memory.free()


@pytest.fixture
def there(library: Library) -> Iterator[Device]:
    """The device, as it was before in the end."""
    found = device(library)
    before = (found.memory, found.devices)
    yield found
    found.memory, found.devices = before


def test_memory_that_is_not_there_is_an_error_and_the_instance_lives_on(library: Library, there: Device) -> None:
    instance = library.create()
    assert instance.initialize() == "OK"
    there.memory = there.used + 100_000
    assert instance.call("predict", 10_000, inputs("dense", 10_000)[0])[0] == "OUT_OF_MEMORY"
    assert library.function("device_error")() == b"out of memory"
    assert instance.call("train_step", 5, *inputs("dense", 5))[0] == "OK"
    there.memory = there.used
    assert library.function("create")() is None
    memory = ctypes.c_void_p()
    assert library.status(library.function("create_in")(ctypes.byref(memory), None, 0, 0)) == "NULL_ARGUMENT"
    instance.destroy()


def test_without_a_device_there_is_no_instance(library: Library, there: Device) -> None:
    assert library.function("isa")() == b"sm_80"
    there.devices = 0
    assert library.function("isa")() == b""
    assert library.function("create")() is None
    assert b"no CUDA-capable device" in library.function("device_error")()


def test_nothing_is_left_of_an_instance(library: Library) -> None:
    there = device(library)
    used = there.used
    instance = library.create()
    instance.initialize()
    trained("dense", instance, (5, 32, 5, 32))
    assert there.used > used
    instance.destroy()
    assert there.used == used


# --- what is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [-1, -(2**63), 2**63 - 1, 2**60])
def test_impossible_batches_are_refused(library: Library, model: Instance, batch: int) -> None:
    described = library.record["functions"]["train_step"]
    given = [argument(d, v) for d, v in zip(described["arguments"], inputs("dense", 1), strict=True)]
    loss = pointer(np.zeros((), np.float32))
    code = library.function("train_step")(model.model, ctypes.c_int64(batch), *given, loss)
    assert library.status(code) == ("BAD_BATCH" if batch < 0 else "BATCH_TOO_LARGE")
    assert library.arena_bytes(batch) == -1


def test_null_is_refused_everywhere(library: Library, model: Instance) -> None:
    null, one = ctypes.c_void_p(), ctypes.c_int64(1)
    for name in ("initialize", "save", "load", "load_weights", "set_threads"):
        assert library.status(library.function(name)(null, null)) == "NULL_ARGUMENT"
    for name in ("save", "load", "load_weights"):
        assert library.status(library.function(name)(model.model, null)) == "NULL_ARGUMENT"
    assert library.status(library.function("predict")(model.model, one, null, null)) == "NULL_ARGUMENT"
    assert library.function("failed_check")(null) == b""
    library.function("destroy")(null)


def test_variables_without_a_value_and_threads_are_told(library: Library, tmp_path: Path) -> None:
    instance = library.create()
    assert instance.call("predict", 2, inputs("dense", 2)[0])[0] == "NOT_INITIALIZED"
    assert instance.save(tmp_path / "x") == "NOT_INITIALIZED"
    assert [instance.set_threads(n) for n in (1, 8, 0)] == ["OK", "OK", "BAD_THREADS"]
    instance.destroy()


def test_a_failed_check_names_its_operation_and_changes_nothing(model: Instance, tmp_path: Path) -> None:
    images, labels, rate, keep = inputs("dense", 3)
    assert model.save(tmp_path / "before") == "OK"
    assert model.call("train_step", 3, images, labels + 4, rate, keep)[0] == "CHECK_FAILED"
    assert "SparseSoftmax" in model.failed_check()
    assert model.save(tmp_path / "after") == "OK"
    assert (tmp_path / "before").read_bytes() == (tmp_path / "after").read_bytes()
    assert model.call("train_step", 3, images, labels, rate, keep)[0] == "OK"


def test_instances_are_independent_across_threads(library: Library) -> None:
    alone = library.create()
    assert alone.initialize() == "OK"
    expected = [loss.tobytes() for loss in trained("dense", alone, (16,) * 10)]
    alone.destroy()
    values = inputs("dense", 16)
    found: list[list[bytes]] = [[], [], []]

    def work(curve: list[bytes]) -> None:
        instance = library.create()
        instance.initialize()
        curve += [instance.results("train_step", 16, *values)[0].tobytes() for _ in range(10)]
        instance.destroy()

    workers = [threading.Thread(target=work, args=(curve,)) for curve in found]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [expected] * 3


def test_a_device_that_fails_is_an_error(tmp_path: Path) -> None:
    """In a library of its own: a device that has failed stays so."""
    broken = _compiled("dense", tmp_path, "-O1")
    instance = broken.create()
    assert instance.initialize() == "OK"
    device(broken).fails = 1
    assert instance.call("predict", 2, inputs("dense", 2)[0])[0] == "DEVICE_FAILED"
    assert broken.function("device_error")() == b"this device fails"
    assert instance.save(tmp_path / "x") == "DEVICE_FAILED"
    instance.destroy()
