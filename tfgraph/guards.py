"""Under which predicates an operation runs: the conditions of the `tf.cond` branches that its inputs come through.

Output 0 of a Switch exists where its predicate is false, output 1 where it is true; whatever depends on an output exists
only where that does; a Merge exists where any of its inputs does. Everything else runs always and has no guards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# (predicate tensor, the value it must have)
Guards = frozenset[tuple[Any, bool]]

ALWAYS: Guards = frozenset()
SWITCHES = frozenset(("Switch", "RefSwitch"))


def guards_of_tensor(tensor: Any) -> Guards:
    """The guards under which `tensor` exists."""
    operation = tensor.op
    if operation.type in SWITCHES:
        return operation.guards | {(predicate_root(operation.inputs[1]), tensor.value_index == 1)}
    return operation.guards


def guards_of_call(op_type: str, inputs: Iterable[Any], control_inputs: Iterable[Any]) -> Guards:
    """The guards of an operation with these inputs."""
    needed = [guards_of_tensor(t) for t in inputs]
    if op_type == "Merge":
        needed = [frozenset.intersection(*needed)] if needed else []
    needed += [operation.guards for operation in control_inputs]
    return frozenset().union(*needed) if any(needed) else ALWAYS


def predicate_root(tensor: Any) -> Any:
    """The tensor behind Identity and Switch nodes: `cond/pred_id` and the predicate itself are the same."""
    while tensor.op.type == "Identity" or tensor.op.type in SWITCHES:
        tensor = tensor.op.inputs[0]
    return tensor


def merged_predicate(merge: Any) -> tuple[Any, int]:
    """The predicate that decides between the two inputs of a Merge, and which input is taken where it is true.

    LookupError if the inputs do not come from the two branches of one condition.
    """
    first, second = (guards_of_tensor(t) for t in merge.inputs)
    for predicate, value in sorted(first, key=lambda guard: -guard[0].op.id):
        if (predicate, not value) in second:
            return predicate, 0 if value else 1
    raise LookupError(f"the inputs of {merge.name} are not the two branches of one condition")
