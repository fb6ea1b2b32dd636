"""Slots: the variables that an optimizer or a moving average keeps beside another variable, named `<variable>/<name>`."""

from __future__ import annotations

from typing import Any

from .dtypes import DType
from .initializers import zeros_initializer
from .tensor import Tensor
from .variable_scope import get_variable, get_variable_scope, variable_scope
from .variables import Variable


def create_slot(primary: Any, value: Any, name: str) -> Variable:
    """A variable that starts as the tensor `value`, beside `primary`, which also decides its device."""
    return _slot(primary, name, initializer=value, validate_shape=value.get_shape().is_fully_defined())


def create_slot_with_initializer(primary: Any, initializer: Any, shape: Any, dtype: DType, name: str) -> Variable:
    """A variable of `shape` and `dtype` that `initializer` fills, beside `primary`."""
    return _slot(primary, name, initializer=initializer, shape=shape, dtype=dtype)


def create_zeros_slot(primary: Any, name: str, dtype: DType | None = None) -> Variable:
    """A variable of zeros in the shape of `primary`."""
    return create_slot_with_initializer(
        primary, zeros_initializer(), primary.get_shape(), dtype or primary.dtype.base_dtype, name
    )


def _slot(primary: Any, name: str, **options: Any) -> Variable:
    operation = primary.op if isinstance(primary, (Tensor, Variable)) else primary
    graph = operation.graph
    # an empty name below the scope `W/Adam`: the variable is called as the scope itself, `W/Adam_1` the second time
    with graph.as_default(), variable_scope(None, f"{operation.name}/{name}"), graph.colocate_with(operation):
        get_variable_scope().set_partitioner(None)
        return get_variable("", trainable=False, **options)
