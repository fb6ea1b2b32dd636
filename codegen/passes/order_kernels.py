"""The order of the kernels: of all that respect the dependencies, one in which few bytes are alive at a time.

In: groups in some valid order. Out: the same groups, in that order or one that needs less memory. A gradient of weights,
say, moves to where its operands are made, so that they need not stay until all gradients of activations are done.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from ...shapes import Batch, element_count
from ..ir import Group, Node, Roots, Value
from ..target import NOMINAL_BATCH
from .clusters import dependencies
from .plan_memory import external_values


def order_kernels(groups: tuple[Group, ...], roots: Roots) -> tuple[Group, ...]:
    """The groups in the order that needs less memory: theirs, or the one of a greedy search."""
    live = _Liveness(groups, roots)
    found = _greedy(_predecessors(groups, roots), live)
    if live.peak(found) < live.peak(range(len(groups))):
        return tuple(groups[i] for i in found)
    return groups


def _predecessors(groups: Sequence[Group], roots: Roots) -> list[set[int]]:
    """By group, the groups that must come before it. Checks keep their order and stay before the writes they precede."""
    homes: dict[Node, list[int]] = {}
    for i, group in enumerate(groups):
        for node in group.nodes:
            homes.setdefault(node, []).append(i)
    edges = dependencies(roots, {node for node, where in homes.items() if len(where) > 1})
    before: list[set[int]] = []
    last_check: list[int] = []
    for i, group in enumerate(groups):
        effects = {node.opdef.effect for node in group.nodes}
        own = {homes[b][0] for node in group.nodes for b in edges.get(node, ()) if b in homes} - {i}
        before.append(own | set(last_check) if effects & {"check", "write"} else own)
        if "check" in effects:
            last_check = [i]
    return before


class _Liveness:
    """Which values each group makes and which it reads last, in bytes at a nominal batch size."""

    def __init__(self, groups: Sequence[Group], roots: Roots) -> None:
        external = external_values(groups, roots)
        in_arena = {v for _, writes in external for v in writes} - set(roots.fetches)
        self.size = {v: _bytes(v) for v in in_arena}
        self.reads: list[list[Value]] = [[v for v in reads if v in in_arena] for reads, _ in external]
        self.writes: list[list[Value]] = [[v for v in writes if v in in_arena] for _, writes in external]
        self.readers: dict[Value, list[int]] = {v: [] for v in in_arena}
        for i, values in enumerate(self.reads):
            for value in values:
                self.readers[value].append(i)

    def peak(self, order: Sequence[int]) -> int:
        """The most bytes that are alive at a time in this order."""
        left = {value: len(readers) for value, readers in self.readers.items()}
        now = most = 0
        for i in order:
            now += sum(self.size[v] for v in self.writes[i])
            most = max(most, now)
            for value in self.reads[i]:
                left[value] -= 1
            now -= sum(self.size[v] for v in (*self.reads[i], *self.writes[i]) if left[v] == 0)
        return most


def _greedy(before: Sequence[set[int]], live: _Liveness) -> list[int]:
    """Groups one by one: of those that are ready, the one that leaves the fewest bytes alive, else the earliest."""
    pending = [set(b) for b in before]
    after: list[list[int]] = [[] for _ in before]
    for i, own in enumerate(before):
        for j in own:
            after[j].append(i)
    readers = {value: set(where) for value, where in live.readers.items()}

    def growth(i: int) -> int:
        made = sum(live.size[v] for v in live.writes[i] if readers[v])
        return made - sum(live.size[v] for v in live.reads[i] if len(readers[v]) == 1)

    best = [growth(i) for i in range(len(before))]
    ready = [(best[i], i) for i, own in enumerate(pending) if not own]
    heapq.heapify(ready)
    order: list[int] = []
    done: set[int] = set()
    while ready:
        estimate, i = heapq.heappop(ready)
        if i in done or estimate != best[i]:
            continue  # an entry that a better one has replaced
        done.add(i)
        order.append(i)
        changed = set(after[i])
        for j in after[i]:
            pending[j].discard(i)
        for value in live.reads[i]:
            readers[value].discard(i)
            if len(readers[value]) == 1:
                changed |= readers[value]
        for j in changed - done:
            best[j] = growth(j)
            if not pending[j]:
                heapq.heappush(ready, (best[j], j))
    return order


def _bytes(value: Value) -> int:
    count = element_count(value.dims)
    return (count.at(NOMINAL_BATCH) if isinstance(count, Batch) else int(count)) * value.dtype.size
