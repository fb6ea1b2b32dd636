"""Pure nodes whose inputs are constants -> constants, evaluated by the NumPy reference."""

from __future__ import annotations

from collections.abc import Sequence

from ...shapes import element_count
from ...values import evaluate
from ..ir import Node, Roots, Value
from ..rewrite import active_builder, rewrite

# larger results are cheaper to compute than to carry: zeros([4096, 4096]) stays a fill
LIMIT = 65536
NEVER = frozenset(("Const", "_Feed", "_Read", "VariableV2"))


def fold_constants(roots: Roots) -> Roots:
    return rewrite(roots, fold)


def fold(node: Node) -> Sequence[Value] | None:
    """f(constants)  ->  constant"""
    if node.type in NEVER or not node.opdef.is_pure or not node.inputs:
        return None
    if any(v.op.type != "Const" for v in node.inputs) or any(_too_large(v) for v in node.outputs):
        return None
    arrays = [v.op.attr("value") for v in node.inputs]
    if any(a.dtype == object for a in arrays):
        return None
    folded = [evaluate(node, arrays, i) for i in range(len(node.outputs))]
    if any(f is None or f.dtype != v.dtype.as_numpy_dtype for f, v in zip(folded, node.outputs, strict=True)):
        return None
    return [active_builder().constant(f) for f in folded]


def _too_large(value: Value) -> bool:
    count = element_count(value.dims)
    return not isinstance(count, int) or count > LIMIT
