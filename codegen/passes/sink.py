"""Element-level results that only other kernels use are made there, where that moves less memory.

An activation's gradient times the layer's scale, say, is no longer stored by the kernel of a convolution for the two
sweeps that read it: they compute it from the gradient, which is in memory for others too. What is not, but follows from
memory in a few cheap steps, is made again on the way: the gradient of a normalisation takes the layer's values once more
instead of the normalised ones, which nobody stores then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...opdef import Pointwise
from ...shapes import element_count
from ..index import access_of
from ..ir import Group, Node, Refusal, Roots, Value
from ..target import nominal
from .clusters import CHEAP, bases, is_compute, is_map
from .place_copies import variable_of

GIVEN = frozenset(("Const", "_Extent", "_Iota"))
LONGEST = 3  # nodes that are made again on the way to one
SWEEPS = ("pointwise", "rows", "slabs", "reduce")


def sink(groups: Sequence[Group], roots: Roots) -> tuple[Group, ...]:
    """The groups with nodes moved to those that use them."""
    return _Sinking(groups, roots).run()


class _Sinking:
    def __init__(self, groups: Sequence[Group], roots: Roots) -> None:
        self.groups = list(groups)
        self.nodes = [list(g.nodes) for g in groups]
        self.refusals: list[list[Refusal]] = [[] for _ in groups]
        self.fetched = set(roots.fetches)
        self.home = {n: i for i, g in enumerate(groups) for n in g.nodes}
        self.users: dict[Value, set[int]] = {}  # the groups that take a value
        self.unstored: set[Value] = set()  # what every kernel makes that uses it
        self.writers: dict[Node, list[int]] = {}  # the groups that write a variable
        for i, group in enumerate(groups):
            for node in group.nodes:
                for base in bases(node):
                    self.users.setdefault(base, set()).add(i)
                for reference in (v for v in node.inputs if v.dtype.is_ref):
                    self.writers.setdefault(variable_of(reference), []).append(i)

    def run(self) -> tuple[Group, ...]:
        while self._sweep():
            pass
        made = zip(self.groups, self.nodes, self.refusals, strict=True)
        return tuple(
            replace(g, nodes=tuple(sorted(nodes, key=lambda n: n.id)), refusals=(*g.refusals, *reasons))
            for g, nodes, reasons in made
            if nodes
        )

    def _sweep(self) -> bool:
        """Move what should move, kernel by kernel; True if there was something. Each time less memory is moved."""
        moved = False
        for i in range(len(self.groups)):
            for node in reversed(tuple(self.nodes[i])):
                chain = self._chain(node, i)
                if self._should_move(node, chain, i):
                    self._move(node, chain, i)
                    moved = True
        return moved

    def _chain(self, node: Node, home: int) -> list[Node]:
        """A node and what it is made of in its kernel but nobody finds in memory, if that can be made elsewhere; else []."""
        domain = self.groups[home].domain
        chain = [node]
        for member in chain:
            is_plain = isinstance(member.kind, Pointwise) and member.opdef.is_pure and len(member.outputs) == 1
            if not is_plain or member is self.groups[home].anchor or (member is not node and member.type not in CHEAP):
                return []
            for access in (access_of(v) for v in member.data_inputs()):
                if access.base.op in chain or access.base.op.type in GIVEN or self._is_stored(access.base, home):
                    continue
                if not access.is_whole or access.dims != domain or access.base.dims != domain or len(chain) == LONGEST:
                    return []
                chain.append(access.base.op)
        return chain

    def _should_move(self, node: Node, chain: list[Node], home: int) -> bool:
        group = self.groups[home]
        if not chain or self.home[node] != home or len(self.nodes[home]) == 1:
            return False
        value = node.outputs[0]
        users = self.users.get(value, set())
        if not users or home in users or value in self.fetched or (len(users) > 1 and node.type not in CHEAP):
            return False
        if value.dims != group.domain or not all(self._takes(user, node) for user in users):
            return False
        operands = self._operands(chain)
        if any(self._changes(base, home, users) for base in operands):
            return False
        if any(is_compute(b.op) and b.op not in self.home and element_count(b.dims) != 1 for b in operands):
            return False  # drawn where it is used
        added = sum(_size(base) for user in users for base in operands if user not in self.users.get(base, ()))
        return added < _size(value) * (1 + len(users))

    def _operands(self, chain: list[Node]) -> set[Value]:
        """What the nodes of a chain take from memory."""
        return {b for node in chain for b in bases(node) if b.op not in chain and b.op.type not in GIVEN}

    def _takes(self, user: int, node: Node) -> bool:
        """True if the sweep of a group can make the node's elements where it uses them."""
        group, value = self.groups[user], node.outputs[0]
        if group.kind not in SWEEPS or group.domain != value.dims:
            return False
        taken = [(n, access_of(v)) for n in self.nodes[user] for v in n.data_inputs() if not v.dtype.is_ref]
        return all(
            a.is_whole and a.dims == value.dims and (n.outputs[0].dims == value.dims or not is_map(n))
            for n, a in taken
            if a.base is value
        )

    def _is_stored(self, base: Value, home: int) -> bool:
        """True if an operand is in memory whether the node is here or elsewhere."""
        if base in self.unstored:
            return False
        return self.home.get(base.op) != home or base in self.fetched or bool(self.users.get(base, set()) - {home})

    def _changes(self, base: Value, home: int, users: set[int]) -> bool:
        """True if an operand is a variable that is written before a user could read it."""
        if base.op.type != "_Read":
            return False
        return any(home <= writer <= max(users) for writer in self.writers.get(variable_of(base.op.inputs[0]), ()))

    def _move(self, node: Node, chain: list[Node], home: int) -> None:
        users = self.users.pop(node.outputs[0])
        self.unstored.update(member.outputs[0] for member in chain)
        self.nodes[home].remove(node)
        self.home[node] = max(users)
        for user in users:
            self.nodes[user] += [member for member in chain if member not in self.nodes[user]]
        for member in chain[1:]:
            if not any(member.outputs[0] in bases(other) for other in self.nodes[home]):
                self.nodes[home].remove(member)
                self.home[member] = max(users)
        for base in self._operands(chain):
            if base.op in self.home:
                for user in users:
                    self.refusals[user].append(Refusal(base.op, node, "made here, of what is in memory anyway"))
            takers = self.users.setdefault(base, set())
            takers |= users
            if not any(base in bases(other) for other in self.nodes[home]):
                takers.discard(home)


def _size(value: Value) -> int:
    return nominal(element_count(value.dims)) * value.dtype.size
