"""Slices and their opposites: Slice, StridedSlice, ReverseV2, and the ops that place a tensor into a larger one (Pad)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import ALL
from ..errors import fail
from ..opdef import REQUIRED, Call, composite, one_of, primitive, view
from ..shapes import Batch, Dim, Dims, Undecided
from .join import concat_v2, pack
from .math import add
from .section import Section, plan, result_dims
from .sequence import ones_like
from .shape import INDEX_TYPES, rank, requested, reshape, reshape_to, shape_tensor

_MASKS = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
_BOUNDS = ("begin", "end", "strides")


# --- cutting ------------------------------------------------------------------------------------------------------------


def _slice_sizes(call: Call) -> Dims | None:
    """The dimensions of a Slice, -1 resolved."""
    dims, begin, sizes = call.shape("input"), requested(call, "begin"), requested(call, "size")
    if dims is None:
        return None if sizes is None else tuple(None if s == -1 else s for s in sizes)
    count = len(dims)
    for bound in (begin, sizes):
        if bound is not None and len(bound) != count:
            fail(
                f"Shape must be rank {count} but is rank {len(bound)}",
                f"Expected begin and size arguments to be 1-D tensors of size {count}",
            )
    starts, lengths = begin or (None,) * count, sizes or (None,) * count
    return tuple(_slice_size(i, d, b, s) for i, (d, b, s) in enumerate(zip(dims, starts, lengths, strict=True)))


def _slice_size(axis: int, dim: Dim, begin: Dim, size: Dim) -> Dim:
    if size is None or (size == -1 and (dim is None or begin is None)):
        return None
    if dim is None or begin is None:
        return size
    if size == -1:
        size = dim - begin
    elif begin == 0 and size == dim:
        return dim
    if begin < 0 or begin > dim:
        fail(f"Expected begin[{axis}] in [0, {dim}], but got {begin}")
    if size < 0 or begin + size > dim:
        fail(f"Expected size[{axis}] in [0, {dim - begin}], but got {size}")
    return size


@view(
    "Slice",
    "input: T, begin: Index, size: Index -> output: T",
    lambda call: [_slice_sizes(call)],
    static=("begin", "size"),
    T=ALL,
    Index=INDEX_TYPES,
)
def slice_(call: Call, x: Any) -> Any:
    """The block of shape `size` at `begin`; a size of -1 takes the rest of its dimension."""
    begin, sizes = call.ints("begin"), _slice_sizes(call)
    assert begin is not None
    assert sizes is not None
    for axis, (start, length) in enumerate(zip(begin, sizes, strict=True)):
        if length != x.dims[axis]:
            x = x.slice(axis, start, length)
    return x


@slice_.gradient
def _slice_gradient(op: Any, dy: Any) -> Any:
    x, begin, _ = op.inputs
    end = add(begin, shape_tensor(dy, begin.dtype))
    return strided_slice_grad(shape_tensor(x, begin.dtype), begin, end, ones_like(begin), dy), None, None


def _plan(call: Call, dims: Dims | None) -> list[Section | None] | None:
    bounds = [requested(call, name) for name in _BOUNDS]
    count = next((len(b) for b in bounds if b is not None), None)
    if dims is None or count is None:
        return None
    begin, end, strides = ((None,) * count if b is None else b for b in bounds)
    return plan(dims, begin, end, strides, {name: call.attr(name) for name in _MASKS})


def _strided_shape(call: Call) -> list[Dims | None]:
    sections = _plan(call, call.shape("input"))
    return [None if sections is None else result_dims(sections)]


@view(
    "StridedSlice",
    "input: T, begin: Index, end: Index, strides: Index -> output: T",
    _strided_shape,
    static=_BOUNDS,
    T=ALL,
    Index=INDEX_TYPES,
    **_MASKS,
)
def strided_slice(call: Call, x: Any) -> Any:
    """Python's x[begin:end:strides] per dimension; bits of the masks mark open ends, `...`, new and dropped dimensions."""
    sections = _plan(call, x.dims)
    assert sections is not None
    cuts = [s for s in sections if s is not None]
    for axis, (cut, dim) in enumerate(zip(cuts, tuple(x.dims), strict=True)):
        if (cut.start, cut.size, cut.step) != (0, dim, 1):
            x = x.slice(axis, cut.start, cut.size, cut.step)
    return x.reshape(result_dims(sections))


@strided_slice.gradient
def _strided_slice_gradient(op: Any, dy: Any) -> Any:
    x, begin, end, strides = op.inputs
    masks = {name: op.attr(name) for name in _MASKS}
    return strided_slice_grad(shape_tensor(x, begin.dtype), begin, end, strides, dy, **masks), None, None, None


@composite(
    "StridedSliceGrad",
    "shape: Index, begin: Index, end: Index, strides: Index, dy: T -> output: T",
    lambda call: [requested(call, "shape")],
    static=("shape", *_BOUNDS),
    T=ALL,
    Index=INDEX_TYPES,
    **_MASKS,
)
def strided_slice_grad(call: Call, shape: Any, begin: Any, end: Any, strides: Any, dy: Any) -> Any:
    """dy where StridedSlice took its elements from, zeros elsewhere."""
    dims = call.ints("shape")
    sections = _plan(call, dims)
    assert dims is not None
    assert sections is not None
    cuts = [s for s in sections if s is not None]
    dy = reshape_to(dy, dims=tuple(s.size for s in cuts))
    return embed(dy, 0, start=tuple(s.start for s in cuts), step=tuple(s.step for s in cuts), dims=dims)


@strided_slice_grad.gradient
def _strided_slice_grad_gradient(op: Any, d: Any) -> Any:
    masks = {name: op.attr(name) for name in _MASKS}
    return None, None, None, None, strided_slice(d, *op.inputs[1:4], **masks)


def _reverse_shape(call: Call) -> list[Dims | None]:
    dims, axes = call.shape("tensor"), call.ints("axis")
    if dims is not None and axes is not None:
        _reversed_axes(axes, len(dims))
    return [dims]


def _reversed_axes(axes: tuple[int, ...], count: int) -> list[int]:
    for i, axis in enumerate(axes):
        if not -count <= axis < count:
            fail(f"'axis'[{i}] = {axis} is out of valid range [0, {count - 1}]")
    chosen = [axis % count for axis in axes]
    for axis in chosen:
        if chosen.count(axis) > 1:
            fail(f"axis {axis} specified more than once.")
    return chosen


@view("ReverseV2", "tensor: T, axis: Tidx -> output: T", _reverse_shape, static=("axis",), T=ALL, Tidx=INDEX_TYPES)
def reverse_v2(call: Call, x: Any) -> Any:
    """The tensor with the order of the elements along the given axes reversed."""
    axes = call.ints("axis")
    assert axes is not None
    for axis in _reversed_axes(axes, len(x.dims)):
        x = x.slice(axis, x.dims[axis] - 1, x.dims[axis], -1)
    return x


@reverse_v2.gradient
def _reverse_gradient(op: Any, dy: Any) -> Any:
    return reverse_v2(dy, op.inputs[1]), None


@view(
    "_Section",
    "x: T -> y: T",
    lambda call: [_section_dims(call)],
    T=ALL,
    axis=REQUIRED,
    start=REQUIRED,
    size=REQUIRED,
    step=1,
)
def section(call: Call, x: Any) -> Any:
    """`size` elements along one axis; for bodies of composite ops."""
    return x.slice(call.attr("axis"), call.attr("start"), call.attr("size"), call.attr("step"))


def _section_dims(call: Call) -> Dims:
    dims, axis = call.shape("x"), call.attr("axis")
    return (*dims[:axis], call.attr("size"), *dims[axis + 1 :])


# --- placing into a larger tensor ----------------------------------------------------------------


@primitive(
    "_Embed",
    "x: T, value: T -> y: T",
    "embed",
    lambda call: [call.attr("dims")],
    T=ALL,
    start=REQUIRED,
    step=REQUIRED,
    dims=REQUIRED,
)
def embed(call: Call, x: np.ndarray, value: np.ndarray) -> np.ndarray:
    """y[start + step * i] = x[i] along every axis; the scalar `value` in the rest of y, whose dimensions are `dims`."""
    y = np.full([int(d) for d in call.attr("dims")], value, dtype=x.dtype)
    places = [
        start + step * np.arange(n) for start, step, n in zip(call.attr("start"), call.attr("step"), x.shape, strict=True)
    ]
    y[np.ix_(*places)] = x
    return y


def _paddings(call: Call) -> list[tuple[Dim, Dim]] | None:
    """(before, after) per dimension; None if not known yet."""
    value = call.value("paddings")
    if value is None:
        return None
    pairs = [tuple(pair) for pair in value.reshape(-1, 2).tolist()]
    for before, after in pairs:
        if any(isinstance(p, int) and p < 0 for p in (before, after)):
            fail(f"Paddings must be non-negative: {before} {after}")
    return pairs


def _pad_shape(call: Call) -> list[Dims | None]:
    dims, pairs = call.shape("input"), _paddings(call)
    wanted = call.shape("paddings")
    if wanted is not None and len(wanted) != 2:
        fail(f"Shape must be rank 2 but is rank {len(wanted)}")
    count = None if wanted is None else wanted[0]
    if dims is not None and count is not None and count != len(dims):
        fail(
            f"Shape must be rank {count} but is rank {len(dims)}",
            f"The first dimension of paddings must be the rank of inputs [{count},2] [{len(dims)}]",
        )
    if pairs is None or dims is None:
        known = len(dims) if dims is not None else count
        return [None if known is None else (None,) * known]
    return [tuple(_padded(d, *pair) for d, pair in zip(dims, pairs, strict=True))]


def _padded(dim: Dim, before: Dim, after: Dim) -> Dim:
    return None if None in (dim, before, after) else dim + before + after


def _pad(call: Call, x: Any, value: Any) -> Any:
    pairs = _paddings(call)
    assert pairs is not None
    (dims,) = _pad_shape(call)
    return embed(x, value, start=tuple(before for before, _ in pairs), step=(1,) * len(pairs), dims=dims)


@composite(
    "Pad", "input: T, paddings: Tpaddings -> output: T", _pad_shape, static=("paddings",), T=ALL, Tpaddings=INDEX_TYPES
)
def pad(call: Call, x: Any, paddings: Any) -> Any:
    """The input with zeros around it: paddings[i] = how many before and after along dimension i."""
    return _pad(call, x, 0)


@composite(
    "PadV2",
    "input: T, paddings: Tpaddings, constant_values: T -> output: T",
    _pad_shape,
    static=("paddings",),
    T=ALL,
    Tpaddings=INDEX_TYPES,
)
def pad_v2(call: Call, x: Any, paddings: Any, constant_values: Any) -> Any:
    """Pad with a scalar of one's own."""
    return _pad(call, x, constant_values)


@pad.gradient
@pad_v2.gradient
def _pad_gradient(op: Any, dy: Any) -> Any:
    x, paddings = op.inputs[:2]
    count = rank(x) if x.dims is None else len(x.dims)
    before = reshape(slice_(paddings, [0, 0], _column(count)), [-1])
    return (slice_(dy, before, shape_tensor(x, paddings.dtype)), *[None] * (len(op.inputs) - 1))


def _column(count: Any) -> Any:
    return [count, 1] if isinstance(count, int) else pack([count, 1])


# --- mirrored borders -----------------------------------------------------------------------------


def _mirror_shape(call: Call) -> list[Dims | None]:
    dims, pairs = call.shape("input"), _paddings(call)
    if dims is not None and pairs is not None:
        less = 1 if call.attr("mode") == "REFLECT" else 0
        for d, (before, after) in zip(dims, pairs, strict=False):
            if (
                isinstance(d, int)
                and isinstance(before, int)
                and isinstance(after, int)
                and max(before, after) > max(d - less, 0)
            ):
                fail(
                    f"paddings must be less than the dimension size: {before}, {after} not less than {d}"
                    if less
                    else f"paddings must be no greater than the dimension size: {before}, {after} greater than {d}"
                )
    return _pad_shape(call)


def _mirrored(call: Call, pairs: list[tuple[Any, Any]]) -> list[tuple[int, int, int]]:
    """(axis, before, after) of the axes that are padded at all."""
    return [(axis, before, after) for axis, (before, after) in enumerate(pairs) if (before, after) != (0, 0)]


_MODE = one_of("REFLECT", "SYMMETRIC")


@composite(
    "MirrorPad",
    "input: T, paddings: Tpaddings -> output: T",
    _mirror_shape,
    static=("paddings",),
    T=ALL,
    Tpaddings=INDEX_TYPES,
    mode=_MODE,
)
def mirror_pad(call: Call, x: Any, paddings: Any) -> Any:
    """The input with its own mirror images around it: without (REFLECT) or with (SYMMETRIC) the border elements."""
    pairs = _paddings(call)
    assert pairs is not None
    skip = 1 if call.attr("mode") == "REFLECT" else 0
    for axis, before, after in _mirrored(call, pairs):
        n = _fixed(x.dims[axis])
        left = section(x, axis=axis, start=before - 1 + skip, size=before, step=-1)
        right = section(x, axis=axis, start=n - 1 - skip, size=after, step=-1)
        x = concat_v2([left, x, right], axis)
    return x


def _fixed(dim: Dim) -> int:
    if isinstance(dim, Batch):
        raise Undecided(f"mirror images of {dim} elements")
    return int(dim)


@mirror_pad.gradient
def _mirror_pad_gradient(op: Any, dy: Any) -> Any:
    return mirror_pad_grad(dy, op.inputs[1], mode=op.attr("mode")), None


def _mirror_grad_shape(call: Call) -> list[Dims | None]:
    dims, pairs = call.shape("input"), _paddings(call)
    if dims is None or pairs is None:
        return [None if dims is None else (None,) * len(dims)]
    return [tuple(None if d is None else d - (b + a) for d, (b, a) in zip(dims, pairs, strict=True))]


@composite(
    "MirrorPadGrad",
    "input: T, paddings: Tpaddings -> output: T",
    _mirror_grad_shape,
    static=("paddings",),
    T=ALL,
    Tpaddings=INDEX_TYPES,
    mode=_MODE,
)
def mirror_pad_grad(call: Call, dy: Any, paddings: Any) -> Any:
    """dy with its mirrored borders folded back onto the elements that they are copies of."""
    pairs = _paddings(call)
    assert pairs is not None
    skip = 1 if call.attr("mode") == "REFLECT" else 0
    for axis, before, after in reversed(_mirrored(call, pairs)):
        n = _fixed(dy.dims[axis]) - before - after
        left = section(dy, axis=axis, start=before - 1, size=before, step=-1)
        right = section(dy, axis=axis, start=before + n + after - 1, size=after, step=-1)
        dy = section(dy, axis=axis, start=before, size=n)
        dims = tuple(dy.dims)
        for part, start in ((left, skip), (right, n - after - skip)):
            place = tuple(start if i == axis else 0 for i in range(len(dims)))
            dy = add(dy, embed(part, 0, start=place, step=(1,) * len(dims), dims=dims))
    return dy


@mirror_pad_grad.gradient
def _mirror_pad_grad_gradient(op: Any, d: Any) -> Any:
    return mirror_pad(d, op.inputs[1], mode=op.attr("mode")), None
