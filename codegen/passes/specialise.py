"""Operations of the user's graph -> Roots: every dimension becomes an int or a multiple of N.

Comes in: the operations of a run in execution order, the fed tensors with their dimensions, the values of those feeds
that decide shapes or branches. Goes out: nodes with concrete shapes; references are gone (each read of a variable says
after how many writes it happens), branches of `tf.cond` are resolved or turned into selections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from ...errors import InvalidArgumentError, ShapeError
from ...guards import SWITCHES
from ...opdef import REGISTRY, Host, OpDef, Update
from ...order import shares_memory
from ...run_errors import at_node, unfed
from ...shapes import Batch, Undecided, show
from ..internal import feed, read
from ..ir import Node, Roots, Value
from ..problems import NeedsConstants, NeedsValues, NotCompilable
from ..rewrite import Builder, sweep

SIDE_EFFECTS = ("write", "check", "print")

OF_SIZES = frozenset(("Shape", "ShapeN", "Size", "Rank", "_Extent"))  # no element of the operand matters to these

DEAD: Any = object()  # the value of an output whose branch is not taken


def specialise(
    order: Sequence[Any],
    fetches: Sequence[Any],
    feeds: Sequence[Any],
    dims: Sequence[Any],
    values: Mapping[int, np.ndarray],
    variable_dims: Mapping[str, tuple[int, ...]],
) -> Roots:
    """The nodes of one program. May raise NeedsConstants, NeedsValues, NotCompilable or InvalidArgumentError."""
    return _Specialiser(feeds, dims, values, variable_dims).run(order, fetches)


class _Specialiser:
    def __init__(self, feeds: Any, dims: Any, values: Any, variable_dims: Any) -> None:
        self.builder = Builder()
        self.feeds = {tensor: i for i, tensor in enumerate(feeds)}
        self.dims = dims
        self.values = values
        self.variable_dims = variable_dims
        self.of: dict[Any, Any] = {}  # graph tensor -> Value (or DEAD)
        self.variable: dict[Value, Node] = {}  # reference value -> its variable node
        self.versions: dict[Node, int] = {}
        self.dead: set[Any] = set()  # operations of branches not taken
        self.guards: dict[Any, dict[Value, bool]] = {}  # operation -> predicates under which it runs
        self.effects: list[Node] = []

    def run(self, order: Sequence[Any], fetches: Sequence[Any]) -> Roots:
        wanted = frozenset(fetches)
        with self.builder:
            for tensor, index in self.feeds.items():
                self._feed(tensor, index)
            fetched = {tensor: value for tensor, value in self.of.items() if tensor in wanted}
            for op in order:
                self.builder.label, self.builder.origin = op.name, op
                if not op.outputs or any(t not in self.of for t in op.outputs):
                    self._operation(op)
                fetched.update({t: self._deref(self._alive(t)) for t in op.outputs if t in wanted})
            # a fetched variable is read when all is done
            fetched.update({t: self._deref(self._alive(t)) for t in fetched if t.dtype.is_ref})
        return sweep(self.builder.nodes, tuple(fetched[t] for t in fetches), self.effects)

    def _alive(self, tensor: Any) -> Value:
        value = self.of[tensor]
        if value is DEAD:
            raise at_node(InvalidArgumentError, tensor.op, "Retval[0] does not have value")
        return value

    def _feed(self, tensor: Any, index: int) -> None:
        self.builder.label, self.builder.origin = tensor.op.name, tensor.op
        if index in self.values:
            self.of[tensor] = self.builder.constant(self.values[index])
            return
        attrs = {"dtype": tensor.dtype.base_dtype, "dims": tuple(self.dims[index]), "index": index}
        self.of[tensor] = self.builder.add(feed, (), attrs, ("feed", index)).outputs[0]

    # --- one operation ----------------------------------------------------------------------------------------------

    def _operation(self, op: Any) -> None:
        inputs = [self.of[t] for t in op.inputs]
        if op.type == "Merge":
            self._merge(op, inputs)
            return
        if DEAD in inputs or any(c in self.dead for c in op.control_inputs):
            self.dead.add(op)
            self.of.update(dict.fromkeys(op.outputs, DEAD))
            return
        self.guards[op] = self._guards(op)
        handler = getattr(self, f"_{op.type.lower()}", None) if op.type in _SPECIAL else None
        outputs = handler(op, inputs) if handler else self._ordinary(op, inputs)
        for tensor, value in zip(op.outputs, outputs):
            self.of.setdefault(tensor, value)

    def _guards(self, op: Any) -> dict[Value, bool]:
        guards: dict[Value, bool] = {}
        for source in [t.op for t in op.inputs] + op.control_inputs:
            guards.update(self.guards.get(source, {}))
        for tensor in op.inputs:
            if tensor.op.type in SWITCHES and tensor not in self.feeds:
                predicate = self.of[tensor.op.inputs[1]]
                if predicate.known() is None:
                    guards[predicate] = bool(tensor.value_index)
        return guards

    def _ordinary(self, op: Any, inputs: list[Value]) -> Sequence[Value]:
        definition: OpDef = op.opdef
        if isinstance(definition.kind, Host) or any(t.dtype.base_dtype.name == "string" for t in op.outputs):
            raise NotCompilable(f"{op.name} ({op.type}) runs in Python")
        if isinstance(definition.kind, Update) or definition.effect == "write":
            return self._write(op, inputs)
        inputs = [self._deref(v) for v in inputs]
        attrs = {**op.attrs, "setting": op.name} if op.is_setting else op.attrs
        node = self._add(op, definition, tuple(inputs), attrs)
        if definition.effect in SIDE_EFFECTS:
            if self.guards[op]:
                raise NotCompilable(f"{op.name} ({op.type}) is a check inside a tf.cond branch decided at run time")
            self.effects.append(node)
        return node.outputs

    def _add(self, op: Any, definition: OpDef, inputs: tuple[Value, ...], attrs: Mapping[str, Any]) -> Node:
        for name in definition.static:
            value = inputs[definition.position(name, attrs)]
            if value.known() is None:
                raise NeedsValues(self._deciding_feeds(value, op))
        try:
            node = self.builder.add(definition, inputs, attrs, op.name if definition.effect == "random" else None)
        except ShapeError as error:
            raise at_node(InvalidArgumentError, op, error.run) from None
        except Undecided as reason:
            raise NeedsConstants(f"{op.name} ({op.type}): {reason}") from None
        for value in node.outputs:
            if value.dims is None or any(d is None for d in value.dims):
                raise NotCompilable(f"the shape {show(value.dims)} of {op.name} ({op.type}) depends on data")
        return node

    def _deciding_feeds(self, value: Value, op: Any) -> list[int]:
        """The feeds that `value`, which must be known before the run, is computed from."""
        found = _feeds_behind(value)
        if found is None:
            raise NotCompilable(f"{op.name} ({op.type}) needs a value that is computed during the run")
        if not found:
            # everything is constant but some operator refused symbolic sizes
            raise NeedsConstants(f"{op.name} ({op.type}) needs the exact sizes of this run")
        return sorted(found)

    # --- variables --------------------------------------------------------------------------------------------------

    def _variablev2(self, op: Any, inputs: list[Value]) -> Sequence[Value]:
        shape = op.attrs["shape"]
        dims = self.variable_dims.get(op.name, tuple(shape.as_list()) if shape.is_fully_defined() else None)
        if dims is None:
            raise NotCompilable(f"the shape of the variable {op.name} is unknown")
        attrs = {**op.attrs, "shape": type(shape)(dims), "key": op.name}
        node = self.builder.add(op.opdef, (), attrs, ("variable", op.name))
        self.variable[node.outputs[0]] = node
        self.versions.setdefault(node, 0)
        return node.outputs

    def _deref(self, value: Value) -> Value:
        """The plain value that a reference stands for at this point of the order."""
        if not value.dtype.is_ref:
            return value
        variable = self.variable[value]
        attrs = {"T": value.dtype.base_dtype, "version": self.versions[variable]}
        return self.builder.add(read, (value,), attrs).outputs[0]

    def _identity(self, op: Any, inputs: list[Value]) -> Sequence[Value]:
        return inputs if inputs[0].dtype.is_ref and shares_memory(op) else [self._deref(inputs[0])]

    _stopgradient = _preventgradient = _identity

    def _write(self, op: Any, inputs: list[Value]) -> Sequence[Value]:
        definition: OpDef = op.opdef
        flat = [value if arg.is_ref else self._deref(value) for arg, value in zip(definition.inputs, inputs, strict=True)]
        if self.guards[op]:
            flat = self._guarded(op, flat)
        references = [v for v in flat if v.dtype.is_ref]
        if op.type == "Assign" and flat[0].dims != flat[1].dims:
            self._refuse_shape(op, flat[0].dims, flat[1].dims)
        versions = tuple(self.versions[self.variable[r]] for r in references)
        node = self._add(op, definition, tuple(flat), {**op.attrs, "versions": versions})
        for reference in references:
            self.versions[self.variable[reference]] += 1
        for output, reference in zip(node.outputs, references, strict=False):
            self.variable[output] = self.variable[reference]
        self.effects.append(node)
        return node.outputs

    def _refuse_shape(self, op: Any, held: Any, assigned: Any) -> NoReturn:
        """An assignment whose value does not have the variable's shape, or not for every N."""
        if any(isinstance(dim, Batch) for dim in assigned):
            raise NeedsConstants(f"{op.name} assigns {show(assigned)} to a variable of shape {show(held)}")
        if not op.attrs["validate_shape"]:
            raise NotCompilable(f"{op.name} gives the variable another shape")
        text = f"Assign requires shapes of both tensors to match. lhs shape= {show(held)} rhs shape= {show(assigned)}"
        raise at_node(InvalidArgumentError, op, text)

    def _guarded(self, op: Any, flat: list[Value]) -> list[Value]:
        """The inputs of a write that must leave the variable alone when its branch is not taken."""
        if op.type not in ("Assign", "AssignAdd", "AssignSub"):
            raise NotCompilable(f"{op.name} ({op.type}) is inside a tf.cond branch that is decided at run time")
        reference, value = flat
        idle: Value = self._deref(reference) if op.type == "Assign" else REGISTRY["ZerosLike"](value)
        for predicate, branch in self.guards[op].items():
            value = REGISTRY["Select"](predicate, value, idle) if branch else REGISTRY["Select"](predicate, idle, value)
        return [reference, value]

    # --- tf.cond ----------------------------------------------------------------------------------------------------

    def _switch(self, op: Any, inputs: list[Value]) -> Sequence[Any]:
        data, predicate = inputs[0], self._deref(inputs[1])
        if op.type == "Switch":  # a RefSwitch hands the reference on
            data = self._deref(data)
        known = predicate.known()
        if known is None:
            found = _feeds_behind(predicate)
            # a branch that small feeds decide (`is_training`) is worth a program of its own
            if found and all(self._is_small(i) for i in found):
                raise NeedsValues(sorted(found))
            return [data, data]
        return [DEAD, data] if bool(known) else [data, DEAD]

    _refswitch = _switch

    def _is_small(self, index: int) -> bool:
        return len(self.dims[index]) == 0

    def _merge(self, op: Any, inputs: list[Any]) -> None:
        alive = [i for i, v in enumerate(inputs) if v is not DEAD]
        if not alive:
            self.dead.add(op)
            self.of.update(dict.fromkeys(op.outputs, DEAD))
            return
        if len(alive) == 1:
            index = alive[0]
            self.guards[op] = self._guards(op)
            self.of[op.outputs[0]] = self._deref(inputs[index])
            self.of[op.outputs[1]] = self.builder.constant(np.int32(index))
            return
        first, second = (self._guard_of(t) for t in op.inputs)
        predicate = next((p for p in first if second.get(p) is not None and second[p] != first[p]), None)
        if predicate is None:
            raise NotCompilable(f"{op.name}: a Merge whose inputs are no two branches of one predicate")
        on_true, on_false = (inputs[0], inputs[1]) if first[predicate] else (inputs[1], inputs[0])
        on_true, on_false = self._deref(on_true), self._deref(on_false)
        if on_true.dims != on_false.dims:
            raise NotCompilable(f"{op.name}: the branches have different shapes {on_true.dims} and {on_false.dims}")
        self.guards[op] = {p: b for p, b in {**first, **second}.items() if p is not predicate}
        self.of[op.outputs[0]] = REGISTRY["Select"](predicate, on_true, on_false)
        self.of[op.outputs[1]] = REGISTRY["Cast"](predicate, DstT="int32")

    def _guard_of(self, tensor: Any) -> dict[Value, bool]:
        guards = dict(self.guards.get(tensor.op, {}))
        if tensor.op.type in SWITCHES:
            guards[self.of[tensor.op.inputs[1]]] = bool(tensor.value_index)
        return guards

    def _placeholder(self, op: Any, inputs: list[Value]) -> Sequence[Value]:
        raise unfed(op)

    def _placeholderwithdefault(self, op: Any, inputs: list[Value]) -> Sequence[Value]:
        return [self._deref(inputs[0])]

    def _noop(self, op: Any, inputs: list[Value]) -> Sequence[Value]:
        return []

    def _isvariableinitialized(self, op: Any, inputs: list[Value]) -> Sequence[Value]:
        raise NotCompilable(f"{op.name} asks the session, not the program")


def _feeds_behind(value: Value) -> set[int] | None:
    """The positions of the feeds that `value` is computed from; None if a variable or an effect has a part in it."""
    found: set[int] = set()
    seen, stack = {value.op}, [value.op]
    while stack:
        node = stack.pop()
        if node.type == "_Feed":
            found.add(node.attr("index"))
        elif node.opdef.effect not in (None, "check") or node.type == "_Read":
            return None
        elif node.type in OF_SIZES:
            continue
        fresh = {v.op for v in node.inputs} - seen
        seen |= fresh
        stack += fresh
    return found


_SPECIAL = frozenset(
    (
        "VariableV2 Identity StopGradient PreventGradient Switch RefSwitch Placeholder PlaceholderWithDefault NoOp "
        "IsVariableInitialized"
    ).split()
)

__all__ = ["Batch", "specialise"]
