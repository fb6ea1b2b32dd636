"""Steps that are compiled but for a few operations that only Python can run: strings, files, printing.

Those and whatever depends on them run in the interpreter after the compiled part, on values that it hands over.
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
        sources = [*(tensor.op for tensor in op.inputs if tensor not in fed), *op.control_inputs]
        if _needs_python(op) or any(source in found for source in sources):
            found[op] = None
    return list(found)


def _needs_python(op: Operation) -> bool:
    if isinstance(op.opdef.kind, Host) or op.type == "IsVariableInitialized":
        return True
    return any(tensor.dtype.base_dtype == string for tensor in (*op.inputs, *op.outputs))


def compiled_step(machine: Machine, order: Sequence[Operation], fetches: Sequence[Tensor], feeds: Sequence[Tensor]) -> Step:
    """The step for `order` with as much of it compiled as may be."""
    if _writes_to_fed(order, feeds):
        return InterpretedStep(machine, order, fetches, feeds)  # says what is wrong with that
    in_python = python_operations(order, feeds)
    if not in_python:
        return _compiled(machine, order, fetches, feeds)
    members = frozenset(in_python)
    # a write has its place among the compiled ones, and in a branch that is not taken nothing may run
    if moves_only(op for op in order if op not in members) or any(
        op.opdef.effect == "write" or op.guards for op in in_python
    ):
        return InterpretedStep(machine, order, fetches, feeds)
    return HybridStep(machine, order, in_python, fetches, feeds)


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
    """A compiled step followed by operations in Python."""

    def __init__(
        self,
        machine: Machine,
        order: Sequence[Operation],
        in_python: Sequence[Operation],
        fetches: Sequence[Tensor],
        feeds: Sequence[Tensor],
    ) -> None:
        self.feeds = feeds
        self.in_python = in_python
        self._lock = machine.lock
        fed, members = frozenset(feeds), frozenset(in_python)
        taken = dict.fromkeys(tensor for op in in_python for tensor in op.inputs if tensor.op not in members)
        # a variable's own output stands for the variable, so it goes to Python as the operation that it is
        variables = list(dict.fromkeys(t.op for t in taken if t.op.type == "VariableV2" and t not in fed))
        self._fetches = fetches
        self._fed = [tensor for tensor in taken if tensor in fed]
        self._handed = [t for t in taken if t not in fed and t.op not in variables]
        compiled = [tensor for tensor in fetches if tensor.op not in members]
        self._results = list(dict.fromkeys([*compiled, *self._handed]))
        remaining = [op for op in order if op not in members]
        self.compiled = _compiled(machine, remaining, self._results, feeds)
        self._from_python = [tensor for tensor in fetches if tensor.op in members]
        python_feeds = [*self._fed, *self._handed]
        self._second = InterpretedStep(machine, [*variables, *in_python], self._from_python, python_feeds)

    def run(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        fed = dict(zip(self.feeds, arrays, strict=True))
        with self._lock:
            first = dict(zip(self._results, self.compiled.run(arrays), strict=True))
            passed = [*(fed[t] for t in self._fed), *(np.asarray(first[t]) for t in self._handed)]
            second = dict(zip(self._from_python, self._second.run(passed), strict=True))
        return [second[t] if t in second else first[t] for t in self._fetches]
