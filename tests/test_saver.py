"""`tf.train.Saver`: what is saved comes back, which checkpoints are kept, what is refused."""

from __future__ import annotations

import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf

FORMATS = ["ck", "ck.safetensors"]


@pytest.fixture(params=["interpreter", "compiled"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TFGRAPH_BACKEND", request.param)
    return request.param


@pytest.fixture(autouse=True)
def graph() -> Iterator[tf.Graph]:
    with tf.Graph().as_default() as graph:
        yield graph


def session() -> tf.Session:
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    return sess


def saved(path: Path, *values: Any, names: str = "abcdefgh") -> str:
    """A checkpoint with variables of these values, called a, b, ..."""
    with tf.Graph().as_default():
        for name, value in zip(names, values):
            tf.Variable(value, name=name)
        return tf.train.Saver().save(session(), path)


# --- there and back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_values_come_back(tmp_path: Path, backend: str, name: str) -> None:
    values = [1.5, [[1, 2], [3, 4]], [True, False], np.float64([0.1]), np.zeros((0, 2), np.float32), np.float16([2, 3])]
    variables = [tf.Variable(value) for value in values]
    saver, sess = tf.train.Saver(), session()
    before = sess.run(variables)
    path = saver.save(sess, tmp_path / name)
    assert path == str(tmp_path / name)
    other = tf.Session()  # nothing is initialised there
    saver.restore(other, path)
    for ours, expected in zip(other.run(variables), before):
        np.testing.assert_array_equal(ours, expected)
        assert np.asarray(ours).dtype == np.asarray(expected).dtype
    sess.run([v.assign(np.zeros_like(value)) for v, value in zip(variables, before)])
    saver.restore(sess, path)  # over other values
    for ours, expected in zip(sess.run(variables), before):
        np.testing.assert_array_equal(ours, expected)


def test_strings_come_back(tmp_path: Path) -> None:
    v = tf.Variable(["ab", "", "c" * 300])
    saver, sess = tf.train.Saver(), session()
    path = saver.save(sess, str(tmp_path / "ck"))
    other = tf.Session()
    saver.restore(other, path)
    assert other.run(v).tolist() == [b"ab", b"", b"c" * 300]
    with pytest.raises(tf.errors.InvalidArgumentError, match="safetensors has no strings"):
        saver.save(sess, str(tmp_path / "ck.safetensors"))


def model() -> tuple[Any, Any, Any]:
    x = tf.placeholder(tf.float32, [None, 3])
    hidden = tf.tanh(tf.matmul(x, tf.Variable(tf.random_normal([3, 4], seed=1))) + tf.Variable(tf.zeros([4])))
    loss = tf.reduce_mean(tf.square(hidden - 0.3))
    step = tf.train.get_or_create_global_step()
    return x, loss, tf.train.AdamOptimizer(0.1).minimize(loss, global_step=step)


@pytest.mark.parametrize("name", FORMATS)
def test_training_goes_on_where_it_was(tmp_path: Path, backend: str, name: str) -> None:
    """Five steps, a save, five steps: the same bits as five steps from the checkpoint in a new graph and session."""
    feed = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)

    def steps(sess: tf.Session, x: Any, loss: Any, train: Any) -> list[float]:
        return [sess.run([loss, train], {x: feed})[0] for _ in range(5)]

    net = model()
    sess = session()
    steps(sess, *net)
    path = tf.train.Saver().save(sess, tmp_path / name, global_step=tf.train.get_global_step())
    assert path.endswith("ck-5.safetensors" if name.endswith("safetensors") else "ck-5")
    expected = steps(sess, *net)
    assert {"beta1_power", "beta2_power", "global_step"} < {name for name, _ in tf.train.list_variables(path)}
    assert any(name.endswith("/Adam_1") for name, _ in tf.train.list_variables(path))
    with tf.Graph().as_default():
        net = model()
        other = tf.Session()
        tf.train.Saver().restore(other, path)
        assert steps(other, *net) == expected
        assert other.run(tf.train.get_global_step()) == 10


def test_a_finalized_graph(tmp_path: Path, graph: tf.Graph) -> None:
    v = tf.Variable([1.0, 2.0])
    sess = session()
    count = len(graph.get_operations())
    graph.finalize()
    saver = tf.train.Saver([v])
    saver.restore(sess, saver.save(sess, tmp_path / "ck", global_step=3))
    assert len(graph.get_operations()) == count


def test_names_of_a_dictionary(tmp_path: Path) -> None:
    v = tf.Variable([1.0, 2.0], name="v")
    path = tf.train.Saver({"other/name": v}).save(session(), tmp_path / "ck")
    assert tf.train.list_variables(path) == [("other/name", [2])]
    with tf.Graph().as_default():
        w, rest = tf.Variable([0.0, 0.0], name="w"), tf.Variable(7.0)
        sess = session()
        tf.train.Saver({"other/name": w}).restore(sess, path)
        assert sess.run([w, rest])[0].tolist() == [1, 2]
        assert sess.run(rest) == 7


def test_moving_averages(tmp_path: Path) -> None:
    v = tf.Variable([1.0, 2.0], name="v")
    average = tf.train.ExponentialMovingAverage(0.5)
    update = average.apply([v])
    sess = session()
    sess.run(v.assign([3.0, 4.0]))
    sess.run(update)
    path = tf.train.Saver().save(sess, tmp_path / "ck")
    tf.train.Saver(average.variables_to_restore()).restore(sess, path)
    assert sess.run(v).tolist() == [2, 3]


def test_a_variable_in_another_shape(tmp_path: Path) -> None:
    path = saved(tmp_path / "ck", [[1.0, 2.0], [3.0, 4.0]])
    v = tf.Variable([0.0] * 4, name="a")
    sess = session()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"lhs shape= \[4\] rhs shape= \[2,2\]"):
        tf.train.Saver().restore(sess, path)
    tf.train.Saver(reshape=True).restore(sess, path)
    assert sess.run(v).tolist() == [1, 2, 3, 4]


def test_a_variable_of_unknown_shape(tmp_path: Path, backend: str) -> None:
    path = saved(tmp_path / "ck", [1.0, 2.0, 3.0])
    v = tf.Variable([5.0], validate_shape=False, name="a")
    doubled = v * 2.0
    sess = session()
    assert sess.run(doubled).tolist() == [10]
    tf.train.Saver().restore(sess, path)
    assert sess.run(doubled).tolist() == [2, 4, 6]


def test_a_save_is_of_one_moment(tmp_path: Path) -> None:
    """Another thread counts two variables up together: no checkpoint has them apart."""
    a, b = tf.Variable(np.zeros(1000)), tf.Variable(np.zeros(1000))
    both = tf.group(a.assign_add(np.ones(1000)), b.assign_add(np.ones(1000)))
    saver, sess, other = tf.train.Saver(), session(), tf.Session()
    sess.run(both)
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            sess.run(both)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        for _ in range(20):
            saver.restore(other, saver.save(sess, tmp_path / "ck"))
            assert len({*other.run(a), *other.run(b)}) == 1
    finally:
        done.set()
        thread.join()


# --- which are kept -------------------------------------------------------------------------------------------------------


def steps_in(folder: Path) -> list[int]:
    names = [p.name for p in folder.iterdir() if p.suffix in (".index", ".safetensors")]
    return sorted(int(name.split("-")[1].split(".")[0]) for name in names)


@pytest.mark.parametrize("name", FORMATS)
def test_old_checkpoints_go(tmp_path: Path, name: str) -> None:
    tf.Variable(1.0)
    saver, sess = tf.train.Saver(max_to_keep=2), session()
    paths = [saver.save(sess, tmp_path / name, global_step=i) for i in range(4)]
    assert steps_in(tmp_path) == [2, 3]
    assert sum(p.suffix != ".meta" for p in tmp_path.iterdir()) == (3 if name.endswith("safetensors") else 5)
    assert saver.last_checkpoints == paths[2:]
    assert tf.train.latest_checkpoint(tmp_path) == paths[3]
    state = tf.train.get_checkpoint_state(tmp_path)
    assert state is not None
    assert state.all_model_checkpoint_paths == paths[2:]
    assert tf.train.checkpoint_exists(paths[3])
    assert not tf.train.checkpoint_exists(paths[0])
    saver.save(sess, tmp_path / name, global_step=2)  # again: now it is the youngest
    assert saver.last_checkpoints == [paths[3], paths[2]]
    assert steps_in(tmp_path) == [2, 3]


@pytest.mark.parametrize("max_to_keep", [0, None])
def test_all_are_kept(tmp_path: Path, max_to_keep: int | None) -> None:
    tf.Variable(1.0)
    saver, sess = tf.train.Saver(max_to_keep=max_to_keep, pad_step_number=True), session()
    for i in range(7):
        path = saver.save(sess, tmp_path / "ck", global_step=i)
    assert steps_in(tmp_path) == list(range(7))
    assert path == str(tmp_path / "ck-00000006")
    assert saver.last_checkpoints == []
    assert tf.train.latest_checkpoint(tmp_path) == path


def test_one_for_each_hour_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tf.Variable(1.0)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    saver, sess = tf.train.Saver(max_to_keep=1, keep_checkpoint_every_n_hours=1.0), session()
    for i in range(7):
        saver.save(sess, tmp_path / "ck", global_step=i)
        now += 1500  # seconds: number 3 is the first after an hour, number 5 the first after two
    assert steps_in(tmp_path) == [3, 5, 6]


def test_the_list_of_checkpoints_recovered(tmp_path: Path) -> None:
    tf.Variable(1.0)
    sess, first = session(), tf.train.Saver()
    paths = [first.save(sess, tmp_path / "ck", global_step=i) for i in range(3)]
    os.remove(paths[1] + ".index")
    second = tf.train.Saver(max_to_keep=2)
    state = tf.train.get_checkpoint_state(tmp_path)
    assert state is not None
    second.recover_last_checkpoints(state.all_model_checkpoint_paths)
    assert second.last_checkpoints == [paths[0], paths[2]]
    second.save(sess, tmp_path / "ck", global_step=9)
    assert steps_in(tmp_path) == [2, 9]
    third = tf.train.Saver(max_to_keep=1)
    third.set_last_checkpoints(second.last_checkpoints[:1])
    third.save(sess, tmp_path / "ck", global_step=10)
    assert steps_in(tmp_path) == [2, 9, 10]  # those that were only named are not deleted


def test_the_graph_stands_beside_its_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the package tensorboard: pip install tensorboard")
    w = tf.Variable(3.0, name="w")
    tf.multiply(w, 2.0, name="twice")
    saver, sess = tf.train.Saver(max_to_keep=1), session()
    for step in range(2):
        path = saver.save(sess, tmp_path / "ck", global_step=step)
    names = ["checkpoint", "ck-1.data-00000-of-00001", "ck-1.index", "ck-1.meta"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    with tf.Graph().as_default(), tf.Session() as again:
        tf.train.import_meta_graph(path + ".meta").restore(again, path)
        assert again.run("twice:0") == 6
    saver.save(sess, tmp_path / "without", write_meta_graph=False)
    assert not (tmp_path / "without.meta").exists()
    saver.export_meta_graph(tmp_path / "text", as_text=True)
    assert 'name: "twice"' in (tmp_path / "text").read_text()


def test_without_message_classes_no_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.meta_graph_pb2", None)
    tf.Variable(1.0)
    path = tf.train.Saver().save(session(), tmp_path / "ck")
    assert path is not None
    assert not Path(path + ".meta").exists()


def test_a_checkpoint_that_cannot_be_deleted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tf.Variable(1.0)
    saver, sess = tf.train.Saver(max_to_keep=1), session()
    path = saver.save(sess, tmp_path / "ck", global_step=0)
    os.remove(path + ".index")
    os.mkdir(path + ".index")
    saver.save(sess, tmp_path / "ck", global_step=1)
    assert "Ignoring:" in caplog.text


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tf.Variable(1.0)
    saver, sess = tf.train.Saver(), session()
    monkeypatch.chdir(tmp_path)
    assert saver.save(sess, "model.ckpt") == "model.ckpt"
    assert (tmp_path / "checkpoint").read_text().startswith('model_checkpoint_path: "model.ckpt"\n')
    assert tf.train.latest_checkpoint(".") == "./model.ckpt"
    assert saver.save(sess, "sub/model", global_step=np.int64(3)) == "sub/model-3"  # the folder is made
    assert tf.train.latest_checkpoint("sub") == "sub/model-3"
    tf.train.Saver(save_relative_paths=True).save(sess, tmp_path / "sub/model", latest_filename="mine")
    assert (tmp_path / "sub/mine").read_text().startswith('model_checkpoint_path: "model"\n')
    shutil.move("sub", "moved")
    assert tf.train.latest_checkpoint("moved", "mine") == "moved/model"
    saver.save(sess, "moved/quiet", write_state=False)
    assert saver.last_checkpoints == ["model.ckpt", "sub/model-3"]


# --- what is refused ------------------------------------------------------------------------------------------------------


def test_no_variables(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No variables to save"):
        tf.train.Saver()
    saver = tf.train.Saver(allow_empty=True)
    assert saver.save(tf.Session(), tmp_path / "ck") is None
    saver.restore(tf.Session(), "anything")
    assert list(tmp_path.iterdir()) == []


def test_building_later(tmp_path: Path) -> None:
    saver = tf.train.Saver(defer_build=True)
    v = tf.Variable(1.0)
    sess = session()
    with pytest.raises(RuntimeError, match=r"`build\(\)` should be called before save"):
        saver.save(sess, tmp_path / "ck")
    saver.build()
    saver.restore(sess, saver.save(sess, tmp_path / "ck"))
    with pytest.raises(ValueError, match="then build cannot be deferred"):
        tf.train.Saver([v], defer_build=True)
    for option in ({"saver_def": 1}, {"builder": 1}):
        with pytest.raises(NotImplementedError, match="adds no operations to the graph"):
            tf.train.Saver([v], **option)


def test_what_is_no_list_of_variables() -> None:
    v, c = tf.Variable(1.0), tf.constant(1.0)
    for given in (3, "Variable", v):
        with pytest.raises(TypeError, match="Variables to save should be passed in a dict or a list"):
            tf.train.Saver(given)
    for items in ([c], [3], ["Variable"]):
        with pytest.raises(TypeError, match="Variable to save is not a Variable"):
            tf.train.Saver(items)
    with pytest.raises(TypeError, match="Not a variable"):
        tf.train.Saver({"c": c})
    with pytest.raises(TypeError, match="Name is not a string: 3"):
        tf.train.Saver({3: v})
    with pytest.raises(ValueError, match="At least two variables have the same name: Variable"):
        tf.train.Saver([v, v])
    with pytest.raises(ValueError, match="The same saveable will be restored with two names: b"):
        tf.train.Saver({"a": v, "b": v})


def test_a_variable_without_a_value(tmp_path: Path) -> None:
    v, w = tf.Variable(1.0, name="v"), tf.Variable(2.0, name="w")
    sess = tf.Session()
    sess.run(v.initializer)
    with pytest.raises(tf.errors.FailedPreconditionError, match="Attempting to use uninitialized value w") as caught:
        tf.train.Saver().save(sess, tmp_path / "ck")
    assert caught.value.op is w.op
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    tf.Variable(1.0)
    saver, sess = tf.train.Saver(), session()
    with pytest.raises(ValueError, match=r"Parent directory of .*/a/b/ck doesn't exist, can't save\."):
        saver.save(sess, tmp_path / "a/b/ck")
    with pytest.raises(ValueError, match="Parent directory of nowhere/ck doesn't exist"):
        saver.save(tf.Session(), "nowhere/ck")  # the variable without a value is not worth telling
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="Parent directory of"):
        saver.save(sess, tmp_path / "file/ck")


def test_paths_that_are_wrong(tmp_path: Path) -> None:
    tf.Variable(1.0)
    saver, sess = tf.train.Saver(), session()
    with pytest.raises(ValueError, match="'latest_filename' must not contain path components"):
        saver.save(sess, tmp_path / "ck", latest_filename="a/b")
    with pytest.raises(ValueError, match="'latest_filename' collides with 'save_path'"):
        saver.save(sess, tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="Can't load save_path when it is None"):
        saver.restore(sess, None)
    with pytest.raises(ValueError, match="The passed save_path is not a valid checkpoint: nowhere/ck"):
        saver.restore(sess, "nowhere/ck")


def test_sessions_that_are_wrong(tmp_path: Path) -> None:
    tf.Variable(1.0)
    saver, sess = tf.train.Saver(), session()
    path = saver.save(sess, tmp_path / "ck")
    with pytest.raises(TypeError, match="'sess' must be a Session; None"):
        saver.save(None, path)
    with pytest.raises(ValueError, match="is not an element of this graph"):
        saver.restore(tf.Session(graph=tf.Graph()), path)
    sess.close()
    for use in (saver.save, saver.restore):
        with pytest.raises(RuntimeError, match="Attempted to use a closed Session"):
            use(sess, path)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_half_restored(tmp_path: Path, name: str) -> None:
    """The first variable fits, another does not: all keep their values."""
    path = saved(tmp_path / name, [1.0, 2.0], [3.0])
    cases: list[tuple[Any, Any, str]] = [
        ("z", [0.0], "NotFoundError"),
        ("b", [0.0, 0.0], "InvalidArgumentError"),
        ("b", [[0.0]], "InvalidArgumentError"),
        ("b", [7], "InvalidArgumentError"),
    ]
    for other, value, kind in cases:
        with tf.Graph().as_default():
            variables = [tf.Variable([5.0, 6.0], name="a"), tf.Variable(value, name=other)]
            sess = session()
            before = sess.run(variables)
            with pytest.raises(getattr(tf.errors, kind), match="Restoring from checkpoint failed") as caught:
                tf.train.Saver().restore(sess, path)
            assert caught.value.op is variables[1].op
            for now, expected in zip(sess.run(variables), before):
                np.testing.assert_array_equal(now, expected)


def test_changed_files_restore_all_or_nothing(tmp_path: Path) -> None:
    """One byte of a checkpoint is another, or its end is missing: an error and the old values, or exactly the saved ones."""
    values = [np.arange(6.0).reshape(2, 3), np.int32([7, 8]), np.array([b"ab", b"c"], object)]
    path = saved(tmp_path / "ck", *values)
    variables = [tf.Variable(np.zeros_like(v) if v.dtype != object else ["", "d"], name=n) for n, v in zip("abc", values)]
    files = [Path(path + ".index"), Path(path + ".data-00000-of-00001")]
    generator, saver, sess, refused = random.Random(3), tf.train.Saver(), session(), 0
    before = sess.run(variables)
    for _ in range(400):
        file = generator.choice(files)
        original = file.read_bytes()
        at = generator.randrange(len(original))
        octet = bytes([original[at] ^ 1 << generator.randrange(8)])
        file.write_bytes(original[:at] + (octet + original[at + 1 :] if generator.random() < 0.7 else b""))
        try:
            saver.restore(sess, path)
            expected: Any = values
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
            refused += 1
            expected = before
        file.write_bytes(original)
        for now, value in zip(sess.run(variables), expected):
            np.testing.assert_array_equal(now, value)
        if expected is values:
            sess.run(tf.global_variables_initializer())
    assert refused > 300
