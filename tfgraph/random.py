"""Random tensors with TensorFlow's numbers: `tf.random_uniform`, `tf.random_normal`, ..., `tf.set_random_seed`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from . import philox
from .aliases.names import missing_from
from .convert import convert_to_tensor
from .dtypes import FLOATS, as_dtype, float32, int32, int64
from .graph import get_default_graph
from .naming import scope_of
from .opdef import OpDef
from .ops import random as random_ops
from .ops.math import add, mul
from .tensor import Tensor

__all__ = ["get_seed", "random_normal", "random_uniform", "set_random_seed", "truncated_normal"]


def set_random_seed(seed: int | None) -> None:
    """Set the seed of the default graph; the random ops made from now on repeat their numbers from run to run."""
    get_default_graph().seed = seed


def get_seed(op_seed: int | None) -> tuple[int | None, int | None]:
    """The pair (graph seed, op seed) of a random op made now; (None, None) if nothing is to repeat.

    Where only the graph's seed is set, the ops without one of their own are counted, from 0.
    """
    graph = get_default_graph()
    count = graph.seeds_given
    if graph.seed is not None and op_seed is None:
        graph.seeds_given += 1
    return philox.get_seed(graph.seed, op_seed, count)


def seed_attributes(op_seed: int | None) -> dict[str, Any]:
    """`get_seed` as the attributes of a node."""
    seed, seed2 = get_seed(op_seed)
    return {"seed": seed or 0, "seed2": seed2 or 0}


def _shape_tensor(shape: Any) -> Tensor:
    plain = (
        isinstance(shape, Sequence)
        and not isinstance(shape, str)
        and all(isinstance(size, int) for size in shape)
    )
    return convert_to_tensor(shape, dtype=int32 if plain else None, name="shape")


def random_uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Numbers from [minval, maxval), by default [0, 1). ValueError for integers without `maxval`, or another dtype."""
    dtype = as_dtype(dtype)
    if dtype not in (*FLOATS, int32, int64):
        raise ValueError(f"Invalid dtype {dtype!r}")
    if maxval is None:
        if dtype.is_integer:
            raise ValueError(f"Must specify maxval for integer dtype {dtype!r}")
        maxval = 1
    with scope_of(name, "random_uniform", shape, minval, maxval) as scope:
        shape = _shape_tensor(shape)
        from_zero = isinstance(minval, int) and minval == 0
        to_one = isinstance(maxval, int) and maxval == 1
        if not (from_zero and to_one) or dtype.is_integer:
            minval = convert_to_tensor(minval, dtype=dtype, name="min")
            maxval = convert_to_tensor(maxval, dtype=dtype, name="max")
        seeds = seed_attributes(seed)
        if dtype.is_integer:
            return random_ops.random_uniform_int(shape, minval, maxval, name=scope, **seeds)
        unit = random_ops.random_uniform(shape, dtype=dtype, **seeds)
        if from_zero:
            return unit if to_one else mul(unit, maxval)
        return add(unit * (maxval - minval), minval, name=scope)


def _normal(public_name: str, op: OpDef, meaning: str) -> Callable[..., Tensor]:
    """The public function of a normal distribution; `op` draws from the one of mean 0 and deviation 1."""

    def function(
        shape: Any,
        mean: Any = 0.0,
        stddev: Any = 1.0,
        dtype: Any = float32,
        seed: int | None = None,
        name: str | None = None,
    ) -> Tensor:
        dtype = as_dtype(dtype)
        with scope_of(name, public_name, shape, mean, stddev) as scope:
            shape = _shape_tensor(shape)
            mean = convert_to_tensor(mean, dtype=dtype, name="mean")
            stddev = convert_to_tensor(stddev, dtype=dtype, name="stddev")
            standard = op(shape, dtype=dtype, **seed_attributes(seed))
            return add(mul(standard, stddev, name="mul"), mean, name=scope)

    function.__name__ = function.__qualname__ = public_name
    function.__doc__ = f"{meaning}; `mean` and `stddev` may be tensors and broadcast against `shape`."
    return function


random_normal = _normal("random_normal", random_ops.random_standard_normal, "Normal numbers")
truncated_normal = _normal(
    "truncated_normal",
    random_ops.truncated_normal,
    "Normal numbers, drawn again where they are 2 or more `stddev` away from `mean`",
)

# the names that `tf.random` has for them, and for what few scripts use
normal, uniform = random_normal, random_uniform
_ELSEWHERE = {
    "categorical": ("choices", "categorical"),
    "log_uniform_candidate_sampler": ("sampled_losses", "log_uniform_candidate_sampler"),
    "multinomial": ("choices", "multinomial"),
    "shuffle": ("choices", "random_shuffle"),
    "uniform_candidate_sampler": ("sampled_losses", "uniform_candidate_sampler"),
}
_missing = missing_from(__name__, [*__all__, "normal", "uniform", *_ELSEWHERE])


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        return _missing(name)
    module, function = _ELSEWHERE[name]
    return getattr(import_module(f".{module}", __package__), function)
