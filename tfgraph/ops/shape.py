"""Ops that ask for a shape or give the same elements another one: Shape, Reshape, Transpose, BroadcastTo and their kin."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import ALL, DType, int32, int64
from ..errors import fail
from ..graph import Graph
from ..opdef import REQUIRED, Call, composite, primitive, view
from ..shapes import Batch, Dim, Dims, Undecided, element_count, merge_dim, show
from .broadcasting import unbroadcast
from .flat import flat
from .reduce import sum_
from .sequence import range_

INDEX_TYPES = (int32, int64)


def requested(call: Call, name: str) -> Dims | None:
    """The dimensions that an argument asks for: ints, Batch or None each; None if not even their number is known."""
    values = call.ints(name)
    if values is not None:
        return values
    dims = call.shape(name)
    return None if dims is None or dims[0] is None else (None,) * dims[0]


def decide_one(dim: Dim, build: str, run: str | None = None) -> None:
    """Stop unless `dim` is 1 or not known yet; whether c*N is 1 must be decided for one N."""
    if isinstance(dim, Batch):
        raise Undecided(f"{dim} = 1?")
    if dim not in (1, None):
        fail(build, run)


# --- queries ------------------------------------------------------------------------------------------------------


def _rank_vector(call: Call) -> list[Dims | None]:
    return [(call.rank("input"),)]


@primitive("Shape", "input: T -> output: out_type", "shape", _rank_vector, T=ALL, out_type=int32)
def shape(call: Call, x: np.ndarray) -> np.ndarray:
    """The shape of the input as a vector."""
    return np.asarray(np.shape(x), call.attr("out_type").as_numpy_dtype)


@primitive(
    "ShapeN",
    "input: N*T -> output: N*out_type",
    "shape",
    lambda call: [(None if dims is None else len(dims),) for dims in call.shape("input")],
    T=ALL,
    out_type=int32,
)
def shape_n(call: Call, xs: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """The shape of each input."""
    return tuple(np.asarray(np.shape(x), call.attr("out_type").as_numpy_dtype) for x in xs)


@primitive("Size", "input: T -> output: out_type", "shape", lambda call: [()], T=ALL, out_type=int32)
def size(call: Call, x: np.ndarray) -> np.ndarray:
    """The number of elements of the input."""
    return np.asarray(np.size(x), call.attr("out_type").as_numpy_dtype)


@primitive("Rank", "input: T -> output: int32", "shape", lambda call: [()], T=ALL)
def rank(call: Call, x: np.ndarray) -> np.ndarray:
    """The number of dimensions of the input."""
    return np.asarray(np.ndim(x), np.int32)


flat(shape, shape_n, size, rank)


def shape_tensor(x: Any, dtype: DType = int32) -> Any:
    """The shape of `x` as a tensor: in a graph a constant where it is known, as TensorFlow's gradients write it."""
    dims = x.dims
    if isinstance(x.builder, Graph) and dims is not None and None not in dims:
        return x.builder.constant(np.asarray(dims, dtype.as_numpy_dtype), dtype, "Shape")
    return shape(x, out_type=dtype)


# --- the same elements in the same order ---------------------------------------------------------------------------


def reshape_dims(source: Dims | None, target: Dims) -> Dims:
    """The dimensions of `source` reshaped to `target`, in which one may be -1 or None (then it is inferred)."""
    holes = [i for i, d in enumerate(target) if d is None or d == -1]
    for i, d in enumerate(target):
        if isinstance(d, int) and d < -1:
            fail(f"Invalid value in tensor used for shape: {d}", f"Size {i} must be non-negative, not {d}")
    count = None if source is None else element_count(source)
    if not holes:
        if count is not None:
            _check_count(count, element_count(target), target)
        return target
    if len(holes) > 1 or count is None:
        return tuple(None if i in holes else d for i, d in enumerate(target))
    others = element_count([d for i, d in enumerate(target) if i not in holes])
    return tuple(_missing(count, others) if i in holes else d for i, d in enumerate(target))


def _check_count(count: Dim, wanted: Dim, target: Dims) -> None:
    if count == wanted:
        return
    if isinstance(count, Batch) or isinstance(wanted, Batch):
        raise Undecided(f"{count} = {wanted}?")
    fail(
        f"Cannot reshape a tensor with {count} elements to shape {show(target)} ({wanted} elements)",
        f"Input to reshape is a tensor with {count} values, but the requested shape has {wanted}",
    )


def _missing(count: Dim, others: Dim) -> Dim:
    """The one inferred dimension; None if every size would do (an empty tensor)."""
    if others == 0:
        return None
    if isinstance(count, int) and isinstance(others, int) and count % others:
        fail(
            f"Dimension size must be evenly divisible by {others} but is {count}",
            f"Input to reshape is a tensor with {count} values, but the requested shape requires a multiple of {others}",
        )
    return count // others


def _reshape_shape(call: Call) -> list[Dims | None]:
    target = requested(call, "shape")
    return [None if target is None else reshape_dims(call.shape("tensor"), target)]


@view("Reshape", "tensor: T, shape: Tshape -> output: T", _reshape_shape, static=("shape",), T=ALL, Tshape=INDEX_TYPES)
def reshape(call: Call, x: Any) -> Any:
    """The elements of `tensor` in the same order under the dimensions `shape`; one of them may be -1."""
    target = call.ints("shape")
    assert target is not None
    unknown = [i for i, d in enumerate(target) if d == -1]
    if len(unknown) > 1:
        fail(f"Only one input size may be -1, not both {unknown[0]} and {unknown[1]}")
    dims = reshape_dims(x.dims, target)
    if None in dims:
        fail("reshape cannot infer the missing input size for an empty tensor unless all specified input sizes are non-zero")
    return x.reshape(dims)


@view("_Reshape", "tensor: T -> output: T", lambda call: [call.attr("dims")], T=ALL, dims=REQUIRED)
def reshape_to(call: Call, x: Any) -> Any:
    """Reshape to the attribute `dims`, which may hold multiples of the batch size; for bodies of composite ops."""
    return x.reshape(call.attr("dims"))


def _back_to_input(op: Any, dy: Any) -> tuple[Any, ...]:
    """The gradient of a reshaping op: dy under the shape of the first input."""
    return (reshape(dy, shape_tensor(op.inputs[0])), *[None] * (len(op.inputs) - 1))


def _squeezed(dims: Dims | None, axes: tuple[int, ...]) -> Dims | None:
    if dims is None:
        return None
    count = len(dims)
    for i, axis in enumerate(axes):
        if not -count <= axis < count:
            fail(
                f"squeeze_dims[{i}] not in [{-count},{count}).",
                f"Tried to squeeze dim index {axis} for tensor with {count} dimensions.",
            )
    if axes:
        gone = {axis % count for axis in axes}
        for i in sorted(gone):
            decide_one(dims[i], f"Can not squeeze dim[{i}], expected a dimension of 1, got {dims[i]}")
        return tuple(d for i, d in enumerate(dims) if i not in gone)
    if None in dims:
        return None
    for d in dims:
        if isinstance(d, Batch):
            raise Undecided(f"{d} = 1?")
    return tuple(d for d in dims if d != 1)


@view(
    "Squeeze",
    "input: T -> output: T",
    lambda call: [_squeezed(call.shape("input"), tuple(call.attr("squeeze_dims")))],
    T=ALL,
    squeeze_dims=(),
)
def squeeze(call: Call, x: Any) -> Any:
    """The input without its dimensions of size 1 (those listed, or all)."""
    return x.reshape(_squeezed(x.dims, tuple(call.attr("squeeze_dims"))))


def _expanded(dims: Dims, axis: int) -> Dims:
    count = len(dims)
    if not -count - 1 <= axis <= count:
        fail(
            f"dim {axis} not in the interval [{-count - 1}, {count}].",
            f"Tried to expand dim index {axis} for tensor with {count} dimensions.",
        )
    at = axis + count + 1 if axis < 0 else axis
    return (*dims[:at], 1, *dims[at:])


def _expand_dims_shape(call: Call) -> list[Dims | None]:
    dims, axis = call.shape("input"), call.ints("dim")
    if dims is None:
        return [None]
    return [(None,) * (len(dims) + 1) if axis is None else _expanded(dims, axis[0])]


@view("ExpandDims", "input: T, dim: Tdim -> output: T", _expand_dims_shape, static=("dim",), T=ALL, Tdim=INDEX_TYPES)
def expand_dims(call: Call, x: Any) -> Any:
    """The input with a dimension of size 1 inserted at `dim`."""
    axis = call.ints("dim")
    assert axis is not None
    return x.reshape(_expanded(x.dims, axis[0]))


for _op in (reshape, squeeze, expand_dims):
    _op.gradient(_back_to_input)


# --- other orders and repetitions ------------------------------------------------------------------------------------


def _permutation(perm: tuple[int, ...], count: int) -> tuple[int, ...]:
    """`perm` counted from the front; a shape error unless it is a permutation of range(count)."""
    if len(perm) != count:
        fail(
            f"Dimension must be {count} but is {len(perm)}",
            f"transpose expects a vector of size {count}. But input(1) is a vector of size {len(perm)}",
        )
    for p in perm:
        if not -count <= p < count:
            fail(f"perm dim {p} is out of range of input rank {count}", f"{p} is out of range [0 .. {count})")
    axes = tuple(p % count for p in perm)
    for i in range(count):
        if i not in axes:
            fail(f"{i} is missing from {{{','.join(str(a) for a in axes)}}}.")
    return axes


def _transpose_shape(call: Call) -> list[Dims | None]:
    dims, perm = call.shape("x"), call.ints("perm")
    if perm is None:
        order = requested(call, "perm")
        return [order if dims is None else (None,) * len(dims)]
    if dims is None:
        return [(None,) * len(perm)]
    return [tuple(dims[p] for p in _permutation(perm, len(dims)))]


@view("Transpose", "x: T, perm: Tperm -> y: T", _transpose_shape, static=("perm",), T=ALL, Tperm=INDEX_TYPES)
def transpose(call: Call, x: Any) -> Any:
    """Dimension i of the result is dimension perm[i] of x."""
    perm = call.ints("perm")
    assert perm is not None
    return x.permute(_permutation(perm, len(x.dims)))


@transpose.gradient
def _transpose_gradient(op: Any, dy: Any) -> Any:
    from .gather import invert_permutation

    return transpose(dy, invert_permutation(op.inputs[1])), None


def broadcast_dims_to(source: Dims | None, target: Dims) -> Dims:
    """`target`, to which `source` must broadcast."""
    if source is None:
        return target
    run = f"Incompatible shapes: {show(source)} vs. {show(target)}"
    if len(source) > len(target):
        fail(f"Shape must be at least rank {len(source)} but is rank {len(target)}", run)
    lead = len(target) - len(source)
    return (*target[:lead], *(t if s == 1 else merge_dim(s, t, run) for s, t in zip(source, target[lead:], strict=True)))


def _broadcast_to_shape(call: Call) -> list[Dims | None]:
    target = requested(call, "shape")
    return [None if target is None else broadcast_dims_to(call.shape("input"), target)]


def _spread(x: Any, dims: Dims) -> Any:
    """The view `x` repeated along new leading dimensions and those of size 1."""
    source = (1,) * (len(dims) - len(x.dims)) + tuple(x.dims)
    x = x if len(source) == len(x.dims) else x.reshape(source)
    for axis, (s, d) in enumerate(zip(source, broadcast_dims_to(source, dims), strict=True)):
        if s == 1 and d != 1:
            x = x.expand(axis, d)
    return x


@view("BroadcastTo", "input: T, shape: Tidx -> output: T", _broadcast_to_shape, static=("shape",), T=ALL, Tidx=INDEX_TYPES)
def broadcast_to(call: Call, x: Any) -> Any:
    """The input repeated along dimensions of size 1 and along new leading ones until it has the given shape."""
    dims = call.ints("shape")
    assert dims is not None
    return _spread(x, dims)


@broadcast_to.gradient
def _broadcast_to_gradient(op: Any, dy: Any) -> Any:
    return unbroadcast(dy, op.inputs[0]), None


@view("_BroadcastTo", "input: T -> output: T", lambda call: [call.attr("dims")], T=ALL, dims=REQUIRED)
def spread_to(call: Call, x: Any) -> Any:
    """BroadcastTo with the dimensions as an attribute, which may hold multiples of the batch size."""
    return _spread(x, call.attr("dims"))


def _fill_shape(call: Call) -> list[Dims | None]:
    dims = requested(call, "dims")
    if call.rank("value") not in (0, None):
        fail(f"Shape must be rank 0 but is rank {call.rank('value')}")
    for d in dims or ():
        if isinstance(d, int) and d < 0:
            fail("Fill dimensions must be >= 0", f"Dimension {d} must be >= 0")
    return [dims]


@view("Fill", "dims: index_type, value: T -> output: T", _fill_shape, static=("dims",), T=ALL, index_type=INDEX_TYPES)
def fill(call: Call, value: Any) -> Any:
    """A tensor of shape `dims` that holds the scalar `value` everywhere."""
    dims = call.ints("dims")
    assert dims is not None
    return _spread(value, dims)


@fill.gradient
def _fill_gradient(op: Any, dy: Any) -> Any:
    return None, sum_(dy, range_(0, rank(dy), 1))


def _tiled(dims: Dims | None, multiples: Dims | None) -> Dims | None:
    if dims is None or multiples is None:
        known = multiples if dims is None else dims
        return None if known is None else (None,) * len(known)
    if len(dims) != len(multiples):
        fail(
            f"Shape must be rank {len(dims)} but is rank {len(multiples)}",
            f"Expected multiples argument to be a vector of length {len(dims)} but got length {len(multiples)}",
        )
    for i, m in enumerate(multiples):
        if isinstance(m, int) and m < 0:
            fail(f"Expected multiples[{i}] >= 0, but got {m}")
    return tuple(None if d is None or m is None else d * m for d, m in zip(dims, multiples, strict=True))


def _tile_shape(call: Call) -> list[Dims | None]:
    return [_tiled(call.shape("input"), requested(call, "multiples"))]


@composite(
    "Tile", "input: T, multiples: Tmultiples -> output: T", _tile_shape, static=("multiples",), T=ALL, Tmultiples=INDEX_TYPES
)
def tile(call: Call, x: Any, _: Any) -> Any:
    """The input repeated multiples[i] times along dimension i."""
    dims, multiples = call.shape("input"), call.ints("multiples")
    assert multiples is not None
    apart = tuple(n for d in dims for n in (1, d))
    repeated = tuple(n for m, d in zip(multiples, dims, strict=True) for n in (m, d))
    return reshape_to(spread_to(reshape_to(x, dims=apart), dims=repeated), dims=_tiled(dims, multiples))


@tile.gradient
def _tile_gradient(op: Any, dy: Any) -> Any:
    from .join import pack

    # dy seen as [multiples[0], shape[0], multiples[1], shape[1], ...], summed over the multiples
    apart = reshape(transpose(pack([op.inputs[1], shape_tensor(op.inputs[0], op.inputs[1].dtype)]), [1, 0]), [-1])
    return sum_(reshape(dy, apart), range_(0, size(apart), 2)), None
