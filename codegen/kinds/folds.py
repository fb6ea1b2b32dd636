"""The folds of reductions as C: identity, combining statement, the clause that lets a loop be vectorised."""

from __future__ import annotations

from dataclasses import dataclass
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

    def step(self, printer: Printer, value: Expr, target: str | None = None) -> str:
        """The statement that takes `value` into the running result."""
        target = target or self.name
        if self.combine in ("max", "min"):
            joined = printer.function(self.combine, Expr(target, self.dtype), value).text
            return f"{target} = {joined};"
        return f"{target} {_OPERATORS[self.combine]}= {value.text};"

    @property
    def clause(self) -> str:
        """`reduction(+ : total)` for the loop's pragma."""
        operator = {"sum": "+", "prod": "*", "max": "max", "min": "min", "all": "&", "any": "|"}[self.combine]
        return f"reduction({operator} : {self.name})"


_OPERATORS = {"sum": "+", "prod": "*", "all": "&", "any": "|"}


def fold_of(combine: str, dtype: DType, name: str) -> Fold:
    return Fold(name, c_type(dtype), _identity(combine, dtype), combine, dtype.base_dtype)


def _identity(combine: str, dtype: DType) -> str:
    fixed: dict[str, Any] = {"sum": 0, "prod": 1, "all": True, "any": False}
    if combine in fixed:
        return literal(fixed[combine], dtype)
    if dtype.is_floating:
        return "-INFINITY" if combine == "max" else "INFINITY"
    limits = np.iinfo(dtype.as_numpy_dtype)
    return literal(limits.min if combine == "max" else limits.max, dtype)
