"""Values that consist of sizes (`tf.shape(x)[0]`, element counts) -> `_Extent` scalars that the code can print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...opdef import REGISTRY
from ...shapes import Batch
from ..ir import Node, Roots, Value
from ..rewrite import active_builder, rewrite


def name_sizes(roots: Roots) -> Roots:
    return rewrite(roots, name_size)


def name_size(node: Node) -> Sequence[Value] | None:
    """a value known but for N  ->  its sizes, each printed as a multiple of N"""
    if node.type in ("_Extent", "Const", "Pack", "_Feed", "_Read", "VariableV2") or not node.inputs:
        return None
    values = [v.known() for v in node.outputs]
    if not values or any(v is None or v.size > 16 or v.ndim > 1 for v in values):
        return None
    arrays = [np.asarray(v) for v in values]
    if not any(isinstance(e, Batch) for a in arrays for e in a.reshape(-1).tolist()):
        return None
    return [_extents(array, value) for array, value in zip(arrays, node.outputs, strict=True)]


def _extents(array: np.ndarray, value: Value) -> Value:
    scalars = [_extent(e, value) for e in array.reshape(-1).tolist()]
    return scalars[0] if array.ndim == 0 else REGISTRY["Pack"](scalars, axis=0)


def _extent(size: Any, value: Value) -> Value:
    attrs = {"dims": (size,), "dtype": value.dtype.base_dtype}
    return active_builder().add(REGISTRY["_Extent"], (), attrs).outputs[0]
