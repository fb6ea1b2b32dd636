"""`tf.train.Saver`: which checkpoints are kept, and the files beside them."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tfgraph as tf
from tests._saved import FORMATS, session

pytestmark = pytest.mark.usefixtures("graph")


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
