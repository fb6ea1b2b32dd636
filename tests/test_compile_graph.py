"""`python -m tfgraph compile` with graphs in files: what it makes of them, and what it says of wrong names and files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._c_compiler import COMPILER
from tests._export_library import Library
from tfgraph.__main__ import main

pytest.importorskip("tensorboard", reason="graphs in files need its protos: pip install tensorboard")
pytestmark = pytest.mark.xdist_group("export")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler in PATH")

ROWS = np.random.RandomState(0).rand(5, 4).astype(np.float32)
LABELS = np.array([0, 2, 1, 1, 0], np.int32)
STEPS = 3
MUTATIONS = 150


def build() -> None:
    """A classifier with dropout and Adam; its nodes have the names that the tests use."""
    x = tf.placeholder(tf.float32, [None, 4], "x")
    labels = tf.placeholder(tf.int32, [None], "labels")
    keep = tf.placeholder(tf.float32, [], "keep_prob")
    w = tf.Variable(tf.truncated_normal([4, 3], seed=1), name="w")
    logits = tf.matmul(tf.nn.dropout(tf.nn.relu(x), keep, seed=2), w, name="logits")
    tf.nn.softmax(logits, name="probabilities")
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits, scope="loss")
    step = tf.train.get_or_create_global_step()
    tf.train.AdamOptimizer(1e-2).minimize(loss, global_step=step, name="train")
    tf.global_variables_initializer()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """frozen.pb, frozen.pbtxt, whole.pb, net.meta with its checkpoint after one step, and the weights as w.npy."""
    folder = tmp_path_factory.mktemp("graphs")
    with tf.Graph().as_default() as graph, tf.Session() as sess:
        build()
        sess.run("init")
        sess.run("train", {"x:0": ROWS, "labels:0": LABELS, "keep_prob:0": 0.8})
        tf.train.Saver().save(sess, str(folder / "net"))
        tf.train.export_meta_graph(str(folder / "net.meta"))
        frozen = tf.graph_util.convert_variables_to_constants(sess, graph.as_graph_def(), ["probabilities"])
        for name, graph_def in (("frozen", frozen), ("whole", graph.as_graph_def())):
            tf.train.write_graph(graph_def, str(folder), f"{name}.pb", False)
            tf.train.write_graph(graph_def, str(folder), f"{name}.pbtxt", True)
        np.save(folder / "w.npy", sess.run("w:0"))
    return folder


@pytest.fixture(autouse=True)
def fresh_graph() -> Iterator[None]:
    with tf.Graph().as_default():
        yield


def compiled(file: Path, output: Path, *options: str) -> dict[str, Any]:
    """MODEL.json of a graph that was compiled, or written as C if there is no compiler."""
    how = ("--isas", "native") if COMPILER else ("--c-only",)
    assert main(["compile", str(file), "--output", str(output), "--prefix", "net", *how, *options]) == 0
    return json.loads((output / "net.json").read_text())


def names(record: dict[str, Any], function: str) -> tuple[list[str], list[str]]:
    """The arguments and outputs of a function in C."""
    described = record["functions"][function]
    return [a["name"] for a in described["arguments"]], [o["name"] for o in described["outputs"]]


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


# --- frozen graphs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["frozen.pb", "frozen.pbtxt"])
def test_a_frozen_graph_computes_its_ends_from_its_placeholders(name: str, files: Path, tmp_path: Path) -> None:
    record = compiled(files / name, tmp_path / "out")
    assert names(record, "predict") == (["x", "keep_prob"], ["probabilities"])
    assert not record["variables"]
    if COMPILER is None:
        return
    instance = Library(tmp_path / "out").create()
    assert instance.initialize() == "OK"
    (found,) = instance.results("predict", 5, ROWS, 1.0)
    np.testing.assert_allclose(found, softmax(ROWS @ np.load(files / "w.npy")), rtol=1e-5)
    instance.destroy()


def test_names_values_and_shapes_are_chosen(files: Path, tmp_path: Path) -> None:
    options = ["--function", "classify", "--fetch", "probabilities=p", "--feed", "x=rows", "--set", "keep_prob=1"]
    record = compiled(files / "frozen.pb", tmp_path / "out", *options, "--shape", "x=7,4")
    assert names(record, "classify") == (["rows"], ["p"])
    assert record["functions"]["classify"]["outputs"][0]["shape"] == [7, 3]


def test_a_tensor_inside_is_fed(files: Path, tmp_path: Path) -> None:
    record = compiled(files / "frozen.pb", tmp_path / "out", "--fetch", "probabilities:0", "--feed", "logits")
    assert names(record, "predict") == (["logits"], ["probabilities"])
    if COMPILER is None:
        return
    instance = Library(tmp_path / "out").create()
    assert instance.initialize() == "OK"
    (found,) = instance.results("predict", 5, ROWS[:, :3])
    np.testing.assert_allclose(found, softmax(ROWS[:, :3]), rtol=1e-5)
    instance.destroy()


def test_the_folder_is_called_as_the_file(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compile", str(files / "frozen.pb"), "--c-only"]) == 0
    assert (tmp_path / "frozen" / "frozen.h").is_file()


# --- meta graphs ----------------------------------------------------------------------------------------------------------


@needs_compiler
def test_a_meta_graph_goes_on_training_where_its_checkpoint_stopped(files: Path, tmp_path: Path) -> None:
    """With the Session's losses, bit for bit: variables, optimizer slots and random numbers are those of the file."""
    feeds = {"x:0": ROWS, "labels:0": LABELS, "keep_prob:0": 0.8}
    saver = tf.train.import_meta_graph(str(files / "net.meta"))
    with tf.Session() as sess:
        saver.restore(sess, str(files / "net"))
        expected = [sess.run(["loss/value:0", "train"], feeds)[0] for _ in range(STEPS)]
    functions = ["--function", "learn", "--fetch", "train", "--fetch", "loss/value=loss"]
    functions += ["--function", "predict", "--fetch", "probabilities", "--set", "keep_prob=1.0"]
    record = compiled(files / "net.meta", tmp_path / "out", *functions)
    assert names(record, "learn") == (["x", "labels", "keep_prob"], ["loss"])
    assert names(record, "predict") == (["x"], ["probabilities"])
    library, weights = Library(tmp_path / "out"), tmp_path / "out" / "net.safetensors"
    learner, other = library.create(), library.create()
    assert learner.load(weights) == other.load(weights) == "OK"
    losses = [float(learner.results("learn", 5, ROWS, LABELS, 0.8)[0]) for _ in range(STEPS)]
    assert losses == [float(loss) for loss in expected]
    (found,) = other.results("predict", 5, ROWS)
    np.testing.assert_allclose(found, softmax(ROWS @ np.load(files / "w.npy")), rtol=1e-5)
    learner.destroy()
    other.destroy()


def test_the_training_operation_of_a_meta_graph_is_the_default(files: Path, tmp_path: Path) -> None:
    record = compiled(files / "net.meta", tmp_path / "out", "--set", "keep_prob=0.5")
    assert names(record, "train_step") == (["x", "labels"], ["loss_value"])
    assert "net.safetensors" in record["files"]


def test_without_a_checkpoint_variables_start_as_the_graph_says(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "alone.meta").write_bytes((files / "net.meta").read_bytes())
    record = compiled(tmp_path / "alone.meta", tmp_path / "out")
    assert "net.safetensors" not in record["files"]
    assert "no checkpoint" in capsys.readouterr().err
    assert main(["compile", str(tmp_path / "alone.meta"), "--checkpoint", str(tmp_path / "nothing"), "--c-only"]) == 2
    assert "nothing" in capsys.readouterr().err
    record = compiled(tmp_path / "alone.meta", tmp_path / "out2", "--checkpoint", str(files / "net"))
    assert "net.safetensors" in record["files"]


# --- errors ---------------------------------------------------------------------------------------------------------------

WRONG: list[tuple[str, str, Sequence[str]]] = [
    ("whole.pb", "name what to compute, with --fetch NAME. Placeholders: x (float32 (?, 4))", ()),
    ("whole.pb", "Ends of the graph: probabilities", ()),
    ("frozen.pb", "no node 'prob'; the nearest is 'probabilities'", ("--fetch", "prob")),
    ("frozen.pb", "no node 'probabilitees'; the nearest is 'probabilities'", ("--fetch", "probabilitees")),
    ("frozen.pb", "no tensor 'logits:1': 'logits' has 1 outputs", ("--fetch", "logits:1")),
    ("frozen.pb", "no node 'y'. Placeholders: x", ("--feed", "y")),
    ("frozen.pb", "no placeholder 'y'", ("--shape", "y=1")),
    ("frozen.pb", "written like x=?,28,28,1", ("--shape", "x=1,-2")),
    ("frozen.pb", "Dimensions must be equal", ("--shape", "x=?,5")),
    ("frozen.pb", "written like keep_prob=1.0", ("--set", "keep_prob=yes")),
    ("frozen.pb", "no fetch needs 'x'", ("--function", "f", "--fetch", "keep_prob", "--set", "x=1")),
    ("frozen.pb", "Cannot feed value of shape (2,)", ("--set", "keep_prob=[1, 2]")),
    ("frozen.pb", "fetches nothing", ("--fetch", "logits", "--function", "g")),
    ("frozen.pb", "two functions 'f'", ("--function", "f", "--fetch", "logits", "--function", "f", "--fetch", "logits")),
    ("frozen.pb", "'9f'", ("--function", "9f")),
    ("frozen.pb", "add it to its feeds", ("--fetch", "probabilities", "--feed", "x")),
    ("frozen.pb", "no collection of variables", ("--checkpoint", "net")),
    ("frozen.pb", "--functions: only for a Python file", ("--functions", "f")),
    ("whole.pb", "'init' of", ("--fetch", "logits", "--feed", "init")),
]


@pytest.mark.parametrize(("file", "said", "options"), WRONG, ids=[said for _, said, _ in WRONG])
def test_what_is_wrong_is_told(
    file: str, said: str, options: Sequence[str], files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", str(files / file), "--output", str(tmp_path / "out"), "--c-only", *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.pb", b"", "has no nodes"),
        ("text.pb", b"hello", "is no GraphDef"),
        ("text.pbtxt", b"node { nam: 'x' }", "is no GraphDef"),
        ("cycle.pbtxt", b"node{name:'a' op:'NoOp' input:'^b'} node{name:'b' op:'NoOp' input:'^a'}", "cycle through"),
        ("unknown.pbtxt", b"node{name:'a' op:'Reluu'}", "no op named 'Reluu' is defined here; the nearest"),
        ("name.pbtxt", b"node{name:'../a' op:'NoOp'}", None),
        ("nothing.meta", b"", "has no nodes"),
        ("net.txt", b"", "functions"),
    ],
)
def test_files_that_are_no_graphs(
    name: str, content: bytes, said: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(["compile", str(tmp_path / name), "--output", str(tmp_path / "out"), "--c-only"]) == 2
    error = capsys.readouterr().err
    assert (said or "name") in error
    assert not (tmp_path / "out").exists()


def test_changed_files_are_compiled_or_refused(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but a status comes out of a file with some bytes changed, and nothing is written outside the folder."""
    rng = np.random.RandomState(3)
    content = (files / "frozen.pb").read_bytes()
    statuses = []
    for i in range(MUTATIONS):
        changed = bytearray(content)
        for at in rng.randint(0, len(content), rng.randint(1, 4)):
            changed[at] = rng.randint(256)
        (tmp_path / "changed.pb").write_bytes(changed)
        options = ["--output", str(tmp_path / f"out{i}"), "--c-only", "--isas", "sse2"]
        statuses.append(main(["compile", str(tmp_path / "changed.pb"), *options]))
    assert set(statuses) == {0, 2}
    assert {path.name.rstrip("0123456789") for path in tmp_path.iterdir()} == {"changed.pb", "out"}
    assert "Traceback" not in capsys.readouterr().err
