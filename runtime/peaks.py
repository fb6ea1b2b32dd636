"""How fast this machine can be: multiply-adds per second, and bytes per second by how many there are.

Measured by a small generated program (templates/c/probe.c.j2) in less than half a second, once in each of the first few
processes that ask. The best figures are kept in the folder of the compiled modules, one record per processor, target and
number of threads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..codegen.emitted import Launch
from ..codegen.render import render
from ..codegen.source import assemble
from ..codegen.target import Target, host_target
from . import cpu
from .cache import key_of, module_cache
from .explain_text import byte_text, scaled
from .memory import aligned_empty
from .toolchain import processor_identity

SUFFIX = ".peaks.json"
VERSION = "1"  # of the probe
MEASUREMENTS = 5
SECONDS_PER_FIGURE = 0.03
FEWEST_RUNS = 3
CHUNK = 8192  # elements of a chunk of the sweeps
FMA_CHUNKS = 16
FMA_STEPS = 8_000
FOOTPRINTS = (1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26)  # bytes

_found: dict[str, Peaks] = {}  # by this process


@dataclass(frozen=True)
class Peaks:
    """What the processor can do with so many threads: float32 operations per second (two per multiply-add) and, from
    small to large, numbers of bytes with the bytes per second that move at that size."""

    threads: int
    flops_per_second: float
    bandwidths: tuple[tuple[int, float], ...]

    def bytes_per_second(self, count: float) -> float:
        """The fastest that `count` bytes can move: as measured on the next smaller footprint."""
        fitting = [speed for size, speed in self.bandwidths if size <= count]
        return fitting[-1] if fitting else self.bandwidths[0][1]

    def floor_seconds(self, flops: int, moved: int, item_size: int = 4, algorithm: str = "") -> float:
        """No kernel with so many operations and bytes can take less; operations on wider elements take longer."""
        return max(flops * max(item_size, 4) / 4 / self.flops_per_second, moved / self.bytes_per_second(moved))

    @property
    def described(self) -> str:
        """A sentence for reports."""
        (small, fast), (large, slow) = self.bandwidths[0], self.bandwidths[-1]
        return (
            f"floor = max(FLOP / {scaled(self.flops_per_second, 'FLOP/s')}, bytes / bandwidth of as many bytes: "
            f"{byte_text(fast)}/s at {byte_text(small)} to {byte_text(slow)}/s at {byte_text(large)}), "
            f"{self.threads} threads"
        )


def peaks(threads: int) -> Peaks:
    """The limits for this many threads; the first processes that ask measure them. UnavailableError without a C compiler."""
    target = host_target()
    key = key_of("peaks", VERSION, processor_identity(), target.name, str(threads))
    if key not in _found:
        known, measurements = _stored(key)
        if known is None or measurements < MEASUREMENTS:
            known = fastest(_measured(threads, target), known)
            _store(key, known, measurements + 1)
        _found[key] = known
    return _found[key]


def fastest(a: Peaks, b: Peaks | None) -> Peaks:
    """The higher of every two figures: another process may have slowed a measurement down, nothing speeds one up."""
    if b is None or [size for size, _ in a.bandwidths] != [size for size, _ in b.bandwidths]:
        return a
    bandwidths = tuple((size, max(x, y)) for (size, x), (_, y) in zip(a.bandwidths, b.bandwidths, strict=True))
    return Peaks(a.threads, max(a.flops_per_second, b.flops_per_second), bandwidths)


def _stored(key: str) -> tuple[Peaks | None, int]:
    """What earlier processes have found, and how many have measured."""
    cache = module_cache()
    entry = cache.find(key, SUFFIX)
    if entry is None:
        return None, 0
    try:
        record: dict[str, Any] = json.loads(entry.read_bytes())
        bandwidths = tuple((int(size), float(speed)) for size, speed in record["bandwidths"])
        return Peaks(int(record["threads"]), float(record["flops_per_second"]), bandwidths), int(record["measurements"])
    except (OSError, ValueError, KeyError, TypeError):
        cache.remove(entry)
        return None, 0


def _store(key: str, found: Peaks, measurements: int) -> None:
    cache = module_cache()
    earlier = cache.find(key, SUFFIX)
    try:
        with cache.build_folder() as folder:
            (folder / "peaks.json").write_text(json.dumps(asdict(found) | {"measurements": measurements}))
            stored = cache.store(key, folder / "peaks.json", SUFFIX)
    except OSError:
        return  # a full disk; the next process measures again
    if earlier is not None and earlier != stored:
        cache.remove(earlier)


def _chains(target: Target) -> int:
    """Sums that are kept at a time: enough to hide how long one takes, few enough for the registers."""
    return 10 if target.registers == 16 else 24


def probe_source(target: Target) -> str:
    """The C of the probe, in the form of a step."""
    text = render("c/probe.c.j2", sums=_chains(target), vector_bytes=target.vector_bytes, chunk=CHUNK)
    return assemble(
        kernels=[text],
        launches=[
            (0, Launch("k00_multiply_add", str(FMA_CHUNKS))),
            (1, Launch("k01_read", f"tg_chunks(N, {CHUNK})")),
            (2, Launch("k02_copy", f"tg_chunks(N, {CHUNK})")),
        ],
        shared=(),
        math=frozenset(),
        random=frozenset(),
        summary=["the probe of the machine's limits"],
        batch_bytes=4,
        fixed_bytes=4,
    )


def _measured(threads: int, target: Target) -> Peaks:
    module = cpu.load(probe_source(target))
    largest = FOOTPRINTS[-1] // 4
    source, result = aligned_empty((largest,), np.float32), aligned_empty((largest,), np.float32)
    source[...], result[...] = 0.5, 0.0
    step = cpu.ffi.new("tg_step *")
    step.batch, step.fixed = cpu.ffi.from_buffer(source), cpu.ffi.from_buffer(result)
    step.pool = cpu.pool(threads)

    def seconds(kernel: int, n: int) -> float:
        step.N = n
        return _least(lambda: module.tg_run(step, kernel, kernel + 1))

    operations = 2 * FMA_CHUNKS * FMA_STEPS * _chains(target) * target.lanes(4)
    flops = operations / seconds(0, FMA_STEPS)
    moving = [(size, max(size / seconds(1, size // 4), size / seconds(2, size // 8))) for size in FOOTPRINTS]
    return Peaks(threads, flops, _falling(moving))


def _least(run: Any) -> float:
    clock, times = time.perf_counter, list[float]()
    end = clock() + SECONDS_PER_FIGURE
    while len(times) < FEWEST_RUNS or clock() < end:
        begin = clock()
        run()
        times.append(clock() - begin)
    return min(times)


def _falling(speeds: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """More bytes never move faster: small sweeps, which the hand-out of chunks slows down, are as fast as larger ones."""
    return tuple((size, max(s for other, s in speeds if other >= size)) for size, _ in speeds)
