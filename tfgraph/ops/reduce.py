"""Reductions over axes, running sums and products, and the positions of extremes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import INTEGERS, NUMBERS, bool_, int32, int64
from ..errors import fail
from ..opdef import Call, composite, pointwise, primitive, reduction, same, scalar
from ..shapes import Dims, element_count, show
from .broadcasting import INDEX_TYPES, reduced_axes, spread_like
from .compare import cast, equal
from .flat import flat
from .math import mul, real_div

_AXES = ("reduction_indices",)
_NUMERIC = "input: T, reduction_indices: Tidx -> output: T"
_LOGICAL = "input: bool, reduction_indices: Tidx -> output: bool"


def reduced_shape(call: Call) -> list[Dims | None]:
    """Shape rule: the axes are dropped, or kept with size 1."""
    dims = call.shape("input")
    if dims is None:
        return [None]
    axes = reduced_axes(call, "input", "reduction_indices")
    keep = call.attr("keep_dims")
    if axes is None:
        return [(None,) * len(dims) if keep else None]
    if keep:
        return [tuple(1 if i in axes else d for i, d in enumerate(dims))]
    return [tuple(d for i, d in enumerate(dims) if i not in axes)]


def _numeric(type_name: str, combine: str) -> Any:
    return reduction(type_name, _NUMERIC, combine, reduced_shape, static=_AXES, T=NUMBERS, Tidx=INDEX_TYPES, keep_dims=False)


def _logical(type_name: str, combine: str) -> Any:
    return reduction(type_name, _LOGICAL, combine, reduced_shape, static=_AXES, Tidx=INDEX_TYPES, keep_dims=False)


@_numeric("Sum", "sum")
def sum_(call: Call, x: Any, axes: Any) -> None:
    """the sum over the axes; 0 of nothing"""


@_numeric("Prod", "prod")
def prod(call: Call, x: Any, axes: Any) -> None:
    """the product over the axes; 1 of nothing"""


@_numeric("Max", "max")
def max_(call: Call, x: Any, axes: Any) -> None:
    """the greatest over the axes; the lowest number of the dtype (-inf) of nothing"""


@_numeric("Min", "min")
def min_(call: Call, x: Any, axes: Any) -> None:
    """the least over the axes; the highest number of the dtype (inf) of nothing"""


@_logical("All", "all")
def all_(call: Call, x: Any, axes: Any) -> None:
    """true if all are; true of nothing"""


@_logical("Any", "any")
def any_(call: Call, x: Any, axes: Any) -> None:
    """true if any is; false of nothing"""


flat(all_, any_)


# --- means -----------------------------------------------------------------------------------------------------------


@primitive("_Extent", "-> output: dtype", "extent", scalar, dtype=NUMBERS, dims=())
def extent(call: Call) -> np.ndarray:
    """the product of dimensions, which may be multiples of the batch size"""
    total = element_count(call.attr("dims"))
    return np.asarray(total, call.attr("dtype").as_numpy_dtype)


@composite("_Count", _NUMERIC, scalar, static=_AXES, T=NUMBERS, Tidx=INDEX_TYPES)
def count(call: Call, x: Any, axes: Any) -> Any:
    """the number of elements that a reduction folds into one"""
    dims = call.shape("input")
    sizes = tuple(dims[axis] for axis in reduced_axes(call, "input", "reduction_indices") or ())
    # without a tensor among its inputs, the op cannot tell by itself which program it belongs to
    return x.builder.build(extent, (), {"dtype": call.dtype("input"), "dims": sizes}, None).outputs[0]


flat(count)


@pointwise("_IntegerMean", "total: T, count: T -> mean: T", T=INTEGERS)
def integer_mean(m: Any, total: Any, count: Any) -> Any:
    """total / count rounded towards zero, and 0 of nothing"""
    return m.truncdiv(total, m.maximum(count, 1))


@composite("Mean", _NUMERIC, reduced_shape, static=_AXES, T=NUMBERS, Tidx=INDEX_TYPES, keep_dims=False)
def mean(call: Call, x: Any, axes: Any) -> Any:
    """the mean over the axes; NaN of nothing; rounded towards zero for integers, whose sum has 64 bits"""
    dtype = call.dtype("input")
    if not dtype.is_integer:
        return real_div(sum_(x, axes, keep_dims=call.attr("keep_dims")), count(x, axes))
    wide = x if dtype.size == 8 else cast(x, DstT=int64)
    mean = integer_mean(sum_(wide, axes, keep_dims=call.attr("keep_dims")), count(wide, axes))
    return mean if dtype.size == 8 else cast(mean, DstT=dtype)


# --- gradients -------------------------------------------------------------------------------------------------------


def _spread(op: Any, gradient: Any, name: str) -> Any:
    """`gradient`, of the shape of the result, repeated to the shape of the input of the reduction `op`."""
    x, axes = op.inputs
    return spread_like(gradient, x, axes, name=name)


@sum_.gradient
def _sum_gradient(op: Any, dy: Any) -> Any:
    return _spread(op, dy, "Tile"), None


@mean.gradient
def _mean_gradient(op: Any, dy: Any) -> Any:
    x, axes = op.inputs
    return _spread(op, real_div(dy, count(x, axes)), "truediv"), None


@max_.gradient
@min_.gradient
def _extreme_gradient(op: Any, dy: Any) -> Any:
    """Equal extremes share the gradient equally."""
    x, axes = op.inputs
    taken = cast(equal(x, _spread(op, op.outputs[0], "Reshape")), DstT=dy.dtype)
    share = real_div(dy, sum_(taken, axes, keep_dims=op.attr("keep_dims")))
    return mul(taken, _spread(op, share, "Reshape_1"), name="mul"), None


def _product_of_others(x: Any, axes: tuple[int, ...]) -> Any:
    """For each element the product over `axes` of all elements but itself; without a division, which zeros forbid."""
    result = None
    for axis in axes:
        before = cumprod(x, axis, exclusive=True)
        after = cumprod(x, axis, exclusive=True, reverse=True)
        others = mul(before, after)
        result = others if result is None else mul(result, others)
        # from here on a slice across this axis counts as one element
        x = prod(x, np.array([axis], np.int32), keep_dims=True)
    if result is None:
        from .sequence import ones_like

        return ones_like(x)
    return result


@composite("_ProdOfOthers", _NUMERIC, same, static=_AXES, T=NUMBERS, Tidx=INDEX_TYPES)
def prod_of_others(call: Call, x: Any, axes: Any) -> Any:
    """for each element, the product over the axes of all elements but itself"""
    return _product_of_others(x, reduced_axes(call, "input", "reduction_indices") or ())


@prod.gradient
def _prod_gradient(op: Any, dy: Any) -> Any:
    x, axes = op.inputs
    known = reduced_axes(Call(op.opdef, op.inputs, op.attrs), "input", "reduction_indices")
    # ordinary ops where the axes are known, for they have gradients of their own
    others = prod_of_others(x, axes) if known is None else _product_of_others(x, known)
    return mul(_spread(op, dy, "Tile"), others), None


# --- running sums and products ---------------------------------------------------------------------------------------


def _scan_shape(call: Call) -> list[Dims | None]:
    dims, axis = call.shape("x"), call.ints("axis")
    if dims is not None and axis is not None and axis[0] is not None and not -len(dims) <= axis[0] < len(dims):
        fail(f"ScanOp: Expected scan axis in the range [{-len(dims)}, {len(dims)}), but got {axis[0]}")
    return [dims]


def _scan(type_name: str) -> Any:
    return primitive(
        type_name, "x: T, axis: Tidx -> out: T", "scan", _scan_shape,
        static=("axis",), T=NUMBERS, Tidx=INDEX_TYPES, exclusive=False, reverse=False,
    )  # fmt: skip


@_scan("Cumsum")
def cumsum(call: Call, x: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """the sum of the elements up to each one along the axis"""
    return _accumulate(np.add, call, x, int(axis))


@_scan("Cumprod")
def cumprod(call: Call, x: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """the product of the elements up to each one along the axis"""
    return _accumulate(np.multiply, call, x, int(axis))


def _accumulate(combine: np.ufunc, call: Call, x: np.ndarray, axis: int) -> np.ndarray:
    moved = np.moveaxis(x, axis, 0)
    if call.attr("reverse"):
        moved = moved[::-1]
    result = combine.accumulate(moved, axis=0, dtype=x.dtype)
    if call.attr("exclusive"):
        first = np.full_like(moved[:1], combine.identity)
        result = np.concatenate([first, result[:-1]])
    if call.attr("reverse"):
        result = result[::-1]
    return np.ascontiguousarray(np.moveaxis(result, 0, axis))


@cumsum.gradient
def _cumsum_gradient(op: Any, dy: Any) -> Any:
    exclusive, reverse = op.attr("exclusive"), op.attr("reverse")
    return cumsum(dy, op.inputs[1], exclusive=exclusive, reverse=not reverse), None


@cumprod.gradient
def _cumprod_gradient(op: Any, dy: Any) -> Any:
    x, axis = op.inputs
    exclusive, reverse = op.attr("exclusive"), op.attr("reverse")
    running = cumprod(x, axis, exclusive=exclusive, reverse=reverse)
    return real_div(cumsum(mul(running, dy), axis, exclusive=exclusive, reverse=not reverse), x), None


# --- positions of extremes -------------------------------------------------------------------------------------------


def _position_shape(call: Call) -> list[Dims | None]:
    dims, axis = call.shape("input"), call.ints("dimension")
    if dims is None:
        return [None]
    rank = len(dims)
    if axis is None or axis[0] is None:
        return [(None,) * max(rank - 1, 0)]
    if not -rank <= axis[0] < rank:
        fail(
            f"Dimension ({axis[0]}) must be in the range [{-rank}, {rank}), where {rank} is the number of dimensions "
            "in the input.",
            f"Expected dimension in the range [{-rank}, {rank}), but got {axis[0]}",
        )
    return [tuple(d for i, d in enumerate(dims) if i != axis[0] % rank)]


def _position(type_name: str) -> Any:
    return primitive(
        type_name, "input: T, dimension: Tidx -> output: output_type", "argreduce", _position_shape,
        static=("dimension",), T=(*NUMBERS, bool_), Tidx=INDEX_TYPES, output_type=(int32, int64),
    )  # fmt: skip


@_position("ArgMax")
def arg_max(call: Call, x: np.ndarray, dimension: np.ndarray) -> np.ndarray:
    """the index of the greatest element along the axis: the first of equals; NaN is passed over"""
    return _first_extreme(np.argmax, call, x, int(dimension), -np.inf)


@_position("ArgMin")
def arg_min(call: Call, x: np.ndarray, dimension: np.ndarray) -> np.ndarray:
    """the index of the least element along the axis: the first of equals; NaN is passed over"""
    return _first_extreme(np.argmin, call, x, int(dimension), np.inf)


def _first_extreme(position: Callable[..., Any], call: Call, x: np.ndarray, axis: int, worst: float) -> np.ndarray:
    axis %= x.ndim
    dtype = call.attr("output_type").as_numpy_dtype
    kept = x.shape[:axis] + x.shape[axis + 1 :]
    if 0 in kept:
        return np.zeros(kept, dtype)
    if x.shape[axis] == 0:
        fail(f"Reduction axis {axis} is empty in shape {show(x.shape)}")
    if x.dtype.kind == "f":
        x = np.where(np.isnan(x), worst, x)
    return np.asarray(position(x, axis=axis), dtype)


flat(arg_max, arg_min)
