"""From Python and NumPy values to tensors: `tf.constant`, `tf.convert_to_tensor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import dtypes
from .dtypes import DType, as_dtype
from .graph import get_default_graph
from .opdef import REQUIRED, Call, primitive
from .shapes import Dimension, TensorShape, as_shape
from .tensor import Tensor


@primitive(
    "Const", "-> output: dtype", "const", lambda call: [np.shape(call.attr("value"))], value=REQUIRED, dtype=dtypes.ALL
)
def const_op(call: Call) -> np.ndarray:
    """A constant array."""
    return call.attr("value")


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str = "Const", verify_shape: bool = False) -> Tensor:
    """A constant tensor of `value`, reshaped or filled to `shape`.

    ValueError for None, a ragged list or too many elements; TypeError if `value` does not fit `dtype`.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    array = as_array(value, wanted)
    if shape is not None:
        array = _shaped(array, as_shape(shape), verify_shape)
    return get_default_graph().constant(array, dtype_of(array, wanted), name or "Const")


def _shaped(array: np.ndarray, shape: TensorShape, verify: bool) -> np.ndarray:
    sizes = tuple(int(size or 0) for size in shape.as_list())
    if verify and array.shape != sizes:
        raise TypeError(f"Expected Tensor's shape: {sizes}, got {array.shape}.")
    count = int(np.prod(sizes, dtype=np.int64))
    if array.size == count:
        return array.reshape(sizes)
    if array.size > max(count, 1):
        raise ValueError(f"Too many elements provided. Needed at most {count}, but received {array.size}")
    # TensorFlow repeats the last value
    filled = np.full(count, array.reshape(-1)[-1], dtype=array.dtype)
    filled[: array.size] = array.reshape(-1)
    return filled.reshape(sizes)


def dtype_of(array: np.ndarray, wanted: DType | None) -> DType:
    return wanted.base_dtype if wanted is not None else as_dtype(array.dtype)


def as_array(value: Any, dtype: DType | None = None) -> np.ndarray:
    """`value` as an array of `dtype`; Python floats become float32 and Python ints int32 when `dtype` is None."""
    if value is None:
        raise ValueError("None values not supported.")
    if isinstance(value, TensorShape):
        value = value.as_list()
        if None in value:
            raise ValueError(f"Cannot convert a partially known TensorShape to a Tensor: {value}")
        dtype = dtype or dtypes.int32
    elif isinstance(value, Dimension):
        value, dtype = int(value), dtype or dtypes.int32
    if isinstance(value, DType):
        value, dtype = value.as_datatype_enum, dtypes.int32
    python_value = not isinstance(value, (np.ndarray, np.generic))
    if python_value and dtype is not None:
        _check_python_value(value, dtype)
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"Argument must be a dense tensor: {value} - {error}") from None
    if array.dtype == object and python_value and not _all_text(array):
        if any(isinstance(v, Dimension) for v in array.reshape(-1)):
            return as_array(_sizes_of(array), dtype)
        if any(v is None for v in array.reshape(-1)):
            raise ValueError("None values not supported.")
        raise ValueError(
            f"Argument must be a dense tensor: {value} - got shape {list(array.shape)}, but wanted a rectangular one."
        )
    if dtype is None:
        dtype = _natural_dtype(array, python_value)
    if dtype.base_dtype == dtypes.string:
        return _text_array(array)
    if python_value and dtype.is_integer and array.size:
        limits = np.iinfo(dtype.as_numpy_dtype)
        if array.dtype.kind in "iu" and (int(array.min()) < limits.min or int(array.max()) > limits.max):
            raise ValueError(f"Tensor conversion requested dtype {dtype.name} for a value out of its range: {value}")
    return np.array(array, dtype=dtype.as_numpy_dtype, order="C")


def _sizes_of(array: np.ndarray) -> Any:
    """Nested lists in which a Dimension is its size: `[-1, x.shape[1] * 4]`."""
    sizes = [v.value if isinstance(v, Dimension) else v for v in array.reshape(-1)]
    plain = np.empty(len(sizes), dtype=object)
    plain[:] = sizes
    return plain.reshape(array.shape).tolist()


def _natural_dtype(array: np.ndarray, python_value: bool) -> DType:
    if array.dtype.kind in "SUO":
        return dtypes.string
    if python_value:
        if array.dtype == np.float64:
            return dtypes.float32
        if array.dtype == np.int64:
            fits = array.size == 0 or (int(array.min()) >= -(2**31) and int(array.max()) < 2**31)
            return dtypes.int32 if fits else dtypes.int64
    return as_dtype(array.dtype)


def _all_text(array: np.ndarray) -> bool:
    return all(isinstance(v, (bytes, str)) for v in array.reshape(-1))


def _text_array(array: np.ndarray) -> np.ndarray:
    encoded = np.empty(array.shape, dtype=object)
    for index, item in np.ndenumerate(array):
        encoded[index] = item.encode() if isinstance(item, str) else bytes(item)
    return encoded


def _first_leaf(value: Any) -> Any:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return value


def _check_python_value(value: Any, dtype: DType) -> None:
    """TypeError when the first offending leaf of a Python value cannot become `dtype`."""
    for leaf in _leaves(value):
        wrong = (
            (dtype.is_integer and isinstance(leaf, (float, str, bytes)))
            or (dtype.is_integer and isinstance(leaf, bool))
            or (dtype.is_floating and isinstance(leaf, (str, bytes, bool)))
            or (dtype.is_bool and not isinstance(leaf, (bool, np.bool_)))
            or (dtype.base_dtype == dtypes.string and not isinstance(leaf, (str, bytes)))
        )
        if wrong:
            raise TypeError(f"Expected {dtype.name}, got {leaf!r} of type '{type(leaf).__name__}' instead.")


def _leaves(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, (int, float, str, bytes, bool)) and not isinstance(value, np.generic):
        yield value


def to_tensor(value: Any, dtype: DType | None = None, name: str | None = None, as_ref: bool = False) -> Any:
    """`value` as a tensor: tensors and variables pass through, lists that hold tensors are packed, the rest is constant.

    ValueError if a tensor has another dtype than the one requested.
    """
    if hasattr(value, "_as_tensor"):
        value = value._as_tensor(as_ref)
    if isinstance(value, Tensor):
        if dtype is not None and not dtype.is_compatible_with(value.dtype):
            raise ValueError(
                f"Tensor conversion requested dtype {dtype.name} for Tensor with dtype {value.dtype.name}: {str(value)!r}"
            )
        return value
    if isinstance(value, (list, tuple)) and _holds_tensor(value):
        from .array import auto_pack

        return auto_pack(value, dtype, name or "packed")
    return constant(value, dtype, name=name or "Const")


def _holds_tensor(values: Sequence[Any]) -> bool:
    return any(
        hasattr(v, "dims") or hasattr(v, "_as_tensor") or (isinstance(v, (list, tuple)) and _holds_tensor(v)) for v in values
    )


def setting(tensor: Tensor) -> Tensor:
    """`tensor`, marked as a number that people try other values of: a learning rate, a probability to keep.

    The compiler never makes code of such a constant's value, so that another one finds the same compiled step.
    """
    source = tensor.op.inputs[0].op if tensor.op.type == "Cast" else tensor.op
    source.is_setting = source.type == "Const"
    return tensor


@contextmanager
def settings() -> Iterator[None]:
    """Mark every constant that the block adds to the default graph as a `setting`."""
    graph = get_default_graph()
    before = len(graph.get_operations())
    yield
    for op in graph.get_operations()[before:]:
        op.is_setting = op.type == "Const"


def convert_to_tensor(
    value: Any, dtype: Any = None, name: str | None = None, preferred_dtype: Any = None, dtype_hint: Any = None
) -> Tensor:
    """`value` as a Tensor. `preferred_dtype` (or `dtype_hint`) is used where `value` can be converted to it."""
    preferred_dtype = dtype_hint if preferred_dtype is None else preferred_dtype
    if dtype is None and preferred_dtype is not None:
        try:
            return to_tensor(value, as_dtype(preferred_dtype), name)
        except (TypeError, ValueError):
            pass
    return to_tensor(value, None if dtype is None else as_dtype(dtype), name)
