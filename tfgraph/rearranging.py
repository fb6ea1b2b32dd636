"""Elements at other places: `tf.roll`, `tf.sort`, `tf.argsort`, `tf.reverse_sequence`, parts of matrices."""

from __future__ import annotations

from typing import Any

from . import array, math
from .convert import convert_to_tensor
from .dtypes import int32, int64
from .naming import scope_of
from .nn import top_k
from .spellings import either
from .tensor import Tensor

__all__ = ["argsort", "matrix_band_part", "reverse_sequence", "reverse_v2", "roll", "sort"]

reverse_v2 = array.reverse


def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Tensor:
    """`input` with its elements moved on by `shift` places along `axis`, those behind the end coming in at the beginning.

    Both are Python ints, or lists of them. The sizes along the axes must be known: ValueError otherwise.
    """
    with scope_of(name, "roll", input):
        x = convert_to_tensor(input, name="input")
        shifts, axes = ([value] if isinstance(value, int) else list(value) for value in (shift, axis))
        for by, at in zip(shifts, axes, strict=True):
            size = x.shape[at].value
            if size is None:
                raise ValueError(f"tf.roll: the size of {x.name} along axis {at} must be known, got shape {x.shape}")
            start = -by % size if size else 0
            if start:
                before, after = array.split(x, [start, size - start], axis=at)
                x = array.concat([after, before], at)
        return x


def _ordered(values: Any, axis: int, direction: str, scope: str, name: str | None, part: int) -> Tensor:
    """The sorted values (part 0) or their places (part 1)."""
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError("Direction should be ASCENDING or DESCENDING")
    with scope_of(name, scope, values):
        values = convert_to_tensor(values, name="values")
        ndims = values.shape.ndims
        if ndims is None or not ndims:
            raise ValueError(f"tf.{scope}: the rank of {values.name} must be known and at least 1, got shape {values.shape}")
        order = list(range(ndims))
        order[axis], order[-1] = order[-1], order[axis]
        in_place = order == list(range(ndims))
        rows = values if in_place else array.transpose(values, order)
        ascending = direction == "ASCENDING"
        found = top_k(-rows if ascending else rows, array.shape(rows)[-1])[part]
        found = -found if ascending and part == 0 else found
        return found if in_place else array.transpose(found, order)


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: str | None = None) -> Tensor:
    """`values` in order along `axis`. ValueError for another direction than "ASCENDING" and "DESCENDING"."""
    return _ordered(values, axis, direction, "sort", name, 0)


def argsort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False, name: str | None = None
) -> Tensor:
    """The places (int32) that the elements of `tf.sort` come from; of equal ones the first comes first."""
    return _ordered(values, axis, direction, "argsort", name, 1)


def reverse_sequence(
    input: Any,
    seq_lengths: Any,
    seq_axis: int | None = None,
    batch_axis: int | None = None,
    name: str | None = None,
    seq_dim: int | None = None,
    batch_dim: int | None = None,
) -> Tensor:
    """`input` with the first seq_lengths[i] elements along `seq_axis` in reverse, for each i along `batch_axis` (0)."""
    along = either("seq_axis", seq_axis, "seq_dim", seq_dim)
    batch = either("batch_axis", batch_axis, "batch_dim", batch_dim) or 0
    if along is None:
        raise ValueError("reverse_sequence needs seq_axis")
    with scope_of(name, "ReverseSequence", input, seq_lengths):
        x = convert_to_tensor(input, name="input")
        ndims = x.shape.ndims
        if ndims is None:
            raise ValueError(f"reverse_sequence: the rank of {x.name} must be known")
        order = [batch, along, *(i for i in range(ndims) if i not in (batch, along))]
        rows = array.transpose(x, order)
        lengths = array.expand_dims(math.cast(seq_lengths, int32), 1)
        at = array.expand_dims(array.range(array.shape(rows)[1]), 0)
        mirrored = array.where(at < lengths, lengths - 1 - at, at + array.zeros_like(lengths))
        example = array.expand_dims(array.range(array.shape(rows)[0]), 1) + array.zeros_like(at)
        found = array.gather_nd(rows, array.stack([example, mirrored], axis=2))
        return array.transpose(found, [order.index(i) for i in range(ndims)])


def matrix_band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Tensor:
    """The matrices (..., n, m) with zeros but for `num_lower` diagonals below the main one and `num_upper` above it;
    -1 keeps all on that side."""
    with scope_of(name, "MatrixBandPart", input):
        x = convert_to_tensor(input, name="input")
        rows, columns = (math.cast(array.shape(x)[side], int64) for side in (-2, -1))
        below = array.expand_dims(array.range(rows), 1) - array.expand_dims(array.range(columns), 0)
        lower, upper = math.cast(num_lower, int64), math.cast(num_upper, int64)
        kept_below = math.logical_or(lower < 0, below <= lower)
        kept_above = math.logical_or(upper < 0, -below <= upper)
        return math.multiply(x, math.cast(math.logical_and(kept_below, kept_above), x.dtype.base_dtype))
