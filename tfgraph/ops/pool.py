"""Pooling over windows of rows and columns, and its gradients.

Beside every op of TensorFlow's stands the kernel behind it (leading underscore), which takes NHWC and
(rows, columns) pairs only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..dtypes import FLOATS, NUMBERS, int32, int64
from ..errors import fail
from ..opdef import REQUIRED, Call, composite, one_of, primitive
from ..shapes import Dims, merge_dims
from ..windows import Window, real_taps, window_out, windows_2d
from .compare import cast, greater, select
from .conv import PADDINGS, image_dims
from .depthwise import padded, seen_by_tap
from .layout import DATA_FORMATS, channels_last, dims_in, dims_last, in_layout, sizes_last
from .sequence import zeros_like
from .shape import shape

ATTRS: dict[str, Any] = {
    "ksize": REQUIRED,
    "strides": REQUIRED,
    "padding": PADDINGS,
    "data_format": DATA_FORMATS,
}
KERNEL_ATTRS: dict[str, Any] = {"ksize": REQUIRED, "strides": REQUIRED, "padding": PADDINGS}


# --- shape rules --------------------------------------------------------------------------------------------------


def _spatial(call: Call, attr: str) -> tuple[int, int]:
    values = call.attr(attr)
    what = {"ksize": "ksize", "strides": "stride"}[attr]
    if len(values) != 4:
        fail(f"{call.op.type} requires the {what} attribute to contain 4 values, but got: {len(values)}")
    batch, rows, columns, depth = dims_last(values, call.attr("data_format"))
    if batch != 1:
        fail("Pooling is not yet supported on the batch dimension.")
    if depth != 1:
        fail("Pooling is not yet supported on the depth dimension.")
    return int(rows), int(columns)


def kernel_attrs(call: Call) -> dict[str, Any]:
    """What a kernel is told of an op's attributes."""
    return {
        "ksize": _spatial(call, "ksize"),
        "strides": _spatial(call, "strides"),
        "padding": call.attr("padding"),
    }


def _pooled(dims: Dims | None, ksize: tuple[int, int], strides: tuple[int, int], padding: str) -> Dims:
    """The dimensions [n, h, w, c] of the pooled images."""
    batch, *lengths, depth = image_dims(dims, "tensor_in")
    out = [window_out(n, k, s, 1, padding) for n, k, s in zip(lengths, ksize, strides, strict=True)]
    return (batch, *out, depth)


def _kernel_shape(name: str) -> Any:
    def rule(call: Call) -> list[Dims | None]:
        return [_pooled(call.shape(name), call.attr("ksize"), call.attr("strides"), call.attr("padding"))]

    return rule


def _pool_shape(name: str) -> Any:
    def rule(call: Call) -> list[Dims | None]:
        data_format = call.attr("data_format")
        dims = dims_last(image_dims(call.shape(name), "tensor_in"), data_format)
        return [dims_in(_pooled(dims, **kernel_attrs(call)), data_format)] * len(call.op.outputs)

    return rule


def _max_pool_grad_shape(call: Call) -> list[Dims | None]:
    if "data_format" in call.attrs:
        data_format = call.attr("data_format")
        dims = dims_last(image_dims(call.shape("orig_input"), "tensor_in"), data_format)
        pooled = dims_in(_pooled(dims, **kernel_attrs(call)), data_format)
        merge_dims(merge_dims(call.shape("orig_output"), call.shape("grad")), pooled)
    return [call.shape("orig_input")]


def _sizes_shape(call: Call) -> list[Dims | None]:
    return [call.ints("orig_input_shape") or (None,) * 4]


# --- kernels ------------------------------------------------------------------------------------------------------


def _windows(call: Call, dims: Any) -> tuple[Window, Window]:
    return windows_2d(dims[1:3], call.attr("ksize"), call.attr("strides"), (1, 1), call.attr("padding"))


def _pad(x: np.ndarray, rows: Window, columns: Window, fill: Any) -> np.ndarray:
    widths = ((0, 0), (rows.before, rows.after), (columns.before, columns.after), (0, 0))
    return np.pad(x, widths, constant_values=fill)


def _crop(x: np.ndarray, rows: Window, columns: Window) -> np.ndarray:
    return x[:, rows.before : rows.before + rows.length, columns.before : columns.before + columns.length]


def _taps(rows: Window, columns: Window) -> Iterator[tuple[slice, slice]]:
    """Rows and columns that each tap reads, in the order in which a window is scanned."""
    for _, down in rows.taps():
        for _, across in columns.taps():
            yield down, across


def lowest(dtype: np.dtype[Any]) -> Any:
    """The value below all others of a dtype."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


@primitive(
    "_MaxPool",
    "input: T -> output: T",
    kernel="max_pool",
    shape=_kernel_shape("input"),
    T=NUMBERS,
    **KERNEL_ATTRS,
)
def max_pool_kernel(call: Call, x: np.ndarray) -> np.ndarray:
    """The largest element of each window; NaN if there is one in it."""
    rows, columns = _windows(call, x.shape)
    padded = _pad(x, rows, columns, lowest(x.dtype))
    y = np.full((x.shape[0], rows.count, columns.count, x.shape[3]), lowest(x.dtype), x.dtype)
    for down, across in _taps(rows, columns):
        np.maximum(y, padded[:, down, across], out=y)
    return y


@primitive(
    "_MaxPoolGrad",
    "orig_input: T, orig_output: T, grad: T -> output: T",
    kernel="max_pool_grad",
    shape=_max_pool_grad_shape,
    T=NUMBERS,
    **KERNEL_ATTRS,
)
def max_pool_grad_kernel(call: Call, x: np.ndarray, y: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Each window's gradient goes to the first of its elements, row by row, that is the maximum."""
    rows, columns = _windows(call, x.shape)
    padded = _pad(x, rows, columns, 0)
    inside = _pad(np.ones((1, *x.shape[1:3], 1), bool), rows, columns, False)
    dx = np.zeros(padded.shape, x.dtype)
    open_ = np.ones(y.shape, bool)
    for down, across in _taps(rows, columns):
        value = padded[:, down, across]
        hit = open_ & inside[:, down, across] & ((value == y) | np.isnan(value))
        open_ &= ~hit
        dx[:, down, across] += np.where(hit, dy, 0).astype(x.dtype)
    return _crop(dx, rows, columns)


def _counts(rows: Window, columns: Window, dtype: np.dtype[Any]) -> np.ndarray:
    """The elements of each window that are not padding: [windows down, windows across, 1]."""
    return np.multiply.outer(real_taps(rows), real_taps(columns)).astype(dtype)[..., np.newaxis]


@primitive(
    "_AvgPool",
    "value: T -> output: T",
    kernel="avg_pool",
    shape=_kernel_shape("value"),
    T=FLOATS,
    **KERNEL_ATTRS,
)
def avg_pool_kernel(call: Call, x: np.ndarray) -> np.ndarray:
    """The mean of each window's elements, padding not counted."""
    rows, columns = _windows(call, x.shape)
    padded = _pad(x, rows, columns, 0)
    total = np.zeros((x.shape[0], rows.count, columns.count, x.shape[3]), x.dtype)
    for down, across in _taps(rows, columns):
        total += padded[:, down, across]
    return total / _counts(rows, columns, x.dtype)


@primitive(
    "_AvgPoolGrad",
    "orig_input_shape: int32, grad: T -> output: T",
    kernel="avg_pool_grad",
    shape=_sizes_shape,
    static=("orig_input_shape",),
    T=FLOATS,
    **KERNEL_ATTRS,
)
def avg_pool_grad_kernel(call: Call, sizes: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Each window's gradient in equal parts to its elements, padding not counted."""
    batch, _, _, depth = dims = tuple(int(s) for s in sizes)
    rows, columns = _windows(call, dims)
    part = dy / _counts(rows, columns, dy.dtype)
    dx = np.zeros((batch, rows.padded, columns.padded, depth), dy.dtype)
    for down, across in _taps(rows, columns):
        dx[:, down, across] += part
    return _crop(dx, rows, columns)


# --- TensorFlow's ops ---------------------------------------------------------------------------------------------


@composite("MaxPool", "input: T -> output: T", shape=_pool_shape("input"), T=NUMBERS, **ATTRS)
def max_pool(call: Call, x: Any) -> Any:
    """The largest element of each window."""
    data_format = call.attr("data_format")
    return in_layout(max_pool_kernel(channels_last(x, data_format), **kernel_attrs(call)), data_format)


@composite(
    "MaxPoolGrad",
    "orig_input: T, orig_output: T, grad: T -> output: T",
    shape=_max_pool_grad_shape,
    T=NUMBERS,
    **ATTRS,
)
def max_pool_grad(call: Call, x: Any, y: Any, dy: Any) -> Any:
    """The gradient of MaxPool: to the first maximum of each window."""
    data_format = call.attr("data_format")
    operands = (channels_last(t, data_format) for t in (x, y, dy))
    return in_layout(max_pool_grad_kernel(*operands, **kernel_attrs(call)), data_format)


def _at_first_maximum(call: Call, x: Any, carried: Any) -> tuple[Any, Any]:
    """Each window's maximum, and the element of `carried` at the same place."""
    rows, columns = windows_2d(
        x.dims[1:3], _spatial(call, "ksize"), _spatial(call, "strides"), (1, 1), call.attr("padding")
    )
    x = padded(x, rows, columns, lowest(np.dtype(x.dtype.as_numpy_dtype)))
    carried = padded(carried, rows, columns)
    best, taken = seen_by_tap(x, rows, columns, 0, 0), seen_by_tap(carried, rows, columns, 0, 0)
    for i, j in list(np.ndindex(rows.size, columns.size))[1:]:
        value = seen_by_tap(x, rows, columns, i, j)
        better = greater(value, best)
        best = select(better, value, best)
        taken = select(better, seen_by_tap(carried, rows, columns, i, j), taken)
    return best, taken


@composite(
    "MaxPoolGradGrad",
    "orig_input: T, orig_output: T, grad: T -> output: T",
    shape=lambda call: [call.shape("orig_output")],
    T=NUMBERS,
    **ATTRS,
)
def max_pool_grad_grad(call: Call, x: Any, y: Any, d: Any) -> Any:
    """The gradient of MaxPoolGrad: of every window, the element of `grad` where the first maximum is."""
    data_format = call.attr("data_format")
    _, taken = _at_first_maximum(call, channels_last(x, data_format), channels_last(d, data_format))
    return in_layout(taken, data_format)


def _with_argmax_shape(call: Call) -> list[Dims | None]:
    if call.attr("include_batch_in_index"):
        fail(
            "MaxPoolWithArgmax counts positions inside one image; include_batch_in_index=True is not supported"
        )
    return _pool_shape("input")(call)


@composite(
    "MaxPoolWithArgmax",
    "input: T -> output: T, argmax: Targmax",
    shape=_with_argmax_shape,
    T=NUMBERS,
    Targmax=(int64, int32),
    include_batch_in_index=False,
    **{**ATTRS, "data_format": one_of("NHWC", default="NHWC")},
)
def max_pool_with_argmax(call: Call, x: Any) -> Any:
    """The largest element of each window, and its position (row * width + column) * channels + channel."""
    image = call.shape("input")[1:]
    positions = np.arange(np.prod(image)).reshape(image).astype(call.attr("Targmax").as_numpy_dtype)
    zeros = cast(zeros_like(x), DstT=call.attr("Targmax"))
    return _at_first_maximum(call, x, zeros + positions)


@composite("AvgPool", "value: T -> output: T", shape=_pool_shape("value"), T=FLOATS, **ATTRS)
def avg_pool(call: Call, x: Any) -> Any:
    """The mean of each window's elements, padding not counted."""
    data_format = call.attr("data_format")
    return in_layout(avg_pool_kernel(channels_last(x, data_format), **kernel_attrs(call)), data_format)


@composite(
    "AvgPoolGrad",
    "orig_input_shape: int32, grad: T -> output: T",
    shape=_sizes_shape,
    static=("orig_input_shape",),
    T=FLOATS,
    **ATTRS,
)
def avg_pool_grad(call: Call, sizes: Any, dy: Any) -> Any:
    """The gradient of AvgPool with respect to its input of shape `orig_input_shape`."""
    data_format = call.attr("data_format")
    operands = sizes_last(sizes, data_format), channels_last(dy, data_format)
    return in_layout(avg_pool_grad_kernel(*operands, **kernel_attrs(call)), data_format)


def _same_attrs(op: Any) -> dict[str, Any]:
    return {name: op.get_attr(name) for name in ("ksize", "strides", "padding", "data_format")}


@max_pool.gradient
def _max_pool_gradient(op: Any, dy: Any) -> Any:
    return [max_pool_grad(op.inputs[0], op.outputs[0], dy, **_same_attrs(op))]


@max_pool_with_argmax.gradient
def _max_pool_with_argmax_gradient(op: Any, dy: Any, _: Any) -> Any:
    return [max_pool_grad(op.inputs[0], op.outputs[0], dy, **_same_attrs(op))]


@max_pool_grad.gradient
def _max_pool_grad_gradient(op: Any, d: Any) -> Any:
    x, y, _ = op.inputs
    return zeros_like(x), zeros_like(y), max_pool_grad_grad(x, y, d, **_same_attrs(op))


@max_pool_grad_grad.gradient
def _max_pool_grad_grad_gradient(op: Any, d: Any) -> Any:
    x, y, _ = op.inputs
    return zeros_like(x), zeros_like(y), max_pool_grad(x, y, d, **_same_attrs(op))


@avg_pool.gradient
def _avg_pool_gradient(op: Any, dy: Any) -> Any:
    return [avg_pool_grad(shape(op.inputs[0]), dy, **_same_attrs(op))]


@avg_pool_grad.gradient
def _avg_pool_grad_gradient(op: Any, d: Any) -> Any:
    return None, avg_pool(d, **_same_attrs(op))
