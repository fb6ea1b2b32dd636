"""Insert the copies that make every remaining view a mere way of indexing.

After this pass: an operand of a primitive, and every fetched value, is contiguous; a view's strides can always be said;
a variable read whose readers come after the next write has been copied before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...opdef import Primitive, Update, View
from ..index import NotStrided, access_of
from ..internal import copy, snapshot
from ..ir import Node, Roots, Value
from ..rewrite import Builder, active_builder, rewrite, sweep

# values that exist before the step: their fetch is a copy
GIVEN = frozenset(("_Feed", "_Read", "Const", "VariableV2", "_Extent", "_Iota"))
# values that exist only inside expressions
UNSTORED = frozenset(("_Extent", "_Iota"))


def place_copies(roots: Roots) -> Roots:
    return _copy_fetches(rewrite(_copy_late_reads(roots), copy_for_contiguity))


def copy_for_contiguity(node: Node) -> Sequence[Value] | None:
    """f(strided view)  ->  f(copy(strided view)), where f cannot follow strides"""
    if isinstance(node.kind, View):
        try:
            for output in node.outputs:
                access_of(output)
        except NotStrided:
            return _again(node, [copy(v) if v in node.data_inputs() else v for v in node.inputs])
        return None
    if isinstance(node.kind, Update):
        return _copy_before_update(node)
    if not isinstance(node.kind, Primitive):
        return None
    data = {v for v in node.data_inputs() if not v.dtype.is_ref}
    written = {variable_of(v) for v in node.inputs if v.dtype.is_ref}
    inputs = [copy(v) if v in data and (not _is_in_memory(v) or _is_of(v, written)) else v for v in node.inputs]
    return None if tuple(inputs) == node.inputs else _again(node, inputs)


def _copy_before_update(node: Node) -> Sequence[Value] | None:
    """v <- f(v at other places)  ->  v <- f(copy(v at other places)): the sweep must not read what it has written"""
    written = {variable_of(v) for v in node.inputs if v.dtype.is_ref}
    data = {v for v in node.data_inputs() if not v.dtype.is_ref and _is_of(v, written)}
    moved = {v for v in data if not is_in_place(v, node)}
    return _again(node, [copy(v) if v in moved else v for v in node.inputs]) if moved else None


def is_in_place(value: Value, node: Node) -> bool:
    """True if element i of `node` takes element i of the whole variable that `value` is read from."""
    access = access_of(value)
    return access.is_whole and access.dims == access.base.dims == node.outputs[0].dims


def _is_in_memory(value: Value) -> bool:
    """True if the elements lie one after the other somewhere (sizes and counting sequences lie nowhere)."""
    access = access_of(value)
    return access.is_contiguous and access.base.op.type not in UNSTORED


def _is_of(value: Value, variables: set[Node]) -> bool:
    """True if the elements are those of a variable that the reader of `value` is about to write."""
    base = access_of(value).base.op
    return base.type == "_Read" and variable_of(base.inputs[0]) in variables


def _again(node: Node, inputs: Sequence[Value]) -> Sequence[Value]:
    return active_builder().add(node.opdef, tuple(inputs), node.attrs).outputs


def _copy_fetches(roots: Roots) -> Roots:
    """Every fetch becomes a value that a kernel writes, once per fetch."""
    seen: set[Value] = set()
    copied: dict[int, Value] = {}
    kept: dict[Value, Value] = {}
    with Builder() as builder:
        effects = []
        for node in roots.nodes:
            builder.label, builder.origin = node.label, node.origin
            new = builder.add(node.opdef, tuple(kept[v] for v in node.inputs), node.attrs, node.id)
            kept.update(zip(node.outputs, new.outputs, strict=True))
            if node in roots.effects:
                effects.append(new)
            for i, fetch in enumerate(roots.fetches):
                if fetch.op is node:
                    value = kept[fetch]
                    if isinstance(node.kind, View) or node.type in GIVEN or value in seen:
                        value = builder.add(copy, (value,), {"T": value.dtype.base_dtype}, ("fetch", i)).outputs[0]
                    seen.add(value)
                    copied[i] = value
    return sweep(builder.nodes, tuple(copied[i] for i in range(len(roots.fetches))), effects)


def _copy_late_reads(roots: Roots) -> Roots:
    """Replace a read of version k by a snapshot if somebody reads it after write k+1."""
    late = _late_reads(roots)
    if not late:
        return roots

    def rule(node: Node) -> Sequence[Value] | None:
        if node.type == "_Read" and (variable_of(node.inputs[0]).attr("key"), node.attr("version")) in late:
            value = active_builder().add(node.opdef, node.inputs, node.attrs).outputs[0]
            return [snapshot(value)]
        return None

    return rewrite(roots, rule)


def _late_reads(roots: Roots) -> set[Any]:
    position = {node: i for i, node in enumerate(roots.nodes)}
    ends: dict[Any, int] = {}  # (variable, version) -> where it is overwritten
    for node in roots.effects:
        if node.opdef.effect == "write":
            for key, version in written_versions(node):
                ends[key, version] = position[node]
    last_use: dict[Any, int] = {}
    alias: dict[Value, Any] = {}
    for node in roots.nodes:
        for value in node.inputs:
            if value in alias:
                last_use[alias[value]] = position[node]
        if node.type == "_Read":
            alias[node.outputs[0]] = (variable_of(node.inputs[0]).attr("key"), node.attr("version"))
        elif isinstance(node.kind, View):
            source = next((alias[v] for v in node.data_inputs() if v in alias), None)
            if source is not None:
                alias.update(dict.fromkeys(node.outputs, source))
    # a fetch is copied where its node stands (see _copy_fetches), so it is no late use
    return {key for key, end in ends.items() if last_use.get(key, -1) > end}


def written_versions(node: Node) -> list[tuple[Any, int]]:
    """The (variable, version) pairs that a write node makes stale."""
    references = [v for v, a in zip(node.inputs, node.opdef.inputs, strict=False) if a.is_ref]
    return [(variable_of(v).attr("key"), version) for v, version in zip(references, node.attr("versions"), strict=True)]


def variable_of(reference: Value) -> Node:
    """The variable node behind a reference (an update returns the reference it was given)."""
    node = reference.op
    while node.type != "VariableV2":
        references = [v for v, a in zip(node.inputs, node.opdef.inputs, strict=False) if a.is_ref]
        node = references[reference.value_index].op
    return node
