"""Functions that make tensors of given values: zeros, ones, fill, range, linspace, one_hot, meshgrid, sequence_mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import constant, to_tensor
from .dtypes import DType, as_dtype, bool_, float32, float64, int32, int64, string
from .naming import scope_of
from .ops import array as ops
from .ops.compare import cast, less
from .ops.math import maximum, mul
from .ops.reduce import max_
from .shapes import TensorShape
from .shaping import expand_dims, reshape, size

SMALL = 1000  # elements; below it, TensorFlow stores zeros and ones as constants


def zeros(shape: Any, dtype: Any = float32, name: str | None = None) -> Any:
    """A tensor of zeros (False, empty strings); `shape` may be or hold tensors."""
    dtype = as_dtype(dtype).base_dtype
    return _filled({bool_: False, string: ""}.get(dtype, 0), shape, dtype, name, "zeros")


def ones(shape: Any, dtype: Any = float32, name: str | None = None) -> Any:
    """A tensor of ones (True); `shape` may be or hold tensors."""
    dtype = as_dtype(dtype).base_dtype
    return _filled(True if dtype == bool_ else 1, shape, dtype, name, "ones")


def _filled(value: Any, shape: Any, dtype: DType, name: str | None, default: str) -> Any:
    with scope_of(name, default, shape) as scope:
        sizes = _sizes(shape)
        if sizes is not None and np.prod(sizes, dtype=np.int64) < SMALL:
            return constant(np.full(sizes, value), dtype, name=scope)
        if sizes is not None:
            shape = constant(np.asarray(sizes, np.int32), int32, name="shape_as_tensor")
        else:
            shape = to_tensor(shape, None if hasattr(shape, "dims") else int32)
            if shape.dims == ():
                shape = reshape(shape, [-1])
        return ops.fill(shape, constant(value, dtype), name=scope)


def _sizes(shape: Any) -> tuple[int, ...] | None:
    """The sizes of a shape made of Python numbers only, else None."""
    if hasattr(shape, "dims") and not isinstance(shape, TensorShape):
        return None
    try:
        sizes = TensorShape(shape.tolist() if isinstance(shape, np.ndarray) else shape)
    except (TypeError, ValueError):
        return None
    if not sizes.is_fully_defined():
        raise ValueError(f"Cannot convert a partially known TensorShape {sizes} to a Tensor.")
    return tuple(int(d) for d in sizes.as_list() if d is not None)


def zeros_like(tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True) -> Any:
    """Zeros in the shape of `tensor`, of its dtype or another one; a constant where the shape is known (`optimize`)."""
    with scope_of(name, "zeros_like", tensor) as scope:
        tensor = to_tensor(tensor, name="tensor")
        wanted = tensor.dtype.base_dtype if dtype is None else as_dtype(dtype)
        if optimize and tensor.shape.is_fully_defined():
            return zeros(tensor.shape, wanted, name=scope)
        if wanted != tensor.dtype.base_dtype:
            return zeros(ops.shape(tensor), wanted, name=scope)
        return ops.zeros_like(tensor, name=scope)


def ones_like(tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True) -> Any:
    """Ones in the shape of `tensor`, of its dtype or another one."""
    with scope_of(name, "ones_like", tensor) as scope:
        tensor = to_tensor(tensor, name="tensor")
        wanted = tensor.dtype.base_dtype if dtype is None else as_dtype(dtype)
        if optimize and tensor.shape.is_fully_defined():
            like = constant(np.asarray(tensor.dims, np.int32), int32, name="Shape/shape_as_tensor")
        else:
            like = ops.shape(tensor)
        return ones(like, wanted, name=scope)


def fill(dims: Any, value: Any, name: str | None = None) -> Any:
    """A tensor of shape `dims` that holds the scalar `value` everywhere."""
    return ops.fill(dims, value, name=name)


# --- numbers in a row ----------------------------------------------------------------------------------------------------

_RANGE_TYPES = (int32, int64, float32, float64)


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range") -> Any:
    """start, start + delta, ... up to but without `limit`; with one argument, from 0 up to it.

    Without `dtype`, the widest dtype of the arguments.
    """
    if limit is None:
        start, limit = 0, start
    wanted = None if dtype is None else as_dtype(dtype)
    with scope_of(name, "range", start, limit, delta) as scope:
        named = (("start", start), ("limit", limit), ("delta", delta))
        bounds = [to_tensor(v, None if hasattr(v, "dims") else wanted, name=n) for n, v in named]
        if wanted is None:
            types = [b.dtype.base_dtype for b in bounds]
            wanted = max(types, key=lambda t: _RANGE_TYPES.index(t) if t in _RANGE_TYPES else -1)
        bounds = [b if b.dtype.base_dtype == wanted else cast(b, DstT=wanted) for b in bounds]
        return ops.range_(*bounds, name=scope)


def linspace(start: Any, stop: Any, num: Any, name: str | None = None) -> Any:
    """`num` evenly spaced numbers from `start` to `stop`, both included."""
    return ops.lin_space(start, stop, num, name=name)


lin_space = linspace


def one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> Any:
    """A new dimension of `depth` places along `axis` (the last): `on_value` (1) at the index, `off_value` (0) elsewhere.

    An index outside [0, depth) is nowhere. TypeError if the values' dtypes and `dtype` (float32) contradict each other.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    with scope_of(name, "one_hot", indices, depth, on_value, off_value) as scope:
        on = None if on_value is None else _hinted(on_value, wanted)
        off = None if off_value is None else _hinted(off_value, wanted)
        for label, value in (("on_value", on), ("off_value", off)):
            if value is not None and wanted is not None and value.dtype.base_dtype != wanted:
                raise TypeError(f"dtype {value.dtype!r} of {label} does not match dtype parameter {wanted!r}")
        if wanted is None:
            given = on if on is not None else off
            wanted = float32 if given is None else given.dtype.base_dtype
        on = constant(wanted.as_numpy_dtype(1), wanted, name="on_value") if on is None else on
        off = constant(wanted.as_numpy_dtype(0), wanted, name="off_value") if off is None else off
        if on.dtype.base_dtype != off.dtype.base_dtype:
            raise TypeError(f"dtype {on.dtype!r} of on_value does not match dtype {off.dtype!r} of off_value")
        return ops.one_hot(indices, depth, on, off, axis=-1 if axis is None else axis, name=scope)


def _hinted(value: Any, dtype: DType | None) -> Any:
    """`value` as a tensor, of `dtype` where it can be."""
    if dtype is not None and not hasattr(value, "dims"):
        try:
            return to_tensor(value, dtype)
        except (TypeError, ValueError):
            pass
    return to_tensor(value)


def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = bool_, name: str | None = None) -> Any:
    """[..., maxlen]: true in the first lengths[...] places of each row; `maxlen` is by default the longest length."""
    with scope_of(name, "SequenceMask", lengths, maxlen):
        lengths = to_tensor(lengths)
        if maxlen is None:
            axes = None if lengths.dims is None else np.arange(len(lengths.dims), dtype=np.int32)
            every = ops.range_(0, ops.rank(lengths), 1) if axes is None else constant(axes)
            longest = max_(lengths, every)
            maxlen = maximum(constant(0, longest.dtype), longest)
        else:
            maxlen = to_tensor(maxlen)
        if maxlen.dims not in (None, ()):
            raise ValueError(
                f"Argument `maxlen` must be scalar for sequence_mask, received `maxlen` = {maxlen} with shape "
                f"'{maxlen.shape}' instead"
            )
        places = ops.range_(constant(0, maxlen.dtype), maxlen, constant(1, maxlen.dtype))
        rows = cast(expand_dims(lengths, -1), DstT=maxlen.dtype.base_dtype)
        mask = less(places, rows)
        wanted = bool_ if dtype is None else as_dtype(dtype)
        return mask if wanted == bool_ else cast(mask, DstT=wanted)


def meshgrid(*args: Any, indexing: str = "xy", name: str = "meshgrid") -> list[Any]:
    """The coordinates of a grid over the given vectors, one tensor per vector.

    "xy" swaps the first two dimensions, as NumPy does; ValueError for anything but "xy" and "ij".
    """
    from .joining import stack

    if indexing not in ("xy", "ij"):
        raise ValueError(f"Argument `indexing` parameter must be either 'xy' or 'ij', got '{indexing}'")
    with scope_of(name, "meshgrid", *args):
        if not args:
            return []
        count = len(args)
        output = [reshape(stack(x), [-1 if j == i else 1 for j in _numbers(count)]) for i, x in enumerate(args)]
        sizes = [size(x) for x in args]
        dtype = to_tensor(args[0]).dtype.base_dtype
        if indexing == "xy" and count > 1:
            output[0] = reshape(output[0], [1, -1] + [1] * (count - 2))
            output[1] = reshape(output[1], [-1, 1] + [1] * (count - 2))
            sizes[0], sizes[1] = sizes[1], sizes[0]
        grid = ones(sizes, dtype)
        return [mul(x, grid, name="mul") for x in output]


def _numbers(count: int) -> list[int]:
    """0 .. count - 1, where `range` is TensorFlow's."""
    return list(np.arange(count))
