"""Event files: what a FileWriter puts into them and when. They are read back record by record."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._messages import fields, records, summary_values
from tests._subprocesses import run_script

pytest.importorskip("tensorboard", reason="event files are written by the package tensorboard")
pytestmark = pytest.mark.usefixtures("graph")

STEP, VERSION, GRAPH, SUMMARY = 2, 3, 4, 5
LATER: dict[str, Any] = {"max_queue": 1000, "flush_secs": 1000}


def events(folder: Path) -> list[dict[int, Any]]:
    """The events of all files of a folder, each as {field number: value}."""
    return [dict(fields(record)) for path in sorted(folder.iterdir()) for record in records(path)]


def number(value: float) -> bytes:
    return tf.Summary(value=[tf.Summary.Value(tag="n", simple_value=value)]).SerializeToString()


def test_summaries(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32)
    merged = tf.summary.merge([tf.summary.scalar("loss", tf.reduce_mean(x)), tf.summary.histogram("x", x)])
    before = time.time()
    with tf.Session() as session, tf.summary.FileWriter(tmp_path / "new" / "log") as writer:
        for step in range(3):
            writer.add_summary(session.run(merged, {x: [step, step + 1.0]}), np.int64(step))
        writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag="mine", simple_value=4.0)]))
    assert writer.get_logdir() == str(tmp_path / "new" / "log")
    first, *rest = events(tmp_path / "new" / "log")
    assert first[VERSION] == b"brain.Event:2"
    assert [event.get(STEP, 0) for event in rest] == [0, 1, 2, 0]
    for step, event in enumerate(rest[:3]):
        values = summary_values(event[SUMMARY])
        assert [(value[1], value.get(2)) for value in values] == [(b"loss", step + 0.5), (b"x", None)]
        assert before <= event[1] <= time.time()
    assert summary_values(rest[3][SUMMARY]) == [{1: b"mine", 2: 4.0}]


def test_metadata_are_written_once(tmp_path: Path) -> None:
    summary = tf.summary.text("t", tf.constant("text"))
    with tf.Session() as session, tf.summary.FileWriter(tmp_path) as writer:
        given = tf.Summary.FromString(session.run(summary))
        for _ in range(2):
            writer.add_summary(given)
    assert [9 in summary_values(event[SUMMARY])[0] for event in events(tmp_path)[1:]] == [True, False]
    assert given.value[0].HasField("metadata")  # the caller's own message is as it was


def test_graphs(tmp_path: Path) -> None:
    with tf.device("/cpu:0"):
        x = tf.placeholder(tf.float32, [None, 3], name="x")
    weights = tf.Variable(tf.zeros([3, 2]), name="weights")
    loss = tf.reduce_mean(tf.nn.dropout(tf.matmul(x, weights), 0.5))
    tf.train.AdamOptimizer().minimize(loss)
    tf.summary.image("im", tf.reshape(x, [-1, 1, 3, 1]))
    graph = tf.get_default_graph()
    tf.summary.FileWriter(tmp_path / "a", graph).close()
    with tf.summary.FileWriter(tmp_path / "b", graph_def=graph.as_graph_def()) as writer:
        writer.add_graph(graph, global_step=7)
    (_, event), (_, as_def, later) = events(tmp_path / "a"), events(tmp_path / "b")
    assert (later[STEP], later[GRAPH]) == (7, event[GRAPH])
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    shown = GraphDef.FromString(event[GRAPH])
    # what is one node here and several in TensorFlow ends in a node with the name
    known = {op.name: op.type for op in graph.get_operations()}
    assert [node.name for node in shown.node if node.name in known] == list(known)
    replaced = ("_Count", "_SpreadLike", "_UnbroadcastLike")
    assert all(known[node.name] in (node.op, *replaced) for node in shown.node if node.name in known)
    found = {node.name: node for node in shown.node}
    assert found["x"].device.lower().endswith("cpu:0")
    assert list(found["MatMul"].input) == ["x", "weights/read"]
    (shape,) = found["MatMul"].attr["_output_shapes"].list.shape
    assert [dim.size for dim in shape.dim] == [-1, 2]
    assert "_output_shapes" not in GraphDef.FromString(as_def[GRAPH]).node[0].attr
    with pytest.raises(TypeError, match="must be an instance of `Graph`"):
        tf.summary.FileWriter(tmp_path / "c", "graph")
    with pytest.raises(ValueError, match="Please pass only graph, or graph_def"):
        writer.add_graph(graph, graph_def=shown)


def test_other_events(tmp_path: Path) -> None:
    from tensorboard.compat.proto.meta_graph_pb2 import MetaGraphDef

    with tf.summary.FileWriter(tmp_path) as writer:
        writer.add_session_log(tf.summary.SessionLog(status=tf.summary.SessionLog.START), 1)
        writer.add_run_metadata(tf.RunMetadata(), "first step", 2)
        writer.add_event(tf.Event(wall_time=1.0, step=3))
        writer.add_meta_graph(MetaGraphDef(), 4)
        with pytest.raises(ValueError, match="The provided tag was already used"):
            writer.add_run_metadata(tf.RunMetadata(), "first step")
        with pytest.raises(TypeError, match="must be type MetaGraphDef"):
            writer.add_meta_graph(tf.Event())
    expected = [{2: 1, 7: b"\x08\x01"}, {2: 2, 8: b"\x0a\nfirst step"}, {2: 3}, {2: 4, 9: b""}]
    assert [{key: value for key, value in event.items() if key != 1} for event in events(tmp_path)[1:]] == expected


# --- when events are on the disk ----------------------------------------------------------------------------


def test_full_queues_are_written(tmp_path: Path) -> None:
    writer = tf.summary.FileWriter(tmp_path, max_queue=3, flush_secs=1000)
    counts = []
    for step in range(7):
        writer.add_summary(number(1.0), step)
        counts.append(len(events(tmp_path)) - 1)
    assert counts == [0, 0, 3, 3, 3, 6, 6]
    writer.flush()
    assert len(events(tmp_path)) == 8
    writer.close()


def test_events_are_written_after_a_time(tmp_path: Path) -> None:
    writer = tf.summary.FileWriter(tmp_path, max_queue=1000, flush_secs=0.05)
    for count in (2, 3):
        writer.add_summary(number(1.0))
        end = time.monotonic() + 20
        while len(events(tmp_path)) < count and time.monotonic() < end:
            time.sleep(0.01)
        assert len(events(tmp_path)) == count
    writer.close()


def test_forgotten_writers_are_closed(tmp_path: Path) -> None:
    writer = tf.summary.FileWriter(tmp_path / "gone", max_queue=1000, flush_secs=0)
    writer.add_summary(number(1.0))
    del writer
    gc.collect()
    assert len(events(tmp_path / "gone")) == 2
    text = f"""
import tfgraph as tf
writer = tf.summary.FileWriter({str(tmp_path / "end")!r}, max_queue=1000, flush_secs=1000)
writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag="n", simple_value=1.0)]), 5)
print(1)
"""
    run_script(text, tmp_path / "cache")
    assert [event.get(STEP) for event in events(tmp_path / "end")] == [None, 5]


def test_closing_and_reopening(tmp_path: Path) -> None:
    writer = tf.summary.FileWriter(tmp_path, filename_suffix=".mine", **LATER)
    writer.add_summary(number(1.0))
    writer.reopen()  # it is open
    writer.close()
    writer.close()
    for use in (lambda: writer.add_summary(number(2.0)), writer.flush):
        with pytest.warns(UserWarning, match="Attempting to use a closed FileWriter"):
            use()
    writer.reopen()
    writer.add_summary(number(3.0))
    writer.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".mine"] * 2
    numbers = [summary_values(event[SUMMARY])[0][2] for event in events(tmp_path) if SUMMARY in event]
    assert sorted(numbers) == [1.0, 3.0]


def test_one_writer_for_a_folder(tmp_path: Path) -> None:
    tf.constant(1.0)
    one, two = (tf.summary.FileWriterCache.get(str(tmp_path / name)) for name in "ab")
    assert tf.summary.FileWriterCache.get(str(tmp_path / "a")) is one
    assert one is not two
    tf.summary.FileWriterCache.clear()
    with pytest.warns(UserWarning, match="closed FileWriter"):
        one.flush()
    assert tf.summary.FileWriterCache.get(str(tmp_path / "a")) is not one
    tf.summary.FileWriterCache.clear()
    assert all(GRAPH in event for event in events(tmp_path / "b")[1:])


def test_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.setitem(sys.modules, name, None)
    uses = {"tf.summary.FileWriter": lambda: tf.summary.FileWriter(tmp_path), "tf.Summary": lambda: tf.Summary}
    for what, use in uses.items():
        with pytest.raises(ImportError, match=rf"{what} needs the package tensorboard .*tfgraph-compiler\[tensorboard\]"):
            use()
    assert list(tmp_path.iterdir()) == []
    with tf.Session() as session:
        assert summary_values(session.run(tf.summary.scalar("x", 2.0))) == [{1: b"x", 2: 2.0}]


def test_messages() -> None:
    assert tf.summary.Summary is tf.Summary
    assert tf.summary.Event is tf.Event
    for module, name in ((tf, "tensorflow"), (tf.summary, "tfgraph.summary")):
        with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'Nothing'"):
            _ = module.Nothing


PROJECTOR_SCRIPT = """
import subprocess
import sys
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorflow.contrib.tensorboard.plugins import projector

config = projector.ProjectorConfig()
config.embeddings.add(tensor_name="words", metadata_path="words.tsv")
with tf.summary.FileWriter(sys.argv[1]) as writer:
    projector.visualize_embeddings(writer, config)
    writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag="n", simple_value=2.0)]), 5)
found = EventAccumulator(sys.argv[1])  # TensorBoard does not take us for the TensorFlow that it could read files with
found.Reload()
print([(event.step, event.value) for event in found.Scalars("n")])
"""


def test_a_script_with_the_projector_that_reads_its_events(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PROJECTOR_SCRIPT)
    command = [sys.executable, "-m", "tfgraph", "run", str(script), str(tmp_path / "logs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[(5, 2.0)]"
    text = (tmp_path / "logs" / "projector_config.pbtxt").read_text()
    assert text.split() == 'embeddings { tensor_name: "words" metadata_path: "words.tsv" }'.split()
