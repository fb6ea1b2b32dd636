"""When each operation of one run was computed, and what memory its results took: RunOptions.FULL_TRACE.

The run is an ordinary one with a clock between the kernels, so it gives the same bits. A kernel's time stands at one
operation, the one that the others are fused to; those took no time of their own and say which kernel they are part of.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..codegen.explain import Record, scratch_bytes
from ..codegen.explain_work import Amount, value_bytes
from ..codegen.ir import Value
from ..dtypes import DType
from ..errors import InternalError
from ..shapes import Dims, at_batch
from ..tensor import Operation
from . import programs
from .hybrid import HybridStep
from .machine import Machine, Step
from .profile import Stopwatch, watching
from .programs import CompiledStep, LoadedProgram

IN_PYTHON = "runs in Python"
NO_KERNEL = "no kernel of its own: folded, merged, a view or not needed"
_WITHOUT_WORK = {"Const": "a constant", "VariableV2": "a variable", "Placeholder": "fed"}


@dataclass(frozen=True)
class Output:
    """One result: its shape in this run (None where a dimension is unknown, because nothing computed it), and the bytes
    that it took in memory: 0 for one that the same kernel used up."""

    dtype: DType
    dims: tuple[int | None, ...] | None
    held_bytes: int


@dataclass(frozen=True)
class NodeTime:
    """One operation in one run. Times are nanoseconds of time.perf_counter_ns; `begin` is `end` for no work of its own."""

    op: Operation
    kernels: tuple[str, ...]  # that it is part of
    note: str  # what computed it
    begin: int
    end: int
    outputs: tuple[Output, ...]
    scratch_bytes: int = 0  # working memory of its kernel
    in_python: bool = False
    device: str = ""  # the name of the GPU that computed it; empty: the CPU


def run_traced(machine: Machine, step: Step, arrays: Sequence[np.ndarray]) -> tuple[list[Any], list[NodeTime]]:
    """A run of `step`: its results and its operations in the order of their execution. Raises what a run raises."""
    times: list[NodeTime] = []
    calls: list[_Call] = []
    with machine.lock:
        compiled = step.compiled if isinstance(step, HybridStep) else step
        machine.watch = lambda *executed: times.append(_interpreted(*executed))
        try:
            if isinstance(compiled, CompiledStep):
                clock = _clock_between_launches if compiled.on_device else _clock_between_kernels
                with clock(compiled, calls):
                    results = step.run(arrays)
            else:
                results = step.run(arrays)
        finally:
            machine.watch = None
        if isinstance(compiled, CompiledStep) and calls:
            held = step.handed if isinstance(step, HybridStep) else arrays
            times = [*_compiled(compiled, held, calls), *times]
    known = {entry.op for entry in times}
    begin = min((entry.begin for entry in times), default=time.perf_counter_ns())
    fed_ops = {t.op: array for t, array in zip(step.feeds, arrays, strict=True) if t.op not in known}
    return results, [*(_fed(op, array, begin) for op, array in fed_ops.items()), *times]


# --- operations in Python -------------------------------------------------------------------------------------------


def _interpreted(op: Operation, begin: int, end: int, values: list[Any]) -> NodeTime:
    outputs = tuple(
        Output(t.dtype.base_dtype, v.shape, v.nbytes if v.base is None else 0)
        if isinstance(v, np.ndarray)
        else Output(t.dtype.base_dtype, t.dims, 0)
        for t, v in zip(op.outputs, values, strict=True)
    )
    return NodeTime(op, (), IN_PYTHON, begin, end, outputs, in_python=True)


def _fed(op: Operation, array: np.ndarray, begin: int) -> NodeTime:
    return NodeTime(op, (), "fed", begin, begin, (Output(op.outputs[0].dtype.base_dtype, array.shape, 0),))


# --- kernels --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Call:
    """One kernel of a program was called, at batch size `n`."""

    loaded: Any
    kernel: int
    n: int
    begin: int
    end: int


@contextmanager
def _clock_between_kernels(step: CompiledStep, calls: list[_Call]) -> Iterator[None]:
    """Inside, the programs of `step` are called kernel by kernel, which `calls` tells."""
    replaced: list[tuple[LoadedProgram, Any]] = []

    def take(loaded: LoadedProgram) -> None:
        run = loaded.run
        replaced.append((loaded, run))
        loaded.run = partial(_run_timed, loaded, run.run if isinstance(run, Stopwatch) else run, calls)

    def watcher(owner: CompiledStep, signature: Any, loaded: Any) -> None:
        if owner is step:
            take(loaded)

    for loaded in step.loaded_programs:
        watcher(step, None, loaded)
    programs.watchers.append(watcher)
    try:
        yield
    finally:
        programs.watchers.remove(watcher)
        for loaded, run in replaced:
            loaded.run = run


@contextmanager
def _clock_between_launches(step: CompiledStep, calls: list[_Call]) -> Iterator[None]:
    """Inside, the programs of `step` are launched on their GPU with events between; afterwards `calls` tells when."""
    watches: list[tuple[Any, Any]] = []
    with ExitStack() as stack:

        def watcher(owner: CompiledStep, signature: Any, loaded: Any) -> None:
            if owner is step:
                watches.append((loaded, stack.enter_context(watching(loaded))))

        for loaded in step.loaded_programs:
            watcher(step, None, loaded)
        programs.watchers.append(watcher)
        try:
            yield
        finally:
            programs.watchers.remove(watcher)
    for loaded, watch in watches:
        if watch.last is not None:
            calls += _kernel_calls(loaded, *watch.last)


def _kernel_calls(loaded: Any, n: int, launches: Sequence[tuple[int, int]]) -> list[_Call]:
    """One call of each kernel. Kernels of one launch take equal parts of its time, one after the other; the launches of one
    kernel count as one, from the beginning of the first."""
    begins: dict[int, int] = {}
    durations: dict[int, int] = {}
    for members, (begin, end) in zip(loaded.program.launch_kernels, launches, strict=True):
        part = (end - begin) // len(members)
        for place, kernel in enumerate(members):
            begins.setdefault(kernel, begin + place * part)
            durations[kernel] = durations.get(kernel, 0) + part
    return [_Call(loaded, kernel, n, begin, begin + durations[kernel]) for kernel, begin in begins.items()]


def _run_timed(
    loaded: LoadedProgram, run: Callable[[Any, int, int], int], calls: list[_Call], step: Any, first: int, last: int
) -> int:
    clock = time.perf_counter_ns
    for kernel in range(first, last):
        begin = clock()
        failed = run(step, kernel, kernel + 1)
        calls.append(_Call(loaded, kernel, step.N, begin, clock()))
        if failed:
            return failed
    return 0


# --- from kernels to operations -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """What a kernel does, by the names of operations."""

    name: str
    main: str  # what the others are fused to; its last operation if there is no such thing
    members: tuple[str, ...]
    written: Mapping[str, Amount]  # operation -> bytes of its results that go to memory
    scratch: Amount  # bytes


@dataclass(frozen=True)
class _Description:
    """A program by the names of operations."""

    parts: tuple[_Part, ...]
    dims: Mapping[str, tuple[Dims, ...]]  # of the outputs, in N


_descriptions: weakref.WeakKeyDictionary[Any, _Description] = weakref.WeakKeyDictionary()


def _compiled(step: CompiledStep, arrays: Sequence[np.ndarray], calls: Sequence[_Call]) -> list[NodeTime]:
    """The operations of a compiled step, whose kernels have been called."""
    loaded, n = calls[0].loaded, calls[0].n
    description = _descriptions.get(loaded)
    if description is None:  # compiling once more says what its kernels do; a training loop waits for that once
        record, _ = step.recorded(arrays)
        if record.program.source != loaded.program.source:
            raise InternalError(None, None, "The compiler made another program of the same graph than before")
        description = _descriptions[loaded] = _described(record)
    ops = {op.name: op for op in step.prepared.order}
    found: list[NodeTime] = []
    fused: dict[str, list[tuple[_Part, _Call]]] = {}
    for call in calls:
        part = description.parts[call.kernel]
        for name in part.members:
            if name != part.main:
                fused.setdefault(name, []).append((part, call))
        if part.main in ops:
            outputs = _outputs(ops[part.main], description, n, part.written)
            entry = NodeTime(ops[part.main], (part.name,), f"runs as {part.name}", call.begin, call.end, outputs)
            entry = replace(entry, device=step.device_name)
            found.append(replace(entry, scratch_bytes=part.scratch.at(n)))
    mains = {entry.op.name for entry in found}
    for name, op in ops.items():
        if name not in mains:
            entry = _without_time(op, fused.get(name, []), description, n, calls[0].begin)
            found.append(replace(entry, device=step.device_name))
    place = {op: i for i, op in enumerate(ops.values())}
    return sorted(found, key=lambda entry: (entry.begin, place[entry.op]))


def _without_time(
    op: Operation, kernels: Sequence[tuple[_Part, _Call]], description: _Description, n: int, begin: int
) -> NodeTime:
    """An operation that others compute on the way, or nobody."""
    if not kernels:
        outputs = _outputs(op, description, n, {})
        if op.type == "VariableV2":
            outputs = tuple(replace(output, held_bytes=_size(output)) for output in outputs)
        return NodeTime(op, (), _WITHOUT_WORK.get(op.type, NO_KERNEL), begin, begin, outputs)
    names = tuple(part.name for part, _ in kernels)
    written = next((part.written for part, _ in kernels if op.name in part.written), {})
    begin = kernels[0][1].begin
    outputs = _outputs(op, description, n, written)
    return NodeTime(op, names, f"fused into {', '.join(names)}", begin, begin, outputs)


def _outputs(op: Operation, description: _Description, n: int, written: Mapping[str, Amount]) -> tuple[Output, ...]:
    """The results of an operation; what it holds in memory is told at the first."""
    held = written[op.name].at(n) if op.name in written else 0
    dims = description.dims.get(op.name, ())
    return tuple(
        Output(tensor.dtype.base_dtype, at_batch(dims[i], n) if i < len(dims) else tensor.dims, held if i == 0 else 0)
        for i, tensor in enumerate(op.outputs)
    )


def _size(output: Output) -> int:
    """The bytes of a variable."""
    return int(np.prod([size or 0 for size in output.dims or ()], dtype=np.int64)) * output.dtype.size


def _described(record: Record) -> _Description:
    plan = record.program.plan
    parts = []
    for kernel in record.program.kernels:
        group = kernel.group
        written: dict[str, Amount] = {}
        for value in kernel.writes:
            if _takes_memory(value, plan.buffers):
                written[value.op.label] = written.get(value.op.label, Amount()) + value_bytes(value)
        main = group.anchor if group.anchor is not None else group.nodes[-1]
        members = tuple(dict.fromkeys(node.label for node in group.nodes))
        parts.append(_Part(kernel.name, main.label, members, written, scratch_bytes(kernel, record.program)))
    dims = {node.label: tuple(value.dims for value in node.outputs) for node in record.specialised.nodes}
    return _Description(tuple(parts), dims)


def _takes_memory(value: Value, buffers: Mapping[Value, Any]) -> bool:
    return value in buffers and buffers[value].storage in ("batch", "fixed", "fetch")
