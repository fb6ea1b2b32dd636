"""The algebra of dimensions in shape rules.

A dimension is an `int`, None (not known yet) or `Batch(c)`: c times the batch size of the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .errors import fail

Dim = Any  # int | None | Batch
Dims = tuple[Any, ...]


class Undecided(Exception):
    """A question about c*N whose answer depends on N: the program must be specialised to one N."""


class Batch:
    """`per` * N, N being the run-time batch size; arithmetic stays within multiples of N or raises Undecided."""

    __slots__ = ("per",)

    def __init__(self, per: int) -> None:
        self.per = per

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Batch):
            raise Undecided("N * N is not a multiple of N")
        return 0 if int(other) == 0 else Batch(self.per * int(other))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, Batch):
            if self.per % other.per == 0:
                return self.per // other.per
        elif int(other) != 0 and self.per % int(other) == 0:
            return Batch(self.per // int(other))
        raise Undecided(f"{self} // {other}")

    def __rfloordiv__(self, other: Any) -> Any:
        raise Undecided(f"{other} // {self}")

    def __mod__(self, other: Any) -> int:
        if not isinstance(other, Batch) and int(other) != 0 and self.per % int(other) == 0:
            return 0
        raise Undecided(f"{self} % {other}")

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Batch):
            return Batch(self.per + other.per)
        if int(other) == 0:
            return self
        raise Undecided(f"{self} + {other}")

    __radd__ = __add__

    def __neg__(self) -> Batch:
        return Batch(-self.per)

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Batch):
            return Batch(self.per - other.per) if self.per != other.per else 0
        if int(other) == 0:
            return self
        raise Undecided(f"{self} - {other}")

    def __rsub__(self, other: Any) -> Any:
        if int(other) == 0:
            return -self
        raise Undecided(f"{other} - {self}")

    def __int__(self) -> int:
        raise Undecided(f"the value of {self}")

    __index__ = __float__ = __int__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Batch) and other.per == self.per

    def __lt__(self, other: Any) -> bool:
        # c*N with c > 0 is never negative; nothing else can be said
        if isinstance(other, Batch):
            return self.per < other.per
        if int(other) <= 0 and self.per >= 0:
            return False
        raise Undecided(f"{self} < {other}")

    def __ge__(self, other: Any) -> bool:
        return not self < other

    def __gt__(self, other: Any) -> bool:
        if isinstance(other, Batch):
            return self.per > other.per
        if int(other) < 0 <= self.per:
            return True
        raise Undecided(f"{self} > {other}")

    def __le__(self, other: Any) -> bool:
        return not self > other

    def __hash__(self) -> int:
        return hash(("Batch", self.per))

    def __repr__(self) -> str:
        return "N" if self.per == 1 else f"{self.per}*N"

    def at(self, n: int) -> int:
        """The number for batch size n."""
        return self.per * n


def at_batch(dims: Iterable[Dim], n: int) -> tuple[int, ...]:
    """Concrete sizes of `dims` for batch size `n`."""
    return tuple(d.at(n) if isinstance(d, Batch) else int(d) for d in dims)


def element_count(dims: Iterable[Dim]) -> Dim:
    """The product of the dimensions; None if any is unknown (0 if one is 0)."""
    total: Dim = 1
    unknown = False
    for d in dims:
        if d is None:
            unknown = True
        else:
            total = d * total
    return None if unknown and total != 0 else total


def show(dims: Dims | None) -> str:
    """A shape as TensorFlow's shape messages print it: `[?,4]`, `<unknown>`."""
    if dims is None:
        return "<unknown>"
    return "[" + ",".join("?" if d is None else str(d) for d in dims) + "]"


def merge_dim(a: Dim, b: Dim, run: str | None = None) -> Dim:
    """The dimension that is both a and b, or a shape error."""
    if a is None or b is None:
        return a if b is None else b
    if a == b:
        return a
    if isinstance(a, Batch) or isinstance(b, Batch):
        raise Undecided(f"{a} = {b}?")
    fail(f"Dimensions must be equal, but are {a} and {b}", run)


def merge_dims(a: Dims | None, b: Dims | None, run: str | None = None) -> Dims | None:
    """The shape that is both a and b (None: rank unknown), or a shape error."""
    if a is None or b is None:
        return a if b is None else b
    if len(a) != len(b):
        fail(f"Shapes must be equal rank, but are {len(a)} and {len(b)}", run)
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        if isinstance(x, int) and isinstance(y, int) and x != y:
            shapes = f"Shapes are {show(a)} and {show(b)}."
            fail(f"Dimension {i} in both shapes must be equal, but are {x} and {y}. {shapes}", run)
    return tuple(merge_dim(x, y, run) for x, y in zip(a, b, strict=True))


def broadcast_dims(a: Dims | None, b: Dims | None) -> Dims | None:
    """The shape of an element-by-element operation on shapes a and b."""
    if a is None or b is None:
        return None
    if a == b:
        return tuple(a)
    run = f"Incompatible shapes: {show(a)} vs. {show(b)}"
    rank = max(len(a), len(b))
    left = (1,) * (rank - len(a)) + tuple(a)
    right = (1,) * (rank - len(b)) + tuple(b)
    return tuple(_broadcast_dim(x, y, run) for x, y in zip(left, right, strict=True))


def _broadcast_dim(x: Dim, y: Dim, run: str) -> Dim:
    if x == 1:
        return y
    if y == 1:
        return x
    if x is None or y is None:
        # an unknown dimension is 1 or the other one, unless that is unknown too
        return x if y is None else y
    return merge_dim(x, y, run)


def with_rank(dims: Dims | None, rank: int, run: str | None = None) -> Dims:
    """`dims` if its rank is `rank` (all unknown if the rank is), or a shape error."""
    if dims is None:
        return (None,) * rank
    if len(dims) != rank:
        fail(f"Shape must be rank {rank} but is rank {len(dims)}", run)
    return dims


def normalise_axis(axis: int, rank: int) -> int:
    """`axis` counted from the front; a shape error if it is outside [-rank, rank)."""
    if not -rank <= axis < rank:
        fail(
            f"Invalid reduction dimension {axis} for input with {rank} dimensions.",
            f"Invalid reduction dimension ({axis} for input with {rank} dimension(s)",
        )
    return axis % rank if rank else 0
