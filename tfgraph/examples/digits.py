"""Handwritten digits: a convolutional net on the 1,797 digits of 8x8 pixels that scikit-learn ships.

Read it top to bottom: the graph of `new_network`, the loop of `train`, the pictures of `draw`.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tfgraph as tf

from . import _batches, _export, _options, _pictures, _report

SIDE = 8  # pixels
CLASSES = 10
HELD_OUT = 0.2
SPLIT_SEED = 0  # the held-out digits are the same for every --seed, so that figures compare
SHOWN = 32  # digits in the picture of predictions


@dataclass(frozen=True)
class Digits:
    """images (n, 8, 8, 1) float32 in 0..1, labels (n,) int64 in 0..9."""

    images: np.ndarray
    labels: np.ndarray

    def take(self, rows: np.ndarray) -> "Digits":
        return Digits(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Network:
    """Tensors and operations that a run feeds and fetches."""

    images: Any  # (?, 8, 8, 1)
    labels: Any  # (?, 10), one-hot
    keep_prob: Any  # ()
    learning_rate: Any  # ()
    guesses: Any  # (?,) int64
    probabilities: Any  # (?, 10)
    loss: Any  # ()
    accuracy: Any  # ()
    train_step: Any


@dataclass
class History:
    """One value per epoch."""

    loss: list[float] = field(default_factory=list)
    held_out_loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    held_out_accuracy: list[float] = field(default_factory=list)


def load() -> tuple[Digits, Digits]:
    """Digits to train on and held-out digits."""
    bunch = _options.require("sklearn.datasets", "scikit-learn").load_digits()
    images = (bunch.images / 16.0).astype(np.float32).reshape(-1, SIDE, SIDE, 1)
    digits = Digits(images, bunch.target.astype(np.int64))
    training, held_out = _batches.split(len(images), HELD_OUT, SPLIT_SEED)
    return digits.take(training), digits.take(held_out)


def new_weights(shape: Sequence[int]) -> Any:
    """He's initialisation: a standard deviation of sqrt(2 / inputs) keeps the signal's size through ReLUs."""
    inputs = int(np.prod(shape[:-1]))
    return tf.Variable(tf.truncated_normal(shape, stddev=(2.0 / inputs) ** 0.5), name="weights")


def new_biases(length: int) -> Any:
    return tf.Variable(tf.zeros([length]), name="biases")


def new_network() -> Network:
    """Two 3x3 convolutions, a 2x2 max-pool, a dense layer with dropout, ten classes."""
    images = tf.placeholder(tf.float32, [None, SIDE, SIDE, 1], name="images")
    labels = tf.placeholder(tf.float32, [None, CLASSES], name="labels")
    keep_prob = tf.placeholder(tf.float32, [], name="keep_prob")
    learning_rate = tf.placeholder(tf.float32, [], name="learning_rate")

    with tf.name_scope("conv1"):
        x = tf.nn.conv2d(images, new_weights([3, 3, 1, 32]), strides=[1, 1, 1, 1], padding="SAME")
        x = tf.nn.relu(tf.nn.bias_add(x, new_biases(32)))
    with tf.name_scope("conv2"):
        x = tf.nn.conv2d(x, new_weights([3, 3, 32, 64]), strides=[1, 1, 1, 1], padding="SAME")
        x = tf.nn.relu(tf.nn.bias_add(x, new_biases(64)))
        x = tf.nn.max_pool(x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")  # (?, 4, 4, 64)
    with tf.name_scope("dense"):
        x = tf.reshape(x, [-1, 4 * 4 * 64])
        x = tf.nn.relu(tf.matmul(x, new_weights([4 * 4 * 64, 128])) + new_biases(128))
        kept = tf.nn.dropout(x, keep_prob=keep_prob)  # for training; in use nothing is dropped
    with tf.name_scope("classes"):
        weights, biases = new_weights([128, CLASSES]), new_biases(CLASSES)
        training_logits = tf.matmul(kept, weights) + biases
        logits = tf.matmul(x, weights) + biases

    guesses = tf.argmax(logits, 1, name="guesses")
    probabilities = tf.nn.softmax(logits, name="probabilities")
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=training_logits), name="loss")
    accuracy = tf.reduce_mean(tf.cast(tf.equal(guesses, tf.argmax(labels, 1)), tf.float32), name="accuracy")
    train_step = tf.train.AdamOptimizer(learning_rate).minimize(loss)
    return Network(images, labels, keep_prob, learning_rate, guesses, probabilities, loss, accuracy, train_step)


def functions(network: Network) -> _export.Functions:
    """The functions of the C library: what each returns and takes."""
    feeds = [network.images, network.labels, network.learning_rate, network.keep_prob]
    return {
        "train_step": ([network.train_step, network.loss], feeds),
        "predict": ([network.guesses, network.probabilities], [network.images]),
    }


def feed(network: Network, digits: Digits, keep_prob: float) -> dict[Any, Any]:
    one_hot = np.eye(CLASSES, dtype=np.float32)[digits.labels]
    return {network.images: digits.images, network.labels: one_hot, network.keep_prob: keep_prob}


def train(session: Any, network: Network, training: Digits, held_out: Digits, options: argparse.Namespace) -> History:
    """Run the epochs; one line per epoch, one step of the bar per batch."""
    random = np.random.default_rng(options.seed)
    history = History()
    rows = len(training.labels)
    with _report.ProgressBar(options.epochs * _batches.batch_count(rows, options.batch)) as bar:
        for epoch in range(1, options.epochs + 1):
            loss_sum = accuracy_sum = 0.0
            for batch in _batches.shuffled(rows, options.batch, random):
                _, loss, accuracy = session.run(
                    [network.train_step, network.loss, network.accuracy],
                    feed_dict={
                        **feed(network, training.take(batch), options.keep_prob),
                        network.learning_rate: options.learning_rate,
                    },
                )
                loss_sum += loss * len(batch)
                accuracy_sum += accuracy * len(batch)
                bar.advance(f"loss {loss:.3f}")
            tested = session.run([network.loss, network.accuracy], feed_dict=feed(network, held_out, 1.0))
            history.loss.append(loss_sum / rows)
            history.accuracy.append(accuracy_sum / rows)
            history.held_out_loss.append(float(tested[0]))
            history.held_out_accuracy.append(float(tested[1]))
            bar.say(
                f"epoch {epoch:3d}/{options.epochs}  loss {history.loss[-1]:.4f}  "
                f"accuracy {history.accuracy[-1]:7.2%}  held-out accuracy {history.held_out_accuracy[-1]:7.2%}"
            )
    return history


def draw(folder: Path, history: History, held_out: Digits, guesses: np.ndarray) -> list[Path]:
    """The learning curve, some predictions (mistakes first) and the confusion matrix."""
    epochs = range(1, len(history.loss) + 1)
    accuracy = float(np.mean(guesses == held_out.labels))
    panels = [
        _pictures.Panel(
            "cross-entropy",
            {
                "training": _pictures.Curve(epochs, history.loss),
                "held out": _pictures.Curve(epochs, history.held_out_loss),
            },
            logarithmic=True,
        ),
        _pictures.Panel(
            "accuracy",
            {
                "training": _pictures.Curve(epochs, history.accuracy),
                "held out": _pictures.Curve(epochs, history.held_out_accuracy),
            },
            percent=True,
        ),
    ]
    right = guesses == held_out.labels
    order = np.argsort(right, kind="stable")[:SHOWN]
    captions = [
        f"{guess}" if guess == label else f"{guess}, is {label}"
        for guess, label in zip(guesses[order], held_out.labels[order], strict=True)
    ]
    counts = _pictures.confusion_counts(held_out.labels, guesses, CLASSES)
    names = [str(digit) for digit in range(CLASSES)]
    score = f"{accuracy:.2%} of {len(guesses)} held-out digits"
    return [
        _pictures.draw_curves(folder / "learning_curve.png", "Digits: learning curve", "epoch", panels),
        _pictures.draw_images(
            folder / "predictions.png",
            f"Digits: what the net says, mistakes first ({score} right)",
            held_out.images[order, :, :, 0],
            captions,
            right=list(right[order]),
            inches=1.1,
        ),
        _pictures.draw_confusion(folder / "confusion.png", f"Digits: {score} right", counts, names),
    ]


def run(options: argparse.Namespace) -> None:
    _options.require("matplotlib.figure", "matplotlib")
    training, held_out = load()
    folder = _options.new_folder(options.output)
    print(f"{len(training.labels)} digits to train on, {len(held_out.labels)} held out")
    with tf.Graph().as_default():
        tf.set_random_seed(options.seed)
        with tf.device(_options.device_name(options)):
            network = new_network()
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            if options.epochs:
                history = train(session, network, training, held_out, options)
                guesses = session.run(network.guesses, feed_dict={network.images: held_out.images})
                print(f"held-out accuracy: {np.mean(guesses == held_out.labels):.2%} of {len(guesses)} digits")
                _report.show_pictures(draw(folder, history, held_out, guesses))
                _report.show_generated(session, folder / "generated")
            _export.export(functions(network), "digits", session, options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example with `arguments` (default: the command line's) and return the exit status."""
    parser = _options.new_parser(
        "digits", "Train a convolutional net on scikit-learn's handwritten digits.", batch=50, learning_rate=1e-3
    )
    parser.add_argument("--epochs", type=_options.count, default=20, metavar="N", help="passes over the digits")
    parser.add_argument(
        "--keep-prob",
        type=_options.probability,
        default=0.5,
        metavar="P",
        help="share of the dense layer that dropout keeps",
    )
    _export.add_options(parser)
    return _options.run_example(parser, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
