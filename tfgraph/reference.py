"""The NumPy reference of every op, one function per kind of meaning.

It folds constants, follows shape arithmetic, checks kernels (`TFGRAPH_CHECK=1`) and runs whole programs where no C
compiler is to be had.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from .opdef import Call, Composite, Host, OpDef, Pointwise, Primitive, Reduction, Update, View
from .operators import Operators
from .scalar_math import NUMPY_MATH
from .shapes import normalise_axis


def compute(op: OpDef, call: Call, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The outputs of one op on arrays, in order. For an update op: the new values of its reference arguments."""
    with np.errstate(all="ignore"):
        result = _COMPUTE[type(op.kind)](op, call, list(inputs))
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


@cache
def attribute_names(op: OpDef) -> tuple[str, ...]:
    """The attributes that a scalar body asks for by keyword."""
    parameters = inspect.signature(op.body).parameters.values()
    return tuple(p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY)


def scalar_attributes(op: OpDef, attrs: Any) -> dict[str, Any]:
    return {name: attrs[name] for name in attribute_names(op)}


def _pointwise(op: OpDef, call: Call, inputs: list[Any]) -> Any:
    result = op.body(NUMPY_MATH, *inputs, **scalar_attributes(op, call.attrs))
    dtypes = _result_dtypes(op, call, inputs)
    results = result if isinstance(result, tuple) else (result,)
    if any(np.asarray(i).dtype == object for i in inputs):
        return tuple(np.asarray(r) for r in results)
    shape = np.broadcast_shapes(*(np.shape(i) for i in inputs))
    return tuple(np.broadcast_to(np.asarray(r, d), shape).copy() for r, d in zip(results, dtypes, strict=False))


def _result_dtypes(op: OpDef, call: Call, inputs: list[Any]) -> list[Any]:
    from .arguments import output_dtypes

    attrs = dict(call.attrs)
    for arg, value in zip(op.inputs, inputs, strict=False):
        if arg.type_attr is not None and arg.count_attr is None:
            attrs.setdefault(arg.type_attr, np.asarray(value).dtype)
    return [d.as_numpy_dtype for d in output_dtypes(op, attrs)]


_FOLDS: dict[str, Callable[..., Any]] = {
    "sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "all": np.all, "any": np.any,
    "deviations": lambda x, axis, keepdims: np.sum(np.square(x - x.mean(axis, keepdims=True)), axis, keepdims=keepdims),
}  # fmt: skip
_EMPTY = {
    "max": lambda d: -np.inf if d.kind == "f" else np.iinfo(d).min,
    "min": lambda d: np.inf if d.kind == "f" else np.iinfo(d).max,
}


def _reduction(op: OpDef, call: Call, inputs: list[Any]) -> Any:
    x = np.asarray(inputs[0])
    axes = tuple(normalise_axis(int(a), x.ndim) for a in np.atleast_1d(inputs[1]))
    if not axes:
        return x.copy()  # not even 0 + x, which would turn -0 into 0
    keep = bool(call.attrs.get("keep_dims", False))
    combine = op.kind.combine  # type: ignore[union-attr]
    if combine in ("max", "min"):
        return np.asarray(_FOLDS[combine](x, axis=axes, keepdims=keep, initial=_EMPTY[combine](x.dtype)), x.dtype)
    if combine in ("sum", "prod") and x.dtype != object:
        return np.asarray(_FOLDS[combine](x, axis=axes, keepdims=keep, dtype=x.dtype))
    return np.asarray(_FOLDS[combine](x, axis=axes, keepdims=keep))


class ArrayView:
    """A NumPy array with the vocabulary of view ops; the compiler's `Access` has the same methods."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    @property
    def dims(self) -> tuple[int, ...]:
        return self.array.shape

    def reshape(self, dims: Sequence[Any]) -> ArrayView:
        """The same elements in the same order under other dimensions."""
        return ArrayView(self.array.reshape(tuple(int(d) for d in dims)))

    def permute(self, axes: Sequence[int]) -> ArrayView:
        """Dimension i of the result is dimension axes[i]."""
        return ArrayView(self.array.transpose([int(a) for a in axes]))

    def slice(self, axis: int, start: int, size: Any, step: int = 1) -> ArrayView:
        """`size` elements along `axis` from `start`, `step` apart (which may be negative)."""
        index = (np.arange(int(size)) * step + start).astype(np.intp)
        return ArrayView(np.take(self.array, index, axis=axis))

    def expand(self, axis: int, size: Any) -> ArrayView:
        """Dimension `axis`, of size 1, repeated `size` times."""
        dims = list(self.array.shape)
        dims[axis] = int(size)
        return ArrayView(np.broadcast_to(self.array, dims))


def _view(op: OpDef, call: Call, inputs: list[Any]) -> Any:
    lists = [a.name for a in op.inputs if a.count_attr is not None]
    if lists:
        raise TypeError(f"view op {op.type} cannot take a list")
    arguments = [ArrayView(np.asarray(i)) for i, a in zip(inputs, op.inputs, strict=True) if a.name not in op.static]
    result = op.body(call, *arguments)
    results = result if isinstance(result, (tuple, list)) else (result,)
    return tuple(np.ascontiguousarray(r.array).reshape(r.array.shape) for r in results)


def _composite(op: OpDef, call: Call, inputs: list[Any]) -> Any:
    return Eager().run(op, call, inputs)


def _direct(op: OpDef, call: Call, inputs: list[Any]) -> Any:
    return op.body(call, *_grouped(op, call, inputs))


def _update(op: OpDef, call: Call, inputs: list[Any]) -> Any:
    result = op.body(NUMPY_MATH, *inputs, **scalar_attributes(op, call.attrs))
    results = result if isinstance(result, tuple) else (result,)
    references = [np.asarray(i) for i, a in zip(inputs, op.inputs, strict=True) if a.is_ref]
    return tuple(
        np.broadcast_to(np.asarray(r, v.dtype), np.broadcast_shapes(np.shape(r), v.shape) if v.size else np.shape(r)).copy()
        for r, v in zip(results, references, strict=True)
    )


def _grouped(op: OpDef, call: Call, inputs: list[Any]) -> list[Any]:
    """Flat inputs with list arguments gathered."""
    grouped: list[Any] = []
    position = 0
    for arg in op.inputs:
        if arg.count_attr is None:
            grouped.append(inputs[position])
            position += 1
        else:
            count = call.attrs[arg.count_attr]
            grouped.append(list(inputs[position : position + count]))
            position += count
    return grouped


_COMPUTE: dict[type, Callable[[OpDef, Call, list[Any]], Any]] = {
    Pointwise: _pointwise,
    Reduction: _reduction,
    View: _view,
    Composite: _composite,
    Update: _update,
    Primitive: _direct,
    Host: _direct,
}


class EagerValue(Operators):
    """A value of `Eager`: an array that op functions accept like a tensor."""

    def __init__(self, array: Any, builder: Eager) -> None:
        from .dtypes import as_dtype

        self.array = np.asarray(array)
        self.builder = builder
        self.dtype = as_dtype(self.array.dtype)

    @property
    def dims(self) -> tuple[int, ...]:
        return self.array.shape

    def known(self) -> np.ndarray:
        return self.array


class Eager:
    """A builder that computes at once, so that the body of a composite op runs on arrays."""

    def run(self, op: OpDef, call: Call, inputs: list[Any]) -> tuple[np.ndarray, ...]:
        values = [EagerValue(i, self) for i in inputs]
        result = op.body(Call(op, values, call.attrs), *_grouped(op, call, values))
        results = result if isinstance(result, (tuple, list)) else (result,)
        return tuple(r.array for r in results)

    def build(self, op: OpDef, inputs: Sequence[Any], attrs: Any, name: str | None) -> Any:
        from .arguments import bind
        from .convert import as_array

        def convert(value: Any, dtype: Any, argument: str, as_ref: bool) -> EagerValue:
            return value if isinstance(value, EagerValue) else EagerValue(as_array(value, dtype), self)

        flat, bound = bind(op, inputs, attrs, convert)
        outputs = compute(op, Call(op, flat, bound), [v.array for v in flat])
        return _Computed([EagerValue(o, self) for o in outputs])


class _Computed:
    """What building an op eagerly gives: its outputs."""

    def __init__(self, outputs: list[EagerValue]) -> None:
        self.outputs = outputs
