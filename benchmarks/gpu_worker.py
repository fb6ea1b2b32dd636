"""One framework training nets on a GPU, on orders: `python -m benchmarks.gpu_worker FRAMEWORK [--threads N]`.

Says first how long the import took and which device it has. Then `prepare` makes a net train, `steps` times it, `kernels`
tells about single kernels (tfgraph), `finish` gives the memory back. With `--prepare CELL ...` it prepares those cells one
after the other and ends: so that compiled code is on the disk.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import math
import time
from typing import Any

from .frameworks import GPU_FRAMEWORKS
from .machine import confine
from .workers import serve, summary, take_output, timed

WARM_UP = 3  # steps before any is timed: tfgraph's second one captures its graph


class Cells:
    """What the process trains: one cell at a time."""

    def __init__(self, module: Any, variant: str, threads: int) -> None:
        self._module = module
        self._variant = variant
        self._threads = threads
        self._trainer: Any = None
        self._peak = 0

    def prepare(self, net: str, batch: int, precision: str) -> dict[str, Any]:
        """Build the net, train the first steps."""
        from .models import NETS

        which = NETS[net]
        self._peak = 0
        start = time.perf_counter()
        self._trainer = self._module.Trainer(
            self._variant, which, which.parameters(), which.data(batch), self._threads, precision
        )
        built = time.perf_counter()
        loss = self._trainer.step()
        first = time.perf_counter()
        for _ in range(WARM_UP):
            self._trainer.step()
        return {"build": built - start, "first": first - built, "loss": loss}

    def steps(self, seconds: float, least: int) -> dict[str, Any]:
        """Train for so many seconds; the times of single steps."""
        losses: list[float] = []
        times = timed(lambda: losses.append(self._trainer.step()), seconds, least)
        if not math.isfinite(losses[-1]):
            raise ArithmeticError(f"the loss has become {losses[-1]}")
        return summary(times)

    def kernels(self) -> dict[str, Any]:
        """Times and shares of single kernels."""
        self._peak = self._trainer.peak_bytes()  # before the memory that measuring the limits takes
        found: dict[str, Any] = self._trainer.kernels()
        return found

    def finish(self) -> dict[str, Any]:
        """Give the memory back; how much it was at most."""
        peak = self._peak or self._trainer.peak_bytes()
        self._trainer.close()
        self._trainer = None
        return {"peak_mb": peak / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("framework", choices=GPU_FRAMEWORKS)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--prepare", nargs="*", default=(), metavar="NET/BATCH/PRECISION")
    options = parser.parse_args()
    answers = take_output()
    if not options.prepare:
        confine(options.threads)
    framework = GPU_FRAMEWORKS[options.framework]
    start = time.perf_counter()
    for name in framework.imports:
        importlib.import_module(name)
    imported = time.perf_counter()
    module: Any = importlib.import_module(f".frameworks.{framework.module}", __package__)
    cells = Cells(module, framework.variant, options.threads)
    for cell in options.prepare:
        net, batch, precision = cell.split("/")
        with contextlib.suppress(Exception):  # what fails here fails again where it is measured, and is told there
            cells.prepare(net, int(batch), precision)
            cells.finish()
    if options.prepare:
        return
    orders = {"prepare": cells.prepare, "steps": cells.steps, "kernels": cells.kernels, "finish": cells.finish}
    serve(answers, {"import": imported - start, "device": module.device()}, orders)


if __name__ == "__main__":
    main()
