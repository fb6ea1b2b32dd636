"""Libraries that tf.compile makes: the Session's numbers bit for bit, memory, threads, and what they refuse."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._c_compiler import COMPILER
from tests._export_library import Instance, Library, aligned, argument, pointer
from tfgraph.codegen.target import machine_target

pytestmark = [
    pytest.mark.xdist_group("export"),
    pytest.mark.skipif(COMPILER is None, reason="needs a C compiler in PATH"),
]
BATCHES = (5, 32, 1, 0, 17)
SEED = 7


def classifier(x: Any, hidden: Any, op_seed: int | None = None) -> dict[str, Any]:
    """Loss, training step and prediction on top of a hidden layer, with dropout and Adam."""
    labels = tf.placeholder(tf.int32, [None], name="labels")
    rate = tf.placeholder(tf.float32, [], name="learning_rate")
    keep = tf.placeholder_with_default(tf.constant(1.0), [], name="keep_prob")
    count = int(hidden.shape[-1])
    weights = tf.Variable(tf.truncated_normal([count, 4], stddev=0.3, seed=op_seed), name="out/kernel")
    logits = tf.matmul(tf.nn.dropout(hidden, keep_prob=keep), weights) + tf.Variable(tf.zeros([4]), name="out/bias")
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits), name="loss")
    train = tf.train.AdamOptimizer(rate).minimize(loss)
    return {
        "train_step": ([train, loss], [x, labels, rate, keep]),
        "predict": ({"probabilities": tf.nn.softmax(logits)}, [x], {keep: 1.0}),
    }


def dense(op_seed: int | None = None) -> dict[str, Any]:
    x = tf.placeholder(tf.float32, [None, 12], name="x")
    weights = tf.Variable(tf.random_normal([12, 20], mean=0.1, stddev=0.2), name="hidden/kernel")
    return classifier(x, tf.nn.relu(tf.matmul(x, weights)), op_seed)


def convolutional() -> dict[str, Any]:
    x = tf.placeholder(tf.float32, [None, 8, 8, 3], name="x")
    filters = tf.Variable(tf.truncated_normal([3, 3, 3, 16], stddev=0.2), name="filters")
    y = tf.nn.relu(tf.nn.conv2d(x, filters, strides=[1, 1, 1, 1], padding="SAME"))
    y = tf.nn.max_pool(y, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    return classifier(x, tf.reshape(y, [-1, 4 * 4 * 16]))


NETS = {"dense": dense, "convolutional": convolutional}


def arguments(functions: dict[str, Any], batch: int) -> list[Any]:
    x = functions["train_step"][1][0]
    rng = np.random.default_rng(batch)
    images = rng.normal(size=(batch, *[int(d) for d in x.shape[1:]])).astype(np.float32)
    return [images, rng.integers(0, 4, batch).astype(np.int32), np.float32(0.01), np.float32(0.6)]


@pytest.fixture(scope="module", params=NETS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Library]:
    """A net for this machine's instruction set."""
    return request.param, Library(_compile(request.param, tmp_path_factory.mktemp("export"), isas=["native"]))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The dense net for this machine."""
    return Library(_compile("dense", tmp_path_factory.mktemp("export"), isas=["native"]))


def _compile(name: str, folder: Path, **options: Any) -> Path:
    with tf.Graph().as_default():
        tf.set_random_seed(SEED)
        tf.compile(NETS[name](), folder, prefix="net", **options)
    return folder


@pytest.fixture
def model(library: Library) -> Iterator[Instance]:
    instance = library.create()
    yield instance
    instance.destroy()


def session_losses(name: str, batches: tuple[int, ...], folder: Path, seed: int = SEED) -> tuple[list[Any], np.ndarray]:
    """What a session computes: the loss of each step, then a prediction; its checkpoint goes to `folder`."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(seed)
        functions = NETS[name]()
        (fetches, feeds), (predicted, (x,), _) = functions["train_step"], functions["predict"]
        session.run(tf.global_variables_initializer())
        losses = [session.run(fetches, dict(zip(feeds, arguments(functions, n), strict=True)))[1] for n in batches]
        probabilities = session.run(predicted["probabilities"], {x: arguments(functions, 6)[0]})
        tf.train.Saver().save(session, str(folder / "session.safetensors"))
        return losses, probabilities


def trained(name: str, instance: Instance, batches: tuple[int, ...]) -> list[Any]:
    with tf.Graph().as_default():
        functions = NETS[name]()
    return [instance.results("train_step", n, *arguments(functions, n))[0] for n in batches]


def inputs(name: str, batch: int) -> list[Any]:
    with tf.Graph().as_default():
        return arguments(NETS[name](), batch)


# --- numbers --------------------------------------------------------------------------------------------------------------


def test_the_loss_curve_is_the_sessions(exported: tuple[str, Library], tmp_path: Path) -> None:
    """Adam, dropout, several batch sizes; then the prediction and the bytes of the checkpoint."""
    name, library = exported
    losses, probabilities = session_losses(name, BATCHES, tmp_path)
    instance = library.create()
    assert instance.initialize() == "OK"
    found = trained(name, instance, BATCHES)
    assert np.array(found).tobytes() == np.array(losses).tobytes()
    assert instance.results("predict", 6, inputs(name, 6)[0])[0].tobytes() == probabilities.tobytes()
    assert instance.save(tmp_path / "c.safetensors") == "OK"
    assert (tmp_path / "c.safetensors").read_bytes() == (tmp_path / "session.safetensors").read_bytes()
    instance.destroy()


@pytest.mark.parametrize("isa", ["sse2", "avx2"])
def test_every_instruction_set_is_its_sessions(isa: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if machine_target().name not in ("avx2", "avx512"):
        pytest.skip("needs a processor with AVX2")
    library = Library(_compile("convolutional", tmp_path / "net", isas=[isa]))
    monkeypatch.setenv("TFGRAPH_TARGET", isa)
    losses, _ = session_losses("convolutional", BATCHES, tmp_path)
    instance = library.create()
    assert library.function("isa")() == isa.encode()
    assert instance.initialize() == "OK"
    assert np.array(trained("convolutional", instance, BATCHES)).tobytes() == np.array(losses).tobytes()
    instance.destroy()


def test_one_library_has_the_best_of_several_instruction_sets(tmp_path: Path) -> None:
    if machine_target().name not in ("sse2", "avx2", "avx512"):
        pytest.skip("needs an x86-64 processor")
    library = Library(_compile("dense", tmp_path / "net"))
    losses, _ = session_losses("dense", BATCHES, tmp_path)
    instance = library.create()
    assert library.function("isa")() == machine_target().name.encode()
    assert instance.initialize() == "OK"
    assert np.array(trained("dense", instance, BATCHES)).tobytes() == np.array(losses).tobytes()
    instance.destroy()


@pytest.mark.parametrize("seed", [1, 12345, 2**31 - 1, 2**31 + 5])
def test_a_seed_is_that_of_set_random_seed(library: Library, model: Instance, seed: int, tmp_path: Path) -> None:
    losses, _ = session_losses("dense", (5, 5), tmp_path, seed)
    assert model.initialize(seed) == "OK"
    assert np.array(trained("dense", model, (5, 5))).tobytes() == np.array(losses).tobytes()


@pytest.mark.parametrize("op_seed", [None, 11])
def test_a_graph_without_a_seed_repeats_itself(op_seed: int | None, tmp_path: Path) -> None:
    """In C even seed 0 is repeatable; another one gives what the script gives with tf.set_random_seed at its beginning."""
    with tf.Graph().as_default():
        tf.compile(dense(op_seed), tmp_path / "net", prefix="net", isas=["native"])
    library, curves = Library(tmp_path / "net"), []
    for seed in (0, 0, 5):
        instance = library.create()
        assert instance.initialize(seed) == "OK"
        curves.append([loss.tobytes() for loss in trained("dense", instance, (5, 5))])
        instance.destroy()
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(5)
        fetches, feeds = dense(op_seed)["train_step"]
        session.run(tf.global_variables_initializer())
        fed = dict(zip(feeds, inputs("dense", 5), strict=True))
        expected = [session.run(fetches, fed)[1].tobytes() for _ in range(2)]
    assert curves[0] == curves[1]
    assert curves[2] == expected
    assert curves[0] != curves[2]


def test_the_number_of_threads_changes_no_bit(library: Library) -> None:
    curves = []
    for threads in (1, 2, 5):
        instance = library.create()
        assert instance.set_threads(threads) == "OK"
        assert instance.initialize() == "OK"
        curves.append([loss.tobytes() for loss in trained("dense", instance, (700, 33))])
        instance.destroy()
    assert curves[0] == curves[1] == curves[2]


# --- instances ------------------------------------------------------------------------------------------------------------


def test_instances_are_independent_across_threads(library: Library) -> None:
    alone = library.create()
    assert alone.initialize() == "OK"
    expected = [loss.tobytes() for loss in trained("dense", alone, (64,) * 40)]
    alone.destroy()
    with tf.Graph().as_default():
        values = arguments(dense(), 64)
    found: list[list[bytes]] = [[], [], []]

    def work(curve: list[bytes]) -> None:
        instance = library.create()
        instance.set_threads(2)
        instance.initialize()
        curve += [instance.results("train_step", 64, *values)[0].tobytes() for _ in range(40)]
        instance.destroy()

    workers = [threading.Thread(target=work, args=(curve,)) for curve in found]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [expected] * 3


def test_an_instance_in_the_callers_memory_touches_nothing_else(library: Library) -> None:
    batch = 9
    size = library.function("instance_bytes")() + library.arena_bytes(batch)
    memory, address = aligned(size)
    status, instance = library.create_in(address, size, batch)
    assert status == "OK"
    assert instance.initialize() == "OK"
    values = inputs("dense", batch)
    status, (loss,) = instance.call("train_step", batch, *values)
    assert status == "OK"
    other = library.create()
    other.initialize()
    assert other.results("train_step", batch, *values)[0].tobytes() == loss.tobytes()
    assert instance.call("train_step", 10 * batch, *inputs("dense", 10 * batch))[0] == "BATCH_TOO_LARGE"
    instance.destroy()
    other.destroy()
    start = address - memory.ctypes.data
    assert (memory[:start] == 0xFF).all()
    assert (memory[start + size :] == 0xFF).all()


def test_memory_that_does_not_do_is_refused(library: Library) -> None:
    size = library.function("instance_bytes")() + library.arena_bytes(3)
    _, address = aligned(size)
    assert library.create_in(address, size - 1, 3)[0] == "BATCH_TOO_LARGE"
    assert library.create_in(address, -1, 3)[0] == "BATCH_TOO_LARGE"
    assert library.create_in(address, size, 2**62)[0] == "BATCH_TOO_LARGE"
    assert library.create_in(address, size, -1)[0] == "BAD_BATCH"
    assert library.create_in(address + 8, size, 3)[0] == "BAD_ALIGNMENT"
    assert library.create_in(None, size, 3)[0] == "NULL_ARGUMENT"


@pytest.mark.parametrize("batch", [-1, -(2**63), 2**63 - 1, 2**61])
def test_impossible_batches_are_refused(library: Library, model: Instance, batch: int) -> None:
    assert model.initialize() == "OK"
    expected = "BAD_BATCH" if batch < 0 else "BATCH_TOO_LARGE"
    values = inputs("dense", 1)
    described = library.record["functions"]["train_step"]
    loss = np.zeros((), np.float32)
    given = [argument(d, v) for d, v in zip(described["arguments"], values, strict=True)]
    code = library.function("train_step")(model.model, ctypes.c_int64(batch), *given, pointer(loss))
    assert library.status(code) == expected
    assert library.arena_bytes(batch) == -1


def test_null_is_refused_everywhere(library: Library, model: Instance) -> None:
    null, one = ctypes.c_void_p(), ctypes.c_int64(1)
    for name in ("initialize", "save", "load", "load_weights", "set_threads"):
        assert library.status(library.function(name)(null, null)) == "NULL_ARGUMENT"
    for name in ("save", "load", "load_weights"):
        assert library.status(library.function(name)(model.model, null)) == "NULL_ARGUMENT"
    assert library.status(library.function("predict")(model.model, one, null, null)) == "NULL_ARGUMENT"
    assert library.status(library.function("predict")(null, one, null, null)) == "NULL_ARGUMENT"
    assert library.function("failed_check")(null) == b""
    library.function("destroy")(null)


def test_variables_without_a_value_are_told(model: Instance, tmp_path: Path) -> None:
    values = inputs("dense", 2)
    assert model.call("train_step", 2, *values)[0] == "NOT_INITIALIZED"
    assert model.call("predict", 2, values[0])[0] == "NOT_INITIALIZED"
    assert model.save(tmp_path / "x.safetensors") == "NOT_INITIALIZED"
    assert not (tmp_path / "x.safetensors").exists()
    assert model.initialize() == "OK"
    assert model.call("train_step", 2, *values)[0] == "OK"


def test_a_failed_check_names_its_operation_and_changes_nothing(model: Instance, tmp_path: Path) -> None:
    assert model.initialize() == "OK"
    images, labels, rate, keep = inputs("dense", 3)
    assert model.save(tmp_path / "before") == "OK"
    assert model.call("train_step", 3, images, labels + 4, rate, keep)[0] == "CHECK_FAILED"
    assert "SparseSoftmax" in model.failed_check()
    assert model.save(tmp_path / "after") == "OK"
    assert (tmp_path / "before").read_bytes() == (tmp_path / "after").read_bytes()


@pytest.mark.parametrize("threads", [0, -1, 1_000_000])
def test_impossible_thread_counts_are_refused(model: Instance, threads: int) -> None:
    assert model.set_threads(threads) == "BAD_THREADS"


def test_checkpoints_go_from_python_to_c_and_on(library: Library, model: Instance, tmp_path: Path) -> None:
    """Three steps and a prediction in a session, two more steps in C from its file: all of it in C."""
    session_losses("dense", (5, 5, 5), tmp_path)
    assert model.load(tmp_path / "session.safetensors") == "OK"
    resumed = trained("dense", model, (5, 5))
    straight = library.create()
    straight.initialize()
    trained("dense", straight, (5, 5, 5))
    straight.results("predict", 6, inputs("dense", 6)[0])
    assert [x.tobytes() for x in resumed] == [x.tobytes() for x in trained("dense", straight, (5, 5))]
    straight.destroy()
    assert model.load(tmp_path / "nothing") == "CANNOT_OPEN"
    (tmp_path / "cut").write_bytes((tmp_path / "session.safetensors").read_bytes()[:-1])
    assert model.load(tmp_path / "cut") == "DAMAGED_FILE"
    assert model.load_weights(tmp_path / "session.safetensors") == "OK"


def test_the_weights_of_a_session_are_written(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        functions = dense()
        session.run(tf.global_variables_initializer())
        tf.compile(functions, tmp_path / "net", isas=["native"], session=session)
        (_, (x,), _), values = functions["predict"], inputs("dense", 6)
        expected = session.run(functions["predict"][0]["probabilities"], {x: values[0]})
    library = Library(tmp_path / "net")
    instance = library.create()
    assert instance.load(tmp_path / "net" / "net.safetensors") == "OK"
    assert instance.results("predict", 6, values[0])[0].tobytes() == expected.tobytes()
    instance.destroy()
