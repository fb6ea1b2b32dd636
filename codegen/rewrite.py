"""The one graph walk: rebuild a program node by node, letting rules replace nodes; equal pure nodes merge on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..arguments import bind, output_dtypes
from ..convert import as_array, const_op
from ..dtypes import DType, as_dtype
from ..opdef import REGISTRY, Call, OpDef
from .ir import Node, Roots, Value

# a rule sees a node whose inputs are already rewritten; it returns the values that take the place of the node's
# outputs, or None to leave it alone
Rule = Callable[[Node], Sequence[Value] | None]


class _Builders(threading.local):
    """The builders of the rewrites that are going on, innermost last: sessions compile in several threads at once."""

    def __init__(self) -> None:
        self.stack: list[Builder] = []


_builders = _Builders()


def active_builder() -> Builder:
    """The builder of the rewrite that is going on in this thread."""
    return _builders.stack[-1]


class Builder:
    """A program under construction. Entering it makes op functions called on values add nodes here."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._merged: dict[Any, Node] = {}
        self.label = ""
        self.origin: Any = None

    def __enter__(self) -> Builder:
        _builders.stack.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _builders.stack.pop()

    def build(self, op: OpDef, inputs: Sequence[Any], attrs: Mapping[str, Any], name: str | None) -> Node:
        """Add a call whose inputs may be Python values; they become constants."""

        def convert(value: Any, dtype: DType | None, argument: str, as_ref: bool) -> Value:
            return value if isinstance(value, Value) else self.constant(as_array(value, dtype))

        flat, bound = bind(op, inputs, attrs, convert)
        return self.add(op, tuple(flat), bound)

    def constant(self, array: Any, dtype: DType | None = None, setting: str | None = None) -> Value:
        """A Const node. Elements may be `Batch` (an array of objects, whose `dtype` must be given).

        A `setting` stays apart from equal constants, under this name: see `Node.is_setting`.
        """
        array = np.asarray(array)
        attrs = {"value": array, "dtype": dtype or as_dtype(array.dtype)}
        return self.add(const_op, (), attrs | ({"setting": setting} if setting else {})).outputs[0]

    def add(self, op: OpDef, inputs: tuple[Value, ...], attrs: Mapping[str, Any], unique: Any = None) -> Node:
        """Add a node, or find the equal one that is there already."""
        # a check has no result of its own that could differ: equal checks are one
        mergeable = op.is_pure or op.effect == "check"
        key = (
            (op.type, unique, tuple((v.op.id, v.value_index) for v in inputs), _frozen(attrs))
            if mergeable or unique
            else None
        )
        if key is not None and key in self._merged:
            return self._merged[key]
        node = Node(len(self.nodes), op, inputs, attrs, self.label or op.type, self.origin)
        call = Call(op, inputs, attrs)
        dims = list(op.shape(call))
        dtypes = output_dtypes(op, attrs)
        if len(dims) < len(dtypes):
            dims = dims[:1] * len(dtypes)
        node.outputs = tuple(Value(node, i, t, d) for i, (t, d) in enumerate(zip(dtypes, dims)))  # type: ignore[arg-type]
        self.nodes.append(node)
        if key is not None:
            self._merged[key] = node
        return node


def _frozen(attrs: Mapping[str, Any]) -> Any:
    return tuple(sorted((k, _freeze(v)) for k, v in attrs.items()))


def _freeze(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        text = value.tobytes() if value.dtype != object else repr(value.tolist())
        return (value.dtype.str, value.shape, text)
    if isinstance(value, (list, tuple)):
        return tuple(_freeze(v) for v in value)
    return repr(value) if not isinstance(value, (int, float, str, bool)) else (type(value).__name__, value)


def rewrite(roots: Roots, rule: Rule) -> Roots:
    """Rebuild `roots`, asking `rule` about each node; what nobody needs any more is left out."""
    replaced: dict[Value, Value] = {}
    effects: list[Node] = []
    needed = set(roots.effects)
    with Builder() as builder:
        for node in roots.nodes:
            inputs = tuple(replaced[v] for v in node.inputs)
            builder.label, builder.origin = node.label, node.origin
            start = len(builder.nodes)
            candidate = node if inputs == node.inputs else _with_inputs(node, inputs)
            outputs = rule(candidate)
            if outputs is None:
                unique = node.id if node.opdef.effect in ("random", "feed") else None
                outputs = builder.add(node.opdef, inputs, node.attrs, unique).outputs
                if node in needed:
                    effects.append(builder.nodes[-1] if len(builder.nodes) > start else _producer(outputs, builder, node))
            elif node in needed and node.opdef.effect == "check":
                effects += [n for n in builder.nodes[start:] if n.opdef.effect == "check"]
            elif node in needed:
                effects += [n for n in builder.nodes[start:] if n.opdef.effect in ("write", "check", "print")]
            replaced.update(zip(node.outputs, outputs, strict=True))
    fetches = tuple(replaced[v] for v in roots.fetches)
    return sweep(builder.nodes, fetches, effects)


def _producer(outputs: Sequence[Value], builder: Builder, node: Node) -> Node:
    return outputs[0].op if outputs else builder.nodes[-1]


def _with_inputs(node: Node, inputs: tuple[Value, ...]) -> Node:
    """`node` seen with rewritten inputs (for rules; it is not part of any program)."""
    seen = Node(node.id, node.opdef, inputs, node.attrs, node.label, node.origin)
    seen.outputs = tuple(Value(seen, v.value_index, v.dtype, v.dims) for v in node.outputs)
    return seen


def sweep(nodes: Iterable[Node], fetches: tuple[Value, ...], effects: Sequence[Node]) -> Roots:
    """Keep the ancestors of fetches and effects, in order."""
    nodes = list(nodes)
    effects = list(dict.fromkeys(effects))
    alive = {v.op for v in fetches} | set(effects)
    for node in reversed(nodes):
        if node in alive:
            alive.update(v.op for v in node.inputs)
    return Roots(tuple(n for n in nodes if n in alive), fetches, tuple(effects))


def registered(type_name: str) -> OpDef:
    return REGISTRY[type_name]
