"""Gradients of strided convolutions behind which a max pooling stands: each phase of dX spreads its own columns of dy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tfgraph.codegen.emitted import Shared, unique_shared


@dataclass(frozen=True)
class Case:
    """A convolution of square pictures with `stride`, pooled in 2 x 2 windows."""

    size: int
    channels: tuple[int, int]
    taps: tuple[int, int]
    stride: int
    padding: str


# the last phases along an axis have a pixel less than the first: a shared function of one must not serve the other
CASES = {
    "14 in threes": Case(14, (32, 2), (3, 3), 3, "SAME"),
    "14 in threes, flat filters": Case(14, (32, 2), (2, 3), 3, "SAME"),
    "14 in threes, few channels": Case(14, (8, 8), (2, 3), 3, "SAME"),
    "9 in twos": Case(9, (16, 8), (3, 3), 2, "VALID"),
    "10 in fours": Case(10, (3, 8), (5, 5), 4, "SAME"),
}


def gradients(case: Case, backend: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """dX and dW of a function of the pooled results, in float64."""
    monkeypatch.setenv("TFGRAPH_BACKEND", backend)
    rng = np.random.default_rng(1)
    pictures = rng.standard_normal((3, case.size, case.size, case.channels[0]))
    filters = rng.standard_normal((*case.taps, *case.channels))
    with tf.Graph().as_default(), tf.Session() as sess:
        x = tf.placeholder(tf.float64, [None, *pictures.shape[1:]])
        w = tf.placeholder(tf.float64, filters.shape)
        y = tf.nn.relu(tf.nn.conv2d(x, w, [1, case.stride, case.stride, 1], case.padding))
        y = tf.nn.max_pool(y, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
        return sess.run(tf.gradients(tf.reduce_sum(tf.sin(0.1 * y)), [x, w]), {x: pictures, w: filters})


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = gradients(CASES[name], "interpreter", monkeypatch)
    for found, expected in zip(gradients(CASES[name], "compiled", monkeypatch), wanted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_one_name_is_one_text() -> None:
    first, second = Shared("tg_a", "int a;"), Shared("tg_b", "int b;")
    assert unique_shared([first, second, first]) == (first, second)
    with pytest.raises(AssertionError, match="tg_a"):
        unique_shared([first, Shared("tg_a", "long a;")])
