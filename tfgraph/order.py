"""The order in which one run executes its operations; the interpreter and the compiler share it.

In: what a run fetches, targets and feeds. Out: the operations it needs and no others, inputs and control inputs before
their consumers, writes of variables as late as these edges allow, ties by operation id.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import networkx

from .errors import InvalidArgumentError
from .run_errors import at_node
from .tensor import Operation, Tensor


def execution_order(fetches: Iterable[Tensor], targets: Iterable[Operation], feeds: Iterable[Tensor]) -> list[Operation]:
    """The ancestors of `fetches` and `targets`, cut at the fed tensors, in execution order.

    An operation that does not wait for a write goes before every write, so that a value computed beside a training step
    is the one from before the step; a variable itself is fetched as the step leaves it (`variables_last`).
    InvalidArgumentError if control inputs close a cycle.
    """
    needed = _needed(networkx.DiGraph(), fetches, targets, frozenset(feeds))
    try:
        return list(networkx.lexicographical_topological_sort(needed, key=_priority))
    except networkx.NetworkXUnfeasible:
        cycle = networkx.find_cycle(needed)
        names = " -> ".join(op.name for op, _ in cycle)
        text = f"Graph is invalid, contains a cycle with {len(cycle)} nodes: {names}"
        raise at_node(InvalidArgumentError, cycle[0][0], text) from None


def variables_last(fetches: Iterable[Tensor], order: Iterable[Operation], fed: Container[Tensor]) -> list[Tensor]:
    """`fetches`, with a variable's reference in place of every identity of it, if a run of `order` writes to variables.

    A fetched reference is read when all is done, as in TensorFlow, whose fetches share the variable's memory:
    `[train, global_step]` has the number of the step after the update.
    """
    if not any(op.opdef.effect == "write" for op in order):
        return list(fetches)
    return [_without_identities(tensor, fed) for tensor in fetches]


def _without_identities(tensor: Tensor, fed: Container[Tensor]) -> Tensor:
    """The reference that `tensor` is an identity of; `tensor` itself if there is none."""
    source = tensor
    while source not in fed and not source.dtype.is_ref and source.op.type == "Identity":
        source = source.op.inputs[0]
    return source if source.dtype.is_ref and source not in fed else tensor


def shares_memory(op: Operation) -> bool:
    """True for the identity that a variable is read through: who takes it sees the variable as it is by then.

    TensorFlow's shares the variable's memory. So a moving average that waits for a training step averages what that
    leaves. An identity that waits for something itself (`read_value`) is the value of its own moment.
    """
    return op.type == "Identity" and op.inputs[0].op.type == "VariableV2" and not op.control_inputs


def _priority(op: Operation) -> tuple[bool, int]:
    return op.opdef.effect == "write", op.id


def _needed(index: Any, fetches: Iterable[Tensor], targets: Iterable[Operation], fed: frozenset[Tensor]) -> Any:
    """`index` (an empty DiGraph) filled with what the roots need: an edge from each operation to each that awaits it."""
    waiting = [*targets, *(tensor.op for tensor in fetches if tensor not in fed)]
    index.add_nodes_from(waiting)
    while waiting:
        op = waiting.pop()
        for source in (*(tensor.op for tensor in op.inputs if tensor not in fed), *op.control_inputs):
            if source not in index:
                waiting.append(source)
            index.add_edge(source, op)
    return index
