"""The machine's measured limits, against which kernels are held: multiply-adds, memory traffic, distance of processors."""

from __future__ import annotations

import bisect
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfgraph.codegen.target import machine_target
from tfgraph.runtime.toolchain import find_compiler, target_options

SOURCE = Path(__file__).with_name("peaks.c")


@dataclass(frozen=True)
class Peaks:
    """Limits of the machine with a number of threads."""

    threads: int
    flops: float  # floating-point operations per second, multiply-adds counted as two
    bandwidth: Sequence[tuple[int, float]]  # bytes in use and the most bytes per second over them, by size
    line_seconds: float | None = None  # that a cache line takes to another processor; None with one thread

    def bytes_per_second(self, working_set: float) -> float:
        """The bandwidth for so many bytes in use, between the measured sizes by interpolation."""
        sizes = [size for size, _ in self.bandwidth]
        i = bisect.bisect_left(sizes, working_set)
        if i in (0, len(sizes)):
            return self.bandwidth[min(i, len(sizes) - 1)][1]
        (low, at_low), (high, at_high) = self.bandwidth[i - 1], self.bandwidth[i]
        return at_low + (at_high - at_low) * (working_set - low) / (high - low)

    def floor(self, flops: float, moved: float) -> float:
        """The least time, in seconds, for so many operations on so many bytes."""
        return max(flops / self.flops, moved / self.bytes_per_second(moved))

    def record(self) -> dict[str, Any]:
        return asdict(self)


def measure(threads: int, times: int = 15) -> Peaks:
    """Compile and run the probes, each loop so many `times`: the best counts. RuntimeError: there is no C compiler."""
    compiler = find_compiler()
    if compiler is None:
        raise RuntimeError("there is no C compiler")
    target = machine_target()
    sums = 20 if target.registers == 32 else 12
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "peaks"
        flags = ["-O3", "-funroll-loops", "-std=gnu11", "-ffp-contract=fast", "-pthread", *target_options(compiler)]
        sizes = [f"-DVECTOR_BYTES={target.vector_bytes}", f"-DSUMS={sums}"]
        subprocess.run([*compiler.command, *flags, *sizes, "-o", str(program), str(SOURCE)], check=True)
        done = subprocess.run([str(program), str(threads), str(times)], capture_output=True, text=True, check=True)
    return _parsed(threads, done.stdout)


def _parsed(threads: int, text: str) -> Peaks:
    """Peaks from the program's lines; at each size the faster of the two loops counts."""
    flops, bandwidth, line_seconds = 0.0, dict[int, float](), None
    for line in text.splitlines():
        name, size, figure = line.split()
        if name == "fma":
            flops = float(figure)
        elif name == "line":
            line_seconds = float(figure)
        else:
            bandwidth[int(size)] = max(bandwidth.get(int(size), 0.0), float(figure))
    return Peaks(threads, flops, sorted(bandwidth.items()), line_seconds)


def from_record(record: dict[str, Any]) -> Peaks:
    bandwidth = [(int(size), rate) for size, rate in record["bandwidth"]]
    return Peaks(record["threads"], record["flops"], bandwidth, record.get("line_seconds"))
