"""The folds of reductions as C: identity, combining statement, the clause that lets a loop be vectorised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...dtypes import DType
from ..scalar import Expr, Printer, c_type, literal


@dataclass(frozen=True)
class Fold:
    """One running result."""

    name: str
    ctype: str
    identity: str
    combine: str  # sum | prod | max | min | all | any
    dtype: DType
    nan: str = ""  # the variable that notes a NaN, if the running result passes it over

    @property
    def nan_type(self) -> str:
        """An integer as wide as the elements, so that as many of them are in a vector."""
        return f"int{8 * self.dtype.size}_t"

    def step(self, printer: Printer, value: Expr, target: str | None = None) -> str:
        """The statement that takes `value` into the running result."""
        target = target or self.name
        if self.combine in ("max", "min"):
            joined = printer.function(self.combine, Expr(target, self.dtype), value).text
            return f"{target} = {joined};"
        # bools are read as bytes: gcc 12 writes past the stack where a vectorised loop joins a bool and a uint8_t
        operand = f"(bool){value.at(_TIGHT)}" if self.combine in ("all", "any") else value.text
        return f"{target} {_OPERATORS[self.combine]}= {operand};"

    def lane_step(self, printer: Printer, value: Expr) -> str:
        """The same within a loop over lanes. With `nan`, each maximum waits for one instruction of the one before it."""
        if not self.nan:
            return self.step(printer, value)
        operand = value.at(_TIGHT)
        better = ">" if self.combine == "max" else "<"
        return (
            f"{self.name} = {operand} {better} {self.name} ? {operand} : {self.name};\n{self.nan} |= {operand} != {operand};"
        )

    @property
    def clause(self) -> str:
        """`reduction(+ : total)` for the loop's pragma."""
        operator = {"sum": "+", "prod": "*", "max": "max", "min": "min", "all": "&", "any": "|"}[self.combine]
        noting = f" reduction(| : {self.nan})" if self.nan else ""
        return f"reduction({operator} : {self.name}){noting}"


_TIGHT = 15  # the binding strength of names and loads
_OPERATORS = {"sum": "+", "prod": "*", "all": "&", "any": "|"}


def fold_of(combine: str, dtype: DType, name: str) -> Fold:
    return Fold(name, c_type(dtype), _identity(combine, dtype), combine, dtype.base_dtype)


def lane_fold_of(combine: str, dtype: DType, unique: Callable[[str], str], hint: str) -> Fold:
    """A fold for a loop over lanes, which calls `lane_step`; `unique` makes a name of a hint."""
    fold = fold_of(combine, dtype, unique(hint))
    if combine in ("max", "min") and dtype.is_floating:
        return replace(fold, nan=unique(f"{fold.name}_nan"))
    return fold


def _identity(combine: str, dtype: DType) -> str:
    fixed: dict[str, Any] = {"sum": 0, "prod": 1, "all": True, "any": False}
    if combine in fixed:
        return literal(fixed[combine], dtype)
    if dtype.is_floating:
        return "-INFINITY" if combine == "max" else "INFINITY"
    limits = np.iinfo(dtype.as_numpy_dtype)
    return literal(limits.min if combine == "max" else limits.max, dtype)
