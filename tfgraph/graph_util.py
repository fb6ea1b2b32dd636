"""`tf.graph_util`: parts of a GraphDef, and graphs whose variables have become constants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .aliases.names import missing_from
from .nodedef import tensor_proto

__all__ = ["convert_variables_to_constants", "extract_sub_graph", "remove_training_nodes", "tensor_shape_from_node_def_name"]

_READS = ("Identity",)
_TRAINING = ("CheckNumerics", "Print")  # nodes that hand on what they get


def _source(text: str) -> str:
    """The node that an input comes from: "^a" and "a:1" come from "a"."""
    return text.lstrip("^").partition(":")[0]


def extract_sub_graph(graph_def: Any, dest_nodes: Sequence[str]) -> Any:
    """A GraphDef of the nodes that `dest_nodes` need, in the order of the file. AssertionError for an unknown name."""
    if isinstance(dest_nodes, (str, bytes)):
        raise TypeError("dest_nodes must be a list.")
    by_name = {node.name: node for node in graph_def.node}
    for name in dest_nodes:
        if name not in by_name:
            raise AssertionError(f"{name} is not in graph")
    needed: set[str] = set()
    waiting = list(dest_nodes)
    while waiting:
        name = waiting.pop()
        if name in needed or name not in by_name:
            continue
        needed.add(name)
        waiting += [_source(text) for text in by_name[name].input]
    found = type(graph_def)()
    found.node.extend(node for node in graph_def.node if node.name in needed)
    found.versions.CopyFrom(graph_def.versions)
    return found


def convert_variables_to_constants(
    sess: Any,
    input_graph_def: Any,
    output_node_names: Sequence[str],
    variable_names_whitelist: Iterable[str] | None = None,
    variable_names_blacklist: Iterable[str] | None = None,
) -> Any:
    """The GraphDef of what the output nodes need, each variable a constant with its value in the session.

    Variables outside the whitelist (if one is given) or in the blacklist stay variables.
    """
    part = extract_sub_graph(input_graph_def, output_node_names)
    white = None if variable_names_whitelist is None else set(variable_names_whitelist)
    black = set(variable_names_blacklist or ())
    names = [
        node.name
        for node in part.node
        if node.op in ("VariableV2", "Variable") and (white is None or node.name in white) and node.name not in black
    ]
    values = dict(zip(names, sess.run([f"{name}:0" for name in names]), strict=True)) if names else {}
    frozen = type(part)()
    for node in part.node:
        if node.name in values:
            constant = frozen.node.add(name=node.name, op="Const", device=node.device)
            constant.attr["dtype"].CopyFrom(node.attr["dtype"])
            constant.attr["value"].tensor.CopyFrom(tensor_proto(values[node.name]))
        else:
            frozen.node.add().CopyFrom(node)
    frozen.versions.CopyFrom(part.versions)
    return frozen


def remove_training_nodes(input_graph: Any, protected_nodes: Iterable[str] | None = None) -> Any:
    """A GraphDef without checks and without Identity nodes that only hand on, as far as nothing depends on their names.

    `protected_nodes` stay.
    """
    protected = set(protected_nodes or ())
    by_name = {node.name: node for node in input_graph.node}
    anchors = {_source(text) for node in input_graph.node for text in node.input if text.startswith("^")}
    passed: dict[str, str] = {}  # a node that is left out -> what it hands on
    for node in input_graph.node:
        data = [text for text in node.input if not text.startswith("^")]
        is_free = node.name not in protected | anchors and len(data) == len(node.input)
        from_variable = bool(data) and by_name.get(_source(data[0])) is not None and (
            by_name[_source(data[0])].op.startswith(("Variable", "Switch"))
        )  # fmt: skip
        if is_free and (node.op in _TRAINING or (node.op in _READS and not from_variable)):
            passed[node.name] = data[0]
    found = type(input_graph)()
    for node in input_graph.node:
        if node.name in passed:
            continue
        copy = found.node.add()
        copy.CopyFrom(node)
        del copy.input[:]
        copy.input.extend(_followed(text, passed) for text in node.input)
    found.versions.CopyFrom(input_graph.versions)
    return found


def _followed(text: str, passed: dict[str, str]) -> str:
    while text in passed or (text.endswith(":0") and text[:-2] in passed):
        text = passed[text.removesuffix(":0")]
    return text


def tensor_shape_from_node_def_name(graph: Any, input_name: str) -> Any:
    """The shape of a tensor, by its name with or without ":0"."""
    name = input_name if ":" in input_name else f"{input_name}:0"
    return graph.get_tensor_by_name(name).get_shape()


__getattr__ = missing_from(__name__, __all__)
