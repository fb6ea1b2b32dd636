"""Arguments that have two names: the one of TensorFlow 1.4 and the later one."""

from __future__ import annotations

from typing import Any


def either(name: str, value: Any, old_name: str, old_value: Any) -> Any:
    """The one of two spellings of an argument that was given, None if neither was; ValueError if both were."""
    if old_value is None:
        return value
    if value is not None:
        raise ValueError(f"Cannot specify both '{name}' and '{old_name}'")
    return old_value


def needed(function: str, **arguments: Any) -> None:
    """TypeError if an argument that has no default in either spelling was left out."""
    for name, value in arguments.items():
        if value is None:
            raise TypeError(f"{function}() missing 1 required positional argument: '{name}'")
