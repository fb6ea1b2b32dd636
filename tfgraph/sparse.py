"""`tf.SparseTensor` and `tf.IndexedSlices`: tensors by the elements or rows that they have. Containers only."""

from __future__ import annotations

from typing import Any, NamedTuple

from .convert import convert_to_tensor
from .dtypes import DType, int64
from .shapes import TensorShape
from .tensor import Tensor

__all__ = ["IndexedSlices", "IndexedSlicesValue", "SparseTensor", "SparseTensorValue"]


class SparseTensorValue(NamedTuple):
    """The value of a SparseTensor."""

    indices: Any
    values: Any
    dense_shape: Any


class IndexedSlicesValue(NamedTuple):
    """The value of IndexedSlices."""

    values: Any
    indices: Any
    dense_shape: Any


class SparseTensor:
    """`values` [n] at the positions `indices` [n, rank] of a tensor of `dense_shape` [rank]; zeros elsewhere."""

    def __init__(self, indices: Any, values: Any, dense_shape: Any) -> None:
        self._indices = convert_to_tensor(indices, int64, "indices")
        self._values = convert_to_tensor(values, name="values")
        self._dense_shape = convert_to_tensor(dense_shape, int64, "dense_shape")

    indices = property(lambda self: self._indices)
    values = property(lambda self: self._values)
    dense_shape = property(lambda self: self._dense_shape)
    graph = property(lambda self: self._values.graph)
    op = property(lambda self: self._values.op)

    @property
    def dtype(self) -> DType:
        return self._values.dtype

    @property
    def shape(self) -> TensorShape:
        known = self._dense_shape.known()
        return TensorShape(None if known is None else [int(size) for size in known])

    def get_shape(self) -> TensorShape:
        return self.shape

    def eval(self, feed_dict: Any = None, session: Any = None) -> SparseTensorValue:
        """Its parts in a session."""
        return SparseTensorValue(*(part.eval(feed_dict, session) for part in (self.indices, self.values, self.dense_shape)))

    def __str__(self) -> str:
        return f"SparseTensor(indices={self.indices}, values={self.values}, dense_shape={self.dense_shape})"


class IndexedSlices:
    """Rows `values` [n, ...] that belong at the rows `indices` [n] of a tensor."""

    def __init__(self, values: Tensor, indices: Tensor, dense_shape: Tensor | None = None) -> None:
        self._values, self._indices, self._dense_shape = values, indices, dense_shape

    values = property(lambda self: self._values)
    indices = property(lambda self: self._indices)
    dense_shape = property(lambda self: self._dense_shape)
    name = property(lambda self: self._values.name)
    graph = property(lambda self: self._values.graph)
    op = property(lambda self: self._values.op)
    device = property(lambda self: self._values.device)

    @property
    def dtype(self) -> DType:
        return self._values.dtype

    def __str__(self) -> str:
        shape = "" if self._dense_shape is None else f", dense_shape={self._dense_shape}"
        return f"IndexedSlices(indices={self._indices}, values={self._values}{shape})"
