"""Sessions whose steps run as CUDA kernels, through the host shim, and on the CPU beside them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._nets import Net
from tfgraph.runtime.cuda.step import CudaStep

DRIVER = os.environ.get("TFGRAPH_TEST_CUDA", "shim")
"""What $TFGRAPH_CUDA is in tests: the shim, or with an empty $TFGRAPH_TEST_CUDA the GPU of this machine."""


def refuse_cpu(patch: pytest.MonkeyPatch) -> None:
    """Every compiled run is on the shim while `patch` lasts: one that has no CUDA form fails the test."""

    def refuse(step: Any, reason: Exception) -> None:
        raise AssertionError(f"no CUDA form: {reason}")

    patch.setenv("TFGRAPH_CUDA", DRIVER)
    patch.setenv("TFGRAPH_BACKEND", "compiled")
    patch.setattr(CudaStep, "_give_up", refuse)


def on_cuda(fetches: Sequence[Any], feeds: Mapping[Any, np.ndarray]) -> list[np.ndarray]:
    """The values of `fetches`, all computed in one run of CUDA kernels."""
    with pytest.MonkeyPatch.context() as patch, tf.Session(graph=fetches[0].graph) as session:
        refuse_cpu(patch)
        values = [np.asarray(value) for value in session.run(list(fetches), dict(feeds))]
    return values


def trained(make: Callable[[], Net], cuda: bool, steps: int = 4, **environment: str) -> list[np.ndarray]:
    """What the net's fetches give at each step, with batches of two sizes, and in the end its variables."""
    found: list[np.ndarray] = []
    with pytest.MonkeyPatch.context() as patch, tf.Graph().as_default():
        if cuda:
            refuse_cpu(patch)
        else:
            patch.setenv("TFGRAPH_CUDA", "off")
        for name, value in environment.items():
            patch.setenv(name, value)
        tf.set_random_seed(5)
        net = make()
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            for step in range(steps):
                results = session.run(net.fetches, net.feeds(6 if step % 3 == 2 else 9, step))
                found += [np.asarray(value) for value in results if value is not None]
            found += session.run(tf.global_variables())
    return found
