"""Comparisons, logic, choices and casts, element by element."""

from __future__ import annotations

from typing import Any

from ..dtypes import ALL, FLOATS, NUMBERS
from ..opdef import Call, composite, pointwise
from ..shapes import Dims, merge_dim, merge_dims
from .broadcasting import unbroadcast
from .flat import flat

_TEST = "x: T, y: T -> z: bool"
_LOGIC = "x: bool, y: bool -> z: bool"


@pointwise("Equal", _TEST, T=ALL)
def equal(m: Any, x: Any, y: Any) -> Any:
    """x == y"""
    return x == y


@pointwise("NotEqual", _TEST, T=ALL)
def not_equal(m: Any, x: Any, y: Any) -> Any:
    """x != y"""
    return x != y


@pointwise("Less", _TEST, T=NUMBERS)
def less(m: Any, x: Any, y: Any) -> Any:
    """x < y"""
    return x < y


@pointwise("LessEqual", _TEST, T=NUMBERS)
def less_equal(m: Any, x: Any, y: Any) -> Any:
    """x <= y"""
    return x <= y


@pointwise("Greater", _TEST, T=NUMBERS)
def greater(m: Any, x: Any, y: Any) -> Any:
    """x > y"""
    return x > y


@pointwise("GreaterEqual", _TEST, T=NUMBERS)
def greater_equal(m: Any, x: Any, y: Any) -> Any:
    """x >= y"""
    return x >= y


@pointwise("ApproximateEqual", _TEST, T=NUMBERS, tolerance=1e-5)
def approximate_equal(m: Any, x: Any, y: Any, *, tolerance: Any) -> Any:
    """|x - y| < tolerance"""
    return m.abs(x - y) < tolerance


@pointwise("LogicalAnd", _LOGIC)
def logical_and(m: Any, x: Any, y: Any) -> Any:
    """true where both are"""
    return m.logical_and(x, y)


@pointwise("LogicalOr", _LOGIC)
def logical_or(m: Any, x: Any, y: Any) -> Any:
    """true where either is"""
    return m.logical_or(x, y)


@pointwise("LogicalNot", "x: bool -> y: bool")
def logical_not(m: Any, x: Any) -> Any:
    """true where x is false"""
    return m.logical_not(x)


flat(equal, not_equal, less, less_equal, greater, greater_equal, approximate_equal)
flat(logical_and, logical_or, logical_not)


# --- choices ---------------------------------------------------------------------------------------------------------


@pointwise("SelectV2", "condition: bool, t: T, e: T -> output: T", T=ALL)
def select_v2(m: Any, condition: Any, t: Any, e: Any) -> Any:
    """t where the condition holds, else e; all three broadcast"""
    return m.where(condition, t, e)


@select_v2.gradient
def _select_v2_gradient(op: Any, dz: Any) -> Any:
    condition, t, e = op.inputs
    return None, unbroadcast(select_v2(condition, dz, 0), t), unbroadcast(select_v2(condition, 0, dz), e)


def _select_shape(call: Call) -> list[Dims | None]:
    dims, condition = merge_dims(call.shape("t"), call.shape("e")), call.shape("condition")
    if condition is None or condition == ():
        return [dims]
    if len(condition) != 1:
        return [merge_dims(condition, dims)]
    # TensorFlow's one exception to equal shapes: a vector chooses rows
    if dims is None:
        return [None]
    if not dims:
        merge_dims(condition, dims)
    rows = merge_dim(
        condition[0],
        dims[0],
        f"Number of batches of 'then' must match size of 'cond', but saw: {dims[0]} vs. {condition[0]}",
    )
    return [(rows, *dims[1:])]


@composite("Select", "condition: bool, t: T, e: T -> output: T", _select_shape, T=ALL)
def select(call: Call, condition: Any, t: Any, e: Any) -> Any:
    """t where the condition (a scalar, one per row, or of the same shape) holds, else e"""
    from .shape import expand_dims

    if call.rank("condition") == 1:
        for axis in range(1, len(call.shape("t"))):
            condition = expand_dims(condition, axis)
    return select_v2(condition, t, e)


@select.gradient
def _select_gradient(op: Any, dz: Any) -> Any:
    from .sequence import zeros_like

    condition, t, _ = op.inputs
    zeros = zeros_like(t)
    return None, select(condition, dz, zeros), select(condition, zeros, dz)


# --- casts -----------------------------------------------------------------------------------------------------------


@pointwise("Cast", "x: SrcT -> y: DstT", SrcT=ALL, DstT=ALL)
def cast(m: Any, x: Any, *, DstT: Any) -> Any:
    """x in another dtype, truncated towards zero"""
    return m.cast(x, DstT)


@cast.gradient
def _cast_gradient(op: Any, dy: Any) -> Any:
    source, target = op.attr("SrcT"), op.attr("DstT")
    return cast(dy, DstT=source) if source in FLOATS and target in FLOATS else None
