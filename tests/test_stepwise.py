"""Functions of Python along a dimension, rolled elements, products by letters: values and errors."""

from __future__ import annotations

import numpy as np
import pytest

import tfgraph as tf

pytestmark = pytest.mark.usefixtures("graph")

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


def run(tensor: object, feeds: object = None) -> np.ndarray:
    with tf.Session() as sess:
        return sess.run(tensor, feeds)


def test_maps_and_folds() -> None:
    x = tf.placeholder(tf.float32, [4, None])
    feeds = {x: ROWS}
    np.testing.assert_array_equal(run(tf.map_fn(lambda row: row * row, x), feeds), ROWS**2)
    pair = run(tf.map_fn(lambda p: (p[1], p[0] + 1), (x, 2 * x), dtype=(tf.float32, tf.float32)), feeds)
    np.testing.assert_array_equal(pair, (2 * ROWS, ROWS + 1))
    np.testing.assert_array_equal(run(tf.scan(lambda total, row: total + row, x), feeds), np.cumsum(ROWS, axis=0))
    found = run(tf.scan(lambda total, row: total + row, x, reverse=True), feeds)
    np.testing.assert_array_equal(found, np.cumsum(ROWS[::-1], axis=0)[::-1])
    np.testing.assert_array_equal(run(tf.foldl(lambda a, b: a - b, x), feeds), ROWS[0] - ROWS[1:].sum(0))
    np.testing.assert_array_equal(run(tf.foldr(lambda a, b: a - b, x, [1.0, 2.0, 3.0]), feeds), [1, 2, 3] - ROWS.sum(0))


def test_an_unknown_number_of_steps_is_said() -> None:
    with pytest.raises(ValueError, match=r"tf\.map_fn: the first dimension of elems must be known"):
        tf.map_fn(lambda row: row, tf.placeholder(tf.float32, [None, 3]))
    with pytest.raises(TypeError, match="fn must be callable"):
        tf.map_fn(3, ROWS)


@pytest.mark.parametrize(("shift", "axis"), [(1, 0), (-2, 1), ([1, 5], [0, 1]), (0, 0)])
def test_rolled(shift: object, axis: object) -> None:
    np.testing.assert_array_equal(run(tf.roll(ROWS, shift, axis)), np.roll(ROWS, shift, axis))


def test_letters_that_do_not_fit() -> None:
    for equation, inputs, said in (
        ("ij,jk->ik", [ROWS], "Got 1 arguments"),
        ("ijk->i", [ROWS], "has rank 2"),
        ("ii->i", [ROWS], "more than once"),
        ("ij->k", [ROWS], "Unknown output axes"),
        ("i...->i", [ROWS], "incorrect format"),
    ):
        with pytest.raises(ValueError, match=said):
            tf.einsum(equation, *inputs)


def test_directions() -> None:
    with pytest.raises(ValueError, match="ASCENDING or DESCENDING"):
        tf.sort(ROWS, direction="up")
