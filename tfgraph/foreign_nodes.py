"""Nodes for TensorFlow in the place of the few that it does not know: gradients of broadcasting and of reductions.

Such a gradient is one node here. In a GraphDef it becomes what TensorFlow itself writes: nodes below the name, and a last
one with the name, so that whoever reads the result still finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class _Written:
    """The NodeDefs that replace one."""

    def __init__(self, message: Any) -> None:
        self._message = message
        self.nodes: list[Any] = []

    def add(self, suffix: str, op: str, inputs: list[str], **types: Any) -> str:
        """A node below the name (or with it, for an empty suffix); its name."""
        node = type(self._message)(name=f"{self._message.name}/{suffix}" if suffix else self._message.name, op=op)
        node.device = self._message.device
        node.input.extend(inputs)
        node.input.extend(text for text in self._message.input if text.startswith("^"))
        for key, value in types.items():
            if isinstance(value, bool):
                node.attr[key].b = value
            elif isinstance(value, int):
                node.attr[key].type = value
            else:
                node.attr[key].list.i.extend(value)
        self.nodes.append(node)
        return node.name


    def constant(self, suffix: str, values: list[int]) -> str:
        """A Const node with a vector of int32 values; its name."""
        name = self.add(suffix, "Const", [], dtype=_INT32)
        tensor = self.nodes[-1].attr["value"].tensor
        tensor.dtype = _INT32
        tensor.tensor_shape.dim.add(size=len(values))
        tensor.tensor_content = np.array(values, "<i4").tobytes()
        return name


_INT32, _INT64, _BOOL = 3, 9, 10  # of TensorFlow's enum DataType


def _unbroadcast_like(op: Any, written: _Written) -> None:
    """Reshape(Sum(gradient, the axes along which `like` was repeated), Shape(like))"""
    gradient, like = _texts(written)
    kind = op.attrs["T"].enum
    want = written.add("Shape", "Shape", [like], T=kind, out_type=_INT32)
    have = written.add("Shape_1", "Shape", [gradient], T=kind, out_type=_INT32)
    axes = written.add("BroadcastGradientArgs", "BroadcastGradientArgs", [want, have], T=_INT32)
    total = written.add("Sum", "Sum", [gradient, axes], T=kind, Tidx=_INT32, keep_dims=False)
    written.add("", "Reshape", [total, want], T=kind, Tshape=_INT32)


def _spread_like(op: Any, written: _Written) -> None:
    """BroadcastTo(Reshape(gradient, the shape of `like` with 1 for reduced axes), Shape(like))"""
    gradient, like, axis = _texts(written)
    kind, index = op.attrs["T"].enum, op.attrs["Tidx"].enum
    shape = written.add("Shape", "Shape", [like], T=kind, out_type=_INT32)
    reduced = written.add("Max", "Max", [like, axis], T=kind, Tidx=index, keep_dims=True)
    kept = written.add("Shape_1", "Shape", [reduced], T=kind, out_type=_INT32)
    reshaped = written.add("Reshape", "Reshape", [gradient, kept], T=kind, Tshape=_INT32)
    written.add("", "BroadcastTo", [reshaped, shape], T=kind, Tidx=_INT32)


def _count(op: Any, written: _Written) -> None:
    """Cast(Prod(Gather(Shape(input), axes)))"""
    source, axes = _texts(written)
    kind, index = op.attrs["T"].enum, op.attrs["Tidx"].enum
    shape = written.add("Shape", "Shape", [source], T=kind, out_type=index)
    rank = written.add("Rank", "Rank", [source], T=kind)
    if index != _INT32:
        rank = written.add("Cast", "Cast", [rank], SrcT=_INT32, DstT=index)
    wrapped = written.add("mod", "FloorMod", [axes, rank], T=index)
    sizes = written.add("Gather", "Gather", [shape, wrapped], Tparams=index, Tindices=index, validate_indices=True)
    flat = written.add("Reshape", "Reshape", [sizes, written.constant("Const", [-1])], T=index, Tshape=_INT32)
    product = written.add("Prod", "Prod", [flat, written.constant("Const_1", [0])], T=index, Tidx=_INT32, keep_dims=False)
    written.add("", "Cast", [product], SrcT=index, DstT=kind)


def _select_names(op: Any, written: _Written) -> None:
    """GatherNd(names, Where(mask))"""
    mask, names = _texts(written)
    where = written.add("Where", "Where", [mask], T=_BOOL)
    written.add("", "GatherNd", [names, where], Tparams=7, Tindices=_INT64)


def _texts(written: _Written) -> list[str]:
    return [text for text in written._message.input if not text.startswith("^")]


_REPLACED: dict[str, Callable[[Any, _Written], None]] = {
    "_UnbroadcastLike": _unbroadcast_like,
    "_SpreadLike": _spread_like,
    "_Count": _count,
    "_SelectNames": _select_names,
}


def nodes_of(op: Any, message: Any) -> list[Any]:
    """The NodeDefs that stand for an operation in a GraphDef; ValueError for one that TensorFlow has nothing for."""
    if not op.type.startswith("_"):
        return [message]
    if op.type not in _REPLACED:
        raise ValueError(
            f"'{op.name}' ({op.type.lstrip('_')}) cannot be written into a GraphDef: TensorFlow has no op for it. It comes "
            f"from the gradient of a product over computed axes; give tf.reduce_prod constant axes."
        )
    written = _Written(message)
    _REPLACED[op.type](op, written)
    return written.nodes
