"""Checkpoints for tests to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tfgraph as tf

FORMATS = ["ck", "ck.safetensors"]


def session() -> tf.Session:
    """A session in which every variable has its first value."""
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    return sess


def saved(path: Path, *values: Any, names: str = "abcdefgh") -> str:
    """A checkpoint with variables of these values, called a, b, ..."""
    with tf.Graph().as_default():
        for name, value in zip(names, values):
            tf.Variable(value, name=name)
        return tf.train.Saver().save(session(), path)
