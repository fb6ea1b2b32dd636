"""Where values live while a step runs: no two live ones overlap, and each kernel finds what it needs.

The second half runs whole steps under TFGRAPH_CHECK=1, which fills the arenas with NaN and compares every kernel with the
reference on its real inputs, so a read of memory that was given away, or never written, shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tfgraph as tf
from tests._evaluate import refuse_interpreter
from tests._nets import NETS
from tests._programs import program_of
from tests._random_graphs import graphs, run_all
from tfgraph.codegen.ir import Buffer, Program
from tfgraph.codegen.kinds import scratch
from tfgraph.runtime import cpu
from tfgraph.shapes import at_batch

pytestmark = pytest.mark.usefixtures("graph")

ALIGNMENT = 64
BATCHES = (0, 1, 2, 17, 1000)
GIVEN = ("feed", "fetch", "variable", "constant")

Block = tuple[str, str, int, int, int, int]  # what, arena, first byte, end byte, first kernel, last kernel


def blocks(program: Program, n: int) -> Iterator[Block]:
    """Everything that lives in an arena at batch size `n`, with the kernels between which it must stay."""
    for kernel in program.kernels:
        for value in kernel.writes:
            buffer = program.plan.buffers[value]
            if buffer.storage in GIVEN:
                continue
            readers = [k.index for k in program.kernels if value in k.reads]
            size = int(np.prod(at_batch(value.dims, n), dtype=np.int64)) * value.dtype.size
            start = start_of(buffer, n)
            yield repr(value), buffer.storage, start, start + size, kernel.index, max([kernel.index, *readers])
        needed = scratch(kernel)
        size = needed.per_batch * n + needed.fixed
        if needed.per_batch or needed.fixed:
            buffer = program.plan.scratch[kernel.index]
            start = start_of(buffer, n)
            yield f"scratch of {kernel.name}", buffer.storage, start, start + size, kernel.index, kernel.index


def start_of(buffer: Buffer, n: int) -> int:
    return buffer.index * n + buffer.rest if buffer.storage == "batch" else buffer.index


def check_plan(program: Program) -> None:
    for n in BATCHES:
        sizes = {"batch": program.batch_arena_bytes(n), "fixed": program.fixed_bytes}
        found = list(blocks(program, n))
        for what, arena, start, end, _, _ in found:
            assert start % ALIGNMENT == 0, f"{what} is not aligned"
            assert 0 <= start <= end <= sizes[arena], f"{what} is outside of its arena at batch {n}"
        for i, (one, arena, start, end, first, last) in enumerate(found):
            for other, its_arena, its_start, its_end, its_first, its_last in found[:i]:
                together = arena == its_arena and first <= its_last and its_first <= last
                assert not together or end <= its_start or its_end <= start, f"{one} and {other} overlap at batch {n}"


def check_operands(program: Program) -> None:
    """Each kernel reads what exists before the step or what an earlier kernel has written."""
    written: set[Any] = set()
    for kernel in program.kernels:
        for value in kernel.reads:
            buffer = program.plan.buffers.get(value)
            inline = value.op.type in ("_Extent", "_Iota") or value.known() is not None
            assert inline or value in written or (buffer is not None and buffer.storage in GIVEN[:1] + GIVEN[2:])
        written.update(kernel.writes)
    fetched = [b.index for b in program.plan.buffers.values() if b.storage == "fetch"]
    assert sorted(fetched) == list(range(len(program.fetches)))


def train_too(fetches: list[Any]) -> list[Any]:
    """The fetches, and updates of variables that wait for all of them."""
    v = tf.Variable(np.ones(3, np.float32))
    total = tf.add_n([tf.reduce_sum(tf.tanh(value)) for value in fetches])
    return [*fetches, tf.train.MomentumOptimizer(0.1, 0.9).minimize(tf.nn.l2_loss(v * total))]


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_plans_of_random_graphs(drawn: Any) -> None:
    with tf.Graph().as_default():
        inputs, fetches = drawn.build(tf, "float32")
        shapes = {x: array.shape for x, array in zip(inputs, drawn.arrays(3, "float32"), strict=True)}
        program = program_of(train_too(fetches), shapes)
    check_plan(program)
    check_operands(program)


def chain(x: Any, length: int) -> Any:
    """`x` under so many arc tangents."""
    return chain(tf.atan(x), length - 1) if length else x


def differentiated(x: Any, ends: list[Any]) -> list[Any]:
    """The values, and the gradient of a function of them."""
    loss = tf.add_n([tf.reduce_sum(tf.square(tf.tanh(end))) for end in ends])
    return [*ends, *tf.gradients(loss, [x])]


def columns_of_two_sweeps() -> tuple[Any, list[Any]]:
    """Sums of columns of what one sweep makes and of what it reads; a product of everything follows from the latter."""
    x = tf.placeholder(tf.float32, [None, 5, 4, 1])
    made, read = (tf.reduce_sum(value, [0, 2]) for value in (chain(x, 2), x))
    return x, differentiated(x, [made, chain(read, 4), tf.reduce_prod(chain(read, 3), [0, 1])])


def a_path_through_a_later_kernel() -> tuple[Any, list[Any]]:
    """The scan's gradient depends on a kernel that ends behind it: a path to it is no shorter than the numbers say."""
    x = tf.placeholder(tf.float32, [None, 5])
    cube = tf.reshape(x, [-1, 5, 1])
    scanned = tf.cumsum(cube * 0.25, axis=-1, exclusive=True, reverse=True)
    least = tf.minimum(cube, cube)
    ends = [tf.nn.relu6(least), scanned, tf.maximum(x, x), tf.reduce_min(tf.minimum(least, least), [0, 1]), cube]
    return x, differentiated(x, ends)


@pytest.mark.parametrize("build", [columns_of_two_sweeps, a_path_through_a_later_kernel])
def test_plans_of_graphs_that_once_went_wrong(build: Any) -> None:
    """Sweeps that were joined although others had been joined in the meantime."""
    with tf.Graph().as_default():
        x, fetches = build()
        program = program_of(train_too(fetches), {x: (3, *x.shape.as_list()[1:])})
    check_plan(program)
    check_operands(program)


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_plans_of_nets(net: Any) -> None:
    built = net()
    program = program_of(built.fetches, built.batch_shapes(4))
    check_plan(program)
    check_operands(program)


def test_memory_is_used_again() -> None:
    """A deep net needs little more than its two largest neighbours when it only predicts."""
    x = y = tf.placeholder(tf.float32, [None, 64])
    for _ in range(12):
        y = tf.nn.relu(tf.matmul(y, tf.Variable(np.ones((64, 64), np.float32))))
    program = program_of(y, {x: (8, 64)})
    assert program.batch_bytes == 2 * 64 * 4


def test_sizes_that_do_not_grow_with_the_batch_are_apart() -> None:
    x, w = tf.placeholder(tf.float32, [None, 8]), tf.Variable(np.ones((8, 8), np.float32))
    squared = tf.matmul(w, w)
    program = program_of(tf.matmul(tf.matmul(x, squared), squared), {x: (5, 8)})
    assert program.batch_bytes == ALIGNMENT  # 8 floats a sample, rounded up
    assert program.fixed_bytes >= 8 * 8 * 4


def products_in_shares() -> tuple[Any, Any]:
    """Products over so many inputs that their sums are made in shares, which every block of rows has its own of."""
    x = tf.placeholder(tf.float32, [None, 9216])
    hidden = tf.nn.relu(tf.matmul(x, tf.Variable(np.ones((9216, 100), np.float32))))
    wide = tf.matmul(x, tf.Variable(np.ones((9216, 130), np.float32)))
    return x, [hidden, wide, tf.reduce_sum(tf.tanh(hidden), 1) + tf.reduce_max(wide, 1)]


def large_windows() -> tuple[Any, Any]:
    """A convolution whose windows are too large for the stack: scratch for each picture, and for the packed filters."""
    x = tf.placeholder(tf.float32, [None, 40, 40, 192])
    return x, [tf.nn.conv2d(tf.tanh(x), tf.Variable(np.ones((5, 5, 192, 8), np.float32)), [1, 1, 1, 1], "SAME")]


@pytest.mark.parametrize("build", [products_in_shares, large_windows])
def test_scratch_that_grows_has_a_rest_that_does_not(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", "direct")
    x, fetches = build()
    program = program_of(fetches, {x: (4, *x.shape.as_list()[1:])})
    check_plan(program)
    sizes = [scratch(kernel) for kernel in program.kernels]
    mixed = [size for size in sizes if size.per_batch and size.fixed]
    assert mixed, f"the subject of this test: {sizes}"
    assert 0 < program.batch_rest <= sum(size.fixed for size in mixed)
    values = {v: v.dims for kernel in program.kernels for v in kernel.writes if program.plan.buffers[v].storage == "batch"}
    per_sample = sum(int(np.prod(at_batch(dims, 1))) * v.dtype.size + ALIGNMENT for v, dims in values.items())
    assert program.batch_bytes <= per_sample + sum(size.per_batch + ALIGNMENT for size in mixed)


# --- runs that are checked kernel by kernel -------------------------------------------------------------------


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, list[dict[Any, np.ndarray]]], list[Any]]:
    """Runs fetches under TFGRAPH_CHECK=1, once per feed dictionary, never in the interpreter."""
    monkeypatch.setenv("TFGRAPH_CHECK", "1")
    monkeypatch.setenv("TFGRAPH_CFLAGS", "-Wall -Wextra -Werror")

    def run(fetches: Any, feeds: list[dict[Any, np.ndarray]]) -> list[Any]:
        with tf.Session() as session:
            with monkeypatch.context() as patch:
                patch.setenv("TFGRAPH_BACKEND", "interpreter")  # initial values are not the subject here
                session.run(tf.global_variables_initializer())
            with monkeypatch.context() as patch:
                refuse_interpreter(patch)
                return [session.run(fetches, feed) for feed in feeds]

    return run


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_checked_steps_of_nets(net: Any, checked: Any) -> None:
    built = net()
    results = checked(built.fetches, [built.feeds(n, seed=n) for n in (5, 1, 18, 5)])
    values = [np.asarray(v) for result in results for v in result if v is not None]
    assert values
    assert all(np.isfinite(v).all() for v in values)


@pytest.mark.parametrize("build", [products_in_shares, large_windows])
def test_checked_scratch_with_a_rest(build: Any, checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_CONV", "direct")
    x, fetches = build()
    rng = np.random.default_rng(3)
    shape = x.shape.as_list()[1:]
    feeds = [{x: rng.random((n, *shape), np.float32)} for n in (0, 1, 3)]
    for fed, values in zip(feeds, checked(fetches, feeds), strict=True):
        assert all(len(value) == len(fed[x]) for value in values)


@settings(max_examples=2, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(graphs(), min_size=10, max_size=10))
def test_checked_random_graphs(drawn: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        refuse_interpreter(patch)
        patch.setenv("TFGRAPH_CHECK", "1")
        runs = run_all(tf, drawn, "float32", batches=(3, 0))
    assert [len(results) for results in runs] == [len(drawn)] * 2  # and no kernel differs from the reference: it would raise


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_checked_sums_of_chosen_elements(dtype: Any, checked: Any) -> None:
    """gcc before 12.4 mixes up the columns of such a sum if only the chosen elements are loaded (its bug 114375)."""
    x, y = (tf.placeholder(dtype, [None, 12]) for _ in range(2))
    chosen = tf.where(x > 0, y, tf.zeros_like(y))
    rng = np.random.default_rng(5)
    data = {t: rng.normal(size=(50, 12)).astype(dtype.as_numpy_dtype) for t in (x, y)}
    ((values, sums),) = checked([chosen, tf.reduce_sum(chosen, 0)], [data])
    np.testing.assert_array_equal(values, np.where(data[x] > 0, data[y], 0))
    np.testing.assert_allclose(sums, values.sum(0), rtol=1e-4)


def spoil(monkeypatch: pytest.MonkeyPatch, pattern: str, replacement: str) -> None:
    """Change every program's C before it is compiled. The pattern must occur."""
    load = cpu.load

    def load_spoiled(source: str) -> Any:
        spoiled, count = re.subn(pattern, replacement, source)
        assert count, f"nothing like {pattern} in the source"
        return load(spoiled)

    monkeypatch.setattr(cpu, "load", load_spoiled)


def test_a_wrong_kernel_is_found(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = tf.placeholder(tf.float32, [None, 3])
    y = tf.add(tf.exp(x, name="grow"), 1.0, name="shift")
    data = np.array([[0.0, 1.0, 2.0], [3.0, -1.0, 0.5]], np.float32)
    spoil(monkeypatch, r"\+ 1\.0f; /\* shift \*/", r"- 1.0f; /* shift */")
    with pytest.raises(tf.errors.InternalError) as failure:
        checked(y, [{x: data}])
    message = str(failure.value)
    index = re.search(r"worst at \((\d+), (\d+)\)", message)
    assert index is not None
    place = int(index[1]), int(index[2])
    compiled = re.search(r"compiled \S*?(-?[\d.]+)\)", message)
    reference = re.search(r"reference \S*?(-?[\d.]+)\)", message)
    assert compiled is not None
    assert reference is not None
    assert float(compiled[1]) == pytest.approx(np.exp(data[place]) - 1, rel=1e-5)
    assert float(reference[1]) == pytest.approx(np.exp(data[place]) + 1, rel=1e-5)
    assert re.search(r"k\d+_exp_add", message)
    assert "Nodes: grow, shift" in message
    assert "6 of 6 elements" in message
    assert "test_memory_plan.py" in message  # where the user's node was made


def test_the_first_wrong_kernel_is_named(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = tf.placeholder(tf.float32, [None, 4])
    first = tf.matmul(x, tf.Variable(np.ones((4, 4), np.float32)), name="first")
    second = tf.matmul(tf.reduce_sum(first, 1, keepdims=True, name="total"), tf.Variable(np.ones((1, 2), np.float32)))
    spoil(monkeypatch, r"(\w+) \+= (\w+)(\[[^;]*\]);( /\* total \*/)?", r"\1 += 2 * \2\3;")
    with pytest.raises(tf.errors.InternalError, match="Nodes: total"):
        checked(second, [{x: np.ones((3, 4), np.float32)}])


def test_a_kernel_that_writes_nothing_is_found(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = tf.placeholder(tf.float32, [None, 3])
    hidden = tf.exp(x, name="hidden")
    y = tf.reduce_max(tf.transpose(hidden), 0) + tf.reduce_sum(tf.nn.top_k(hidden, 2)[0], 1)
    spoil(monkeypatch, r"(?m)^( *)hidden_out\[.*$", r"\1(void)hidden_out, (void)hidden;")
    with pytest.raises(tf.errors.InternalError, match=r"at hidden: 6 of 6 elements.*compiled np\.float32\(nan\)"):
        checked(y, [{x: np.ones((2, 3), np.float32)}])


def test_a_wrong_update_is_found(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    v = tf.Variable(np.ones((2, 2), np.float32), name="v")
    x = tf.placeholder(tf.float32, [2, 2])
    update = tf.assign_sub(v, x * 0.5, name="descend")
    spoil(monkeypatch, r"- (\w+); /\* descend \*/", r"+ \1; /* descend */")
    with pytest.raises(
        tf.errors.InternalError, match=r"at descend.*compiled np\.float32\(1\.5\), reference np\.float32\(0\.5\)"
    ):
        checked(update.op, [{x: np.ones((2, 2), np.float32)}])


def test_checking_changes_no_result(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    net = NETS["lenet"]()
    feeds = [net.feeds(4, seed=i) for i in range(3)]
    with_check = checked(net.fetches, feeds)
    monkeypatch.delenv("TFGRAPH_CHECK")
    without = checked(net.fetches, feeds)
    for one, other in zip(with_check, without, strict=True):
        assert [np.asarray(v).tobytes() for v in one[1:]] == [np.asarray(v).tobytes() for v in other[1:]]
