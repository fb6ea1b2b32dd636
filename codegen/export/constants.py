"""Array constants as C: each value once, whichever programs use it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...dtypes import as_dtype
from ..scalar import c_type, literal

_WIDTH = 110


@dataclass(frozen=True)
class Constant:
    """An array as a C definition."""

    name: str
    c_type: str
    length: int
    shape: str
    rows: tuple[str, ...]  # of numbers, with commas


class Constants:
    """The constants of a file, named `<prefix>_constant_0` and so on."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._found: dict[tuple[str, bytes], Constant] = {}

    def name_of(self, array: np.ndarray) -> str:
        """The name of the C array with these elements."""
        key = (array.dtype.name, array.tobytes())
        if key not in self._found:
            self._found[key] = _constant(f"{self._prefix}_constant_{len(self._found)}", array)
        return self._found[key].name

    @property
    def all(self) -> tuple[Constant, ...]:
        return tuple(self._found.values())


def _constant(name: str, array: np.ndarray) -> Constant:
    dtype = as_dtype(array.dtype)
    flat = array.reshape(-1)
    # C fills an array with zeros after the last number that is given
    count = flat.size if not _is_zero(flat) else min(1, flat.size)
    rows, row = [], ""
    for value in flat[:count] if flat.size else np.zeros(1, array.dtype):
        text = f"{literal(value, dtype)},"
        if len(row) + 1 + len(text) > _WIDTH:
            rows.append(row)
            row = ""
        row = f"{row} {text}" if row else text
    rows.append(row.rstrip(","))
    return Constant(name, c_type(dtype), max(1, flat.size), f"[{', '.join(map(str, array.shape))}]", tuple(rows))


def _is_zero(flat: np.ndarray) -> bool:
    return not flat.view(np.uint8).any()
