"""The NumPy random numbers against TensorFlow's own: the same bits, run after run."""

from __future__ import annotations

import numpy as np
import pytest

from tfgraph import philox

tensorflow = pytest.importorskip("tensorflow")
tf = tensorflow.compat.v1

SIZES = (0, 1, 3, 4, 5, 7, 255, 256, 257, 1000, 100003, 1000000)
SEEDS = ((1, 2), (0, 9), (9, 0), (-5, 3), (7, -(2**63)), (2**40 + 7, -(2**50) - 1), (2**63 - 1, 2**63 - 1))
RUNS = 3
FLOAT_OPS = ("RandomUniform", "RandomStandardNormal", "TruncatedNormal")


def tensorflow_runs(op_type, size, dtype, seed, seed2, *bounds):
    """The op's output in RUNS consecutive runs of one session."""
    with tf.Graph().as_default():
        if bounds:
            minval, maxval = (tf.constant(bound, dtype) for bound in bounds)
            op = tf.raw_ops.RandomUniformInt(shape=[size], minval=minval, maxval=maxval, seed=seed, seed2=seed2)
        else:
            op = getattr(tf.raw_ops, op_type)(shape=[size], dtype=dtype, seed=seed, seed2=seed2)
        with tf.Session() as session:
            return [session.run(op) for _ in range(RUNS)]


def assert_same_runs(op_type, size, dtype, seed, seed2, *bounds):
    seeds = philox.seeds_of(seed, seed2)
    counter = 0
    for expected in tensorflow_runs(op_type, size, dtype, seed, seed2, *bounds):
        actual = philox.sample(op_type, seeds, counter, size, dtype, *bounds)
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
        counter += philox.reserved(op_type, dtype, size)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op_type", FLOAT_OPS)
def test_floats_at_every_size(op_type, dtype):
    for size in SIZES:
        assert_same_runs(op_type, size, dtype, 1234, 56)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op_type", FLOAT_OPS)
@pytest.mark.parametrize(("seed", "seed2"), SEEDS)
def test_floats_with_every_kind_of_seed(op_type, dtype, seed, seed2):
    assert_same_runs(op_type, 1001, dtype, seed, seed2)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integers(dtype):
    limits = np.iinfo(dtype)
    for size in SIZES:
        assert_same_runs("RandomUniformInt", size, dtype, 1234, 56, -3, 1000)
    for seed, seed2 in SEEDS:
        assert_same_runs("RandomUniformInt", 1001, dtype, seed, seed2, 0, 10)
    for bounds in ((limits.min, limits.max), (limits.min, 0), (limits.max - 1, limits.max), (-1, 2**30)):
        assert_same_runs("RandomUniformInt", 1001, dtype, 5, 6, *bounds)


def test_an_empty_range_is_an_error_in_both():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Need minval < maxval"):
        tensorflow_runs("RandomUniformInt", 4, np.int32, 1, 2, 3, 3)
    with pytest.raises(ValueError, match="Need minval < maxval"):
        philox.uniform_int(philox.seeds_of(1, 2), 0, 4, np.int32, 3, 3)


def test_without_seeds_sessions_differ():
    first, second = (tensorflow_runs("RandomUniform", 8, np.float32, 0, 0)[0] for _ in range(2))
    assert not np.array_equal(first, second)
    assert philox.seeds_of(0, 0) != philox.seeds_of(0, 0)


@pytest.mark.parametrize("graph_seed", [None, 0, 1, -1, 42, 2**31 - 1, 2**31, 2**40, -(2**35)])
@pytest.mark.parametrize("op_seed", [None, 0, 1, -1, 17, 2**31 - 1, 2**33])
def test_seed_attributes(graph_seed, op_seed):
    with tf.Graph().as_default():
        if graph_seed is not None:
            tf.set_random_seed(graph_seed)
        tf.constant([1.0], name="ops_that_are_not_random_do_not_count")
        assert philox.get_seed(graph_seed, op_seed, 0) == tf.get_seed(op_seed)


def test_the_graphs_seed_counts_the_ops_without_a_seed():
    with tf.Graph().as_default() as graph:
        tf.random_uniform([3])  # before the seed is set: not repeatable, not counted
        tf.set_random_seed(42)
        tf.random_uniform([3])
        tf.random_normal([3])
        tf.truncated_normal([3], seed=7)  # has its own: not counted
        tf.random_uniform([5], 0, 100, tf.int32)
        ops = [op for op in graph.get_operations() if op.type in philox.SAMPLERS]
        attributes = [(op.get_attr("seed"), op.get_attr("seed2")) for op in ops]
        assert attributes[0] == (0, 0)
        fallbacks = ((None, 0), (None, 1), (7, 2), (None, 2))
        assert attributes[1:] == [philox.get_seed(42, op_seed, count) for op_seed, count in fallbacks]
        with tf.Session() as session:
            expected = session.run(ops[-1].outputs[0])
    seeds = philox.seeds_of(*attributes[-1])
    np.testing.assert_array_equal(philox.uniform_int(seeds, 0, 5, np.int32, 0, 100), expected)
