"""Composite ops -> their bodies, until only pointwise, reductions, views, updates and primitives remain."""

from __future__ import annotations

from collections.abc import Sequence

from ...opdef import Call, Composite
from ..ir import Node, Roots, Value
from ..rewrite import active_builder, rewrite


def expand(roots: Roots) -> Roots:
    """Replace composites until none is left (a body may use other composites)."""
    while any(isinstance(n.kind, Composite) for n in roots.nodes):
        roots = rewrite(roots, expand_composite)
    return roots


def expand_composite(node: Node) -> Sequence[Value] | None:
    """composite(x, ...)  ->  its body on x, ..."""
    if not isinstance(node.kind, Composite):
        return None
    values = [value.known() for value in node.outputs]
    if all(value is not None and value.dtype != object for value in values):
        return [active_builder().constant(value) for value in values]  # e.g. the axes of a rank known only now
    grouped: list[object] = []
    position = 0
    for arg in node.opdef.inputs:
        if arg.count_attr is None:
            grouped.append(node.inputs[position])
            position += 1
        else:
            count = node.attrs[arg.count_attr]
            grouped.append(list(node.inputs[position : position + count]))
            position += count
    result = node.opdef.body(Call(node.opdef, node.inputs, node.attrs), *grouped)
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)
