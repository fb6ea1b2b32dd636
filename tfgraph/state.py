"""Functions on variables: the sets of them, their initialisation, assignment as functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .control_flow import group, name_scope, no_op
from .convert import constant
from .dtypes import string
from .graph import get_default_graph
from .keys import GraphKeys
from .opdef import Call, host
from .ops import state
from .tensor import Operation, Tensor
from .variables import Variable

__all__ = [
    "add_to_collection",
    "add_to_collections",
    "all_variables",
    "assign",
    "assign_add",
    "assign_sub",
    "get_collection",
    "get_collection_ref",
    "global_variables",
    "global_variables_initializer",
    "initialize_all_variables",
    "initialize_local_variables",
    "initialize_variables",
    "is_variable_initialized",
    "local_variables",
    "local_variables_initializer",
    "model_variables",
    "moving_average_variables",
    "report_uninitialized_variables",
    "scatter_add",
    "scatter_sub",
    "scatter_update",
    "trainable_variables",
    "variables_initializer",
]


# --- sets of variables ------------------------------------------------------------------------------------------------


def add_to_collection(name: Any, value: Any) -> None:
    """Append `value` to a collection of the default graph."""
    get_default_graph().add_to_collection(name, value)


def add_to_collections(names: Any, value: Any) -> None:
    """Append `value` to several collections of the default graph."""
    get_default_graph().add_to_collections(names, value)


def get_collection(key: Any, scope: str | None = None) -> list[Any]:
    """A copy of a collection of the default graph; with `scope`, the items whose names match it from the start."""
    return get_default_graph().get_collection(key, scope)


def get_collection_ref(key: Any) -> list[Any]:
    """A collection of the default graph itself."""
    return get_default_graph().get_collection_ref(key)


def _of_collection(key: str, text: str) -> Callable[..., list[Variable]]:
    def variables(scope: str | None = None) -> list[Variable]:
        return get_default_graph().get_collection(key, scope)

    variables.__doc__ = f"{text}; with `scope`, those whose names match it from the start."
    return variables


global_variables = _of_collection(GraphKeys.GLOBAL_VARIABLES, "The variables of the default graph")
all_variables = global_variables
local_variables = _of_collection(GraphKeys.LOCAL_VARIABLES, "The local variables of the default graph")
model_variables = _of_collection(GraphKeys.MODEL_VARIABLES, "The variables of the collection MODEL_VARIABLES")
trainable_variables = _of_collection(GraphKeys.TRAINABLE_VARIABLES, "The variables that optimizers train")
moving_average_variables = _of_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, "The variables that have a moving average")


# --- initialisation ---------------------------------------------------------------------------------------------------


def variables_initializer(var_list: Sequence[Variable], name: str = "init") -> Operation:
    """An operation that runs the initialisers of `var_list`."""
    return group(*[v.initializer for v in var_list], name=name) if var_list else no_op(name=name)


def global_variables_initializer() -> Operation:
    """An operation that initialises all global variables made so far."""
    return variables_initializer(global_variables())


def local_variables_initializer() -> Operation:
    """An operation that initialises all local variables made so far."""
    return variables_initializer(local_variables())


initialize_all_variables = global_variables_initializer
initialize_local_variables = local_variables_initializer
initialize_variables = variables_initializer


def is_variable_initialized(variable: Any) -> Tensor:
    """A bool scalar: whether `variable` has a value in the session that runs this."""
    return state.is_variable_initialized(variable)


@host("_SelectNames", "mask: bool, names: string -> selected: string", lambda call: [(None,)])
def _select_names(call: Call, mask: Any, names: Any) -> np.ndarray:
    """The names where the mask holds; strings live outside the compiled step."""
    return np.asarray(names, dtype=object)[np.asarray(mask, dtype=bool)]


def report_uninitialized_variables(
    var_list: Sequence[Variable] | None = None, name: str = "report_uninitialized_variables"
) -> Tensor:
    """The names of the variables that have no value yet, a string vector; by default of all global and local ones."""
    from .array import stack
    from .math import logical_not

    variables = [*global_variables(), *local_variables()] if var_list is None else list(var_list)
    with name_scope(name):
        if not variables:
            return constant(np.empty(0, dtype=object), dtype=string, name="Const")
        missing = logical_not(stack([is_variable_initialized(v) for v in variables]))
        return _select_names(missing, constant([v.op.name for v in variables]))


# --- assignment -------------------------------------------------------------------------------------------------------


def assign(
    ref: Any, value: Any, validate_shape: bool | None = None, use_locking: bool | None = None, name: str | None = None
) -> Tensor:
    """The tensor of the variable `ref` after `value` has been assigned. TypeError if `ref` is no variable."""
    options = {"validate_shape": validate_shape, "use_locking": use_locking}
    return state.assign(ref, value, name=name, **{k: v for k, v in options.items() if v is not None})


def assign_add(ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None) -> Tensor:
    """The tensor of the variable `ref` after `value` has been added."""
    return state.assign_add(ref, value, use_locking=bool(use_locking), name=name)


def assign_sub(ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None) -> Tensor:
    """The tensor of the variable `ref` after `value` has been subtracted."""
    return state.assign_sub(ref, value, use_locking=bool(use_locking), name=name)


def _scatter(operation: Any, text: str) -> Callable[..., Tensor]:
    def scatter(ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None) -> Tensor:
        return operation(ref, indices, updates, use_locking=use_locking, name=name)

    scatter.__doc__ = text
    return scatter


scatter_update = _scatter(state.scatter_update, "The tensor of the variable `ref` after `ref[indices] = updates`.")
scatter_add = _scatter(state.scatter_add, "The tensor of the variable `ref` after `ref[indices] += updates`.")
scatter_sub = _scatter(state.scatter_sub, "The tensor of the variable `ref` after `ref[indices] -= updates`.")
