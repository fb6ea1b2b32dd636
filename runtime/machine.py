"""What the steps of one session execute on: its state, its lock, its arenas, and the choice between C and NumPy."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np

from ..tensor import Operation, Tensor
from .interpreter import Watch, interpret
from .memory import State, aligned_empty
from .toolchain import HOW_TO_INSTALL, find_compiler

logger = logging.getLogger("tfgraph")

BACKENDS = ("interpreter", "compiled")

# steps of these alone only move values: compiling them would cost more than it could ever save
_MOVES = frozenset(
    (
        "Assign", "Const", "Fill", "Identity", "IsVariableInitialized", "NoOp", "Placeholder", "PlaceholderWithDefault",
        "VariableV2",
    )
)  # fmt: skip


def moves_only(order: Iterable[Operation]) -> bool:
    """True if no operation computes anything that a compiler could make faster."""
    return all(op.type in _MOVES for op in order)


class Step(Protocol):
    """The operations behind a run."""

    feeds: Sequence[Tensor]

    def run(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """Execute with these arrays for `feeds`; the fetched values, scalars as NumPy scalars."""
        ...


class Machine:
    """A session's means of execution. Everything here is guarded by `lock`."""

    def __init__(self, state: State, config: Any, lock: threading.RLock | Any) -> None:
        self.state = state
        self.config = config
        self.lock = lock
        self.sources: list[str] = []  # of the programs compiled so far
        self.watch: Watch | None = None  # is told of every operation that the interpreter executes
        self.batch_arena = aligned_empty((0,), np.uint8)
        self.fixed_arena = aligned_empty((0,), np.uint8)
        self.gpu: Any = None  # (number, device) once a step runs on one
        self._growths = 0
        self._told: set[str] = set()

    def step(self, order: Sequence[Operation], fetches: Sequence[Tensor], feeds: Sequence[Tensor]) -> Step:
        """The step that executes `order`, on the backend that suits it."""
        wanted = _wanted_backend()
        if wanted is None and (moves_only(order) or not _can_compile()):
            wanted = "interpreter"
        if wanted == "interpreter":
            return InterpretedStep(self, order, fetches, feeds)
        from .hybrid import compiled_step  # the compiler's imports cost time that interpreted sessions need not pay

        return compiled_step(self, order, fetches, feeds)

    def reserve(self, batch_bytes: int, fixed_bytes: int) -> int:
        """Make the arenas hold at least these sizes. The result changes when one of them is a new array.

        Steps share the arenas, which grow only when they have to: a step leaves nothing in them for the next.
        """
        if self.batch_arena.size < batch_bytes:
            self.batch_arena = aligned_empty((batch_bytes,), np.uint8)
            self._growths += 1
        if self.fixed_arena.size < fixed_bytes:
            self.fixed_arena = aligned_empty((fixed_bytes,), np.uint8)
            self._growths += 1
        return self._growths

    def close(self) -> None:
        """Give back what the session has on a device. Nothing may run afterwards."""
        if self.gpu is not None:
            _, device = self.gpu
            device.close()

    def tell_once(self, text: str) -> None:
        """Log a warning the first time this session meets it."""
        if text not in self._told:
            self._told.add(text)
            logger.warning(text)


class InterpretedStep:
    """A step that the NumPy interpreter executes."""

    def __init__(
        self, machine: Machine, order: Sequence[Operation], fetches: Sequence[Tensor], feeds: Sequence[Tensor]
    ) -> None:
        self.feeds = feeds
        self._machine = machine
        self.order = order
        self.fetches = fetches

    def run(self, arrays: Sequence[np.ndarray], commit: bool = True) -> list[Any]:
        with self._machine.lock:
            fed = dict(zip(self.feeds, arrays, strict=True))
            machine = self._machine
            return scalars_unpacked(interpret(self.order, self.fetches, fed, machine.state, commit, machine.watch))


def scalars_unpacked(arrays: Sequence[np.ndarray]) -> list[Any]:
    """Arrays as a run returns them: those of rank 0 as NumPy scalars, strings as bytes."""
    return [array if array.ndim else array[()] for array in arrays]


def _wanted_backend() -> str | None:
    """$TFGRAPH_BACKEND, None if it leaves the choice to us."""
    wanted = os.environ.get("TFGRAPH_BACKEND", "").strip()
    if wanted and wanted not in BACKENDS:
        raise ValueError(f"TFGRAPH_BACKEND must be one of {', '.join(BACKENDS)}, not {wanted!r}")
    return wanted or None


def _can_compile() -> bool:
    if find_compiler() is not None:
        return True
    _warn_without_compiler()
    return False


@cache
def _warn_without_compiler() -> None:
    text = f"No C compiler was found, so graphs run in NumPy, much slower. {HOW_TO_INSTALL}"
    warnings.warn(text, RuntimeWarning, stacklevel=2)
