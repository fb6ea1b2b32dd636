"""What a kernel does beside its own work, in sentences: what saves it, or another one, a trip through memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ..opdef import Primitive, Reduction
from ..shapes import element_count
from .ir import Group, Kernel, Node
from .passes.clusters import bases, is_over_rows

SUMS = frozenset(("Add", "AddN", "Sub"))


def homes(kernels: Sequence[Kernel]) -> Mapping[Node, int]:
    """In how many kernels each node is computed."""
    return Counter(node for kernel in kernels for node in kernel.group.nodes)


def fusions(group: Group, kernels_of: Mapping[Node, int]) -> tuple[str, ...]:
    """The sentences about one group; `kernels_of` counts the kernels of each node."""
    return tuple(
        f"{said}: {', '.join(dict.fromkeys(node.label for node in nodes))}"
        for said, nodes in (
            ("computed before the loops", group.hoisted),
            ("drawn here, never stored", group.drawn),
            ("computed again instead of loaded", _again(group, kernels_of)),
            ("of all rows, in the sweep over them", _over_rows(group)),
            ("in one sweep", _side_by_side(group)),
            ("of the gradient that is loaded anyway", _columns(group)),
            ("added where the result is stored", _residuals(group)),
        )
        if nodes
    )


def _again(group: Group, kernels_of: Mapping[Node, int]) -> list[Node]:
    apart = (*group.hoisted, *group.drawn)
    return [n for n in group.nodes if kernels_of[n] > 1 and n not in apart]


def _over_rows(group: Group) -> list[Node]:
    return [n for n in group.nodes if group.kind == "rows" and is_over_rows(n, group.domain, group.axes)]


def _side_by_side(group: Group) -> list[Node]:
    folds = [n for n in group.nodes if group.kind == "reduce" and isinstance(n.kind, Reduction)]
    return folds if len(folds) > 1 else []


def _columns(group: Group) -> list[Node]:
    """The sums of columns that a product's kernel makes beside it."""
    return [n for n in group.beside if isinstance(n.kind, Reduction)]


def _residuals(group: Group) -> Iterable[Node]:
    """Arrays as large as the result that the kernel of a product or convolution adds to it."""
    if group.anchor is None or not isinstance(group.anchor.kind, Primitive):
        return []
    members = set(group.nodes)
    return [
        base.op
        for n in group.nodes
        if n.type in SUMS
        for base in bases(n)
        if base.op not in members and element_count(base.dims) == element_count(group.domain)
    ]
