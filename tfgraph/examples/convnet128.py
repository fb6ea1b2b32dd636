"""A deep convolutional net on images of 128x128 pixels, built with small helpers in the manner of a slide deck.

Eight 3x3 convolutions find features, a 4x4 convolution classifies, a dense layer names one of ten classes. The
images are drawn as they are needed: ten shapes and textures in random places, sizes and colours (`_shapes`).
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tfgraph as tf

from . import _batches, _options, _pictures, _report, _shapes

CLASSES = len(_shapes.NAMES)
SHOWN = 24  # images in the picture of predictions
TESTS = 5  # times the held-out accuracy is measured


# --- the helpers: each makes variables and operations, and returns the layer's output ---


def new_weights(shape: Sequence[int], gain: float = 2.0) -> Any:
    """He's initialisation, variance gain / inputs: with less than 2 the signal dies on its way through ten ReLUs."""
    inputs = int(np.prod(shape[:-1]))
    stddev = (gain / inputs) ** 0.5 / 0.88  # cutting the tails off at two deviations leaves 0.88 of one
    return tf.Variable(tf.truncated_normal(shape, stddev=stddev), name="weights")


def new_biases(length: int, value: float = 0.05) -> Any:
    """A little above 0, so that every ReLU passes something at first."""
    return tf.Variable(tf.constant(value, shape=[length]), name="biases")


def new_conv_layer(x: Any, inputs: int, filter_size: int, filters: int) -> Any:
    """(?, h, w, inputs) -> (?, h, w, filters): convolution (SAME), biases, ReLU."""
    weights = new_weights([filter_size, filter_size, inputs, filters])
    x = tf.nn.conv2d(x, weights, strides=[1, 1, 1, 1], padding="SAME")
    return tf.nn.relu(tf.nn.bias_add(x, new_biases(filters)))


def new_maxpool_2x2(x: Any) -> Any:
    """(?, h, w, c) -> (?, h/2, w/2, c): the largest of every 2x2 pixels."""
    return tf.nn.max_pool(x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")


def flatten_layer(x: Any) -> tuple[Any, int]:
    """(?, h, w, c) -> (?, h*w*c), and that number of features."""
    features = x.get_shape()[1:4].num_elements()
    return tf.reshape(x, [-1, features]), features


def new_fc_layer(x: Any, inputs: int, outputs: int, gain: float = 2.0, bias: float = 0.05) -> Any:
    """(?, inputs) -> (?, outputs): a fully connected layer with ReLU."""
    return tf.nn.relu(tf.matmul(x, new_weights([inputs, outputs], gain)) + new_biases(outputs, bias))


@dataclass(frozen=True)
class Network:
    """Tensors and operations that a run feeds and fetches."""

    images: Any  # (?, 128, 128, channels), standardised
    labels: Any  # (?, 10), one-hot
    learning_rate: Any  # ()
    guesses: Any  # (?,) int64
    loss: Any  # ()
    accuracy: Any  # ()
    train_step: Any


def new_network(channels: int) -> Network:
    """Feature filters 32, 32, pool, 64, 64, pool, 128, 128, pool, 128, 128, pool; classifier; dense layer."""
    images = tf.placeholder(tf.float32, [None, _shapes.SIDE, _shapes.SIDE, channels], name="images")
    labels = tf.placeholder(tf.float32, [None, CLASSES], name="labels")
    learning_rate = tf.placeholder(tf.float32, [], name="learning_rate")

    x, inputs = images, channels
    for block, filters in enumerate([32, 64, 128, 128], start=1):
        with tf.name_scope(f"features{block}a"):
            x = new_conv_layer(x, inputs, filter_size=3, filters=filters)
        with tf.name_scope(f"features{block}b"):
            x = new_conv_layer(x, filters, filter_size=3, filters=filters)
            x = new_maxpool_2x2(x)
        inputs = filters
    with tf.name_scope("classifier"):
        x = new_conv_layer(x, inputs, filter_size=4, filters=128)  # (?, 8, 8, 128)
    with tf.name_scope("dense"):
        x, features = flatten_layer(x)
        # A class whose ReLU gives 0 for every image has no gradient and never comes back: all start well above 0.
        logits = new_fc_layer(x, features, CLASSES, gain=0.02, bias=2.0)

    guesses = tf.argmax(logits, 1, name="guesses")
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits), name="loss")
    accuracy = tf.reduce_mean(tf.cast(tf.equal(guesses, tf.argmax(labels, 1)), tf.float32), name="accuracy")
    train_step = tf.train.AdamOptimizer(learning_rate).minimize(loss)
    return Network(images, labels, learning_rate, guesses, loss, accuracy, train_step)


# --- training ---


@dataclass
class History:
    """Loss and accuracy of every step's batch; held-out accuracy at some steps."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    tested_at: list[int] = field(default_factory=list)
    held_out_accuracy: list[float] = field(default_factory=list)


def standardised(images: np.ndarray) -> np.ndarray:
    """Each image with mean 0 and deviation 1: what colour it has says nothing about its class."""
    images = images - images.mean(axis=(1, 2, 3), keepdims=True)
    return images / images.std(axis=(1, 2, 3), keepdims=True)


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(CLASSES, dtype=np.float32)[labels]


def guess(session: Any, network: Network, images: np.ndarray, batch: int) -> np.ndarray:
    """(n, 128, 128, channels) images -> (n,) classes."""
    parts = [
        session.run(network.guesses, feed_dict={network.images: standardised(images[rows])})
        for rows in _batches.in_order(len(images), batch)
    ]
    return np.concatenate(parts)


def train(session: Any, network: Network, held_out: tuple[np.ndarray, np.ndarray], options: argparse.Namespace) -> History:
    """Run the steps, each on images drawn for it; measure the held-out accuracy now and then.

    Adam's first steps have full size whatever the gradient's noise, and every one moves the last layer by more than
    its whole signal: without the warm-up its ReLUs are all dead after 20 steps.
    """
    random = np.random.default_rng([options.seed, 1])
    history = History()
    test_every = -(-options.steps // TESTS)
    with _report.ProgressBar(options.steps) as bar:
        for step in range(1, options.steps + 1):
            images, labels = _shapes.draw_images(options.batch, options.channels, random)
            _, loss, accuracy = session.run(
                [network.train_step, network.loss, network.accuracy],
                feed_dict={
                    network.images: standardised(images),
                    network.labels: one_hot(labels),
                    network.learning_rate: options.learning_rate * min(step / options.warm_up, 1.0),
                },
            )
            history.loss.append(float(loss))
            history.accuracy.append(float(accuracy))
            bar.advance(f"loss {loss:.3f}  accuracy {accuracy:.0%}")
            if step % test_every == 0 or step == options.steps:
                guesses = guess(session, network, held_out[0], options.batch)
                history.tested_at.append(step)
                history.held_out_accuracy.append(float(np.mean(guesses == held_out[1])))
                bar.say(
                    f"step {step:4d}/{options.steps}  loss {np.mean(history.loss[-test_every:]):.4f}  "
                    f"accuracy {np.mean(history.accuracy[-test_every:]):7.2%}  "
                    f"held-out accuracy {history.held_out_accuracy[-1]:7.2%}"
                )
    return history


def running_mean(values: Sequence[float], width: int = 10) -> list[float]:
    """Every value averaged with up to `width` - 1 before it."""
    return [float(np.mean(values[max(0, end - width) : end])) for end in range(1, len(values) + 1)]


def draw(folder: Path, history: History, images: np.ndarray, labels: np.ndarray, guesses: np.ndarray) -> list[Path]:
    """The learning curve, some predictions (mistakes first) and the confusion matrix."""
    steps = range(1, len(history.loss) + 1)
    panels = [
        _pictures.Panel(
            "cross-entropy",
            {
                "mean of 10 steps": _pictures.Curve(steps, running_mean(history.loss)),
                "each step": _pictures.Curve(steps, history.loss, faint=True),
            },
        ),
        _pictures.Panel(
            "accuracy",
            {
                "training, mean of 10 steps": _pictures.Curve(steps, running_mean(history.accuracy)),
                "held out": _pictures.Curve(history.tested_at, history.held_out_accuracy),
            },
            percent=True,
        ),
    ]
    right = guesses == labels
    shown = np.argsort(right, kind="stable")[:SHOWN]
    captions = [
        _shapes.NAMES[said] if said == label else f"{_shapes.NAMES[said]}, is {_shapes.NAMES[label]}"
        for said, label in zip(guesses[shown], labels[shown], strict=True)
    ]
    score = f"{right.mean():.2%} of {len(labels)} held-out images right"
    pixels = images[shown, :, :, 0] if images.shape[-1] == 1 else images[shown]
    counts = _pictures.confusion_counts(labels, guesses, CLASSES)
    return [
        _pictures.draw_curves(folder / "learning_curve.png", "Convnet of 128x128: learning curve", "step", panels),
        _pictures.draw_images(
            folder / "predictions.png",
            f"Convnet of 128x128: what the net says, mistakes first ({score})",
            pixels,
            captions,
            right=list(right[shown]),
        ),
        _pictures.draw_confusion(folder / "confusion.png", f"Convnet of 128x128: {score}", counts, _shapes.NAMES),
    ]


def run(options: argparse.Namespace) -> None:
    _options.require("matplotlib.figure", "matplotlib")
    folder = _options.new_folder(options.output)
    images, labels = _shapes.draw_images(options.held_out, options.channels, np.random.default_rng(128))
    with tf.Graph().as_default():
        tf.set_random_seed(options.seed)
        with tf.device(_options.device_name(options)):
            network = new_network(options.channels)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            history = train(session, network, (images, labels), options)
            guesses = guess(session, network, images, options.batch)
            print(f"held-out accuracy: {np.mean(guesses == labels):.2%} of {len(labels)} images")
            _report.show_pictures(draw(folder, history, images, labels, guesses))
            _report.show_generated(session, folder / "generated")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example with `arguments` (default: the command line's) and return the exit status."""
    parser = _options.new_parser(
        "convnet128", "Train a deep convolutional net on drawn images of 128x128.", batch=32, learning_rate=1e-3
    )
    add = parser.add_argument
    add("--steps", type=_options.positive_int, default=250, metavar="N", help="training steps")
    add("--warm-up", type=_options.positive_int, default=50, metavar="N", help="steps until the full learning rate")
    add("--channels", type=int, choices=(1, 3), default=3, help="1: grey images, 3: colour")
    add("--held-out", type=_options.positive_int, default=320, metavar="N", help="images held out")
    return _options.run_example(parser, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
