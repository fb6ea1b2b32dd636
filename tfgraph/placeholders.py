"""Where values enter a graph and pass on unchanged: placeholders, identities, gradient stops, checks."""

from __future__ import annotations

from typing import Any

from .convert import to_tensor
from .dtypes import as_dtype
from .ops import array as ops
from .shapes import as_shape


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Any:
    """A tensor that each run feeds; dimensions of `shape` that are None take any size, no shape at all any rank.

    TypeError if `dtype` is no dtype.
    """
    try:
        dtype = as_dtype(dtype)
    except TypeError:
        raise TypeError(f"Expected DataType for argument 'dtype' not {dtype!r}.") from None
    return ops.placeholder(dtype=dtype.base_dtype, shape=as_shape(shape), name=name)


def placeholder_with_default(input: Any, shape: Any, name: str | None = None) -> Any:
    """`input`, unless the run feeds this tensor with something of a compatible `shape`."""
    return ops.placeholder_with_default(input, shape=as_shape(shape), name=name)


def identity(input: Any, name: str | None = None) -> Any:
    """A new tensor with the value of `input`."""
    return ops.identity(input, name=name)


def stop_gradient(input: Any, name: str | None = None) -> Any:
    """`input`, taken as a constant by `tf.gradients`."""
    return ops.stop_gradient(input, name=name)


def check_numerics(tensor: Any, message: str, name: str | None = None) -> Any:
    """`tensor`; a run in which it holds NaN or Inf fails with InvalidArgumentError, `message` in its text."""
    return ops.check_numerics(tensor, message=message, name=name)


def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Any:
    """`x`, known from here on to have a shape compatible with `shape`; a run in which it does not fails."""
    return ops.ensure_shape(to_tensor(x), shape=as_shape(shape), name=name)
