"""Static arguments (axes, shapes, permutations) -> constants, so that nothing that computes them is compiled."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Node, Roots, Value
from ..rewrite import active_builder, rewrite


def settle_static(roots: Roots) -> Roots:
    return rewrite(roots, settle)


def settle(node: Node) -> Sequence[Value] | None:
    """f(x, axis computed from sizes)  ->  f(x, constant axis)"""
    static = {node.opdef.position(name, node.attrs) for name in node.opdef.static}
    computed = [i for i in static if node.inputs[i].op.type != "Const"]
    if not computed or node.opdef.effect not in (None, "check"):
        return None
    inputs = [_constant(v) if i in computed else v for i, v in enumerate(node.inputs)]
    return active_builder().add(node.opdef, tuple(inputs), node.attrs).outputs


def _constant(value: Value) -> Value:
    known = value.known()
    assert known is not None, "specialise has asked for every static value"
    return active_builder().constant(known, value.dtype)
