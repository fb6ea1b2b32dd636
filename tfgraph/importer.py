"""`tf.import_graph_def`: the nodes of a GraphDef as operations of the default graph.

The GraphDef may come from a stranger: names, types, attributes, connections and cycles are checked before the first
operation is added. What is wrong with it is a ValueError that names the node.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .control_flow import name_scope
from .errors import ShapeError
from .graph import Graph, get_default_graph
from .node_attributes import attributes_of
from .opdef import OpDef, opdef
from .ops import checkpoints as _checkpoints  # noqa: F401 (ops that only files have)
from .ops import gradient_shapes as _gradient_shapes  # noqa: F401
from .tensor import Operation, Tensor

_NAME = re.compile(r"^[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*$")
_SHOWN = 5  # nodes of a cycle in an error


@dataclass(frozen=True)
class _Node:
    """One node of the file, checked by itself."""

    name: str
    op: OpDef
    attrs: dict[str, Any]
    inputs: tuple[tuple[str, int], ...]  # (name of the node, output)
    controls: tuple[str, ...]
    device: str


def import_graph_def(
    graph_def: Any,
    input_map: Mapping[Any, Any] | None = None,
    return_elements: Sequence[str] | None = None,
    name: str | None = None,
    op_dict: Any = None,
    producer_op_list: Any = None,
) -> list[Any] | None:
    """Add the nodes of a GraphDef to the default graph, below the name scope `name` (default "import"; "" for none).

    `input_map` has tensors of the default graph, by the names that they replace in the file. `return_elements` are names of
    operations ("a/b") and tensors ("a/b:0") in the file, and what is returned are those. TypeError for arguments of other
    types; ValueError for a file that is wrong or that has what this package has not, and for names that are not there.
    """
    if not hasattr(graph_def, "node") or not hasattr(graph_def, "SerializeToString"):
        raise TypeError(f"graph_def must be a GraphDef proto. Received type {type(graph_def).__name__}.")
    replaced = _replaced(input_map)
    wanted = _wanted(return_elements)
    nodes = _ordered(_read(graph_def))
    _check_connections(nodes, replaced)
    graph = get_default_graph()
    made: dict[str, Operation] = {}
    with name_scope("import" if name is None else name or None) as scope:
        prefix = scope if name != "" else ""
        for node in nodes:
            if graph._by_name.get(prefix + node.name) is not None:
                raise ValueError(f"Node name '{prefix + node.name}' already exists in the Graph")
        _check_used(replaced, nodes)
        with _all_or_none(graph):
            for node in nodes:
                made[node.name] = _added(graph, node, prefix, made, replaced)
    if return_elements is None:
        return None
    return [_element(made, replaced, *place) for place in wanted]


# --- arguments -----------------------------------------------------------------------------------------------------------


def _place(text: str) -> tuple[str, int]:
    """ "a:1" -> ("a", 1)"""
    name, _, index = text.partition(":")
    return name, int(index) if index.isdigit() else 0


def _replaced(input_map: Mapping[Any, Any] | None) -> dict[tuple[str, int], Tensor]:
    if input_map is None:
        return {}
    if not isinstance(input_map, Mapping) or not all(isinstance(key, (str, bytes)) for key in input_map):
        raise TypeError(f"input_map must be a dictionary mapping strings to Tensor objects. Got {input_map!r}")
    from .convert import convert_to_tensor

    texts = {key.decode() if isinstance(key, bytes) else key: value for key, value in input_map.items()}
    return {_place(text): convert_to_tensor(value) for text, value in texts.items()}


def _wanted(return_elements: Sequence[str] | None) -> list[tuple[str, int | None]]:
    found: list[tuple[str, int | None]] = []
    for text in return_elements or ():
        if not isinstance(text, (str, bytes)):
            raise TypeError(f"return_elements must be a list of strings, got {text!r}")
        text = text.decode() if isinstance(text, bytes) else text
        found.append(_place(text) if ":" in text else (text, None))
    return found


def _check_used(replaced: Iterable[tuple[str, int]], nodes: Sequence[_Node]) -> None:
    names = {node.name for node in nodes} | {name for node in nodes for name, _ in node.inputs}
    unused = [f"{name}:{index}" for name, index in replaced if name not in names]
    if unused:
        raise ValueError(f"Attempted to map inputs that were not found in graph_def: [{', '.join(unused)}]")


# --- the file ------------------------------------------------------------------------------------------------------------


def _read(graph_def: Any) -> dict[str, _Node]:
    if len(graph_def.library.function):
        names = ", ".join(function.signature.name for function in graph_def.library.function[:_SHOWN])
        raise ValueError(f"The GraphDef has functions ({names}), which are not implemented here")
    nodes: dict[str, _Node] = {}
    for message in graph_def.node:
        if not _NAME.match(message.name):
            raise ValueError(f"'{message.name[:80]}' is not a valid node name")
        if message.name in nodes:
            raise ValueError(f"The GraphDef has two nodes with the name '{message.name}'")
        nodes[message.name] = _node(message)
    return nodes


def _node(message: Any) -> _Node:
    where = f"Node '{message.name}'"
    op = opdef(message.op)
    if op is None or message.op.startswith("_"):
        from .aliases.names import nearest
        from .opdef import REGISTRY

        like = nearest(message.op, REGISTRY)
        hint = f"; the nearest that there is is {like}" if like else ""
        raise ValueError(f"{where}: no op named {message.op[:80]!r} is defined here{hint}")
    attrs = attributes_of(op, message.attr, where)
    inputs, controls = [], []
    for text in message.input:
        if text.startswith("^"):
            controls.append(text[1:])
        elif controls:
            raise ValueError(f"{where}: the input '{text}' comes after a control input")
        else:
            inputs.append(_place(text))
    expected = sum(1 if arg.count_attr is None else attrs[arg.count_attr] for arg in op.inputs)
    if len(inputs) != expected:
        raise ValueError(f"{where}: {op.type} takes {expected} inputs, and the file gives it {len(inputs)}")
    return _Node(message.name, op, attrs, tuple(inputs), tuple(controls), message.device)


def _ordered(nodes: dict[str, _Node]) -> list[_Node]:
    """The nodes with each one behind what it depends on, else in the order of the file. ValueError for a cycle."""
    order: list[_Node] = []
    state: dict[str, int] = {}  # 1: what it depends on is being placed, 2: placed
    for first in nodes:
        stack = [first]
        while stack:
            name = stack[-1]
            if state.get(name) == 2:
                stack.pop()
                continue
            before = [*(source for source, _ in nodes[name].inputs), *nodes[name].controls]
            ahead = [source for source in before if source in nodes and state.get(source) != 2]
            if not ahead:
                state[name] = 2
                order.append(nodes[name])
                stack.pop()
            elif state.get(name) == 1 and any(state.get(source) == 1 for source in ahead):
                shown = ", ".join(f"'{source}'" for source in stack[-_SHOWN:])
                raise ValueError(f"The GraphDef has a cycle through {shown} (loops are not implemented here)")
            else:
                state[name] = 1
                stack += [source for source in reversed(ahead) if state.get(source) != 1]
    return order


def _check_connections(nodes: Sequence[_Node], replaced: Mapping[tuple[str, int], Tensor]) -> None:
    """Every input is an output of some node, or replaced."""
    outputs = {node.name: _output_count(node) for node in nodes}
    for node in nodes:
        for name, index in node.inputs:
            if (name, index) in replaced:
                continue
            if name not in outputs:
                raise ValueError(f"Node '{node.name}': its input '{name}' is no node of the GraphDef")
            if index >= outputs[name]:
                raise ValueError(f"Node '{node.name}': its input '{name}:{index}' is not there ({outputs[name]} outputs)")
        for name in node.controls:
            if name not in outputs and not any(source == name for source, _ in replaced):
                raise ValueError(f"Node '{node.name}': its control input '{name}' is no node of the GraphDef")


def _output_count(node: _Node) -> int:
    return sum(1 if arg.count_attr is None else node.attrs[arg.count_attr] for arg in node.op.outputs)


# --- operations ----------------------------------------------------------------------------------------------------------


@contextmanager
def _all_or_none(graph: Graph) -> Iterator[None]:
    """Where an error leaves the block, the operations that were added inside go again."""
    count, version = len(graph._operations), graph._version
    try:
        yield
    except BaseException:
        with graph._lock:
            for operation in graph._operations[count:]:
                del graph._by_name[operation.name]
                for tensor in operation.inputs:
                    graph._consumers[tensor].remove(operation)
            del graph._operations[count:]
            graph._version = version
        raise


def _added(
    graph: Graph,
    node: _Node,
    prefix: str,
    made: Mapping[str, Operation],
    replaced: Mapping[tuple[str, int], Tensor],
) -> Operation:
    inputs = [replaced[place] if place in replaced else made[place[0]].outputs[place[1]] for place in node.inputs]
    _check_types(node, inputs)
    controls = [made[name] for name in node.controls if name in made]
    graph.unique_name(node.name)  # in the scope; from now on the name is taken
    try:
        return graph.add_operation(node.op, inputs, node.attrs, prefix + node.name, controls, node.device)
    except (ShapeError, TypeError, KeyError, IndexError, LookupError) as error:
        raise ValueError(f"Node '{node.name}': {error}") from error


def _check_types(node: _Node, inputs: Sequence[Tensor]) -> None:
    """Each input has the type that the op's definition and attributes say."""
    position = 0
    for arg in node.op.inputs:
        count = 1 if arg.count_attr is None else node.attrs[arg.count_attr]
        expected = node.attrs[arg.type_attr] if arg.type_attr is not None else arg.dtype
        for tensor in inputs[position : position + count]:
            found = tensor.dtype.base_dtype
            if expected is not None and found != expected.base_dtype:
                raise ValueError(
                    f"Node '{node.name}': the input '{arg.name}' of {node.op.type} is {tensor.name} of type {found.name}, "
                    f"where {expected.name} is needed"
                )
            if arg.is_ref and not tensor.dtype.is_ref:
                raise ValueError(f"Node '{node.name}': the input '{arg.name}' of {node.op.type} must be a variable")
        position += count


def _element(
    made: Mapping[str, Operation], replaced: Mapping[tuple[str, int], Tensor], name: str, index: int | None
) -> Any:
    if index is not None and (name, index) in replaced:
        return replaced[name, index]
    operation = made.get(name)
    if operation is None or (index is not None and index >= len(operation.outputs)):
        text = name if index is None else f"{name}:{index}"
        raise ValueError(f"Requested return_element '{text}' not found in graph_def.")
    return operation if index is None else operation.outputs[index]
