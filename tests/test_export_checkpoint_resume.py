"""A training run that changes between Python and C: the losses of one that was never interrupted, and the same files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tfgraph as tf
from tests._c_compiler import COMPILER
from tests._evaluate import refuse_interpreter
from tests._export_library import Instance, Library

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler in PATH")

STEPS, BATCH = 4, 9
_random = np.random.default_rng(4)
IMAGES = _random.normal(size=(3 * STEPS, BATCH, 8, 8, 1)).astype(np.float32)
LABELS = _random.integers(0, 3, size=(3 * STEPS, BATCH)).astype(np.int32)


class Net(NamedTuple):
    images: Any
    labels: Any
    loss: Any
    train: Any


def new_net(seed: int = 11) -> Net:
    """A convolution, dropout twice, Adam with a rate that decays, and a moving average: state of every kind."""
    tf.set_random_seed(seed)
    images = tf.placeholder(tf.float32, [None, 8, 8, 1], name="images")
    labels = tf.placeholder(tf.int32, [None], name="labels")
    kernel = tf.Variable(tf.truncated_normal([3, 3, 1, 4], stddev=0.5), name="conv/kernel")
    hidden = tf.nn.relu(tf.nn.conv2d(images, kernel, [1, 2, 2, 1], "SAME"))
    hidden = tf.reshape(tf.nn.dropout(hidden, keep_prob=0.75), [-1, 64])
    weights = tf.Variable(tf.random_normal([64, 3], stddev=0.1), name="dense/weights")
    logits = tf.nn.dropout(tf.matmul(hidden, weights), keep_prob=0.9)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits), name="loss")
    step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(0.02, step, 2, 0.9)
    update = tf.train.AdamOptimizer(rate).minimize(loss, global_step=step)
    average = tf.train.ExponentialMovingAverage(0.9)
    with tf.control_dependencies([update]):
        return Net(images, labels, loss, average.apply([weights]))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("exported") / "net"
    with tf.Graph().as_default():
        net = new_net()
        functions = {"train": ({"update": net.train, "loss": net.loss}, [net.images, net.labels])}
        tf.compile(functions, folder, isas=["native"])
    return Library(folder)


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_interpreter(monkeypatch)


Run = Callable[[int, Path | None, Path], list[bytes]]
"""Loads a checkpoint (None: starts anew), trains `STEPS` steps from the given one on, saves; the losses, bit by bit."""


def in_python(first: int, before: Path | None, after: Path) -> list[bytes]:
    with tf.Graph().as_default(), tf.Session() as session:
        # another seed, so that what is the same later comes from the file
        net = new_net(seed=11 if before is None else 12)
        saver = tf.train.Saver()
        if before is None:
            session.run(tf.global_variables_initializer())
        else:
            saver.restore(session, before)
        losses = [
            session.run([net.loss, net.train], {net.images: IMAGES[i], net.labels: LABELS[i]})[0].tobytes()
            for i in range(first, first + STEPS)
        ]
        saver.save(session, after, write_state=False)
        return losses


@pytest.fixture
def in_c(library: Library) -> Iterator[Run]:
    made: list[Instance] = []

    def run(first: int, before: Path | None, after: Path) -> list[bytes]:
        instance = library.create()
        made.append(instance)
        assert (instance.initialize() if before is None else instance.load(before)) == "OK"
        losses = [instance.results("train", BATCH, IMAGES[i], LABELS[i])[0].tobytes() for i in range(first, first + STEPS)]
        assert instance.save(after) == "OK"
        return losses

    yield run
    for instance in made:
        instance.destroy()


@pytest.mark.parametrize("order", ["PPP", "PCP", "CPC", "CCC", "PPC", "CPP"])
def test_runs_that_change_language(in_c: Run, tmp_path: Path, order: str) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        net = new_net()
        session.run(tf.global_variables_initializer())
        feeds = [{net.images: images, net.labels: labels} for images, labels in zip(IMAGES, LABELS, strict=True)]
        uninterrupted = [session.run([net.loss, net.train], feed)[0].tobytes() for feed in feeds]
        tf.train.Saver().save(session, tmp_path / "whole.safetensors", write_state=False)
    assert len(set(uninterrupted)) == len(uninterrupted)
    losses, before = [], None
    for part, language in enumerate(order):
        after = tmp_path / f"{part}.safetensors"
        losses += (in_python if language == "P" else in_c)(part * STEPS, before, after)
        before = after
    assert losses == uninterrupted
    assert (tmp_path / "2.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_a_refused_file_changes_nothing(library: Library, tmp_path: Path) -> None:
    instance = library.create()
    assert instance.initialize() == "OK"
    instance.results("train", BATCH, IMAGES[0], LABELS[0])
    assert instance.save(tmp_path / "it.safetensors") == "OK"
    content = (tmp_path / "it.safetensors").read_bytes()
    for wrong, told in [(content[:-1], "DAMAGED_FILE"), (content[:-1] + b"\x55", "DAMAGED_FILE"), (b"", "DAMAGED_FILE")]:
        (tmp_path / "wrong.safetensors").write_bytes(wrong)
        assert instance.load(tmp_path / "wrong.safetensors") == told
        assert instance.load_weights(tmp_path / "wrong.safetensors") == told
    assert instance.load(tmp_path / "none.safetensors") == "CANNOT_OPEN"
    assert instance.save(tmp_path / "again.safetensors") == "OK"
    assert (tmp_path / "again.safetensors").read_bytes() == content
    instance.destroy()


def test_the_weights_of_a_session(library: Library, tmp_path: Path) -> None:
    """What `tf.compile(session=)` leaves beside the library is a checkpoint as the Saver writes it."""
    with tf.Graph().as_default(), tf.Session() as session:
        net = new_net()
        session.run(tf.global_variables_initializer())
        session.run(net.train, {net.images: IMAGES[0], net.labels: LABELS[0]})
        functions = {"train": ([net.train, net.loss], [net.images, net.labels])}
        tf.compile(functions, tmp_path / "net", c_only=True, session=session)
        tf.train.Saver().save(session, tmp_path / "saved.safetensors")
    weights = tmp_path / "net" / "net.safetensors"
    assert weights.read_bytes() == (tmp_path / "saved.safetensors").read_bytes()
    instance = library.create()
    assert instance.load_weights(weights) == "OK"
    assert instance.load(weights) == "OK"
    instance.destroy()
