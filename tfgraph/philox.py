"""TensorFlow's random numbers in NumPy: the same bits for the same seeds, op and run.

The generator is Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): a keyed
bijection that turns a 128-bit counter into four random 32-bit words. TensorFlow's attribute `seed` is the
key, `seed2` the upper half of the counter; the lower half moves on with every run of the op.

Element i of an output depends on (seeds, counter, i) only, so any part of an output can be made alone, in
any order, by any number of threads. After a run the op's counter moves on by `reserved(...)`; a new session
starts it at 0.

`templates/c/philox.h.j2` is the same in C.
"""

from __future__ import annotations

import ctypes
import math
import secrets
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

DEFAULT_GRAPH_SEED = 87654321
COUNTERS_PER_OUTPUT = 256  # far more than the rejection loop of a truncated normal ever needs

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORDS = 4  # 32-bit words per counter
_MASK_32 = 0xFFFFFFFF
_MASK_64 = 0xFFFFFFFFFFFFFFFF
_LARGEST_INT_32 = 2**31 - 1

_SMALLEST_UNIFORM = 1e-7  # Box-Muller takes no logarithm of anything below
_TRUNCATION = 2.0  # standard deviations


class Seeds(NamedTuple):
    """The key of one random op: its attributes `seed` and `seed2` as unsigned 64-bit numbers."""

    seed: int
    seed2: int


def seeds_of(seed: int, seed2: int) -> Seeds:
    """The key for the attributes (seed, seed2); (0, 0) means "not repeatable" and draws a fresh key."""
    if seed == 0 and seed2 == 0:
        return Seeds(secrets.randbits(64), secrets.randbits(64))
    return Seeds(seed & _MASK_64, seed2 & _MASK_64)


def get_seed(graph_seed: int | None, op_seed: int | None, fallback_op_seed: int) -> tuple[int | None, int | None]:
    """The attributes (seed, seed2) of a new op, or (None, None) if neither seed is set (write (0, 0) then).

    `fallback_op_seed` serves as the op's seed where only the graph's is set. `tf.compat.v1` of TensorFlow 2
    counts these cases, per graph and from 0, and so does this project; TensorFlow 1 took the number of ops
    made in the graph so far. Both give the same numbers each time a script builds the same graph.
    """
    if graph_seed is None and op_seed is None:
        return None, None
    seed = DEFAULT_GRAPH_SEED if graph_seed is None else graph_seed % _LARGEST_INT_32
    seed2 = (fallback_op_seed if op_seed is None else op_seed) % _LARGEST_INT_32
    if seed == 0 and seed2 == 0:  # would mean "not repeatable"
        return 0, _LARGEST_INT_32
    return seed, seed2


def reserved(op_type: str, dtype: npt.DTypeLike, size: int) -> int:
    """How many counters one run of the op uses up for `size` outputs: 256 * size, whatever op and dtype."""
    _sampler(op_type, np.dtype(dtype))
    return COUNTERS_PER_OUTPUT * size


def words(seeds: Seeds, counters: Array) -> Array:
    """Philox 4x32-10 of each counter: uint64[n] -> uint32[n, 4]."""
    mask, half = np.uint64(_MASK_32), np.uint64(32)
    key = [seeds.seed & _MASK_32, seeds.seed >> 32]
    a, b = counters & mask, counters >> half
    c, d = np.full_like(a, seeds.seed2 & _MASK_32), np.full_like(a, seeds.seed2 >> 32)
    for _ in range(_ROUNDS):
        first, second = a * np.uint64(_MULTIPLIERS[0]), c * np.uint64(_MULTIPLIERS[1])
        a, b = (second >> half) ^ b ^ np.uint64(key[0]), second & mask
        c, d = (first >> half) ^ d ^ np.uint64(key[1]), first & mask
        key = [(part + step) & _MASK_32 for part, step in zip(key, _KEY_STEPS, strict=True)]
    return np.stack([a, b, c, d], axis=-1).astype(np.uint32)


def _consecutive_words(seeds: Seeds, counter: int, size: int, words_per_output: int) -> Array:
    """The words for `size` outputs from `counter` on: uint32[at least size * words_per_output]."""
    blocks = -(-size * words_per_output // _WORDS)
    return words(seeds, np.uint64(counter & _MASK_64) + np.arange(blocks, dtype=np.uint64)).ravel()


def _unit_interval(bits: Array, dtype: np.dtype[Any]) -> Array:
    """Words to floats in [0, 1): the bits fill the mantissa of a number in [1, 2), then 1 is subtracted.

    float32 takes the low 23 bits of one word, float64 the low 20 bits of one word above all bits of the next.
    """
    if dtype == np.float32:
        return ((bits & np.uint32(0x7FFFFF)) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)
    high, low = bits[0::2].astype(np.uint64), bits[1::2].astype(np.uint64)
    mantissa = ((high & np.uint64(0xFFFFF)) << np.uint64(32)) | low
    one_to_two: Array = (mantissa | np.uint64(0x3FF << 52)).view(np.float64)
    return one_to_two - 1.0


def doubles(seeds: Seeds, counter: int, size: int) -> Array:
    """float64[size] in [0, 1), as ops draw them that pick something by chance."""
    return uniform(seeds, counter, size, np.float64)


def uniform(seeds: Seeds, counter: int, size: int, dtype: npt.DTypeLike = np.float32) -> Array:
    """RandomUniform: floats[size] in [0, 1)."""
    dtype = np.dtype(dtype)
    return _unit_interval(_consecutive_words(seeds, counter, size, dtype.itemsize // 4), dtype)[:size]


def uniform_int(seeds: Seeds, counter: int, size: int, dtype: npt.DTypeLike, minval: int, maxval: int) -> Array:
    """RandomUniformInt: integers[size] in [minval, maxval), a word (int64: two) modulo the range's width.

    Raises ValueError if the range is empty.
    """
    if minval >= maxval:
        raise ValueError(f"Need minval < maxval, got {minval} >= {maxval}")
    dtype = np.dtype(dtype)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    bits = _consecutive_words(seeds, counter, size, dtype.itemsize // 4)
    if unsigned == np.uint64:
        bits = bits[0::2].astype(np.uint64) | (bits[1::2].astype(np.uint64) << np.uint64(32))
    remainder = bits[:size] % unsigned.type(maxval - minval)
    first = unsigned.type(minval % 2 ** (8 * dtype.itemsize))
    outputs: Array = (remainder + first).view(dtype)  # wraps as two's complement does, so every range fits
    return outputs


def standard_normal(seeds: Seeds, counter: int, size: int, dtype: npt.DTypeLike = np.float32) -> Array:
    """RandomStandardNormal: floats[size] of mean 0 and standard deviation 1."""
    dtype = np.dtype(dtype)
    even_size = size + size % 2  # Box-Muller makes pairs
    return _box_muller(_consecutive_words(seeds, counter, even_size, dtype.itemsize // 4), dtype)[:size]


def truncated_normal(seeds: Seeds, counter: int, size: int, dtype: npt.DTypeLike = np.float32) -> Array:
    """TruncatedNormal: floats[size], normal but redrawn outside (-2, 2).

    Outputs come in groups of one block of words. Each group has its own stretch of counters and reads on in
    it until it is full, so a rejection moves no other group.
    """
    dtype = np.dtype(dtype)
    group_size = _WORDS * 4 // dtype.itemsize
    group_count = -(-size // group_size)
    stride = COUNTERS_PER_OUTPUT * group_size // _WORDS
    outputs = np.empty((group_count, group_size), dtype)
    filled = np.zeros(group_count, np.int64)
    open_groups = np.arange(group_count)
    block = 0
    while open_groups.size:
        start = np.uint64((counter + block) & _MASK_64)
        bits = words(seeds, start + open_groups.astype(np.uint64) * np.uint64(stride))
        candidates = _box_muller(bits.ravel(), dtype).reshape(-1, group_size)
        for column in candidates.T:
            kept = (np.abs(column) < _TRUNCATION) & (filled[open_groups] < group_size)
            rows = open_groups[kept]
            outputs[rows, filled[rows]] = column[kept]
            filled[rows] += 1
        open_groups = open_groups[filled[open_groups] < group_size]
        block += 1
    return outputs.ravel()[:size]


def _box_muller(bits: Array, dtype: np.dtype[Any]) -> Array:
    """Pairs of normal numbers r * sin(t), r * cos(t) from pairs of uniform ones."""
    uniforms = _unit_interval(bits, dtype)
    first = np.maximum(uniforms[0::2], dtype.type(_SMALLEST_UNIFORM))
    angle = (2.0 * math.pi * uniforms[1::2].astype(np.float64)).astype(dtype)
    radius = np.sqrt(dtype.type(-2) * _libm("log", first))
    return np.stack([_libm("sin", angle) * radius, _libm("cos", angle) * radius], axis=-1).ravel()


def _libm(name: str, values: Array) -> Array:
    """A function of the C library, element by element: NumPy's own differ from it in the last bits."""
    scalar: Callable[[float], float] = getattr(math, name)
    if values.dtype == np.float32:
        scalar = _single_precision(name) or scalar
    return np.fromiter(map(scalar, values.tolist()), values.dtype, values.size)


@cache
def _single_precision(name: str) -> Callable[[float], float] | None:
    """logf, sinf or cosf of the C library; None where it cannot be found (the last bit may differ then)."""
    for library in (None, "libm.so.6", "libm.dylib", "ucrtbase"):
        try:
            function = getattr(ctypes.CDLL(library), name + "f")
        except (OSError, AttributeError, TypeError):  # TypeError: Windows has no library "of the process"
            continue
        function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
        return function  # type: ignore[no-any-return]
    return None


_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_INTEGERS = (np.dtype(np.int32), np.dtype(np.int64))

SAMPLERS: dict[str, tuple[Callable[..., Array], tuple[np.dtype[Any], ...]]] = {
    "RandomUniform": (uniform, _FLOATS),
    "RandomUniformInt": (uniform_int, _INTEGERS),
    "RandomStandardNormal": (standard_normal, _FLOATS),
    "TruncatedNormal": (truncated_normal, _FLOATS),
}


def _sampler(op_type: str, dtype: np.dtype[Any]) -> Callable[..., Array]:
    """The function behind a TensorFlow op; TypeError for a dtype it does not make."""
    function, dtypes = SAMPLERS[op_type]
    if dtype not in dtypes:
        raise TypeError(f"{op_type} makes {', '.join(map(str, dtypes))}, not {dtype}")
    return function


def sample(op_type: str, seeds: Seeds, counter: int, size: int, dtype: npt.DTypeLike, *bounds: int) -> Array:
    """The outputs[size] of a TensorFlow op at `counter`; `bounds` is (minval, maxval) of RandomUniformInt."""
    dtype = np.dtype(dtype)
    return _sampler(op_type, dtype)(seeds, counter, size, dtype, *bounds)
