"""Chrome traces: of step stats written by hand, of a run, and in a script that imports TensorFlow's timeline."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._compiled import COMPILER
from tfgraph.timeline import Timeline

pytest.importorskip("tensorboard", reason="step stats are messages of the package tensorboard")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
pytestmark = pytest.mark.usefixtures("graph")


def step_stats(*nodes: tuple[str, int, int, int], nanos: bool = True) -> Any:
    """Of (label, begin, duration, bytes) in microseconds."""
    stats = tf.RunMetadata().step_stats
    device = stats.dev_stats.add(device="/device:CPU:0")
    device.thread_names[0] = "kernels"
    for label, begin, duration, size in nodes:
        node = device.node_stats.add(node_name=label.partition(" = ")[0], timeline_label=label)
        node.all_start_micros, node.all_end_rel_micros = begin, duration
        if nanos:
            node.all_start_nanos, node.all_end_rel_nanos = 1000 * begin, 1000 * duration
        if size:
            node.memory.add(allocator_name="cpu", total_bytes=size)
    return stats


def events(stats: Any, phases: str, **options: Any) -> list[dict[str, Any]]:
    trace = json.loads(Timeline(stats).generate_chrome_trace_format(**options))
    return [event for event in trace["traceEvents"] if event["ph"] in phases]


CHAIN = (
    ("x = Placeholder(): fed", 1000, 0, 0),
    ("a/product = MatMul(x, w): runs as k00_matmul_relu", 1000, 50, 0),
    ("a/relu = Relu(a/product): fused into k00_matmul_relu", 1000, 0, 400),
    ("view = Reshape(a/relu, shape): no kernel of its own: folded, merged, a view or not needed", 1000, 0, 0),
    ("a = Exp(view): runs as k01_exp", 1060, 10, 100),
    ("b = Sum(a, axes): runs as k02_sum", 1070, 5, 4),
)


def test_slices() -> None:
    found = events(step_stats(*CHAIN), "X")
    assert [(e["name"], e["ts"], e["dur"], e["pid"], e["tid"]) for e in found] == [
        ("MatMul", 0, 50, 0, 0),
        ("Relu", 0, 0, 0, 0),
        ("Exp", 60, 10, 0, 0),
        ("Sum", 70, 5, 0, 0),
    ]
    product, relu, exp, _ = (event["args"] for event in found)
    assert product == {
        "name": "a/product", "op": "MatMul", "input0": "x", "input1": "w", "kernel": "k00_matmul_relu", "fused": ["a/relu"],
    }  # fmt: skip
    assert (relu["kernel"], relu["note"], relu["bytes"]) == ("k00_matmul_relu", "fused into k00_matmul_relu", 400)
    assert exp["fused"] == []


def test_names_of_rows() -> None:
    device, thread = events(step_stats(*CHAIN), "M")
    assert (device["name"], device["args"]) == ("process_name", {"name": "/device:CPU:0"})
    assert (thread["name"], thread["tid"], thread["args"]) == ("thread_name", 0, {"name": "kernels"})


def test_arrows_go_from_kernel_to_kernel() -> None:
    found = events(step_stats(*CHAIN), "st")
    assert [(e["ph"], e["id"], e["name"], e["ts"]) for e in found] == [
        ("s", 0, "a/product", 50), ("t", 0, "a/product", 60),  # through a view
        ("s", 1, "a", 70), ("t", 1, "a", 70),
    ]  # fmt: skip
    assert events(step_stats(*CHAIN), "st", show_dataflow=False) == []


def test_memory() -> None:
    assert events(step_stats(*CHAIN), "C") == []
    found = events(step_stats(*CHAIN), "C", show_memory=True)
    assert [(e["name"], e["ts"], e["args"]["bytes"]) for e in found] == [
        ("cpu", 0, 400), ("cpu", 60, 500), ("cpu", 70, 104), ("cpu", 75, 0),
    ]  # fmt: skip


def test_an_operation_of_two_kernels() -> None:
    stats = step_stats(
        ("loss = SoftmaxLoss(logits, y): runs as k00_check", 10, 1, 40),
        ("logits = MatMul(x, w): runs as k01_matmul", 20, 5, 200),
        ("loss = SoftmaxLoss(logits, y): runs as k02_rows", 30, 5, 0),
        ("mean = Mean(loss, axes): runs as k03_mean", 40, 1, 4),
    )
    arrows = events(stats, "st")
    assert [(e["name"], e["ts"]) for e in arrows] == [("logits", 15), ("logits", 20), ("loss", 25), ("loss", 30)]
    assert [e["args"]["bytes"] for e in events(stats, "C", show_memory=True)] == [40, 240, 40, 44, 0]


def test_step_stats_of_others() -> None:
    """Microseconds alone, labels without notes or none, devices without nodes."""
    stats = step_stats(("c = Add(a, b:1, ^d)", 7, 3, 0), ("odd", 5, 1, 0), nanos=False)
    stats.dev_stats.add(device="/device:GPU:0")
    add, odd = events(stats, "X")
    assert (add["name"], add["ts"], add["dur"]) == ("Add", 2, 3)
    assert add["args"] == {"name": "c", "op": "Add", "input0": "a", "input1": "b"}
    assert (odd["name"], odd["args"]["name"]) == ("unknown", "odd")
    assert json.loads(Timeline(tf.RunMetadata().step_stats).generate_chrome_trace_format()) == {"traceEvents": []}


@needs_compiler
def test_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFGRAPH_BACKEND", raising=False)
    x = tf.placeholder(tf.float32, [None, 8], name="x")
    y = tf.nn.softmax(tf.nn.relu(tf.matmul(x, np.ones((8, 3), np.float32), name="product"), name="relu"), name="y")
    metadata = tf.RunMetadata()
    feeds = {x: np.ones((4, 8), np.float32)}
    with tf.Session() as session:
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        session.run(y, feeds, options=options, run_metadata=metadata)
        kernels = [kernel.name for kernel in session.explain(y, feeds).kernels]
    found = events(metadata.step_stats, "X", show_memory=True)
    assert {"ph", "ts", "dur", "pid", "tid", "name", "args"} <= set.intersection(*(set(event) for event in found))
    timed = [event for event in found if event["dur"] > 0]
    assert [event["args"]["kernel"] for event in timed] == kernels
    (relu,) = [event for event in found if event["args"]["name"] == "relu"]
    assert relu["args"]["kernel"] in kernels
    assert all(event["args"]["bytes"] >= 0 for event in events(metadata.step_stats, "C", show_memory=True))


SCRIPT = """
import sys
import tensorflow as tf
from tensorflow.python.client import timeline

x = tf.placeholder(tf.float32, [None])
run_metadata = tf.RunMetadata()
with tf.Session() as sess:
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    sess.run(tf.exp(x, name="e"), {x: [1.0, 2.0]}, options=options, run_metadata=run_metadata)
trace = timeline.Timeline(step_stats=run_metadata.step_stats)
with open(sys.argv[1], "w") as file:
    file.write(trace.generate_chrome_trace_format(show_memory=True))
"""


def test_a_script(tmp_path: Path) -> None:
    script, trace = tmp_path / "script.py", tmp_path / "trace.json"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "tfgraph", "run", str(script), str(trace)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    names = [event["args"].get("name") for event in json.loads(trace.read_text())["traceEvents"] if event["ph"] == "X"]
    assert "e" in names
