"""Runs operations one by one on NumPy arrays, as the reference defines them.

In: an execution order, the fed arrays, a session's `State`. Out: the fetched arrays; the state moves on only if every
operation succeeded. This is what runs where no C compiler is to be had, what says precisely which operation a compiled
step failed at, and the oracle of the compiled code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..dtypes import DType, as_dtype, short_name
from ..errors import InvalidArgumentError, OpError, ShapeError
from ..opdef import Array, Call
from ..order import shares_memory
from ..philox import SAMPLERS, reserved, sample
from ..reference import compute
from ..run_errors import at_node, unfed, uninitialized, uninitialized_fetch
from ..shapes import Dims
from ..tensor import Operation, Tensor
from .memory import RandomState, State, Transaction

# called with an operation, when it began and ended (time.perf_counter_ns), and its outputs, those that are arrays
Watch = Callable[[Operation, int, int, list[Any]], None]


class _Dead:
    """The value on a branch of `tf.cond` that is not taken."""


DEAD = _Dead()


class _Reference:
    """The value of a reference tensor: which variable it stands for."""

    __slots__ = ("tensor", "variable")

    def __init__(self, variable: str, tensor: Tensor) -> None:
        self.variable = variable
        self.tensor = tensor  # the variable's own output, whose static shape holds while it has no value


class _Unassigned:
    """A variable without a value, as the shape rule of the operation that assigns it sees it."""

    def __init__(self, tensor: Tensor) -> None:
        self.dims: Dims | None = tensor.dims
        self.dtype: DType = tensor.dtype

    def known(self) -> None:
        return None


def interpret(
    order: Sequence[Operation],
    fetches: Sequence[Tensor],
    feeds: Mapping[Tensor, np.ndarray],
    state: State,
    commit: bool = True,
    watch: Watch | None = None,
) -> list[np.ndarray]:
    """Run `order` and return copies of the fetched values. With `commit=False` the state stays as it is. `watch` is told of
    every operation that has been executed."""
    run = _Run(order, fetches, feeds, Transaction(state), watch)
    results = run.results()
    if commit:
        run.transaction.commit()
    return results


class _Run:
    def __init__(
        self,
        order: Sequence[Operation],
        fetches: Sequence[Tensor],
        feeds: Mapping[Tensor, np.ndarray],
        transaction: Transaction,
        watch: Watch | None,
    ) -> None:
        self.watch = watch
        self.order = order
        self.fetches = fetches
        self.fed = frozenset(feeds)
        self.values: dict[Tensor, Any] = dict(feeds)
        self.transaction = transaction
        self.dead: set[Operation] = set()

    def results(self) -> list[np.ndarray]:
        awaited = self._count_uses()
        execute = self._execute if self.watch is None else self._execute_watched
        for op in self.order:
            execute(op)
            for tensor in op.inputs:
                awaited[tensor] -= 1
                if awaited[tensor] == 0:
                    del self.values[tensor]
        return [self._fetched(tensor, i) for i, tensor in enumerate(self.fetches)]

    def _count_uses(self) -> dict[Tensor, int]:
        """How many operations still take each tensor: values go as soon as nobody needs them."""
        uses = dict.fromkeys(self.fetches, 1)
        for op in self.order:
            for tensor in op.inputs:
                uses[tensor] = uses.get(tensor, 0) + 1
        return uses

    def _fetched(self, tensor: Tensor, position: int) -> np.ndarray:
        value = self.values[tensor]
        if value is DEAD:
            raise at_node(InvalidArgumentError, tensor.op, f"Retval[{position}] does not have value")
        if isinstance(value, _Reference):
            value = self.transaction.read(value.variable)
            if value is None:
                raise uninitialized_fetch(tensor, position)
        return np.array(value)

    # --- one operation --------------------------------------------------------------------------------------

    def _execute(self, op: Operation) -> None:
        inputs = [self.values[tensor] for tensor in op.inputs]
        blocked = any(control in self.dead for control in op.control_inputs)
        if blocked or (op.type not in _MERGES and any(value is DEAD for value in inputs)):
            self._die(op)
            return
        special = _SPECIAL.get(op.type)
        if special is not None:
            outputs = special(self, op, inputs)
        elif op.opdef.effect == "write":
            outputs = self._write(op, inputs)
        elif op.type in SAMPLERS:
            outputs = self._sample(op, inputs)
        elif op.opdef.effect == "random":
            outputs = self._choose(op, inputs)
        else:
            outputs = self._compute(op, [self._read(value, op) for value in inputs])
        self._store(op, outputs)

    def _execute_watched(self, op: Operation) -> None:
        begin = time.perf_counter_ns()
        self._execute(op)
        end = time.perf_counter_ns()
        if self.watch is not None and op not in self.dead:
            self.watch(op, begin, end, [self.values[tensor] for tensor in op.outputs])

    def _die(self, op: Operation) -> None:
        self.dead.add(op)
        self._store(op, [DEAD] * len(op.outputs))

    def _store(self, op: Operation, outputs: Sequence[Any]) -> None:
        for tensor, value in zip(op.outputs, outputs, strict=True):
            if tensor not in self.fed:
                self.values[tensor] = value

    def _read(self, value: Any, reader: Operation) -> np.ndarray:
        if not isinstance(value, _Reference):
            return value
        held = self.transaction.read(value.variable)
        if held is None:
            raise uninitialized(value.variable, reader)
        return held

    def _compute(self, op: Operation, arrays: Sequence[np.ndarray]) -> Sequence[Any]:
        call = Call(op.opdef, [Array(np.asarray(array)) for array in arrays], op.attrs)
        self._check_shapes(op, call)
        return _told_at(op, lambda: compute(op.opdef, call, arrays))

    def _check_shapes(self, op: Operation, call: Call) -> list[Dims | None]:
        return list(_told_at(op, lambda: op.opdef.shape(call)))

    def _sample(self, op: Operation, inputs: Sequence[Any]) -> Sequence[np.ndarray]:
        arrays = [self._read(value, op) for value in inputs]
        call = Call(op.opdef, [Array(np.asarray(array)) for array in arrays], op.attrs)
        (dims,) = self._check_shapes(op, call)
        assert dims is not None
        size = int(np.prod(dims, dtype=np.int64))
        dtype = op.outputs[0].dtype.as_numpy_dtype
        count = reserved(op.type, dtype, size)
        at = self.transaction.draw(op.name, op.attrs["seed"], op.attrs["seed2"], count)
        bounds = [int(array) for array in arrays[1:]]
        flat = _told_at(op, lambda: sample(op.type, at.seeds, at.counter, size, dtype, *bounds))
        return [flat.reshape(dims)]

    def _choose(self, op: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
        """A random operation of Python, whose body reserves as many counters as it needs."""
        arrays = [self._read(value, op) for value in inputs]
        call = Call(op.opdef, [Array(np.asarray(array)) for array in arrays], op.attrs)
        self._check_shapes(op, call)

        def draw(count: int) -> RandomState:
            return self.transaction.draw(op.name, op.attrs["seed"], op.attrs["seed2"], count)

        found = _told_at(op, lambda: op.opdef.body(call, draw, *arrays))
        return found if isinstance(found, tuple) else [found]

    def _write(self, op: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
        """An update: the definition gives the new values of its reference arguments, in order."""
        references = _references(op, inputs)
        arrays = [self._read(value, op) for value in inputs]
        new_values = self._compute(op, arrays)
        for reference, value in zip(references, new_values, strict=True):
            self.transaction.write(reference.variable, value)
        return references[: len(op.outputs)]

    # --- operations that are not functions of arrays --------------------------------------------------------

    def _assign(self, op: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
        (reference,) = _references(op, inputs)
        held = self.transaction.read(reference.variable)
        value = self._read(inputs[1], op)
        target = _Unassigned(reference.tensor) if held is None else Array(held)
        self._check_shapes(op, Call(op.opdef, [target, Array(value)], op.attrs))
        self.transaction.write(reference.variable, np.array(value))
        return [reference]

    def _variable(self, op: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
        return [_Reference(op.name, op.outputs[0])]

    def _identity(self, op: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
        held = self._read(inputs[0], op)
        return inputs if shares_memory(op) else self._compute(op, [held])

    def _is_initialized(self, op: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
        (value,) = inputs
        return [np.asarray(not isinstance(value, _Reference) or self.transaction.read(value.variable) is not None)]

    def _placeholder(self, op: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
        if op.outputs[0] in self.fed:  # it was kept for its place in the order only
            return [self.values[op.outputs[0]]]
        raise unfed(op)

    def _no_op(self, op: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
        return []

    def _print(self, op: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
        arrays = [self._read(value, op) for value in inputs]
        return self._compute(op, arrays) if self.transaction.may_print(op.name, op.attrs["first_n"]) else arrays[:1]

    def _switch(self, op: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
        data, predicate = inputs
        if op.type == "Switch":
            data = self._read(data, op)
        return [DEAD, data] if bool(self._read(predicate, op)) else [data, DEAD]

    def _merge(self, op: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
        alive = next((i for i, value in enumerate(inputs) if value is not DEAD), None)
        if alive is None:
            self.dead.add(op)
            return [DEAD] * len(op.outputs)
        data = inputs[alive] if op.type == "RefMerge" else self._read(inputs[alive], op)
        return [data, np.asarray(alive, np.int32)]


_MERGES = frozenset(("Merge", "RefMerge"))

_SPECIAL: dict[str, Callable[[_Run, Operation, Sequence[Any]], Sequence[Any]]] = {
    "Assign": _Run._assign,
    "Identity": _Run._identity,
    "IsVariableInitialized": _Run._is_initialized,
    "Merge": _Run._merge,
    "NoOp": _Run._no_op,
    "Placeholder": _Run._placeholder,
    "Print": _Run._print,
    "RefMerge": _Run._merge,
    "RefSwitch": _Run._switch,
    "Switch": _Run._switch,
    "VariableV2": _Run._variable,
}


def _references(op: Operation, inputs: Sequence[Any]) -> list[_Reference]:
    """The reference arguments among `inputs`; an error if a plain value was fed in place of one."""
    references = []
    for i, (arg, value) in enumerate(zip(op.opdef.inputs, inputs, strict=True)):
        if arg.is_ref and isinstance(value, _Reference):
            references.append(value)
        elif arg.is_ref:
            dtype = short_name(as_dtype(np.asarray(value).dtype))
            text = f"Input {i} of node {op.name} was passed {dtype} from {op.inputs[i].name} incompatible with "
            raise at_node(InvalidArgumentError, op, f"{text}expected {dtype}_ref.")
    return references


def _told_at(op: Operation, step: Callable[[], Any]) -> Any:
    """`step()`, whose errors about shapes and values become errors of the run at `op`."""
    try:
        return step()
    except ShapeError as error:
        raise at_node(InvalidArgumentError, op, error.run) from None
    except OpError as error:
        if error.op is not None:
            raise
        raise at_node(type(error), op, error.message) from None
    except (ValueError, IndexError, ArithmeticError) as error:
        raise at_node(InvalidArgumentError, op, str(error)) from error
