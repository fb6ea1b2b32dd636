"""What is exported: functions over one graph, and the types of their arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...dtypes import DType
from ...errors import InvalidArgumentError
from ...run_errors import at_node
from ...shapes import Batch, Dims, show
from ..problems import NotCompilable
from ..scalar import c_type


@dataclass(frozen=True)
class Function:
    """One function of the library: the operations of a run, in execution order, as a session would execute them.

    `given` has the feeds whose values are part of the function. `arguments` and `outputs` are C identifiers for the other
    feeds and for the fetches, in order.
    """

    name: str
    order: tuple[Any, ...]
    feeds: tuple[Any, ...]
    fetches: tuple[Any, ...]
    given: Mapping[Any, np.ndarray]
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def all_feeds(self) -> tuple[Any, ...]:
        """Arguments first, then what is given."""
        return (*self.feeds, *self.given)


@dataclass(frozen=True)
class Parameter:
    """An argument or an output in C. `shape` is a text such as `[batch, 784]`; rank 0 has none."""

    name: str
    c_type: str
    dtype: DType
    dims: Dims
    node: str
    is_output: bool

    @property
    def by_value(self) -> bool:
        return not self.is_output and len(self.dims) == 0

    @property
    def shape(self) -> str:
        return f"[{', '.join('batch' if isinstance(d, Batch) and d.per == 1 else _size(d) for d in self.dims)}]"

    @property
    def declaration(self) -> str:
        if self.by_value:
            return f"{self.c_type} {self.name}"
        return f"{self.c_type} *{self.name}" if self.is_output else f"const {self.c_type} *{self.name}"

    @property
    def fixed_elements(self) -> int:
        """How many elements there are at a batch of one."""
        return int(np.prod([d.at(1) if isinstance(d, Batch) else d for d in self.dims], dtype=object))

    @property
    def grows(self) -> bool:
        """True if the number of elements is a multiple of the batch."""
        return any(isinstance(d, Batch) for d in self.dims)


def _size(dim: Any) -> str:
    return f"{dim.per} * batch" if isinstance(dim, Batch) else str(dim)


def feed_dims(tensor: Any, name: str) -> tuple[Any, ...]:
    """A feed's dimensions with the batch for an open first one. InvalidArgumentError if another is open."""
    dims = tensor.dims
    if dims is None or None in dims[1:]:
        text = (
            f"Function {name!r} cannot take {tensor.name} of shape {show(dims)}: only the first dimension of an argument "
            f"may be open, it is the batch. Give the placeholder the other sizes, or make several functions"
        )
        raise at_node(InvalidArgumentError, tensor.op, text)
    return tuple(Batch(1) if d is None else d for d in dims)


def parameter(tensor: Any, dims: Dims, name: str, function: str, is_output: bool) -> Parameter:
    """A tensor as a parameter. InvalidArgumentError for a type that C does not have."""
    dtype = tensor.dtype.base_dtype
    try:
        ctype = c_type(dtype)
    except NotCompilable:
        what = "return" if is_output else "take"
        text = (
            f"Function {function!r} cannot {what} {tensor.name} of type {dtype.name}, which C does not have. "
            "Convert it with tf.cast, or leave it out"
        )
        raise at_node(InvalidArgumentError, tensor.op, text) from None
    return Parameter(name, ctype, dtype, dims, tensor.name, is_output)


def documented(parameters: Sequence[Parameter]) -> list[str]:
    """One line for each parameter, aligned."""
    width = max((len(p.name) for p in parameters), default=0)
    return [f"{p.name.ljust(width)}  {_described(p)}" for p in parameters]


def _described(p: Parameter) -> str:
    kind = "one number" if p.by_value else "one element" if len(p.dims) == 0 else p.shape
    return f"{p.dtype.name} {kind}" if p.by_value or len(p.dims) == 0 else f"{p.dtype.name} {kind}, row-major"
