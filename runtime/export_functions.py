"""What a caller of `tf.compile` asks for, checked: functions with the operations that each needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..codegen.export.function import Function
from ..codegen.export.names import Identifiers, check_function
from ..errors import InvalidArgumentError
from ..graph import get_default_graph
from ..order import execution_order, variables_last
from ..run_errors import at_node
from ..tensor import Operation, Tensor, TensorLike
from .feeds import resolve_feeds
from .fetches import Fetches


def checked(functions: Any) -> Mapping[str, Any]:
    """The functions that were given, with names that C can have. TypeError or ValueError otherwise."""
    if not isinstance(functions, Mapping) or not functions:
        raise TypeError(f"functions must be a dictionary from names to (fetches, feeds), but got {functions!r}")
    for name, specification in functions.items():
        check_function(name)
        if not isinstance(specification, (tuple, list)) or len(specification) not in (2, 3):
            raise TypeError(
                f"functions[{name!r}] must be (fetches, feeds) or (fetches, feeds, given), but got {specification!r}"
            )
    return functions


def graph_of(functions: Any, session: Any) -> Any:
    """The graph of the session or of the first thing that has one, else the default graph."""
    if session is not None:
        return session.graph
    waiting = list(checked(functions).values())
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, Mapping):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, (list, tuple)):
            waiting += item
        elif isinstance(item, (Tensor, Operation, TensorLike)):
            return item.graph  # type: ignore[union-attr]
    return get_default_graph()


# --- one function ---------------------------------------------------------------------------------------------------------


def function_of(graph: Any, name: str, specification: Sequence[Any]) -> Function:
    """A function with the operations that it needs, as a session would run them."""
    fetches, feeds = specification[:2]
    given = specification[2] if len(specification) == 3 else {}
    asked = _named(fetches)
    found = Fetches(graph, [fetch for _, fetch in asked])
    fed = _named(feeds)
    arguments = [feed.tensor for feed in resolve_feeds(graph, tuple(feed for _, feed in fed))]
    constants = _given(graph, name, given)
    for tensor in arguments:
        if tensor in constants or arguments.count(tensor) > 1:
            raise ValueError(f"Function {name!r} takes {tensor.name} twice")
    everything = {*arguments, *constants}
    for tensor in found.tensors:
        if tensor in everything:
            text = f"Function {name!r} cannot return {tensor.name}, which is an argument of it. Fetch tf.identity of it"
            raise at_node(InvalidArgumentError, tensor.op, text)
    order = execution_order(list(found.tensors), sorted(found.targets, key=lambda op: op.id), everything)
    if not order:
        raise ValueError(f"Function {name!r} computes nothing: it needs a fetch")
    _check_fed(name, order, everything)
    _check_used(name, order, [t for t in arguments if t not in found.tensors])
    identifiers = Identifiers(("model", "batch", "feeds", "fetches"))
    outputs = _outputs(graph, name, asked, found)
    chosen = _names(graph, identifiers, [*zip((n for n, _ in fed), arguments, strict=True), *outputs])
    return Function(
        name=name,
        order=tuple(order),
        feeds=tuple(arguments),
        fetches=tuple(variables_last(found.tensors, order, everything)),
        given=constants,
        arguments=tuple(chosen[: len(arguments)]),
        outputs=tuple(chosen[len(arguments) :]),
    )


def _named(items: Any) -> list[tuple[str | None, Any]]:
    """What was given as one thing, a list or a dictionary, as pairs of a name, if it has one, and the thing."""
    if isinstance(items, Mapping):
        return [(str(name), item) for name, item in items.items()]
    if isinstance(items, (list, tuple)):
        return [(None, item) for item in items]
    return [(None, items)]


def _outputs(
    graph: Any, function: str, asked: Sequence[tuple[str | None, Any]], found: Fetches
) -> list[tuple[str | None, Tensor]]:
    names: dict[Tensor, str | None] = {}
    for name, fetch in asked:
        for tensor in Fetches(graph, fetch).tensors:
            if tensor in names:
                advice = "Fetch it once, or tf.identity of it"
                raise ValueError(f"Function {function!r} returns {tensor.name} twice. {advice}")
            names[tensor] = name
    return [(names[tensor], tensor) for tensor in found.tensors]


def _names(graph: Any, identifiers: Identifiers, tensors: Sequence[tuple[str | None, Tensor]]) -> list[str]:
    """A name in C for each tensor: the given ones as they are, the others after their nodes."""
    chosen = {i: identifiers.exact(name) for i, (name, _) in enumerate(tensors) if name is not None}
    return [chosen[i] if i in chosen else identifiers.unique(t.op.name) for i, (_, t) in enumerate(tensors)]


def _given(graph: Any, name: str, given: Any) -> dict[Tensor, np.ndarray]:
    if not isinstance(given, Mapping):
        raise TypeError(f"functions[{name!r}]: what is given must be a dictionary from tensors to values, not {given!r}")
    feeds = resolve_feeds(graph, tuple(given))
    return {feed.tensor: feed.array(value) for feed, value in zip(feeds, given.values(), strict=True)}


def _check_fed(name: str, order: Sequence[Operation], fed: set[Tensor]) -> None:
    for op in order:
        if op.type == "Placeholder" and op.outputs[0] not in fed:
            text = f"Function {name!r} needs {op.outputs[0].name}: add it to its feeds"
            raise at_node(InvalidArgumentError, op, text)


def _check_used(name: str, order: Sequence[Operation], arguments: Sequence[Tensor]) -> None:
    used = {tensor for op in order for tensor in op.inputs}
    for tensor in arguments:
        if tensor not in used:
            text = f"Function {name!r} does not use its argument {tensor.name}. Take it out of the feeds"
            raise at_node(InvalidArgumentError, tensor.op, text)
