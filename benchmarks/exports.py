"""The nets exported as C libraries: what `tf.compile` takes, how large its library is, and its step beside the Session's."""

from __future__ import annotations

import statistics
import tempfile
from typing import Any

from .models import NETS
from .options import Options
from .workers import Worker, WorkerFailed

WAYS = ("session", "library")


def measure(options: Options) -> dict[str, Any]:
    """One record per net: seconds and bytes, and the median of each round for the session and for the library."""
    nets: dict[str, Any] = {}
    failures: list[str] = []
    for net in options.nets:
        try:
            nets[net] = _measure_net(net, options)
        except WorkerFailed as failure:
            failures.append(f"{net} failed: {failure}.")
            print(failures[-1], flush=True)
    return {"threads": options.threads, "nets": nets, "failures": failures}


def _measure_net(net: str, options: Options) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker("export_worker", [net, "--threads", str(options.threads)], {"TFGRAPH_CACHE": folder})
        try:
            rounds: dict[str, list[float]] = {way: [] for way in WAYS}
            for way in WAYS:
                worker.order("steps", of=way, seconds=options.turn / 5, least=1)  # to warm up
            for i in range(options.rounds):
                for way in WAYS if i % 2 else reversed(WAYS):
                    rounds[way].append(worker.order("steps", of=way, seconds=options.turn / 2, least=2)["median"])
        finally:
            worker.close()
    record = {**worker.ready, "batch": NETS[net].batch, "rounds": rounds}
    times = ", ".join(f"{way} {median(record, way) * 1e3:.2f} ms" for way in WAYS)
    print(f"{net:12s} compiled in {record['compile']:.2f} s, {record['library'] / 1e3:.0f} KB; step: {times}", flush=True)
    return record


def median(record: dict[str, Any], way: str) -> float:
    """The step's time in seconds."""
    return statistics.median(record["rounds"][way])
