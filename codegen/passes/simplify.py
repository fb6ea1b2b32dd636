"""Algebra that holds for every value, NaN and Inf included. One rule per function; its docstring is the equation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...dtypes import int32
from ...opdef import REGISTRY
from ...shapes import element_count
from ..ir import Node, Roots, Value
from ..rewrite import active_builder, rewrite


def simplify(roots: Roots) -> Roots:
    return rewrite(roots, apply_rules)


def apply_rules(node: Node) -> Sequence[Value] | None:
    for rule in RULES.get(node.type, ()) + EVERY_NODE:
        result = rule(node)
        if result is not None:
            return [result]
    return None


def _is(value: Value, number: float) -> bool:
    """True if `value` is a constant whose every element is `number`, and not by chance, as a learning rate of 1 is."""
    if value.op.type != "Const" or value.op.is_setting:
        return False
    array = value.op.attr("value")
    return array.dtype != object and array.size > 0 and array.dtype.kind in "fiu" and bool(np.all(array == number))


def _keeps_shape(node: Node, value: Value) -> bool:
    return value.dims == node.outputs[0].dims


def multiply_by_one(node: Node) -> Value | None:
    """x * 1  ->  x"""
    x, y = node.inputs
    if _is(y, 1) and _keeps_shape(node, x):
        return x
    return y if _is(x, 1) and _keeps_shape(node, y) else None


def divide_by_one(node: Node) -> Value | None:
    """x / 1  ->  x"""
    x, y = node.inputs
    return x if _is(y, 1) and _keeps_shape(node, x) else None


def subtract_zero(node: Node) -> Value | None:
    """x - 0  ->  x,  but -0 - -0 is 0"""
    x, y = node.inputs
    return x if _is(y, 0) and not np.signbit(y.op.attr("value")).any() and _keeps_shape(node, x) else None


def negate_twice(node: Node) -> Value | None:
    """-(-x)  ->  x"""
    inner = node.inputs[0].op
    return inner.inputs[0] if inner.type == "Neg" else None


def square(node: Node) -> Value | None:
    """x ** 2  ->  x * x,  x ** 1  ->  x,  x ** 0.5  ->  sqrt(x) stays: it differs at -0 and -inf"""
    x, y = node.inputs
    if not _keeps_shape(node, x):
        return None
    if _is(y, 2):
        return REGISTRY["Square"](x)
    return x if _is(y, 1) else None


def same_dtype_cast(node: Node) -> Value | None:
    """cast(x, x.dtype)  ->  x"""
    return node.inputs[0] if node.inputs[0].dtype == node.outputs[0].dtype else None


def same_shape_view(node: Node) -> Value | None:
    """reshape(x, x.shape)  ->  x,  and broadcasts to the same shape"""
    if node.type not in ("Reshape", "BroadcastTo", "Squeeze", "ExpandDims") or not _keeps_shape(node, node.inputs[0]):
        return None
    return node.inputs[0]


def reshape_twice(node: Node) -> Value | None:
    """reshape(reshape(x, a), b)  ->  reshape(x, b)"""
    inner = node.inputs[0].op
    if inner.type not in RESHAPES or node.type not in RESHAPES:
        return None
    source = inner.inputs[0]
    if source.dims == node.outputs[0].dims:
        return source
    return REGISTRY["Reshape"](source, dims_constant(node.outputs[0].dims))


def identity_permutation(node: Node) -> Value | None:
    """transpose(x, (0, 1, ..., n-1))  ->  x"""
    permutation = node.inputs[1].known()
    if permutation is not None and list(permutation) == list(range(len(permutation))):
        return node.inputs[0]
    return None


def reduction_of_one(node: Node) -> Value | None:
    """sum(x, axes)  ->  reshape(x)  where the axes have size 1 or there are none"""
    x, axes = node.inputs[0], node.inputs[1].known()
    if axes is None or any(x.dims[axis] != 1 for axis in axes.reshape(-1).tolist()):
        return None
    dims = node.outputs[0].dims
    return x if x.dims == dims else REGISTRY["Reshape"](x, dims_constant(dims))


def transposed_operand(node: Node) -> Value | None:
    """matmul(transpose(a), b)  ->  matmul(a, b, transpose_a)"""
    if node.type != "MatMul":
        return None
    flags = {"transpose_a": node.attr("transpose_a"), "transpose_b": node.attr("transpose_b")}
    operands = list(node.inputs)
    for i, flag in enumerate(flags):
        inner = operands[i].op
        if inner.type == "Transpose":
            operands[i] = inner.inputs[0]
            flags[flag] = not flags[flag]
    if tuple(operands) == node.inputs:
        return None
    return REGISTRY["MatMul"](*operands, **flags)


def empty_product(node: Node) -> Value | None:
    """a sum over nothing  ->  0: products and convolutions without a channel, a row or a column"""
    if all(element_count(v.dims) != 0 for v in (*node.data_inputs(), *node.outputs)):
        return None
    output = node.outputs[0]
    zero = active_builder().constant(np.zeros((), output.dtype.as_numpy_dtype))
    return REGISTRY["Fill"](dims_constant(output.dims), zero)


def dims_constant(dims: Sequence[Any]) -> Value:
    """A constant shape tensor; its elements may be Batch."""
    if all(isinstance(d, int) for d in dims):
        return active_builder().constant(np.asarray(dims, np.int32).reshape(len(dims)))
    array = np.empty(len(dims), dtype=object)
    array[:] = list(dims)
    return active_builder().constant(array, int32)


RESHAPES = ("Reshape", "Squeeze", "ExpandDims")
EVERY_NODE: tuple[Any, ...] = ()
RULES: dict[str, tuple[Any, ...]] = {
    "Mul": (multiply_by_one,),
    "RealDiv": (divide_by_one,),
    "Sub": (subtract_zero,),
    "Neg": (negate_twice,),
    "Pow": (square,),
    "Cast": (same_dtype_cast,),
    "Reshape": (same_shape_view, reshape_twice),
    "Squeeze": (same_shape_view, reshape_twice),
    "ExpandDims": (same_shape_view, reshape_twice),
    "BroadcastTo": (same_shape_view,),
    "Transpose": (identity_permutation,),
    "Sum": (reduction_of_one,),
    "Max": (reduction_of_one,),
    "Min": (reduction_of_one,),
    "Prod": (reduction_of_one,),
    "All": (reduction_of_one,),
    "Any": (reduction_of_one,),
    "MatMul": (empty_product, transposed_operand),
    **dict.fromkeys(
        (
            "BatchMatMul _Conv2D _Conv2DBackpropInput _Conv2DBackpropFilter _MaxPool _MaxPoolGrad _AvgPool _AvgPoolGrad"
        ).split(),
        (empty_product,),
    ),
}
