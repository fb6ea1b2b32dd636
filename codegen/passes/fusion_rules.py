"""Which clusters may become one kernel: every method gives the reason against it, in words for `explain`, or None."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from ...opdef import Reduction, Update
from ...shapes import Dims
from ..index import Access, access_of, broadcast_access, row_major
from ..internal_moments import sums_deviations
from ..ir import Node, Value
from ..kinds import epilogues
from .clusters import (
    FOLDS,
    Cluster,
    bases,
    domain_of,
    is_map,
    is_short_row_reduction,
    is_slab_reduction,
    reduced_axes,
    squeezed,
)
from .place_copies import is_in_place, variable_of


class FusionRules:
    """The rules, over clusters that are being formed."""

    def __init__(self, fetched: Collection[Value], users: dict[Value, set[Node]]) -> None:
        self.cluster: dict[Node, Cluster] = {}
        self.fetched = fetched
        self.users = users  # of a value or of parts of it

    def obstacle(self, producer: Cluster, own: Cluster, node: Node) -> str | None:
        """Why `own` (the cluster of `node`) cannot run inside `producer`, or None."""
        if own.anchor is not None and own.anchor is not node and own.kind != "pointwise":
            # the node has already joined a reduction or primitive; only a pointwise producer may come in too
            if producer.kind != "pointwise" or own.kind not in FOLDS:
                return f"has joined the {own.kind} kernel of {own.anchor.label}"
            if producer.domain != own.domain:
                return _domains(producer, own)
            return self._alignment(producer, own)
        if isinstance(node.kind, Reduction):
            return self._reduction_obstacle(producer, own, node)
        if epilogues.is_max_pool(node) and epilogues.takes_pool(producer.anchor, node):
            return self._pool_obstacle(producer, own, node)
        if not is_map(node):
            return f"{node.type} has a kernel of its own"
        if epilogues.takes_epilogue(producer.anchor):
            return self._epilogue_obstacle(producer, own)
        if producer.kind not in ("pointwise", *FOLDS):
            return f"{producer.kind} takes no epilogue"
        if producer.kind in FOLDS and self._follows_results(producer, own):
            return None
        if own.domain != producer.domain:
            return _domains(producer, own)
        if producer.kind == "reduce":
            return self._beside_reduction(producer, own)
        return self._alignment(producer, own)

    # --- reductions -------------------------------------------------------------------------------------------------

    def _reduction_obstacle(self, producer: Cluster, own: Cluster, node: Node) -> str | None:
        if producer.kind == "pointwise":
            return _domains(producer, own) if producer.domain != own.domain else self._alignment(producer, own)
        if producer.kind in FOLDS and producer.domain == own.domain and producer.axes == own.axes:
            return self._beside_reduction(producer, own) if producer.kind == "reduce" else self._alignment(producer, own)
        if producer.kind == "rows":
            return self._over_rows_obstacle(producer, node)
        if producer.kind not in FOLDS:
            return f"{producer.kind} takes no reduction"
        return "a reduction over another domain or other axes"

    def _over_rows_obstacle(self, producer: Cluster, node: Node) -> str | None:
        """A kernel over rows may add up the results of all rows, and whole columns, part by part of the rows."""
        access = access_of(node.inputs[0])
        if sums_deviations(node):
            return "squared deviations are summed by a kernel of reductions"
        if not access.is_whole or access.base in producer.totals():
            return "needs the results of all rows"
        axes = reduced_axes(node)
        is_total = all(axis in axes or access.dims[axis] == 1 for axis in range(len(access.dims)))
        if access.base in producer.folded():
            return None if is_total else "a reduction over some of the rows"
        outer = tuple(axis for axis in range(len(producer.domain)) if axis not in producer.axes)
        if access.dims != producer.domain or not (is_total or axes == outer):
            return "a reduction over another domain or other axes"
        if not is_total and not is_short_row_reduction(producer.domain, producer.axes):
            return "sums of columns beside long rows"
        return None

    def _beside_reduction(self, producer: Cluster, own: Cluster) -> str | None:
        """Element-level nodes may share the sweep of a reduction as long as they do not use its result, or may sweep again
        over slabs."""
        if own.sweeps_after(producer) and not is_slab_reduction(producer.domain, producer.axes):
            return "needs the finished reduction"
        return self._alignment(producer, own)

    def may_sweep_after(self, own: Cluster, other: Cluster) -> bool:
        """True if one kernel may do the work of two folds over the same axes, though `own` needs what `other` makes."""
        is_rows = own.kind == other.kind == "rows"
        return (is_rows or is_slab_reduction(own.domain, own.axes)) and self._alignment(other, own) is None

    def only_finishes(self, cluster: Cluster, other: Cluster) -> bool:
        """True if what `cluster`, a fold, takes from `other` are finished results, and only after its own fold."""
        if cluster.kind != "reduce" or any(n.opdef.effect == "check" for n in other.nodes):
            return False
        finished = {n for n in cluster.nodes if n.outputs and n.outputs[0] in cluster.folded() and is_map(n)}
        results, wanted = other.folded(), squeezed(other.kept)
        taken = [(n, access_of(v)) for n in cluster.nodes for v in n.data_inputs() if not v.dtype.is_ref]
        taken = [(n, a) for n, a in taken if self.cluster.get(a.base.op) is other]
        return bool(taken) and all(
            n in finished and a.base in results and a.is_whole and squeezed(a.dims) == wanted for n, a in taken
        )

    def makes_rows(self, total: Cluster, columns: Cluster) -> bool:
        """True if a sum of everything and sums of columns may become one kernel over rows, which adds up both."""
        domain = total.domain
        if total.kind != "reduce" or columns.kind != "reduce" or domain != columns.domain or len(domain) < 2:
            return False
        if any(sums_deviations(n) for c in (total, columns) for n in c.nodes):
            return False
        outer, last = tuple(range(len(domain) - 1)), len(domain) - 1
        if total.axes != (*outer, last) or columns.axes != outer or not is_short_row_reduction(domain, (last,)):
            return False
        return all(
            depends_on([n for n in c.nodes if is_map(n) and domain_of(n) != domain], c.folded()) for c in (total, columns)
        )

    # --- primitives -------------------------------------------------------------------------------------------------

    def _epilogue_obstacle(self, producer: Cluster, own: Cluster) -> str | None:
        if own.kind != "pointwise":
            return f"has joined a {own.kind} kernel"
        if own.domain != producer.domain:
            return _domains(producer, own)
        if reason := self._alignment(producer, own):
            return reason
        for value in self.operands(own):
            if not self.is_inside(value, producer) and not as_matrix_operand(value, own.domain):
                return "an operand that rows and columns do not describe"
        if any(n.opdef.effect == "check" for n in own.nodes):
            return f"a check does not run inside {producer.kind}"
        return None

    def _pool_obstacle(self, producer: Cluster, own: Cluster, node: Node) -> str | None:
        """The kernel of a convolution stores what the pooling makes, and nothing else."""
        if reason := self._alignment(producer, own):
            return reason
        if any(not n.outputs or isinstance(n.kind, Update) for n in producer.nodes):
            return "an update"
        users = set().union(*(self.users.get(v, set()) for n in producer.nodes for v in n.outputs))
        if users - set(producer.nodes) != {node} or any(v in self.fetched for n in producer.nodes for v in n.outputs):
            return "the values before the pooling are used elsewhere"
        return None

    # --- variables --------------------------------------------------------------------------------------------------

    def overwrites_operand(self, producer: Cluster, own: Cluster) -> bool:
        """True if one kernel would write a variable and read other elements of it than the one it is about to write."""
        nodes = producer.nodes + own.nodes
        writers = {variable_of(v): n for n in nodes for v in n.inputs if v.dtype.is_ref}
        # what long rows need again, a later sweep may read again
        reads = _reads_any if _is_long(producer) or _is_long(own) else _reads_elsewhere
        return bool(writers) and any(
            reads(node, value, writers) for node in nodes for value in node.data_inputs() if not value.dtype.is_ref
        )

    # --- alignment --------------------------------------------------------------------------------------------------

    def operands(self, cluster: Cluster) -> Iterable[Value]:
        """What the nodes of a cluster take from outside of it."""
        for node in cluster.nodes:
            for value in node.data_inputs():
                if not value.dtype.is_ref and not self.is_inside(value, cluster):
                    yield value

    def is_inside(self, value: Value, cluster: Cluster) -> bool:
        return self.cluster.get(access_of(value).base.op) is cluster

    def _alignment(self, producer: Cluster, own: Cluster) -> str | None:
        """Whether every value that `own` takes from `producer` is at the same position of the domain."""
        folded, totals = producer.folded(), producer.totals()
        for value in self.operands(own):
            access = access_of(value)
            if self.cluster.get(access.base.op) is not producer:
                continue
            if access.base in totals:
                return "needs the results of all rows"
            if access.base in folded:
                if not is_row_operand(broadcast_access(access, producer.domain), producer.axes):
                    return "operands at other positions"
            elif access.dims != producer.domain or access.base.dims != producer.domain or not access.is_whole:
                return "operands at other positions"
        return None

    def _follows_results(self, producer: Cluster, own: Cluster) -> bool:
        """True if `own` takes only results of one size from a fold, each at its own position."""
        if own.kind != "pointwise":
            return False
        totals = producer.totals()
        taken = [a for a in map(access_of, self.operands(own)) if self.cluster.get(a.base.op) is producer]
        ends = [a.base in totals for a in taken]
        results = totals if any(ends) else producer.folded()
        if any(ends) and not depends_on(own.nodes, {a.base for a in taken}):
            return False  # part of it could be computed before, and would have to be
        sizes = {squeezed(n.outputs[0].dims) for n in own.nodes if n.outputs}
        wanted = squeezed(own.domain) if any(ends) else squeezed(producer.kept)
        return (
            bool(taken)
            and all(e == ends[0] for e in ends)
            and sizes == {wanted}
            and all(a.base in results and a.is_whole and squeezed(a.dims) == wanted for a in taken)
        )


def depends_on(nodes: Iterable[Node], values: Collection[Value]) -> bool:
    """True if each of these nodes (in order) takes one of the values, or what another of the nodes makes of them."""
    found = set(values)
    for node in nodes:
        if not any(base in found for base in bases(node)):
            return False
        found.update(node.outputs)
    return True


def _is_long(cluster: Cluster) -> bool:
    return cluster.kind == "rows" and not is_short_row_reduction(cluster.domain, cluster.axes)


def _reads_any(node: Node, value: Value, writers: dict[Node, Node]) -> bool:
    base = access_of(value).base
    return base.op.type == "_Read" and variable_of(base.op.inputs[0]) in writers


def _reads_elsewhere(node: Node, value: Value, writers: dict[Node, Node]) -> bool:
    if not _reads_any(node, value, writers):
        return False
    base = access_of(value).base
    writer = writers[variable_of(base.op.inputs[0])]
    # a fold over rows has read its whole row before a later sweep stores to it
    sweeps = isinstance(node.kind, Reduction) and is_short_row_reduction(node.inputs[0].dims, reduced_axes(node))
    return not is_in_place(value, writer) or not (is_map(node) or sweeps)


def _domains(producer: Cluster, own: Cluster) -> str:
    return f"different domains {list(producer.domain)} and {list(own.domain)}"


def is_row_operand(access: Access, axes: tuple[int, ...]) -> bool:
    """True if `access`, over the whole domain, is one value per row, rows in order."""
    if any(access.strides[a] != 0 and access.dims[a] != 1 for a in axes):
        return False
    kept = [i for i in range(len(access.dims)) if i not in axes]
    expected = row_major([access.dims[i] for i in kept])
    return access.offset == 0 and all(
        access.dims[i] == 1 or access.strides[i] == e for i, e in zip(kept, expected, strict=True)
    )


def as_matrix_operand(value: Value, domain: Dims) -> tuple[Any, Any, Any] | None:
    """(row stride, column stride, offset) of an operand over the domain seen as [rows, columns], or None."""
    access = broadcast_access(access_of(value), domain)
    if not domain:
        return 0, 0, access.offset
    strides = access.strides
    leading = [(d, s) for d, s in zip(domain[:-1], strides[:-1]) if d != 1]
    row: Any = 0
    if leading:
        row = leading[-1][1]
        step = row
        for d, s in reversed(leading):
            if s != step:
                return None
            step = d * step
    column = strides[-1] if domain[-1] != 1 else 0
    return row, column, access.offset
