"""`tf.assert_equal` and its kin: what is known to be wrong is an error at once, the rest is looked at in every run.

Each function about values returns an operation; `tf.control_dependencies` puts it before others. It raises
InvalidArgumentError in the run, or when it is built if both operands are constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import math
from .array import rank as rank_of
from .array import reshape
from .control_flow import Assert, no_op, with_dependencies
from .convert import convert_to_tensor
from .dtypes import DType, as_dtype, float32
from .errors import InvalidArgumentError
from .naming import scope_of
from .ops.identity import check_numerics
from .tensor import Operation, Tensor

__all__ = [
    "assert_equal", "assert_greater", "assert_greater_equal", "assert_integer", "assert_less", "assert_less_equal",
    "assert_near", "assert_negative", "assert_non_negative", "assert_non_positive", "assert_none_equal",
    "assert_positive", "assert_proper_iterable", "assert_rank", "assert_rank_at_least", "assert_rank_in",
    "assert_same_float_dtype", "assert_scalar", "assert_type", "is_non_decreasing", "is_numeric_tensor",
    "is_strictly_increasing", "verify_tensor_all_finite",
]  # fmt: skip


def known(tensor: Tensor) -> np.ndarray | None:
    """The value of a tensor if it is known before the run."""
    value = tensor.known()
    return None if value is None or value.dtype == object else value


Comparison = tuple[Callable[..., Tensor], Callable[..., Any]]  # of tensors, and of arrays


def _compared(by: Comparison, x: Tensor, y: Tensor, data: Sequence[Any], summarize: int | None) -> Operation:
    """The assertion that all elements compare so; an error at once if both operands are known and they do not."""
    one, other = known(x), known(y)
    if one is not None and other is not None and not np.all(by[1](one, other)):
        shown = [str(known(item)) if isinstance(item, Tensor) else str(item) for item in data]
        raise InvalidArgumentError(None, None, "\n".join(shown))
    return Assert(math.reduce_all(by[0](x, y)), data, summarize=summarize)


# --- two operands -----------------------------------------------------------------------------------------------------


def _of_two(name: str, sign: str, by: Comparison, equal_holds: bool) -> Callable[..., Operation]:
    """The assertion about all pairs of elements; `equal_holds` if it is true of a tensor and itself."""

    def function(
        x: Any, y: Any, data: Any = None, summarize: int | None = None, message: str | None = None, name: str | None = None
    ) -> Operation:
        with scope_of(name, label, x, y, data):
            x, y = convert_to_tensor(x, name="x"), convert_to_tensor(y, name="y")
            if x is y and equal_holds:
                return no_op(name="static_checks_determined_all_ok")
            told = data
            if told is None:
                told = [
                    message or "", f"Condition x {sign} y did not hold element-wise:",
                    f"x ({x.name}) = ", x, f"y ({y.name}) = ", y,
                ]  # fmt: skip
            return _compared(by, x, y, told, summarize)

    label = name
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"An operation that stops the run unless x {sign} y for all elements. The operands broadcast."
    return function


assert_equal = _of_two("assert_equal", "==", (math.equal, np.equal), True)
assert_none_equal = _of_two("assert_none_equal", "!=", (math.not_equal, np.not_equal), False)
assert_less = _of_two("assert_less", "<", (math.less, np.less), False)
assert_less_equal = _of_two("assert_less_equal", "<=", (math.less_equal, np.less_equal), True)
assert_greater = _of_two("assert_greater", ">", (math.greater, np.greater), False)
assert_greater_equal = _of_two("assert_greater_equal", ">=", (math.greater_equal, np.greater_equal), True)


def assert_near(
    x: Any,
    y: Any,
    rtol: Any = None,
    atol: Any = None,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that stops the run unless |x - y| < atol + rtol * |y|; both are 10 steps of the dtype by default."""
    with scope_of(name, "assert_near", x, y, rtol, atol, data):
        x = convert_to_tensor(x, name="x")
        y = convert_to_tensor(y, dtype=x.dtype.base_dtype, name="y")
        step = 10 * np.finfo(x.dtype.as_numpy_dtype).eps
        atol = convert_to_tensor(step if atol is None else atol, dtype=x.dtype.base_dtype, name="atol")
        rtol = convert_to_tensor(step if rtol is None else rtol, dtype=x.dtype.base_dtype, name="rtol")
        if data is None:
            data = [
                message or "", "x and y not equal to tolerance rtol = ", rtol, ", atol = ", atol,
                f"x ({x.name}) = ", x, f"y ({y.name}) = ", y,
            ]  # fmt: skip
        return _compared((math.less, np.less), math.abs(x - y), atol + rtol * math.abs(y), data, summarize)


# --- one operand ------------------------------------------------------------------------------------------------------


def _of_one(name: str, sign: str, by: Comparison, meaning: str) -> Callable[..., Operation]:
    """The assertion that all elements compare so with 0."""

    def function(
        x: Any, data: Any = None, summarize: int | None = None, message: str | None = None, name: str | None = None
    ) -> Operation:
        with scope_of(name, label, x, data):
            x = convert_to_tensor(x, name="x")
            told = data
            if told is None:
                told = [message or "", f"Condition x {sign} 0 did not hold element-wise:", f"x ({x.name}) = ", x]
            zero = convert_to_tensor(0, dtype=x.dtype.base_dtype)
            return _compared(by, x, zero, told, summarize)

    label = name
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"An operation that stops the run unless all elements are {meaning}."
    return function


assert_negative = _of_one("assert_negative", "<", (math.less, np.less), "negative")
assert_positive = _of_one("assert_positive", ">", (math.greater, np.greater), "positive")
assert_non_negative = _of_one("assert_non_negative", ">=", (math.greater_equal, np.greater_equal), "not negative")
assert_non_positive = _of_one("assert_non_positive", "<=", (math.less_equal, np.less_equal), "not positive")


# --- ranks ------------------------------------------------------------------------------------------------------------


def _ranked(
    x: Any,
    wanted: Sequence[Any],
    holds: Callable[[Any, Sequence[Any]], Any],
    said: str,
    names: tuple[str | None, str],
    data: Any,
    summarize: int | None,
    message: str | None,
) -> Operation:
    with scope_of(*names, x, *wanted):
        x = convert_to_tensor(x, name="x")
        ranks = [convert_to_tensor(one, name="rank") for one in wanted]
        values = [known(one) for one in ranks]
        for one, value in zip(ranks, values, strict=True):
            if one.dtype.base_dtype.is_floating:
                raise TypeError(f"The rank must be an integer, not {one.dtype.base_dtype!r}")
            if one.shape.ndims not in (0, None):
                raise ValueError("Rank must be a scalar.")
            if value is not None and value < 0:
                raise ValueError("Rank must be non-negative.")
        if x.shape.ndims is not None and all(value is not None for value in values):
            if not holds(x.shape.ndims, [int(value) for value in values]):  # type: ignore[arg-type]
                shown = ", ".join(str(value) for value in values)
                raise ValueError(
                    f"{message or ''}.  Tensor {x.name} must have rank {said}{shown}.  Received rank {x.shape.ndims}, "
                    f"shape {x.shape}"
                )
            return no_op(name="static_checks_determined_all_ok")
        if data is None:
            data = [message or "", f"Tensor {x.name} must have rank {said}", *ranks, "Received rank: ", rank_of(x)]
        return Assert(holds(rank_of(x), ranks), data, summarize=summarize)


def assert_rank(
    x: Any,
    rank: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """ValueError, or an operation that stops the run, unless `x` has that many dimensions."""

    def holds(found: Any, wanted: Sequence[Any]) -> Any:
        return found == wanted[0] if isinstance(found, int) else math.equal(found, wanted[0])

    return _ranked(x, [rank], holds, "", (name, "assert_rank"), data, summarize, message)


def assert_rank_at_least(
    x: Any,
    rank: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """ValueError, or an operation that stops the run, unless `x` has that many dimensions or more."""

    def holds(found: Any, wanted: Sequence[Any]) -> Any:
        return found >= wanted[0]

    return _ranked(x, [rank], holds, "at least ", (name, "assert_rank_at_least"), data, summarize, message)


def assert_rank_in(
    x: Any,
    ranks: Sequence[Any],
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """ValueError, or an operation that stops the run, unless the number of dimensions of `x` is among `ranks`."""

    def holds(found: Any, wanted: Sequence[Any]) -> Any:
        if isinstance(found, int):
            return found in wanted
        return math.reduce_any(convert_to_tensor([math.equal(found, one) for one in wanted]))

    return _ranked(x, ranks, holds, "in ", (name, "assert_rank_in"), data, summarize, message)


def assert_scalar(tensor: Any, name: str | None = None, message: str | None = None) -> Tensor:
    """`tensor`. ValueError if it is known not to be a scalar."""
    with scope_of(name, "assert_scalar", tensor):
        tensor = convert_to_tensor(tensor)
        if tensor.shape.ndims not in (0, None):
            prefix = f"{message}. " if message else ""
            raise ValueError(f"{prefix}Expected scalar shape, saw shape: {tensor.shape}.")
        return tensor


# --- types ------------------------------------------------------------------------------------------------------------


def assert_type(tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None) -> Operation:
    """TypeError unless the tensor has that dtype."""
    with scope_of(name, "assert_type", tensor):
        tensor, wanted = convert_to_tensor(tensor, name="tensor"), as_dtype(tf_type)
        if tensor.dtype.base_dtype != wanted:
            raise TypeError(f"{message or ''}  {tensor.op.name} must be of type {wanted}")
        return no_op(name="statically_determined_correct_type")


def assert_integer(x: Any, message: str | None = None, name: str | None = None) -> Operation:
    """TypeError unless `x` has an integer dtype."""
    with scope_of(name, "assert_integer", x):
        x = convert_to_tensor(x, name="x")
        if not x.dtype.base_dtype.is_integer:
            prefix = f"{message}. " if message else ""
            raise TypeError(f'{prefix}Expected "x" to be integer type.  Found: {x.dtype} of tensor {x.name}')
        return no_op(name="statically_determined_was_integer")


def assert_same_float_dtype(tensors: Any = None, dtype: Any = None) -> DType:
    """The one floating dtype of `tensors` and `dtype` (float32 if there are none). ValueError for several or others."""
    found = None if dtype is None else as_dtype(dtype).base_dtype
    for tensor in tensors or ():
        if tensor is None:
            continue
        kind = tensor.dtype.base_dtype
        if found is not None and kind != found:
            raise ValueError(f"Tensor type mismatch: {tensor.name} is {kind!r}, expected {found!r}")
        found = kind
    found = float32 if found is None else found
    if not found.is_floating:
        raise ValueError(f"Expected floating point type, got {found!r}.")
    return found


def assert_proper_iterable(values: Any) -> None:
    """TypeError for tensors, arrays, text, and whatever cannot be iterated over."""
    wrong = isinstance(values, (Tensor, np.ndarray, bytes, str))
    if wrong or not hasattr(values, "__iter__"):
        raise TypeError(f'Expected argument "values" to be a "proper" iterable.  Found: {type(values)}')


def is_numeric_tensor(tensor: Any) -> bool:
    """True for a tensor of numbers."""
    if not isinstance(tensor, Tensor):
        return False
    dtype = tensor.dtype.base_dtype
    return bool(dtype.is_floating or dtype.is_integer)


# --- order, finiteness ------------------------------------------------------------------------------------------------


def _rising(x: Any, name: str | None, default: str, holds: Callable[..., Tensor]) -> Tensor:
    with scope_of(name, default, x):
        x = convert_to_tensor(x, name="x")
        flat = reshape(x, [-1])
        return math.reduce_all(holds(flat[1:] - flat[:-1], convert_to_tensor(0, dtype=x.dtype.base_dtype)))


def is_non_decreasing(x: Any, name: str | None = None) -> Tensor:
    """Whether no element of `x`, read row by row, is less than the one before it: a bool scalar."""
    return _rising(x, name, "is_non_decreasing", math.greater_equal)


def is_strictly_increasing(x: Any, name: str | None = None) -> Tensor:
    """Whether every element of `x`, read row by row, is greater than the one before it: a bool scalar."""
    return _rising(x, name, "is_strictly_increasing", math.greater)


def verify_tensor_all_finite(
    t: Any = None, msg: str | None = None, name: str | None = None, x: Any = None, message: str | None = None
) -> Tensor:
    """`t`, from a run that stops with `msg` where an element is infinite or NaN."""
    value = t if x is None else x
    with scope_of(name, "VerifyFinite", value):
        tensor = convert_to_tensor(value, name="x")
        return with_dependencies([check_numerics(tensor, message=(msg or message or ""))], tensor)
