"""Structures of lists, tuples, named tuples and dictionaries: flattened, and rebuilt around other leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


def is_structure(value: Any) -> bool:
    """True for lists, tuples and dictionaries; anything else is a leaf."""
    return isinstance(value, (list, tuple, Mapping))


def children(structure: Any) -> list[Any]:
    """The parts of one level, dictionaries in the order of their sorted keys."""
    if isinstance(structure, Mapping):
        return [structure[key] for key in _keys(structure)]
    return list(structure)


def _keys(structure: Mapping[Any, Any]) -> list[Any]:
    try:
        return sorted(structure)
    except TypeError:
        return list(structure)  # keys that have no order, e.g. tensors


def flatten(structure: Any) -> list[Any]:
    """The leaves, from left to right."""
    if not is_structure(structure):
        return [structure]
    return [leaf for child in children(structure) for leaf in flatten(child)]


def rebuild(structure: Any, parts: Iterable[Any]) -> Any:
    """One level of `structure` with other parts."""
    if isinstance(structure, Mapping):
        by_key = dict(zip(_keys(structure), parts, strict=True))
        kind: Any = type(structure)
        return kind((key, by_key[key]) for key in structure)
    if hasattr(structure, "_fields"):
        return type(structure)(*parts)
    return type(structure)(parts)


def map_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """`structure` with `function(leaf)` in place of every leaf."""
    if not is_structure(structure):
        return function(structure)
    return rebuild(structure, [map_structure(function, child) for child in children(structure)])


def pack_as(structure: Any, leaves: Iterable[Any]) -> Any:
    """`structure` with its leaves replaced by `leaves` in order."""
    remaining: Iterator[Any] = iter(leaves)
    return map_structure(lambda _: next(remaining), structure)


def same_structure(a: Any, b: Any) -> bool:
    """True if a and b have the same shape of lists, tuples and dictionaries."""
    if not is_structure(a) or not is_structure(b):
        return is_structure(a) == is_structure(b)
    if isinstance(a, Mapping) != isinstance(b, Mapping) or type(a) is not type(b) or len(a) != len(b):
        return False
    if isinstance(a, Mapping) and _keys(a) != _keys(b):
        return False
    return all(same_structure(x, y) for x, y in zip(children(a), children(b), strict=True))
