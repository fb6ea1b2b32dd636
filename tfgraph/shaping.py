"""Functions that ask for shapes or change them: shape, reshape, transpose, tile, blocks of space."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import constant, to_tensor
from .dtypes import as_dtype, int32
from .naming import scope_of
from .ops import array as ops
from .ops import math
from .spellings import either


def _settled(tensor: Any) -> bool:
    return tensor.dims is not None and None not in tensor.dims


def shape(input: Any, name: str | None = None, out_type: Any = int32) -> Any:
    """The shape of `input` as a vector of `out_type`; a constant where it is known already."""
    out_type = as_dtype(out_type)
    with scope_of(name, "Shape", input) as scope:
        tensor = to_tensor(input)
        if _settled(tensor):
            return constant(np.asarray(tensor.dims, out_type.as_numpy_dtype), out_type, name=scope)
        return ops.shape(tensor, out_type=out_type, name=scope)


def shape_n(input: Any, out_type: Any = int32, name: str | None = None) -> list[Any]:
    """The shapes of a list of tensors of one dtype."""
    return list(ops.shape_n(list(input), out_type=as_dtype(out_type), name=name))


def size(input: Any, name: str | None = None, out_type: Any = int32) -> Any:
    """The number of elements of `input` as a scalar of `out_type`; a constant where it is known already."""
    out_type = as_dtype(out_type)
    with scope_of(name, "Size", input) as scope:
        tensor = to_tensor(input)
        if _settled(tensor):
            count = np.prod(tensor.dims, dtype=np.int64)
            return constant(np.asarray(count, out_type.as_numpy_dtype), out_type, name=scope)
        return ops.size(tensor, out_type=out_type, name=scope)


def rank(input: Any, name: str | None = None) -> Any:
    """The number of dimensions of `input` as an int32 scalar; a constant where it is known already."""
    with scope_of(name, "Rank", input) as scope:
        tensor = to_tensor(input)
        if tensor.dims is not None:
            return constant(np.asarray(len(tensor.dims), np.int32), int32, name=scope)
        return ops.rank(tensor, name=scope)


def reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    """The elements of `tensor` in the same order under another shape, one of whose sizes may be -1.

    ValueError if the number of elements differs; InvalidArgumentError if that shows only in a run.
    """
    return ops.reshape(tensor, shape, name=name)


def squeeze(input: Any, axis: Any = None, name: str | None = None, squeeze_dims: Any = None) -> Any:
    """`input` without its dimensions of size 1: all of them, or those in `axis` (which must have size 1)."""
    axis = either("axis", axis, "squeeze_dims", squeeze_dims)
    axes = () if axis is None else tuple(int(a) for a in np.atleast_1d(axis))
    return ops.squeeze(input, squeeze_dims=axes, name=name)


def expand_dims(input: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Any:
    """`input` with a dimension of size 1 put in at `axis` (from -rank-1 to rank)."""
    axis = either("axis", axis, "dim", dim)
    if axis is None:
        raise ValueError("Must specify an axis argument to tf.expand_dims()")
    return ops.expand_dims(input, axis, name=name)


def transpose(a: Any, perm: Any = None, name: str = "transpose", conjugate: bool = False) -> Any:
    """`a` with its dimensions in the order `perm`, by default reversed. There are no complex numbers to conjugate."""
    with scope_of(name, "transpose", a, perm) as scope:
        tensor = to_tensor(a, name="a")
        if perm is not None:
            return ops.transpose(tensor, perm, name=scope)
        if tensor.dims is not None:
            return ops.transpose(tensor, np.arange(len(tensor.dims), dtype=np.int32)[::-1], name=scope)
        last = math.sub(ops.rank(tensor), 1, name="sub")
        return ops.transpose(tensor, ops.range_(last, -1, -1), name=scope)


def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Any:
    """`input` repeated along dimensions of size 1 and along new leading ones, so that it has the given shape."""
    return ops.broadcast_to(input, shape, name=name)


def tile(input: Any, multiples: Any, name: str | None = None) -> Any:
    """`input` repeated multiples[i] times along dimension i."""
    return ops.tile(input, multiples, name=name)


def space_to_depth(input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC") -> Any:
    """[n, h, w, c] -> [n, h/b, w/b, c*b*b]: each block of b x b pixels becomes one pixel."""
    return ops.space_to_depth(input, block_size=block_size, data_format=data_format, name=name)


def depth_to_space(input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC") -> Any:
    """[n, h, w, c] -> [n, h*b, w*b, c/(b*b)]: the opposite of `space_to_depth`."""
    return ops.depth_to_space(input, block_size=block_size, data_format=data_format, name=name)


def space_to_batch_nd(input: Any, block_shape: Any, paddings: Any, name: str | None = None) -> Any:
    """`input`, padded, with the pixels of each offset inside a block as samples of their own."""
    return ops.space_to_batch_nd(input, block_shape, paddings, name=name)


def batch_to_space_nd(input: Any, block_shape: Any, crops: Any, name: str | None = None) -> Any:
    """The opposite of `space_to_batch_nd`; `crops` are cut off the borders."""
    return ops.batch_to_space_nd(input, block_shape, crops, name=name)


def space_to_batch(input: Any, paddings: Any, block_size: int, name: str | None = None) -> Any:
    """`space_to_batch_nd` of images with square blocks."""
    return space_to_batch_nd(input, np.array([block_size, block_size], np.int64), paddings, name=name)


def batch_to_space(input: Any, crops: Any, block_size: int, name: str | None = None) -> Any:
    """`batch_to_space_nd` of images with square blocks."""
    return batch_to_space_nd(input, np.array([block_size, block_size], np.int64), crops, name=name)
