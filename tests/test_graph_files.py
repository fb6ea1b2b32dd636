"""GraphDef and MetaGraphDef: what comes out goes in again, arguments, and files from strangers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf

protobuf = pytest.importorskip("google.protobuf.message", reason="needs tensorboard's protos: pip install tensorboard")
pytest.importorskip("tensorboard", reason="needs its protos: pip install tensorboard")

RNG = np.random.RandomState(0)
ROWS = RNG.rand(5, 4).astype(np.float32)


@pytest.fixture(autouse=True)
def fresh_graph() -> Iterator[None]:
    with tf.Graph().as_default():
        yield


def small() -> Any:
    """The GraphDef of a training step with names, control inputs, strings and all kinds of attributes."""
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None, 4], "x")
        with tf.name_scope("net"), tf.device("/cpu:0"):
            w = tf.Variable(tf.fill([4, 2], 0.5), name="w")
            y = tf.nn.relu(tf.matmul(x, w), name="y")
        with tf.control_dependencies([tf.Assert(tf.reduce_all(tf.is_finite(y)), [y, tf.constant("bad")])]):
            loss = tf.reduce_mean(tf.square(y - 1.0), name="loss")
        tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss, name="train")
        tf.split(tf.one_hot(tf.argmax(y, 1), 2), 2, 1, name="halves")
        tf.summary.scalar("loss_", loss)
        tf.global_variables_initializer()
        return graph.as_graph_def()


def test_a_graph_that_comes_back_is_the_same_graph() -> None:
    first = small()
    tf.import_graph_def(first, name="")
    second = tf.get_default_graph().as_graph_def()
    tf.import_graph_def(second, name="again")
    by_name = {node.name: node for node in second.node}
    for node in first.node:
        assert by_name[node.name] == node
    prefixed = [op.name for op in tf.get_default_graph().get_operations() if op.name.startswith("again/")]
    assert len(prefixed) == len(second.node)
    with tf.Session() as sess:
        sess.run(["init", "again/init"])
        one = [sess.run(["loss:0", "train"], {"x:0": ROWS})[0] for _ in range(3)]
        two = [sess.run(["again/loss:0", "again/train"], {"again/x:0": ROWS})[0] for _ in range(3)]
    y = ROWS.astype(float) @ np.full((4, 2), 0.5)
    assert one[0] == pytest.approx(((y - 1) ** 2).mean(), rel=1e-6)
    assert one == two


def test_arguments() -> None:
    graph_def = small()
    x = tf.constant(ROWS)
    operation, tensor, mapped = tf.import_graph_def(graph_def, {"x:0": x}, ["net/y", "net/y:0", "x:0"])
    assert (operation.name, tensor.name) == ("import/net/y", "import/net/y:0")
    assert mapped is x
    assert tensor.op is operation
    assert operation.inputs[0].op.inputs[0] is x
    assert tf.import_graph_def(graph_def) is None
    assert tf.get_default_graph().get_operation_by_name("import_1/net/y")
    assert tf.constant(1.0, name="import/net/y").name == "import/net/y_1:0"


Change = Callable[[Any], Any]


def node(graph_def: Any, name: str) -> Any:
    return next(node for node in graph_def.node if node.name == name)


WRONG: list[tuple[str, Change]] = [
    ("no op named 'Reluu' .* the nearest that there is is Relu", lambda g: setattr(node(g, "net/y"), "op", "Reluu")),
    ("not a valid node name", lambda g: setattr(g.node[0], "name", "x y")),
    ("two nodes with the name 'x'", lambda g: g.node.add().CopyFrom(g.node[0])),
    ("cycle through", lambda g: node(g, "net/MatMul").input.__setitem__(0, "net/y")),
    ("'nowhere' is no node", lambda g: node(g, "net/y").input.__setitem__(0, "nowhere")),
    (r"'net/MatMul:3' is not there", lambda g: node(g, "net/y").input.__setitem__(0, "net/MatMul:3")),
    ("control input 'nowhere'", lambda g: node(g, "net/y").input.append("^nowhere")),
    ("comes after a control input", lambda g: node(g, "net/y").input.insert(0, "^x")),
    ("takes 2 inputs, and the file gives it 3", lambda g: node(g, "net/MatMul").input.append("x")),
    ("where int32 is needed|of type", lambda g: node(g, "net/y").attr["T"].__setattr__("type", 3)),
    ("not implemented here", lambda g: node(g, "net/y").attr["T"].__setattr__("type", 8)),
    ("needs the attribute", lambda g: node(g, "net/y").attr.__delitem__("T")),
    ("with colour=3 is not implemented", lambda g: node(g, "net/y").attr["colour"].__setattr__("i", 3)),
    ("transpose_a is 'x', a str", lambda g: node(g, "net/MatMul").attr["transpose_a"].__setattr__("s", b"x")),
    ("value is 'x', a str, where Const", lambda g: node(g, "net/Fill/dims").attr["value"].__setattr__("s", b"x")),
    ("shape is 2, a int, where VariableV2 takes TensorShape", lambda g: node(g, "net/w").attr["shape"].__setattr__("i", 2)),
    ("functions", lambda g: node(g, "net/y").attr["f"].func.__setattr__("name", "f")),
    ("The GraphDef has functions", lambda g: g.library.function.add().signature.__setattr__("name", "f")),
    ("too large", lambda g: huge(node(g, "net/Fill/dims"))),
    ("bytes for", lambda g: node(g, "net/Fill/dims").attr["value"].tensor.__setattr__("tensor_content", b"123")),
    ("dimensions", lambda g: [node(g, "x").attr["shape"].shape.dim.add(size=1) for _ in range(40)]),
    ("must be a variable", lambda g: node(g, "net/w/Assign").input.__setitem__(0, "net/w/read")),
]


def huge(constant: Any) -> None:
    tensor = constant.attr["value"].tensor
    tensor.tensor_content = b""
    tensor.int_val.append(1)
    del tensor.tensor_shape.dim[:]
    for _ in range(4):
        tensor.tensor_shape.dim.add(size=1 << 20)


@pytest.mark.parametrize(("said", "change"), WRONG, ids=[said for said, _ in WRONG])
def test_what_is_wrong_with_a_file_is_told_and_nothing_is_added(said: str, change: Change) -> None:
    graph_def = small()
    if "net/Fill/dims" not in {one.name for one in graph_def.node}:
        constant = next(one for one in graph_def.node if one.op == "Const" and one.attr["value"].tensor.dtype == 3)
        for one in graph_def.node:
            one.input[:] = ["net/Fill/dims" if text == constant.name else text for text in one.input]
        constant.name = "net/Fill/dims"
    change(graph_def)
    with pytest.raises(ValueError, match=said):
        tf.import_graph_def(graph_def, name="")
    assert not tf.get_default_graph().get_operations()


def test_wrong_arguments() -> None:
    graph_def = small()
    with pytest.raises(TypeError, match="must be a GraphDef"):
        tf.import_graph_def("net.pb")
    with pytest.raises(TypeError, match="input_map"):
        tf.import_graph_def(graph_def, [1])
    with pytest.raises(ValueError, match=r"not found in graph_def: \[nope:0\]"):
        tf.import_graph_def(graph_def, {"nope:0": tf.constant(1.0, name="given")})
    with pytest.raises(ValueError, match="'nope:0' not found"):
        tf.import_graph_def(graph_def, return_elements=["nope:0"])
    tf.import_graph_def(graph_def, name="")
    with pytest.raises(ValueError, match="'x' already exists"):
        tf.import_graph_def(graph_def, name="")


def test_changed_files_give_clean_errors() -> None:
    """Whatever happens to the bytes of a file: it is imported, or it is refused with an error of its own."""
    content = small().SerializeToString()
    rng = np.random.RandomState(3)
    refused = 0
    for _ in range(1000):
        changed = bytearray(content)
        kind = rng.randint(4)
        at = rng.randint(len(changed))
        if kind == 0:
            changed[at] ^= 1 << rng.randint(8)
        elif kind == 1:
            changed[at : at + rng.randint(1, 20)] = rng.bytes(rng.randint(0, 20))
        elif kind == 2:
            del changed[at:]
        else:
            other = rng.randint(len(changed))
            changed[at : at + 8] = changed[other : other + 8]
        with tf.Graph().as_default():
            try:
                graph_def = tf.GraphDef()
                graph_def.ParseFromString(bytes(changed))
                tf.import_graph_def(graph_def, name="")
            except (ValueError, protobuf.DecodeError):
                refused += 1
    assert refused > 500


def test_parts_of_graphs_and_constants_for_variables() -> None:
    tf.import_graph_def(small(), name="")
    graph_def = tf.get_default_graph().as_graph_def()
    part = tf.graph_util.extract_sub_graph(graph_def, ["net/y"])
    assert {node.name for node in part.node} == {"x", "net/w", "net/w/read", "net/MatMul", "net/y"}
    with pytest.raises(AssertionError, match="nope is not in graph"):
        tf.graph_util.extract_sub_graph(graph_def, ["nope"])
    with tf.Session() as sess:
        sess.run("init")
        sess.run("train", {"x:0": ROWS})
        frozen = tf.graph_util.convert_variables_to_constants(sess, graph_def, ["net/y"])
        kept = tf.graph_util.convert_variables_to_constants(sess, graph_def, ["net/y"], variable_names_blacklist=["net/w"])
        expected = sess.run("net/y:0", {"x:0": ROWS})
    assert [n.op for n in kept.node] == [n.op for n in part.node]
    assert "VariableV2" not in {n.op for n in frozen.node}
    (y,) = tf.import_graph_def(frozen, {"x:0": tf.constant(ROWS)}, ["net/y:0"])
    with tf.Session() as sess:
        np.testing.assert_allclose(sess.run(y), expected, rtol=1e-6)
    plain = tf.graph_util.remove_training_nodes(frozen)
    assert [n.op for n in plain.node] == ["Placeholder", "Const", "MatMul", "Relu"]


@pytest.mark.parametrize("as_text", [False, True])
def test_meta_graphs_bring_their_collections(as_text: bool, tmp_path: Path) -> None:
    with tf.Graph().as_default():
        w = tf.Variable([1.0, 2.0], name="w")
        fixed = tf.Variable(3, trainable=False, name="fixed")
        tf.add_to_collection("things", w * 2.0)
        for item in ("text", 5, 0.5):
            tf.add_to_collection(type(item).__name__, item)
        tf.global_variables_initializer()
        tf.train.export_meta_graph(tmp_path / "net.meta", as_text=as_text)
        with tf.Session() as sess:
            sess.run("init")
            sess.run(w.assign([5.0, 6.0]))
            tf.train.Saver().save(sess, str(tmp_path / "net"))
        assert fixed.name == "fixed:0"
    saver = tf.train.import_meta_graph(tmp_path / "net.meta")
    assert [v.name for v in tf.global_variables()] == ["w:0", "fixed:0"]
    assert tf.trainable_variables() == [tf.global_variables()[0]]
    assert [tf.get_collection(key) for key in ("str", "int", "float")] == [[b"text"], [5], [0.5]]
    with tf.Session() as sess:
        saver.restore(sess, str(tmp_path / "net"))
        np.testing.assert_array_equal(sess.run(tf.get_collection("things")[0]), [10.0, 12.0])
        sess.run(tf.trainable_variables()[0].initializer)
        np.testing.assert_array_equal(sess.run("w:0"), [1.0, 2.0])


def test_files_that_are_no_graphs(tmp_path: Path) -> None:
    with pytest.raises(tf.errors.NotFoundError):
        tf.train.import_meta_graph(tmp_path / "none.meta")
    (tmp_path / "bad.meta").write_bytes(b"\xff\x00 this is no graph")
    with pytest.raises(ValueError, match=r"bad.meta is no MetaGraphDef"):
        tf.train.import_meta_graph(tmp_path / "bad.meta")
    path = tf.train.write_graph(small(), tmp_path / "new" / "folder", "net.pbtxt")
    assert Path(path).read_text().startswith("node {")
