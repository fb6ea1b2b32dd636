"""The time of each launch of a program on a GPU: launched one by one, with an event between, instead of as a captured graph.

The host takes longer to launch a small kernel than the device to run it. So the device is first held up by a kernel that
waits, until everything is in the stream: then the events tell the device's times alone.
"""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Sequence
from typing import Any

from ...codegen.cuda.launches import CudaLaunch
from ...codegen.cuda.program import CudaProgram
from ..profile import Times
from .gpu import Gpu
from .peaks import gpu_peaks, probe_module

HELD_CYCLES = 60_000  # per launch, about 30 us: what it takes the host to put a launch and an event into a stream
PAIRS = 20  # of events with nothing between them


class LaunchWatch:
    """Counts the runs of a program; with `timed` also the least time of each of its launches, by batch size."""

    def __init__(self, gpu: Gpu, timed: bool = True) -> None:
        self.timed = timed
        self.times: dict[int, Times] = {}  # `kernels` are launches here
        self.last: tuple[int, list[tuple[int, int]]] | None = None  # N; begin and end of each launch of the last run
        self._gpu = gpu
        self._pending: tuple[int, list[Any]] | None = None
        self._between = 0.0  # seconds from one event to the next
        if timed:
            self.limits = gpu_peaks(gpu)  # now, because reports are also made of sessions that are closed
            self._hold = probe_module(gpu).function("k_hold")
            self._between = self._seconds_between_events()

    def takes(self, n: int) -> bool:
        """Note a run at batch size n; True if it is to be launched here."""
        self.times.setdefault(n, Times([])).runs += 1
        return self.timed

    def launch(self, functions: Sequence[Any], launches: Sequence[CudaLaunch], n: int, parameters: bytes) -> None:
        """Launch everything, with events between."""
        driver, stream = self._gpu.driver, self._gpu.stream
        events = [driver.event() for _ in range(len(launches) + 1)]
        self._hold_up(len(launches))
        events[0].record(stream)
        for function, launch, event in zip(functions, launches, events[1:], strict=True):
            driver.launch(function, launch.blocks(n), (launch.threads, 1, 1), launch.shared, parameters, stream)
            event.record(stream)
        self._pending = (n, events)

    def read(self) -> None:
        """Take the times of a run whose work has ended."""
        if self._pending is None:
            return
        (n, events), self._pending = self._pending, None
        now = time.perf_counter_ns()
        reached = [1e-3 * event.milliseconds_since(events[0]) for event in events]
        seconds = [max(end - begin - self._between, 0.0) for begin, end in itertools.pairwise(reached)]
        times = self.times[n]
        times.kernels = [min(old, new) for old, new in zip(times.kernels or seconds, seconds, strict=True)]
        times.wall = min(times.wall, reached[-1])
        places = [now - int(1e9 * (reached[-1] - at)) for at in reached]
        self.last = (n, list(itertools.pairwise(places)))

    @property
    def usual_batch(self) -> int | None:
        """The batch size of most runs."""
        return max(self.times, key=lambda n: self.times[n].runs) if self.times else None

    def _hold_up(self, launches: int) -> None:
        parameters = struct.pack("<qQQ", HELD_CYCLES * (1 + launches), 0, 0)
        self._gpu.driver.launch(self._hold, (1, 1, 1), (1, 1, 1), 0, parameters, self._gpu.stream)

    def _seconds_between_events(self) -> float:
        driver, stream = self._gpu.driver, self._gpu.stream
        self._hold_up(PAIRS)
        events = [driver.event() for _ in range(PAIRS + 1)]
        for event in events:
            event.record(stream)
        driver.synchronise(stream)
        return 1e-3 * min(end.milliseconds_since(begin) for begin, end in itertools.pairwise(events))


def shares(program: CudaProgram, launch_seconds: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The time of each kernel from the times of launches. A launch of several kernels is shared out by their `weights`."""
    seconds = [0.0] * program.kernel_count
    for members, taken in zip(program.launch_kernels, launch_seconds, strict=True):
        total = sum(weights[i] for i in members)
        for i in members:
            seconds[i] += taken * (weights[i] / total if total > 0 else 1 / len(members))
    return seconds
