"""Random numbers: ops whose results are functions of (seed, seed2, how often the op has run in its session).

A session counts the runs and makes the numbers (`tfgraph.philox`), so these ops have no value by themselves.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ..dtypes import FLOATS, int32, int64
from ..errors import fail
from ..opdef import Call, OpDef, primitive
from ..shapes import Dims, merge_dims, show
from .flat import flat

_INDEX = (int32, int64)


def _shape(call: Call) -> list[Dims | None]:
    """The shape that the static argument `shape` holds; only its rank if that is all that is known."""
    holder = call.shape("shape")
    if holder is not None and len(holder) != 1:
        run = f"shape must be a vector of {{int32,int64}}, got shape {show(holder)}"
        fail(f"Shape must be rank 1 but is rank {len(holder)}", run)
    sizes = call.ints("shape") if holder is None or holder != (0,) else ()
    if sizes is None:
        return [None if holder is None or not isinstance(holder[0], int) else (None,) * holder[0]]
    for size in sizes:
        if isinstance(size, int) and size < 0:
            fail(f"Dimension {size} must be >= 0")
    return [sizes]


def _shape_and_bounds(call: Call) -> list[Dims | None]:
    for name in ("minval", "maxval"):
        dims = call.shape(name)
        merge_dims(dims, (), None if dims is None else f"{name} must be 0-D, got shape {show(dims)}")
    return _shape(call)


def _random(type_name: str) -> Any:
    return primitive(
        type_name, "shape: T -> output: dtype", "random", _shape,
        static=("shape",), effect="random", seed=0, seed2=0, dtype=FLOATS, T=_INDEX,
    )  # fmt: skip


def _held_by_session(call: Call) -> NoReturn:
    raise LookupError(f"the numbers of {call.op.type} depend on how often a session has run it")


@_random("RandomUniform")
def random_uniform(call: Call, shape: np.ndarray) -> NoReturn:
    """Numbers from [0, 1)."""
    _held_by_session(call)


@primitive(
    "RandomUniformInt",
    "shape: T, minval: Tout, maxval: Tout -> output: Tout",
    "random",
    _shape_and_bounds,
    static=("shape",),
    effect="random",
    seed=0,
    seed2=0,
    Tout=_INDEX,
    T=_INDEX,
)
def random_uniform_int(call: Call, shape: np.ndarray, minval: np.ndarray, maxval: np.ndarray) -> NoReturn:
    """Integers from [minval, maxval)."""
    _held_by_session(call)


@_random("RandomStandardNormal")
def random_standard_normal(call: Call, shape: np.ndarray) -> NoReturn:
    """Normal numbers of mean 0 and standard deviation 1."""
    _held_by_session(call)


@_random("TruncatedNormal")
def truncated_normal(call: Call, shape: np.ndarray) -> NoReturn:
    """Normal numbers of mean 0 and standard deviation 1, drawn again outside (-2, 2)."""
    _held_by_session(call)


RANDOM_OPS: tuple[OpDef, ...] = (random_uniform, random_uniform_int, random_standard_normal, truncated_normal)
flat(*RANDOM_OPS)
