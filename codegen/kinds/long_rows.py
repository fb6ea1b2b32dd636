"""Rows too long for arrays on the stack: what a later sweep needs again of each element.

A row of tens of thousands of elements stays in the second-level cache from sweep to sweep, its operands and results with
it. So a later sweep reads again what is stored anyway, computes again what costs little, and for the rest (exponentials)
the row of a result that is only written later serves as the array: softmax leaves its powers where its results will be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..ir import Node, Value
from ..passes.clusters import CHEAP


@dataclass
class LongRows:
    """Where each element-level value that a later sweep needs is found again."""

    nodes: Sequence[Node]  # in order
    sweep_of: Mapping[Node, int]
    elements: Callable[[Node], Collection[Value]]  # the element-level values of the kernel that a node takes
    results: Sequence[Value]  # element-level values that are stored
    held: dict[Value, Value] = field(default_factory=dict)  # a value -> the result whose row holds it
    again: dict[int, set[Node]] = field(default_factory=dict)  # a sweep -> what it computes again
    borrowed: dict[Value, list[tuple[int, int]]] = field(default_factory=dict)  # a result -> from sweep, to sweep

    def __post_init__(self) -> None:
        last = max(self.sweep_of.values(), default=0)
        for sweep in range(last, 0, -1):  # so that each value is first met at its last use
            for node in reversed(self.nodes):
                if self.sweep_of[node] == sweep or node in self.again.get(sweep, ()):
                    for value in self.elements(node):
                        if self.sweep_of[value.op] < sweep:
                            self._find(value, sweep)

    def _find(self, value: Value, sweep: int) -> None:
        if value in self.held:
            return
        if not any(value.op in nodes for nodes in self.again.values()):
            if value in self.results:
                self.held[value] = value
                return
            place = None if self._is_cheap(value, sweep) else self._place(value, sweep)
            if place is not None:
                self.held[value] = place
                self.borrowed.setdefault(place, []).append((self.sweep_of[value.op], sweep))
                return
        self.again.setdefault(sweep, set()).add(value.op)

    def _is_cheap(self, value: Value, sweep: int) -> bool:
        """True if it follows by cheap operations from what is at hand in that sweep."""
        if value.op.type not in CHEAP:
            return False
        made = [v for v in self.elements(value.op) if v not in self.held and v not in self.results]
        return all(self.sweep_of[v.op] == sweep or self._is_cheap(v, sweep) for v in made)

    def _place(self, value: Value, sweep: int) -> Value | None:
        """A result of the same type that is stored in that sweep or later, and that no other value occupies till then."""
        first = self.sweep_of[value.op]
        for result in self.results:
            is_free = all(first >= to or sweep <= start for start, to in self.borrowed.get(result, ()))
            if is_free and result.dtype == value.dtype and self.sweep_of[result.op] >= sweep:
                return result
        return None
