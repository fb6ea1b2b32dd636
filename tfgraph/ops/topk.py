"""The largest elements of each row, and whether a class is among them: TopKV2, InTopKV2."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import NUMBERS, int32, int64
from ..errors import fail
from ..opdef import REQUIRED, Call, composite, primitive
from ..shapes import Dims, merge_dim
from .compare import cast, greater, less, logical_and
from .flat import flat
from .functions import is_finite
from .gather import extent, unsorted_segment_sum
from .join import pack
from .math import add, mul
from .reduce import all_, sum_
from .sequence import one_hot, range_
from .shape import expand_dims, reshape, shape_tensor, size


def _top_k_shape(call: Call) -> list[Dims | None]:
    dims, k = call.shape("input"), call.ints("k")
    if dims is None:
        return [None, None]
    if not dims:
        fail("Shape must be at least rank 1 but is rank 0", "input must be >= 1-D, got shape []")
    count = None if k is None else k[0]
    if isinstance(count, int) and count < 0:
        fail(f"Dimension size, given by scalar input 1, must be non-negative but is {count}", f"Need k >= 0, got {count}")
    if isinstance(count, int) and isinstance(dims[-1], int) and dims[-1] < count:
        fail(
            f"input must have last dimension >= k = {count} but is {dims[-1]}",
            f"input must have at least k columns. Had {dims[-1]}, needed {count}",
        )
    return [(*dims[:-1], count)] * 2


@primitive(
    "TopKV2", "input: T, k: int32 -> values: T, indices: int32", "topk", _top_k_shape, static=("k",), T=NUMBERS, sorted=True
)
def top_k_v2(call: Call, x: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The k largest elements of each row in descending order, and where they are; of equal ones the first comes first."""
    # a stable ascending sort of the reversed row puts the first of equal elements last
    backwards = np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]
    indices = (x.shape[-1] - 1 - backwards)[..., : int(k)]
    return np.take_along_axis(x, indices, axis=-1), indices.astype(np.int32)


@top_k_v2.gradient
def _top_k_gradient(op: Any, dy: Any, _: Any) -> Any:
    x, indices = op.inputs[0], op.outputs[1]
    if x.dims is None:
        raise LookupError(f"the rank of the input of {op.name} must be known when its gradient is built")
    rank = len(x.dims)
    columns = extent(x, rank - 1)
    picked = reshape(indices, _rows_of(op.inputs[1]))
    # position of each picked element in the flattened input
    rows = expand_dims(range_(0, extent(picked, 0), 1), 1)
    places = reshape(add(picked, mul(rows, columns)), [-1])
    total = unsorted_segment_sum(reshape(dy, [-1]), places, size(x))
    return reshape(total, shape_tensor(x)), None


def _rows_of(k: Any) -> Any:
    """The shape of a matrix with `k` columns."""
    value = k.known()
    return pack([-1, k]) if value is None or value.dtype == object else [-1, int(value)]


def _in_top_k_shape(call: Call) -> list[Dims | None]:
    predictions, targets = call.shape("predictions"), call.shape("targets")
    rows = merge_dim(
        None if predictions is None else predictions[0],
        None if targets is None else targets[0],
        "First dimension of predictions must match length of targets",
    )
    return [(rows,)]


def _in_top_k(call: Call, predictions: Any, targets: Any, k: Any) -> Any:
    hit = one_hot(targets, extent(predictions, 1), 1.0, 0.0)
    # a class outside the table hits nothing
    valid = greater(sum_(hit, [1]), 0)
    chosen = sum_(mul(hit, predictions), [1])
    above = sum_(cast(greater(predictions, expand_dims(chosen, 1)), DstT=int32), [1])
    said = logical_and(valid, all_(is_finite(predictions), [1]))
    return logical_and(less(above, k), said)


@composite("InTopK", "predictions: float32, targets: T -> precision: bool", _in_top_k_shape, T=(int32, int64), k=REQUIRED)
def in_top_k(call: Call, predictions: Any, targets: Any) -> Any:
    """InTopKV2 with a fixed k."""
    return _in_top_k(call, predictions, targets, call.attr("k"))


@composite("InTopKV2", "predictions: float32, targets: T, k: T -> precision: bool", _in_top_k_shape, T=(int32, int64))
def in_top_k_v2(call: Call, predictions: Any, targets: Any, k: Any) -> Any:
    """For each row, whether fewer than k classes have a larger prediction than the target; never where one is not finite."""
    return _in_top_k(call, predictions, targets, cast(k, DstT=int32))


flat(in_top_k, in_top_k_v2)
