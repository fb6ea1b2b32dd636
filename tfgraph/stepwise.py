"""`tf.map_fn`, `tf.scan`, `tf.foldl`, `tf.foldr`: functions of Python along the first dimension, whose size is known.

The steps are written out, so that they are compiled like anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import array, nest
from .convert import convert_to_tensor
from .naming import scope_of

__all__ = ["foldl", "foldr", "map_fn", "scan"]

Function = Callable[..., Any]


def _rows(elems: Any, function: str) -> list[Any]:
    """The structure `elems` once for each place along the first dimension. ValueError if their number is not known."""
    tensors = [convert_to_tensor(one, name="elems") for one in nest.flatten(elems)]
    sizes = {one.shape[0].value for one in tensors if one.shape.ndims} - {None}
    if any(one.shape.ndims in (0, None) for one in tensors) or len(sizes) != 1:
        shapes = ", ".join(str(one.shape) for one in tensors)
        raise ValueError(f"{function}: the first dimension of elems must be known, and the same of all, got {shapes}")
    (count,) = sizes
    columns = [array.unstack(one, count) for one in tensors]
    return [nest.pack_as(elems, [column[i] for column in columns]) for i in range(count)]


def _stacked(results: list[Any]) -> Any:
    parts = [nest.flatten(result) for result in results]
    return nest.pack_as(results[0], [array.stack(list(column)) for column in zip(*parts, strict=True)])


def map_fn(
    fn: Function,
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
) -> Any:
    """fn(row) for every row of `elems`, a tensor or a structure of tensors with a known first dimension, stacked again."""
    if not callable(fn):
        raise TypeError("fn must be callable.")
    with scope_of(name, "map", *nest.flatten(elems)):
        return _stacked([fn(row) for row in _rows(elems, "tf.map_fn")])


def scan(
    fn: Function,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """All values of the total that begins with `initializer` (or the first row) and becomes fn(total, row) row by row.

    With `reverse` from the last row to the first.
    """
    with scope_of(name, "scan", *nest.flatten(elems)):
        totals = _totals(fn, elems, initializer, reverse, "tf.scan")
        return _stacked(totals[::-1] if reverse else totals)


def foldl(
    fn: Function,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The total that begins with `initializer` (or the first row) and becomes fn(total, row) row by row."""
    with scope_of(name, "foldl", *nest.flatten(elems)):
        return _totals(fn, elems, initializer, False, "tf.foldl")[-1]


def foldr(
    fn: Function,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """`foldl` from the last row to the first."""
    with scope_of(name, "foldr", *nest.flatten(elems)):
        return _totals(fn, elems, initializer, True, "tf.foldr")[-1]


def _totals(fn: Function, elems: Any, initializer: Any, backwards: bool, function: str) -> list[Any]:
    if not callable(fn):
        raise TypeError("fn must be callable.")
    rows = _rows(elems, function)
    if backwards:
        rows.reverse()
    if initializer is None:
        totals, rows = [rows[0]], rows[1:]
    else:
        totals = []
    total = totals[0] if totals else nest.map_structure(convert_to_tensor, initializer)
    for row in rows:
        total = fn(total, row)
        totals.append(total)
    return totals
