"""Errors of a run, told at the node where they happen, in TensorFlow's words."""

from __future__ import annotations

from typing import Any

from .dtypes import short_name
from .errors import FailedPreconditionError, InvalidArgumentError, OpError
from .shapes import show


def at_node(kind: type[OpError], op: Any, text: str) -> OpError:
    """The error `kind` at operation `op`, its message ending with the node's name."""
    return kind(None, op, f"{text}{_node(op.name)}")  # type: ignore[call-arg, arg-type]


def unfed(placeholder: Any) -> OpError:
    """The error of a run that needs a placeholder which was not fed."""
    shape = placeholder.attrs.get("shape")
    known = "" if shape is None or shape.ndims is None else f" and shape {show(shape.sizes)}"
    dtype = short_name(placeholder.outputs[0].dtype)
    text = f"You must feed a value for placeholder tensor '{placeholder.name}' with dtype {dtype}{known}"
    return at_node(InvalidArgumentError, placeholder, text)


def uninitialized(variable: str, reader: Any) -> OpError:
    """The error of operation `reader`, which reads a variable without a value."""
    return at_node(FailedPreconditionError, reader, f"Attempting to use uninitialized value {variable}")


def uninitialized_fetch(tensor: Any, position: int) -> OpError:
    """The error of fetching a variable itself: what reads it is no node of the user's."""
    text = f"Attempting to use uninitialized value {tensor.op.name}"
    node = _node(f"_retval_{tensor.op.name}_{tensor.value_index}_{position}")
    return FailedPreconditionError(None, None, text + node)  # type: ignore[call-arg, arg-type]


def _node(name: str) -> str:
    return f"\n\t [[{{{{node {name}}}}}]]"
