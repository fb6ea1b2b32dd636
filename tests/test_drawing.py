"""What notebooks show: graphs and tensors as SVG where Graphviz is, explanations as tables, any name as it is."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import tfgraph as tf
from tfgraph import drawing
from tfgraph.tensor import Operation

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's program dot: apt install graphviz")


@pytest.fixture(autouse=True)
def fresh_graph() -> Iterator[None]:
    with tf.Graph().as_default():
        yield


def classifier(layers: int = 1) -> Any:
    """The loss of a small net that Adam trains."""
    x = tf.placeholder(tf.float32, [None, 4], "x")
    for i in range(layers):
        with tf.name_scope(f"layer{i}"):
            w = tf.Variable(tf.random_normal([4, 4], seed=1), name="w")
            x = tf.nn.relu(tf.matmul(x, w), name="out")
    with tf.control_dependencies([tf.Assert(tf.reduce_all(tf.is_finite(x)), [x])]):
        loss = tf.reduce_mean(tf.square(x), name="loss")
    tf.train.AdamOptimizer().minimize(loss, tf.train.get_or_create_global_step())
    tf.global_variables_initializer()
    return loss


def boxes_and_arrows(text: str) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """Labels by identifier, and pairs of labels."""
    labels = dict(re.findall(r'^ *(n\d+) \[label="((?:[^"\\]|\\.)*)"', text, re.MULTILINE))
    return labels, {(labels[a], labels[b]) for a, b in re.findall(r"(n\d+) -> (n\d+)", text)}


def test_a_graph_without_what_only_initialises_it() -> None:
    classifier()
    labels, arrows = boxes_and_arrows(drawing.dot_text(tf.get_default_graph().get_operations()))
    assert {"x\\nPlaceholder", "w\\nVariableV2", "MatMul", "out\\nRelu", "Square", "loss\\nMean"} <= set(labels.values())
    whole = [label.split("\\n")[0] for label in labels.values() if label.endswith("operations")]
    assert sorted(whole) == ["Adam", "gradients"]
    assert not [label for label in labels.values() if re.search("random_normal|Assign|^init|read|beta1|Const", label)]
    assert {("x\\nPlaceholder", "MatMul"), ("w\\nVariableV2", "MatMul"), ("MatMul", "out\\nRelu")} <= arrows


def test_a_tensor_with_what_it_is_computed_from() -> None:
    loss = classifier()
    out = tf.get_default_graph().get_tensor_by_name("layer0/out:0")
    text = drawing.dot_text(drawing._ancestors(out.op), out.op)
    labels, _ = boxes_and_arrows(text)
    assert sorted(labels.values()) == ["MatMul", "out\\nRelu", "w\\nVariableV2", "x\\nPlaceholder"]
    (thick,) = [line for line in text.splitlines() if "penwidth=2.5" in line]
    assert "out" in thick
    assert 'subgraph "cluster layer0" { label="layer0"' in text
    assert 'label="[?,4]"' in text
    assert "penwidth" not in drawing.dot_text(loss.graph.get_operations())


def test_large_graphs_show_their_outer_scopes() -> None:
    loss = classifier(layers=80)
    text = drawing.dot_text(loss.graph.get_operations())
    labels, arrows = boxes_and_arrows(text)
    assert 80 < len(labels) <= drawing.MOST_BOXES
    named = {label.split("\\n")[0]: label for label in labels.values()}
    assert (named["layer3"], named["layer4"]) in arrows
    assert (named["layer3"], named["layer5"]) not in arrows
    assert len(text) < 60_000


def test_without_scopes_the_rest_is_counted() -> None:
    x = tf.placeholder(tf.float32, [2])
    for _ in range(drawing.MOST_BOXES + 29):
        x = tf.exp(x)
    operations = x.graph.get_operations()
    text = drawing.dot_text(operations)
    assert 'label="30 more operations are not shown"' in text
    assert len(boxes_and_arrows(text)[0]) == drawing.MOST_BOXES
    assert "penwidth" in drawing.dot_text(operations, x.op)


@needs_dot
def test_pictures() -> None:
    loss = classifier(layers=2)
    for drawn, texts in (
        (loss.graph, {"gradients", "layer0", "layer1", "MatMul", "x"}),
        (loss, {"layer1", "loss", "[?,4]"}),
    ):
        picture = ElementTree.fromstring(drawn._repr_svg_())
        assert picture.tag == "{http://www.w3.org/2000/svg}svg"
        assert texts <= {"".join(element.itertext()) for element in picture.iter("{http://www.w3.org/2000/svg}text")}
    with tf.Graph().as_default() as empty:
        assert ElementTree.fromstring(empty._repr_svg_()) is not None


HOSTILE = r"""a\N\n"];}</text><script>alert(1)</script>&lt;"""


@needs_dot
def test_names_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph refuses most of such names; the picture does not rely on it."""
    x = tf.placeholder(tf.float32, [2], name=r"a\N->b")
    y = tf.exp(x)
    monkeypatch.setattr(y.op, "name", f"{HOSTILE}/{HOSTILE}")
    picture = y._repr_svg_()
    assert "<script" not in picture
    texts = {"".join(e.itertext()) for e in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")}
    assert HOSTILE.split("/")[0] in texts
    assert r"a\N->b" in texts


def test_without_graphviz_there_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = classifier()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert loss._repr_svg_() is None
    assert loss.graph._repr_svg_() is None
    assert repr(loss) == "<tf.Tensor 'loss:0' shape=() dtype=float32>"


def test_a_program_that_fails_or_hangs_gives_no_picture(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    program = tmp_path / "dot"
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    monkeypatch.setattr(drawing, "PATIENCE", 0.5)
    for script in ("#!/bin/sh\nexit 1\n", "#!/bin/sh\nexec sleep 20\n", "#!/bin/sh\necho nothing\n", "no program"):
        program.write_text(script)
        program.chmod(0o755)
        assert drawing.svg("digraph {}") is None


def test_explanations_are_tables() -> None:
    x = tf.placeholder(tf.float32, [None, 4])
    y = tf.nn.softmax(tf.matmul(x, tf.ones([4, 3])), name="y")
    operation: Operation = y.op
    operation.name = "<b>y</b>"
    with tf.Session() as session:
        table = session.explain(y, {x: np.ones((2, 4), np.float32)})._repr_html_()
    assert "<table" in table
    assert "<b>y</b>" not in table
    assert "&lt;b&gt;y" in table
