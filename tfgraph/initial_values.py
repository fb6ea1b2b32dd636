"""Initial values that depend on other variables: made to use those variables' own initial values where needed.

`tf.Variable(2 * w)` must give the right number whichever of the two initialisers runs first. The operations between the
initial value and the variables it reads are copied, with each read replaced by `w.initialized_value()`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .tensor import Operation, Tensor

# the value of these does not depend on whether the variable has one
_HARMLESS = frozenset(("IsVariableInitialized",))

FindVariable = Callable[[Operation], Any]


def safe_initial_value(tensor: Tensor, suffix: str, find_variable: FindVariable) -> Tensor:
    """`tensor`, or a copy of it that reads initialised values; new nodes are named `<node>_<suffix>`."""
    return _Copier(suffix.replace(":", "_"), find_variable).tensor(tensor)


class _Copier:
    def __init__(self, suffix: str, find_variable: FindVariable) -> None:
        self.suffix = suffix
        self.find_variable = find_variable
        self.copies: dict[Operation, Operation | Tensor] = {}

    def tensor(self, tensor: Tensor) -> Tensor:
        copy = self.operation(tensor.op)
        return copy if isinstance(copy, Tensor) else copy.outputs[tensor.value_index]

    def operation(self, root: Operation) -> Operation | Tensor:
        """`root` itself if it reads no variable, else its copy; works through inputs without recursion."""
        waiting = [root]
        while waiting:
            op = waiting[-1]
            missing = [i.op for i in self._inputs(op) if i.op not in self.copies]
            if missing and op not in self.copies:
                waiting += missing
                continue
            waiting.pop()
            if op not in self.copies:
                self.copies[op] = self._copied(op)
        return self.copies[root]

    def _inputs(self, op: Operation) -> tuple[Tensor, ...]:
        return () if op.type in _HARMLESS else op.inputs

    def _copied(self, op: Operation) -> Operation | Tensor:
        if op.type in _HARMLESS:
            return op
        if op.type == "VariableV2":
            variable = self.find_variable(op)
            return op if variable is None else variable.initialized_value()
        inputs = [self.tensor(i) for i in op.inputs]
        if all(new is old for new, old in zip(inputs, op.inputs, strict=True)):
            return op
        op_def = op.opdef
        if op_def.type == "RefSwitch":
            from .ops.control import switch

            op_def = switch  # what was a reference is a value now
        graph = op.graph
        name = f"{op.name}_{self.suffix}"
        with graph.name_scope(None):
            unique = graph.unique_name(name)
        return graph.add_operation(op_def, inputs, op.attrs, unique, op.control_inputs, op.device)
