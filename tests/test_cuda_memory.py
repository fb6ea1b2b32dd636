"""The memory of a GPU: one pool for all sessions of a process, its limit, and what it says when there is no more."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._cuda import DRIVER
from tests._cuda_kernels import needs_cxx
from tfgraph.runtime.cuda import pool as pool_module
from tfgraph.runtime.cuda.driver import DeviceInfo
from tfgraph.runtime.cuda.pool import ALIGNMENT, Limits, Pool
from tfgraph.runtime.cuda.shim_driver import MEMORY, ShimDriver

SHIM = DeviceInfo("host shim", MEMORY, (8, 0), 4)
KILOBYTES_64 = 2.0**16 / MEMORY  # of the shim's memory
sized_for_the_shim = pytest.mark.skipif(DRIVER != "shim", reason="fractions of the shim's memory: unset TFGRAPH_TEST_CUDA")


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sessions that share no pool with those of other tests."""
    monkeypatch.setenv("TFGRAPH_CUDA", DRIVER)
    monkeypatch.setattr(pool_module, "_pools", {})
    with tf.Graph().as_default():
        yield


def config(fraction: float = 0.0, grows: bool = False) -> Any:
    return tf.ConfigProto(gpu_options=tf.GPUOptions(per_process_gpu_memory_fraction=fraction, allow_growth=grows))


def pool_of(session: tf.Session) -> Pool:
    return session._machine.gpu[1].pool


def doubled() -> tuple[Any, Any]:
    with tf.device("/gpu:0"):
        x = tf.placeholder(tf.float32, [None], name="x")
        return x, tf.multiply(x, 2.0, name="y")


# --- sessions ---------------------------------------------------------------------------------------------------------


@needs_cxx
@sized_for_the_shim
@pytest.mark.parametrize("grows", [True, False])
def test_the_fraction_is_a_limit(grows: bool, sessions: None) -> None:
    x, y = doubled()
    with tf.Session(config=config(KILOBYTES_64, grows)) as session:
        np.testing.assert_array_equal(session.run(y, {x: [1.0]}), [2.0])
        with pytest.raises(tf.errors.ResourceExhaustedError) as caught:
            session.run(y, {x: np.zeros(20_000, np.float32)})
        said = str(caught.value)
        assert "OOM when allocating 80000 bytes on host shim for the feed of x:0: this process may use 65536 bytes" in said
        assert f"allow_growth={grows}" in said
        assert "raise per_process_gpu_memory_fraction" in said
        for size in (3, 3, 3000, 1):  # a session goes on after it
            np.testing.assert_array_equal(session.run(y, {x: np.arange(size)}), np.arange(size) * 2.0)


@needs_cxx
@sized_for_the_shim
def test_out_of_memory_names_what_it_was_for(sessions: None) -> None:
    x = tf.placeholder(tf.float32, [None, 8], name="x")
    with tf.device("/gpu:0"):
        squares = tf.reduce_sum(tf.matmul(tf.matmul(x, x, transpose_b=True), x))
        large = tf.Variable(tf.random_uniform([200, 100]), name="large")
    with tf.Session(config=config(KILOBYTES_64)) as session:
        with pytest.raises(tf.errors.ResourceExhaustedError, match="for the variable large: "):
            session.run(large.initializer)
        with pytest.raises(tf.errors.ResourceExhaustedError, match=r"for the values of a step.*: this process may use"):
            session.run(squares, {x: np.ones((130, 8), np.float32)})
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value large"):
            session.run(large)


@needs_cxx
@sized_for_the_shim
def test_growth(sessions: None) -> None:
    """What is taken at once: the fraction, unless allow_growth is set; without a fraction nothing."""
    x, y = doubled()
    for fraction, grows, reserved in ((KILOBYTES_64, False, True), (KILOBYTES_64, True, False), (0.0, False, False)):
        with tf.Session(config=config(fraction, grows)) as session:
            session.run(y, {x: [1.0]})
            pool = pool_of(session)
            assert (pool._reserved is not None) == reserved
            assert 0 < pool.used <= pool.peak <= pool.limit
            assert pool.limit == (65536 if fraction else MEMORY)


@needs_cxx
def test_same_results_from_a_reserved_pool(sessions: None) -> None:
    x = tf.placeholder(tf.float32, [None, 16])
    w = tf.Variable(np.full((16, 16), 0.25, np.float32))
    with tf.device("/gpu:0"):
        loss = tf.reduce_mean(tf.square(tf.nn.relu(tf.matmul(x, w)) - 0.5))
        train = tf.train.AdamOptimizer(0.1).minimize(loss)

    def losses(options: Any) -> list[bytes]:
        with tf.Session(config=options) as session:
            session.run(tf.global_variables_initializer())
            batches = [np.random.default_rng(i).random((size, 16)) for i, size in enumerate((5, 90, 90, 3, 200, 90))]
            return [session.run([train, loss], {x: batch})[1].tobytes() for batch in batches]

    assert losses(config(2.0**24 / MEMORY)) == losses(config())


@needs_cxx
def test_a_closed_session_gives_all_back(sessions: None) -> None:
    x, y = doubled()
    with tf.Session() as session:
        session.run(y, {x: np.zeros(5000, np.float32)})
        pool = pool_of(session)
        assert pool.used > 40_000
        session.close()
        assert pool.used == 0
        assert not pool_module._pools


@needs_cxx
def test_a_dropped_session_gives_all_back(sessions: None) -> None:
    x, y = doubled()
    dropped = tf.Session()
    dropped.run(y, {x: np.zeros(5000, np.float32)})
    with tf.Session() as session:
        session.run(y, {x: [1.0]})
        pool = pool_of(session)
        assert pool is pool_of(dropped)
        before = pool.used
        del dropped
        gc.collect()
        session.run(y, {x: [1.0, 2.0]})  # takes a little more
        assert pool.used < before - 40_000


@needs_cxx
@sized_for_the_shim
def test_sessions_share_the_first_ones_limit(sessions: None, caplog: pytest.LogCaptureFixture) -> None:
    x, y = doubled()
    with tf.Session(config=config(KILOBYTES_64, True)) as first, tf.Session() as second:
        first.run(y, {x: np.zeros(5000, np.float32)})
        with caplog.at_level(logging.WARNING, "tfgraph"), pytest.raises(tf.errors.ResourceExhaustedError):
            second.run(y, {x: np.zeros(5000, np.float32)})
        assert "what the first one was given holds" in caplog.text


@needs_cxx
@pytest.mark.parametrize("fraction", [-0.1, 1.5])
def test_no_fraction(fraction: float, sessions: None) -> None:
    x, y = doubled()
    with tf.Session(config=config(fraction)) as session, pytest.raises(tf.errors.InvalidArgumentError, match="from 0 to 1"):
        session.run(y, {x: [1.0]})


# --- the pool by itself -----------------------------------------------------------------------------------------------


@needs_cxx
@pytest.mark.parametrize("seed", range(5))
def test_pieces_never_overlap(seed: int) -> None:
    """Pieces of a reserved pool, taken and given back at random, lie inside of it and apart; in the end it is whole."""
    pool = Pool(ShimDriver(), 0, SHIM, Limits(2.0**20 / MEMORY))
    rng = np.random.default_rng(seed)
    begin = pool._free[0][0]
    held: list[Any] = []
    refused: list[str] = []
    for _ in range(400):
        if held and rng.random() < 0.45:
            pool.give_back(held.pop(int(rng.integers(len(held)))))
        else:
            try:
                held.append(pool.take(int(rng.integers(1, 1 << 17)), "a test"))
            except tf.errors.ResourceExhaustedError as error:
                refused.append(str(error))
        places = sorted((piece.address, piece.address + piece.bytes) for piece in held)
        assert all(end <= later for (_, end), (later, _) in pairwise(places))
        assert all(begin <= first and end <= begin + pool.limit and first % ALIGNMENT == 0 for first, end in places)
        assert pool.used == sum(piece.bytes for piece in held) <= pool.peak <= pool.limit
    assert refused
    assert all("for a test" in said for said in refused)
    for piece in held:
        pool.give_back(piece)
    assert pool._free == [(begin, pool.limit)]
    pool.close()


@needs_cxx
def test_a_device_that_has_no_more() -> None:
    """What the driver refuses is told in the same words."""
    pool = Pool(ShimDriver(), 0, DeviceInfo("large", 1 << 60, (8, 0), 4), Limits())
    with pytest.raises(tf.errors.ResourceExhaustedError, match=r"for the variable w.*the device has no more"):
        pool.take(1 << 50, "the variable w")
    assert pool.used == 0
