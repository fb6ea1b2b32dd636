"""From what a caller fetches, in whatever nesting, to tensors and operations; and back to the same nesting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..tensor import Operation, Tensor

Assemble = Callable[[Sequence[Any]], Any]


def structure_key(fetches: Any) -> Any:
    """A key that tells one fetch structure from every other. TypeError if something in it cannot be hashed."""
    if isinstance(fetches, (Tensor, Operation)):
        return fetches
    kind = type(fetches)
    if kind is list or isinstance(fetches, tuple):
        return (kind, *map(structure_key, fetches))
    if isinstance(fetches, Mapping):
        return (kind, tuple(fetches), *map(structure_key, fetches.values()))
    hash(fetches)
    return fetches


class Fetches:
    """The tensors and operations of a fetch structure, each once, and how to put the results back together."""

    def __init__(self, graph: Any, structure: Any) -> None:
        self._graph = graph
        self.tensors: dict[Tensor, int] = {}  # tensor -> its position among the results
        self.targets: dict[Operation, None] = {}
        self.assemble: Assemble = self._mapper(structure)

    def _mapper(self, fetch: Any) -> Assemble:
        """The function from the list of results to `fetch`'s place in the structure."""
        if fetch is None:
            raise TypeError(f"Fetch argument {fetch!r} has invalid type {type(fetch)!r}")
        if isinstance(fetch, (list, tuple)):
            return self._sequence(fetch)
        if isinstance(fetch, Mapping):
            return self._mapping(fetch)
        element = self._element(fetch)
        if isinstance(element, Operation):
            self.targets[element] = None
            return _nothing
        position = self.tensors.setdefault(element, len(self.tensors))
        return lambda results: results[position]

    def _sequence(self, fetch: Sequence[Any]) -> Assemble:
        inner = [self._mapper(item) for item in fetch]
        if isinstance(fetch, list):
            return lambda results: [mapper(results) for mapper in inner]
        kind: Any = type(fetch)
        if hasattr(kind, "_fields"):  # a namedtuple
            return lambda results: kind(*(mapper(results) for mapper in inner))
        return lambda results: kind(mapper(results) for mapper in inner)

    def _mapping(self, fetch: Mapping[Any, Any]) -> Assemble:
        keys = list(fetch)
        inner = [self._mapper(fetch[key]) for key in keys]
        kind: Any = type(fetch)

        def assemble(results: Sequence[Any]) -> Any:
            filled = kind()
            for key, mapper in zip(keys, inner, strict=True):
                filled[key] = mapper(results)
            return filled

        return assemble

    def _element(self, fetch: Any) -> Any:
        try:
            return self._graph.as_graph_element(fetch, allow_tensor=True, allow_operation=True)
        except TypeError as error:
            raise TypeError(
                f"Fetch argument {fetch!r} has invalid type {type(fetch)!r}, must be a string or Tensor. ({error})"
            ) from None
        except (ValueError, KeyError) as error:
            raise ValueError(f"Fetch argument {fetch!r} cannot be interpreted as a Tensor. ({error})") from None


def _nothing(results: Sequence[Any]) -> None:
    return None
