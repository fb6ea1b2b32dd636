"""Random choices that only Python makes: shuffled rows, classes drawn by their weights, candidates for sampled losses.

Each body gets `draw(counters)` before its inputs: it reserves that many counters of the op's stream of random numbers in the
session and gives the key and the first counter. The numbers are TensorFlow's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np

from ..dtypes import ALL, FLOATS, int32, int64
from ..errors import fail
from ..opdef import REQUIRED, Call, host, same
from ..philox import doubles, words
from ..shapes import Dims
from .flat import flat

Draw = Callable[[int], Any]
_OUTPUTS_PER_COUNTER = 4  # 32-bit words
_SEEDS = {"seed": 0, "seed2": 0}


def _words_of(drawn: Any) -> Iterator[int]:
    """The 32-bit words of a stream, one after the other."""
    for block in count():
        counters = np.uint64(drawn.counter) + np.arange(64 * block, 64 * (block + 1), dtype=np.uint64)
        yield from words(drawn.seeds, counters).ravel().tolist()


# --- rows in another order ------------------------------------------------------------------------------------------------


@host("RandomShuffle", "value: T -> output: T", same, effect="random", T=ALL, **_SEEDS)
def random_shuffle(call: Call, draw: Draw, value: np.ndarray) -> np.ndarray:
    """The rows of `value` in a random order."""
    size = value.shape[0] if value.ndim else 0
    if size <= 1:
        return value
    stream = _words_of(draw(-(-(size - 1) // _OUTPUTS_PER_COUNTER)))
    order = np.arange(size)
    for i in range(size - 1):
        other = i + next(stream) % (size - i)
        order[[i, other]] = order[[other, i]]
    return value[order]


# --- classes --------------------------------------------------------------------------------------------------------------


def _multinomial_shape(call: Call) -> list[Dims | None]:
    dims, samples = call.shape("logits"), call.ints("num_samples")
    if dims is not None and len(dims) != 2:
        fail(f"Shape must be rank 2 but is rank {len(dims)}", f"logits should be a matrix, got shape {list(dims)}")
    if samples is not None and isinstance(samples[0], int) and samples[0] < 0:
        fail(f"num_samples should be nonnegative, got {samples[0]}")
    return [(None if dims is None else dims[0], None if samples is None else samples[0])]


@host(
    "Multinomial",
    "logits: T, num_samples: int32 -> output: output_dtype",
    _multinomial_shape,
    effect="random",
    T=FLOATS,
    output_dtype=(int64, int32),
    **_SEEDS,
)
def multinomial(call: Call, draw: Draw, logits: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
    """`num_samples` classes for each row, drawn with probabilities in proportion to e^logits."""
    rows, samples = len(logits), int(num_samples)
    if rows and not logits.shape[1]:
        fail(f"num_classes should be positive, got {logits.shape[1]}")
    # TensorFlow reserves 256 counters for each of two words, whose number it rounds up to a multiple of 4
    drawn = draw(256 * 2 * rows * (-(-samples // 4) * 4))
    chances = doubles(drawn.seeds, drawn.counter, rows * samples).reshape(rows, samples)
    found = np.zeros((rows, samples), call.attr("output_dtype").as_numpy_dtype)
    for i, row in enumerate(logits.astype(np.float64)):
        finite = np.isfinite(row)
        weights = np.where(finite, np.exp(row - row[finite].max(initial=-np.inf)), 0.0)
        upto = np.cumsum(weights)
        found[i] = np.searchsorted(upto, chances[i] * upto[-1], side="right")
    return found


# --- candidates -----------------------------------------------------------------------------------------------------------


def _candidates_shape(call: Call) -> list[Dims | None]:
    classes, wanted = call.shape("true_classes"), call.attr("num_sampled")
    if call.attr("unique") and wanted > call.attr("range_max"):
        fail(f"Sampler's range is too small: {wanted} different candidates of {call.attr('range_max')}")
    batch = None if classes is None else classes[0]
    return [(wanted,), (batch, call.attr("num_true")), (wanted,)]


def _sampler(type_name: str) -> Any:
    return host(
        type_name,
        "true_classes: int64 -> sampled_candidates: int64, true_expected_count: float32, sampled_expected_count: float32",
        _candidates_shape,
        effect="random",
        num_true=REQUIRED,
        num_sampled=REQUIRED,
        unique=REQUIRED,
        range_max=REQUIRED,
        **_SEEDS,
    )


def _sampled(
    call: Call,
    draw: Draw,
    classes: np.ndarray,
    pick: Callable[[Iterator[int]], int],
    chance: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The candidates, and how often the true classes and the candidates are expected among them."""
    wanted = call.attr("num_sampled")
    stream = _words_of(draw(2048 * wanted // _OUTPUTS_PER_COUNTER))
    tries = 0
    candidates: list[int] = []
    seen: set[int] = set()
    while len(candidates) < wanted:
        value = pick(stream)
        tries += 1
        if not call.attr("unique") or value not in seen:
            seen.add(value)
            candidates.append(value)
    found = np.array(candidates, np.int64)

    def expected(values: np.ndarray) -> np.ndarray:
        share = chance(values.astype(np.float64)).astype(np.float32)
        if tries == wanted:
            return share * np.float32(wanted)
        return -np.expm1(np.float32(tries) * np.log1p(-share))

    return found, expected(classes), expected(found)


def _double(stream: Iterator[int]) -> float:
    """A number from [0, 1): the low 20 bits of one word above all bits of the next."""
    high, low = next(stream), next(stream)
    return ((high & 0xFFFFF) << 32 | low) / 2.0**52


@_sampler("LogUniformCandidateSampler")
def log_uniform_candidate_sampler(call: Call, draw: Draw, true_classes: np.ndarray) -> Any:
    """Classes drawn with probability log((class + 2) / (class + 1)) / log(range_max + 1)."""
    limit = call.attr("range_max")
    log_range = math.log1p(limit)

    def pick(stream: Iterator[int]) -> int:
        return (int(math.exp(_double(stream) * log_range)) - 1) % limit

    return _sampled(call, draw, true_classes, pick, lambda values: np.log((values + 2.0) / (values + 1.0)) / log_range)


@_sampler("UniformCandidateSampler")
def uniform_candidate_sampler(call: Call, draw: Draw, true_classes: np.ndarray) -> Any:
    """Classes that are all equally probable."""
    limit = call.attr("range_max")
    rejected = 2**64 % limit  # numbers below are left out, so that the remainders of the others are equally frequent

    def pick(stream: Iterator[int]) -> int:
        while True:
            number = next(stream) | next(stream) << 32
            if number >= rejected:
                return number % limit

    return _sampled(call, draw, true_classes, pick, lambda values: np.full(values.shape, 1.0 / limit))


flat(multinomial, log_uniform_candidate_sampler, uniform_candidate_sampler)
