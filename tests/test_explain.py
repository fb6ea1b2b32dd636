"""Session.explain: what it says is true, and asking changes nothing."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._compiled import COMPILER
from tests._explained import array, constant, default_environment, explained, fed  # noqa: F401  a fixture among them
from tests._nets import NETS
from tfgraph.codegen.explain_work import Amount
from tfgraph.runtime import machine
from tfgraph.runtime.explain import KernelReport
from tfgraph.runtime.explain_text import byte_text, scaled, time_text

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")

pytestmark = pytest.mark.usefixtures("graph", "environment")


def only(fetches: Any, feeds: dict[Any, np.ndarray]) -> KernelReport:
    (kernel,) = explained(fetches, feeds).kernels
    return kernel


# --- work -------------------------------------------------------------------------------------------------------------


def test_operations_and_bytes_of_a_product() -> None:
    x = fed(20)
    kernel = only(tf.matmul(x, constant(20, 7)), {x: array(5, 20)})
    assert kernel.flops == 2 * 5 * 20 * 7
    assert kernel.flops_text == f"{2 * 20 * 7}*N"
    assert kernel.bytes_read == 4 * (5 * 20 + 20 * 7)
    assert kernel.bytes_written == 4 * 5 * 7
    assert kernel.bytes_text == f"{4 * (20 + 7)}*N + {4 * 20 * 7}"
    assert kernel.shape == (5, 7)
    assert kernel.shape_text == "[N, 7]"


def test_operations_of_a_batch_of_products() -> None:
    x = fed(3, 4)
    assert only(tf.matmul(x, x, transpose_b=True), {x: array(6, 3, 4)}).flops == 6 * 2 * 3 * 3 * 4


def test_an_epilogue_adds_its_operations_and_operands() -> None:
    x = fed(20)
    y = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, constant(20, 7)), constant(7)))
    kernel = only(y, {x: array(5, 20)})
    assert kernel.flops == 2 * 5 * 20 * 7 + 5 * 7 + 5 * 7  # a sum and a maximum
    assert kernel.bytes_read == 4 * (5 * 20 + 20 * 7 + 7)


@pytest.mark.parametrize(("stride", "padding", "side"), [(1, "SAME", 9), (2, "SAME", 5), (1, "VALID", 7), (2, "VALID", 4)])
def test_operations_of_a_convolution(stride: int, padding: str, side: int) -> None:
    x = fed(9, 9, 5)
    y = tf.nn.conv2d(x, constant(3, 3, 5, 16), [1, stride, stride, 1], padding)
    kernel = only(y, {x: array(2, 9, 9, 5)})
    assert kernel.flops == 2 * (2 * side * side * 16) * (3 * 3 * 5)
    assert kernel.bytes == 4 * (2 * 9 * 9 * 5 + 3 * 3 * 5 * 16 + 2 * side * side * 16)


def test_operations_of_the_gradients_of_a_convolution() -> None:
    x = fed(9, 9, 5)
    w = constant(3, 3, 5, 16)
    y = tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME")
    kernels = explained(tf.gradients(y, [x, w]), {x: array(2, 9, 9, 5)}).kernels
    forward = 2 * (2 * 9 * 9 * 16) * (3 * 3 * 5)
    found = {kernel.kind: kernel.flops for kernel in kernels}
    assert found["conv2d_backprop_input"] == found["conv2d_backprop_filter"] == forward


def test_operations_of_pooling() -> None:
    x = fed(8, 8, 3)
    kernel = only(tf.nn.avg_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "SAME"), {x: array(4, 8, 8, 3)})
    assert kernel.flops == 4 * 4 * 4 * 3 * (2 * 2)
    assert kernel.bytes == 4 * 4 * 3 * (8 * 8 + 4 * 4)


def test_every_scalar_operation_counts_one() -> None:
    x = fed(10)
    kernel = only(tf.exp(x * x) + x, {x: array(3, 10)})
    assert kernel.flops == 3 * 3 * 10
    assert (kernel.bytes_read, kernel.bytes_written) == (4 * 30, 4 * 30)  # x once, though it is used three times


def test_a_broadcast_operand_is_read_once_and_a_slice_in_part() -> None:
    x, row = fed(10), constant(10)
    assert only(x + row, {x: array(3, 10)}).bytes_read == 4 * (30 + 10)
    assert only(tf.exp(x[:, 2:6]), {x: array(3, 10)}).bytes_read == 4 * 3 * 4
    assert only(x[:, 1:] + x[:, :-1], {x: array(3, 10)}).bytes_read == 4 * 30


def test_a_gather_reads_what_it_takes() -> None:
    table, rows = constant(1000, 8), tf.placeholder(tf.int32, [None], name="rows")
    kernel = only(tf.gather(table, rows), {rows: np.arange(5, dtype=np.int32)})
    assert kernel.bytes_read == 4 * 5 * 8 + 4 * 5
    assert kernel.bytes_written == 4 * 5 * 8


def test_an_optimizer_reads_and_writes_its_variable() -> None:
    x, v = fed(6), tf.Variable(np.zeros(6, np.float32))
    update = tf.assign_sub(v, tf.reduce_sum(x, 0))
    kernels = explained(update.op, {x: array(50, 6)}).kernels
    assert sum(k.bytes_written for k in kernels if k.nodes[-1] == update.op.name) == 4 * 6
    (assign,) = explained(tf.assign(v, constant(6)).op, {}).kernels
    assert (assign.bytes_read, assign.bytes_written) == (4 * 6, 4 * 6)  # the constant, not the old value


def test_amounts() -> None:
    assert str(Amount(3, 4) + Amount(0, 1)) == "3*N + 5"
    assert str(Amount()) == "0"
    assert (Amount(3, 4) * 2).at(10) == 68


# --- structure --------------------------------------------------------------------------------------------------------


def test_nodes_of_a_kernel_have_the_names_of_the_graph() -> None:
    x = fed(20)
    hidden = tf.nn.relu(tf.nn.bias_add(tf.matmul(x, constant(20, 7), name="product"), constant(7), name="sum"), name="act")
    kernel = only(hidden, {x: array(5, 20)})
    assert kernel.nodes == ("product", "sum", "act")
    assert kernel.anchor == "product"
    assert kernel.kind == "matmul"
    assert kernel.name.startswith("k00_matmul")


def test_why_a_result_goes_through_memory() -> None:
    x = fed(4)
    energy = tf.reduce_sum(tf.square(x), 0, name="energy")
    found = explained(tf.multiply(x, energy, name="weighted"), {x: array(3, 4)})
    (reason,) = found.kernels[0].not_fused
    assert (reason.value, reason.consumer, reason.node) == ("energy", 1, "weighted")
    assert reason.reason == "needs the finished reduction"
    assert found.kernels[1].not_fused == ()


def test_different_spaces_and_primitives_are_reasons() -> None:
    x = fed(6, 6, 1)
    pooled = tf.nn.max_pool(tf.exp(x, name="e"), [1, 3, 3, 1], [1, 1, 1, 1], "SAME", name="pool")
    y = tf.add(tf.reshape(pooled, [-1, 36]), fed(36, name="z"), name="sum")
    (z,) = [t for t in y.op.inputs if t.op.name == "z"]
    kernels = explained(y, {x: array(2, 6, 6, 1), z: array(2, 36)}).kernels
    said = {(n.value, n.node): n.reason for kernel in kernels for n in kernel.not_fused}
    assert said["e", "pool"].endswith("has a kernel of its own")
    assert "takes no epilogue" in said["pool", "sum"]


@pytest.mark.parametrize("name", sorted(NETS))
def test_every_edge_between_kernels_has_a_reason(name: str) -> None:
    net = NETS[name]()
    feeds = net.feeds(4)
    found = explained(net.fetches, feeds)
    plan, fed_values = tf.Session()._new_plan(net.fetches, feeds, 0)
    step, arrays = plan.needed(list(fed_values.values()))
    record, _ = step.recorded(arrays)
    kernels = record.program.kernels
    edges = {(a.index, b.index) for a in kernels for b in kernels for v in a.writes if v in b.reads and a is not b}
    assert {(k.index, n.consumer) for k in found.kernels for n in k.not_fused} == edges
    assert all(n.reason for k in found.kernels for n in k.not_fused)


@pytest.mark.parametrize(("method", "text"), [("direct", "direct, tile "), ("winograd", "Winograd F(4x4,3x3), tile ")])
def test_the_algorithm_of_a_convolution(method: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", method)
    x = fed(16, 16, 32)
    kernel = only(tf.nn.conv2d(x, constant(3, 3, 32, 32), [1, 1, 1, 1], "SAME"), {x: array(2, 16, 16, 32)})
    assert kernel.algorithm.startswith(text)


def test_other_algorithms() -> None:
    x = fed(4, 4, 32)
    pointwise = only(tf.nn.conv2d(x, constant(1, 1, 32, 16), [1, 1, 1, 1], "SAME"), {x: array(2, 4, 4, 32)})
    assert pointwise.algorithm.startswith("matrix product 16 * N x 32 x 16, tile ")
    y = fed(100, name="y")
    assert only(tf.matmul(y, constant(100, 30)), {y: array(200, 100)}).algorithm.startswith("N x 100 x 30, tile ")
    assert only(tf.exp(y), {y: array(2, 100)}).algorithm == "one sweep"
    assert only(tf.nn.softmax(y), {y: array(2, 100)}).algorithm == "row by row"


def test_counts_of_pruned_and_folded() -> None:
    x = fed(4)
    tf.exp(tf.exp(x))  # nobody fetches these
    y = x * (tf.constant([2.0, 3.0, 4.0, 5.0]) + tf.constant(1.0)) + 0.0 * tf.constant(1.0)
    found = explained(y, {x: array(3, 4)}).counts
    assert found.graph_operations == len(tf.get_default_graph().get_operations())
    assert found.pruned == 3  # the two, and the placeholder, which is fed
    assert found.folded > 0
    assert found.stages[0][0] == "specialise"
    assert found.kernels == 1


def test_memory() -> None:
    x = fed(16)
    w1, w2, w3 = (tf.Variable(array(16, 16)) for _ in range(3))
    y = tf.matmul(tf.matmul(tf.matmul(x, w1), w2), w3)
    memory = explained(y, {x: array(10, 16)}).memory
    row = 10 * 16 * 4
    assert memory.values == memory.live == 2 * row  # the third product is the fetch
    assert memory.batch_arena == 10 * memory.batch_arena_per_sample == 2 * row
    assert (memory.feeds, memory.fetches, memory.variables) == (row, row, 3 * 16 * 16 * 4)
    assert memory.peak == memory.batch_arena + memory.fixed_arena + 2 * row + memory.variables + memory.constants


# --- when it may be asked ---------------------------------------------------------------------------------------------


def test_asking_runs_nothing_and_needs_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setitem(sys.modules, "ziglang", None)  # it would be one
    x, v = fed(4), tf.Variable(np.zeros(4, np.float32))
    session = tf.Session()
    machine._warn_without_compiler.cache_clear()
    with pytest.warns(RuntimeWarning, match="No C compiler"):
        found = session.explain(tf.assign_add(v, tf.reduce_sum(tf.exp(x), 0)), {x: array(3, 4)})
    assert found.kernels
    assert "a run goes through the interpreter" in found.notes
    assert session._machine.sources == []
    with pytest.raises(tf.errors.FailedPreconditionError):
        session.run(v)  # still without a value


def test_errors_are_those_of_run() -> None:
    x = fed(4)
    session = tf.Session()
    with pytest.raises(tf.errors.InvalidArgumentError, match="You must feed a value for placeholder tensor 'x'"):
        session.explain(tf.exp(x))
    with pytest.raises(TypeError, match="feed_dict must be a dictionary"):
        session.explain(tf.exp(x), [1])
    session.close()
    with pytest.raises(RuntimeError, match="closed Session"):
        session.explain(tf.exp(x), {x: array(1, 4)})


def test_a_run_that_only_moves_values_says_so() -> None:
    v = tf.Variable(np.zeros(3, np.float32))
    found = explained(v.initializer, {})
    assert found.notes == ("a run goes through the interpreter: it only moves values",)


def test_operations_in_python_are_named() -> None:
    x = fed(4)
    printed = tf.Print(tf.exp(x), [x], name="shown")
    found = explained(tf.identity(printed), {x: array(2, 4)})
    assert any("shown" in note for note in found.notes)


@needs_compiler
def test_a_program_from_the_disk_can_be_explained() -> None:
    x = fed(4)
    y = tf.tanh(x, name="y")
    tf.Session().run(y, {x: array(2, 4)})
    session = tf.Session()
    session.run(y, {x: array(2, 4)})  # its kernels are not known to the session
    assert session.explain(y, {x: array(2, 4)}).kernels[0].nodes == ("y",)


# --- forms ------------------------------------------------------------------------------------------------------------


class Cells(HTMLParser):
    """The text of a document, and the tags it is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.said: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Sequence[Any]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_html_escapes_names() -> None:
    x = fed(4)
    found = explained(tf.exp(x), {x: array(2, 4)})
    (kernel,) = found.kernels
    evil = dataclasses.replace(kernel, nodes=("<script>alert('a & b')</script>",))
    document = Cells(dataclasses.replace(found, kernels=(evil,))._repr_html_())
    assert document.tags == {"p", "br", "table", "tr", "th", "td", "small"}
    assert "<script>alert('a & b')</script>" in "".join(document.said)


def test_text_and_html_say_the_same() -> None:
    x = fed(20)
    y = tf.reduce_sum(tf.nn.relu(tf.matmul(x, constant(20, 7)), name="act"), 0, name="total")
    found = explained(y, {x: array(5, 20)})
    text, document = str(found), "".join(Cells(found._repr_html_()).said)
    for part in ("k00_matmul", "k01_reduce", "[MatMul], act", "not fused with kernel 1 (act -> total): ", "N = 5", "peak "):
        assert part in text
        assert part in document
    rows = [line for line in text.splitlines() if line.lstrip().startswith(("0 ", "1 "))]
    assert len(rows) == 2
    assert rows[0].index("matmul", 20) == rows[1].index("reduce", 20)  # columns are aligned


def test_json_has_everything() -> None:
    x = fed(20)
    found = explained(tf.reduce_sum(tf.matmul(x, constant(20, 7)), 0), {x: array(5, 20)})
    record = json.loads(found.to_json())
    kernels = [dataclasses.asdict(kernel) for kernel in found.kernels]
    assert record["kernels"] == json.loads(json.dumps(kernels))
    assert record["batch"] == 5
    assert record["feeds"] == {"x:0": [5, 20]}
    assert record["flops"] == found.flops == sum(kernel.flops for kernel in found.kernels)
    assert record["memory"]["peak"] == found.memory.peak
    assert record["profile"] is None


def test_numbers_for_reading() -> None:
    assert [scaled(n) for n in (0, 7, 999, 1000, 12345, 999_600)] == ["0", "7", "999", "1.00 k", "12.3 k", "1.00 M"]
    assert byte_text(4096) == "4.10 kB"
    assert [time_text(t) for t in (9e-8, 1.5e-6, 2.25e-3, 3.0)] == ["90 ns", "1.50 us", "2.25 ms", "3.00 s"]
