"""Groups being formed: what a node iterates over, what must be done before it, and the values that a cluster makes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from ...opdef import Pointwise, Primitive, Reduction, Update, View
from ...shapes import Batch, Dims, element_count, normalise_axis
from ..index import access_of
from ..ir import Node, Refusal, Roots, Value
from ..target import CUDA, host_target
from .place_copies import variable_of

# what is computed again, by several kernels or sweeps, sooner than stored and read
CHEAP = frozenset("Add AddN Sub Mul Neg Cast Relu ReluGrad SquaredDifference Square Select SelectV2 Maximum Minimum".split())
# a row whose intermediate values fit in a few KB of stack is swept several times from cache
ROW_LIMIT = 2048
# a longer one from the second-level cache, with nothing on the stack, where there are rows enough for the threads: sparse
# cross-entropy of 64 x 50,257 and its gradient take 0.65 ms so, 0.9 to 1.2 ms in a kernel for each sweep
LONG_ROW_LIMIT = 65536
LONG_ROWS = 8
# a block of columns is swept several times from cache, as long as its values fit in some 10 KB of stack. Rows that are
# further from each other than a block is wide miss more: softmax of [2, 1024, 1024] takes 770 us so, 520 us otherwise, but
# normalisation of [16, 32, 32, 32] over the pixels 42 us and 89 us
SLAB_LIMIT = 512
NARROW_SLAB_LIMIT = 1024
NARROW = 128
SLAB_COLUMNS = 16  # of a block at least: a line of the cache
SLABS = 8  # blocks that occupy the threads; with fewer, a fold in parts does
SMALL = 16384  # elements that one thread may as well take alone
FOLDS = ("rows", "slabs", "reduce")
NO_KERNEL = frozenset(("Const", "_Feed", "_Read", "VariableV2", "_Extent", "_Iota"))


def is_compute(node: Node) -> bool:
    """True for nodes that become (part of) a kernel."""
    return node.type not in NO_KERNEL and not isinstance(node.kind, View)


def dependencies(roots: Roots, recomputed: Collection[Node] = ()) -> dict[Node, set[Node]]:
    """The compute nodes that must be done before each compute node: data, variable versions, checks before writes.

    `recomputed` nodes belong to whoever uses them, as views do.
    """
    sources: dict[Value, set[Node]] = {}  # what a value depends on, seen through views and reads
    edges: dict[Node, set[Node]] = {}
    writers: dict[Any, Node] = {}  # (variable, version) -> the write that made it
    readers: dict[Any, set[Node]] = {}
    reads: dict[Value, frozenset[Any]] = {}
    checks: set[Node] = set()
    for node in roots.nodes:
        data = node.data_inputs()
        before: set[Node] = set().union(*(sources.get(v, set()) for v in data)) if data else set()
        read = frozenset().union(*(reads.get(v, frozenset()) for v in data)) if data else frozenset()
        if node.type == "_Read":
            version = (variable_of(node.inputs[0]).attr("key"), node.attr("version"))
            before = {writers[version]} if version in writers else set()
            read = frozenset((version,))
        elif is_compute(node) and node not in recomputed:
            for version in read:
                readers.setdefault(version, set()).add(node)
            if node.opdef.effect == "write":
                before = before | checks
                references = [v for v, a in zip(node.inputs, node.opdef.inputs, strict=False) if a.is_ref]
                for reference, number in zip(references, node.attr("versions"), strict=True):
                    key = variable_of(reference).attr("key")
                    before = before | readers.get((key, number), set())
                    if (key, number) in writers:
                        before.add(writers[key, number])
                    writers[key, number + 1] = node
            edges[node] = before - {node}
            if node.opdef.effect == "check":
                checks.add(node)
            before, read = {node}, frozenset()
        for output in node.outputs:
            sources[output] = before
            reads[output] = read
    return edges


class Cluster:
    """A group being formed."""

    def __init__(self, number: int, node: Node) -> None:
        self.number = number
        self.nodes = [node]
        self.before: set[Node] = set()
        self.bits = 1 << number  # a set of clusters is a number: this one, with those it has taken in,
        self.above = 0  # and all that lead to it, through others too
        self.domain: Dims = domain_of(node)
        self.anchor: Node | None = None if is_map(node) else node
        self.kind = "pointwise"
        self.axes: tuple[int, ...] = ()
        self.refusals: list[Refusal] = []
        self.beside: tuple[Node, ...] = ()  # of `nodes`, as in a Group
        if isinstance(node.kind, Reduction):
            self.domain = node.inputs[0].dims
            self.axes = reduced_axes(node)
            self.kind = "rows" if is_row_reduction(self.domain, self.axes) else "reduce"
        elif isinstance(node.kind, Primitive):
            self.kind = node.kind.kernel

    @property
    def kept(self) -> Dims:
        """The dimensions of the anchor's result."""
        assert self.anchor is not None
        return self.anchor.outputs[0].dims

    def folded(self) -> set[Value]:
        """What the kernel makes once per row: results of its reductions and what follows from them alone."""
        if self.kind not in FOLDS:
            return set()
        return {
            v for n in self.nodes if isinstance(n.kind, Reduction) or domain_of(n) != self.domain for v in n.outputs
        } - self.totals()

    def totals(self) -> set[Value]:
        """What is known only after all rows: results of reductions over rows, and what follows from them."""
        return totals_of(self.nodes, self.domain, self.axes) if self.kind == "rows" else set()

    def sweeps_after(self, other: Cluster) -> bool:
        """True if this kernel goes over the elements that `other`, a fold, goes over, and needs its results there."""
        results = other.folded()
        over = [n for n in self.nodes if not is_map(n) or domain_of(n) == other.domain]
        return self.domain == other.domain and any(base in results for n in over for base in bases(n))


def is_over_rows(node: Node, domain: Dims, axes: tuple[int, ...]) -> bool:
    """True for a reduction in a kernel over rows that does not fold each row, but results or columns of all of them."""
    return isinstance(node.kind, Reduction) and (node.inputs[0].dims != domain or reduced_axes(node) != axes)


def totals_of(nodes: Collection[Node], domain: Dims, axes: tuple[int, ...]) -> set[Value]:
    """The values of a kernel over rows (nodes in order) that are known only after all rows."""
    found: set[Value] = set()
    for node in nodes:
        if is_over_rows(node, domain, axes) or any(base in found for base in bases(node)):
            found.update(node.outputs)
    return found


def bases(node: Node) -> Iterator[Value]:
    """The materialised values that the operands of a node look at."""
    return (access_of(v).base for v in node.data_inputs() if not v.dtype.is_ref)


def is_map(node: Node) -> bool:
    """True for a node that is computed element by element."""
    return isinstance(node.kind, (Pointwise, Update))


def domain_of(node: Node) -> Dims:
    """The iteration space of a pointwise node or update."""
    return node.outputs[0].dims if node.outputs else ()


def squeezed(dims: Dims) -> Dims:
    """The dimensions that are not 1; where these agree, so do the positions of elements in memory."""
    return tuple(d for d in dims if d != 1)


def reduced_axes(node: Node) -> tuple[int, ...]:
    """The axes a reduction folds, counted from the front, ascending."""
    rank = len(node.inputs[0].dims)
    axes = node.inputs[1].known()
    assert axes is not None
    return tuple(sorted({normalise_axis(int(a), rank) for a in axes.reshape(-1)}))


def is_row_reduction(domain: Dims, axes: tuple[int, ...]) -> bool:
    """True for a fold over trailing axes whose rows stay in the caches."""
    return is_short_row_reduction(domain, axes) or _is_long_row_reduction(domain, axes)


def is_short_row_reduction(domain: Dims, axes: tuple[int, ...]) -> bool:
    """True for a fold over trailing axes whose rows are short."""
    columns = _columns(domain, axes)
    return isinstance(columns, int) and 1 <= columns <= ROW_LIMIT


def _is_long_row_reduction(domain: Dims, axes: tuple[int, ...]) -> bool:
    columns = _columns(domain, axes)
    rows = element_count(domain[: len(domain) - len(axes)])
    is_enough = isinstance(rows, Batch) or rows >= LONG_ROWS
    is_long = isinstance(columns, int) and ROW_LIMIT < columns <= LONG_ROW_LIMIT
    return is_long and is_enough and host_target() is not CUDA  # there a row stays in shared memory


def _columns(domain: Dims, axes: tuple[int, ...]) -> Any:
    """The elements of a row if `axes` are the last ones, but not all of them; else None."""
    if not axes or len(axes) >= len(domain) or axes != tuple(range(len(domain) - len(axes), len(domain))):
        return None
    return element_count([domain[a] for a in axes])


def is_slab_reduction(domain: Dims, axes: tuple[int, ...]) -> bool:
    """True for a short fold over axes before the last one, with enough columns beside each other for all threads."""
    kept = [d for a, d in enumerate(domain) if a not in axes and d != 1]
    last = max((a for a, d in enumerate(domain) if d != 1), default=0)
    length = element_count([domain[a] for a in axes])
    if not kept or 0 in kept or last in axes or not isinstance(length, int) or length < 2:
        return False
    is_narrow = isinstance(kept[-1], int) and kept[-1] <= NARROW
    if length > (NARROW_SLAB_LIMIT if is_narrow else SLAB_LIMIT):
        return False
    if any(isinstance(d, Batch) for d in kept):
        return True
    blocks = element_count(kept[:-1]) * -(-kept[-1] // SLAB_COLUMNS)
    return blocks >= SLABS or element_count(kept) * length <= SMALL
