"""reduce_all and reduce_any of arrays long enough for vectors, of bytes from memory as of comparisons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tfgraph.codegen.target import machine_target

SIZES = (31, 64, 129, 1000, 1700)
X86 = ("sse2", "avx2", "avx512")
WIDEST = X86.index(machine_target().name) + 1 if machine_target().name in X86 else 0


def answers(folded: tf.Tensor, x: tf.Tensor, rows: int, size: int) -> list[Any]:
    """What is folded of all true, all false, and one at the end of each row that differs."""
    ones = np.ones((rows, size), bool)
    last = ones.copy()
    last[:, -1] = False
    with tf.Session() as sess:
        return [np.asarray(sess.run(folded, {x: fed})).tolist() for fed in (ones, ~ones, last, ~last)]


@pytest.mark.parametrize("target", X86[:WIDEST] or [""])
def test_folds_of_fed_bools(target: str, graph: tf.Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_BACKEND", "compiled")
    monkeypatch.setenv("TFGRAPH_TARGET", target)
    for size in SIZES:
        x = tf.placeholder(tf.bool, [1, size])
        assert answers(tf.reduce_all(x), x, 1, size) == [True, False, False, False], size
        assert answers(tf.reduce_any(x), x, 1, size) == [True, False, True, True], size


def test_folds_of_rows(graph: tf.Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_BACKEND", "compiled")
    x = tf.placeholder(tf.bool, [None, 300])
    y = tf.logical_not(x)
    assert answers(tf.reduce_all(x, 1), x, 2, 300) == [[True] * 2, [False] * 2, [False] * 2, [False] * 2]
    assert answers(tf.reduce_any(tf.logical_or(x, x), 1), x, 2, 300) == [[True] * 2, [False] * 2, [True] * 2, [True] * 2]
    assert answers(tf.reduce_all(y), x, 2, 300) == [False, True, False, False]
