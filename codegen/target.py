"""The machine that code is generated for: its vectors and registers, and which tile of sums runs fastest on it."""

from __future__ import annotations

import functools
import math
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..shapes import Batch

NOMINAL_BATCH = 128
"""The batch size that tiles and blocks are chosen for; every other one gives the same numbers, perhaps slower."""


def nominal(size: Any) -> int:
    """A size as planning sees it."""
    return size.per * NOMINAL_BATCH if isinstance(size, Batch) else int(size)


@dataclass(frozen=True)
class Target:
    """An instruction set as the kernels see it: bytes of one vector, number of vector registers."""

    name: str
    vector_bytes: int
    registers: int

    def lanes(self, element_bytes: int) -> int:
        return self.vector_bytes // element_bytes


TARGETS = {
    target.name: target
    for target in (
        Target("avx512", 64, 32),
        Target("avx2", 32, 16),
        Target("sse2", 16, 16),
        Target("neon", 16, 32),
        Target("neon32", 16, 16),  # 32-bit ARM
        Target("rv64", 16, 8),  # no vectors: four of the 32 scalar registers stand for one
        Target("simd128", 16, 16),  # WebAssembly, with the registers of the machines that run it
    )
}

CUDA = Target("cuda", 64, 32)
"""Stands for a GPU where passes ask what kernels take: its kernels have tiles of their own (codegen/cuda)."""

_chosen: ContextVar[Target | None] = ContextVar("_chosen", default=None)


@contextmanager
def writing_for(name: str) -> Iterator[Target]:
    """Within this context kernels are written for the target `name`, whatever the machine and $TFGRAPH_TARGET."""
    target = CUDA if name == CUDA.name else TARGETS[name]
    token = _chosen.set(target)
    try:
        yield target
    finally:
        _chosen.reset(token)


def wanted_target() -> Target | None:
    """$TFGRAPH_TARGET, None if it leaves the choice to the machine. ValueError if there is no such target."""
    name = os.environ.get("TFGRAPH_TARGET", "").strip()
    if name and name not in TARGETS:
        raise ValueError(f"TFGRAPH_TARGET must be one of {', '.join(TARGETS)}, not {name!r}")
    return TARGETS.get(name)


def host_target() -> Target:
    """The target that kernels are written for: the one that is asked for, else the machine's own."""
    return _chosen.get() or wanted_target() or machine_target()


_BY_ARCHITECTURE = {"aarch64": "neon", "arm64": "neon", "armv7l": "neon32", "armv8l": "neon32", "riscv64": "rv64"}


@functools.cache
def machine_target() -> Target:
    """The target of the machine this process runs on, as a compiler's -march=native sees it."""
    name = _BY_ARCHITECTURE.get(platform.machine().lower())
    if name is not None:
        return TARGETS[name]
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return TARGETS["sse2"]
    if {"avx512f", "avx512dq", "avx512vl"} <= flags:
        return TARGETS["avx512"]
    return TARGETS["avx2"] if {"avx2", "fma"} <= flags else TARGETS["sse2"]


@dataclass(frozen=True)
class Tile:
    """`rows` x `vectors` sums that stay in registers through the whole inner loop."""

    rows: int
    vectors: int


L2_BYTES_PER_CYCLE = 24
CALL_CYCLES = 25


def step_cycles(target: Target, tile: Tile) -> float:
    """Cycles of one step: `vectors` loads, `rows` broadcasts and their products, added to the sums.

    Two multiply-adds and two loads start per cycle, a sum can be added to again after 4, and the vectors come from
    the second-level cache. Loads that hide behind the products still cost a little.
    """
    loads = tile.rows + tile.vectors
    return 0.05 * loads + max(
        tile.rows * tile.vectors / 2,
        loads * 0.6,
        4,
        tile.vectors * target.vector_bytes / L2_BYTES_PER_CYCLE,
    )


def tile_cycles(target: Target, tile: Tile, steps: int) -> float:
    """Cycles of one tile over `steps` steps, with its call, the clearing and the storing of its sums.

    Stores come in a burst at the end, which the next tile's products hide up to some 16 vectors.
    """
    sums = tile.rows * tile.vectors
    return steps * step_cycles(target, tile) + 1.5 * sums + 6 * max(0, sums - 16) + CALL_CYCLES


def tiles_that_fit(target: Target, most_rows: int, most_vectors: int) -> Iterator[Tile]:
    """Every tile whose sums, one row of vectors and one broadcast value have a register each."""
    for vectors in range(1, min(most_vectors, 8) + 1):
        for rows in range(1, most_rows + 1):
            if rows * vectors + vectors + 1 > target.registers:
                break
            yield Tile(rows, vectors)


def choose_tile(target: Target, rows: int, vectors: int, steps: int, cost: Callable[[Tile], float] | None = None) -> Tile:
    """The tile that covers `rows` x `vectors` sums of `steps` products each in the fewest cycles.

    `cost(tile)` gives the cycles of one column of tiles over all rows; by default the last tile is computed whole.
    """

    def whole_tiles(tile: Tile) -> float:
        return math.ceil(rows / tile.rows) * tile_cycles(target, tile, steps)

    column_cost = cost or whole_tiles
    return min(
        tiles_that_fit(target, min(rows, 28), vectors),
        key=lambda tile: (math.ceil(vectors / tile.vectors) * column_cost(tile), -tile.rows),
    )
