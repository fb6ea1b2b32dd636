"""Which rows go into which step: index arrays of at most `size` rows, the last one ragged."""

from collections.abc import Iterator

import numpy as np


def batch_count(rows: int, size: int) -> int:
    """How many batches `rows` rows make."""
    return -(-rows // size)


def in_order(rows: int, size: int) -> Iterator[slice]:
    """Every row once, in order."""
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def shuffled(rows: int, size: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Every row once, in a random order."""
    order = random.permutation(rows)
    for batch in in_order(rows, size):
        yield order[batch]


def split(rows: int, held_out: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows held out: the same two sets for the same `seed`, neither empty if rows >= 2."""
    order = np.random.default_rng(seed).permutation(rows)
    kept_back = min(max(round(rows * held_out), 1), rows - 1)
    return np.sort(order[kept_back:]), np.sort(order[:kept_back])
