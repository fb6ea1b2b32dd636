"""Questions about paths through a graph, answered by networkx.

The networkx graph is an index of the operations: one edge per pair of operations, however many tensors connect them. The
operands stay on the operations. Answers are ordered by operation id, so that equal graphs give equal programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import networkx

from .tensor import Operation, Tensor

EdgeFilter = Callable[[Tensor], bool]


def index_of(operations: Iterable[Operation], follow: EdgeFilter = lambda tensor: True) -> networkx.DiGraph:
    """The data edges producer -> consumer of `operations`, along the tensors for which `follow` holds."""
    index: Any = networkx.DiGraph()
    for operation in operations:
        index.add_node(operation)
        index.add_edges_from((t.op, operation) for t in operation.inputs if follow(t))
    return index


def ordered(operations: Iterable[Operation]) -> list[Operation]:
    """`operations` without repetition, by id: inputs come before their consumers."""
    return sorted(dict.fromkeys(operations), key=lambda operation: operation.id)


def ancestors(index: networkx.DiGraph, operations: Iterable[Operation]) -> list[Operation]:
    """`operations` and everything they depend on."""
    return descendants(index.reverse(copy=False), operations)


def descendants(index: networkx.DiGraph, operations: Iterable[Operation]) -> list[Operation]:
    """`operations` and everything that depends on them."""
    # one search from all of them: hundreds of variables cost no more than one
    layers = networkx.bfs_layers(index, list(dict.fromkeys(operations)))
    return ordered(operation for layer in layers for operation in layer)


def between(index: networkx.DiGraph, sources: Iterable[Operation], targets: Iterable[Operation]) -> list[Operation]:
    """The operations on the paths from `sources` to `targets`, both included where there is a path."""
    reached = set(descendants(index, sources))
    return [operation for operation in ancestors(index, targets) if operation in reached]


def path(index: networkx.DiGraph, source: Operation, target: Operation) -> list[Operation]:
    """A shortest path from `source` to `target`; empty if there is none."""
    if not networkx.has_path(index, source, target):
        return []
    return networkx.shortest_path(index, source, target)
