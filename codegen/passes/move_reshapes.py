"""A reshape between a product and what follows element by element moves behind it, so that the product's kernel can do both.

The gradient of a flattened layer, say: the mask of the convolution before it is then applied where the product of the dense
layer is stored.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...opdef import REGISTRY, Pointwise, View
from ...shapes import element_count
from ..index import NotStrided, access_of
from ..ir import Node, Roots, Value
from ..kinds.epilogues import takes_epilogue
from ..rewrite import active_builder, rewrite
from .simplify import RESHAPES, dims_constant


def move_reshapes(roots: Roots) -> Roots:
    made: set[Node] = set()  # element-level nodes that follow a product already

    def rule(node: Node) -> Sequence[Value] | None:
        result = reshape_after(node, made)
        return None if result is None else [result]

    return rewrite(roots, rule)


def reshape_after(node: Node, made: set[Node]) -> Value | None:
    """f(reshape(x), y)  ->  reshape(f(x, reshape(y))), where x is a product or follows one element by element"""
    if not isinstance(node.kind, Pointwise) or not node.opdef.is_pure or len(node.outputs) != 1:
        return None
    dims = node.outputs[0].dims
    source = next((v.op.inputs[0] for v in node.inputs if _follows_product(v, dims, made)), None)
    if source is None or not all(_can_reshape(v, dims) for v in node.inputs):
        return None
    shape = dims_constant(source.dims)
    inputs = [_reshaped(v, source, shape) for v in node.inputs]
    moved = active_builder().add(node.opdef, tuple(inputs), node.attrs)
    made.add(moved)
    return REGISTRY["Reshape"](moved.outputs[0], dims_constant(dims))


def _follows_product(value: Value, dims: object, made: set[Node]) -> bool:
    if value.op.type not in RESHAPES or value.dims != dims:
        return False
    source = value.op.inputs[0]
    return source.dims != dims and (takes_epilogue(source.op) or source.op in made)


def _can_reshape(value: Value, dims: object) -> bool:
    """True for single numbers and whole arrays."""
    if element_count(value.dims) == 1:
        return True
    if value.dims != dims:
        return False
    try:
        return access_of(value).is_whole
    except NotStrided:
        return False


def _reshaped(value: Value, source: Value, shape: Value) -> Value:
    if element_count(value.dims) == 1 and element_count(source.dims) != 1:
        return value if len(value.dims) <= len(source.dims) else REGISTRY["Reshape"](value, dims_constant(()))
    if isinstance(value.op.kind, View) and value.op.type in RESHAPES and value.op.inputs[0].dims == source.dims:
        return value.op.inputs[0]
    return REGISTRY["Reshape"](value, shape)
