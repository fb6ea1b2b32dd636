"""The reduction that variances become, which only the compiler makes."""

from __future__ import annotations

from typing import Any

from ..dtypes import float32, float64
from ..opdef import Call, reduction
from ..ops.broadcasting import INDEX_TYPES
from ..ops.reduce import reduced_shape
from .ir import Node


@reduction(
    "_SquaredDeviations",
    "input: T, reduction_indices: Tidx -> output: T",
    "deviations",
    reduced_shape,
    static=("reduction_indices",),
    T=(float32, float64),
    Tidx=INDEX_TYPES,
    keep_dims=False,
)
def squared_deviations(call: Call, x: Any, axes: Any) -> None:
    """the sum of (x - mean of x)^2 over the axes; 0 of nothing"""


def sums_deviations(node: Node) -> bool:
    """True for the fold whose running result is more than one number."""
    return node.type == squared_deviations.type
