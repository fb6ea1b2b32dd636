"""Ops that pick elements by index tensors or add into places that they name: Gather, GatherNd, ScatterNd, segment sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import ALL, NUMBERS, bool_
from ..errors import fail
from ..opdef import Call, composite, host, primitive, same
from ..shapes import Batch, Dim, Dims, element_count, merge_dim, merge_dims, show
from .compare import cast, greater_equal, less, logical_and, select_v2
from .flat import flat
from .join import concat_v2, pack
from .math import add, maximum, mul
from .reduce import all_, prod, sum_
from .sequence import iota_beside, range_
from .shape import INDEX_TYPES, expand_dims, requested, reshape, reshape_to, shape, shape_tensor, spread_to, transpose
from .slicing import strided_slice

_INDEX = {"Tindices": INDEX_TYPES}


# --- gather --------------------------------------------------------------------------------------------------------------


def _gather_axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        needed = axis + 1 if axis >= 0 else -axis
        fail(
            f"Shape must be at least rank {needed} but is rank {rank}",
            f"Expected axis in the range [{-rank}, {rank}), but got {axis}",
        )
    return axis % rank


def _batch_dims(count: int, rank: int) -> int:
    """How many leading dimensions belong together; a negative count leaves that many to the indices."""
    return count + rank if count < 0 else count


def _gather_shape(call: Call) -> list[Dims | None]:
    params, indices, axis = call.shape("params"), call.shape("indices"), call.ints("axis")
    if params is None or axis is None:
        return [None]
    at = _gather_axis(axis[0], len(params))
    if indices is None:
        return [None]
    batch = _batch_dims(call.attr("batch_dims"), len(indices))
    if batch > min(at, len(indices)):
        fail(f"batch_dims ({batch}) must be less than or equal to axis ({at})")
    shared = merge_dims(params[:batch], indices[:batch])
    assert shared is not None
    return [(*shared, *params[batch:at], *indices[batch:], *params[at + 1 :])]


@primitive(
    "GatherV2",
    "params: Tparams, indices: Tindices, axis: Taxis -> output: Tparams",
    "gather",
    _gather_shape,
    static=("axis",),
    effect="check",
    Tparams=ALL,
    Taxis=INDEX_TYPES,
    batch_dims=0,
    **_INDEX,
)
def gather_v2(call: Call, params: np.ndarray, indices: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """params[..., indices, ...] along `axis`; the first `batch_dims` dimensions of both belong together."""
    at = int(axis) % params.ndim
    batch = _batch_dims(call.attr("batch_dims"), indices.ndim)
    _check_indices(indices, params.shape[at])
    if batch == 0:
        return np.take(params, indices, axis=at)
    lead = params.shape[:batch]
    rows = params.reshape(-1, *params.shape[batch:])
    chosen = [np.take(r, i, axis=at - batch) for r, i in zip(rows, indices.reshape(-1, *indices.shape[batch:]), strict=True)]
    tail = (*params.shape[batch:at], *indices.shape[batch:], *params.shape[at + 1 :])
    return np.asarray(chosen, params.dtype).reshape(*lead, *tail)


def _check_indices(indices: np.ndarray, limit: int) -> None:
    """Stop with TensorFlow's text at the first index outside [0, limit)."""
    wrong = np.argwhere((indices < 0) | (indices >= limit))
    if len(wrong):
        place = ",".join(str(i) for i in wrong[0])
        position = f"[{place}]" if indices.ndim else ""
        fail(f"indices{position} = {indices[tuple(wrong[0])]} is not in [0, {limit})")


def _rows_shape(call: Call) -> list[Dims | None]:
    params, indices = call.shape("params"), call.shape("indices")
    return [None if params is None or indices is None else (*indices, *params[1:])]


@composite(
    "Gather",
    "params: Tparams, indices: Tindices -> output: Tparams",
    _rows_shape,
    effect="check",
    Tparams=ALL,
    validate_indices=True,
    **_INDEX,
)
def gather_rows(call: Call, params: Any, indices: Any) -> Any:
    """The slices of params along its first dimension that the indices name."""
    return gather_v2(params, indices, 0)


@gather_rows.gradient
def _gather_rows_gradient(op: Any, dy: Any) -> Any:
    params, indices = op.inputs
    return unsorted_segment_sum(dy, indices, extent(params, 0)), None


def extent(x: Any, axis: int) -> Any:
    """Dimension `axis` of x as a scalar tensor."""
    return strided_slice(shape_tensor(x), [axis], [axis + 1], [1], shrink_axis_mask=1)


@gather_v2.gradient
def _gather_v2_gradient(op: Any, dy: Any) -> Any:
    params, indices, axis = op.inputs
    position = axis.known()
    if position is None or params.dims is None or indices.dims is None:
        raise LookupError(f"the axis and ranks of {op.name} must be known when its gradient is built")
    at, batch = int(position) % len(params.dims), _batch_dims(op.attr("batch_dims"), len(indices.dims))
    if at == 0:
        return unsorted_segment_sum(dy, indices, extent(params, 0)), None, None
    return _gather_back(params, indices, dy, at, batch), None, None


def _gather_back(params: Any, indices: Any, dy: Any, at: int, batch: int) -> Any:
    """The gradient of a gather along an inner axis: a segment sum with that axis in front."""
    rank, picked = len(params.dims), len(indices.dims) - batch
    # dy: batch, outer, picked, inner  ->  batch, picked, outer, inner
    order = [*range(batch), *range(at, at + picked), *range(batch, at), *range(at + picked, rank - 1 + picked)]
    dy = transpose(dy, order)
    count = extent(params, at)
    if batch:
        rows = _product([extent(params, i) for i in range(batch)])
        # each row of the batch adds into a block of `count` segments of its own
        first = reshape(mul(range_(0, rows, 1), count), concat_v2([_dims(params, 0, batch), [1] * picked], 0))
        indices = add(indices, cast(first, DstT=indices.dtype))
        total = unsorted_segment_sum(dy, indices, mul(rows, count))
    else:
        total = unsorted_segment_sum(dy, indices, count)
    kept = [*range(batch), at, *range(batch, at), *range(at + 1, rank)]
    total = reshape(total, concat_v2([expand_dims(extent(params, axis), 0) for axis in kept], 0))
    return transpose(total, [kept.index(axis) for axis in range(rank)])


def _dims(x: Any, start: int, stop: int) -> Any:
    return strided_slice(shape_tensor(x), [start], [stop], [1])


def _product(scalars: list[Any]) -> Any:
    total = scalars[0]
    for scalar in scalars[1:]:
        total = mul(total, scalar)
    return total


# --- sums by segment ---------------------------------------------------------------------------------------------------


def _segment_shape(call: Call) -> list[Dims | None]:
    data, ids, count = call.shape("data"), call.shape("segment_ids"), call.ints("num_segments")
    if data is None or ids is None:
        return [None]
    run = f"data.shape = {show(data)} does not start with segment_ids.shape = {show(ids)}"
    if len(ids) > len(data):
        fail(f"Shape must be at least rank {len(ids)} but is rank {len(data)}", run)
    merge_dims(data[: len(ids)], ids, run)
    return [(None if count is None else count[0], *data[len(ids) :])]


@primitive(
    "UnsortedSegmentSum",
    "data: T, segment_ids: Tindices, num_segments: Tnumsegments -> output: T",
    "scatter_add",
    _segment_shape,
    static=("num_segments",),
    effect="check",
    T=NUMBERS,
    Tnumsegments=INDEX_TYPES,
    **_INDEX,
)
def unsorted_segment_sum(call: Call, data: np.ndarray, segment_ids: np.ndarray, num_segments: np.ndarray) -> np.ndarray:
    """output[s] = the sum of data[i] over all i with segment_ids[i] = s, in ascending order; negative ids are skipped."""
    count = int(num_segments)
    wrong = np.argwhere(segment_ids >= count)
    if len(wrong):
        place = ",".join(str(i) for i in wrong[0])
        fail(f"segment_ids[{place}] = {segment_ids[tuple(wrong[0])]} is out of range [0, {count})")
    result = np.zeros((count, *data.shape[segment_ids.ndim :]), data.dtype)
    ids = segment_ids.reshape(-1)
    rows = data.reshape(ids.size, *result.shape[1:])
    np.add.at(result, ids[ids >= 0], rows[ids >= 0])
    return result


@unsorted_segment_sum.gradient
def _unsorted_segment_sum_gradient(op: Any, dy: Any) -> Any:
    ids = op.inputs[1]
    if ids.dims is None or dy.dims is None:
        raise LookupError(f"the ranks of the inputs of {op.name} must be known when its gradient is built")
    rows = gather_v2(dy, maximum(ids, 0), 0)
    counted = greater_equal(ids, 0)
    for _ in range(len(dy.dims) - 1):
        counted = expand_dims(counted, -1)
    return select_v2(counted, rows, 0), None, None


def _segments(call: Call) -> Dim:
    ids = call.value("segment_ids")
    return None if ids is None or ids.dtype == object else int(ids[-1]) + 1 if ids.size else 0


def _sorted_segment_shape(call: Call) -> list[Dims | None]:
    data, ids = call.shape("data"), call.shape("segment_ids")
    if data is not None and ids is not None:
        merge_dim(data[0], ids[0], "segment_ids should be the same size as dimension 0 of input.")
    return [None if data is None else (_segments(call), *data[1:])]


@composite(
    "SegmentSum",
    "data: T, segment_ids: Tindices -> output: T",
    _sorted_segment_shape,
    static=("segment_ids",),
    T=NUMBERS,
    **_INDEX,
)
def segment_sum(call: Call, data: Any, segment_ids: Any) -> Any:
    """Sums of runs of rows; the ids ascend, and the last one says how many segments there are."""
    if (np.diff(call.static("segment_ids")) < 0).any():
        fail("segment ids are not increasing")
    return unsorted_segment_sum(data, segment_ids, _segments(call))


@segment_sum.gradient
def _segment_sum_gradient(op: Any, dy: Any) -> Any:
    return gather_v2(dy, op.inputs[1], 0), None


# --- whole index vectors -----------------------------------------------------------------------------------------------


def _index_depth(dims: Dims | None, params: Dims | None) -> int | None:
    """How many leading dimensions an index vector names."""
    if dims is None or not dims or dims[-1] is None:
        return None
    if params is not None and dims[-1] > len(params):
        fail(
            f"indices.shape[-1] must be <= params.rank, but saw indices shape: {show(dims)} and params shape: "
            f"{show(params)}",
            f"index innermost dimension length must be <= params rank; saw: {dims[-1]} vs. {len(params)}",
        )
    return int(dims[-1])


def _gather_nd_shape(call: Call) -> list[Dims | None]:
    params, indices = call.shape("params"), call.shape("indices")
    depth = _index_depth(indices, params)
    return [None if depth is None or params is None else (*indices[:-1], *params[depth:])]


def _flat_index(indices: Any, place: Any, dims: Dims, invalid: Any) -> Any:
    """Index vectors into an array of shape `dims` (whose shape tensor is `place`) -> positions in row-major order.

    A vector that points outside becomes `invalid`, so that a later check finds it.
    """
    depth, dtype = len(dims), indices.dtype.base_dtype
    steps = [element_count(dims[i + 1 :]) for i in range(depth)]
    if any(isinstance(d, Batch) for d in (*dims, *steps)):
        limits = cast(strided_slice(place, [0], [depth], [1]), DstT=dtype)
        products = pack([prod(strided_slice(place, [i + 1], [depth], [1]), [0]) for i in range(depth)])
        strides = cast(products, DstT=dtype)
    else:
        limits, strides = (np.asarray(sizes, dtype.as_numpy_dtype) for sizes in (dims, steps))
    inside = all_(logical_and(greater_equal(indices, 0), less(indices, limits)), [-1])
    return select_v2(inside, sum_(mul(indices, strides), [-1]), invalid)


@composite(
    "GatherNd",
    "params: Tparams, indices: Tindices -> output: Tparams",
    _gather_nd_shape,
    effect="check",
    Tparams=ALL,
    **_INDEX,
)
def gather_nd(call: Call, params: Any, indices: Any) -> Any:
    """output[i, ...] = params[indices[i, 0], indices[i, 1], ..., ...]"""
    dims, index_dims = call.shape("params"), call.shape("indices")
    depth = int(index_dims[-1])
    if depth == 0:
        return spread_to(params, dims=(*index_dims[:-1], *dims))
    rows = reshape_to(params, dims=(element_count(dims[:depth]), *dims[depth:]))
    return gather_v2(rows, _flat_index(indices, shape(params), dims[:depth], -1), 0)


@gather_nd.gradient
def _gather_nd_gradient(op: Any, dy: Any) -> Any:
    params, indices = op.inputs
    return scatter_nd(indices, dy, shape_tensor(params, indices.dtype)), None


def _scatter_nd_shape(call: Call) -> list[Dims | None]:
    indices, updates, dims = call.shape("indices"), call.shape("updates"), requested(call, "shape")
    depth = _index_depth(indices, dims)
    if depth is not None and dims is not None and updates is not None:
        text = f"Must have updates.shape = indices.shape[:-1] + shape[{depth}:], got updates.shape: {show(updates)}"
        merge_dims(updates, (*indices[:-1], *dims[depth:]), text)
    return [dims]


@composite(
    "ScatterNd",
    "indices: Tindices, updates: T, shape: Tindices -> output: T",
    _scatter_nd_shape,
    static=("shape",),
    effect="check",
    T=NUMBERS,
    **_INDEX,
)
def scatter_nd(call: Call, indices: Any, updates: Any, place: Any) -> Any:
    """Zeros of the given shape with every update added at the place that its index vector names."""
    dims, index_dims = requested(call, "shape"), call.shape("indices")
    assert dims is not None
    depth = int(index_dims[-1])
    if depth == 0:
        lead = len(index_dims) - 1
        return reshape_to(sum_(updates, np.arange(lead, dtype=np.int32)), dims=dims)
    # as many segments as there are places; a vector that points outside names the one behind the last
    count = prod(strided_slice(place, [0], [depth], [1]), [0])
    rows = unsorted_segment_sum(updates, _flat_index(indices, place, dims[:depth], count), count)
    return reshape_to(rows, dims=dims)


@scatter_nd.gradient
def _scatter_nd_gradient(op: Any, d: Any) -> Any:
    return None, gather_nd(d, op.inputs[0]), None


@composite("InvertPermutation", "x: T -> y: T", same, T=INDEX_TYPES)
def invert_permutation(call: Call, x: Any) -> Any:
    """y[x[i]] = i"""
    (count,) = call.shape("x")
    return unsorted_segment_sum(iota_beside(x, count, x.dtype), x, extent(x, 0))


# --- positions that depend on data ----------------------------------------------------------------------------------------


@host("Where", "condition: T -> index: int64", lambda call: [(None, call.rank("condition"))], T=(*NUMBERS, bool_))
def where(call: Call, condition: np.ndarray) -> np.ndarray:
    """The positions of the true elements, one row each. How many there are is known only in a run."""
    return np.argwhere(condition).astype(np.int64)


flat(invert_permutation, where)
