"""How a value's elements are found in memory: `Access`, a strided window on a materialised value, and its C text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..opdef import Call, View
from ..shapes import Batch, Dims, element_count
from .ir import Value
from .scalar import size_text


class NotStrided(Exception):
    """A view that no strides describe: its operand must be copied first."""


@dataclass(frozen=True)
class Access:
    """Elements of `base` at `offset` + sum(strides[d] * i[d]). Has the methods that view ops use."""

    base: Value
    dims: Dims
    strides: tuple[Any, ...]
    offset: Any = 0

    @property
    def is_contiguous(self) -> bool:
        """True if the elements lie one after the other in row-major order."""
        expected: Any = 1
        for d, stride in zip(reversed(self.dims), reversed(self.strides)):
            if d != 1 and stride != expected:
                return False
            expected = d * expected
        return True

    @property
    def is_whole(self) -> bool:
        """True if this is the base itself under some shape."""
        return self.offset == 0 and self.is_contiguous and element_count(self.dims) == element_count(self.base.dims)

    def permute(self, axes: Sequence[int]) -> Access:
        axes = [int(a) for a in axes]
        return Access(self.base, tuple(self.dims[a] for a in axes), tuple(self.strides[a] for a in axes), self.offset)

    def slice(self, axis: int, start: Any, size: Any, step: int = 1) -> Access:
        stride = self.strides[axis]
        return Access(
            self.base,
            (*self.dims[:axis], size, *self.dims[axis + 1 :]),
            (*self.strides[:axis], stride * step, *self.strides[axis + 1 :]),
            _add(self.offset, stride * start),
        )

    def expand(self, axis: int, size: Any) -> Access:
        return Access(
            self.base,
            (*self.dims[:axis], size, *self.dims[axis + 1 :]),
            (*self.strides[:axis], 0, *self.strides[axis + 1 :]),
            self.offset,
        )

    def reshape(self, dims: Sequence[Any]) -> Access:
        dims = tuple(dims)
        if dims == self.dims:
            return self
        if self.is_contiguous:
            return Access(self.base, dims, row_major(dims), self.offset)
        return Access(self.base, dims, _split_strides(self.dims, self.strides, dims), self.offset)


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, Batch) != isinstance(b, Batch) and a != 0 and b != 0:
        raise NotStrided("an offset that mixes multiples of N with constants")
    return a + b


def row_major(dims: Sequence[Any]) -> tuple[Any, ...]:
    """The strides of a contiguous array."""
    strides: list[Any] = []
    step: Any = 1
    for d in reversed(dims):
        strides.append(step)
        step = d * step
    return tuple(reversed(strides))


def _is_less(a: Any, b: Any) -> bool:
    """An order for the search below only; equality is what decides, and that is structural."""
    if isinstance(a, Batch) != isinstance(b, Batch):
        return isinstance(b, Batch)
    return a.per < b.per if isinstance(a, Batch) else a < b


def _split_strides(old: Dims, strides: Sequence[Any], new: Dims) -> tuple[Any, ...]:
    """The strides of a reshape without a copy, or NotStrided."""
    pairs = [(d, s) for d, s in zip(old, strides, strict=True) if d != 1]
    result: list[Any] = [0] * len(new)
    wanted = [i for i, d in enumerate(new) if d != 1]
    while wanted:
        if not pairs:
            raise NotStrided("reshape")
        group_old, group_new = [pairs.pop(0)], [wanted.pop(0)]
        size_old, size_new = group_old[0][0], new[group_new[0]]
        while size_old != size_new:
            if _is_less(size_old, size_new):
                if not pairs:
                    raise NotStrided("reshape")
                group_old.append(pairs.pop(0))
                size_old = group_old[-1][0] * size_old
            else:
                if not wanted:
                    raise NotStrided("reshape")
                group_new.append(wanted.pop(0))
                size_new = new[group_new[-1]] * size_new
        for (_, outer), (inner_size, inner) in pairwise(group_old):
            if outer != inner_size * inner:
                raise NotStrided("reshape of a strided window")
        step = group_old[-1][1]
        for i in reversed(group_new):
            result[i] = step
            step = new[i] * step
    if pairs:
        raise NotStrided("reshape")
    return tuple(result)


def whole(value: Value) -> Access:
    """The access to a materialised value."""
    return Access(value, value.dims, row_major(value.dims))


def access_of(value: Value) -> Access:
    """Follow views down to the materialised value they look at. NotStrided if that needs a copy."""
    node = value.op
    if not isinstance(node.kind, View):
        return whole(value)
    operands = [access_of(v) for v in node.data_inputs()]
    result = node.opdef.body(Call(node.opdef, node.inputs, node.attrs), *operands)
    return result[value.value_index] if isinstance(result, (tuple, list)) else result


def broadcast_access(access: Access, dims: Dims) -> Access:
    """`access` as an operand of an element-by-element operation of shape `dims`."""
    missing = len(dims) - len(access.dims)
    shape = (1,) * missing + tuple(access.dims)
    strides = (0,) * missing + tuple(access.strides)
    return Access(
        access.base, dims, tuple(0 if s == 1 and d != 1 else st for s, d, st in zip(shape, dims, strides)), access.offset
    )


def index_text(strides: Sequence[Any], variables: Sequence[str], offset: Any = 0) -> str:
    """`i0 * 784 + i1`: the C index expression; `0` if it is constant zero."""
    terms = []
    if offset != 0:
        terms.append(size_text(offset))
    for stride, variable in zip(strides, variables, strict=True):
        if stride == 0:
            continue
        if stride == 1:
            terms.append(variable)
        else:
            text = size_text(stride)
            terms.append(f"{variable} * ({text})" if " " in text else f"{variable} * {text}")
    return " + ".join(terms).replace("+ -", "- ") if terms else "0"


@dataclass(frozen=True)
class Axis:
    """One loop of a collapsed nest: its size and whether it is reduced over."""

    size: Any
    reduced: bool


def collapse(dims: Dims, reduced: Sequence[bool], strides: Sequence[Sequence[Any]]) -> tuple[list[Axis], list[list[Any]]]:
    """Merge neighbouring dimensions that every access walks as one. Returns the axes and the strides per access."""
    axes: list[Axis] = []
    merged: list[list[Any]] = [[] for _ in strides]
    for d, size in enumerate(dims):
        if size == 1:
            continue
        if axes and axes[-1].reduced == reduced[d] and all(m[-1] == s[d] * size for m, s in zip(merged, strides)):
            axes[-1] = Axis(_product(axes[-1].size, size), reduced[d])
            for m, s in zip(merged, strides):
                m[-1] = s[d]
        else:
            axes.append(Axis(size, reduced[d]))
            for m, s in zip(merged, strides):
                m.append(s[d])
    return axes, merged


def _product(a: Any, b: Any) -> Any:
    return a * b if isinstance(a, Batch) or not isinstance(b, Batch) else b * a
