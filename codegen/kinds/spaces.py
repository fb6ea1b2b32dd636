"""Iteration spaces: which dimensions collapse into one loop, and the variables and lines of the loops that are left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...shapes import Batch, Dims
from ..index import Access, Axis, broadcast_access, collapse, index_text
from ..scalar import size_text


@dataclass
class Space:
    """An iteration space and the accesses made over it."""

    dims: Dims
    reduced: tuple[bool, ...]
    accesses: dict[Access, int] = field(default_factory=dict)
    axes: list[Axis] = field(default_factory=list)
    strides: list[list[Any]] = field(default_factory=list)

    def note(self, access: Access) -> Access:
        """Remember an access, broadcast to this space."""
        full = broadcast_access(access, self.dims)
        self.accesses.setdefault(full, len(self.accesses))
        return full

    def settle(self) -> None:
        """Collapse the dimensions as far as all accesses allow."""
        self.axes, self.strides = collapse(self.dims, self.reduced, [a.strides for a in self.accesses])

    def index(self, access: Access, variables: Sequence[str]) -> str:
        """The index expression of a noted access for loop variables, one per collapsed axis."""
        full = broadcast_access(access, self.dims)
        return index_text(self.strides[self.accesses[full]], variables, full.offset)


def nest_variables(space: Space, flat: str, inner: str) -> tuple[list[str], list[str], str, str]:
    """Loop variables for a space of unreduced axes walked as (flat outer index, inner index).

    Returns (variable per axis, lines that decompose the outer index, outer count, inner count); with fewer than two axes
    there is no inner loop and its count is "".
    """
    axes = space.axes
    if not axes:
        return [], [], "1", ""
    if len(axes) == 1:
        return [flat], [], size_text(axes[0].size), ""
    outer = axes[:-1]
    count = product_text([a.size for a in outer])
    lines, variables = decompose([a.size for a in outer], flat)
    return [*variables, inner], lines, count, size_text(axes[-1].size)


def decompose(sizes: Sequence[Any], flat: str, stem: str = "") -> tuple[list[str], list[str]]:
    """Lines that split the flat index `flat` into one per size, and their names (`stem` or `flat`, then a number)."""
    if len(sizes) == 1:
        return [], [flat]
    lines, names = [], []
    rest: Any = 1
    steps = []
    for size in reversed(sizes):
        steps.append(rest)
        rest = size * rest if isinstance(size, Batch) or not isinstance(rest, Batch) else rest * size
    for i, (size, step) in enumerate(zip(sizes, reversed(steps), strict=True)):
        name = f"{stem or flat}{i}"
        quotient = flat if step == 1 else f"{flat} / ({size_text(step)})" if isinstance(step, Batch) else f"{flat} / {step}"
        modulus = "" if i == 0 else f" % ({size_text(size)})" if isinstance(size, Batch) else f" % {size}"
        lines.append(f"const int64_t {name} = {quotient}{modulus};")
        names.append(name)
    return lines, names


def product_text(sizes: Sequence[Any]) -> str:
    total: Any = 1
    for size in sizes:
        total = size * total if isinstance(size, Batch) or not isinstance(total, Batch) else total * size
    return size_text(total)
