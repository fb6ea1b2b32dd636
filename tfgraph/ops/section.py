"""What a strided slice takes from each dimension: Python's x[begin:end:step] resolved against known sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..errors import fail
from ..shapes import Batch, Dim, Dims, Undecided


class Section(NamedTuple):
    """`size` elements from `start`, `step` apart; None where not known yet. `dropped`: the dimension disappears."""

    start: Dim
    size: Dim
    step: int | None
    dropped: bool = False


def plan(dims: Dims, begin: Dims, end: Dims, strides: Dims, masks: Mapping[str, int]) -> list[Section | None]:
    """One Section per dimension of `dims`, in order, and None wherever a new dimension of size 1 goes."""

    def marked(mask: str, i: int) -> bool:
        return bool(masks[mask] >> i & 1)

    count = len(begin)
    if sum(marked("ellipsis_mask", i) for i in range(count)) > 1:
        fail("Multiple ellipses in slice spec not allowed")
    named = sum(not marked("ellipsis_mask", i) and not marked("new_axis_mask", i) for i in range(count))
    entries: list[Section | None] = []
    axis = 0
    for i in range(count):
        if marked("ellipsis_mask", i):
            for _ in range(len(dims) - named):
                entries.append(Section(0, dims[axis], 1))
                axis += 1
        elif marked("new_axis_mask", i):
            entries.append(None)
        elif axis >= len(dims):
            fail(f"Index out of range using input dim {axis}; input has only {len(dims)} dims")
        else:
            if strides[i] == 0:
                fail(f"strides[{i}] must be non-zero", f"slice index {i} stride must be non-zero")
            if marked("shrink_axis_mask", i):
                entries.append(_one(dims[axis], begin[i], strides[i], axis))
            else:
                entries.append(
                    _range(
                        dims[axis],
                        None if marked("begin_mask", i) else _Bound(begin[i]),
                        None if marked("end_mask", i) else _Bound(end[i]),
                        strides[i],
                    )
                )
            axis += 1
    entries += [Section(0, d, 1) for d in dims[axis:]]
    return entries


class _Bound(NamedTuple):
    """A bound that the caller gave; its value may be unknown."""

    value: Dim


def _one(dim: Dim, index: Dim, step: Dim, axis: int) -> Section:
    """The section x[index], whose dimension is dropped."""
    if step is not None and step < 0:
        fail("only stride 1 allowed on non-range indexing.")
    if dim is None or index is None:
        return Section(None, 1, 1, True)
    if isinstance(dim, Batch):
        raise Undecided(f"element {index} of {dim}")
    if not -dim <= index < dim:
        fail(f"slice index {index} of dimension {axis} out of bounds.")
    return Section(index + dim if index < 0 else index, 1, 1, True)


def _range(dim: Dim, begin: _Bound | None, end: _Bound | None, step: Dim) -> Section:
    """The section x[begin:end:step]; None is an open end."""
    if step == 1 and (begin is None or begin.value == 0) and (end is None or (dim is not None and end.value == dim)):
        return Section(0, dim, 1)
    unknown = dim is None or step is None or None in ((begin or _Bound(0)).value, (end or _Bound(0)).value)
    if unknown:
        return Section(None, None, None)
    if isinstance(dim, Batch):
        raise Undecided(f"a part of {dim}")
    low, high = (0, dim) if step > 0 else (-1, dim - 1)

    def inside(bound: int) -> int:
        return min(max(bound + dim if bound < 0 else bound, low), high)

    first = (low if step > 0 else high) if begin is None else inside(begin.value)
    last = (high if step > 0 else low) if end is None else inside(end.value)
    return Section(first, max(0, -((first - last) // step)), step)


def result_dims(sections: list[Section | None]) -> Dims:
    """The dimensions that the sections leave."""
    return tuple(1 if s is None else s.size for s in sections if s is None or not s.dropped)
