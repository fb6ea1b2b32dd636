"""Ops that join tensors or cut one into parts along an axis: ConcatV2, Pack, Unpack, Split, SplitV."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import ALL, int32, int64
from ..errors import fail
from ..opdef import Call, composite, primitive, view
from ..shapes import Batch, Dim, Dims, Undecided, merge_dim, merge_dims, show
from .shape import INDEX_TYPES, expand_dims, requested


def _from_front(axis: int, rank: int, text: str) -> int:
    if not -rank <= axis < rank:
        fail(text)
    return axis % rank


def _concat_axis(axis: int, dims: Dims) -> int:
    rank = len(dims)
    if axis >= 0:
        build = f"Shape must be at least rank {axis + 1} but is rank {rank}"
    else:
        build = f"Shape must be at least rank {-axis} but is rank {rank}"
    if not -rank <= axis < rank:
        fail(build, f"ConcatOp : Expected concatenating dimensions in the range [{-rank}, {rank}), but got {axis}")
    return axis % rank


def _concat_shape(call: Call) -> list[Dims | None]:
    shapes = call.shape("values")
    known = [dims for dims in shapes if dims is not None]
    if not known:
        return [None]
    first, axis = known[0], call.ints("axis")
    for dims in known:
        if len(dims) != len(first):
            pair = f"shape[0] = {show(first)} vs. shape[{shapes.index(dims)}] = {show(dims)}"
            fail(
                f"Shape must be rank {len(first)} but is rank {len(dims)}",
                f"ConcatOp : Ranks of all input tensors should match: {pair}",
            )
    if axis is None:
        return [(None,) * len(first)]
    at = _concat_axis(axis[0], first)
    joined = tuple(first)
    for i, dims in enumerate(shapes):
        if dims is not None:
            joined = _joined_sides(joined, dims, at, f"shape[0] = {show(shapes[0])} vs. shape[{i}] = {show(dims)}")
    total: Dim = 0
    for dims in shapes:
        total = None if total is None or dims is None or dims[at] is None else total + dims[at]
    return [(*joined[:at], total, *joined[at + 1 :])]


def _joined_sides(a: Dims, b: Dims, at: int, run: str) -> Dims:
    """The dimensions before and after the axis `at`, which a and b must share."""
    result = list(a)
    for start, stop in ((0, at), (at + 1, len(a))):
        for i in range(start, stop):
            if isinstance(a[i], int) and isinstance(b[i], int) and a[i] != b[i]:
                fail(
                    f"Dimension {i - start} in both shapes must be equal, but are {a[i]} and {b[i]}. "
                    f"Shapes are {show(a[start:stop])} and {show(b[start:stop])}.",
                    f"ConcatOp : Dimensions of inputs should match: {run}",
                )
            result[i] = merge_dim(a[i], b[i])
    return tuple(result)


@primitive(
    "ConcatV2", "values: N*T, axis: Tidx -> output: T", "concat", _concat_shape, static=("axis",), T=ALL, Tidx=INDEX_TYPES
)
def concat_v2(call: Call, values: list[np.ndarray], axis: np.ndarray) -> np.ndarray:
    """The values one after the other along `axis`."""
    return np.concatenate(values, axis=int(axis))


@concat_v2.gradient
def _concat_gradient(op: Any, dy: Any) -> Any:
    from .gather import extent

    *values, axis = op.inputs
    if len(values) == 1:
        return dy, None
    position = axis.known()
    if position is None:
        raise LookupError(f"the axis of {op.name} must be known when its gradient is built")
    known = [v.dims for v in values if v.dims is not None]
    at = int(position) % len(known[0]) if known else int(position)
    sizes = [None if v.dims is None else v.dims[at] for v in values]
    parts = pack([extent(v, at) for v in values]) if None in sizes else sizes
    return (*split_v(dy, parts, at, num_split=len(values)), None)


def _pack_shape(call: Call) -> list[Dims | None]:
    shapes = call.shape("values")
    dims: Dims | None = None
    for other in shapes:
        if dims is not None and other is not None and len(dims) != len(other):
            fail(f"Shapes must be equal rank, but are {len(dims)} and {len(other)}")
        run = f"Shapes of all inputs must match: values[0].shape = {show(shapes[0])} != values[1].shape = {show(other)}"
        dims = merge_dims(dims, other, run)
    if dims is None:
        return [None]
    rank, axis = len(dims) + 1, call.attr("axis")
    at = _from_front(axis, rank, f"Argument `axis` = {axis} not in range [{-rank}, {rank})")
    return [(*dims[:at], len(shapes), *dims[at:])]


@composite("Pack", "values: N*T -> output: T", _pack_shape, T=ALL, axis=0)
def pack(call: Call, values: list[Any]) -> Any:
    """The values side by side along a new dimension `axis`."""
    axis = call.attr("axis")
    return concat_v2([expand_dims(v, axis) for v in values], axis)


@pack.gradient
def _pack_gradient(op: Any, dy: Any) -> Any:
    return unpack(dy, num=len(op.inputs), axis=op.attr("axis"))


def _unpack_shape(call: Call) -> list[Dims | None]:
    dims, num, axis = call.shape("value"), call.attr("num"), call.attr("axis")
    if dims is None:
        return [None] * num
    rank = len(dims)
    at = _from_front(axis, rank, f"Argument `axis` = {axis} not in range [{-rank}, {rank})")
    if merge_dim(dims[at], num) != num:
        fail(f"Dimension must be {num} but is {dims[at]}")
    return [(*dims[:at], *dims[at + 1 :])] * num


@view("Unpack", "value: T -> output: num*T", _unpack_shape, T=ALL, axis=0)
def unpack(call: Call, x: Any) -> Any:
    """The slices of the value along `axis`, which is gone from each."""
    at = call.attr("axis") % len(x.dims)
    dims = (*x.dims[:at], *x.dims[at + 1 :])
    return tuple(x.slice(at, i, 1).reshape(dims) for i in range(call.attr("num")))


@unpack.gradient
def _unpack_gradient(op: Any, *dys: Any) -> Any:
    return pack(list(dys), axis=op.attr("axis"))


def _split_axis(call: Call, dims: Dims, axis: int) -> int:
    rank = len(dims)
    return _from_front(axis, rank, f"Dimension size, given by scalar input {axis} must be in range [{-rank}, {rank})")


def _split_shape(call: Call) -> list[Dims | None]:
    dims, axis, num = call.shape("value"), call.ints("split_dim"), call.attr("num_split")
    if dims is None or axis is None:
        return [None if dims is None else (None,) * len(dims)] * num
    at = _split_axis(call, dims, axis[0])
    if isinstance(dims[at], int) and dims[at] % num:
        fail(
            f"Dimension size must be evenly divisible by {num} but is {dims[at]}\n"
            "\tNumber of ways to split should evenly divide the split dimension",
            "Number of ways to split should evenly divide the split dimension, "
            f"but got split_dim {at} (size = {dims[at]}) and num_split {num}",
        )
    part = None if dims[at] is None else dims[at] // num
    return [(*dims[:at], part, *dims[at + 1 :])] * num


def _parts(x: Any, at: int, sizes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Consecutive sections of the view `x` along `at`."""
    start: Dim = 0
    parts = []
    for part in sizes:
        parts.append(x.slice(at, start, part))
        start = start + part
    return tuple(parts)


@view("Split", "split_dim: int32, value: T -> output: num_split*T", _split_shape, static=("split_dim",), T=ALL)
def split(call: Call, x: Any) -> Any:
    """The value cut into `num_split` equal parts along `split_dim`."""
    axis, num = call.ints("split_dim"), call.attr("num_split")
    assert axis is not None
    at = _split_axis(call, x.dims, axis[0])
    return _parts(x, at, (x.dims[at] // num,) * num)


@split.gradient
def _split_gradient(op: Any, *dys: Any) -> Any:
    return None, concat_v2(list(dys), op.inputs[0])


def _part_sizes(total: Dim, sizes: Dims) -> Dims:
    """`sizes` with a -1 replaced by what is left of `total`."""
    if None in sizes or (total is None and -1 in sizes):
        return tuple(None if s == -1 else s for s in sizes)
    listed: Dim = 0
    for s in sizes:
        listed = listed if s == -1 else listed + s
    if total is None:
        return sizes
    if -1 in sizes:
        return tuple(total - listed if s == -1 else s for s in sizes)
    text = f"can't split axis of size {total} into pieces of size {show(sizes)}"
    run = (
        "Determined shape must either match input shape along split_dim exactly if fully specified, or be less than the "
        f"size of the input along split_dim if not fully specified.  Got: {listed}"
    )
    if total != listed:
        if isinstance(total, Batch) or isinstance(listed, Batch):
            raise Undecided(f"{total} = {listed}?")
        fail(text, run)
    return sizes


def _split_v_shape(call: Call) -> list[Dims | None]:
    dims, axis, sizes = call.shape("value"), call.ints("split_dim"), requested(call, "size_splits")
    num = call.attr("num_split")
    if dims is None or axis is None:
        return [None if dims is None else (None,) * len(dims)] * num
    at = _split_axis(call, dims, axis[0])
    parts = (None,) * num if sizes is None else _part_sizes(dims[at], sizes)
    return [(*dims[:at], part, *dims[at + 1 :]) for part in parts]


@view(
    "SplitV",
    "value: T, size_splits: Tlen, split_dim: int32 -> output: num_split*T",
    _split_v_shape,
    static=("size_splits", "split_dim"),
    T=ALL,
    Tlen=(int32, int64),
)
def split_v(call: Call, x: Any) -> Any:
    """The value cut into parts of the given sizes along `split_dim`; one size may be -1."""
    axis, sizes = call.ints("split_dim"), call.ints("size_splits")
    assert axis is not None
    assert sizes is not None
    at = _split_axis(call, x.dims, axis[0])
    return _parts(x, at, _part_sizes(x.dims[at], sizes))


@split_v.gradient
def _split_v_gradient(op: Any, *dys: Any) -> Any:
    return concat_v2(list(dys), op.inputs[2]), None, None
