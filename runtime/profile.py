"""The time of each kernel of a run: the compiled step called kernel by kernel, with a clock between.

Nothing is compiled for it. `tg_run` runs any range of a step's kernels, so a profiled run executes the very code of an
ordinary one and gives the same bits; ordinary runs go on calling it once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .memory import State

EMPTY_CALLS = 200


@dataclass
class Times:
    """What a stopwatch has seen for one batch size, in seconds."""

    kernels: list[float]  # the least time of each
    runs: int = 0
    wall: float = float("inf")  # the least time of a whole run


@dataclass
class Stopwatch:
    """Stands in for a module's `tg_run`; `times` maps batch sizes to what was measured. With `timed` False it only counts
    the runs."""

    run: Any
    timed: bool = True
    times: dict[int, Times] = field(default_factory=dict)

    def __call__(self, step: Any, first: int, last: int) -> int:
        times = self.times.get(step.N)
        if times is None:
            times = self.times[step.N] = Times([float("inf")] * last)
        times.runs += first == 0
        return self._timed(step, first, last, times) if self.timed else self.run(step, first, last)

    def _timed(self, step: Any, first: int, last: int, times: Times) -> int:
        run, clock, kernels = self.run, time.perf_counter, times.kernels
        kernels += [float("inf")] * (last - len(kernels))
        begin = before = clock()
        for kernel in range(first, last):
            failed: int = run(step, kernel, kernel + 1)
            after = clock()
            kernels[kernel] = min(kernels[kernel], after - before)
            before = clock()
            if failed:
                return failed
        times.wall = min(times.wall, clock() - begin)
        return 0

    def call_seconds(self, step: Any) -> float:
        """What it costs to call a step for no kernel at all."""
        clock, least = time.perf_counter, float("inf")
        for _ in range(EMPTY_CALLS):
            begin = clock()
            self.run(step, 0, 0)
            least = min(least, clock() - begin)
        return least

    @property
    def usual_batch(self) -> int | None:
        """The batch size of most runs."""
        return max(self.times, key=lambda n: self.times[n].runs) if self.times else None


@contextmanager
def watching(loaded: Any, timed: bool = True) -> Iterator[Any]:
    """A stopwatch on a loaded program, of a processor (`Stopwatch`) or of a GPU (`cuda.launch_times.LaunchWatch`), which
    sees the runs inside."""
    if loaded.on_device:
        before, loaded.watch = loaded.watch, loaded.new_watch(timed)
        try:
            yield loaded.watch
        finally:
            loaded.watch = before
    else:
        run = loaded.run
        loaded.run = Stopwatch(run, timed)
        try:
            yield loaded.run
        finally:
            loaded.run = run


@contextmanager
def state_kept(state: State) -> Iterator[None]:
    """Whatever runs inside, the variables and random counters are afterwards what they were before."""
    values = {name: (array, array.copy()) for name, array in state.variables.items()}
    counters = {name: random.counter for name, random in state.randoms.items()}
    prints = state.prints.copy()
    try:
        yield
    finally:
        state.here()  # what a device has is older than what is written now
        for name, (array, value) in values.items():
            array[...] = value
            if state.variables.get(name) is not array:
                state.adopt(name, array)
        for name in state.variables.keys() - values.keys():
            del state.variables[name]
            state.version += 1
        for name, random in state.randoms.items():
            random.counter = counters.get(name, 0)
        state.prints = prints
