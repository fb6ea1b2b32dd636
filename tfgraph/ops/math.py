"""Element-by-element ops: arithmetic, comparisons, logic, casts."""

from __future__ import annotations

from typing import Any

from ..dtypes import ALL, FLOATS, NUMBERS
from ..opdef import pointwise


@pointwise("Add", "x: T, y: T -> z: T", T=NUMBERS)
def add(m: Any, x: Any, y: Any) -> Any:
    """x + y"""
    return x + y


@add.gradient
def _add_gradient(op: Any, dz: Any) -> Any:
    return unbroadcast(dz, op.inputs[0]), unbroadcast(dz, op.inputs[1])


@pointwise("Mul", "x: T, y: T -> z: T", T=NUMBERS)
def mul(m: Any, x: Any, y: Any) -> Any:
    """x * y"""
    return x * y


@mul.gradient
def _mul_gradient(op: Any, dz: Any) -> Any:
    x, y = op.inputs
    return unbroadcast(dz * y, x), unbroadcast(x * dz, y)


@pointwise("Exp", "x: T -> y: T", T=FLOATS)
def exp(m: Any, x: Any) -> Any:
    """e to the power x"""
    return m.exp(x)


@exp.gradient
def _exp_gradient(op: Any, dy: Any) -> Any:
    return dy * op.outputs[0]


@pointwise("Cast", "x: SrcT -> y: DstT", SrcT=ALL, DstT=ALL)
def cast(m: Any, x: Any, *, DstT: Any) -> Any:
    """x in another dtype, truncated towards zero"""
    return m.cast(x, DstT)


def unbroadcast(gradient: Any, like: Any) -> Any:
    """`gradient` summed over the axes along which the operand `like` was repeated."""
    raise LookupError("defined with the reductions")
