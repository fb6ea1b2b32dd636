"""Transposes move behind element-level nodes and reductions where they meet and cancel: a softmax along the second axis,
which is one along the last between two transposes, then works on the arrays as they lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...opdef import REGISTRY, Pointwise, Reduction
from ...shapes import element_count, normalise_axis
from ..ir import Node, Roots, Value
from ..rewrite import active_builder, rewrite
from .simplify import dims_constant


def move_transposes(roots: Roots) -> Roots:
    """The program with transposes moved, if that leaves fewer of them."""
    if _count(roots) < 2:
        return roots
    moved = rewrite(roots, transpose_after)
    return moved if _count(moved) < _count(roots) else roots


def _count(roots: Roots) -> int:
    return sum(node.type == "Transpose" for node in roots.nodes)


def transpose_after(node: Node) -> Sequence[Value] | None:
    result: Value | None = None
    if node.type == "Transpose":
        result = transpose_twice(node)
    elif isinstance(node.kind, Pointwise) and node.opdef.is_pure and len(node.outputs) == 1:
        result = after_map(node)
    elif isinstance(node.kind, Reduction):
        result = after_reduction(node)
    return None if result is None else [result]


def transpose_twice(node: Node) -> Value | None:
    """transpose(transpose(x, p), q)  ->  transpose(x, p[q]),  or x"""
    inner, outer = permutation_of(node.inputs[0]), permutation_of(node.outputs[0])
    if inner is None or outer is None:
        return None
    return _transposed(node.inputs[0].op.inputs[0], [inner[axis] for axis in outer])


def after_map(node: Node) -> Value | None:
    """f(transpose(x), transpose(y), number)  ->  transpose(f(x, y, number))"""
    arrays = [v for v in node.inputs if element_count(v.dims) != 1]
    permutation = permutation_of(arrays[0]) if arrays else None
    if permutation is None or any(permutation_of(v) != permutation for v in arrays):
        return None
    if len(permutation) != len(node.outputs[0].dims):
        return None
    inputs = [v.op.inputs[0] if v in arrays else _as_number(v) for v in node.inputs]
    return _transposed(active_builder().add(node.opdef, tuple(inputs), node.attrs).outputs[0], permutation)


def after_reduction(node: Node) -> Value | None:
    """sum(transpose(x, p), axes)  ->  transpose(sum(x, p[axes]), p)"""
    permutation, axes = permutation_of(node.inputs[0]), node.inputs[1].known()
    if permutation is None or axes is None:
        return None
    reduced = [permutation[normalise_axis(int(axis), len(permutation))] for axis in axes.reshape(-1)]
    kept = [axis for axis in permutation if axis not in reduced]
    if not node.attr("keep_dims") and kept != sorted(kept):
        return None
    inputs = (node.inputs[0].op.inputs[0], active_builder().constant(np.array(reduced, np.int32)))
    result = active_builder().add(node.opdef, inputs, {**node.attrs, "Tidx": inputs[1].dtype}).outputs[0]
    return _transposed(result, permutation) if node.attr("keep_dims") else result


def permutation_of(value: Value) -> list[int] | None:
    """The permutation of a transpose, None for every other value."""
    known = value.op.inputs[1].known() if value.op.type == "Transpose" else None
    return None if known is None else [int(axis) for axis in known]


def _as_number(value: Value) -> Value:
    return value if value.dims == () else REGISTRY["Reshape"](value, dims_constant(()))


def _transposed(value: Value, permutation: Sequence[int]) -> Value:
    if list(permutation) == sorted(permutation):
        return value
    return REGISTRY["Transpose"](value, active_builder().constant(np.array(permutation, np.int32)))
