"""Steps that are compiled but for a few operations that only Python can run: strings, files, printing, random choices.

Those that need nothing but feeds run in the interpreter first, and what they give is fed to the compiled part. The others,
and whatever depends on them, run in the interpreter after the compiled part, on values that it hands over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..dtypes import string
from ..opdef import Host
from ..tensor import Operation, Tensor
from .devices import gpu_of
from .machine import InterpretedStep, Machine, Step, moves_only
from .programs import CompiledStep


def python_operations(order: Iterable[Operation], feeds: Iterable[Tensor]) -> list[Operation]:
    """The operations of `order` that have no compiled form, and those that depend on them."""
    fed = frozenset(feeds)
    found: dict[Operation, None] = {}
    for op in order:
        if _needs_python(op) or any(source in found for source in _sources(op, fed)):
            found[op] = None
    return list(found)


def _needs_python(op: Operation) -> bool:
    if isinstance(op.opdef.kind, Host) or op.type == "IsVariableInitialized":
        return True
    return any(tensor.dtype.base_dtype == string for tensor in (*op.inputs, *op.outputs))


# operations whose value the interpreter cannot find before the compiled part has run
_NOT_BEFORE = frozenset(("IsVariableInitialized", "Merge", "Placeholder", "RefMerge", "RefSwitch", "Switch", "VariableV2"))
_NO_EFFECT_BEFORE = ("write", "print")


def python_sources(order: Sequence[Operation], feeds: Iterable[Tensor]) -> list[Operation]:
    """The operations of `order` that only Python can run, need nothing but feeds and constants, and have others wait for
    them that are compiled."""
    fed = frozenset(feeds)
    ready: set[Operation] = set()
    for op in order:
        sources = _sources(op, fed)
        if _may_run_before(op) and all(source in ready for source in sources):
            ready.add(op)
    awaited: set[Operation] = set()
    for op in reversed(order):
        if op in awaited or not _needs_python(op):
            awaited.update(source for source in _sources(op, fed) if source in ready and _needs_python(source))
    return [op for op in order if op in awaited]


def _sources(op: Operation, fed: frozenset[Tensor]) -> list[Operation]:
    return [*(tensor.op for tensor in op.inputs if tensor not in fed), *op.control_inputs]


def _may_run_before(op: Operation) -> bool:
    """True unless the operation reads or writes the session's state, prints, or belongs to a branch."""
    if op.type in _NOT_BEFORE or op.guards:
        return False
    # what is not of Python runs twice, before and in the compiled part, where its random numbers would be other ones
    return op.opdef.effect not in _NO_EFFECT_BEFORE and (op.opdef.effect != "random" or _needs_python(op))


def _needed_by(operations: Iterable[Operation], order: Sequence[Operation], fed: frozenset[Tensor]) -> list[Operation]:
    """Those of `order` that `operations` depend on, themselves included."""
    needed = set(operations)
    for op in reversed(order):
        if op in needed:
            needed.update(_sources(op, fed))
    return [op for op in order if op in needed]


def compiled_step(machine: Machine, order: Sequence[Operation], fetches: Sequence[Tensor], feeds: Sequence[Tensor]) -> Step:
    """The step for `order` with as much of it compiled as may be."""
    if _writes_to_fed(order, feeds):
        return InterpretedStep(machine, order, fetches, feeds)  # says what is wrong with that
    first = python_sources(order, feeds)
    given = [tensor for op in first for tensor in op.outputs if tensor not in feeds]
    rest = _rest(order, first, fetches, frozenset([*feeds, *given]))
    last = python_operations(rest, [*feeds, *given])
    if not first and not last:
        return _compiled(machine, order, fetches, feeds)
    members = frozenset(last)
    # a write has its place among the compiled ones, and in a branch that is not taken nothing may run
    if moves_only(op for op in rest if op not in members) or any(
        op.opdef.effect == "write" or op.guards for op in last
    ):
        return InterpretedStep(machine, order, fetches, feeds)
    return HybridStep(machine, order, first, last, fetches, feeds)


def _rest(
    order: Sequence[Operation], first: Sequence[Operation], fetches: Sequence[Tensor], fed: frozenset[Tensor]
) -> list[Operation]:
    """`order` without `first`, and without what nothing but those needed."""
    only = set(_needed_by(first, order, fed)) if first else set()
    kept = [op for op in order if op not in only]
    wanted = [*kept, *(tensor.op for tensor in fetches if tensor not in fed)]
    chosen = set(_needed_by(wanted, order, fed)) - set(first)
    return [op for op in order if op in chosen]


def _compiled(
    machine: Machine, order: Sequence[Operation], fetches: Sequence[Tensor], feeds: Sequence[Tensor]
) -> CompiledStep:
    """The compiled step, on the device that the placement of its operations asks for."""
    device = gpu_of(order, machine.config)
    if device is None:
        return CompiledStep(machine, order, fetches, feeds)
    from .cuda.step import CudaStep  # with the compiler for CUDA, which other sessions need not import

    return CudaStep(machine, order, fetches, feeds, device)


def _writes_to_fed(order: Iterable[Operation], feeds: Iterable[Tensor]) -> bool:
    """True if a variable that is fed is also written: a fed value stands for no variable."""
    fed_references = {tensor for tensor in feeds if tensor.dtype.is_ref}
    return any(op.opdef.effect == "write" and not fed_references.isdisjoint(op.inputs) for op in order)


class HybridStep:
    """Operations in Python, a compiled step, and operations in Python; the first ones and the last ones may be none."""

    def __init__(
        self,
        machine: Machine,
        order: Sequence[Operation],
        first: Sequence[Operation],
        last: Sequence[Operation],
        fetches: Sequence[Tensor],
        feeds: Sequence[Tensor],
    ) -> None:
        self.feeds = feeds
        self.first, self.last = first, last
        self._machine = machine
        self._given = [tensor for op in first for tensor in op.outputs if tensor not in feeds]
        self._first = InterpretedStep(machine, _needed_by(first, order, frozenset(feeds)), self._given, feeds)
        known = [*feeds, *self._given]
        fed, members = frozenset(known), frozenset(last)
        taken = dict.fromkeys(tensor for op in last for tensor in op.inputs if tensor.op not in members)
        # a variable's own output stands for the variable, so it goes to Python as the operation that it is
        variables = list(dict.fromkeys(t.op for t in taken if t.op.type == "VariableV2" and t not in fed))
        self._fetches = fetches
        self.handed: list[np.ndarray] = []  # what the compiled part was fed in the last run that is watched
        self._fed = [tensor for tensor in taken if tensor in fed]
        self._handed = [t for t in taken if t not in fed and t.op not in variables]
        compiled = [tensor for tensor in fetches if tensor.op not in members]
        self._results = list(dict.fromkeys([*compiled, *self._handed]))
        remaining = [op for op in _rest(order, first, fetches, fed) if op not in members]
        self.compiled = _compiled(machine, remaining, self._results, known)
        self._from_python = [tensor for tensor in fetches if tensor.op in members]
        python_feeds = [*self._fed, *self._handed]
        self._second = InterpretedStep(machine, [*variables, *last], self._from_python, python_feeds)

    def before(self, arrays: Sequence[np.ndarray], commit: bool = True) -> list[np.ndarray]:
        """The arrays that the compiled part is fed: `arrays`, and what Python makes of them first."""
        given = self._first.run(arrays, commit) if self._first.order else []
        return [*arrays, *map(np.asarray, given)]

    def run(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        with self._machine.lock:
            every = self.before(arrays)
            if self._machine.watch is not None:
                self.handed = every
            fed = dict(zip(self.compiled.feeds, every, strict=True))
            first = dict(zip(self._results, self.compiled.run(every), strict=True))
            passed = [*(fed[t] for t in self._fed), *(np.asarray(first[t]) for t in self._handed)]
            second = dict(zip(self._from_python, self._second.run(passed), strict=True))
        return [second[t] if t in second else first[t] for t in self._fetches]
