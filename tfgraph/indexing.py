"""Functions that take elements by position: slices, `x[...]`, gather, masks, padding, reversal, scatter."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .convert import to_tensor
from .dtypes import bool_, int32, int64
from .filling import ones_like
from .graph import Graph
from .joining import auto_pack, concat
from .naming import scope_of
from .opdef import builder_of
from .ops import array as ops
from .ops.compare import select
from .ops.reduce import prod
from .shapes import Dimension
from .shaping import reshape, shape, squeeze

newaxis = None

MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def slice(input_: Any, begin: Any, size: Any, name: str | None = None) -> Any:
    """The block of `input_` that starts at `begin` and has the given `size`; -1 takes the rest of a dimension."""
    return ops.slice_(input_, begin, size, name=name)


def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
    name: str | None = None,
) -> Any:
    """begin[i]:end[i]:strides[i] of every dimension i; bit i of a mask marks an open begin or end, `...`, a new axis or a
    dimension that is dropped. `var`, for assignments to a slice, must be None: ValueError otherwise."""
    if var is not None:
        raise ValueError("Assignments to slices of variables are not supported: `var` must be None.")
    return ops.strided_slice(
        input_,
        begin,
        end,
        ones_like(begin) if strides is None else strides,
        begin_mask=begin_mask,
        end_mask=end_mask,
        ellipsis_mask=ellipsis_mask,
        new_axis_mask=new_axis_mask,
        shrink_axis_mask=shrink_axis_mask,
        name=name,
    )


# --- x[key] --------------------------------------------------------------------------------------------------------------


def slice_by_key(tensor: Any, key: Any) -> Any:
    """tensor[key] as NumPy's basic indexing: ints, slices, `...`, None, scalar integer tensors; or one boolean mask.

    TypeError for any other key.
    """
    if _is_mask(key):
        return boolean_mask(tensor, key)
    spec = _Spec()
    for item in key if isinstance(key, (list, tuple)) else [key]:
        spec.take(item)
    builder = builder_of([tensor])
    bounds = (spec.begin, spec.end, spec.strides)
    if not isinstance(builder, Graph):
        return ops.strided_slice(tensor, *(_vector(b, "stack") for b in bounds), **spec.masks)
    with scope_of(None, "strided_slice", tensor) as scope:
        vectors = [_bound(b, spec.dtype) for b in bounds]
        return ops.strided_slice(to_tensor(tensor), *vectors, **spec.masks, name=scope)


def _is_mask(key: Any) -> bool:
    return (hasattr(key, "dims") and key.dtype.base_dtype == bool_) or (isinstance(key, np.ndarray) and key.dtype == bool)


class _Spec:
    """The bounds and masks of a StridedSlice, collected from the items of a key."""

    def __init__(self) -> None:
        self.begin: list[Any] = []
        self.end: list[Any] = []
        self.strides: list[Any] = []
        self.masks: dict[str, Any] = dict.fromkeys(MASKS, 0)
        self.dtype = int32

    def take(self, item: Any) -> None:
        if isinstance(item, type(np.s_[:])):
            start = self._bound("begin_mask", item.start)
            stop = self._bound("end_mask", None if _is_max(item.stop) else item.stop)
            self._add(start, stop, 1 if item.step is None else self._checked(item.step))
        elif item is Ellipsis:
            self._add(0, 0, 1, "ellipsis_mask")
        elif item is newaxis:
            self._add(0, 0, 1, "new_axis_mask")
        else:
            index = self._checked(item)
            self._add(index, index + 1, 1, "shrink_axis_mask")

    def _bound(self, mask: str, value: Any) -> Any:
        if value is None:
            self.masks[mask] |= 1 << len(self.begin)
            return 0
        return self._checked(value)

    def _add(self, begin: Any, end: Any, stride: Any, mask: str | None = None) -> None:
        if mask is not None:
            self.masks[mask] |= 1 << len(self.begin)
        self.begin.append(begin)
        self.end.append(end)
        self.strides.append(stride)

    def _checked(self, index: Any) -> Any:
        """`index` as an int or a scalar integer tensor, or TypeError."""
        if isinstance(index, (int, np.integer, Dimension)) and not isinstance(index, bool):
            return int(index)
        if isinstance(index, np.ndarray) and index.ndim == 0 and index.dtype.kind in "iu":
            return int(index)
        if hasattr(index, "_as_tensor"):
            index = to_tensor(index)
        if hasattr(index, "dims") and index.dtype.base_dtype in (int32, int64) and index.dims in ((), None):
            if index.dtype.base_dtype == int64:
                self.dtype = int64
            return index
        raise TypeError(
            "Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`) and scalar tf.int32/tf.int64 tensors are "
            f"valid indices, got {index!r}"
        )


def _is_max(stop: Any) -> bool:
    return isinstance(stop, int) and stop == sys.maxsize


def _vector(values: list[Any], name: str) -> Any:
    """The bounds as a vector; a plain one if they are numbers."""
    return auto_pack(values, None, name) if any(hasattr(v, "dims") for v in values) else np.asarray(values, np.int32)


def _bound(values: list[Any], dtype: Any) -> Any:
    """The bounds as a tensor called `stack`, of the type that all of them share."""
    return to_tensor(values, dtype, name="stack")


# --- by index tensors and masks --------------------------------------------------------------------------------------------


def gather(
    params: Any, indices: Any, validate_indices: Any = None, name: str | None = None, axis: Any = None, batch_dims: int = 0
) -> Any:
    """The slices of `params` along `axis` (0, or `batch_dims`) that `indices` name.

    InvalidArgumentError in a run whose indices lie outside, whatever `validate_indices` says.
    """
    return ops.gather_v2(params, indices, batch_dims if axis is None else axis, batch_dims=batch_dims, name=name)


def gather_nd(params: Any, indices: Any, name: str | None = None, batch_dims: int = 0) -> Any:
    """params[indices[i, 0], indices[i, 1], ...] for every i; the last dimension of `indices` is the index vector."""
    if batch_dims:
        raise NotImplementedError("gather_nd with batch_dims: gather one dimension after the other with tf.gather instead")
    return ops.gather_nd(params, indices, name=name)


def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Any:
    """Zeros of the given shape with each update added at the place that its index vector names."""
    return ops.scatter_nd(indices, updates, shape, name=name)


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    """x where the condition holds, else y; without both, the positions of the true elements as int64 rows.

    The number of such rows is known only in a run: what depends on them runs in Python, not in the compiled step.
    """
    if (x is None) != (y is None):
        raise ValueError("x and y must both be non-None or both be None.")
    if x is not None:
        return select(condition, x, y, name=name)
    with scope_of(name, "Where", condition) as scope:
        return ops.where(to_tensor(condition, name="condition"), name=scope)


def boolean_mask(tensor: Any, mask: Any, name: str = "boolean_mask", axis: int | None = None) -> Any:
    """The slices of `tensor` where `mask`, which covers the dimensions from `axis` on, is true.

    Their number is known only in a run, see `where`. ValueError if the rank of the mask is 0 or unknown.
    """
    with scope_of(name, "boolean_mask", tensor, mask):
        tensor, mask = to_tensor(tensor, name="tensor"), to_tensor(mask, name="mask")
        if mask.dims is None:
            raise ValueError(
                "Number of mask dimensions must be specified, even if some dimensions are None.  E.g. shape=[None] is ok, "
                "but shape=None is not."
            )
        if not mask.dims:
            raise ValueError("mask cannot be scalar.")
        start = 0 if axis is None else int(axis)
        stop = start + len(mask.dims)
        tensor.shape[start:stop].assert_is_compatible_with(mask.shape)
        leading = prod(shape(tensor)[start:stop], [0])
        before = shape(tensor)[:start]
        tensor = reshape(tensor, concat([before, [leading], shape(tensor)[stop:]], 0))
        chosen = squeeze(ops.where(reshape(mask, [-1])), axis=[1])
        return gather(tensor, chosen, axis=start)


def reverse(tensor: Any, axis: Any, name: str | None = None) -> Any:
    """`tensor` with the order of its elements along each of the given axes reversed."""
    return ops.reverse_v2(tensor, axis, name=name)


def invert_permutation(x: Any, name: str | None = None) -> Any:
    """The vector y with y[x[i]] = i."""
    return ops.invert_permutation(x, name=name)


def pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", name: str | None = None, constant_values: Any = 0) -> Any:
    """`tensor` with paddings[i] = (before, after) elements more in dimension i: a constant, or its own mirror image
    without (REFLECT) or with (SYMMETRIC) the border. ValueError for another mode."""
    kind = mode.upper()
    if kind == "CONSTANT":
        if not hasattr(constant_values, "dims") and np.all(np.asarray(constant_values) == 0):
            return ops.pad(tensor, paddings, name=name)
        return ops.pad_v2(tensor, paddings, constant_values, name=name)
    if kind not in ("REFLECT", "SYMMETRIC"):
        raise ValueError(
            f'Value of argument `mode` expected to be one of "CONSTANT", "REFLECT", or "SYMMETRIC". Received `mode` = {kind}'
        )
    return ops.mirror_pad(tensor, paddings, mode=kind, name=name)


def segment_sum(data: Any, segment_ids: Any, name: str | None = None) -> Any:
    """Sums of runs of rows of `data` that have the same id; the ids ascend."""
    return ops.segment_sum(data, segment_ids, name=name)


def unsorted_segment_sum(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """Row s of the result is the sum of the rows of `data` whose id is s; rows with negative ids count nowhere."""
    return ops.unsorted_segment_sum(data, segment_ids, num_segments, name=name)
