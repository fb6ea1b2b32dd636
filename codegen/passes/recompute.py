"""What is cheaper to compute again than to load: it becomes part of every group that uses it, and is never stored.

  * numbers that follow from sizes, constants and fed numbers (1 / N, 1 - keep_prob): once per kernel, before its loops;
  * uniform random numbers, which follow from the seeds and their position, and masks made of them: where they are used,
    so that dropout's mask is in memory neither for the forward nor for the backward pass.

`candidates` proposes, `refused` says what the groups that were formed with them cannot do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ...opdef import Pointwise, Primitive
from ...shapes import element_count
from ..index import access_of
from ..ir import Group, Node, Roots, Value
from ..kinds.epilogues import drawing_obstacle
from .clusters import bases, is_map

# a mask is made of these; a logarithm of random numbers is rather stored than computed twice
CHEAP = frozenset("Add Sub Mul Neg Floor Cast Less LessEqual Greater GreaterEqual LogicalNot Select SelectV2".split())
NUMBERS = CHEAP | frozenset("RealDiv Reciprocal Maximum Minimum Square".split())
DEEPEST = 4  # nodes from what is given to a number: every chunk of a kernel computes it again
GIVEN = frozenset(("Const", "_Feed", "_Extent"))  # what a number may follow from
# a number takes 0.7 ns to make (1.9 with AVX2) and 0.15 ns to load from the second-level cache, on one thread: the backward
# pass may draw a mask again, which would otherwise have to be kept for it, but no further kernel does
MOST_KERNELS = 2


def candidates(roots: Roots) -> frozenset[Node]:
    """The nodes that every group that uses them might compute by itself."""
    stored = {v.op for v in roots.fetches} | set(roots.effects)
    found: dict[Node, int] = {}  # and how many nodes deep
    for node in roots.nodes:
        if node not in stored and (_is_drawn(node) or _is_mask(node, found) or _is_number(node, found)):
            depth = 1 + max((found.get(base.op, 0) for base in bases(node)), default=0)
            if depth <= DEEPEST:
                found[node] = depth
    return frozenset(found)


def _is_drawn(node: Node) -> bool:
    return node.type == "RandomUniform" and node.outputs[0].dtype.name in ("float32", "float64")


def _is_pure_map(node: Node) -> bool:
    return isinstance(node.kind, Pointwise) and node.opdef.is_pure and len(node.outputs) == 1


def _is_one(value: Value) -> bool:
    return element_count(value.dims) == 1


def _is_number(node: Node, found: Collection[Node]) -> bool:
    if not _is_pure_map(node) or node.type not in NUMBERS or not _is_one(node.outputs[0]):
        return False
    return all(_is_one(b) and (b.op.type in GIVEN or (b.op in found and not _is_drawn(b.op))) for b in bases(node))


def _is_mask(node: Node, found: Collection[Node]) -> bool:
    """A cheap function of random numbers at the same positions, and of single numbers."""
    if not _is_pure_map(node) or node.type not in CHEAP or _is_one(node.outputs[0]):
        return False
    arrays = [access_of(v) for v in node.data_inputs() if not _is_one(v)]
    dims = node.outputs[0].dims
    return bool(arrays) and all(a.base.op in found and a.is_whole and a.dims == a.base.dims == dims for a in arrays)


def with_recomputed(groups: Sequence[Group], recomputed: Collection[Node]) -> tuple[Group, ...]:
    """The groups with what they compute for themselves among their nodes."""
    return tuple(_completed(group, recomputed) for group in groups)


def _completed(group: Group, recomputed: Collection[Node]) -> Group:
    added: set[Node] = set()
    pending = list(group.nodes)
    while pending:
        for base in bases(pending.pop()):
            if base.op in recomputed and base.op not in added:
                added.add(base.op)
                pending.append(base.op)
    if not added:
        return group
    own = sorted(added, key=lambda n: n.id)
    return replace(
        group,
        nodes=tuple(sorted([*group.nodes, *own], key=lambda n: n.id)),
        hoisted=tuple(n for n in own if _is_one(n.outputs[0]) and not _is_drawn(n)),
        drawn=tuple(filter(_is_drawn, own)),
    )


def refused(groups: Sequence[Group], recomputed: Collection[Node]) -> dict[Node, str]:
    """The candidates that must be stored after all, and why."""
    found: dict[Node, str] = {}
    for group in groups:
        for node in group.hoisted:
            if any(node in {b.op for b in bases(n)} for n in group.nodes if isinstance(n.kind, Primitive)):
                found[node] = f"{group.kind} reads numbers from memory"
        for node in group.drawn:
            if reason := _misplaced(group, node, recomputed) or drawing_obstacle(group, node):
                found[node] = reason
    for node in {n for group in groups for n in group.drawn}:
        kernels = sum(node in group.drawn for group in groups)
        if kernels > MOST_KERNELS:
            found.setdefault(node, f"drawn once, because {kernels} kernels use it")
    for node in sorted(recomputed, key=lambda n: n.id):  # and what is made of them
        reason = next((found[base.op] for base in bases(node) if base.op in found), None)
        if reason is not None:
            found.setdefault(node, reason)
    return found


def _misplaced(group: Group, drawn: Node, recomputed: Collection[Node]) -> str | None:
    """A reason if the group uses random numbers, or a mask made of them, at other positions than those of its loops.

    A product or convolution finishes its results one by one: it takes the numbers of a flattened picture as well.
    """
    made = {drawn}
    takes_reshaped = group.anchor is not None and isinstance(group.anchor.kind, Primitive)
    for node in group.nodes:
        accesses = [access_of(v) for v in node.data_inputs() if not v.dtype.is_ref]
        for access in accesses:
            if access.base.op not in made:
                continue
            is_placed = access.dims == group.domain or (takes_reshaped and node in recomputed)
            is_shaped = access.base.dims == group.domain or takes_reshaped
            if not (access.is_whole and is_placed and is_shaped):
                return "random numbers at other positions"
        if node in recomputed and any(a.base.op in made for a in accesses):
            made.add(node)
        elif not is_map(node) and any(a.base.op in made for a in accesses):
            return f"{node.type} takes its operands from memory"
    return None


def with_reasons(group: Group, stored: dict[Node, str]) -> Group:
    """The group with what is said about operands that it does not compute by itself."""
    refusals = (replace(r, reason=stored[r.producer]) if r.producer in stored else r for r in group.refusals)
    return replace(group, refusals=tuple(refusals))
