"""Ops that hand their input on: Identity, gradient stops, checks; and the placeholders, where a run's feeds enter."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ..dtypes import ALL, FLOATS
from ..errors import fail
from ..opdef import Call, composite, primitive, same
from ..shapes import Dims, TensorShape, merge_dims, show
from .flat import flat


def _placeholder_shape(call: Call) -> list[Dims | None]:
    return [call.attr("shape").sizes]


@primitive(
    "Placeholder", "-> output: dtype", "placeholder", _placeholder_shape, effect="feed", shape=TensorShape(None), dtype=ALL
)
def placeholder(call: Call) -> NoReturn:
    """A tensor that each run must feed."""
    fail("A placeholder has no value before a run", "You must feed a value for placeholder tensor")


def _default_shape(call: Call) -> list[Dims | None]:
    wanted = call.attr("shape").sizes
    merge_dims(call.shape("input"), wanted)
    return [wanted]


@composite(
    "PlaceholderWithDefault",
    "input: dtype -> output: dtype",
    _default_shape,
    effect="feed",
    shape=TensorShape(None),
    dtype=ALL,
)
def placeholder_with_default(call: Call, value: Any) -> Any:
    """`input`, unless the run feeds something else."""
    return value


@placeholder_with_default.gradient
def _placeholder_with_default_gradient(op: Any, dy: Any) -> Any:
    return dy


@composite("Identity", "input: T -> output: T", same, T=ALL)
def identity(call: Call, value: Any) -> Any:
    """The input's value at this point of the run."""
    return value


@identity.gradient
def _identity_gradient(op: Any, dy: Any) -> Any:
    return dy


@composite("StopGradient", "input: T -> output: T", same, T=ALL)
def stop_gradient(call: Call, value: Any) -> Any:
    """The input, through which no gradient flows."""
    return value


@composite("PreventGradient", "input: T -> output: T", same, T=ALL, message="")
def prevent_gradient(call: Call, value: Any) -> Any:
    """The input; asking for a gradient through it is an error."""
    return value


@prevent_gradient.gradient
def _prevent_gradient_gradient(op: Any, dy: Any) -> NoReturn:
    raise LookupError(f"Gradient explicitly disabled. Reason: {op.attr('message')}")


def _ensured_shape(call: Call) -> list[Dims | None]:
    wanted, found = call.attr("shape").sizes, call.shape("input")
    run = f"Shape of tensor input {show(found)} is not compatible with expected shape {show(wanted)}."
    return [merge_dims(found, wanted, run)]


@composite("EnsureShape", "input: T -> output: T", _ensured_shape, shape=TensorShape(None), T=ALL)
def ensure_shape(call: Call, value: Any) -> Any:
    """The input, whose shape must be compatible with the attribute `shape`."""
    return value


@ensure_shape.gradient
def _ensure_shape_gradient(op: Any, dy: Any) -> Any:
    return dy


@primitive("CheckNumerics", "tensor: T -> output: T", "check_numerics", same, effect="check", T=FLOATS, message="")
def check_numerics(call: Call, value: np.ndarray) -> np.ndarray:
    """The input, which must hold neither NaN nor Inf."""
    found = [name for name, test in (("Inf", np.isinf), ("NaN", np.isnan)) if test(value).any()]
    if found:
        fail(f"{call.attr('message')} : Tensor had {' and '.join(found)} values")
    return value


@check_numerics.gradient
def _check_numerics_gradient(op: Any, dy: Any) -> Any:
    text = "Not a number (NaN) or infinity (Inf) values detected in gradient."
    return check_numerics(dy, message=f"{text} Reason: {op.attr('message')}")


flat(placeholder, stop_gradient)
