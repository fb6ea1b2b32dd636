"""Which kernels may sum the columns of a gradient: those that make the gradient of weights of it, and load it anyway.

The sum of columns is the gradient of a layer's biases. As a sweep of its own it reads the whole gradient once more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ...opdef import Reduction
from ...shapes import element_count
from ..index import Access, access_of
from ..ir import Node
from ..kinds.epilogues import takes_column_sums
from .clusters import Cluster, bases, domain_of, is_map, reduced_axes, squeezed

Pair = tuple[Cluster, Cluster]
"""A product, and the sums of columns that its kernel may make beside it."""


def bias_gradients(clusters: Mapping[Node, Cluster], recomputed: Collection[Node]) -> list[Pair]:
    """The pairs among clusters, in the order of the sums."""
    products: dict[object, list[tuple[Cluster, Access]]] = {}
    for cluster in dict.fromkeys(clusters.values()):
        if cluster.anchor is not None and takes_column_sums(cluster.anchor):
            gradient = access_of(cluster.anchor.data_inputs()[-1])
            products.setdefault(gradient.base, []).append((cluster, gradient))
    found: list[Pair] = []
    for cluster in dict.fromkeys(clusters.values()):
        summed = _summed(cluster, recomputed)
        if summed is not None:
            found += [(product, cluster) for product, taken in products.get(summed.base, ()) if _is_same(taken, summed)]
    return found


def _summed(cluster: Cluster, recomputed: Collection[Node]) -> Access | None:
    """The array whose columns a cluster sums, if it does nothing else but use the sums one by one."""
    if cluster.kind != "reduce" or cluster.axes != tuple(range(len(cluster.domain) - 1)):
        return None
    folds = [n for n in cluster.nodes if isinstance(n.kind, Reduction)]
    rest = [n for n in cluster.nodes if n not in folds]
    wanted = squeezed(cluster.kept)
    if len(folds) != 1 or folds[0].type != "Sum" or reduced_axes(folds[0]) != cluster.axes:
        return None
    if any(not is_map(n) or n.opdef.effect == "check" for n in rest):
        return None
    if any(squeezed(domain_of(n)) != wanted for n in rest if n.outputs):
        return None
    if any(base.op in recomputed and element_count(base.dims) != 1 for n in rest for base in bases(n)):
        return None  # random numbers are drawn for the weights' gradient only
    access = access_of(folds[0].inputs[0])
    return access if access.is_whole else None


def _is_same(one: Access, other: Access) -> bool:
    """True for two whole views of an array that have the same columns."""
    return one.is_whole and other.is_whole and one.dims[-1] == other.dims[-1]
