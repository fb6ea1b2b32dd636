"""Dropout and the random tensors: which seeds their nodes get, and what is done with the random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._evaluate import reference


@pytest.fixture(autouse=True)
def graph() -> Iterator[tf.Graph]:
    with tf.Graph().as_default() as graph:
        yield graph


def images() -> tf.Tensor:
    return tf.placeholder(tf.float32, [None, 8, 8, 3])


def rows() -> tf.Tensor:
    return tf.placeholder(tf.float32, [None, 5])


def value(tensor: Any, feeds: Any = None) -> np.ndarray:
    return reference([tensor], feeds or {})[0]


def test_random_shapes() -> None:
    assert tf.random_normal([2, 3]).shape.as_list() == [2, 3]
    assert tf.random_normal([]).shape.as_list() == []
    assert tf.random_uniform(tf.shape(rows())).shape.as_list() == [None, 5]
    assert tf.truncated_normal(tf.TensorShape([4])).shape.as_list() == [4]


# --- dropout ----------------------------------------------------------------------------------------------------------


def test_dropout_that_keeps_everything_is_its_input(graph: tf.Graph) -> None:
    x = rows()
    for y in (tf.nn.dropout(x, 1.0), tf.nn.dropout(x, rate=0), tf.nn.dropout(x, tf.constant(1.0))):
        assert y is x
    assert not [op for op in graph.get_operations() if op.type == "RandomUniform"]


def test_dropout_of_given_numbers(graph: tf.Graph) -> None:
    """An element is kept where its random number is at least the rate; what is kept is divided by keep_prob."""
    x = tf.constant([[1.0, 2.0, 3.0]])
    y = tf.nn.dropout(x, 0.75)
    uniform = graph.get_tensor_by_name("dropout/random_uniform/RandomUniform:0")
    kept = value(y, {uniform: np.array([[0.1, 0.25, 0.9]], np.float32)})
    np.testing.assert_allclose(kept, [[0, 2 / 0.75, 3 / 0.75]], rtol=1e-6)


def test_dropout_noise_shape(graph: tf.Graph) -> None:
    tf.nn.dropout(images(), 0.5, noise_shape=[None, 1, 1, 3])
    assert graph.get_tensor_by_name("dropout/random_uniform/RandomUniform:0").shape.as_list() == [
        None,
        1,
        1,
        3,
    ]


# --- seeds ------------------------------------------------------------------------------------------------------------


def _seeds(tensor: tf.Tensor) -> tuple[int, int]:
    op = next(op for op in tensor.graph.get_operations() if op.opdef.effect == "random")
    return op.get_attr("seed"), op.get_attr("seed2")


def test_no_seed_is_not_repeatable() -> None:
    assert _seeds(tf.random_normal([2])) == (0, 0)


def test_op_seed_alone() -> None:
    assert _seeds(tf.random_normal([2], seed=7)) == (87654321, 7)


def test_graph_seed_and_op_seed() -> None:
    tf.set_random_seed(5)
    assert _seeds(tf.random_uniform([2], seed=7)) == (5, 7)


def test_graph_seed_alone_is_repeatable() -> None:
    def build() -> list[tuple[int, int]]:
        with tf.Graph().as_default() as graph:
            tf.set_random_seed(5)
            for _ in range(3):
                tf.random_uniform([2])
            return [
                (op.get_attr("seed"), op.get_attr("seed2"))
                for op in graph.get_operations()
                if op.opdef.effect
            ]

    first = build()
    assert len(set(first)) == 3
    assert first == build()
    assert all(seed == 5 for seed, _ in first)
