"""Tensors made of numbers that follow a rule: ranges, evenly spaced numbers, one-hot rows, zeros and ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import ALL, FLOATS, NUMBERS, DType, int32, int64, uint8
from ..errors import fail
from ..opdef import REQUIRED, Call, composite, pointwise, primitive
from ..shapes import Batch, Dim, Dims, Undecided
from .flat import flat
from .math import add, mul


@primitive("_Iota", "-> output: dtype", "iota", lambda call: [(call.attr("size"),)], dtype=NUMBERS, size=REQUIRED)
def iota(call: Call) -> np.ndarray:
    """0, 1, 2, ... `size` numbers; `size` may be a multiple of the batch size."""
    return np.arange(int(call.attr("size"))).astype(call.attr("dtype").as_numpy_dtype)


def iota_beside(x: Any, count: Dim, dtype: DType) -> Any:
    """`iota` in the graph or program of `x`: without an input, the op cannot tell by itself where it belongs."""
    return x.builder.build(iota, (), {"size": count, "dtype": dtype}, None).outputs[0]


# --- ranges -----------------------------------------------------------------------------------------------------------


def range_size(start: Any, limit: Any, delta: Any) -> Dim:
    """How many numbers start, start + delta, ... lie before `limit`."""
    if delta == 0:
        fail("Requires delta != 0")
    if isinstance(start, Batch) or isinstance(limit, Batch):
        # n*c numbers from 0, or between two multiples of N
        return (limit - start) // delta
    if delta > 0 and start > limit:
        fail(f"Requires start <= limit when delta > 0: {start}/{limit}")
    if delta < 0 and start < limit:
        fail(f"Requires start >= limit when delta < 0: {start}/{limit}")
    if all(isinstance(v, int) for v in (start, limit, delta)):
        return -((start - limit) // delta)
    return math.ceil(abs((limit - start) / delta))


def _limits(call: Call) -> list[Any] | None:
    values = [call.value(name) for name in ("start", "limit", "delta")]
    scalars = [None if v is None or v.shape != () else v.item() for v in values]
    return None if None in scalars else scalars


def _range_shape(call: Call) -> list[Dims | None]:
    for name in ("start", "limit", "delta"):
        if call.rank(name) not in (0, None):
            fail(f"Shape must be rank 0 but is rank {call.rank(name)}")
    limits = _limits(call)
    return [(None if limits is None else range_size(*limits),)]


@composite(
    "Range",
    "start: Tidx, limit: Tidx, delta: Tidx -> output: Tidx",
    _range_shape,
    static=("start", "limit", "delta"),
    Tidx=(*FLOATS, int32, int64),
)
def range_(call: Call, start: Any, limit: Any, delta: Any) -> Any:
    """start, start + delta, ... up to but without `limit`."""
    limits = _limits(call)
    if limits is None:
        raise LookupError("the limits of a Range must be known")
    first, _, step = limits
    if isinstance(first, Batch):
        raise Undecided(f"a range from {first}")
    numbers = iota_beside(delta, range_size(*limits), delta.dtype)
    numbers = numbers if step == 1 else mul(numbers, delta)
    return numbers if first == 0 else add(numbers, start)


@pointwise("_Between", "start: T, stop: T, position: T -> output: T", T=FLOATS, last=REQUIRED)
def between(m: Any, start: Any, stop: Any, position: Any, *, last: Any) -> Any:
    """The point at `position` of `last` equal steps from start to stop."""
    return m.where(position < last, start + (stop - start) / max(last, 1) * position, m.where(position > 0, stop, start))


def _lin_space_shape(call: Call) -> list[Dims | None]:
    num = call.ints("num")
    if num is not None and isinstance(num[0], int) and num[0] <= 0:
        fail(f"Requires num > 0: {num[0]}")
    return [(None if num is None else num[0],)]


@composite(
    "LinSpace", "start: T, stop: T, num: Tidx -> output: T", _lin_space_shape, static=("num",), T=FLOATS, Tidx=(int32, int64)
)
def lin_space(call: Call, start: Any, stop: Any, num: Any) -> Any:
    """`num` evenly spaced numbers from start to stop, both included."""
    count = call.ints("num")
    assert count is not None
    positions = iota_beside(start, count[0], start.dtype)
    return between(start, stop, positions, last=count[0] - 1)


# --- constants in a given shape ----------------------------------------------------------------------------------------


@pointwise("ZerosLike", "x: T -> y: T", T=ALL)
def zeros_like(m: Any, x: Any) -> Any:
    """0 in the shape of x."""
    return 0


@pointwise("OnesLike", "x: T -> y: T", T=ALL)
def ones_like(m: Any, x: Any) -> Any:
    """1 in the shape of x."""
    return 1


# --- one-hot ------------------------------------------------------------------------------------------------------------


@pointwise("_OneHot", "indices: TI, position: TI, on: T, off: T -> output: T", TI=(uint8, int32, int64), T=ALL)
def choose_position(m: Any, indices: Any, position: Any, on: Any, off: Any) -> Any:
    """on where the position is the index, else off."""
    return m.where(indices == position, on, off)


def _one_hot_axis(call: Call, rank: int) -> int:
    axis = call.attr("axis")
    if not -1 <= axis <= rank:
        fail(f"Expected axis to be -1 or between [0, {rank}].  But received: {axis}")
    return rank if axis == -1 else axis


def _one_hot_shape(call: Call) -> list[Dims | None]:
    dims, depth = call.shape("indices"), call.ints("depth")
    if depth is not None and isinstance(depth[0], int) and depth[0] < 0:
        fail(f"Dimension size, given by scalar input 1, must be non-negative but is {depth[0]}")
    if dims is None:
        return [None]
    at = _one_hot_axis(call, len(dims))
    return [(*dims[:at], None if depth is None else depth[0], *dims[at:])]


@composite(
    "OneHot",
    "indices: TI, depth: int32, on_value: T, off_value: T -> output: T",
    _one_hot_shape,
    static=("depth",),
    TI=(uint8, int32, int64),
    T=ALL,
    axis=-1,
)
def one_hot(call: Call, indices: Any, depth: Any, on_value: Any, off_value: Any) -> Any:
    """A new dimension of `depth` places along `axis`: on_value at the place that the index names, off_value elsewhere."""
    from .shape import expand_dims, reshape_to

    dims, count = call.shape("indices"), call.ints("depth")
    assert count is not None
    at = _one_hot_axis(call, len(dims))
    # the places, with dimensions of size 1 for those of the indices behind the axis
    places = reshape_to(iota_beside(indices, count[0], indices.dtype), dims=(count[0], *(1 for _ in dims[at:])))
    return choose_position(expand_dims(indices, at), places, on_value, off_value)


flat(iota, range_, lin_space, zeros_like, ones_like, one_hot)
