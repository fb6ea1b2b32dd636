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
LATENCY = 500  # cycles from a copy's beginning to its end
THREADS_TOGETHER = 1024  # on one multiprocessor, with the registers that these kernels take
STEPS_TO_BEGIN = 4  # steps' worth of time before and after a block's sums
TOTAL_CYCLES = 3000  # a second kernel, which adds shares
FULL_REUSE = 4.0  # multiplications per number from shared memory that keep the multipliers busy

NOMINAL_BATCH = 64  # the N that the choice is made for; every N runs
LEAST_STEPS = 4  # of a share of the depth
MOST_SPLITS = 64
MOST_SCRATCH = 64 << 20  # bytes of partial sums, for the nominal batch
SHARED_BYTES = 48 << 10  # that a kernel may have without asking
MOST_STAGES = 3  # two steps on the way to shared memory while a third one is multiplied: more than memory's latency


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
        """At most, for two stages."""
        return 2 * (self.rows + self.columns) * (self.depth + 8) * item

    @property
    def reuse(self) -> float:
        """Multiplications per number that a thread reads from shared memory."""
        return self.thread_rows * self.thread_columns / (self.thread_rows + self.thread_columns)


# ptxas for sm_80, registers of a thread in products and convolutions of float32 (in brackets: pictures whose channels no
# vector divides, which are copied number by number): 128 x 128: 119-168, the gradient of pictures 222; 128 x 64, 64 x 128:
# 89-128 (138); 64 x 64, 64 x 32, 32 x 64: 70-96 (114); 128 x 32, 32 x 128: 87-128 (164); the others 72-114 (142). tf32 and
# bf16: 68-128 (158), so that two blocks of 128 x 128 are on a multiprocessor together. No spills on sm_80 and sm_90.
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
    step = max(multiplied, loaded) + loaded / 4  # the issue of the copies goes on top
    together = math.ceil(blocks / MULTIPROCESSORS)
    rounds = math.ceil(together * tile.threads / THREADS_TOGETHER)
    total = TOTAL_CYCLES + m * n * count * choice.splits * 8 / LOADED_BYTES / MULTIPROCESSORS if choice.splits > 1 else 0
    return max(rounds * steps * max(LATENCY, step), together * steps * step) + total


# --- pictures of few channels: a kernel of its own, whose time is that of memory -----------------------------------

STRIP_THREADS = 256
STRIP_SIZES = (8, 4)  # pixels side by side whose sums a thread has: vectors of 4 numbers begin at each strip's first
MOST_SEEN = 48  # numbers of a picture's row that a thread holds for its strip
MOST_HELD = 104  # numbers that a thread holds in all, of 128 registers
MOST_STRIP_BYTES = 40 << 10  # of shared memory
STRIP_BLOCKS = 3  # blocks that are on a multiprocessor together
STAGING = 16  # cycles in which a block copies one number for each of its threads


@dataclass(frozen=True)
class Strips:
    """A block's output pixels: `across` x `down` strips of `size` pixels side by side and `rows` rows."""

    size: int
    rows: int
    across: int
    down: int

    @property
    def width(self) -> int:
        return self.across * self.size

    @property
    def height(self) -> int:
        return self.down * self.rows


def choose_strips(spec: Any, lanes: int, rows: int, held: int, staged: Any, kept_bytes: int) -> Strips | None:
    """The fastest strips for a convolution of few channels (a Conv2DSpec), None if a thread cannot hold what one sees.

    A strip belongs to `lanes` threads, one for each channel of the output, each of which holds `held` numbers beside those
    of its pixels; `staged` gives the numbers in shared memory for some strips, beside `kept_bytes`.
    """
    found = [
        Strips(size, rows, across, down)
        for size in STRIP_SIZES
        if seen_by_strip(spec, size) <= min(MOST_SEEN, MOST_HELD - held - rows * size)
        for across in sorted({-(-spec.out_w // (size * parts)) for parts in (1, 2, 3, 4, 6, 8, 12, 16)})
        for down in sorted({-(-spec.out_h // (rows * parts)) for parts in (1, 2, 3, 4, 6, 8, 12, 16, 32)})
    ]
    fits = [s for s in found if staged(s) * 4 + kept_bytes <= MOST_STRIP_BYTES]
    return min(fits, key=lambda s: _strips_time(spec, lanes, s, staged(s) + kept_bytes // 4), default=None)


def seen_by_strip(spec: Any, size: int) -> int:
    """Numbers of a row of the picture that a strip sees, in whole vectors."""
    pixels = (size - 1) * spec.stride_w + (spec.filter_w - 1) * spec.dilation_w + 1
    return -(-pixels * spec.in_c // 4) * 4


def _strips_time(spec: Any, lanes: int, strips: Strips, staged: int) -> float:
    """Cycles for a picture, or more where there are too few blocks."""
    blocks = math.ceil(spec.out_w / strips.width) * math.ceil(spec.out_h / strips.height)
    rounds = math.ceil(strips.across * strips.down / (STRIP_THREADS // lanes))
    sums = strips.rows * strips.size * STRIP_THREADS
    work = rounds * sums * max(spec.filter_h * spec.filter_w * spec.in_c / MULTIPLICATIONS, 4 / LOADED_BYTES)
    time = blocks * (work + staged / STRIP_THREADS * STAGING + LATENCY / STRIP_BLOCKS)
    return time * max(1.0, MULTIPROCESSORS * STRIP_BLOCKS / (blocks * NOMINAL_BATCH))
