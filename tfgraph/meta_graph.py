"""MetaGraphDef files: a graph with its collections, as `tf.train.export_meta_graph` writes them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from .aliases.names import PACKAGE
from .checkpoint.files import replace_whole
from .errors import NotFoundError
from .event_protos import tensorboard_module
from .graph import get_default_graph
from .importer import import_graph_def
from .tensor import Operation, Tensor
from .variables import Variable

_VARIABLE_KEYS = ("variables", "trainable_variables", "local_variables", "model_variables", "moving_average_variables")


def _proto(module: str, name: str) -> Any:
    return getattr(tensorboard_module(f"tensorboard.compat.proto.{module}", "MetaGraphDef"), name)


# --- files of one message ------------------------------------------------------------------------------------------------


def write_graph(graph_or_graph_def: Any, logdir: Any, name: str, as_text: bool = True) -> str:
    """Write a Graph or a GraphDef as `logdir`/`name`, as text or binary; the path. The file appears when it is complete."""
    message = graph_or_graph_def.as_graph_def() if hasattr(graph_or_graph_def, "as_graph_def") else graph_or_graph_def
    os.makedirs(logdir, exist_ok=True)
    path = os.path.join(os.fspath(logdir), name)
    _write(path, message, as_text)
    return path


def _write(path: str, message: Any, as_text: bool) -> None:
    if as_text:
        from google.protobuf import text_format

        content = text_format.MessageToString(message).encode()
    else:
        content = message.SerializeToString()
    replace_whole(path, content)


def read_message(path: Any, message: Any) -> Any:
    """Fill `message` from a file, binary or text. NotFoundError if there is none, ValueError if it is something else."""
    from google.protobuf import text_format
    from google.protobuf.message import DecodeError

    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        raise NotFoundError(None, None, f"{path}; No such file or directory") from None
    try:
        message.ParseFromString(content)
        return message
    except DecodeError:
        pass
    try:
        return text_format.Merge(content.decode(), message)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no {type(message).__name__}: {error}") from None


# --- export --------------------------------------------------------------------------------------------------------------


def export_meta_graph(
    filename: Any = None,
    meta_info_def: Any = None,
    graph_def: Any = None,
    saver_def: Any = None,
    collection_list: Iterable[str] | None = None,
    as_text: bool = False,
    graph: Any = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    **_: Any,
) -> Any:
    """The MetaGraphDef of a graph (default: the default graph), written to `filename` if that is given.

    Collections of variables, operations, tensors and numbers or strings are kept; others are left out. ValueError for
    `export_scope`, which is not implemented.
    """
    if export_scope is not None:
        raise ValueError("export_meta_graph of a part of a graph (export_scope) is not implemented here")
    graph = get_default_graph() if graph is None else graph
    message = _proto("meta_graph_pb2", "MetaGraphDef")()
    message.graph_def.CopyFrom(graph.as_graph_def() if graph_def is None else graph_def)
    if clear_devices:
        for node in message.graph_def.node:
            node.device = ""
    if meta_info_def is not None:
        message.meta_info_def.CopyFrom(meta_info_def)
    message.meta_info_def.tensorflow_version = import_module(PACKAGE).__version__
    if saver_def is not None:
        message.saver_def.CopyFrom(saver_def)
    for key in graph.get_all_collection_keys() if collection_list is None else collection_list:
        if isinstance(key, str) and not key.startswith("__"):
            _put(message.collection_def, key, graph.get_collection(key))
    if filename is not None:
        _write(os.fspath(filename), message, as_text)
    return message


def _put(collections: Any, key: str, items: list[Any]) -> None:
    if not items:
        return
    if all(isinstance(item, Variable) for item in items):
        collections[key].bytes_list.value.extend(_variable_def(item).SerializeToString() for item in items)
    elif all(isinstance(item, (Tensor, Operation)) for item in items):
        collections[key].node_list.value.extend(item.name for item in items)
    elif all(isinstance(item, (str, bytes)) for item in items):
        encoded = (item.encode() if isinstance(item, str) else item for item in items)
        collections[key].bytes_list.value.extend(encoded)
    elif all(isinstance(item, int) and not isinstance(item, bool) for item in items):
        collections[key].int64_list.value.extend(items)
    elif all(isinstance(item, float) for item in items):
        collections[key].float_list.value.extend(items)


def _variable_def(variable: Variable) -> Any:
    return _proto("variable_pb2", "VariableDef")(
        variable_name=variable.name,
        initial_value_name=variable.initial_value.name if variable.initial_value is not None else "",
        initializer_name=variable.initializer.name,
        snapshot_name=variable.value().name,
        trainable=variable.trainable,
    )


# --- import --------------------------------------------------------------------------------------------------------------


def import_meta_graph(
    meta_graph_or_file: Any, clear_devices: bool = False, import_scope: str | None = None, **_: Any
) -> Any:
    """Add the graph of a MetaGraphDef (or of a file with one) to the default graph, with its collections.

    A `tf.train.Saver` for the variables, None if the MetaGraphDef has none. ValueError for what is wrong with it.
    """
    from .saver import Saver

    message = meta_graph_or_file
    if not hasattr(message, "graph_def"):
        message = read_message(meta_graph_or_file, _proto("meta_graph_pb2", "MetaGraphDef")())
    graph_def = message.graph_def
    if clear_devices:
        graph_def = type(graph_def)()
        graph_def.CopyFrom(message.graph_def)
        for node in graph_def.node:
            node.device = ""
    import_graph_def(graph_def, name=import_scope or "")
    prefix = f"{import_scope}/" if import_scope else ""
    known: dict[str, Variable] = {}
    for key in sorted(message.collection_def):
        _take(message.collection_def[key], key, prefix, known)
    return Saver(list(known.values())) if known else None


def _take(collection: Any, key: str, prefix: str, known: dict[str, Variable]) -> None:
    """Add the items of a collection to that of the default graph."""
    graph = get_default_graph()
    kind = collection.WhichOneof("kind")
    if kind == "node_list":
        for name in collection.node_list.value:
            graph.add_to_collection(key, _element(prefix + name, key))
    elif kind == "bytes_list":
        for value in collection.bytes_list.value:
            item = _variable(value, prefix, known) if key in _VARIABLE_KEYS else value
            graph.add_to_collection(key, item)
    elif kind in ("int64_list", "float_list"):
        for number in getattr(collection, kind).value:
            graph.add_to_collection(key, number)


def _element(name: str, key: str) -> Any:
    try:
        return get_default_graph().as_graph_element(name)
    except (KeyError, ValueError) as error:
        raise ValueError(f"The collection {key!r} has '{name}', which is not in the graph: {error}") from None


def _variable(value: bytes, prefix: str, known: dict[str, Variable]) -> Variable:
    """The variable that a VariableDef is about; the same object for the same variable."""
    from google.protobuf.message import DecodeError

    definition = _proto("variable_pb2", "VariableDef")()
    try:
        definition.ParseFromString(value)
    except DecodeError as error:
        raise ValueError(f"The MetaGraphDef has a variable that cannot be read: {error}") from None
    name = prefix + definition.variable_name
    if name not in known:
        known[name] = Variable.of_nodes(
            name,
            initializer=prefix + definition.initializer_name,
            snapshot=prefix + definition.snapshot_name,
            initial_value=prefix + definition.initial_value_name if definition.initial_value_name else None,
            trainable=definition.trainable,
        )
    return known[name]
