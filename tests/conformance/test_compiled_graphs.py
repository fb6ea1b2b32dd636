"""Graphs that TensorFlow wrote, compiled by `python -m tfgraph compile` and called as C: the numbers are TensorFlow's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests._c_compiler import COMPILER
from tests._export_library import Instance, Library
from tests.conformance._both import TF, TOLERANCES, differences
from tests.conformance.test_graph_files import FEEDS, IMAGES, LABELS, STEPS, convolutions, dropped, shapes
from tfgraph.__main__ import main

pytest.importorskip("tensorboard", reason="GraphDef files need its protos: pip install tensorboard")
pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(COMPILER is None, reason="needs a C compiler in PATH"),
]


def library(file: Path, *options: str) -> tuple[Instance, dict[str, Any]]:
    """An instance of the library that the command makes of a graph, and what MODEL.json says."""
    folder = file.parent / "out"
    assert main(["compile", str(file), "--output", str(folder), "--prefix", "net", "--isas", "native", *options]) == 0
    return Library(folder).create(), json.loads((folder / "net.json").read_text())


@pytest.mark.parametrize("as_text", [False, True])
def test_a_frozen_graph(as_text: bool, tmp_path: Path) -> None:
    with TF.Graph().as_default() as graph:
        convolutions(TF)
        with TF.Session() as sess:
            sess.run("init")
            sess.run("train", FEEDS)
            expected = sess.run("MatMul:0", {"x:0": IMAGES})
            frozen = TF.graph_util.convert_variables_to_constants(sess, graph.as_graph_def(), ["MatMul"])
        path = TF.train.write_graph(frozen, str(tmp_path), "net.pbtxt" if as_text else "net.pb", as_text)
    instance, record = library(Path(path))
    assert [a["name"] for a in record["functions"]["predict"]["arguments"]] == ["x"]
    assert instance.initialize() == "OK"
    (found,) = instance.results("predict", len(IMAGES), IMAGES)
    instance.destroy()
    assert not differences(found, expected, TOLERANCES["values"])


@pytest.mark.parametrize("build", [convolutions, shapes, dropped], ids=lambda build: build.__name__)
def test_a_training_graph_goes_on_from_its_checkpoint(build: Any, tmp_path: Path) -> None:
    """TensorFlow's own gradients and optimizer, its checkpoint with the slots."""
    with TF.Graph().as_default():
        TF.set_random_seed(3)
        build(TF)
        saver = TF.train.Saver()
        with TF.Session() as sess:
            sess.run("init")
            if build is not dropped:  # whose masks begin anew with a library
                sess.run("train", FEEDS)
            saver.save(sess, str(tmp_path / "net"))
            expected = [sess.run(["loss:0", "train"], FEEDS)[0] for _ in range(STEPS)]
    options = ["--function", "step", "--fetch", "train", "--fetch", "loss", "--feed", "x", "--feed", "y"]
    instance, record = library(tmp_path / "net.meta", *options)
    assert "net.safetensors" in record["files"]
    assert instance.load(tmp_path / "out" / "net.safetensors") == "OK"
    losses = [instance.results("step", len(IMAGES), IMAGES, LABELS)[0][()] for _ in range(STEPS)]
    instance.destroy()
    assert not differences(losses, expected, TOLERANCES["losses"])
    assert np.ptp(losses) > 0
