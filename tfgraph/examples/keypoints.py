"""Facial keypoints: where are the eyes, the nose, the mouth in a grey image of 96x96 pixels?

The tutorial on Kaggle's *Facial Keypoints Detection* files (`--data DIR`), with a model that has no hidden layer, one
with a single hidden layer and a convolutional one. Without `--data` it draws simple faces of its own.

Read it in this order: the models (`MODELS`), the graph around them (`new_network`), the loop (`train`).
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tfgraph as tf

from . import _batches, _export, _faces, _options, _pictures, _report
from ._keypoint_files import (
    PIXELS,
    SIDE,
    Faces,
    Lookup,
    TestFaces,
    find,
    read_lookup,
    read_test,
    read_training,
    whole_lookup,
    write_submission,
)

HALF = SIDE / 2  # keypoints are trained as (y - 48) / 48, about -1..1
DRAWN_TESTS = 64  # faces to predict when the faces are drawn
SHOWN = 16  # faces in the pictures


@dataclass(frozen=True)
class Network:
    """Tensors and operations that a run feeds and fetches; k is the number of keypoint columns."""

    images: Any  # (?, 9216), 0..1
    targets: Any  # (?, k), normalised
    marked: Any  # (?, k), 1 where somebody marked the keypoint, else 0
    keep_prob: Any  # ()
    predictions: Any  # (?, k), normalised
    squared_error: Any  # (), summed over the marked keypoints of the batch
    learning_rate: Any  # (), after decay
    train_step: Any


@dataclass
class History:
    """One value per epoch; RMSE in pixels."""

    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Task:
    """All that is read or drawn: faces to learn from, faces to predict, which keypoints a submission wants."""

    training: Faces
    validation: Faces
    test: TestFaces | None
    lookup: Lookup | None


# --- models: images (?, 9216), keep_prob () -> predictions (?, outputs), weights for the L2 penalty ---


def new_weights(shape: Sequence[int], stddev: float = 0.05) -> Any:
    """Weights large enough that the convolutional model leaves the mean face behind: with 0.02 it never does."""
    return tf.Variable(tf.truncated_normal(shape, stddev=stddev), name="weights")


def new_biases(length: int) -> Any:
    return tf.Variable(tf.zeros([length]), name="biases")


def no_hidden_layer(images: Any, keep_prob: Any, outputs: int) -> tuple[Any, list[Any]]:
    """9216 -> outputs: every keypoint is a weighted sum of the pixels."""
    with tf.name_scope("output"):
        weights = new_weights([PIXELS, outputs], stddev=0.001)  # predictions start near 0, the image's middle
        return tf.matmul(images, weights) + new_biases(outputs), [weights]


def one_hidden_layer(images: Any, keep_prob: Any, outputs: int) -> tuple[Any, list[Any]]:
    """9216 -> 100 with ReLU and dropout -> outputs."""
    with tf.name_scope("hidden"):
        hidden_weights = new_weights([PIXELS, 100], stddev=0.01)
        x = tf.nn.relu(tf.matmul(images, hidden_weights) + new_biases(100))
        x = tf.nn.dropout(x, keep_prob=keep_prob)
    with tf.name_scope("output"):
        output_weights = new_weights([100, outputs])
        return tf.matmul(x, output_weights) + new_biases(outputs), [hidden_weights, output_weights]


def convolutional(images: Any, keep_prob: Any, outputs: int) -> tuple[Any, list[Any]]:
    """Three convolutions (VALID, ReLU, 2x2 max-pool), two dense layers of 500, dropout after the first."""
    all_weights = []
    x = tf.reshape(images, [-1, SIDE, SIDE, 1])
    for layer, (size, channels, filters) in enumerate([(3, 1, 32), (2, 32, 64), (2, 64, 128)], start=1):
        with tf.name_scope(f"conv{layer}"):
            weights = new_weights([size, size, channels, filters])
            x = tf.nn.conv2d(x, weights, strides=[1, 1, 1, 1], padding="VALID")
            x = tf.nn.relu(tf.nn.bias_add(x, new_biases(filters)))
            x = tf.nn.max_pool(x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
            all_weights.append(weights)
    x = tf.reshape(x, [-1, 11 * 11 * 128])  # 96 -> 94 -> 47 -> 46 -> 23 -> 22 -> 11
    for layer, (inputs, units) in enumerate([(11 * 11 * 128, 500), (500, 500)], start=4):
        with tf.name_scope(f"dense{layer}"):
            weights = new_weights([inputs, units])
            x = tf.nn.relu(tf.matmul(x, weights) + new_biases(units))
            if layer == 4:
                x = tf.nn.dropout(x, keep_prob=keep_prob)
            all_weights.append(weights)
    with tf.name_scope("output"):
        weights = new_weights([500, outputs])
        return tf.matmul(x, weights) + new_biases(outputs), [*all_weights, weights]


@dataclass(frozen=True)
class Model:
    """A model, what to call it, and the options that suit it."""

    build: Callable[[Any, Any, int], tuple[Any, list[Any]]]
    title: str
    learning_rate: float
    keep_prob: float


MODELS = {
    # Pixels are never negative, so a step of Adam can move all 9216 weights of a unit the same way: small steps there.
    "none": Model(no_hidden_layer, "no hidden layer", learning_rate=1e-4, keep_prob=1.0),
    "hidden": Model(one_hidden_layer, "one hidden layer", learning_rate=3e-4, keep_prob=1.0),
    "conv": Model(convolutional, "convolutional", learning_rate=1e-3, keep_prob=0.5),
}


def new_network(options: argparse.Namespace, outputs: int, steps_in_epoch: int) -> Network:
    """The model with a masked mean squared error, an L2 penalty, a decaying learning rate and Adam."""
    images = tf.placeholder(tf.float32, [None, PIXELS], name="images")
    targets = tf.placeholder(tf.float32, [None, outputs], name="targets")
    marked = tf.placeholder(tf.float32, [None, outputs], name="marked")
    keep_prob = tf.placeholder(tf.float32, [], name="keep_prob")
    with tf.device(_options.device_name(options)):
        predictions, weights = MODELS[options.model].build(images, keep_prob, outputs)
        with tf.name_scope("loss"):
            squared_error = tf.reduce_sum(tf.square((predictions - targets) * marked))
            loss = squared_error / tf.maximum(tf.reduce_sum(marked), 1.0)
            if options.l2 > 0:
                loss = loss + options.l2 * tf.add_n([tf.nn.l2_loss(each) for each in weights])
    global_step = tf.Variable(0, trainable=False, name="global_step")
    learning_rate = tf.train.exponential_decay(
        options.learning_rate, global_step, options.decay_epochs * steps_in_epoch, options.decay_rate, staircase=True
    )
    train_step = tf.train.AdamOptimizer(learning_rate).minimize(loss, global_step=global_step)
    return Network(images, targets, marked, keep_prob, predictions, squared_error, learning_rate, train_step)


def functions(network: Network) -> _export.Functions:
    """The functions of the C library: what each returns and takes; the learning rate decays inside it."""
    feeds = [network.images, network.targets, network.marked]
    if network.keep_prob.consumers():  # not every model drops something
        feeds.append(network.keep_prob)
    return {
        "train_step": ([network.train_step, network.squared_error], feeds),
        "predict": (network.predictions, [network.images], {network.keep_prob: 1.0}),
    }


# --- training and prediction ---


def feed(network: Network, faces: Faces, rows: np.ndarray, keep_prob: float) -> dict[Any, Any]:
    """Empty cells count for nothing: target 0, marked 0."""
    keypoints = faces.keypoints[rows]
    marked = ~np.isnan(keypoints)
    return {
        network.images: faces.images[rows],
        network.targets: np.where(marked, (keypoints - HALF) / HALF, 0).astype(np.float32),
        network.marked: marked.astype(np.float32),
        network.keep_prob: keep_prob,
    }


def predict(session: Any, network: Network, images: np.ndarray, batch: int) -> np.ndarray:
    """(n, 9216) images -> (n, k) keypoints in pixels."""
    parts = [
        session.run(network.predictions, feed_dict={network.images: images[rows], network.keep_prob: 1.0})
        for rows in _batches.in_order(len(images), batch)
    ]
    return np.concatenate(parts) * HALF + HALF


def pixel_rmse(keypoints: np.ndarray, predicted: np.ndarray) -> float:
    """Root of the mean squared error over all marked coordinates, in pixels; Kaggle's score."""
    return float(np.sqrt(np.nanmean((predicted - keypoints).astype(np.float64) ** 2)))


def train(session: Any, network: Network, task: Task, options: argparse.Namespace) -> History:
    """Run the epochs. With `--patience`, stop when the validation RMSE no longer falls and go back to its best."""
    random = np.random.default_rng(options.seed)
    history = History()
    rows = len(task.training.images)
    best, best_epoch, best_values = np.inf, 0, []
    with _report.ProgressBar(options.epochs * _batches.batch_count(rows, options.batch)) as bar:
        for epoch in range(1, options.epochs + 1):
            started = time.monotonic()
            squared_error, coordinates = 0.0, 0.0
            for batch in _batches.shuffled(rows, options.batch, random):
                feeds = feed(network, task.training, batch, options.keep_prob)
                _, error, rate = session.run(
                    [network.train_step, network.squared_error, network.learning_rate], feed_dict=feeds
                )
                squared_error += float(error)
                coordinates += float(feeds[network.marked].sum())
                bar.advance(f"RMSE {HALF * (squared_error / max(coordinates, 1)) ** 0.5:.2f} px")
            seconds = time.monotonic() - started
            predicted = predict(session, network, task.validation.images, options.batch)
            history.training.append(HALF * (squared_error / max(coordinates, 1)) ** 0.5)
            history.validation.append(pixel_rmse(task.validation.keypoints, predicted))
            bar.say(
                f"epoch {epoch:3d}/{options.epochs}  RMSE {history.training[-1]:6.3f} px  validation RMSE "
                f"{history.validation[-1]:6.3f} px  learning rate {rate:.2e}  {seconds:.1f} s"
            )
            if options.patience and history.validation[-1] < best:
                best, best_epoch = history.validation[-1], epoch
                best_values = session.run(tf.trainable_variables())
            if options.patience and epoch - best_epoch >= options.patience:
                bar.say(f"no better for {options.patience} epochs: stopped")
                break
    if best_epoch and best_epoch < len(history.validation):
        print(f"back to the weights of epoch {best_epoch}, the best")
        for variable, value in zip(tf.trainable_variables(), best_values, strict=True):
            variable.load(value, session)
    return history


# --- what goes in and what comes out ---


def complete(faces: Faces) -> Faces:
    """The faces on which every keypoint is marked."""
    return faces.take(np.flatnonzero(~np.isnan(faces.keypoints).any(axis=1)))


def load(options: argparse.Namespace) -> Task:
    """Read or draw the faces and hold some back."""
    test = lookup = None
    if options.data is None:
        faces = _faces.draw_faces(options.faces, seed=0)
        test = TestFaces(np.arange(1, DRAWN_TESTS + 1), _faces.draw_faces(DRAWN_TESTS, seed=1).images)
        lookup = whole_lookup(faces.names, test.image_ids)
    else:
        faces = read_training(options.data)
        if find(options.data, "test.csv"):
            test = read_test(options.data)
            if find(options.data, "IdLookupTable.csv"):
                lookup = read_lookup(options.data, faces.names, test.image_ids)
    empty = float(np.isnan(faces.keypoints).mean())
    count = len(faces.images)
    if options.missing == "drop":
        faces = complete(faces)
    if len(faces.images) < 2:
        raise _options.ExampleError(
            f"expected at least 2 faces to train on, found {len(faces.images)} of {count}"
            + (" with every keypoint marked; try --missing mask" if options.missing == "drop" else "")
        )
    training, validation = _batches.split(len(faces.images), options.validation, seed=0)
    how = "masked in the loss" if options.missing == "mask" else f"{count - len(faces.images)} faces dropped"
    print(
        f"{'drawn' if options.data is None else 'read'} {count} faces, {empty:.1%} of the cells empty ({how}): "
        f"{len(training)} to train on, {len(validation)} for validation"
    )
    return Task(faces.take(training), faces.take(validation), test, lookup)


def as_points(keypoints: np.ndarray) -> np.ndarray:
    """(n, 2p) columns x, y, x, y, ... -> (n, p, 2)."""
    return keypoints.reshape(len(keypoints), -1, 2)


def draw(
    folder: Path, title: str, history: History, baseline: float, validation: Faces, predicted: np.ndarray
) -> list[Path]:
    """The learning curve, and validation faces with marked and predicted keypoints."""
    epochs = range(1, len(history.training) + 1)
    curves = {
        "training": _pictures.Curve(epochs, history.training),
        "validation": _pictures.Curve(epochs, history.validation),
        "always the mean face": _pictures.Curve(epochs, [baseline] * len(epochs), faint=True),
    }
    panel = _pictures.Panel("RMSE in pixels", curves, logarithmic=True)
    rmse = pixel_rmse(validation.keypoints, predicted)
    differences = (predicted[:SHOWN] - validation.keypoints[:SHOWN]) ** 2
    marked = np.maximum((~np.isnan(differences)).sum(axis=1), 1)
    errors = np.sqrt(np.nansum(differences, axis=1) / marked)
    return [
        _pictures.draw_curves(folder / "learning_curve.png", f"Facial keypoints, {title}: learning curve", "epoch", [panel]),
        _pictures.draw_images(
            folder / "validation_faces.png",
            f"Facial keypoints, {title}: validation faces (RMSE {rmse:.2f} px)",
            validation.images[:SHOWN].reshape(-1, SIDE, SIDE),
            [f"{error:.1f} px" for error in errors],
            points={"marked": as_points(validation.keypoints[:SHOWN]), "predicted": as_points(predicted[:SHOWN])},
            inches=1.7,
        ),
    ]


def draw_test(folder: Path, title: str, test: TestFaces, predicted: np.ndarray) -> Path:
    """Test faces with the predicted keypoints."""
    return _pictures.draw_images(
        folder / "test_faces.png",
        f"Facial keypoints, {title}: test faces",
        test.images[:SHOWN].reshape(-1, SIDE, SIDE),
        [f"image {image}" for image in test.image_ids[:SHOWN]],
        points={"predicted": as_points(predicted[:SHOWN])},
        inches=1.7,
    )


def train_and_show(session: Any, network: Network, task: Task, options: argparse.Namespace, folder: Path) -> None:
    """Train, then say and draw how good the predictions are, and write the submission."""
    title = MODELS[options.model].title
    names = task.training.names
    baseline = pixel_rmse(task.validation.keypoints, np.nanmean(task.training.keypoints, axis=0))
    history = train(session, network, task, options)
    predicted = predict(session, network, task.validation.images, options.batch)
    print(
        f"validation RMSE: {pixel_rmse(task.validation.keypoints, predicted):.3f} pixels on "
        f"{len(predicted)} faces (the mean face: {baseline:.3f})"
    )
    pictures = draw(folder, title, history, baseline, task.validation, predicted)
    if task.test is not None:
        guesses = predict(session, network, task.test.images, options.batch)
        pictures.append(draw_test(folder, title, task.test, guesses))
        if task.lookup is not None:
            path = folder / "submission.csv"
            write_submission(path, task.lookup, names, task.test.image_ids, guesses)
            print(f"submission   {path}")
    if task.lookup is None:
        print("no submission: it takes test.csv and IdLookupTable.csv")
    _report.show_pictures(pictures)
    _report.show_generated(session, folder / "generated")


def run(options: argparse.Namespace) -> None:
    _options.require("matplotlib.figure", "matplotlib")
    folder = _options.new_folder(options.output)
    model = MODELS[options.model]
    if options.learning_rate is None:
        options.learning_rate = model.learning_rate
    if options.keep_prob is None:
        options.keep_prob = model.keep_prob
    if options.epochs is None:
        options.epochs = 10 if options.data is None else 30
    task = load(options)
    steps_in_epoch = _batches.batch_count(len(task.training.images), options.batch)
    with tf.Graph().as_default():
        tf.set_random_seed(options.seed)
        network = new_network(options, len(task.training.names), steps_in_epoch)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            if options.epochs:
                train_and_show(session, network, task, options, folder)
            _export.export(functions(network), "keypoints", session, options)


def new_parser() -> argparse.ArgumentParser:
    parser = _options.new_parser("keypoints", "Find the keypoints of faces.", batch=128, learning_rate=None)
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="folder of training.csv, test.csv (plain or zipped) and "
        "IdLookupTable.csv; without it, faces are drawn")  # fmt: skip
    add("--faces", type=_options.positive_int, default=1500, metavar="N", help="faces to draw without --data")
    add("--model", choices=tuple(MODELS), default="conv", help="hidden layers: none, one, or convolutions")
    add("--epochs", type=_options.count, metavar="N", help="passes over the faces; 30 with --data, else 10")
    add("--missing", choices=("mask", "drop"), default="mask",
        help="empty cells: mask them in the loss, or drop their faces")  # fmt: skip
    add("--validation", type=_options.fraction, default=0.2, metavar="SHARE", help="share of the faces held back")
    add("--keep-prob", type=_options.probability, metavar="P", help="share of a dense layer that dropout keeps; "
        "default 0.5 for conv, 1 for hidden")  # fmt: skip
    add("--l2", type=_options.nonnegative_float, default=0.0, metavar="WEIGHT", help="weight of the L2 penalty")
    add("--decay-rate", type=_options.probability, default=1.0, metavar="FACTOR",
        help="the learning rate is multiplied by it every --decay-epochs")  # fmt: skip
    add("--decay-epochs", type=_options.positive_int, default=10, metavar="N", help="epochs between two decays")
    add("--patience", type=_options.count, default=0, metavar="N",
        help="stop after N epochs without a better validation RMSE and keep the best weights; 0: never")  # fmt: skip
    _export.add_options(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example with `arguments` (default: the command line's) and return the exit status."""
    return _options.run_example(new_parser(), run, arguments)


if __name__ == "__main__":
    sys.exit(main())
