"""Arithmetic of two operands, element by element, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..dtypes import FLOATS, NUMBERS
from ..opdef import Call, broadcast, composite, pointwise
from ..shapes import Dims, merge_dims
from .broadcasting import unbroadcast
from .compare import greater, greater_equal, less_equal, select_v2
from .flat import flat
from .functions import SIGNED, log, neg, square

_BINARY = "x: T, y: T -> z: T"


# --- sums and products -----------------------------------------------------------------------------------------------


def _sum_of(m: Any, x: Any, y: Any) -> Any:
    """x + y"""
    return x + y


add = pointwise("Add", _BINARY, T=NUMBERS)(_sum_of)
add_v2 = pointwise("AddV2", _BINARY, T=NUMBERS)(_sum_of)


@add.gradient
@add_v2.gradient
def _add_gradient(op: Any, dz: Any) -> Any:
    x, y = op.inputs
    return unbroadcast(dz, x), unbroadcast(dz, y)


@pointwise("Sub", _BINARY, T=NUMBERS)
def sub(m: Any, x: Any, y: Any) -> Any:
    """x - y"""
    return x - y


@sub.gradient
def _sub_gradient(op: Any, dz: Any) -> Any:
    x, y = op.inputs
    return unbroadcast(dz, x), unbroadcast(neg(dz), y)


@pointwise("Mul", _BINARY, T=NUMBERS)
def mul(m: Any, x: Any, y: Any) -> Any:
    """x * y"""
    return x * y


@mul.gradient
def _mul_gradient(op: Any, dz: Any) -> Any:
    x, y = op.inputs
    return unbroadcast(mul(dz, y), x), unbroadcast(mul(x, dz), y)


@pointwise("SquaredDifference", _BINARY, T=SIGNED)
def squared_difference(m: Any, x: Any, y: Any) -> Any:
    """(x - y)^2"""
    return (x - y) * (x - y)


@squared_difference.gradient
def _squared_difference_gradient(op: Any, dz: Any) -> Any:
    x, y = op.inputs
    gradient = mul(2.0, dz) * (x - y)
    return unbroadcast(gradient, x), unbroadcast(neg(gradient), y)


def _common_shape(call: Call) -> list[Dims | None]:
    dims: Dims | None = None
    for other in call.shape("inputs"):
        dims = merge_dims(dims, other)
    return [dims]


@composite("AddN", "inputs: N*T -> sum: T", _common_shape, T=NUMBERS)
def add_n(call: Call, inputs: list[Any]) -> Any:
    """the sum of all inputs, from left to right"""
    total = inputs[0]
    for value in inputs[1:]:
        total = add(total, value)
    return total


@add_n.gradient
def _add_n_gradient(op: Any, dz: Any) -> Any:
    return [dz] * len(op.inputs)


# --- quotients and remainders ----------------------------------------------------------------------------------------
# Those of integers stop the run at a zero divisor.


@pointwise("RealDiv", _BINARY, T=FLOATS)
def real_div(m: Any, x: Any, y: Any) -> Any:
    """x / y"""
    return x / y


@composite("Div", _BINARY, broadcast, T=NUMBERS)
def div(call: Call, x: Any, y: Any) -> Any:
    """x / y, rounded towards zero for integers"""
    return real_div(x, y) if call.dtype("x").is_floating else truncate_div(x, y)


@real_div.gradient
@div.gradient
def _div_gradient(op: Any, dz: Any) -> Any:
    x, y = op.inputs
    return (
        unbroadcast(real_div(dz, y), x),
        unbroadcast(dz * real_div(real_div(neg(x), y), y), y),
    )


@pointwise("DivNoNan", _BINARY, T=FLOATS)
def div_no_nan(m: Any, x: Any, y: Any) -> Any:
    """x / y, and 0 where y is 0"""
    return m.where(y == 0, 0, x / y)


@div_no_nan.gradient
def _div_no_nan_gradient(op: Any, dz: Any) -> Any:
    x, y = op.inputs
    return (
        unbroadcast(div_no_nan(dz, y), x),
        unbroadcast(dz * div_no_nan(div_no_nan(neg(x), y), y), y),
    )


@pointwise("FloorDiv", _BINARY, T=NUMBERS, effect="check")
def floor_div(m: Any, x: Any, y: Any) -> Any:
    """x / y rounded towards minus infinity"""
    return m.floordiv(x, y)


@pointwise("FloorMod", _BINARY, T=NUMBERS, effect="check")
def floor_mod(m: Any, x: Any, y: Any) -> Any:
    """the remainder of x / y with the sign of y"""
    return m.floormod(x, y)


@floor_mod.gradient
def _floor_mod_gradient(op: Any, dz: Any) -> Any:
    x, y = op.inputs
    return unbroadcast(dz, x), unbroadcast(dz * neg(floor_div(x, y)), y)


@pointwise("TruncateDiv", _BINARY, T=NUMBERS, effect="check")
def truncate_div(m: Any, x: Any, y: Any) -> Any:
    """x / y rounded towards zero"""
    return m.truncdiv(x, y)


def _truncated_remainder(m: Any, x: Any, y: Any) -> Any:
    """the remainder of x / y with the sign of x"""
    return m.truncmod(x, y)


truncate_mod = pointwise("TruncateMod", _BINARY, T=NUMBERS, effect="check")(_truncated_remainder)
mod = pointwise("Mod", _BINARY, T=NUMBERS, effect="check")(_truncated_remainder)

flat(floor_div, truncate_div, truncate_mod, mod)


# --- powers, angles, extremes ----------------------------------------------------------------------------------------


@pointwise("Pow", _BINARY, T=SIGNED)
def pow_(m: Any, x: Any, y: Any) -> Any:
    """x to the power y"""
    return m.pow(x, y)


@pow_.gradient
def _pow_gradient(op: Any, dz: Any) -> Any:
    x, y = op.inputs
    dx = dz * y * pow_(x, y - 1)
    # the logarithm of x <= 0 counts as 0, and is not taken there: its own gradient would be NaN
    positive = greater(x, 0)
    log_x = select_v2(positive, log(select_v2(positive, x, 1)), 0)
    return unbroadcast(dx, x), unbroadcast(dz * op.outputs[0] * log_x, y)


@pointwise("Atan2", "y: T, x: T -> z: T", T=FLOATS)
def atan2(m: Any, y: Any, x: Any) -> Any:
    """the angle of the point (x, y), in (-pi, pi]"""
    return m.atan2(y, x)


@atan2.gradient
def _atan2_gradient(op: Any, dz: Any) -> Any:
    y, x = op.inputs
    scaled = dz / (square(x) + square(y))
    return unbroadcast(x * scaled, y), unbroadcast(neg(y) * scaled, x)


@pointwise("Maximum", _BINARY, T=NUMBERS)
def maximum(m: Any, x: Any, y: Any) -> Any:
    """the greater of x and y; NaN if either is"""
    return m.maximum(x, y)


@pointwise("Minimum", _BINARY, T=NUMBERS)
def minimum(m: Any, x: Any, y: Any) -> Any:
    """the lesser of x and y; NaN if either is"""
    return m.minimum(x, y)


def _extreme_gradient(first_wins: Callable[..., Any]) -> Callable[..., Sequence[Any]]:
    """All of the gradient goes to the operand that was taken, to x where both are equal."""

    def rule(op: Any, dz: Any) -> Sequence[Any]:
        x, y = op.inputs
        taken = first_wins(x, y)
        return unbroadcast(select_v2(taken, dz, 0), x), unbroadcast(select_v2(taken, 0, dz), y)

    return rule


maximum.gradient(_extreme_gradient(greater_equal))
minimum.gradient(_extreme_gradient(less_equal))
