"""What `Session.explain` and `python -m tfgraph explain` give: the kernels of a step as data, text, HTML and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..codegen.explain import (
    Counts,
    KernelReport,
    KernelTime,
    MemoryReport,
    NotFused,
    Record,
    counts,
    kernel_reports,
    memory_report,
)
from ..codegen.problems import NotCompilable
from ..codegen.signature import Prepared
from ..dtypes import as_dtype
from ..errors import InternalError
from . import explain_text
from .hybrid import HybridStep, compiled_step
from .machine import InterpretedStep, Machine, Step, moves_only
from .peaks import Peaks, peaks
from .profile import state_kept, watching
from .programs import CompiledStep

if TYPE_CHECKING:
    from .cuda.peaks import GpuPeaks

PROFILED_RUNS = 10
INTERPRETED_MOVES = "a run goes through the interpreter: it only moves values"


@dataclass(frozen=True)
class Profile:
    """Profiled runs: how many, the least time of a whole one (clocks included), and the machine's limits."""

    runs: int
    wall_seconds: float
    peaks: Peaks | GpuPeaks


@dataclass(frozen=True)
class Explanation:
    """How a step computes. `batch` is the N that its numbers are for; `print` it, or show it in a notebook."""

    fetches: tuple[str, ...]
    feeds: Mapping[str, tuple[int, ...]]
    batch: int
    kernels: tuple[KernelReport, ...]
    memory: MemoryReport
    counts: Counts
    notes: tuple[str, ...] = ()
    profile: Profile | None = None

    @property
    def flops(self) -> int:
        """Operations of all kernels."""
        return sum(kernel.flops for kernel in self.kernels)

    @property
    def bytes(self) -> int:
        """Bytes that all kernels have to move."""
        return sum(kernel.bytes for kernel in self.kernels)

    @property
    def seconds(self) -> float | None:
        """The least times of all kernels together; None without a profile."""
        times = [kernel.time for kernel in self.kernels]
        return sum(time.seconds for time in times if time is not None) if self.profile is not None else None

    def __str__(self) -> str:
        return explain_text.as_text(self)

    def _repr_html_(self) -> str:
        return explain_text.as_html(self)

    def to_json(self) -> str:
        """Everything as JSON: an object with this class's fields and the sums `flops`, `bytes`, `seconds`."""
        record = asdict(self) | {"flops": self.flops, "bytes": self.bytes, "seconds": self.seconds}
        record["memory"]["peak"] = self.memory.peak
        record["counts"] |= {"pruned": self.counts.pruned, "folded": self.counts.folded}
        return json.dumps(record, indent=1)


# --- of one run -----------------------------------------------------------------------------------------------------


def explain_step(machine: Machine, step: Step, arrays: Sequence[np.ndarray], operations: int, profile: bool) -> Explanation:
    """The step behind a run with these arrays. `operations` is how many the graph has.

    With `profile` the step runs several times, and variables and random counters are put back. What the compiler or the
    profiled run raises is raised here.
    """
    with machine.lock:
        compiled, arrays, notes = _compiled_part(machine, step, arrays)
        if compiled is None:
            return _nothing(step, notes)
        try:
            record, n = compiled.recorded(arrays)
        except NotCompilable as reason:
            return _nothing(step, (*notes, f"a run goes through the interpreter: {reason}"))
        explanation = explain_record(record, n, compiled.prepared, [array.shape for array in arrays], operations, notes)
        if not profile:
            return explanation
        if isinstance(step, InterpretedStep):
            return replace(explanation, notes=(*explanation.notes, "not profiled, because a run is not compiled"))
        return with_times(explanation, record, *_profiled(machine, compiled, arrays))


def _compiled_part(
    machine: Machine, step: Step, arrays: Sequence[np.ndarray]
) -> tuple[CompiledStep | None, Sequence[np.ndarray], tuple[str, ...]]:
    """The part of a step that compiled code executes, or would execute, the arrays that it takes, and what to note."""
    notes: tuple[str, ...] = ()
    if isinstance(step, InterpretedStep):
        notes = (INTERPRETED_MOVES if moves_only(step.order) else "a run goes through the interpreter",)
        step = compiled_step(machine, step.order, step.fetches, step.feeds)
    if isinstance(step, HybridStep):
        arrays = step.before(arrays, commit=False)
        when = (("before", step.first), ("after", step.last))
        told = [f"in Python, {word} the compiled kernels: {', '.join(op.name for op in ops)}" for word, ops in when if ops]
        return step.compiled, arrays, (*notes, *told)
    return (step, arrays, notes) if isinstance(step, CompiledStep) else (None, arrays, notes)


def _nothing(step: Any, notes: tuple[str, ...]) -> Explanation:
    memory = MemoryReport(0, 0, 0, 0, 0, 0, 0, 0, 0)
    return Explanation((), {}, 1, (), memory, Counts(0, 0, (), 0, 0), notes)


def explain_record(
    record: Record,
    n: int,
    prepared: Prepared,
    shapes: Sequence[tuple[int, ...]],
    operations: int,
    notes: tuple[str, ...] = (),
) -> Explanation:
    """A recorded compilation at batch size `n`."""
    return Explanation(
        fetches=tuple(tensor.name for tensor in prepared.fetches),
        feeds={tensor.name: tuple(shape) for tensor, shape in zip(prepared.feeds, shapes, strict=True)},
        batch=n,
        kernels=kernel_reports(record, n),
        memory=memory_report(record.program, n),
        counts=counts(record, operations, len(prepared.order)),
        notes=notes,
    )


# --- times ----------------------------------------------------------------------------------------------------------


def _profiled(machine: Machine, step: CompiledStep, arrays: Sequence[np.ndarray]) -> tuple[Any, Any]:
    """Run a step several times under a stopwatch, leaving the session's state as it is. The program and the stopwatch."""
    with state_kept(machine.state):
        step.run(arrays)  # compiles, wakes the threads, fills the caches; raises what a run raises
    loaded = step.loaded(arrays)
    with watching(loaded) as watch:
        for _ in range(PROFILED_RUNS):
            with state_kept(machine.state):
                step.run(arrays)
    return loaded, watch


def with_times(explanation: Explanation, record: Record, loaded: Any, watch: Any) -> Explanation:
    """The explanation with what a stopwatch on the loaded program has measured at its batch size."""
    if loaded.program.source != record.program.source:
        raise InternalError(None, None, "The compiler made another program of the same graph than before")
    times = watch.times[explanation.batch]
    if times.wall == float("inf"):
        return replace(explanation, notes=(*explanation.notes, "not profiled, because no run came to its end"))
    limits = watch.limits if loaded.on_device else peaks(loaded.threads)
    floors = [_floor(kernel, limits) for kernel in explanation.kernels]
    if loaded.on_device:
        from .cuda.launch_times import shares

        seconds = shares(loaded.program, times.kernels, floors)
    else:
        call = watch.call_seconds(loaded.step)
        seconds = [taken - call for taken in times.kernels]
    kernels = tuple(
        replace(kernel, time=_kernel_time(kernel, taken, floor))
        for kernel, taken, floor in zip(explanation.kernels, seconds, floors, strict=True)
    )
    return replace(explanation, kernels=kernels, profile=Profile(times.runs, times.wall, limits))


def _floor(kernel: KernelReport, limits: Peaks | GpuPeaks) -> float:
    size = as_dtype(kernel.dtype).size if kernel.dtype else 4
    return limits.floor_seconds(kernel.flops, kernel.bytes, size, kernel.algorithm)


def _kernel_time(kernel: KernelReport, seconds: float, floor: float) -> KernelTime:
    seconds = max(seconds, 1e-9)
    return KernelTime(seconds, kernel.flops / seconds / 1e9, kernel.bytes / seconds / 1e9, floor, floor / seconds)


__all__ = [
    "Counts",
    "Explanation",
    "KernelReport",
    "KernelTime",
    "MemoryReport",
    "NotFused",
    "Profile",
    "explain_record",
    "explain_step",
    "with_times",
]
