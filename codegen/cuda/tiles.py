"""Block tiles of products on a GPU: how much of the output a block makes, and how many blocks share one sum.

A model chooses, in cycles of an H100's 132 multiprocessors: a step of a block takes what its multiplications or its
loads take, and never less than memory's latency; blocks that are on a multiprocessor together hide each other's. The
constants come from the data sheet and await measurement; they decide speed alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ...shapes import Batch

MULTIPROCESSORS = 132
MULTIPLICATIONS = 128  # of one multiprocessor in a cycle; tensor cores: more, which the loads then hide
LOADED_BYTES = 48  # by one multiprocessor in a cycle, from the second-level cache
LATENCY = 500  # cycles from a load to the step that uses it
THREADS_TOGETHER = 1024  # on one multiprocessor, with the registers that these kernels take
STEPS_TO_BEGIN = 4  # steps' worth of time before and after a block's sums
TOTAL_CYCLES = 3000  # a second kernel, which adds shares
FULL_REUSE = 4.0  # multiplications per number from shared memory that keep the multipliers busy

NOMINAL_BATCH = 64  # the N that the choice is made for; every N runs
LEAST_STEPS = 4  # of a share of the depth
MOST_SPLITS = 64
MOST_SCRATCH = 64 << 20  # bytes of partial sums, for the nominal batch
SHARED_BYTES = 48 << 10  # that a kernel may have without asking


@dataclass(frozen=True)
class Tile:
    """`rows` x `columns` of the output for a block, `depth` steps at a time; each thread has a part of the sums."""

    rows: int
    columns: int
    depth: int
    thread_rows: int
    thread_columns: int

    @property
    def threads_across(self) -> int:
        return self.columns // self.thread_columns

    @property
    def threads(self) -> int:
        return self.rows // self.thread_rows * self.threads_across

    def shared_bytes(self, item: int) -> int:
        """Both halves of the tile, with up to 8 elements behind each row."""
        return 2 * self.depth * (self.rows + self.columns + 16) * item

    @property
    def reuse(self) -> float:
        """Multiplications per number that a thread reads from shared memory."""
        return self.thread_rows * self.thread_columns / (self.thread_rows + self.thread_columns)


# ptxas for sm_80, registers of a thread in products and convolutions (in brackets: pictures of 3 channels, whose numbers are
# loaded one by one): 128 x 128: 136-141 (161), which leaves room for one block on a multiprocessor; 128 x 64 and 64 x 128:
# 96-103 (122); 64 x 64: 75-77 (86); 128 x 32 and 32 x 128: 105-119 (155); the others 83-103 (137). No spills on sm_80 and
# sm_90, tf32 and bf16 included. Whether two blocks of 128 x 128 with fewer registers are faster awaits measurement.
TILES = (
    Tile(128, 128, 16, 8, 8),
    Tile(128, 64, 16, 8, 4),
    Tile(64, 128, 16, 4, 8),
    Tile(64, 64, 16, 4, 4),
    Tile(128, 32, 16, 8, 4),
    Tile(32, 128, 16, 4, 8),
    Tile(64, 32, 16, 4, 4),
    Tile(32, 64, 16, 4, 4),
    Tile(128, 16, 16, 4, 4),
    Tile(16, 128, 16, 4, 4),
    Tile(128, 8, 16, 4, 2),
    Tile(8, 128, 16, 2, 4),
)

TENSOR_TILES = tuple(tile for tile in TILES if tile.rows % 32 == 0 and tile.columns % 32 == 0 and tile.threads >= 128)
"""Those whose warps can share the output in parts of whole 16 x 8 products."""


@dataclass(frozen=True)
class Choice:
    """A tile and how many blocks make shares of the same sums."""

    tile: Tile
    splits: int


def choose(
    rows: Any, columns: Any, depth: Any, products: Any = 1, item: int = 4, tensor: bool = False, can_split: bool = True
) -> Choice:
    """The fastest tile and number of shares for a product of these sizes (ints or Batch), by the model."""
    m, n, k, count = (max(1, _nominal(d)) for d in (rows, columns, depth, products))
    tiles = [tile for tile in (TENSOR_TILES if tensor else TILES) if tile.shared_bytes(item) <= SHARED_BYTES]
    choices = [Choice(t, splits) for t in tiles for splits in (_splits(m, n, k, count, t, item) if can_split else [1])]
    return min(choices, key=lambda c: (_time(m, n, k, count, c), c.splits))


def _nominal(dim: Any) -> int:
    return dim.per * NOMINAL_BATCH if isinstance(dim, Batch) else int(dim)


def _splits(m: int, n: int, k: int, count: int, tile: Tile, item: int) -> list[int]:
    most = min(MOST_SPLITS, k // (LEAST_STEPS * tile.depth), MOST_SCRATCH // (m * n * count * item))
    return [splits for splits in (1, 2, 4, 8, 16, 32, 64) if splits == 1 or splits <= most]


def _time(m: int, n: int, k: int, count: int, choice: Choice) -> float:
    """Cycles."""
    tile = choice.tile
    blocks = math.ceil(m / tile.rows) * math.ceil(n / tile.columns) * count * choice.splits
    steps = math.ceil(k / choice.splits / tile.depth) + STEPS_TO_BEGIN
    multiplied = tile.rows * tile.columns * tile.depth / MULTIPLICATIONS / min(1.0, tile.reuse / FULL_REUSE)
    loaded = (tile.rows + tile.columns) * tile.depth * 4 / LOADED_BYTES
    step = max(multiplied, loaded) + loaded / 4  # the issue of loads and of what is kept goes on top
    together = math.ceil(blocks / MULTIPROCESSORS)
    rounds = math.ceil(together * tile.threads / THREADS_TOGETHER)
    total = TOTAL_CYCLES + m * n * count * choice.splits * 8 / LOADED_BYTES / MULTIPROCESSORS if choice.splits > 1 else 0
    return max(rounds * steps * max(LATENCY, step), together * steps * step) + total
