"""Graphs in files as functions for `tf.compile`: what a GraphDef or MetaGraphDef has to be fed and fetched.

In: a file, and names that a user wrote. Out: the graph, in the default graph, and functions over it. The file may come
from a stranger: the importers check it before anything is made of it, and names that it has not are errors here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..dtypes import string
from ..graph import Graph
from ..keys import GraphKeys
from ..opdef import Host
from ..order import execution_order
from ..tensor import Operation, Tensor

SUFFIXES = (".pb", ".pbtxt", ".meta")
_SHOWN = 12  # names in an error
_LARGEST_DIMENSION = 2**31 - 1

# nodes at the end of a graph that nobody asks for
_NO_RESULTS = frozenset(("Assert", "Const", "NoOp", "Placeholder", "PlaceholderWithDefault"))


@dataclass
class Wanted:
    """A function that a user asks for: names of nodes or tensors, some with `=name_in_c` behind them."""

    name: str | None = None  # None: as what it does
    fetches: list[str] = field(default_factory=list)
    feeds: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)  # `placeholder=number`: it has that value for good


@dataclass(frozen=True)
class Saved:
    """A graph from a file, now the default graph, and a saver for its variables if the file says which they are."""

    graph: Graph
    file: str
    saver: Any


# --- the file -------------------------------------------------------------------------------------------------------------


def read(path: Path, shapes: Mapping[str, Sequence[int | None]]) -> Saved:
    """Add the graph of a file to the default graph; placeholders called as in `shapes` get those shapes.

    ValueError for what is wrong with the file, ImportError without the package that describes such files.
    """
    from ..event_protos import message_class
    from ..graph import get_default_graph
    from ..importer import import_graph_def
    from ..meta_graph import import_meta_graph, read_message

    is_meta = path.suffix == ".meta"
    message = read_message(path, message_class("MetaGraphDef" if is_meta else "GraphDef")())
    graph_def = message.graph_def if is_meta else message
    if not graph_def.node:
        raise ValueError(f"{path} has no nodes: it is no {type(message).__name__}, or an empty one")
    _set_shapes(graph_def, shapes, str(path))
    if is_meta:
        return Saved(get_default_graph(), str(path), import_meta_graph(message, clear_devices=True))
    for node in graph_def.node:
        node.device = ""
    import_graph_def(graph_def, name="")
    return Saved(get_default_graph(), str(path), None)


def _set_shapes(graph_def: Any, shapes: Mapping[str, Sequence[int | None]], file: str) -> None:
    placeholders = {node.name: node for node in graph_def.node if node.op in ("Placeholder", "PlaceholderV2")}
    for name, dims in shapes.items():
        node = placeholders.get(name.removesuffix(":0"))
        if node is None:
            raise ValueError(f"{file} has no placeholder {name!r}{_like(name, placeholders)}")
        shape = node.attr["shape"].shape
        shape.Clear()
        for size in dims:
            shape.dim.add(size=-1 if size is None else size)


def parsed_shape(text: str) -> tuple[str, tuple[int | None, ...]]:
    """`x=?,28,28` -> ("x", (None, 28, 28)). ValueError for anything else."""
    name, _, sizes = text.partition("=")
    words = [word.strip() for word in sizes.split(",")] if sizes else []
    is_size = all(word == "?" or (word.isascii() and word.isdigit() and int(word) <= _LARGEST_DIMENSION) for word in words)
    if not name or "=" not in text or not is_size:
        raise ValueError(f"a shape is written like x=?,28,28,1 (? is the batch), not {text!r}")
    return name, tuple(None if word == "?" else int(word) for word in words)


def parsed_value(text: str) -> tuple[str, Any]:
    """`keep_prob=1.0` -> ("keep_prob", 1.0): the value is JSON, so false and [1, 2] are values, too. ValueError."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError(f"a value is written like keep_prob=1.0 or is_training=false, not {text!r}") from None


# --- names ----------------------------------------------------------------------------------------------------------------


def _tensor(saved: Saved, name: str) -> Tensor:
    """The tensor `a/b:1`, or the first output of the node `a/b`. ValueError tells what there is."""
    found = _element(saved, name)
    if isinstance(found, Operation):
        if not found.outputs:
            raise ValueError(f"{name!r} of {saved.file} has no output, so nothing can be fed to it")
        return found.outputs[0]
    return found


def _fetch(saved: Saved, name: str) -> Tensor | Operation:
    """What to fetch: a tensor; for the name of a node its first output, or the node itself if it is run for its effect."""
    found = _element(saved, name)
    if isinstance(found, Tensor):
        return found
    return found if _is_run(found) else found.outputs[0]


def _is_run(op: Operation) -> bool:
    return not op.outputs or op.opdef.effect == "write" or (op.outputs[0].dtype.is_ref and op.type != "VariableV2")


def _element(saved: Saved, name: str) -> Any:
    node, colon, index = name.partition(":")
    op = saved.graph._by_name.get(node)
    if op is not None and (not colon or (index.isdigit() and int(index) < len(op.outputs))):
        return op.outputs[int(index)] if colon else op
    if op is not None:
        raise ValueError(f"{saved.file} has no tensor {name!r}: {node!r} has {len(op.outputs)} outputs")
    names = [op.name for op in saved.graph.get_operations()]
    raise ValueError(f"{saved.file} has no node {node!r}{_like(node, names)}. {described(saved)}")


def _like(name: str, names: Iterable[str]) -> str:
    from ..aliases.names import nearest

    names = list(names)
    longer = (other for other in names if other.rpartition("/")[2].startswith(name))
    like = next(longer, None) or nearest(name, names)
    return f"; the nearest is {like!r}" if like else ""


def described(saved: Saved) -> str:
    """What can be fed and fetched, for an error."""
    feeds = [f"{op.name} ({op.outputs[0].dtype.name} {op.outputs[0].shape})" for op in _placeholders(saved.graph)]
    ends = [op.name for op in ends_of(saved.graph)]
    return f"Placeholders: {_listed(feeds)}. Ends of the graph: {_listed(ends)}"


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more if texts else "none"


def _placeholders(graph: Graph) -> Iterator[Operation]:
    return (op for op in graph.get_operations() if op.type == "Placeholder")


def ends_of(graph: Graph) -> list[Operation]:
    """The nodes with results that C can return and that nobody reads; not gradients, and not variables."""
    return [op for op in graph.get_operations() if _is_end(graph, op)]


def _is_end(graph: Graph, op: Operation) -> bool:
    if not op.outputs or op.type in _NO_RESULTS or op.opdef.effect == "write" or isinstance(op.opdef.kind, Host):
        return False
    if op.name.startswith("gradients/") or (op.type == "Identity" and op.inputs[0].dtype.is_ref):
        return False
    is_read = any(graph.consumers(tensor) for tensor in op.outputs)
    return not is_read and not any(tensor.dtype.is_ref or tensor.dtype == string for tensor in op.outputs)


# --- functions ------------------------------------------------------------------------------------------------------------


def functions_of(saved: Saved, wanted: Sequence[Wanted]) -> dict[str, Any]:
    """Functions as `tf.compile` takes them. ValueError where a name is not in the graph or something must be chosen.

    Without anything wanted: of a graph without variables `predict`, which fetches its ends; of one that has a training
    operation in its collections `train_step`, with the losses that are in its collections. What is not fed is what the
    fetches need of the placeholders. Values before the first function are for all of them.
    """
    common: list[str] = []
    if wanted and not (wanted[0].name or wanted[0].fetches or wanted[0].feeds):
        common, wanted = wanted[0].values, wanted[1:]
    if not any(one.fetches for one in wanted):
        wanted = [_default(saved, wanted)]
    functions: dict[str, Any] = {}
    for one in wanted:
        if not one.fetches:
            raise ValueError(f"function {one.name!r} fetches nothing: give --fetch NAME behind its --function")
        name, function = _function(saved, one, common)
        if name in functions:
            raise ValueError(f"there are two functions {name!r}: name them with --function")
        functions[name] = function
    _check_used(saved, common, functions)
    return functions


def _function(saved: Saved, one: Wanted, common: Sequence[str]) -> tuple[str, tuple[Any, ...]]:
    """The name of a function, and its fetches, feeds and values."""
    fetches = [(_fetch(saved, name), label) for name, label in map(_labelled, one.fetches)]
    feeds = [(_tensor(saved, name), label) for name, label in map(_labelled, one.feeds)]
    own = {_tensor(saved, name): value for name, value in map(parsed_value, one.values)}
    given = {_tensor(saved, name): value for name, value in map(parsed_value, common)} | own
    needed = execution_order(
        [f for f, _ in fetches if isinstance(f, Tensor)],
        [f for f, _ in fetches if isinstance(f, Operation)],
        {*(tensor for tensor, _ in feeds), *given},
    )
    if not feeds:
        placeholders = [op.outputs[0] for op in needed if op.type == "Placeholder"]
        feeds = [(t, None) for t in sorted(placeholders, key=lambda t: t.op.id) if t not in given]
    used = {tensor for op in needed for tensor in op.inputs}
    unused = [tensor.op.name for tensor in own if tensor not in used]
    if unused:
        raise ValueError(f"no fetch needs {unused[0]!r}, which --set gives a value")
    name = one.name or ("train_step" if any(op.opdef.effect == "write" for op in needed) else "predict")
    return name, (_named(fetches), _named(feeds), {t: v for t, v in given.items() if t in used})


def _check_used(saved: Saved, common: Sequence[str], functions: Mapping[str, Any]) -> None:
    for name, _ in map(parsed_value, common):
        if not any(_tensor(saved, name) in given for _, _, given in functions.values()):
            raise ValueError(f"no function needs {name!r}, which --set gives a value")


def _default(saved: Saved, wanted: Sequence[Wanted]) -> Wanted:
    """The function that is compiled where no fetch was named."""
    if len(wanted) > 1:
        raise ValueError(f"every function needs a --fetch NAME. {described(saved)}")
    one = wanted[0] if wanted else Wanted()
    steps = [item for item in saved.graph.get_collection(GraphKeys.TRAIN_OP) if isinstance(item, (Tensor, Operation))]
    if steps:
        losses = [item for item in saved.graph.get_collection(GraphKeys.LOSSES) if isinstance(item, Tensor)]
        step = steps[-1] if isinstance(steps[-1], Operation) else steps[-1].op
        return Wanted(one.name or "train_step", [step.name, *(loss.name for loss in losses)], one.feeds, one.values)
    ends = ends_of(saved.graph)
    if _has_variables(saved.graph) or not ends:
        raise ValueError(f"name what to compute, with --fetch NAME. {described(saved)}")
    return Wanted(one.name or "predict", [op.outputs[0].name for op in ends], one.feeds, one.values)


def _has_variables(graph: Graph) -> bool:
    return any(op.type == "VariableV2" for op in graph.get_operations())


def _labelled(text: str) -> tuple[str, str | None]:
    """`a/b:0=images` -> ("a/b:0", "images")"""
    name, equals, label = text.partition("=")
    return name, label if equals else None


def _named(items: Sequence[tuple[Any, str | None]]) -> Any:
    """A list, or where names in C were given a dictionary with the others' own ones."""
    if all(label is None for _, label in items):
        return [item for item, _ in items]
    named: dict[str, Any] = {}
    for item, label in items:
        key = label or item.name.partition(":")[0].replace("/", "_")
        if key in named:
            raise ValueError(f"two arguments or outputs are called {key!r}")
        named[key] = item
    return named
