"""Operations and graphs as TensorFlow's NodeDef and GraphDef messages, or as plain records where protobuf is missing.

The messages come from the `tensorboard` package, whose protos have TensorFlow's wire format: a file written from them is a
GraphDef for TensorFlow too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from .dtypes import DType, as_dtype, string
from .event_protos import HOW_TO_INSTALL
from .foreign_nodes import nodes_of
from .shapes import TensorShape

# op -> its attribute with the types of a mixed list, and where among the inputs the list begins
_MIXED = {"Assert": ("T", 1), "Print": ("U", 1), "SaveV2": ("dtypes", 3)}

PRODUCER = 38  # the GraphDef version that TensorFlow 1.14 writes


@dataclass
class NodeRecord:
    """What a NodeDef says: `attr` holds Python values."""

    name: str
    op: str
    input: list[str]
    device: str
    attr: dict[str, Any]

    def __str__(self) -> str:
        lines = [f'name: "{self.name}"', f'op: "{self.op}"', *(f'input: "{i}"' for i in self.input)]
        if self.device:
            lines.append(f'device: "{self.device}"')
        lines += [f'attr {{\n  key: "{key}"\n  value: {value!r}\n}}' for key, value in sorted(self.attr.items())]
        return "\n".join(lines) + "\n"


@dataclass
class GraphRecord:
    """What a GraphDef says."""

    node: list[NodeRecord] = field(default_factory=list)

    def __str__(self) -> str:
        indented = ("  " + str(n).replace("\n", "\n  ").rstrip() for n in self.node)
        return "".join(f"node {{\n{text}\n}}\n" for text in indented)


def node_def(op: Any) -> Any:
    """The NodeDef of an Operation (a NodeRecord without protobuf)."""
    return _node(op, _protos(), False)


def graph_def(graph: Any, add_shapes: bool = False) -> Any:
    """The GraphDef of a Graph (a GraphRecord without protobuf); `add_shapes` adds the attribute `_output_shapes`."""
    protos = _protos()
    if protos is None:
        return GraphRecord([_node(op, None, add_shapes) for op in graph.get_operations()])
    message = protos.GraphDef()
    for op in graph.get_operations():
        message.node.extend(nodes_of(op, _node(op, protos, add_shapes)))
    message.versions.producer = PRODUCER
    return message


@lru_cache(maxsize=1)
def _protos() -> Any:
    """The message classes, or None if they are not installed."""
    try:
        from tensorboard.compat.proto.attr_value_pb2 import AttrValue
        from tensorboard.compat.proto.graph_pb2 import GraphDef
        from tensorboard.compat.proto.node_def_pb2 import NodeDef
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    except ImportError:
        return None
    return SimpleNamespace(
        AttrValue=AttrValue, GraphDef=GraphDef, NodeDef=NodeDef, TensorProto=TensorProto, TensorShapeProto=TensorShapeProto
    )


def graph_protos() -> Any:
    """The message classes. ImportError, which names the extra, if they are not installed."""
    protos = _protos()
    if protos is None:
        raise ImportError(f"GraphDef files need the package tensorboard: {HOW_TO_INSTALL}")
    return protos


def tensor_proto(array: Any) -> Any:
    """The TensorProto of an array."""
    array = np.asarray(array)
    return _tensor(array, as_dtype(array.dtype), graph_protos())


def _node(op: Any, protos: Any, add_shapes: bool) -> Any:
    inputs = [t.op.name if t.value_index == 0 else t.name for t in op.inputs] + [f"^{c.name}" for c in op.control_inputs]
    attrs = {key: value for key, value in op.attrs.items() if value is not None}
    if op.type in _MIXED:  # of the types of such a list, a node here keeps the number only
        name, first = _MIXED[op.type]
        attrs.pop("N", None)
        attrs[name] = [t.dtype.base_dtype for t in op.inputs[first:]]
    if add_shapes and op.outputs:
        attrs["_output_shapes"] = [t.shape for t in op.outputs]
    if protos is None:
        return NodeRecord(op.name, op.type, inputs, op.device, attrs)
    node = protos.NodeDef(name=op.name, op=op.type, input=inputs, device=op.device)
    for key, value in attrs.items():
        node.attr[key].CopyFrom(_attribute(value, attrs, protos))
    return node


# --- attribute values ------------------------------------------------------------------------------------------------------


def _attribute(value: Any, attrs: dict[str, Any], protos: Any) -> Any:
    """An AttrValue for a Python value; TypeError if there is none."""
    if isinstance(value, np.ndarray):
        return protos.AttrValue(tensor=_tensor(value, as_dtype(attrs.get("dtype", value.dtype)), protos))
    if isinstance(value, (list, tuple)):
        return _list(value, protos)
    kind, plain = _scalar(value, protos)
    return protos.AttrValue(**{kind: plain})


def _list(values: Any, protos: Any) -> Any:
    message = protos.AttrValue()
    message.list.SetInParent()  # an empty list is a list all the same
    for value in values:
        kind, plain = _scalar(value, protos)
        getattr(message.list, kind).append(plain)
    return message


def _scalar(value: Any, protos: Any) -> tuple[str, Any]:
    """The field of an AttrValue for one value, and what goes into it."""
    if isinstance(value, DType):
        return "type", value.base_dtype.enum
    if isinstance(value, TensorShape):
        return "shape", _shape(value.sizes, protos)
    if isinstance(value, (bool, np.bool_)):
        return "b", bool(value)
    if isinstance(value, (int, np.integer)):
        return "i", int(value)
    if isinstance(value, (float, np.floating)):
        return "f", float(value)
    if isinstance(value, (str, bytes)):
        return "s", value.encode() if isinstance(value, str) else value
    raise TypeError(f"an attribute of type {type(value).__name__} has no place in a NodeDef: {value!r}")


def _shape(sizes: Any, protos: Any) -> Any:
    message = protos.TensorShapeProto(unknown_rank=sizes is None)
    for size in sizes or ():
        message.dim.add(size=-1 if size is None else size)
    return message


def _tensor(array: np.ndarray, dtype: DType, protos: Any) -> Any:
    """A TensorProto; numbers as their bytes, strings one by one."""
    message = protos.TensorProto(dtype=dtype.enum, tensor_shape=_shape(array.shape, protos))
    if dtype == string:
        message.string_val.extend(v if isinstance(v, bytes) else str(v).encode() for v in array.reshape(-1))
    else:
        message.tensor_content = np.ascontiguousarray(array, dtype.as_numpy_dtype).tobytes()
    return message
