"""Where an exported model's variables get their values: the function `initialize`, and the weights of a session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..codegen.export.function import Function
from ..codegen.export.instance import Fill
from ..codegen.export.model import Model
from ..errors import InvalidArgumentError
from ..order import execution_order
from ..run_errors import at_node
from ..tensor import Operation


def initializer(graph: Any, functions: Sequence[Function], name: str) -> tuple[Function, list[Fill]]:
    """How the variables that `functions` touch start: those of one number everywhere, and the function for the others."""
    assigns, fills = [], []
    for variable in _variables(functions):
        assign = _assign(graph, variable)
        value, tensor = _everywhere(assign.inputs[1]), variable.outputs[0]
        if value is None or tensor.dims is None or None in tensor.dims:
            assigns.append(assign)
        else:
            fills.append(Fill(variable.name, tensor.dtype.base_dtype, tuple(tensor.dims), value))
    # initial values that read other variables ask whether those have a value; in a new instance none has
    order = execution_order([], assigns, ())
    asked = {op.outputs[0]: np.asarray(False) for op in order if op.type == "IsVariableInitialized"}
    order = execution_order([], assigns, asked)
    for op in order:
        if op.type == "Placeholder":
            text = f"The initial value of a variable needs {op.outputs[0].name}, which `{name}` cannot ask for"
            raise at_node(InvalidArgumentError, op, text)
    return Function(name, tuple(order), (), (), asked, (), ()), fills


def _everywhere(tensor: Any) -> Any:
    """The number that all elements of an initial value are, bit by bit; None if there is no such number."""
    op = tensor.op
    while op.type == "Identity":
        op = op.inputs[0].op
    dtype = tensor.dtype.base_dtype.as_numpy_dtype
    if op.type in ("ZerosLike", "OnesLike"):
        return np.asarray(op.type == "OnesLike", dtype)[()]
    value = op.inputs[1].known() if op.type == "Fill" else tensor.known() if op.type != "Const" else op.attrs["value"]
    if value is None or np.asarray(value).size == 0:
        return None
    flat = np.asarray(value).reshape(-1)
    if flat.dtype != dtype or flat.dtype == object:
        return None
    first: np.generic = flat[0]
    return first if flat.tobytes() == first.tobytes() * flat.size else None


def _variables(functions: Iterable[Function]) -> list[Operation]:
    """The variables of some functions, in the order in which they were made."""
    found = {op for function in functions for op in function.order if op.type == "VariableV2"}
    return sorted(found, key=lambda op: op.id)


def _assign(graph: Any, variable: Operation) -> Operation:
    """The operation that gives a variable its initial value."""
    for collection in graph.get_all_collection_keys():
        for item in graph.get_collection(collection):
            if getattr(item, "op", None) is variable and hasattr(item, "initializer"):
                found: Operation = item.initializer
                return found
    for op in graph.get_operations():
        if op.type == "Assign" and op.inputs[0].op is variable and op.name == f"{variable.name}/Assign":
            return op
    text = f"The variable {variable.name} has no initial value that an exported model could give it"
    raise at_node(InvalidArgumentError, variable, text)


def weights(session: Any, model: Model, graph: Any) -> tuple[dict[str, np.ndarray], dict[str, tuple[int, int, int]]]:
    """The values of a model's variables in a session, and where its random operations stand there."""
    variables = {v.op_name: graph.get_operation_by_name(v.op_name) for v in model.instance.variables}
    randoms = [graph.get_operation_by_name(r.op_name) for r in model.instance.randoms]
    values, states = session.copy_state(variables, randoms)
    return values, states
