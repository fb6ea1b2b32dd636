"""Training steps of the five nets on a GPU beside PyTorch and JAX: `python -m benchmarks.gpu` writes benchmarks/GPU.md.

python -m benchmarks.gpu                              everything: 60 cells of net, batch and precision
python -m benchmarks.gpu --nets mlp,kp1 --minutes 9   a part of it; the other cells of the report stay as they were
python -m benchmarks.gpu --missing --minutes 9        the cells that the report does not have yet
python -m benchmarks.gpu --only                       the report and the picture again, from results-gpu.json
python -m benchmarks.gpu --quick --output DIR         a look that takes little time; its figures mean little

With TFGRAPH_CUDA=shim it only shows that it works. Frameworks without a GPU are left out, except with --quick.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from .frameworks import GPU_FRAMEWORKS, OURS_ON_GPU
from .gpu_report import report
from .machine import describe
from .models import NETS
from .options import names_of, rounded
from .workers import ROOT, Worker, WorkerFailed

RESULTS, REPORT = "results-gpu.json", "GPU.md"
PRECISIONS = ("float32", "tf32", "bf16")
BATCHES = (1, 32, 128, 512)
PARTS = ("steps", "first", "kernels")
FIRST_BATCH = 128  # of the part `first`, in float32
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.max.sm", "--format=csv,noheader")

Record = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What is measured, and for how long."""

    nets: tuple[str, ...]
    batches: tuple[int, ...]
    precisions: tuple[str, ...]
    frameworks: tuple[str, ...]
    parts: tuple[str, ...]
    quick: bool
    missing: bool
    jobs: int
    threads: int
    deadline: float  # of time.monotonic: no cell begins after it

    @property
    def rounds(self) -> int:
        return 2 if self.quick else 5

    @property
    def turn(self) -> float:
        """Seconds of one order to train."""
        return 0.01 if self.quick else 0.12

    @property
    def late(self) -> bool:
        return time.monotonic() > self.deadline


def main(arguments: Sequence[str] | None = None) -> int:
    options, folder = _options(arguments)
    folder.mkdir(parents=True, exist_ok=True)
    results = _earlier(folder / RESULTS)
    if options.parts:
        for _ in _measured(options, results):  # kept cell by cell: a whole run takes long
            (folder / RESULTS).write_text(json.dumps(rounded(results), indent=1) + "\n")
        if options.late:
            print("The time is over; --missing goes on from here")
    pictures = importlib.util.find_spec("matplotlib") is not None
    if pictures:
        from .gpu_plots import draw

        draw(rounded(results), folder)
    (folder / REPORT).write_text(report(rounded(results), pictures))
    print(f"wrote {folder / REPORT}")
    return 0


def _options(arguments: Sequence[str] | None) -> tuple[Options, Path]:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    listed = {"nets": NETS, "precisions": PRECISIONS, "frameworks": GPU_FRAMEWORKS}
    for name, known in listed.items():
        parser.add_argument(f"--{name}", type=names_of(known), default=tuple(known), help=f"of {','.join(known)}")
    parser.add_argument("--batches", default=",".join(map(str, BATCHES)), help="sizes, separated by commas")
    parser.add_argument("--only", type=names_of(PARTS), nargs="?", default=PARTS, const=(), help=f"of {','.join(PARTS)}")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin nothing more after so many minutes")
    parser.add_argument("--missing", action="store_true", help="leave out what the report has already")
    processors = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=max(1, processors // 2), help="processes that compile beforehand")
    parser.add_argument("--threads", type=int, default=min(4, processors), help="CPUs of each framework")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder of the report")
    given = parser.parse_args(arguments)
    batches = tuple(int(text) for text in given.batches.split(",") if text)
    frameworks = tuple(name for name in GPU_FRAMEWORKS if name in given.frameworks or name == "tfgraph")
    deadline = time.monotonic() + 60 * given.minutes
    return Options(
        given.nets, batches, given.precisions, frameworks, given.only, given.quick, given.missing, given.jobs, given.threads,
        deadline,
    ), given.output  # fmt: skip


def _earlier(path: Path) -> Record:
    """What earlier runs measured."""
    return json.loads(path.read_text()) if path.exists() else {}


def _measured(options: Options, results: Record) -> Iterator[None]:
    """Put figures into `results`, those of another machine out of it; gives control whenever there is something new."""
    machine = {"GPU": _gpu_text(), **describe()}
    if results and results["machine"]["GPU"] != machine["GPU"]:
        print(f"The figures of {results['machine']['GPU']} are replaced")
        results.clear()
    results.setdefault("machine", machine)
    for part in ("cells", "first", "kernels", "absent"):
        results.setdefault(part, {})
    absent = {name: ", ".join(lacks) for name in options.frameworks if (lacks := GPU_FRAMEWORKS[name].missing())}
    for name, text in absent.items():
        print(f"{GPU_FRAMEWORKS[name].label}: not measured, {text} not installed", flush=True)
    results["absent"] = {name: f"{text} is not installed" for name, text in absent.items()}
    names = [name for name in options.frameworks if name not in absent]
    cells = list(product(options.nets, options.batches, options.precisions))
    with tempfile.TemporaryDirectory() as folder:
        if "first" in options.parts:
            for _ in _first_steps(names, options, results, Path(folder)):
                results["machine"] = machine
                yield
        if "steps" in options.parts or "kernels" in options.parts:
            todo = [cell for cell in cells if not (options.missing and key_of(*cell) in results["cells"])]
            with _workers(names, options, results, Path(folder)) as workers:
                for net in options.nets:
                    own = [cell for cell in todo if cell[0] == net]
                    if own and not options.late:
                        _compile_beforehand(list(workers), own, options, Path(folder))
                    for cell in own:
                        if options.late:
                            return
                        results["cells"][key_of(*cell)] = _cell(cell, workers, options, results)
                        results["machine"] = machine
                        yield


def key_of(net: str, batch: int, precision: str) -> str:
    return f"{net}/{batch}/{precision}"


def _gpu_text() -> str:
    """The first GPU in words."""
    if shutil.which(NVIDIA_SMI[0]):
        done = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip():
            name, driver, memory, clock = (text.strip() for text in done.stdout.splitlines()[0].split(","))
            return f"{name}, {memory}, {clock} at most, driver {driver}"
    return os.environ.get("TFGRAPH_CUDA") or "none"


# --- workers ----------------------------------------------------------------------------------------------------------


def _environment(name: str, folder: Path) -> dict[str, str]:
    """The framework's settings, with a folder of its own for compiled code."""
    framework = GPU_FRAMEWORKS[name]
    kept = {key: os.environ[key] for key in ("TFGRAPH_CUDA",) if key in os.environ}
    return {**kept, **framework.environment, **({framework.cache: str(folder / framework.cache)} if framework.cache else {})}


@contextmanager
def _workers(names: Sequence[str], options: Options, results: Record, folder: Path) -> Iterator[dict[str, Worker]]:
    """A process for each framework that has a GPU."""
    workers: dict[str, Worker] = {}
    try:
        for name in names:
            try:
                worker = Worker("gpu_worker", [name, "--threads", str(options.threads)], _environment(name, folder))
            except WorkerFailed as failure:
                results["absent"][name] = str(failure)
                print(f"{GPU_FRAMEWORKS[name].label}: {failure}", flush=True)
                if name in OURS_ON_GPU:
                    raise
                continue
            if worker.ready["device"] or options.quick:
                workers[name] = worker
            else:
                worker.close()
                results["absent"][name] = "it finds no GPU"
                print(f"{GPU_FRAMEWORKS[name].label}: not measured, it finds no GPU", flush=True)
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def _compile_beforehand(names: Sequence[str], cells: Sequence[tuple[str, int, str]], options: Options, folder: Path) -> None:
    """Let those that keep compiled code compile all cells, several processes at a time, so that no turn waits for it."""
    orders = []
    for name in names:
        if GPU_FRAMEWORKS[name].cache:
            wanted = [cell for cell in cells if _takes_part(name, cell[0])]
            # tfgraph's programs for a fed batch serve every batch size
            orders += [(name, cell) for cell in wanted if name != "tfgraph-fed" or cell[1] == wanted[0][1]]

    def compile_one(order: tuple[str, tuple[str, int, str]]) -> None:
        name, cell = order
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("TFGRAPH_")}
        subprocess.run(
            [sys.executable, "-m", "benchmarks.gpu_worker", name, "--threads", "2", "--prepare", key_of(*cell)],
            cwd=ROOT, env={**inherited, **_environment(name, folder)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(compile_one, orders))


# --- cells ------------------------------------------------------------------------------------------------------------


def _takes_part(name: str, net: str) -> bool:
    return NETS[net].layers[0].places > 1 or not GPU_FRAMEWORKS[name].images_only


def _cell(cell: tuple[str, int, str], workers: dict[str, Worker], options: Options, results: Record) -> Record:
    """Every framework trains the same net in turn, round by round, each round begun by another one."""
    net, batch, precision = cell
    figures: Record = {}
    ready = []
    for name in [name for name in workers if _takes_part(name, net)]:
        figures[name] = {"rounds": []}
        if _ask(workers, figures, name, options, "prepare", net=net, batch=batch, precision=precision) is not None:
            ready.append(name)
    for i in range(options.rounds):
        first = i % len(ready) if ready else 0
        for name in ready[first:] + ready[:first]:
            if "failed" not in figures[name]:
                answer = _ask(workers, figures, name, options, "steps", seconds=options.turn, least=2)
                figures[name]["rounds"] += [answer] if answer else []
    if "kernels" in options.parts and "tfgraph" in ready:
        results["kernels"][key_of(*cell)] = _ask(workers, figures, "tfgraph", options, "kernels")
    for name in ready:
        if name in workers and "failed" not in figures[name]:
            figures[name].update(_ask(workers, figures, name, options, "finish") or {})
            figures[name]["median"] = statistics.median(r["median"] for r in figures[name]["rounds"])
            figures[name]["least"] = min(r["least"] for r in figures[name]["rounds"])
    print(f"{key_of(*cell):24}", _said(figures), flush=True)
    return {"flops": NETS[net].training_flops(batch), "frameworks": figures}


def _ask(
    workers: dict[str, Worker], figures: Record, name: str, options: Options, order: str, **given: Any
) -> Record | None:
    """The answer to an order. A peer that fails is noted and started anew for the next cell; our own failure is an error."""
    try:
        answer = workers[name].order(order, **given)
    except WorkerFailed as failure:
        if name in OURS_ON_GPU:
            raise
        figures[name] = {"failed": str(failure), "rounds": []}
        environment = workers[name].environment
        workers[name] = Worker("gpu_worker", [name, "--threads", str(options.threads)], environment)
        return None
    if order == "prepare":
        figures[name].update(answer)
    return answer


def _said(figures: Record) -> str:
    times = (f"{name} {1e3 * f['median']:.3f}" if "median" in f else f"{name} failed" for name, f in figures.items())
    return "ms: " + ", ".join(times)


def _first_steps(names: Sequence[str], options: Options, results: Record, folder: Path) -> Iterator[None]:
    """The first step of each net: with nothing compiled, and in another process with what that left."""
    batch = 2 if options.quick else FIRST_BATCH
    for net in options.nets:
        if options.late or (options.missing and net in results["first"]):
            continue
        found: Record = {}
        for name in [name for name in names if _takes_part(name, net) and name != "tfgraph-fed"]:
            own = folder / f"first-{net}-{name}"
            try:
                times = 2 if GPU_FRAMEWORKS[name].cache else 1
                found[name] = [_first_step(name, net, batch, options, own) for _ in range(times)]
            except WorkerFailed as failure:
                found[name] = {"failed": str(failure)}
        results["first"][net] = {"batch": batch, "frameworks": found}
        yield


def _first_step(name: str, net: str, batch: int, options: Options, folder: Path) -> Record:
    worker = Worker("gpu_worker", [name, "--threads", str(options.threads)], _environment(name, folder))
    try:
        return {"import": worker.ready["import"], **worker.order("prepare", net=net, batch=batch, precision="float32")}
    finally:
        worker.close()


if __name__ == "__main__":
    raise SystemExit(main())
