"""Single kernels beside the machine's limits and beside the same operation in NumPy and PyTorch."""

from __future__ import annotations

import importlib.util
import tempfile
from contextlib import ExitStack
from typing import Any

from .kernel_cases import CASES, Case
from .options import Options
from .peaks import Peaks
from .workers import Worker, WorkerFailed

LIBRARIES = ("tfgraph", "numpy", "torch")


def measure(options: Options, peaks: Peaks) -> dict[str, Any]:
    """One record per case: its group, name, flops, bytes, floor in seconds, and the times of each library."""
    wanted = [name for name in LIBRARIES if name == "tfgraph" or _is_wanted(name, options)]
    absent = [name for name in wanted if importlib.util.find_spec(name) is None]
    for name in absent:
        print(f"{name}: its kernels are not measured, it is not installed", flush=True)
    cases = [case for case in CASES if case.quick or not options.quick]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        workers = {}
        for name in wanted:
            if name not in absent:
                arguments = [name, "--threads", str(options.threads)]
                workers[name] = Worker("kernel_worker", arguments, {"TFGRAPH_CACHE": folder})
                stack.callback(workers[name].close)
        records = [_measure_case(case, workers, options, peaks) for case in cases]
    return {"threads": options.threads, "absent": absent, "cases": records}


def _is_wanted(library: str, options: Options) -> bool:
    return library == "numpy" or any(name.startswith(library) for name in options.frameworks)


def _measure_case(case: Case, workers: dict[str, Worker], options: Options, peaks: Peaks) -> dict[str, Any]:
    named = {"group": case.group, "name": case.name}
    known = [name for name in list(workers) if (_ask(workers, name, "prepare", **named) or {}).get("known")]
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in known}
    for _ in range(options.kernel_rounds):
        for name in [name for name in known if name in workers]:
            if answer := _ask(workers, name, "repeat", seconds=options.kernel_turn):
                rounds[name].append(answer)
    record = {
        **named,
        "flops": case.flops,
        "moved": case.moved,
        "floor": peaks.floor(case.flops, case.moved),
        "rounds": rounds,
    }
    _say(record)
    return record


def _ask(workers: dict[str, Worker], library: str, order: str, /, **options: Any) -> dict[str, Any] | None:
    """A worker's answer. A library that fails is left out from then on; our own failure is an error."""
    try:
        return workers[library].order(order, **options)
    except WorkerFailed as failure:
        if library == "tfgraph":
            raise
        print(f"{library}: {failure}; its other kernels are not measured", flush=True)
        workers.pop(library).close()
        return None


def best(record: dict[str, Any], library: str) -> float | None:
    """A library's time for a case, in seconds: the median of its best round, None if it has no such operation.

    On a machine that others use too, the floor can only be held against a round that was not disturbed.
    """
    rounds = record["rounds"].get(library)
    return min(r["median"] for r in rounds) if rounds else None


def _say(record: dict[str, Any]) -> None:
    ours = best(record, "tfgraph") or float("nan")
    others = "".join(f", {name} {time / ours:.2f}" for name in LIBRARIES[1:] if (time := best(record, name)) is not None)
    share = f"{record['floor'] / ours:6.0%} of the floor"
    print(f"{record['group']:28s} {record['name']:52s} {ours * 1e6:10.1f} us {share}{others}", flush=True)
