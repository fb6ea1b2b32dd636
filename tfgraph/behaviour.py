"""Which of TensorFlow's manners hold: those of 1.x, with graphs and sessions, so turning later ones off changes nothing."""

from __future__ import annotations

from typing import Any

from .control_flow import no_op
from .tensor import Operation, Tensor
from .variables import Variable

__all__ = [
    "disable_eager_execution",
    "disable_resource_variables",
    "disable_v2_behavior",
    "disable_v2_tensorshape",
    "executing_eagerly",
    "initialize_all_tables",
    "is_tensor",
    "resource_variables_enabled",
    "tables_initializer",
]


def disable_v2_behavior() -> None:
    """Nothing has to be done: operations build graphs, sessions run them."""


def disable_eager_execution() -> None:
    """Nothing has to be done: operations build graphs, sessions run them."""


def disable_v2_tensorshape() -> None:
    """Nothing has to be done: the elements of a TensorShape are Dimensions."""


def disable_resource_variables() -> None:
    """Nothing has to be done: variables are references to their values."""


def executing_eagerly() -> bool:
    """False: operations build graphs, sessions run them."""
    return False


def resource_variables_enabled() -> bool:
    """False: variables are references to their values."""
    return False


def tables_initializer(name: str = "init_all_tables") -> Operation:
    """An operation that initialises all lookup tables of the graph, of which there are none."""
    return no_op(name=name)


initialize_all_tables = tables_initializer


def is_tensor(x: Any) -> bool:
    """True for tensors and variables."""
    return isinstance(x, (Tensor, Variable))
