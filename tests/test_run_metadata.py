"""RunMetadata of traced runs: one entry for each operation, with its kernel, time, shapes and memory."""

from __future__ import annotations

import re
import sys
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._compiled import COMPILER

pytest.importorskip("tensorboard", reason="RunMetadata is a message of the package tensorboard")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
pytestmark = pytest.mark.usefixtures("graph")

FULL = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
CPU = "/job:localhost/replica:0/task:0/device:CPU:0"


@pytest.fixture(autouse=True)
def _default_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFGRAPH_BACKEND", raising=False)


def traced(session: Any, fetches: Any, feeds: Any = None) -> tuple[Any, Any]:
    """(what the run gives, its RunMetadata)."""
    metadata = tf.RunMetadata()
    return session.run(fetches, feeds, options=FULL, run_metadata=metadata), metadata


def entries(metadata: Any) -> dict[str, list[Any]]:
    """The NodeExecStats by the operation's name."""
    (device,) = metadata.step_stats.dev_stats
    assert device.device == CPU
    found: dict[str, list[Any]] = {}
    for stats in device.node_stats:
        found.setdefault(stats.node_name, []).append(stats)
    return found


def note(stats: Any) -> str:
    """What an entry's label says after the operation's call."""
    return stats.timeline_label.partition("): ")[2]


def shapes(stats: Any) -> list[list[int]]:
    return [[dim.size for dim in output.tensor_description.shape.dim] for output in stats.output]


def held(stats: Any) -> int:
    return sum(memory.total_bytes for memory in stats.memory)


def network() -> tuple[Any, Any, Any]:
    """(x, loss, train) of a small network with dropout."""
    x = tf.placeholder(tf.float32, [None, 8], name="x")
    with tf.name_scope("layer"):
        weights = tf.Variable(np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3), name="weights")
        hidden = tf.nn.relu(tf.matmul(x, weights, name="product"), name="hidden")
    loss = tf.reduce_mean(tf.nn.dropout(hidden, 0.5, seed=1), name="loss")
    return x, loss, tf.train.AdamOptimizer(0.1).minimize(loss)


def batch(size: int) -> np.ndarray:
    return np.random.default_rng(size).normal(size=(size, 8)).astype(np.float32)


# --- compiled runs ----------------------------------------------------------------------------------------------------


@needs_compiler
def test_each_kernel_has_its_time_at_one_operation() -> None:
    x, loss, train = network()
    feeds = {x: batch(6)}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        kernels = {kernel.name: kernel for kernel in session.explain([train, loss], feeds).kernels}
        before, clock = time.time_ns(), time.perf_counter_ns()
        _, metadata = traced(session, [train, loss], feeds)
        elapsed = time.perf_counter_ns() - clock
    found = entries(metadata)
    timed = [stats for several in found.values() for stats in several if stats.all_end_rel_nanos]
    assert [note(stats) for stats in timed] == [f"runs as {name}" for name in kernels]
    assert 0 < sum(stats.all_end_rel_nanos for stats in timed) <= elapsed
    for earlier, later in pairwise(timed):
        assert earlier.all_start_nanos + earlier.all_end_rel_nanos <= later.all_start_nanos
    for stats in timed:
        assert before - 10**9 < stats.all_start_nanos < before + elapsed + 10**9
        assert stats.all_start_micros == stats.all_start_nanos // 1000
        assert stats.all_end_rel_micros == -(-stats.all_end_rel_nanos // 1000) == stats.op_end_rel_micros
        kernel = kernels[note(stats).removeprefix("runs as ")]
        assert stats.node_name == (kernel.anchor or kernel.nodes[-1])
        assert stats.memory_stats.temp_memory_size == kernel.scratch_bytes
    for name, kernel in kernels.items():
        for node in kernel.nodes:
            if any(stats.all_end_rel_nanos for stats in found[node]):
                continue  # it has a time of its own, for this kernel or another
            (text,) = map(note, found[node])
            assert re.fullmatch(r"fused into k\d\d\w+(, k\d\d\w+)*", text)
            assert name in text
    assert any(note(one).startswith("fused into") for several in found.values() for one in several)


@needs_compiler
def test_every_operation_of_the_run_is_told() -> None:
    x, loss, train = network()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        _, metadata = traced(session, [train, loss], {x: batch(6)})
    found = entries(metadata)
    graph = tf.get_default_graph()
    needed: set[Any] = set()
    waiting = [train, loss.op]
    while waiting:
        op = waiting.pop()
        if op not in needed:
            needed.add(op)
            waiting += [*(tensor.op for tensor in op.inputs), *op.control_inputs]
    assert set(found) == {op.name for op in needed}
    weights, product, learning_rate = (found[n][0] for n in ("layer/weights", "layer/product", "Adam/learning_rate"))
    assert (note(weights), held(weights)) == ("a variable", 8 * 3 * 4)
    assert (note(learning_rate), note(found["x"][0])) == ("a constant", "fed")
    assert note(found["layer/weights/read"][0]) == "no kernel of its own: folded, merged, a view or not needed"
    assert product.timeline_label.startswith("layer/product = MatMul(x, layer/weights/read): runs as k")
    assert graph.get_operation_by_name("layer/product").type == "MatMul"


@needs_compiler
def test_shapes_and_memory() -> None:
    x = tf.placeholder(tf.float32, [None, 8], name="x")
    y = tf.nn.relu(tf.matmul(x, np.ones((8, 3), np.float32), name="product"), name="y")
    total = tf.reduce_sum(tf.square(y, name="square"), 0, name="total")
    with tf.Session() as session:
        for size in (5, 9):
            _, metadata = traced(session, [y, total], {x: batch(size)})
            found = {name: one for name, (one,) in entries(metadata).items()}
            wanted = {"x": [size, 8], "product": [size, 3], "y": [size, 3], "square": [size, 3], "total": [3]}
            assert {name: shapes(found[name])[0] for name in wanted} == wanted
            assert {name: held(found[name]) for name in wanted} == {
                "x": 0, "product": 0, "y": 4 * size * 3, "square": 0, "total": 4 * 3,
            }  # fmt: skip
            (output,) = found["y"].output
            description = output.tensor_description
            assert (output.slot, description.dtype) == (0, tf.float32.enum)
            assert description.allocation_description.allocated_bytes == 4 * size * 3


@needs_compiler
def test_a_trace_changes_nothing() -> None:
    x, loss, train = network()

    def losses(asks: bool) -> list[bytes]:
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            run = (lambda: traced(session, [train, loss], {x: batch(6)})[0]) if asks else None
            found = [(run() if run else session.run([train, loss], {x: batch(6)}))[1].tobytes() for _ in range(3)]
            return [*found, session.run("layer/weights:0").tobytes()]

    assert losses(True) == losses(False)


@needs_compiler
def test_a_trace_ends_with_its_run() -> None:
    x, loss, train = network()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        _, first = traced(session, [train, loss], {x: batch(6)})
        text = first.SerializeToString()
        session.run([train, loss], {x: batch(6)})
        assert first.SerializeToString() == text
        _, second = traced(session, [train, loss], {x: batch(6)})
    (earlier,), (later,) = entries(first)["layer/product"], entries(second)["layer/product"]
    assert earlier.all_start_nanos + earlier.all_end_rel_nanos < later.all_start_nanos
    assert {k: len(v) for k, v in entries(first).items()} == {k: len(v) for k, v in entries(second).items()}


@needs_compiler
def test_what_runs_in_python_has_a_row_of_its_own() -> None:
    x = tf.placeholder(tf.float32, [None], name="x")
    summary = tf.summary.scalar("mean", tf.reduce_mean(tf.exp(x, name="e"), name="m"))
    with tf.Session() as session:
        result, metadata = traced(session, summary, {x: [1.0, 2.0]})
    assert tf.Summary.FromString(result).value[0].tag == "mean"
    found = {name: one for name, (one,) in entries(metadata).items()}
    threads = metadata.step_stats.dev_stats[0].thread_names
    assert dict(threads) == {0: "kernels", 1: "Python"}
    assert threads[found["mean"].thread_id] == "Python"
    assert threads[found["m"].thread_id] == "kernels"
    assert note(found["mean"]) == "runs in Python"
    assert found["mean"].all_end_rel_nanos > 0
    assert found["mean"].all_start_nanos > found["m"].all_start_nanos


@needs_compiler
def test_the_graph_of_a_run_names_kernels() -> None:
    x, loss, _ = network()
    metadata = tf.RunMetadata()
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE, output_partition_graphs=True)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(loss, {x: batch(6)}, options=options, run_metadata=metadata)
        kernels = {node: k.name for k in reversed(session.explain(loss, {x: batch(6)}).kernels) for node in k.nodes}
    (graph,) = metadata.partition_graphs
    found = {node.name: node for node in graph.node}
    assert {node.device for node in graph.node} == {CPU}
    assert "Adam" not in found
    named = {name: node.attr["_XlaCluster"].s.decode() for name, node in found.items() if "_XlaCluster" in node.attr}
    assert named == kernels
    assert list(found["layer/product"].input) == ["x", "layer/weights/read"]
    assert [dim.size for dim in found["layer/product"].attr["_output_shapes"].list.shape[0].dim] == [-1, 3]


# --- interpreted runs -------------------------------------------------------------------------------------------------


def test_interpreted_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_BACKEND", "interpreter")
    x, loss, train = network()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        _, metadata = traced(session, [train, loss], {x: batch(6)})
    found = {name: one for name, (one,) in entries(metadata).items()}
    assert note(found["layer/product"]) == "runs in Python"
    assert found["layer/product"].all_end_rel_nanos > 0
    assert shapes(found["layer/product"]) == [[6, 3]]
    assert held(found["layer/product"]) == 6 * 3 * 4
    assert shapes(found["loss"]) == [[]]


def test_branches_that_are_not_taken(backend: str) -> None:
    x = tf.placeholder(tf.float32, [], name="x")
    y = tf.cond(x > 0, lambda: tf.exp(x, name="yes"), lambda: tf.sin(x, name="no"))
    with tf.Session() as session:
        value, metadata = traced(session, y, {x: 1.0})
    assert value == np.exp(np.float32(1))
    if backend == "interpreter":
        assert "cond/yes" in entries(metadata)
        assert "cond/no" not in entries(metadata)


# --- what is asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [None, tf.RunOptions(), tf.RunOptions(trace_level=tf.RunOptions.NO_TRACE)])
def test_without_a_trace_nothing_is_told(options: Any, backend: str) -> None:
    x = tf.placeholder(tf.float32, [2])
    with tf.Session() as session:
        _, metadata = traced(session, tf.exp(x), {x: [0.0, 1.0]})
        assert metadata.HasField("step_stats")
        session.run(tf.exp(x), {x: [0.0, 1.0]}, options=options, run_metadata=metadata)
        assert not metadata.HasField("step_stats")


def test_a_failed_run_tells_nothing(backend: str) -> None:
    x = tf.placeholder(tf.float32, [None])
    with tf.Session() as session:
        _, metadata = traced(session, tf.exp(x), {x: [0.0]})
        before = metadata.SerializeToString()
        v = tf.Variable(tf.zeros([2]))
        with pytest.raises(tf.errors.FailedPreconditionError):
            session.run(tf.exp(x) + v, {x: [0.0, 1.0]}, options=FULL, run_metadata=metadata)
        assert metadata.SerializeToString() == before


def test_callables_and_other_levels(backend: str) -> None:
    x = tf.placeholder(tf.float32, [None], name="x")
    y = tf.exp(x, name="y")
    with tf.Session() as session:
        for level in (tf.RunOptions.SOFTWARE_TRACE, tf.RunOptions.FULL_TRACE):
            metadata = tf.RunMetadata()
            run = session.make_callable(y, [x], accept_options=True)
            run([0.0], options=tf.RunOptions(trace_level=level), run_metadata=metadata)
            assert entries(metadata)["y"][0].all_end_rel_nanos > 0


def test_fed_and_fetched(backend: str) -> None:
    x = tf.placeholder(tf.float32, [2], name="x")
    with tf.Session() as session:
        value, metadata = traced(session, x, {x: [1.0, 2.0]})
    assert value.tolist() == [1.0, 2.0]
    assert all(note(one) == "fed" for several in entries(metadata).values() for one in several)


def test_without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"tf.RunMetadata needs the package tensorboard .*tfgraph-compiler\[tensorboard\]"):
        tf.RunMetadata()
    with tf.Session() as session:
        assert session.run(tf.constant(2.0) * 3.0, options=FULL) == 6.0
