"""Runs tensors through compiled code alone, on several numbers of threads, with the C compiler's warnings as errors."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._c_compiler import COMPILER
from tests._evaluate import refuse_interpreter

SIZES = (0, 1, 7, 8, 9, 33)  # of batches: nothing, one, around a vector, more than one vector
THREADS = (1, 2, 4)
FLAGS = "-Wall -Wextra -Werror"


class Runner:
    """Sessions on the default graph, one for each number of threads; what they return must be equal bit by bit."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._sessions = {threads: tf.Session() for threads in THREADS}

    def _each(self) -> Iterator[tf.Session]:
        for threads, session in self._sessions.items():
            self._monkeypatch.setenv("TFGRAPH_NUM_THREADS", str(threads))
            yield session

    def run(self, fetches: Any, feeds: Mapping[Any, Any] | None = None) -> Any:
        """The values of a tensor or of a list of them."""
        fetched = list(fetches) if isinstance(fetches, (list, tuple)) else [fetches]
        results = [[np.asarray(v) for v in session.run(fetched, dict(feeds or {}))] for session in self._each()]
        for others in results[1:]:
            for one, other in zip(results[0], others, strict=True):
                assert one.tobytes() == other.tobytes(), "the result depends on the number of threads"
        return results[0] if isinstance(fetches, (list, tuple)) else results[0][0]

    def execute(self, operations: Any) -> None:
        """Run operations in every session."""
        for session in self._each():
            session.run(operations)

    def fails(self, fetches: Any, feeds: Mapping[Any, Any], text: str) -> None:
        """The run must stop with an InvalidArgumentError that says `text`."""
        for session in self._each():
            with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(text)):
                session.run(fetches, dict(feeds))

    def kernels(self) -> list[str]:
        """The names of all kernels compiled so far."""
        source = "\n".join(self._sessions[1]._machine.sources)
        return re.findall(r"^static void (k\d+_\w+)\(", source, re.MULTILINE)


@pytest.fixture(name="runner")
def compiled_runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """A Runner on a fresh graph, without recourse to the interpreter."""
    if COMPILER is None:
        pytest.skip("needs a C compiler")

    refuse_interpreter(monkeypatch)
    monkeypatch.setenv("CC", f"{os.environ.get('CC') or COMPILER} {FLAGS}")
    with tf.Graph().as_default():
        yield Runner(monkeypatch)


def normal(seed: int, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
    """Numbers of any sign, as many different ones as the dtype has."""
    values = np.random.default_rng(seed).normal(size=shape) * 10
    kind = np.dtype(dtype).kind
    return values > 0 if kind == "b" else np.abs(values).astype(dtype) if kind == "u" else values.astype(dtype)
