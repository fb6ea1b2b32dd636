"""Sessions themselves: default sessions and graphs, growth, threads, configuration, placement, programs."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import tfgraph as tf

pytestmark = pytest.mark.usefixtures("graph")


# --- graphs and default sessions ----------------------------------------------------------------------------


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


# --- the rest of the interface ------------------------------------------------------------------------------


def test_options_are_accepted() -> None:
    a = tf.constant(1.0)
    with tf.Session() as sess:
        assert sess.run(a, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE, timeout_in_ms=10_000)) == 1.0
        assert sess.run(fetches=a, feed_dict=None) == 1.0
        with pytest.raises(TypeError, match=r"options must be a tf.RunOptions, but got 3"):
            sess.run(a, options=3)
        with pytest.raises(TypeError, match=r"run_metadata must be a tf.RunMetadata, but got \{\}"):
            sess.run(a, run_metadata={})


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


# --- programs -----------------------------------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_BACKEND", "compiled")


def made() -> int:
    """How many programs have been asked of the compiler or the cache so far."""
    from tfgraph.runtime import cpu, statistics

    cpu.pool(cpu.thread_count())  # its module is no program
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
    with tf.Session() as sess, pytest.warns(RuntimeWarning, match=r"No C compiler was found.*apt install gcc"):
        assert sess.run(y).tolist() == [2, 4]
    machine._warn_without_compiler.cache_clear()


def test_a_compiler_that_fails_is_told_by_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("CC", str(failing))
    monkeypatch.delenv("TFGRAPH_BACKEND", raising=False)
    y = tf.constant([1.0, 2.0]) * 2.0 + 0.125
    with tf.Session() as sess, pytest.raises(tf.errors.InternalError, match=r"failed with exit status 1(.|\n)*broken"):
        sess.run(y)
