"""MNIST: LeNet on handwritten digits in IDX files, trained here or exported as a C library that trains without Python.

Without `--data` it takes scikit-learn's 1,797 digits, enlarged to 28x28. The order of the digits is a function of the
seed and the step's number alone, the same as in programs/c/train_mnist.c: either program continues the other's runs.

Read it top to bottom: the graph of `new_network`, the loop of `train`, what `functions` exports.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tfgraph as tf

from . import _batches, _export, _idx, _options, _report
from ._idx import CLASSES, SIDE, Digits

ENLARGED = 3  # scikit-learn's 8x8 pixels become 24x24, with a frame of 2
HELD_OUT = 0.2
SPLIT_SEED = 0  # the held-out digits are the same for every --seed, so that figures compare
TEST_BATCH = 500
CHECKPOINT = "mnist.safetensors"


@dataclass(frozen=True)
class Network:
    """Tensors and operations that a run feeds and fetches."""

    images: Any  # (?, 28, 28) uint8
    labels: Any  # (?,) uint8
    learning_rate: Any  # ()
    keep_prob: Any  # ()
    loss: Any  # ()
    guesses: Any  # (?,) int32
    probabilities: Any  # (?, 10)
    global_step: Any  # () int64, training steps so far
    train_step: Any


def load_small() -> tuple[Digits, Digits]:
    """scikit-learn's digits as bytes of 28x28 pixels: to train on, and held out."""
    bunch = _options.require("sklearn.datasets", "scikit-learn").load_digits()
    pixels = (bunch.images * (255 / 16)).round().astype(np.uint8)
    large = pixels.repeat(ENLARGED, axis=1).repeat(ENLARGED, axis=2)
    frame = (SIDE - large.shape[1]) // 2
    images = np.pad(large, ((0, 0), (frame, frame), (frame, frame)))
    labels = bunch.target.astype(np.uint8)
    training, held_out = _batches.split(len(images), HELD_OUT, SPLIT_SEED)
    return Digits(images[training], labels[training]), Digits(images[held_out], labels[held_out])


def load(folder: Path | None) -> tuple[Digits, Digits]:
    """Digits to train on and to test on."""
    return load_small() if folder is None else _idx.read_digits(folder)


# --- the graph ---


def new_weights(shape: Sequence[int]) -> Any:
    """He's initialisation: a standard deviation of sqrt(2 / inputs) keeps the signal's size through ReLUs."""
    inputs = int(np.prod(shape[:-1]))
    return tf.Variable(tf.truncated_normal(shape, stddev=(2.0 / inputs) ** 0.5), name="weights")


def new_biases(length: int) -> Any:
    return tf.Variable(tf.zeros([length]), name="biases")


def convolution_and_pool(x: Any, inputs: int, filters: int) -> Any:
    """5x5 with ReLU, then the largest of each 2x2: half the height and width."""
    x = tf.nn.conv2d(x, new_weights([5, 5, inputs, filters]), strides=[1, 1, 1, 1], padding="SAME")
    x = tf.nn.relu(tf.nn.bias_add(x, new_biases(filters)))
    return tf.nn.max_pool(x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")


def new_network() -> Network:
    """LeNet: two convolutions with pooling, a dense layer of 1024 with dropout in training, ten classes.

    It takes the bytes of the files as they are, so a program in any language can feed what it has read.
    """
    images = tf.placeholder(tf.uint8, [None, SIDE, SIDE], name="images")
    labels = tf.placeholder(tf.uint8, [None], name="labels")
    learning_rate = tf.placeholder(tf.float32, [], name="learning_rate")
    keep_prob = tf.placeholder(tf.float32, [], name="keep_prob")

    with tf.name_scope("conv1"):
        x = tf.reshape(tf.cast(images, tf.float32) / 255.0, [-1, SIDE, SIDE, 1])
        x = convolution_and_pool(x, 1, 32)  # (?, 14, 14, 32)
    with tf.name_scope("conv2"):
        x = convolution_and_pool(x, 32, 64)  # (?, 7, 7, 64)
    with tf.name_scope("dense"):
        x = tf.reshape(x, [-1, 7 * 7 * 64])
        x = tf.nn.relu(tf.matmul(x, new_weights([7 * 7 * 64, 1024])) + new_biases(1024))
    with tf.name_scope("classes"):
        weights, biases = new_weights([1024, CLASSES]), new_biases(CLASSES)
        training_logits = tf.matmul(tf.nn.dropout(x, keep_prob=keep_prob), weights) + biases
        logits = tf.matmul(x, weights) + biases  # in use nothing is dropped, and no random number drawn

    each_loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.cast(labels, tf.int32), logits=training_logits)
    loss = tf.reduce_mean(each_loss, name="loss")
    guesses = tf.argmax(logits, 1, output_type=tf.int32, name="guesses")
    probabilities = tf.nn.softmax(logits, name="probabilities")
    global_step = tf.train.get_or_create_global_step()
    train_step = tf.train.AdamOptimizer(learning_rate).minimize(loss, global_step=global_step)
    return Network(images, labels, learning_rate, keep_prob, loss, guesses, probabilities, global_step, train_step)


def functions(network: Network) -> _export.Functions:
    """The functions of the C library: what each returns and takes."""
    feeds = [network.images, network.labels, network.learning_rate, network.keep_prob]
    return {
        "train_step": ([network.train_step, network.loss], feeds),
        "predict": ([network.guesses, network.probabilities], [network.images]),
        "steps_done": (network.global_step, []),
    }


# --- training ---


def mix(numbers: np.ndarray) -> np.ndarray:
    """A one-to-one scrambling of uint64, that of the generator SplitMix64."""
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def epoch_order(rows: int, seed: int, epoch: int) -> np.ndarray:
    """The digits of an epoch in a random order that depends on nothing else: sorted by a scrambled number of each."""
    key = mix(mix(np.array([seed], np.uint64)) + np.uint64(epoch))
    return np.argsort(mix(key + np.arange(rows, dtype=np.uint64)), kind="stable")


def share_right(session: Any, network: Network, digits: Digits) -> float:
    """The share of digits that are guessed right."""
    right = 0
    for rows in _batches.in_order(len(digits.labels), TEST_BATCH):
        guesses = session.run(network.guesses, {network.images: digits.images[rows]})
        right += int(np.sum(guesses == digits.labels[rows]))
    return right / len(digits.labels)


def train(
    session: Any, network: Network, training: Digits, test: Digits, saver: Any, path: Path, options: argparse.Namespace
) -> None:
    """Run the epochs from the step that the session's variables are at; a checkpoint after each epoch."""
    rows = len(training.labels)
    steps = _batches.batch_count(rows, options.batch)
    done = int(session.run(network.global_step))
    with _report.ProgressBar(options.epochs * steps - done) as bar:
        for epoch in range(done // steps, options.epochs):
            order = epoch_order(rows, options.seed, epoch)
            for step in range(done % steps, steps):
                batch = order[step * options.batch : (step + 1) * options.batch]
                feeds = {
                    network.images: training.images[batch],
                    network.labels: training.labels[batch],
                    network.learning_rate: options.learning_rate,
                    network.keep_prob: options.keep_prob,
                }
                _, loss = session.run([network.train_step, network.loss], feed_dict=feeds)
                done += 1
                bar.advance(f"loss {loss:.3f}")
                if done % options.show == 0:
                    bar.say(f"step {done:6d}  loss {loss:.9g}")
            accuracy = share_right(session, network, test)
            saver.save(session, str(path))
            bar.say(f"epoch {epoch + 1}/{options.epochs}  test accuracy {accuracy:.2%}")


def run(options: argparse.Namespace) -> None:
    training, test = load(options.data)
    print(f"{len(training.labels)} digits to train on, {len(test.labels)} to test")
    if options.write_idx is not None:
        for written in _idx.write_digits(options.write_idx, training, test):
            print(f"IDX file     {written}")
    folder = _options.new_folder(options.output)
    with tf.Graph().as_default():
        tf.set_random_seed(options.seed)
        with tf.device(_options.device_name(options)):
            network = new_network()
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            saver = tf.train.Saver()
            if options.resume is not None:
                saver.restore(session, str(options.resume))
            train(session, network, training, test, saver, folder / CHECKPOINT, options)
            if options.epochs:
                print(f"checkpoint   {folder / CHECKPOINT}")
                _report.show_generated(session, folder / "generated")
            _export.export(functions(network), "mnist", session, options, programs=True)


def new_parser() -> argparse.ArgumentParser:
    parser = _options.new_parser("mnist", "Train LeNet on handwritten digits.", batch=128, learning_rate=1e-3)
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="folder with MNIST's four IDX files, plain or gzipped; without it, "
        "scikit-learn's digits are enlarged")  # fmt: skip
    add("--epochs", type=_options.count, default=5, metavar="N", help="passes over the digits")
    add("--keep-prob", type=_options.probability, default=0.75, metavar="P", help="share of the dense layer that "
        "dropout keeps")  # fmt: skip
    add("--show", type=_options.positive_int, default=100, metavar="N", help="steps between two printed losses")
    add("--resume", type=Path, metavar="FILE", help="go on from this checkpoint, of this program or of train_mnist")
    add("--write-idx", type=Path, metavar="DIR", help="write the digits as plain IDX files into this folder")
    _export.add_options(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example with `arguments` (default: the command line's) and return the exit status."""
    return _options.run_example(new_parser(), run, arguments)


if __name__ == "__main__":
    sys.exit(main())
