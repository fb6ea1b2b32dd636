"""Python's operators on tensors, variables and the compiler's values: one mixin that calls the public functions."""

from __future__ import annotations

from typing import Any


def _face() -> Any:
    from . import math

    return math


def _right(x: Any, y: Any) -> Any:
    """`y` as the right operand of `x`; ValueError if it is a tensor of another dtype."""
    if isinstance(y, Operators) and y.dtype.base_dtype != x.dtype.base_dtype:  # type: ignore[attr-defined]
        wanted, found = x.dtype.base_dtype.name, y.dtype.base_dtype.name  # type: ignore[attr-defined]
        raise ValueError(f"Tensor conversion requested dtype {wanted} for Tensor with dtype {found}: {str(y)!r}")
    return y


class Operators:
    """`x + y` and its kin. `==` stays identity, as in TensorFlow 1.x, so that tensors can be dictionary keys."""

    # a NumPy array on the left must give way to our reflected operators
    __array_priority__ = 100

    def __add__(self, other: Any) -> Any:
        return _face().add(self, _right(self, other), name="add")

    def __radd__(self, other: Any) -> Any:
        return _face().add(other, self, name="add")

    def __sub__(self, other: Any) -> Any:
        return _face().subtract(self, _right(self, other), name="sub")

    def __rsub__(self, other: Any) -> Any:
        return _face().subtract(other, self, name="sub")

    def __mul__(self, other: Any) -> Any:
        return _face().multiply(self, _right(self, other), name="mul")

    def __rmul__(self, other: Any) -> Any:
        return _face().multiply(other, self, name="mul")

    def __truediv__(self, other: Any) -> Any:
        return _face().truediv(self, _right(self, other), name="truediv")

    def __rtruediv__(self, other: Any) -> Any:
        return _face().truediv(other, self, name="truediv")

    __div__, __rdiv__ = __truediv__, __rtruediv__

    def __floordiv__(self, other: Any) -> Any:
        return _face().floordiv(self, _right(self, other), name="floordiv")

    def __rfloordiv__(self, other: Any) -> Any:
        return _face().floordiv(other, self, name="floordiv")

    def __mod__(self, other: Any) -> Any:
        return _face().mod(self, _right(self, other), name="mod")

    def __rmod__(self, other: Any) -> Any:
        return _face().mod(other, self, name="mod")

    def __pow__(self, other: Any) -> Any:
        return _face().pow(self, _right(self, other), name="pow")

    def __rpow__(self, other: Any) -> Any:
        return _face().pow(other, self, name="pow")

    def __matmul__(self, other: Any) -> Any:
        return _face().matmul(self, _right(self, other), name="matmul")

    def __rmatmul__(self, other: Any) -> Any:
        return _face().matmul(other, self, name="matmul")

    def __neg__(self) -> Any:
        return _face().negative(self)

    def __abs__(self) -> Any:
        return _face().abs(self)

    def __invert__(self) -> Any:
        return _face().logical_not(self)

    def __and__(self, other: Any) -> Any:
        return _face().logical_and(self, _right(self, other), name="and")

    def __rand__(self, other: Any) -> Any:
        return _face().logical_and(other, self, name="and")

    def __or__(self, other: Any) -> Any:
        return _face().logical_or(self, _right(self, other), name="or")

    def __ror__(self, other: Any) -> Any:
        return _face().logical_or(other, self, name="or")

    def __xor__(self, other: Any) -> Any:
        return _face().logical_xor(self, _right(self, other), name="xor")

    def __lt__(self, other: Any) -> Any:
        return _face().less(self, other)

    def __le__(self, other: Any) -> Any:
        return _face().less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return _face().greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return _face().greater_equal(self, other)

    def __getitem__(self, key: Any) -> Any:
        from . import array

        return array.slice_by_key(self, key)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other
