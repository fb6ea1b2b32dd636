"""Shapes: TensorFlow's TensorShape and Dimension, the batch multiple `Batch`, and the dimension algebra of shape rules.

A dimension inside shape rules is an `int`, None (not known yet) or `Batch(c)`: c times the batch size of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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


class Dimension:
    """One dimension of a TensorShape: `.value` is an int or None."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        if isinstance(value, Dimension):
            value = value.value
        self._value = None if value is None else int(value)
        if self._value is not None and self._value < 0:
            raise ValueError(f"Dimension {self._value} must be >= 0")

    @property
    def value(self) -> int | None:
        return self._value

    def is_compatible_with(self, other: Any) -> bool:
        other = as_dimension(other)
        return self._value is None or other.value is None or self._value == other.value

    def assert_is_compatible_with(self, other: Any) -> None:
        if not self.is_compatible_with(other):
            raise ValueError(f"Dimensions {self} and {other} are not compatible")

    def merge_with(self, other: Any) -> Dimension:
        other = as_dimension(other)
        self.assert_is_compatible_with(other)
        return Dimension(other.value if self._value is None else self._value)

    def _binary(self, other: Any, compute: Any) -> Dimension:
        other = as_dimension(other)
        if self._value is None or other.value is None:
            return Dimension(None)
        return Dimension(compute(self._value, other.value))

    def __add__(self, other: Any) -> Dimension:
        return self._binary(other, lambda a, b: a + b)

    def __radd__(self, other: Any) -> Dimension:
        return self + other

    def __sub__(self, other: Any) -> Dimension:
        return self._binary(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Dimension:
        return as_dimension(other) - self

    def __mul__(self, other: Any) -> Dimension:
        return self._binary(other, lambda a, b: a * b)

    def __rmul__(self, other: Any) -> Dimension:
        return self * other

    def __floordiv__(self, other: Any) -> Dimension:
        return self._binary(other, lambda a, b: a // b)

    __div__ = __floordiv__

    def __rfloordiv__(self, other: Any) -> Dimension:
        return as_dimension(other) // self

    def __mod__(self, other: Any) -> Dimension:
        return self._binary(other, lambda a, b: a % b)

    def _order(self, other: Any, compare: Any) -> bool | None:
        other = as_dimension(other)
        if self._value is None or other.value is None:
            return None
        return bool(compare(self._value, other.value))

    def __lt__(self, other: Any) -> bool | None:
        return self._order(other, lambda a, b: a < b)

    def __le__(self, other: Any) -> bool | None:
        return self._order(other, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> bool | None:
        return self._order(other, lambda a, b: a > b)

    def __ge__(self, other: Any) -> bool | None:
        return self._order(other, lambda a, b: a >= b)

    def __eq__(self, other: object) -> bool | None:  # type: ignore[override]
        try:
            other_dimension = as_dimension(other)
        except (TypeError, ValueError):
            return NotImplemented
        if self._value is None or other_dimension.value is None:
            return None
        return self._value == other_dimension.value

    def __ne__(self, other: object) -> bool | None:  # type: ignore[override]
        equal = self == other
        return None if equal is None else not equal

    def __hash__(self) -> int:
        return hash(self._value)

    def __int__(self) -> int:
        return self._value  # type: ignore[return-value]

    def __index__(self) -> int:
        return self._value  # type: ignore[return-value]

    def __str__(self) -> str:
        return "?" if self._value is None else str(self._value)

    def __repr__(self) -> str:
        return f"Dimension({self._value})"


def as_dimension(value: Any) -> Dimension:
    return value if isinstance(value, Dimension) else Dimension(value)


class TensorShape:
    """A shape that may be partly or wholly unknown; prints, compares and merges as TensorFlow's does."""

    __slots__ = ("_dims",)

    def __init__(self, dims: Any) -> None:
        if dims is None:
            self._dims: tuple[int | None, ...] | None = None
        elif isinstance(dims, TensorShape):
            self._dims = dims._dims
        elif isinstance(dims, Iterable):
            self._dims = tuple(as_dimension(_size(d)).value for d in dims)
        else:
            self._dims = (as_dimension(_size(dims)).value,)

    @property
    def dims(self) -> list[Dimension] | None:
        return None if self._dims is None else [Dimension(d) for d in self._dims]

    @property
    def sizes(self) -> tuple[int | None, ...] | None:
        """The dimensions as ints and None, or None if the rank is unknown."""
        return self._dims

    @property
    def ndims(self) -> int | None:
        return None if self._dims is None else len(self._dims)

    rank = ndims

    def as_list(self) -> list[int | None]:
        """The sizes as a list; ValueError if the rank is unknown."""
        if self._dims is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return list(self._dims)

    def num_elements(self) -> int | None:
        return element_count(self._dims) if self.is_fully_defined() and self._dims is not None else None

    def is_fully_defined(self) -> bool:
        return self._dims is not None and all(d is not None for d in self._dims)

    def assert_is_fully_defined(self) -> None:
        if not self.is_fully_defined():
            raise ValueError(f"Shape {self} is not fully defined")

    def is_compatible_with(self, other: Any) -> bool:
        other = as_shape(other)
        if self._dims is None or other._dims is None:
            return True
        return len(self._dims) == len(other._dims) and all(
            a is None or b is None or a == b for a, b in zip(self._dims, other._dims, strict=True)
        )

    def assert_is_compatible_with(self, other: Any) -> None:
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {as_shape(other)} are incompatible")

    def assert_has_rank(self, rank: int) -> None:
        if self.ndims not in (None, rank):
            raise ValueError(f"Shape {self} must have rank {rank}")

    def merge_with(self, other: Any) -> TensorShape:
        """The shape that is both; ValueError if there is none."""
        other = as_shape(other)
        if self._dims is None or other._dims is None:
            return other if self._dims is None else self
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {other} are not compatible")
        return TensorShape([b if a is None else a for a, b in zip(self._dims, other._dims, strict=True)])

    def concatenate(self, other: Any) -> TensorShape:
        other = as_shape(other)
        if self._dims is None or other._dims is None:
            return TensorShape(None)
        return TensorShape(self._dims + other._dims)

    def with_rank(self, rank: int) -> TensorShape:
        if self._dims is None:
            return TensorShape([None] * rank)
        if len(self._dims) != rank:
            raise ValueError(f"Shape {self} must have rank {rank}")
        return self

    def with_rank_at_least(self, rank: int) -> TensorShape:
        if self._dims is not None and len(self._dims) < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}")
        return self

    def __len__(self) -> int:
        if self._dims is None:
            raise ValueError("Cannot take the length of Shape with unknown rank.")
        return len(self._dims)

    def __bool__(self) -> bool:
        return self._dims is not None

    def __iter__(self) -> Iterator[Dimension]:
        if self._dims is None:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        return iter([Dimension(d) for d in self._dims])

    def __getitem__(self, key: Any) -> Any:
        if self._dims is None:
            return TensorShape(None) if isinstance(key, slice) else Dimension(None)
        return TensorShape(self._dims[key]) if isinstance(key, slice) else Dimension(self._dims[key])

    def __add__(self, other: Any) -> TensorShape:
        return self.concatenate(other)

    def __eq__(self, other: object) -> bool:
        try:
            return self._dims == as_shape(other)._dims
        except (TypeError, ValueError):
            return NotImplemented

    def __hash__(self) -> int:
        return hash(self._dims)

    def __str__(self) -> str:
        if self._dims is None:
            return "<unknown>"
        if len(self._dims) == 1:
            return f"({Dimension(self._dims[0])},)"
        return "(" + ", ".join(str(Dimension(d)) for d in self._dims) + ")"

    def __repr__(self) -> str:
        return f"TensorShape({self.dims})"


def _size(value: Any) -> Any:
    """A requested size as Dimension takes it: None and -1 mean unknown."""
    if isinstance(value, Dimension):
        return value.value
    return None if value is None or (not isinstance(value, Batch) and int(value) == -1) else value


def as_shape(value: Any) -> TensorShape:
    return value if isinstance(value, TensorShape) else TensorShape(value)


def scalar_shape() -> TensorShape:
    return TensorShape([])


def unknown_shape(ndims: int | None = None) -> TensorShape:
    return TensorShape(None if ndims is None else [None] * ndims)


def as_dims(shape: Sequence[Any] | TensorShape | None) -> Dims | None:
    """A user's shape as the tuple that shape rules use."""
    return as_shape(shape).sizes
