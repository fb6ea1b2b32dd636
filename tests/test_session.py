"""What sessions accept and return: fetch structures, feeds, default sessions and graphs, growth, threads, placement."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict, namedtuple
from pathlib import Path

import numpy as np
import pytest

import tfgraph as tf

Point = namedtuple("Point", ["x", "y"])


@pytest.fixture(params=["interpreter", "compiled"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TFGRAPH_BACKEND", request.param)
    return request.param


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


# --- what a run returns -------------------------------------------------------------------------------------------------


def test_kinds_of_results(backend: str) -> None:
    scalar = tf.constant(1.5) * 2.0
    vector = tf.constant([1, 2]) + 1
    flag = tf.equal(tf.constant(1), 1)
    with tf.Session() as sess:
        assert type(sess.run(scalar)) is np.float32
        assert sess.run(scalar) == 3.0
        assert type(sess.run(flag)) is np.bool_
        array = sess.run(vector)
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.int32
        assert array.tolist() == [2, 3]
        assert sess.run(vector.op) is None


def test_strings(backend: str) -> None:
    one, several = tf.constant("hi"), tf.constant([["a", "b"]])
    x = tf.placeholder(tf.string, [None])
    with tf.Session() as sess:
        assert sess.run(one) == b"hi"
        assert type(sess.run(one)) is bytes
        array = sess.run(several)
        assert array.dtype == object
        assert array.tolist() == [[b"a", b"b"]]
        assert sess.run(tf.identity(x), {x: ["é", b"\xff"]}).tolist() == ["é".encode(), b"\xff"]


def test_structures(backend: str) -> None:
    a, b = tf.constant(1.0) + 0.0, tf.constant(2.0) + 0.0
    with tf.Session() as sess:
        assert sess.run([a, b]) == [1.0, 2.0]
        assert sess.run((a, b)) == (1.0, 2.0)
        assert sess.run([]) == []
        assert sess.run({"a": a, "b": [b, (a,)]}) == {"a": 1.0, "b": [2.0, (1.0,)]}
        assert sess.run([a, a, [a]]) == [1.0, 1.0, [1.0]]
        point = sess.run(Point(x=a, y=[b]))
        assert type(point) is Point
        assert point == Point(1.0, [2.0])
        ordered = sess.run(OrderedDict([("z", a), ("y", b)]))
        assert type(ordered) is OrderedDict
        assert list(ordered.items()) == [("z", 1.0), ("y", 2.0)]
        defaults = defaultdict(list, {"k": a})
        assert sess.run(defaults) == {"k": 1.0}
        assert sess.run(["add:0", "add", a.op]) == [1.0, None, None]


def test_structures_that_only_differ_in_type_or_keys() -> None:
    a, b = tf.constant(1.0), tf.constant(2.0)
    with tf.Session() as sess:
        assert type(sess.run((a, b))) is tuple
        assert type(sess.run([a, b])) is list
        assert type(sess.run(Point(a, b))) is Point
        assert sess.run({"p": a, "q": b}) == {"p": 1.0, "q": 2.0}
        assert sess.run({"q": a, "p": b}) == {"q": 1.0, "p": 2.0}


def test_a_fetched_structure_may_change_afterwards() -> None:
    a, b = tf.constant(1.0), tf.constant(2.0)
    fetches = {"a": a}
    with tf.Session() as sess:
        assert sess.run(fetches) == {"a": 1.0}
        fetches["b"] = b
        assert sess.run(fetches) == {"a": 1.0, "b": 2.0}
        del fetches["b"]
        assert sess.run(fetches) == {"a": 1.0}


def test_results_are_the_callers_own(backend: str) -> None:
    v = tf.Variable([1.0, 2.0])
    c = tf.constant([5.0, 6.0])
    same = tf.identity(c)
    x = tf.placeholder(tf.float32, [2])
    passed = tf.identity(x)
    with tf.Session() as sess:
        sess.run(v.initializer)
        for fetch in (v, c, same):
            before = sess.run(fetch).copy()
            sess.run(fetch)[:] = 99.0
            np.testing.assert_array_equal(sess.run(fetch), before)
        fed = np.array([1, 2], np.float32)
        sess.run(passed, {x: fed})[:] = 99.0
        assert fed.tolist() == [1, 2]


# --- feeds ----------------------------------------------------------------------------------------------------------------


def test_any_tensor_may_be_fed(backend: str) -> None:
    c = tf.constant(1.0, name="c")
    v = tf.Variable(1.0, name="v")
    mid = c + 1.0
    end = mid * 10.0 + v
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(end) == 21.0
        assert sess.run(end, {c: 2.0}) == 31.0
        assert sess.run(end, {mid: 5.0}) == 51.0
        assert sess.run(end, {v: 2.0}) == 22.0
        assert sess.run(end, {"v/read:0": 3.0}) == 23.0
        assert sess.run(end, {"c:0": 0.0, v: 0.0}) == 10.0
        assert sess.run(end) == 21.0


def test_a_fed_variable_needs_no_value(backend: str) -> None:
    v = tf.Variable(1.0)
    doubled = v * 2.0
    with tf.Session() as sess:
        assert sess.run(doubled, {v: 10.0}) == 20.0


def test_fetching_what_is_fed() -> None:
    x = tf.placeholder(tf.float32, name="x")
    with tf.Session() as sess:
        result = sess.run(x, {x: 1})
        assert isinstance(result, np.ndarray)
        assert result.shape == ()
        assert result == 1.0
        both = sess.run([x * 2.0, x, "x:0"], {x: [1.0, 2.0]})
        assert [array.tolist() for array in both] == [[2.0, 4.0], [1.0, 2.0], [1.0, 2.0]]


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2], [3, 4]],
        ((1.0, 2.0), (3.0, 4.0)),
        np.array([[1, 2], [3, 4]], np.int8),
        np.array([[1, 3], [2, 4]], ">f8").T,
        np.arange(1, 9, dtype=np.float32).reshape(2, 4)[:, ::2] * [[1, 2 / 3], [3 / 5, 4 / 7]],
        [np.float64(1), np.float64(2)] * 2,
    ],
)
def test_values_that_may_be_fed(value: object, backend: str) -> None:
    x = tf.placeholder(tf.float32, None)
    with tf.Session() as sess:
        result = sess.run(x + 1.0, {x: value})
    np.testing.assert_array_equal(result, np.asarray(value, np.float32) + np.float32(1))


def test_a_feed_at_an_odd_address(backend: str) -> None:
    x = tf.placeholder(tf.float32, [3])
    odd = np.frombuffer(b"?" + np.array([1, 2, 3], np.float32).tobytes(), np.uint8)[1:].view(np.float32)
    assert not odd.flags.aligned
    with tf.Session() as sess:
        assert sess.run(x * 2.0, {x: odd}).tolist() == [2, 4, 6]


def test_read_only_feeds(backend: str) -> None:
    x = tf.placeholder(tf.float32, [3])
    fed = np.ones(3, np.float32)
    fed.flags.writeable = False
    with tf.Session() as sess:
        assert sess.run(x + x, {x: fed}).tolist() == [2, 2, 2]


def test_feeds_in_any_order_and_more_than_needed(backend: str) -> None:
    x, y = tf.placeholder(tf.float32, [None]), tf.placeholder(tf.float32, [])
    unused = tf.placeholder(tf.int32, [3])
    product = x * y
    with tf.Session() as sess:
        assert sess.run(product, {x: [1, 2], y: 3}).tolist() == [3, 6]
        assert sess.run(product, {y: 4, unused: [1, 2, 3], x: [1, 2, 3]}).tolist() == [4, 8, 12]


def test_a_tuple_of_feeds(backend: str) -> None:
    x, y = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    total = x - y
    with tf.Session() as sess:
        for _ in range(2):
            assert sess.run(total, {(x, y): (5.0, 2.0)}) == 3.0
        with pytest.raises(ValueError, match="Key had 2 elements"):
            sess.run(total, {(x, y): (5.0,)})


def test_shapes_come_with_the_run(backend: str) -> None:
    x = tf.placeholder(tf.float32, [None, 3])
    anything = tf.placeholder(tf.float32)
    total, doubled = tf.reduce_sum(x), anything * 2.0
    with tf.Session() as sess:
        for rows in (1, 2, 17, 0, 5):
            assert sess.run(total, {x: np.ones((rows, 3))}) == 3 * rows
        for shape in ((), (2,), (2, 3), (0, 2)):
            assert sess.run(doubled, {anything: np.ones(shape)}).tolist() == np.full(shape, 2.0).tolist()


def test_placeholder_with_default(backend: str) -> None:
    x = tf.placeholder_with_default(tf.constant([1.0, 2.0]), [None])
    doubled = x * 2.0
    with tf.Session() as sess:
        assert sess.run(doubled).tolist() == [2, 4]
        assert sess.run(doubled, {x: [5.0]}).tolist() == [10]


# --- variables ---------------------------------------------------------------------------------------------------------------


def test_variables_belong_to_a_session(backend: str) -> None:
    v = tf.Variable(1.0)
    grow = v.assign_add(1.0)
    with tf.Session() as one, tf.Session() as two:
        one.run(v.initializer)
        two.run(v.initializer)
        assert [one.run(grow), one.run(grow), two.run(grow)] == [2.0, 3.0, 2.0]
        assert [one.run(v), two.run(v)] == [3.0, 2.0]


def test_fetched_beside_an_update_is_the_value_before(backend: str) -> None:
    v = tf.Variable([1.0, 2.0])
    doubled = v * 2.0
    update = v.assign([10.0, 20.0])
    with tf.Session() as sess:
        sess.run(v.initializer)
        before, old, new = sess.run([v, doubled, update])
        assert before.tolist() == [1, 2]
        assert old.tolist() == [2, 4]
        assert new.tolist() == [10, 20]
        assert sess.run([v, doubled])[1].tolist() == [20, 40]


def test_control_dependencies_decide_what_a_read_sees(backend: str) -> None:
    v = tf.Variable(1.0)
    with tf.control_dependencies([v.assign_add(1.0)]):
        after = v.read_value()
    with tf.control_dependencies([after]):
        final = v.assign(after * 10.0)
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run([v.value(), after, final]) == [1.0, 2.0, 20.0]
        assert sess.run(v) == 20.0


def test_fetching_a_variable_beside_its_initializer(backend: str) -> None:
    v = tf.Variable(3.0)
    with tf.Session() as sess:
        assert sess.run([v.initializer, v])[1] == 3.0


def test_load_and_eval(backend: str) -> None:
    v = tf.Variable([1.0, 2.0])
    with tf.Session() as sess:
        v.load([3.0, 4.0], sess)
        assert v.eval().tolist() == [3, 4]
        v.load([5.0, 6.0])
        assert sess.run(v).tolist() == [5, 6]


def test_a_variable_may_change_its_shape(backend: str) -> None:
    v = tf.Variable([1.0, 2.0], validate_shape=False)
    assign = tf.assign(v, tf.placeholder_with_default(tf.constant([1.0, 2.0]), None), validate_shape=False)
    total = tf.reduce_sum(v * 2.0)
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(total) == 6.0
        sess.run(assign, {assign.op.inputs[1]: [1.0, 2.0, 3.0]})
        assert sess.run(v).tolist() == [1, 2, 3]
        assert sess.run(total) == 12.0


# --- graphs and default sessions -----------------------------------------------------------------------------------------------


def test_the_graph_may_grow(backend: str) -> None:
    a = tf.constant(1.0) + 0.0
    with tf.Session() as sess:
        assert sess.run(a) == 1.0
        b = a + 1.0
        assert sess.run([a, b]) == [1.0, 2.0]
        v = tf.Variable(b)
        sess.run(v.initializer)
        assert sess.run(v) == 2.0


def test_a_control_input_added_between_runs_counts(backend: str) -> None:
    v = tf.Variable(1.0)
    grow = v.assign_add(1.0)
    fetched = tf.constant(5.0) + 0.0
    with tf.Session() as sess:
        sess.run(v.initializer)
        sess.run(fetched)
        assert sess.run(v) == 1.0
        fetched.op._add_control_input(grow.op)
        sess.run(fetched)
        assert sess.run(v) == 2.0


def test_a_session_keeps_the_graph_it_was_made_in() -> None:
    a = tf.constant(1.0, name="a")
    sess = tf.Session()
    other = tf.Graph()
    with other.as_default():
        tf.constant(2.0, name="a")
        assert sess.run("a:0") == 1.0
        assert tf.Session().run("a:0") == 2.0
    assert tf.Session(graph=other).run("a:0") == 2.0
    assert sess.graph is a.graph


def test_default_sessions() -> None:
    a = tf.constant(1.0)
    assert tf.get_default_session() is None
    with tf.Session() as outer:
        assert tf.get_default_session() is outer
        assert a.eval() == 1.0
        inner = tf.Session()
        with inner.as_default():
            assert tf.get_default_session() is inner
        assert tf.get_default_session() is outer
        assert inner.run(a) == 1.0  # leaving as_default closes nothing
    assert tf.get_default_session() is None
    with pytest.raises(RuntimeError, match=r"Attempted to use a closed Session\."):
        outer.run(a)


def test_a_session_makes_its_graph_the_default() -> None:
    graph = tf.Graph()
    with tf.Session(graph=graph) as sess:
        assert tf.get_default_graph() is graph
        assert sess.run(tf.constant(1.0)) == 1.0
    assert tf.get_default_graph() is not graph


def test_an_error_inside_with_closes_the_session() -> None:
    tf.constant(1.0)
    with pytest.raises(KeyError, match="mine"), tf.Session() as sess:
        raise KeyError("mine")
    assert tf.get_default_session() is None
    with pytest.raises(RuntimeError, match="closed"):
        sess.run("Const:0")


def test_interactive_sessions() -> None:
    graph = tf.Graph()
    with graph.as_default():
        a = tf.constant(1.0)
    sess = tf.InteractiveSession(graph=graph)
    try:
        assert tf.get_default_session() is sess
        assert tf.get_default_graph() is graph
        assert a.eval() == 1.0
        v = tf.Variable(2.0)
        v.initializer.run()
        assert v.eval() == 2.0
    finally:
        sess.close()
    assert tf.get_default_session() is None
    assert tf.get_default_graph() is not graph
    sess.close()  # a second time does no harm


def test_sessions_of_several_threads() -> None:
    a = tf.constant(1.0)
    seen: list[object] = []
    with tf.Session():
        thread = threading.Thread(target=lambda: seen.append(tf.get_default_session()))
        thread.start()
        thread.join()
        assert a.eval() == 1.0
    assert seen == [None]  # defaults are per thread


def test_runs_of_several_threads(backend: str) -> None:
    v = tf.Variable(0.0)
    grow = v.assign_add(1.0)
    x = tf.placeholder(tf.float32, [None])
    total = tf.reduce_sum(x)
    wrong: list[object] = []

    def work(sess: tf.Session, size: int) -> None:
        for _ in range(50):
            sess.run(grow.op)
            if sess.run(total, {x: np.ones(size)}) != size:
                wrong.append(size)

    with tf.Session() as sess:
        sess.run(v.initializer)
        threads = [threading.Thread(target=work, args=(sess, size)) for size in (1, 10, 100, 1000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sess.run(v) == 200.0
    assert not wrong


# --- the rest of the interface ---------------------------------------------------------------------------------------------------


def test_options_and_metadata_are_accepted() -> None:
    a = tf.constant(1.0)
    metadata = tf.RunMetadata()
    with tf.Session() as sess:
        assert sess.run(a, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), run_metadata=metadata) == 1.0
        assert sess.run(fetches=a, feed_dict=None) == 1.0


def test_make_callable(backend: str) -> None:
    x, y = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    with tf.Session() as sess:
        difference = sess.make_callable(x - y, [x, y])
        assert difference(5.0, 3.0) == 2.0
        with pytest.raises(ValueError, match="takes 2 values"):
            difference(1.0)


def test_configuration() -> None:
    config = tf.ConfigProto(allow_soft_placement=True, gpu_options=tf.GPUOptions(allow_growth=True))
    config.gpu_options.per_process_gpu_memory_fraction = 0.5
    config.intra_op_parallelism_threads = 1
    config.device_count["GPU"] = 0
    assert config.gpu_options.allow_growth
    assert not tf.ConfigProto().gpu_options.allow_growth  # defaults are not shared
    assert not tf.ConfigProto().device_count
    copy = tf.ConfigProto()
    copy.CopyFrom(config)
    assert copy == config
    with pytest.raises(ValueError, match='ConfigProto has no "allow_soft" field'):
        tf.ConfigProto(allow_soft=True)
    with pytest.raises(AttributeError, match='GPUOptions has no "growth" field'):
        config.gpu_options.growth = True
    tf.constant(1.0)
    with tf.Session(config=config) as sess:
        assert sess.run("Const:0") == 1.0


def test_devices() -> None:
    with tf.Session() as sess:
        assert [d.name for d in sess.list_devices()] == ["/job:localhost/replica:0/task:0/device:CPU:0"]
        assert sess.list_devices()[0].device_type == "CPU"
        assert sess.sess_str == b""
    with tf.Session(config=tf.ConfigProto(device_count={"CPU": 2})) as sess:
        assert len(sess.list_devices()) == 2


def test_placement() -> None:
    with tf.device("/cpu:0"):
        a = tf.constant(1.0)
    with tf.device("/gpu:0"):
        b = tf.negative(a, name="minus")
    with tf.device("/device:CPU:*"):
        c = a + 2.0
    with tf.Session() as sess:
        assert sess.run([a, c]) == [1.0, 3.0]
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            sess.run(b)
        assert caught.value.op is b.op
        assert "Cannot assign a device for operation minus: {{node minus}} was explicitly assigned to /device:GPU:0" in str(
            caught.value
        )
        assert "available devices are [ /job:localhost/replica:0/task:0/device:CPU:0 ]" in str(caught.value)
    with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as sess:
        assert sess.run(b) == -1.0


def test_placements_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    a = tf.constant(1.0, name="a")
    with tf.Session(config=tf.ConfigProto(log_device_placement=True)) as sess:
        sess.run(a)
    assert "a: (Const): /job:localhost/replica:0/task:0/device:CPU:0" in capsys.readouterr().err


def test_no_session_returns_for_an_unknown_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_BACKEND", "quantum")
    a = tf.constant(1.0)
    with tf.Session() as sess, pytest.raises(ValueError, match="interpreter, compiled, not 'quantum'"):
        sess.run(a)


# --- programs -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_BACKEND", "compiled")


def made() -> int:
    """How many programs have been asked of the compiler or the cache so far."""
    from tfgraph.runtime import statistics

    counters = statistics()
    return counters.compilations + counters.cache_hits


def test_one_program_serves_every_batch_size(compiled: None) -> None:
    x = tf.placeholder(tf.float32, [None, 4])
    y = tf.reduce_sum(tf.exp(x) * 3.0, 1)
    with tf.Session() as sess:
        before = made()
        for n in (1, 2, 17, 100, 3, 10_000):
            fed = np.linspace(-1, 1, 4 * n).reshape(n, 4).astype(np.float32)
            np.testing.assert_allclose(sess.run(y, {x: fed}), (np.exp(fed) * 3).sum(1), rtol=1e-5)
        assert made() - before == 1


def test_run_time_values_compile_nothing(compiled: None) -> None:
    x, rate = tf.placeholder(tf.float32, [None]), tf.placeholder(tf.float32, [])
    y = x * rate
    with tf.Session() as sess:
        before = made()
        for value in (0.1, 0.2, 0.3):
            np.testing.assert_allclose(sess.run(y, {x: [1.0, 2.0], rate: value}), [value, 2 * value], rtol=1e-6)
        assert made() - before == 1


def test_what_moves_only_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFGRAPH_BACKEND", raising=False)
    v = tf.Variable([1.0, 2.0])
    with tf.Session() as sess:
        before = made()
        sess.run(v.initializer)
        v.load([3.0, 4.0])
        assert sess.run(v.read_value()).tolist() == [3, 4]
        assert made() == before


def test_export_source(compiled: None, tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [None])
    with tf.Session() as sess:
        assert sess.export_source(tmp_path) == []
        sess.run(x * 2.0, {x: [1.0]})
        sess.run(x * 3.0, {x: [1.0]})
        paths = sess.export_source(str(tmp_path / "sources"))
    assert [Path(path).name for path in paths] == ["program_00.c", "program_01.c"]
    assert all("tg_run" in Path(path).read_text() for path in paths)


def test_without_a_compiler_the_interpreter_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfgraph.runtime import machine

    monkeypatch.delenv("TFGRAPH_BACKEND", raising=False)
    monkeypatch.setattr(machine, "find_compiler", lambda: None)
    machine._warn_without_compiler.cache_clear()
    y = tf.constant([1.0, 2.0]) * 2.0
    with tf.Session() as sess:
        with pytest.warns(RuntimeWarning, match="No C compiler was found.*apt install gcc"):
            assert sess.run(y).tolist() == [2, 4]
    machine._warn_without_compiler.cache_clear()


def test_a_compiler_that_fails_is_told_by_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("CC", str(failing))
    monkeypatch.delenv("TFGRAPH_BACKEND", raising=False)
    y = tf.constant([1.0, 2.0]) * 2.0 + 0.125
    with tf.Session() as sess, pytest.raises(tf.errors.InternalError, match="failed with exit status 1(.|\n)*broken"):
        sess.run(y)
