"""Functions that join tensors or take them apart: concat, stack, unstack, split; lists that hold tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .convert import constant, to_tensor
from .dtypes import DType, int32
from .graph import Graph
from .naming import scope_of
from .opdef import builder_of
from .ops import array as ops
from .ops.compare import cast


def concat(values: Any, axis: Any, name: str = "concat") -> Any:
    """The tensors in `values` one after the other along `axis`; their other dimensions must be equal."""
    if not isinstance(values, (list, tuple)):
        values = [values]
    if len(values) == 1:
        with scope_of(name, "concat", *values):
            # checked, though there is nothing to join
            if to_tensor(axis, int32, name="concat_dim").dims not in ((), None):
                raise ValueError("Shape must be a scalar: the axis of a concat")
            return ops.identity(values[0], name=name)
    return ops.concat_v2(list(values), axis, name=name)


def stack(values: Any, axis: int = 0, name: str = "stack") -> Any:
    """The tensors in `values`, all of one shape, side by side along a new dimension `axis`."""
    if axis == 0:
        try:
            return to_tensor(values, name=name)
        except (TypeError, ValueError):
            pass  # shapes or types that do not fit: the op below says it better
    first = to_tensor(values[0], name=name)
    if first.dims is not None:
        count = len(first.dims) + 1
        if not -count <= axis < count:
            raise ValueError(f"Argument `axis` = {axis} not in range [{-count}, {count})")
    return ops.pack(list(values), axis=axis, name=name)


def unstack(value: Any, num: int | None = None, axis: int = 0, name: str = "unstack") -> list[Any]:
    """The `num` slices of `value` along `axis`; ValueError if `num` is not given and not known."""
    if num is None:
        value = to_tensor(value)
        dims = value.dims
        if dims is not None:
            if not -len(dims) <= axis < len(dims):
                raise ValueError(f"Argument `axis` = {axis} not in range [{-len(dims)}, {len(dims)})")
            num = dims[axis]
        if num is None:
            raise ValueError(f"Cannot infer argument `num` from shape {value.shape}")
    return list(ops.unpack(value, num=num, axis=axis, name=name))


def split(value: Any, num_or_size_splits: Any, axis: Any = 0, num: int | None = None, name: str = "split") -> list[Any]:
    """`value` cut along `axis` into a number of equal parts, or into parts of the given sizes (one may be -1)."""
    if isinstance(num_or_size_splits, int):
        return list(ops.split(axis, value, num_split=num_or_size_splits, name=name))
    sizes = to_tensor(num_or_size_splits)
    if sizes.dims == ():
        raise ValueError("Rank-0 tensors are not supported as the num_or_size_splits argument to split.")
    if num is None:
        num = None if sizes.dims is None else sizes.dims[0]
        if num is None:
            raise ValueError(f"Cannot infer argument `num` from shape {num_or_size_splits}")
    return list(ops.split_v(value, sizes, axis, num_split=num, name=name))


# --- lists that hold tensors -------------------------------------------------------------------------------------------


def auto_pack(values: Sequence[Any], dtype: DType | None, name: str) -> Any:
    """Nested lists of which some elements are tensors, as one tensor; Python values take the tensors' dtype."""
    found = _found_dtype(values)
    builder = builder_of([_first_tensor(values)])
    if dtype is not None and found is not None and dtype.base_dtype != found:
        values = _cast_tensors(values, dtype.base_dtype)
        found = dtype.base_dtype
    return _packed(values, found, name, builder)


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "dims") or hasattr(value, "_as_tensor")


def _first_tensor(values: Any) -> Any:
    for value in values:
        inner = _first_tensor(value) if isinstance(value, (list, tuple)) else value if _is_tensor(value) else None
        if inner is not None:
            return inner
    return None


def _found_dtype(values: Any) -> DType | None:
    first = _first_tensor(values)
    return None if first is None else first.dtype.base_dtype


def _cast_tensors(values: Any, dtype: DType) -> Any:
    if isinstance(values, (list, tuple)):
        return [_cast_tensors(v, dtype) for v in values]
    return cast(values, DstT=dtype) if _is_tensor(values) and values.dtype.base_dtype != dtype else values


@contextmanager
def _scope(builder: Any, name: str) -> Iterator[str | None]:
    """A name scope where there are names; the compiler's values have none."""
    if isinstance(builder, Graph):
        with builder.as_default(), builder.name_scope(name) as scope:
            yield scope
    else:
        yield None


def _packed(values: Sequence[Any], dtype: DType | None, name: str, builder: Any) -> Any:
    """`values` as a tensor if there is one among them, else as they are."""
    if _first_tensor(values) is None:
        return values
    with _scope(builder, name) as scope:
        elements = [_packed(v, dtype, str(i), builder) if isinstance(v, (list, tuple)) else v for i, v in enumerate(values)]
        if isinstance(builder, Graph):
            elements = [to_tensor(v) if _is_tensor(v) else constant(v, dtype, name=str(i)) for i, v in enumerate(elements)]
        return ops.pack(elements, name=scope)
