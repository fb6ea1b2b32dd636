"""The exported MNIST net that programs in several languages are built on, its data, and what the Session computes."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import tfgraph as tf
from tfgraph.examples import _idx, mnist

PROGRAMS = Path(mnist.__file__).parent / "programs"
GROUP = "exported_mnist"  # tests of one worker share one library
BATCH = 32
_KEPT = tempfile.TemporaryDirectory(prefix="tfgraph-exported-")  # until the tests end


@functools.cache
def library() -> Path:
    """The folder that `python -m tfgraph.examples.mnist --epochs 0 --export` writes."""
    folder = Path(_KEPT.name) / "mnist"
    arguments = ["--epochs", "0", "--output", str(Path(_KEPT.name) / "output"), "--export", str(folder)]
    assert mnist.main(arguments) == 0
    return folder


@functools.cache
def data() -> Path:
    """A folder of IDX files: scikit-learn's digits, enlarged."""
    folder = Path(_KEPT.name) / "data"
    _idx.write_digits(folder, *mnist.load_small())
    return folder


def write_few(folder: Path, training: int, test: int) -> Path:
    """IDX files of the first so many digits to train on and to test on."""
    sets = zip(mnist.load_small(), (training, test), strict=True)
    _idx.write_digits(folder, *(_idx.Digits(digits.images[:count], digits.labels[:count]) for digits, count in sets))
    return folder


@functools.cache
def session_losses(steps: int) -> tuple[str, ...]:
    """What every example program prints for its steps, with as many digits as tell two floats apart."""
    training, _ = mnist.load_small()
    batches = len(training.labels) // BATCH
    losses = []
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        network = mnist.new_network()
        session.run(tf.global_variables_initializer())
        for step in range(steps):
            rows = slice(step % batches * BATCH, step % batches * BATCH + BATCH)
            feeds = {network.images: training.images[rows], network.labels: training.labels[rows]}
            feeds |= {network.learning_rate: 1e-3, network.keep_prob: 0.75}
            losses.append(session.run([network.train_step, network.loss], feeds)[1])
        guesses = session.run(network.guesses, {network.images: training.images[:BATCH]})
    right = int(np.sum(guesses == training.labels[:BATCH]))
    return (*(f"{loss:.9g}" for loss in losses), f"{right} of {BATCH} right")


def run(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run([*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def same_numbers(printed: str, expected: Sequence[str], exact: bool = True) -> bool:
    """Whether the lines tell the same float32 numbers, however each language writes them, and the same last line.

    Not exact: sums in another order. The first loss differs by roundings, the later ones by what Adam makes of them: its
    first steps are as long for a gradient that is almost zero as for any other.
    """
    lines = printed.splitlines()
    if len(lines) != len(expected) or not lines[-1].endswith(f" of {BATCH} right"):
        return False
    numbers, wanted = (np.array(texts[:-1], np.float32) for texts in (lines, expected))
    if exact:
        return lines[-1] == expected[-1] and np.array_equal(numbers, wanted)
    return bool(np.isclose(numbers[0], wanted[0], rtol=1e-6) and np.allclose(numbers, wanted, rtol=1e-2))
