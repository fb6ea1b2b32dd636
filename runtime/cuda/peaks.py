"""How fast a GPU can be: multiply-adds per second by kind of number, and bytes per second by how many there are.

Measured by a small generated program (templates/cuda/peaks.cu.j2) in about a second, once for each device; the figures are
kept in the folder of the compiled modules. Nothing here knows any device by name.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from ...codegen.cuda.contraction import TENSOR_DEPTH, tensor_functions
from ...codegen.render import render, squeeze
from ..cache import key_of, module_cache
from .gpu import Block, Gpu

SUFFIX = ".gpu-peaks.json"
VERSION = "1"  # of the probe
TENSOR_CAPABILITY = (8, 0)  # from which on tensor cores take tf32 and bfloat16
SUMS = 8  # chains of a thread: with eight warps on each scheduler more than enough to hide how long one step takes
THREADS = 256
BLOCKS = 8  # per multiprocessor
LEAST_MILLISECONDS = 2.0  # of a measurement, so that a clock's tick and a launch do not count
REPEATS = 5  # of which the fastest counts
MOST_STEPS = 1 << 24
SMALLEST, SHARE_OF_MEMORY = 1 << 20, 256  # footprints: from so many bytes to this part of the device's memory
MULTIPLY_ADDS = {"float32": ("k_float", 1), "float64": ("k_double", 1)}  # kernel, multiply-adds of a thread per step and sum
TENSOR_LANES, TENSOR_PLACES = 32, 16 * 8  # of one product of a warp: lanes that share it, and sums


@dataclass(frozen=True)
class GpuPeaks:
    """What a device can do: operations per second (two per multiply-add) by kind of number and, from small to large, numbers
    of bytes with the bytes per second that move at that size."""

    device: str
    flops_per_second: Mapping[str, float]  # float32, float64; tf32 and bf16 by tensor cores
    bandwidths: tuple[tuple[int, float], ...]

    def bytes_per_second(self, count: float) -> float:
        """The fastest that `count` bytes can move: as measured on the next smaller footprint."""
        fitting = [speed for size, speed in self.bandwidths if size <= count]
        return fitting[-1] if fitting else self.bandwidths[0][1]

    def floor_seconds(self, flops: int, moved: int, item_size: int = 4, algorithm: str = "") -> float:
        """No kernel with so many operations and bytes can take less. `algorithm` names the precision of tensor cores."""
        kind = next((name for name in TENSOR_DEPTH if name in algorithm), "float64" if item_size == 8 else "float32")
        speed = self.flops_per_second.get(kind) or self.flops_per_second["float32"]
        return max(flops / speed, moved / self.bytes_per_second(moved))

    @property
    def described(self) -> str:
        """A sentence for reports."""
        from ..explain_text import byte_text, scaled

        kinds = ", ".join(f"{scaled(speed, 'FLOP/s')} in {kind}" for kind, speed in self.flops_per_second.items())
        (small, fast), (large, slow) = self.bandwidths[0], self.bandwidths[-1]
        return (
            f"floor = max(FLOP / {kinds}, bytes / bandwidth of as many bytes: {byte_text(fast)}/s at {byte_text(small)} to "
            f"{byte_text(slow)}/s at {byte_text(large)}), as measured on {self.device}"
        )


def gpu_peaks(gpu: Gpu) -> GpuPeaks:
    """The limits of a device, measured by the first process that asks."""
    key = key_of("gpu peaks", VERSION, gpu.driver.name, gpu.info.name, gpu.info.arch, str(gpu.info.multiprocessors))
    found = _stored(key)
    if found is None:
        with gpu.driver.use(gpu.number):
            found = _Probe(gpu).measured()
        _store(key, found)
    return found


def _stored(key: str) -> GpuPeaks | None:
    shelf = module_cache()
    entry = shelf.find(key, SUFFIX)
    if entry is None:
        return None
    try:
        record: dict[str, Any] = json.loads(entry.read_bytes())
        flops = {str(kind): float(speed) for kind, speed in record["flops_per_second"].items()}
        return GpuPeaks(record["device"], flops, tuple((int(size), float(speed)) for size, speed in record["bandwidths"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        shelf.remove(entry)
        return None


def _store(key: str, found: GpuPeaks) -> None:
    shelf = module_cache()
    try:
        with shelf.build_folder() as folder:
            (folder / "peaks.json").write_text(json.dumps(asdict(found)))
            shelf.store(key, folder / "peaks.json", SUFFIX)
    except OSError:
        return  # a full disk; the next process measures again


@cache
def probe_source(tensor_cores: bool) -> str:
    """The CUDA of the probe."""
    precisions = tuple(TENSOR_DEPTH) if tensor_cores else ()
    functions = [item.source for name in precisions for item in tensor_functions(name)]
    return squeeze(render("cuda/peaks.cu.j2", sums=SUMS, tensor=functions, precisions=precisions))


def probe_module(gpu: Gpu) -> Any:
    """The probe, loaded on a device."""
    source = probe_source(gpu.info.capability >= TENSOR_CAPABILITY)
    return gpu.driver.load(gpu.driver.image(source, gpu.info.arch))


class _Probe:
    """The probe and its memory."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._tensor_cores = gpu.info.capability >= TENSOR_CAPABILITY
        self._module = probe_module(gpu)
        self._blocks = BLOCKS * gpu.info.multiprocessors
        self._source, self._result = (Block(gpu, "measuring the device's limits") for _ in range(2))

    def measured(self) -> GpuPeaks:
        """All figures."""
        gpu = self._gpu
        threads = self._blocks * THREADS
        sizes = [SMALLEST]
        while sizes[-1] * 4 <= gpu.info.memory // SHARE_OF_MEMORY:
            sizes.append(sizes[-1] * 4)
        try:
            for block in (self._source, self._result):
                block.grow(max(sizes[-1], 8 * threads))
            kinds = {kind: (name, threads * count) for kind, (name, count) in MULTIPLY_ADDS.items()}
            for kind, depth in TENSOR_DEPTH.items() if self._tensor_cores else ():
                kinds[kind] = (f"k_{kind}", threads // TENSOR_LANES * TENSOR_PLACES * depth)
            flops = {kind: 2 * SUMS * count / self._seconds_per_step(name) for kind, (name, count) in kinds.items()}
            speeds = [(size, self._bytes_per_second(size)) for size in sizes]
        finally:
            for block in (self._source, self._result):
                block.free()
        # more bytes never move faster: small sweeps, of which the launch is a part, are as fast as larger ones
        falling = tuple((size, max(s for other, s in speeds if other >= size)) for size, _ in speeds)
        return GpuPeaks(gpu.info.name, flops, falling)

    def _seconds_per_step(self, name: str) -> float:
        steps = 1
        while self._milliseconds(name, steps) < LEAST_MILLISECONDS and steps < MOST_STEPS:
            steps *= 4
        return 1e-3 * min(self._milliseconds(name, steps) for _ in range(REPEATS)) / steps

    def _bytes_per_second(self, moved: int) -> float:
        """Of a kernel that reads so many, or of one that reads half and writes half, whichever is faster."""
        counts = (("k_read", moved // 4), ("k_copy", moved // 8))
        return moved / (1e-3 * min(self._milliseconds(name, count) for name, count in counts for _ in range(REPEATS)))

    def _milliseconds(self, name: str, n: int) -> float:
        driver, stream = self._gpu.driver, self._gpu.stream
        parameters = struct.pack("<qQQ", n, self._source.address, self._result.address)
        begin, end = driver.event(), driver.event()
        begin.record(stream)
        driver.launch(self._module.function(name), (self._blocks, 1, 1), (THREADS, 1, 1), 0, parameters, stream)
        end.record(stream)
        driver.synchronise(stream)
        return max(float(end.milliseconds_since(begin)), 1e-6)
