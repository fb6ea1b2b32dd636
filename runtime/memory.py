"""What a session keeps between runs: the variables' values and the counters of the random operations.

The interpreter and the compiled programs share one `State`. Compiled code writes variables in place, so an array stays
where it is for as long as its shape does; `version` changes whenever some variable's array is a new one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..philox import Seeds, seeds_of

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


def aligned_empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """An uninitialised array that starts at a multiple of 64 bytes."""
    dtype = np.dtype(dtype)
    if dtype.kind == "O":
        return np.empty(shape, dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    offset = -memory.ctypes.data % ALIGNMENT
    return memory[offset : offset + size].view(dtype).reshape(shape)


@dataclass
class RandomState:
    """Where a random operation stands: its key, and the counter of its next run."""

    seeds: Seeds
    counter: int = 0


class Elsewhere(Protocol):
    """Copies of the variables on a device, some of them newer than the arrays of the `State`."""

    def bring_back(self) -> None:
        """Make every array hold what its variable holds."""
        ...

    def forget(self, name: str | None = None) -> None:
        """The array of that variable (of every one) is about to change: its copy no longer counts."""
        ...


class State:
    """The variables (by the name of their operation) and random counters of one session."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}  # of the variables; those kept elsewhere may be newer there
        self.randoms: dict[str, RandomState] = {}
        self.prints: Counter[str] = Counter()  # how often each Print operation has printed
        self.array_version = 0
        self.elsewhere: Elsewhere | None = None

    @property
    def variables(self) -> dict[str, np.ndarray]:
        """The variables' values."""
        if self.elsewhere is not None:
            self.elsewhere.bring_back()
        return self.arrays

    def here(self) -> dict[str, np.ndarray]:
        """The variables' arrays, which the caller may write to."""
        if self.elsewhere is not None:
            self.elsewhere.bring_back()
            self.elsewhere.forget()
        return self.arrays

    @property
    def version(self) -> int:
        """Changes whenever some variable's array is a new one. Whoever asks may write to the arrays."""
        self.here()
        return self.array_version

    @version.setter
    def version(self, version: int) -> None:
        self.array_version = version

    def assign(self, name: str, value: np.ndarray) -> None:
        """Store a copy of `value`, in place if the variable has its shape already."""
        if not self._fits(name, value):
            self.adopt(name, aligned_empty(value.shape, value.dtype))
        self._write(name, value)

    def adopt(self, name: str, array: np.ndarray) -> None:
        """Make `array` itself the variable's value."""
        if self.elsewhere is not None:
            self.elsewhere.bring_back()
            self.elsewhere.forget(name)
        self.arrays[name] = array
        self.array_version += 1

    def assign_all(self, values: Mapping[str, np.ndarray]) -> None:
        """Store copies of all `values` or, where memory is short, of none."""
        unfit = [name for name, value in values.items() if not self._fits(name, value)]
        new = {name: aligned_empty(values[name].shape, values[name].dtype) for name in unfit}
        for name, array in new.items():
            self.adopt(name, array)
        for name, value in values.items():
            self._write(name, value)

    def _write(self, name: str, value: np.ndarray) -> None:
        if self.elsewhere is not None:
            self.elsewhere.bring_back()
            self.elsewhere.forget(name)
        self.arrays[name][...] = value

    def _fits(self, name: str, value: np.ndarray) -> bool:
        held = self.arrays.get(name)
        return held is not None and held.shape == value.shape and held.dtype == value.dtype

    def random(self, op_name: str, seed: int, seed2: int) -> RandomState:
        """The state of a random operation; a key is drawn now if its seeds are (0, 0) and it is new here."""
        found = self.randoms.get(op_name)
        if found is None:
            found = self.randoms[op_name] = RandomState(seeds_of(seed, seed2))
        return found

    def set_random(self, op_name: str, seeds: Seeds, counter: int) -> None:
        """Put a random operation where another one stood. Programs that hold its key are bound anew."""
        held = self.randoms.setdefault(op_name, RandomState(seeds))
        self.array_version += held.seeds != seeds
        held.seeds, held.counter = seeds, counter


class Transaction:
    """The changes of one run, seen by that run at once and by the session only after `commit`."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._written: dict[str, np.ndarray] = {}
        self._counters: dict[str, int] = {}

    def read(self, name: str) -> np.ndarray | None:
        """A variable's value, None before its first assignment. It must not be changed."""
        value = self._written.get(name)
        return self._state.variables.get(name) if value is None else value

    def write(self, name: str, value: np.ndarray) -> None:
        self._written[name] = value

    def may_print(self, op_name: str, limit: int) -> bool:
        """Count one more printing of a Print operation; False once it has printed `limit` times (negative: always)."""
        prints = self._state.prints
        prints[op_name] += 1
        return limit < 0 or prints[op_name] <= limit

    def draw(self, op_name: str, seed: int, seed2: int, count: int) -> RandomState:
        """The key and counter of a random operation, which then moves on by `count`."""
        held = self._state.random(op_name, seed, seed2)
        counter = self._counters.get(op_name, held.counter)
        self._counters[op_name] = counter + count
        return RandomState(held.seeds, counter)

    def commit(self) -> None:
        for name, value in self._written.items():
            self._state.assign(name, value)
        for op_name, counter in self._counters.items():
            self._state.randoms[op_name].counter = counter
