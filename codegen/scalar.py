"""Scalar expressions as C text: the printer behind `m` of pointwise ops.

A body such as `lambda m, x: m.where(x > 0, x, 0)` runs on `Expr` operands and leaves C text; dtypes follow NumPy's rule
that a Python literal takes the dtype of the operand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import DType
from ..shapes import Batch
from .prelude import FUNCTIONS
from .problems import NotCompilable

C_TYPES = {
    "float32": "float", "float64": "double", "int8": "int8_t", "int16": "int16_t", "int32": "int32_t",
    "int64": "int64_t", "uint8": "uint8_t", "uint16": "uint16_t", "uint32": "uint32_t", "uint64": "uint64_t", "bool": "bool",
}  # fmt: skip
_SUFFIX = {"float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64", "uint32": "u32", "uint64": "u64"}
_NARROW = frozenset(("int8", "int16", "uint8", "uint16"))

# binding strength of C operators, loosest first
_TERNARY, _OR, _AND, _EQUALITY, _RELATION, _SUM, _PRODUCT, _UNARY, _ATOM = 1, 6, 7, 8, 9, 11, 12, 13, 15


def c_type(dtype: DType) -> str:
    """The C type of one element. NotCompilable for dtypes without one (float16, string)."""
    name = dtype.base_dtype.name
    if name not in C_TYPES:
        raise NotCompilable(f"dtype {name} has no C form")
    return C_TYPES[name]


def read_type(dtype: DType) -> str:
    """The C type that kernels read elements as: bools as bytes, for gcc 12 vectorizes no loop that loads a bool."""
    name = c_type(dtype)
    return "uint8_t" if name == "bool" else name


def literal(value: Any, dtype: DType) -> str:
    """A number as C text of exactly `dtype`."""
    name = dtype.base_dtype.name
    if isinstance(value, Batch):
        return f"({c_type(dtype)})({size_text(value)})"
    if name == "bool":
        return "true" if value else "false"
    if dtype.is_floating:
        number = float(dtype.as_numpy_dtype(value))
        if math.isnan(number):
            return "NAN"
        if math.isinf(number):
            return "INFINITY" if number > 0 else "-INFINITY"
        text = repr(number) if name == "float64" else str(np.float32(number))
        text = text if any(c in text for c in ".en") else text + ".0"
        return text + ("f" if name == "float32" else "")
    number = int(value)
    if name == "int64":
        return "INT64_MIN" if number == -(2**63) else f"INT64_C({number})" if abs(number) >= 2**31 else str(number)
    if name == "int32" and number == -(2**31):
        return "INT32_MIN"
    return (
        f"{number}u"
        if name in ("uint32", "uint64") and number < 2**31
        else f"UINT64_C({number})"
        if name.startswith("uint") and number >= 2**31
        else str(number)
    )


def size_text(dim: Any) -> str:
    """A dimension as a C expression: `784`, `N`, `784 * N`."""
    if isinstance(dim, Batch):
        return "N" if dim.per == 1 else f"{dim.per} * N"
    return str(int(dim))


Piece = Any  # a str, or an (Expr, least binding strength) pair


class Expr:
    """A C expression with its dtype and binding strength.

    The operands are kept as expressions, so that one that is used twice can be given a name and computed once.
    `loaded` names the pointer that an element is read from.
    """

    __slots__ = ("dtype", "is_apart", "loaded", "name", "pieces", "strength")

    def __init__(
        self, pieces: str | tuple[Piece, ...], dtype: DType, strength: int = _ATOM, loaded: str | None = None
    ) -> None:
        self.pieces = (pieces,) if isinstance(pieces, str) else pieces
        self.dtype, self.strength = dtype.base_dtype, strength
        self.name: str | None = None
        self.loaded = loaded
        self.is_apart = False  # True: declared before the expression it is part of

    def load_first(self) -> None:
        """Have every element that this expression reads be read before, not inside it."""
        self.is_apart = self.loaded is not None
        for operand in self.operands:
            operand.load_first()

    @property
    def text(self) -> str:
        """The C text; the name, once the expression has one."""
        if self.name is not None:
            return self.name
        return "".join(p if isinstance(p, str) else p[0].at(p[1]) for p in self.pieces)

    def at(self, strength: int) -> str:
        """The text, in parentheses if it binds looser than `strength`."""
        return self.text if self.name is not None or self.strength >= strength else f"({self.text})"

    @property
    def is_product(self) -> bool:
        return self.strength == _PRODUCT and " * " in self.pieces

    @property
    def operands(self) -> list[Expr]:
        return [p[0] for p in self.pieces if not isinstance(p, str)]

    def _binary(self, other: Any, operator: str, strength: int, swapped: bool = False, result: DType | None = None) -> Expr:
        other = as_expr(other, self.dtype)
        left, right = (other, self) if swapped else (self, other)
        dtype = result or left.dtype
        pieces: tuple[Piece, ...] = ((left, strength), f" {operator} ", (right, strength + 1))
        if result is None and dtype.name in _NARROW:
            return Expr((f"({c_type(dtype)})(", *pieces, ")"), dtype, _UNARY)
        return Expr(pieces, dtype, strength)

    def __add__(self, o: Any) -> Expr:
        return self._binary(o, "+", _SUM)

    def __radd__(self, o: Any) -> Expr:
        return self._binary(o, "+", _SUM, True)

    def __sub__(self, o: Any) -> Expr:
        return self._binary(o, "-", _SUM)

    def __rsub__(self, o: Any) -> Expr:
        return self._binary(o, "-", _SUM, True)

    def __mul__(self, o: Any) -> Expr:
        return self._binary(o, "*", _PRODUCT)

    def __rmul__(self, o: Any) -> Expr:
        return self._binary(o, "*", _PRODUCT, True)

    def __truediv__(self, o: Any) -> Expr:
        return self._binary(o, "/", _PRODUCT)

    def __rtruediv__(self, o: Any) -> Expr:
        return self._binary(o, "/", _PRODUCT, True)

    def __neg__(self) -> Expr:
        return Expr(("-", (self, _ATOM)), self.dtype, _UNARY)

    def __lt__(self, o: Any) -> Expr:
        return self._binary(o, "<", _RELATION, result=dtypes.bool_)

    def __le__(self, o: Any) -> Expr:
        return self._binary(o, "<=", _RELATION, result=dtypes.bool_)

    def __gt__(self, o: Any) -> Expr:
        return self._binary(o, ">", _RELATION, result=dtypes.bool_)

    def __ge__(self, o: Any) -> Expr:
        return self._binary(o, ">=", _RELATION, result=dtypes.bool_)

    def __eq__(self, o: Any) -> Expr:  # type: ignore[override]
        return self._binary(o, "==", _EQUALITY, result=dtypes.bool_)

    def __ne__(self, o: Any) -> Expr:  # type: ignore[override]
        return self._binary(o, "!=", _EQUALITY, result=dtypes.bool_)

    def __and__(self, o: Any) -> Expr:
        return PRINTER_LOGIC["and"](self, o)

    def __or__(self, o: Any) -> Expr:
        return PRINTER_LOGIC["or"](self, o)

    def __invert__(self) -> Expr:
        return Expr(("!", (self, _ATOM)), dtypes.bool_, _UNARY)

    __hash__ = None  # type: ignore[assignment]


def as_expr(value: Any, dtype: DType) -> Expr:
    """An operand: expressions pass through, Python numbers become literals of `dtype`."""
    if isinstance(value, Expr):
        return value
    text = literal(value, dtype)
    return Expr(text, dtype, _UNARY if text.startswith("-") else _ATOM)


def _logic(operator: str, strength: int) -> Callable[[Any, Any], Expr]:
    def combine(a: Any, b: Any) -> Expr:
        a, b = as_expr(a, dtypes.bool_), as_expr(b, dtypes.bool_)
        # comparisons bind tighter than these operators, but readers and compilers want them in parentheses
        return Expr(((a, _UNARY), f" {operator} ", (b, _UNARY)), dtypes.bool_, strength)

    return combine


PRINTER_LOGIC = {"and": _logic("&", 5), "or": _logic("|", 3), "xor": _logic("!=", _EQUALITY)}


class Printer:
    """`m` for C. `used` collects the functions of the prelude that the text calls."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def function(self, name: str, *operands: Any) -> Expr:
        """A call of `name` of the prelude, or of libm where the prelude has none."""
        first = next((o for o in operands if isinstance(o, Expr)), None)
        if first is None:
            raise NotCompilable(f"{name} of constants")
        dtype = first.dtype
        arguments: list[Piece] = []
        for operand in operands:
            arguments += [", "] if arguments else []
            arguments.append((as_expr(operand, dtype), 0))
        compute = dtypes.int32 if dtype.name in _NARROW else dtype
        suffix = _SUFFIX.get(compute.name)
        if suffix is not None and f"{name}_{suffix}" in FUNCTIONS:
            self.used.add(f"{name}_{suffix}")
            pieces: tuple[Piece, ...] = (f"tg_{name}_{suffix}(", *arguments, ")")
        elif suffix is not None and dtype.is_floating:
            pieces = (f"{name}{'f' if dtype.name == 'float32' else ''}(", *arguments, ")")
        else:
            raise NotCompilable(f"{name} of {dtype.name}")
        return Expr((f"({c_type(dtype)})", *pieces), dtype, _UNARY) if compute is not dtype else Expr(pieces, dtype)

    def where(self, condition: Any, a: Any, b: Any) -> Expr:
        dtype = (
            next(o.dtype for o in (a, b) if isinstance(o, Expr))
            if isinstance(a, Expr) or isinstance(b, Expr)
            else dtypes.float32
        )
        a, b = as_expr(a, dtype), as_expr(b, dtype)
        # a load that only one branch makes becomes a masked one, which gcc before 12.4 gets wrong where it gathers sums
        # in another order than memory's (its bug 114375), and which is slower anyhow
        a.load_first()
        b.load_first()
        condition = as_expr(condition, dtypes.bool_)
        return Expr(((condition, _OR), " ? ", (a, _OR), " : ", (b, _OR)), a.dtype, _TERNARY)

    def cast(self, x: Any, dtype: DType) -> Expr:
        dtype = dtype.base_dtype
        if x.dtype == dtype:
            return x
        if dtype.name == "bool":
            return Expr(((x, _EQUALITY + 1), " != 0"), dtype, _EQUALITY)
        return Expr((f"({c_type(dtype)})", (x, _UNARY)), dtype, _UNARY)

    def rounded(self, product: Expr) -> Expr:
        """The same product, never fused with the sum that takes it."""
        return self.function("product", *product.operands) if len(product.operands) == 2 else product

    def maximum(self, a: Any, b: Any) -> Expr:
        return self.function("max", a, b)

    def minimum(self, a: Any, b: Any) -> Expr:
        return self.function("min", a, b)

    def abs(self, x: Any) -> Expr:
        return x if x.dtype.is_unsigned else self.function("abs", x)

    def sign(self, x: Any) -> Expr:
        return self.where(x > 0, 1, self.cast(x, x.dtype)) if x.dtype.is_unsigned else self.function("sign", x)

    def reciprocal(self, x: Any) -> Expr:
        return 1 / x

    def logical_and(self, a: Any, b: Any) -> Expr:
        return PRINTER_LOGIC["and"](a, b)

    def logical_or(self, a: Any, b: Any) -> Expr:
        return PRINTER_LOGIC["or"](a, b)

    def logical_xor(self, a: Any, b: Any) -> Expr:
        return PRINTER_LOGIC["xor"](a, b)

    def logical_not(self, a: Any) -> Expr:
        return ~a

    def isnan(self, x: Any) -> Expr:
        return Expr(((x, _EQUALITY), " != ", (x, _EQUALITY + 1)), dtypes.bool_, _EQUALITY)

    def isfinite(self, x: Any) -> Expr:
        return Expr(((x, _SUM), " - ", (x, _SUM + 1), " == 0"), dtypes.bool_, _EQUALITY)

    def isinf(self, x: Any) -> Expr:
        return PRINTER_LOGIC["and"](~self.isfinite(x), x == x)

    def __getattr__(self, name: str) -> Callable[..., Expr]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *operands: self.function(name, *operands)


def declarations(results: Sequence[tuple[Expr, str]], name_part: Callable[[Expr], str]) -> list[tuple[str, str, str]]:
    """(C type, name, text) of each result and of every subexpression that is used more than once or must be apart, in
    order of use."""
    uses: dict[int, int] = {}
    order: list[Expr] = []

    def visit(e: Expr) -> None:
        uses[id(e)] = uses.get(id(e), 0) + 1
        if uses[id(e)] == 1:
            for operand in e.operands:
                visit(operand)
            order.append(e)

    for e, _ in results:
        visit(e)
    wanted = {id(e): name for e, name in reversed(results)}
    lines: list[tuple[str, str, str]] = []
    for e in order:
        shared = uses[id(e)] > 1 and bool(e.operands)
        if e.name is None and (id(e) in wanted or shared or e.is_apart):
            name = wanted.get(id(e)) or name_part(e)
            lines.append((c_type(e.dtype), name, e.text))
            e.name = name
    declared = {name for _, name, _ in lines}
    lines += [(c_type(e.dtype), name, e.text) for e, name in results if name not in declared]
    return lines
