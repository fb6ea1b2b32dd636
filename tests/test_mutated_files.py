"""Two thousand changed files of every kind that is read: clean errors, no crash, no hang, nothing written elsewhere."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._checkpoint_files import SAFETENSORS, TF_DATA, TF_INDEX
from tests._damaged_checkpoints import changed_bytes
from tests._mutations import CHECKPOINT, Change, changed_index, changed_names, changed_text, mutations
from tfgraph.checkpoint.state import CheckpointState, text_of

pytest.importorskip("tensorboard", reason="needs its protos: pip install tensorboard")
pytest.importorskip("resource", reason="needs limits of a process, which Windows does not have")

ROOT = Path(__file__).parent.parent
# kind -> how its file is changed, how many times, and how many of these at least are refused
CASES: dict[str, tuple[tuple[Change, ...], int, int]] = {
    "pb": ((changed_bytes, changed_names), 400, 250),
    "pbtxt": ((changed_text, changed_text, changed_bytes), 400, 200),
    "meta": ((changed_bytes, changed_names), 300, 100),
    "index": ((changed_bytes, changed_index, changed_index), 300, 150),
    "data": ((changed_bytes,), 150, 100),
    "safetensors": ((changed_bytes, changed_names), 250, 100),
    "state": ((changed_text, changed_text, changed_bytes), 200, 3),
}
STATE = text_of(CheckpointState("ck-7", ["ck-5", "ck-7"], [1.0, 2.5], 4.0)).encode()


def graph(folder: Path) -> dict[str, bytes]:
    """A training step as .pb, .pbtxt and .meta."""
    with tf.Graph().as_default() as built:
        x = tf.placeholder(tf.float32, [None, 4], "x")
        with tf.name_scope("net"), tf.device("/cpu:0"):
            w = tf.Variable(tf.fill([4, 2], 0.5), name="w")
            y = tf.nn.relu(tf.matmul(x, w), name="y")
        with tf.control_dependencies([tf.Assert(tf.reduce_all(tf.is_finite(y)), [y, tf.constant("bad")])]):
            loss = tf.reduce_mean(tf.square(y - np.ones(2, np.float32)), name="loss")
        tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
        tf.summary.scalar("loss", loss)
        tf.add_to_collection("losses", loss)
        tf.train.write_graph(built, folder, "net.pb", as_text=False)
        tf.train.write_graph(built, folder, "net.pbtxt")
        tf.train.export_meta_graph(folder / "net.meta")
    return {name.rpartition(".")[2]: (folder / name).read_bytes() for name in ("net.pb", "net.pbtxt", "net.meta")}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    others = {"index": TF_INDEX, "data": TF_DATA, "safetensors": SAFETENSORS, "state": STATE}
    return {**graph(tmp_path_factory.mktemp("originals")), **others}


def outcome(kind: str, files: list[bytes], folder: Path) -> dict[str, Any]:
    """What a process says that reads these files one after the other."""
    (folder / "target").mkdir()
    if kind in ("index", "data"):
        for name, content in CHECKPOINT.items():
            (folder / "target" / name).write_bytes(content)
    together = folder / "files"
    together.write_bytes(b"".join(struct.pack("<Q", len(content)) + content for content in files))
    done = subprocess.run(
        [sys.executable, "-m", "tests._mutated_reader", kind, str(together), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    last = lines[-1] if lines else {}
    at = last.get("next")
    assert done.returncode == 0, f"died of file {at}: {files[at] if at is not None else ''!r}\n{done.stderr[-3000:]}"
    return last


def test_there_are_two_thousand() -> None:
    assert sum(count for _, count, _ in CASES.values()) >= 2000


@pytest.mark.parametrize("kind", CASES)
def test_right_files_are_read(kind: str, originals: dict[str, bytes], tmp_path: Path) -> None:
    found = outcome(kind, [originals[kind]], tmp_path)
    assert found == {"taken": 1, "refused": 0, "wrong": [], "outside": []}


def test_what_happens_elsewhere_is_noticed(tmp_path: Path) -> None:
    """The hook that the other tests rely on."""
    script = """
import json, os, sys
from pathlib import Path
from tests import _mutated_reader as reader
reader.FOLDER = Path(sys.argv[1], "folder").resolve()
os.makedirs(reader.FOLDER)
os.chdir(reader.FOLDER)
sys.addaudithook(reader.watch)
open("inside", "w").close()
assert not reader.seen, reader.seen
open("../made", "w").close()
os.rename("inside", "../moved")
os.remove("../made")
os.mkdir("../b")
os.system("true")
print(json.dumps([text.split(":")[0] for text in reader.seen]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == ["open for w", "os.rename", "os.remove", "os.mkdir", "os.system"]


@pytest.mark.parametrize("kind", CASES)
def test_changed_files(kind: str, originals: dict[str, bytes], tmp_path: Path) -> None:
    changes, count, least = CASES[kind]
    files = list(mutations(originals[kind], changes, count, seed=len(kind)))
    found = outcome(kind, files, tmp_path)
    assert found["wrong"] == []
    assert found["outside"] == []
    assert found["taken"] + found["refused"] == count
    assert found["refused"] >= least
    assert {path.name for path in tmp_path.iterdir()} == {"target", "files"}
