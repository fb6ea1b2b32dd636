"""Whole training steps of five nets beside TensorFlow's, interleaved in one run: `python -m benchmarks [NET ...]`.

Writes benchmarks/README.md. Each framework trains in a process of its own; orders to run a few steps go to one and the
other in turn, so that both meet the same moods of the machine.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from .models import NETS

FRAMEWORKS = ("tfgraph", "tensorflow")
STEPS = {"mlp": 200, "lenet": 10, "kp1": 60, "kpcnn": 4, "convnet128": 2}  # per order: about a second


class Worker:
    """A framework training a net in a process of its own."""

    def __init__(self, framework: str, net: str) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", framework, net]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a benchmark process ended with {self.process.wait()}")
        return json.loads(line)

    def order(self, text: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.answer()


@dataclass(frozen=True)
class Row:
    """The figures of one framework on one net; times in seconds."""

    net: str
    framework: str
    first: float
    median: float
    least: float
    peak_mb: float


def measure(net: str, rounds: int, frameworks: tuple[str, ...]) -> list[Row]:
    """Train `net` on each framework in turn."""
    workers = {framework: Worker(framework, net) for framework in frameworks}
    times: dict[str, list[float]] = {framework: [] for framework in frameworks}
    for worker in workers.values():
        worker.order("2")
    for _ in range(rounds):
        for framework, worker in workers.items():
            times[framework] += worker.order(str(STEPS[net]))["times"]
    return [
        Row(net, f, w.ready["first"], median(times[f]), min(times[f]), w.order("end")["peak_mb"]) for f, w in workers.items()
    ]


def table(rows: list[Row]) -> str:
    """The rows as Markdown, with the ratio to TensorFlow."""
    heads = ("net", "framework", "step, ms", "least, ms", "TensorFlow's step / this", "first step, s", "peak memory, MB")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    theirs = {r.net: r.median for r in rows if r.framework == "tensorflow"}
    for r in rows:
        ratio = f"{theirs[r.net] / r.median:.2f}" if r.net in theirs else "-"
        times = (f"{r.median * 1e3:.2f}", f"{r.least * 1e3:.2f}", ratio, f"{r.first:.2f}", f"{r.peak_mb:.0f}")
        lines.append(f"| {' | '.join((r.net, r.framework, *times))} |")
    return "\n".join(lines)


def machine() -> str:
    """The processor, the number of threads and the versions."""
    model = platform.processor()
    try:
        text = Path("/proc/cpuinfo").read_text()
        model = next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name"))
        model += ", AVX-512" if " avx512f " in text else ""
    except (OSError, StopIteration):
        pass
    versions = []
    for name in ("numpy", "tensorflow-cpu", "tensorflow"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"{model}; 2 threads of {os.cpu_count()}; Python {platform.python_version()}; {', '.join(versions)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(NETS), help=f"which nets ({', '.join(NETS)})")
    parser.add_argument("--rounds", type=int, default=7, help="orders to each framework")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("README.md"))
    options = parser.parse_args()
    frameworks = FRAMEWORKS if importlib.util.find_spec("tensorflow") else FRAMEWORKS[:1]
    if len(frameworks) == 1:
        print("TensorFlow is not installed: only tfgraph is measured")
    rows: list[Row] = []
    for net in options.nets:
        rows += measure(net, options.rounds, frameworks)
        print(table(rows[-len(frameworks) :]), flush=True)
    text = (
        f"# Training steps beside TensorFlow's\n\nWritten by `python -m benchmarks` on {time.strftime('%Y-%m-%d')}: "
        f"forward, gradients and Adam, float32, the two frameworks in turn, {options.rounds} rounds.\n{machine()}.\n\n"
        f"{table(rows)}\n"
    )
    options.output.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
