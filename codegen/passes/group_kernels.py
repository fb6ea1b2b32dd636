"""Nodes -> groups, each of which becomes one kernel.

A node joins the kernels of its producers where that saves a trip through memory:
  * pointwise chains over one domain;
  * reductions with the pointwise nodes that feed them, and what follows them row by row or slab by slab;
  * after a kernel over rows, sums of its rows' results and of whole columns, and what follows from these;
  * matmul and conv2d with the pointwise nodes that take their result (bias, activation, an optimizer's update);
  * conv2d and its pointwise nodes with the max pooling of what they make;
  * the gradient of weights with that of biases, the sums of the columns of what it loads.
Then sweeps over the same elements become one (`_join_siblings`). A merge is made only if the groups stay convex: no path
leaves a group and comes back. What is cheaper to compute again than to load is part of every group that uses it
(`recompute`).
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from itertools import pairwise

from ...shapes import element_count
from ..ir import Group, Node, Refusal, Roots, Value
from .bias_gradients import bias_gradients
from .clusters import FOLDS, Cluster, bases, dependencies, is_compute
from .fusion_rules import FusionRules
from .recompute import candidates, refused, with_reasons, with_recomputed
from .sink import sink


def group_kernels(roots: Roots) -> tuple[Group, ...]:
    """The groups of a program, in an order that respects every dependency."""
    recomputed = candidates(roots)
    stored: dict[Node, str] = {}  # candidates that are not recomputed, and why
    while True:
        groups = with_recomputed(sink(_Grouping(roots, recomputed).run(), roots), recomputed)
        found = refused(groups, recomputed)
        if not found:
            return tuple(with_reasons(group, stored) for group in groups)
        stored |= found
        recomputed = recomputed - frozenset(found)


class _Grouping(FusionRules):
    def __init__(self, roots: Roots, recomputed: Collection[Node]) -> None:
        self.edges = dependencies(roots, recomputed)
        self.recomputed = recomputed
        needed = _needed(roots)
        self.nodes = [n for n in roots.nodes if is_compute(n) and n in needed and n not in recomputed]
        self.live: dict[Cluster, None] = {}  # those that no other has taken in
        super().__init__(set(roots.fetches), _users(self.nodes))

    def run(self) -> tuple[Group, ...]:
        for node in self.nodes:
            own = self.cluster[node] = Cluster(len(self.cluster), node)
            own.before = set(self.edges[node])
            for producer in self._before(own):
                own.above |= producer.above | producer.bits
            self.live[own] = None
            for producer in self._producer_clusters(node):
                self._try_merge(producer, node)
        self._join_siblings()
        self._join_bias_gradients()
        return self._ordered()

    def _producer_clusters(self, node: Node) -> list[Cluster]:
        """Clusters that make operands of `node`, latest first; a merge with those saves the most."""
        found = {self.cluster[base.op]: None for base in bases(node) if base.op in self.cluster}
        return sorted(found, key=lambda c: -c.number)

    def _try_merge(self, producer: Cluster, node: Node) -> None:
        own = self.cluster[node]
        if producer is own:
            return
        reason = self.obstacle(producer, own, node)
        if reason is None and not (self._is_convex(producer, own) and self._is_convex(own, producer)):
            reason = "a path through another kernel"
        if reason is None and self.overwrites_operand(producer, own):
            reason = "would overwrite a variable that other elements still read"
        if reason is not None:
            own.refusals.append(Refusal(producer.nodes[-1], node, reason))
            return
        self._merge(producer, own)

    def _join_siblings(self) -> None:
        """Sweeps over the same elements that read the same array, or results of one kernel, become one sweep."""
        sweeps: dict[object, list[Cluster]] = {}
        for cluster in dict.fromkeys(self.cluster.values()):
            if cluster.kind in ("pointwise", *FOLDS):
                for source in self._sources(cluster):
                    kind = cluster.kind.replace("slabs", "reduce")
                    sweeps.setdefault((source, kind, cluster.domain, cluster.axes), []).append(cluster)
        for found in sweeps.values():
            for earlier, later in pairwise(found):
                first, second = self.cluster[earlier.nodes[0]], self.cluster[later.nodes[0]]
                if first is not second and self._are_independent(first, second):
                    self._merge(first, second)
        self._join_totals()

    def _join_totals(self) -> None:
        """A sum of everything, such as a loss, joins the sums of columns behind it, such as the gradient of biases."""
        folds: dict[object, list[Cluster]] = {}
        for cluster in dict.fromkeys(self.cluster.values()):
            for source in self._sources(cluster) if cluster.kind == "reduce" else ():
                folds.setdefault((source, cluster.domain), []).append(cluster)
        for found in folds.values():
            for earlier, later in pairwise(found):
                first, second = self.cluster[earlier.nodes[0]], self.cluster[later.nodes[0]]
                pair = sorted((first, second), key=lambda c: -len(c.axes))
                if first is not second and self.makes_rows(*pair) and self._are_independent(first, second):
                    self._merge(*pair)
                    pair[0].kind, pair[0].axes = "rows", (len(pair[0].domain) - 1,)

    def _join_bias_gradients(self) -> None:
        """The gradient of biases is summed by the kernel that makes the weights', which loads what is summed."""
        for product, columns in bias_gradients(self.cluster, self.recomputed):
            is_free = self.cluster[columns.nodes[0]] is columns and not product.beside
            if is_free and self._are_independent(product, columns):
                product.beside = tuple(columns.nodes)
                self._merge(product, columns)

    def _sources(self, cluster: Cluster) -> list[object]:
        """What a cluster may share with others over its domain: arrays of that size, or the kernels that make them."""
        if element_count(cluster.domain) == 1:
            return [None]  # numbers: there is nothing to load
        arrays = dict.fromkeys(base for n in cluster.nodes for base in bases(n) if base.dims == cluster.domain)
        return list(dict.fromkeys(self.cluster.get(a.op, a) for a in arrays if not self.is_inside(a, cluster)))

    def _are_independent(self, first: Cluster, second: Cluster) -> bool:
        """True if one sweep may do the work of both."""
        return (
            (first not in self._before(second) or self._may_follow(second, first))
            and (second not in self._before(first) or self._may_follow(first, second))
            and self._is_convex(first, second)
            and self._is_convex(second, first)
            and not self.overwrites_operand(first, second)
        )

    def _may_follow(self, own: Cluster, other: Cluster) -> bool:
        return self.only_finishes(own, other) or self.may_sweep_after(own, other)

    # --- convexity --------------------------------------------------------------------------------------------------

    def _before(self, cluster: Cluster) -> set[Cluster]:
        return {self.cluster[n] for n in cluster.before if n in self.cluster} - {cluster}

    def _is_convex(self, first: Cluster, second: Cluster) -> bool:
        """True if no path leads from `first` to `second` through a third group."""
        return not any(c.above & first.bits for c in self._before(second) if c is not first)

    def _merge(self, producer: Cluster, own: Cluster) -> None:
        """Move `own` into `producer` (the anchor, if one has it, decides the kind)."""
        target, source = (producer, own)
        if target.anchor is None and source.anchor is not None:
            target.anchor, target.kind, target.axes, target.domain = source.anchor, source.kind, source.axes, source.domain
        if "slabs" in (target.kind, source.kind) or (target.kind == "reduce" and self._sweep_apart(target, source)):
            target.kind = "slabs"
        target.nodes = sorted(target.nodes + source.nodes, key=lambda n: n.id)
        target.before |= source.before
        target.refusals += source.refusals
        for node in source.nodes:
            self.cluster[node] = target
        target.number = max(target.number, source.number)
        target.bits |= source.bits
        target.above = (target.above | source.above) & ~target.bits
        del self.live[source]
        for cluster in self.live:
            if cluster.above & target.bits:
                cluster.above |= target.above | target.bits

    def _sweep_apart(self, first: Cluster, second: Cluster) -> bool:
        """True if one kernel for both has to go over its elements more than once."""
        return first.sweeps_after(second) or second.sweeps_after(first)

    def _ordered(self) -> tuple[Group, ...]:
        """Groups in topological order; among those ready, the one whose first node is earliest."""
        clusters = list(dict.fromkeys(self.cluster.values()))
        pending = {c: self._before(c) for c in clusters}
        after: dict[Cluster, list[Cluster]] = {c: [] for c in clusters}
        for c, before in pending.items():
            for b in before:
                after[b].append(c)
        ready = [(c.nodes[-1].id, c.number) for c, before in pending.items() if not before]
        by_number = {c.number: c for c in clusters}
        heapq.heapify(ready)
        ordered: list[Cluster] = []
        while ready:
            cluster = by_number[heapq.heappop(ready)[1]]
            ordered.append(cluster)
            for c in after[cluster]:
                pending[c].discard(cluster)
                if not pending[c]:
                    heapq.heappush(ready, (c.nodes[-1].id, c.number))
        if len(ordered) != len(clusters):
            raise AssertionError("the groups depend on each other in a circle")
        return tuple(
            Group(c.kind, tuple(c.nodes), c.domain, c.anchor, c.axes, self._refusals(c), beside=c.beside) for c in ordered
        )

    def _refusals(self, cluster: Cluster) -> tuple[Refusal, ...]:
        """Those that still hold: a later node may have brought the two clusters together."""
        return tuple(r for r in dict.fromkeys(cluster.refusals) if self.cluster[r.producer] is not cluster)


def _users(nodes: Collection[Node]) -> dict[Value, set[Node]]:
    """The nodes that take a value, or parts of it."""
    users: dict[Value, set[Node]] = {}
    for node in nodes:
        for base in bases(node):
            users.setdefault(base, set()).add(node)
    return users


def _needed(roots: Roots) -> set[Node]:
    """The nodes whose results are used as data; shapes and axes are part of the code already."""
    needed: set[Node] = set()
    stack = [v.op for v in roots.fetches] + list(roots.effects)
    while stack:
        node = stack.pop()
        if node not in needed:
            needed.add(node)
            stack += [v.op for v in node.data_inputs()]
    return needed


__all__ = ["group_kernels"]
