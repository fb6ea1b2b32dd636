"""Values known before a run: constants, and the small integer tensors that carry shapes.

`known(tensor)` gives the value of a node as an array, or None. Shape arithmetic is followed through with elements that
are ints, None (not known yet) or `Batch`, so that `tf.reshape(x, [tf.shape(x)[0], 784])` has a static answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ShapeError
from .opdef import Array, Call
from .shapes import Batch, Undecided, element_count

# shapes, axes and permutations are short; longer values are data
LIMIT = 1024

FOLLOWED = frozenset(
    (
        "Add AddV2 Sub Mul FloorDiv FloorMod RealDiv Neg Maximum Minimum Abs Cast Identity Pack ConcatV2 Unpack Slice "
        "StridedSlice Reshape Squeeze ExpandDims Fill Range Prod Sum Max Min GatherV2 StopGradient Tile Transpose "
        "BroadcastTo Equal NotEqual Less LessEqual Greater GreaterEqual LogicalAnd LogicalOr LogicalNot Select "
        "ZerosLike OnesLike Pad ReverseV2 ListDiff DynamicStitch InvertPermutation BroadcastGradientArgs ConcatOffset _Copy"
    ).split()
)

# these put unknown elements beside known ones: [batch_size, 784]
JOINING = ("Pack", "ConcatV2")


def known(tensor: Any, partial: bool = False) -> np.ndarray | None:
    """The value of `tensor` (a graph tensor or a compiler value) if it does not depend on feeds or variables.

    With `partial`, a vector of which only some elements are known has None for the others.
    """
    node = tensor.op
    kind = node.type
    if kind == "Const":
        return np.asarray(node.attrs["value"])
    if kind == "_Extent":
        array = np.empty((), dtype=object)
        array[()] = element_count(node.attrs["dims"])
        return array
    if kind in ("Shape", "ShapeN", "Size", "Rank"):
        return _of_shape(kind, node.inputs[tensor.value_index if kind == "ShapeN" else 0].dims, tensor.dtype)
    if kind not in FOLLOWED:
        return None
    count = element_count(tensor.dims) if tensor.dims is not None else None
    if isinstance(count, int) and count > LIMIT:
        return None
    inputs = [i.known() for i in node.inputs]
    if partial and kind in JOINING:
        inputs = [_unknown_elements(i) if v is None else v for i, v in zip(node.inputs, inputs, strict=True)]
    if any(v is None or v.size > LIMIT for v in inputs):
        return None
    return evaluate(node, inputs, tensor.value_index)


def _unknown_elements(tensor: Any) -> np.ndarray | None:
    """As many None as `tensor` has elements; None if that is not known."""
    if tensor.dims is None or not all(isinstance(d, int) for d in tensor.dims) or element_count(tensor.dims) > LIMIT:
        return None
    return np.full(tensor.dims, None, dtype=object)


def evaluate(node: Any, inputs: list[Any], index: int) -> np.ndarray | None:
    """Output `index` of `node` on small arrays, elements possibly None or Batch; None if it cannot be said."""
    from .reference import compute

    inputs = [np.asarray(v) for v in inputs]
    symbolic = any(v.dtype == object for v in inputs)
    if symbolic:
        # one array of sizes that are not numbers makes all of them objects, so that an op sees operands of one type
        inputs = [v.astype(object) for v in inputs]
    try:
        with np.errstate(all="ignore"):
            outputs = compute(node.opdef, Call(node.opdef, [Array(v) for v in inputs], node.attrs), inputs)
    except (TypeError, ValueError, Undecided, LookupError, IndexError, ArithmeticError, AttributeError, ShapeError):
        return None
    result = np.asarray(outputs[index])
    return _exact(result, node.outputs[index].dtype.as_numpy_dtype) if symbolic else result


def _exact(array: np.ndarray, dtype: Any) -> np.ndarray:
    """`array` in its dtype if it holds numbers only."""
    return array if any(v is None or isinstance(v, Batch) for v in array.reshape(-1).tolist()) else array.astype(dtype)


def _of_shape(kind: str, dims: Any, dtype: Any) -> np.ndarray | None:
    if dims is None:
        return None
    if kind == "Rank":
        return np.asarray(len(dims), dtype.as_numpy_dtype)
    values: Any = list(dims) if kind != "Size" else element_count(dims)
    if kind == "Size" and values is None:
        return None
    exact = all(isinstance(d, int) for d in (values if isinstance(values, list) else [values]))
    if exact:
        return np.asarray(values, dtype.as_numpy_dtype)
    array = np.empty(np.shape(values) if isinstance(values, list) else (), dtype=object)
    array[...] = values
    return array
