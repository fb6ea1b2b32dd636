"""From what a caller feeds to arrays, with TensorFlow's errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..tensor import Tensor, TensorLike

# accepted shapes are remembered, so that the usual feed is checked by one look-up; scripts use few shapes
REMEMBERED_SHAPES = 1024

_NUMPY_VALUES = (np.ndarray, np.generic)


class Feed:
    """One fed tensor of a run: what it takes, and the check of what it is given."""

    __slots__ = ("_accepted", "_is_text", "dtype", "key", "tensor")

    def __init__(self, key: Any, tensor: Tensor) -> None:
        self.key = key  # as the caller wrote it
        self.tensor = tensor
        self.dtype = np.dtype(tensor.dtype.as_numpy_dtype)
        self._is_text = self.dtype == object
        self._accepted: set[tuple[int, ...]] = set()

    def array(self, value: Any) -> np.ndarray:
        """`value` as a contiguous array of the tensor's dtype; TypeError or ValueError if it does not fit."""
        if not isinstance(value, _NUMPY_VALUES):
            self._refuse(value)
        array = np.asarray(value, self.dtype, "C")
        if array.shape not in self._accepted:
            self._accept(array.shape)
        if self._is_text:
            return _encoded(array)
        return array if array.flags.aligned else array.copy()

    def _refuse(self, value: Any) -> None:
        """Errors about values that NumPy would take, or refuse in other words than TensorFlow."""
        if isinstance(value, TensorLike):
            raise TypeError(
                "The value of a feed cannot be a tf.Tensor object. Acceptable feed values include Python scalars, strings, "
                f"lists, numpy ndarrays, or TensorHandles. For reference, the tensor object was {value} which was passed "
                f"to the feed with key {self.key}."
            )
        if isinstance(value, int) and not self._holds(value):
            raise TypeError(
                f"Type of feed value {value} with type {type(value)} is not compatible with Tensor type "
                f"{self.dtype.type}. Try explicitly setting the type of the feed tensor to a larger type (e.g. int64)."
            )

    def _holds(self, value: int) -> bool:
        try:
            return self.dtype.type(value) == value
        except OverflowError:
            return False

    def _accept(self, shape: tuple[int, ...]) -> None:
        wanted = self.tensor.shape
        if not wanted.is_compatible_with(shape):
            raise ValueError(
                f"Cannot feed value of shape {shape!r} for Tensor {self.tensor.name!r}, which has shape '{wanted}'"
            )
        if len(self._accepted) < REMEMBERED_SHAPES:
            self._accepted.add(shape)


def _encoded(array: np.ndarray) -> np.ndarray:
    """Strings as bytes."""
    encoded = np.empty(array.shape, object)
    for index, item in np.ndenumerate(array):
        encoded[index] = item.encode() if isinstance(item, str) else item
    return encoded


def resolve_feeds(graph: Any, keys: tuple[Any, ...]) -> list[Feed]:
    """The feeds that the keys of a feed dictionary stand for; TypeError or ValueError for a key that may not be fed."""
    feeds = []
    for key in keys:
        try:
            tensor = graph.as_graph_element(key, allow_tensor=True, allow_operation=False)
        except (TypeError, ValueError, KeyError) as error:
            raise TypeError(f"Cannot interpret feed_dict key as Tensor: {error.args[0]}") from None
        if not graph.is_feedable(tensor):
            raise ValueError(f"Tensor {tensor} may not be fed.")
        feeds.append(Feed(key, tensor))
    return feeds


def flattened(feed_dict: Mapping[Any, Any]) -> dict[Any, Any]:
    """`feed_dict` with keys that are tuples replaced by their elements, as TensorFlow allows: {(x, y): (1.0, 2.0)}."""
    flat: dict[Any, Any] = {}
    for key, value in feed_dict.items():
        if not isinstance(key, tuple):
            flat[key] = value
            continue
        if not isinstance(value, (tuple, list)) or len(value) != len(key):
            raise ValueError(f"Could not flatten dictionary. Key had {len(key)} elements, but value is {value!r}.")
        flat.update(flattened(dict(zip(key, value, strict=True))))
    return flat
