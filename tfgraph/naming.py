"""What the public functions share: name scopes around several nodes, wrappers around one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .opdef import OpDef, builder_of


@contextmanager
def scope_of(name: str | None, default: str, *values: Any) -> Iterator[str]:
    """Open the name scope of a public function in the graph of `values`; gives the scope's name with a final "/".

    A node that is given that name is called as the scope itself.
    """
    graph = builder_of(values)
    with graph.as_default(), graph.name_scope(name or default) as scope:
        yield scope


def unary(public_name: str, op: OpDef) -> Callable[..., Any]:
    """The public function `(x, name=None)` of an op with one operand."""

    def function(x: Any, name: str | None = None) -> Any:
        return op(x, name=name)

    return _described(function, public_name, op, "The result has the shape of `x`.")


def binary(public_name: str, op: OpDef, default: str | None = None) -> Callable[..., Any]:
    """The public function `(x, y, name=None)` of an op with two operands; `default` names its nodes."""

    def function(x: Any, y: Any, name: str | None = None) -> Any:
        return op(x, y, name=name or default)

    return _described(function, public_name, op, "The operands broadcast; ValueError if their shapes do not fit.")


def _described(function: Callable[..., Any], public_name: str, op: OpDef, shapes: str) -> Callable[..., Any]:
    meaning = (op.__doc__ or op.type).strip()
    function.__name__ = function.__qualname__ = public_name
    function.__doc__ = (
        f"{meaning[0].upper()}{meaning[1:].rstrip('.')}, element by element.\n\n"
        f"    {shapes} TypeError for other dtypes.\n    "
    )
    return function
