"""Monitored sessions, their hooks, and threads that stop together."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf

pytestmark = pytest.mark.usefixtures("graph")


def counting() -> tuple[Any, Any]:
    step = tf.train.get_or_create_global_step()
    return step, tf.assign_add(step, 1)


class Recorder(tf.train.SessionRunHook):
    def __init__(self, tensor: Any) -> None:
        self.calls: list[Any] = []
        self.tensor = tensor

    def begin(self) -> None:
        self.calls.append("begin")

    def after_create_session(self, session: Any, coord: Any) -> None:
        self.calls.append("created")

    def before_run(self, run_context: Any) -> Any:
        return tf.train.SessionRunArgs(self.tensor)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.calls.append(int(run_values.results))

    def end(self, session: Any) -> None:
        self.calls.append("end")


def test_hooks_hear_of_every_run() -> None:
    _, train = counting()
    x = tf.placeholder(tf.int32, [])
    recorder = Recorder(x)
    with tf.train.MonitoredTrainingSession(hooks=[recorder, tf.train.StopAtStepHook(last_step=3)]) as session:
        seen = []
        while not session.should_stop():
            seen.append(int(session.run(train, {x: 7 + len(seen)})))
    assert seen == [1, 2, 3]
    assert recorder.calls == ["begin", "created", 7, 8, 9, "end"]
    assert not tf.get_default_graph().finalized
    with pytest.raises(RuntimeError, match="Run called even after"):
        session.run(train)


def test_training_goes_on_from_the_newest_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="summaries need it: pip install tensorboard")
    step, train = counting()
    tf.summary.scalar("twice", 2 * step)
    for last in (4, 6):
        hooks = [tf.train.StopAtStepHook(last_step=last)]
        session = tf.train.MonitoredTrainingSession(
            checkpoint_dir=str(tmp_path), hooks=hooks, save_checkpoint_steps=3, save_summaries_steps=1
        )
        with session:
            before = int(session.raw_session().run(step))
            while not session.should_stop():
                session.run(train)
        assert before == {4: 0, 6: 4}[last]
    assert (tf.train.latest_checkpoint(str(tmp_path)) or "").endswith("model.ckpt-6")
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_nan_stops_the_training() -> None:
    x = tf.placeholder(tf.float32, [])
    loss = tf.log(x)
    with tf.train.SingularMonitoredSession([tf.train.NanTensorHook(loss)]) as session:
        session.run(loss, {x: 1.0})
        with pytest.raises(tf.train.NanLossDuringTrainingError, match="NaN loss during training"):
            session.run(loss, {x: -1.0})


def test_an_end_of_data_is_no_error() -> None:
    with tf.train.SingularMonitoredSession([tf.train.FeedFnHook(lambda: {})]) as session:
        raise tf.errors.OutOfRangeError(None, None, "over")
    assert session.should_stop()


def test_final_operations_and_fed_values() -> None:
    x = tf.placeholder_with_default(1.0, [])
    final = tf.train.FinalOpsHook(x * 3.0)
    with tf.train.SingularMonitoredSession([tf.train.FeedFnHook(lambda: {x: 5.0}), final]) as session:
        assert session.run(x) == 5
        assert session.run_step_fn(lambda context: context.session.run(x)) == 1
    assert final.final_ops_values == 3


def test_logged_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(tf.logging, "info", lambda text, *args: said.append(text % args if args else text))
    x = tf.placeholder(tf.float32, [], name="x")
    hook = tf.train.LoggingTensorHook({"value": "x"}, every_n_iter=2)
    with tf.train.SingularMonitoredSession([hook]) as session:
        for value in range(4):
            session.run(x, {x: value})
    assert [line.split(" (")[0] for line in said] == ["value = 0.0", "value = 2.0"]
    with pytest.raises(ValueError, match="exactly one"):
        tf.train.LoggingTensorHook(["x"])


def test_a_timer_of_steps() -> None:
    timer = tf.train.SecondOrStepTimer(every_steps=3)
    found = []
    for step in range(8):
        if timer.should_trigger_for_step(step):
            timer.update_last_triggered_step(step)
            found.append(step)
    assert found == [0, 3, 6]


# --- threads --------------------------------------------------------------------------------------------------------------


def test_a_threads_error_reaches_the_one_that_waits() -> None:
    coordinator, done = tf.train.Coordinator(), []

    def work() -> None:
        with coordinator.stop_on_exception():
            raise KeyError("lost")

    def wait() -> None:
        coordinator.wait_for_stop()
        done.append(True)

    threads = [threading.Thread(target=work), threading.Thread(target=wait)]
    for thread in threads:
        thread.start()
    with pytest.raises(KeyError, match="lost"):
        coordinator.join(threads)
    assert done == [True]
    assert coordinator.should_stop()
    assert coordinator.joined
    coordinator.clear_stop()
    assert not coordinator.should_stop()


def test_an_end_of_data_stops_threads_without_an_error() -> None:
    coordinator = tf.train.Coordinator()
    coordinator.request_stop(tf.errors.OutOfRangeError(None, None, "over"))
    coordinator.join(tf.train.start_queue_runners(coord=coordinator))
    assert coordinator.should_stop()
    assert coordinator.joined


def test_a_looping_thread() -> None:
    coordinator, calls = tf.train.Coordinator(), np.zeros(1)

    def call() -> None:
        calls[0] += 1
        if calls[0] == 3:
            coordinator.request_stop()

    tf.train.LooperThread.loop(coordinator, None, call)
    coordinator.join()
    assert calls[0] == 3
