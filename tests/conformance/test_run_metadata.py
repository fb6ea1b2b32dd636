"""Traces: TensorFlow's own message and timeline take ours, our timeline takes TensorFlow's; graphs in event files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests._compiled import COMPILER
from tests.conformance._both import TF, both, run_on, tfgraph
from tfgraph.timeline import Timeline

pytest.importorskip("tensorboard", reason="RunMetadata and event files are messages of the package tensorboard")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
pytestmark = pytest.mark.conformance


def network(tf: Any) -> tuple[Any, Any, Any]:
    """(x, loss, train)."""
    x = tf.placeholder(tf.float32, [None, 8], name="x")
    with tf.name_scope("layer"), tf.device("/cpu:0"):
        weights = tf.get_variable("weights", [8, 3], initializer=tf.ones_initializer())
        hidden = tf.nn.relu(tf.matmul(x, weights, name="product"), name="hidden")
    with tf.device("/device:GPU:1"):
        loss = tf.reduce_mean(tf.square(hidden), name="loss")
    return x, loss, tf.train.GradientDescentOptimizer(0.1).minimize(loss)


def traced(tf: Any, metadata: Any) -> Any:
    """A training step, told in `metadata`."""
    x, loss, train = network(tf)
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as session:
        session.run(tf.global_variables_initializer())
        feeds = {x: np.ones((4, 8), np.float32)}
        session.run([train, loss], feeds, options=options, run_metadata=metadata)
        return session.explain([train, loss], feeds) if tf is tfgraph else None


def named(trace: str) -> dict[str, str]:
    """Operation -> type in a Chrome trace; those with a slice."""
    events = json.loads(trace)["traceEvents"]
    return {event["args"]["name"]: event["args"]["op"] for event in events if event["ph"] == "X"}


@needs_compiler
def test_tensorflows_timeline_reads_ours() -> None:
    from tensorflow.python.client import timeline

    metadata = TF.RunMetadata()
    explanation = run_on(tfgraph, lambda tf: traced(tf, metadata))
    theirs = named(timeline.Timeline(metadata.step_stats).generate_chrome_trace_format(show_memory=True))
    ours = named(Timeline(metadata.step_stats).generate_chrome_trace_format())
    in_kernels = {node for kernel in explanation.kernels for node in kernel.nodes}
    assert in_kernels == set(ours)
    assert ours["layer/product"] == "MatMul"
    assert {name: theirs[name] for name in in_kernels} == ours


def test_our_timeline_reads_tensorflows() -> None:
    from tensorflow.python.client import timeline

    metadata = TF.RunMetadata()
    run_on(TF, lambda tf: traced(tf, metadata))
    found = named(Timeline(metadata.step_stats).generate_chrome_trace_format(show_memory=True))
    assert found
    assert set(found) <= set(named(timeline.Timeline(metadata.step_stats).generate_chrome_trace_format()))
    events = json.loads(Timeline(metadata.step_stats).generate_chrome_trace_format())["traceEvents"]
    assert all(event["ts"] >= 0 and event["dur"] >= 0 for event in events if event["ph"] == "X")


def test_graphs_in_event_files(tmp_path: Path) -> None:
    """The shapes and devices that TensorBoard shows."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def script(tf: Any) -> Any:
        _, loss, _ = network(tf)
        folder = str(tmp_path / tf.__name__)
        tf.summary.FileWriter(folder, loss.graph).close()
        found = EventAccumulator(folder)
        found.Reload()
        forward = [node for node in found.Graph().node if not node.name.startswith(("gradients/", "GradientDescent"))]
        return {node.name: (node.op, node.device, list(node.input), shapes(node.attr["_output_shapes"])) for node in forward}

    ours, theirs = both(script)
    assert ours == theirs
    assert theirs["layer/product"][1:] == ("/device:CPU:0", ["x", "weights/read"], [[-1, 3]])


def shapes(attribute: Any) -> list[Any]:
    return [None if s.unknown_rank else [dim.size for dim in s.dim] for s in attribute.list.shape]
