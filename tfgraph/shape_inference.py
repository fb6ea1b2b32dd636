"""Shapes of an operation's outputs when it is added to a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import ShapeError
from .opdef import Call, OpDef
from .shapes import show
from .tensor import Tensor

_SHAPE_ARGUMENTS = frozenset(("shape", "dims", "output_shape"))


def infer_shapes(op: OpDef, inputs: Sequence[Tensor], attrs: Mapping[str, Any], name: str) -> list[Any]:
    """The dimensions of each output of a call; ValueError, as TensorFlow says it, where those of the inputs do not fit."""
    try:
        dims = list(op.shape(Call(op, inputs, attrs)))
    except ShapeError as error:
        shapes = ", ".join(show(t.dims) for t in inputs)
        told = f"{error.build} for '{name}' (op: '{op.type}') with input shapes: {shapes}{_known_inputs(op, inputs)}."
        raise ValueError(told) from None
    count = sum(1 if o.count_attr is None else attrs[o.count_attr] for o in op.outputs)
    return dims[:1] * count if len(dims) < count else dims[:count]


def _known_inputs(op: OpDef, inputs: Sequence[Tensor]) -> str:
    """What an error about shapes adds on the values of the static arguments."""
    told = ""
    for i, (arg, tensor) in enumerate(zip(op.inputs, inputs, strict=False)):
        value = tensor.known() if arg.name in op.static else None
        if value is not None and arg.name in _SHAPE_ARGUMENTS:
            sizes = ",".join("?" if v is None or v == -1 else str(v) for v in value.reshape(-1).tolist())
            told += f" and with input tensors computed as partial shapes: input[{i}] = [{sizes}]"
        elif value is not None:
            told += f" and with computed input tensors: input[{i}] = <{' '.join(map(str, value.reshape(-1).tolist()))}>"
    return told
