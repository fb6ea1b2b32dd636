"""Keras 2.2.4, unmodified, on tfgraph and on TensorFlow's `compat.v1`: its `mnist_cnn`, epoch by epoch in turns.

The digits are MNIST's four IDX files in a folder, or scikit-learn's 1,797 enlarged to 28x28.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .options import Options
from .workers import Worker, WorkerFailed

BACKENDS = {"tfgraph": "tfgraph", "tensorflow": "TensorFlow `compat.v1`"}
FOLDER = Path(sys.prefix) / "keras-2.2.4"  # `make conformance` and `make bench` fill it
EPOCHS = 12  # of Keras' example
HEADS = [
    "", "epoch, s: median; least", "first epoch, s: cold; cached", "import of Keras, s", "whole training, s",
    "loss of the last epoch", "accuracy, %", "peak memory, MB",
]  # fmt: skip


def measure(options: Options) -> dict[str, Any]:
    """One record per backend, seconds; a backend that failed or is not there has the reason instead."""
    wanted = ["tfgraph", *(name for name in options.frameworks if name == "tensorflow")]
    missing = {name: why for name in wanted if (why := _missing(name, options))}
    record: dict[str, Any] = {
        "epochs": 2 if options.quick else EPOCHS, "threads": options.threads, "backends": {}, "absent": missing
    }  # fmt: skip
    if len(missing) == len(wanted):
        return {**record, "digits": "digits"}
    with tempfile.TemporaryDirectory() as folder:
        digits = Path(folder) / "digits.npz"
        record["digits"] = _write_digits(digits, options.digits)
        cache = Path(folder) / "cache"
        workers: dict[str, Worker] = {}
        try:
            for name in [name for name in wanted if name not in missing]:
                _ask(record, name, lambda name=name: workers.update({name: _worker(name, digits, options, cache)}))
            for name in workers:
                record["backends"][name] = {**workers[name].ready, "rounds": [], "losses": []}
            _train(workers, record)
        finally:
            for worker in workers.values():
                worker.close()
        if "rounds" in record["backends"].get("tfgraph", {}):
            again = _worker("tfgraph", digits, options, cache)  # with what the first one compiled
            record["backends"]["tfgraph"]["cached"] = again.order("epoch")["seconds"]
            again.close()
    return record


def _worker(backend: str, digits: Path, options: Options, cache: Path) -> Worker:
    path = [str(FOLDER)] if FOLDER.is_dir() else []
    environment = {
        "PYTHONPATH": os.pathsep.join([*path, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "KERAS_BACKEND": "tensorflow",
        "TFGRAPH_CACHE": str(cache),
    }
    return Worker("keras_worker", [backend, str(digits), "--threads", str(options.threads)], environment)


def _train(workers: dict[str, Worker], record: dict[str, Any]) -> None:
    for number in range(record["epochs"]):
        names = list(workers)
        for name in names if number % 2 else names[::-1]:
            answer = _ask(record, name, lambda name=name: workers[name].order("epoch"))
            if answer is None:
                workers.pop(name).close()
                continue
            record["backends"][name]["rounds"].append(answer["seconds"])
            record["backends"][name]["losses"].append(answer["loss"])
    for name in list(workers):
        ended = _ask(record, name, lambda name=name: {**workers[name].order("evaluate"), **workers[name].order("end")})
        if ended is None:
            workers.pop(name).close()
            continue
        figures = record["backends"][name]
        figures.update(accuracy=ended["accuracy"], held_out_loss=ended["loss"], peak_mb=ended["peak_mb"])
        print(
            f"keras        {name:16s} {_epoch(figures) * 1e3:10.0f} ms an epoch, accuracy {ended['accuracy']:.3f}",
            flush=True,
        )


def _ask(record: dict[str, Any], name: str, call: Any) -> Any:
    """What `call` returns; a peer that fails is noted and left out, our own failure is an error."""
    try:
        return call()
    except WorkerFailed as failure:
        if name == "tfgraph":
            raise
        print(f"keras: {BACKENDS[name]}: {failure}", flush=True)
        record["absent"][name] = f"failed: {failure}"
        record["backends"].pop(name, None)
        return None


def _missing(backend: str, options: Options) -> str:
    """What has to be installed before Keras 2.2.4 can run on a backend; "" if nothing."""
    if not FOLDER.is_dir() and importlib.util.find_spec("keras_applications") is None:  # it came with this Keras only
        return f"Keras 2.2.4 is not in {FOLDER.name} of this environment (`make conformance` installs it)"
    if backend == "tensorflow" and importlib.util.find_spec("tensorflow") is None:
        return "tensorflow is not installed"
    if options.digits is None and importlib.util.find_spec("sklearn") is None:
        return "scikit-learn is not installed, and no folder of digits is given"
    return ""


def _write_digits(path: Path, folder: Path | None) -> str:
    """Write all digits of `folder`, or scikit-learn's, for the workers; what they are, for the report."""
    from tfgraph.aliases import input_data

    if folder is None:
        os.environ["TFGRAPH_DIGITS"] = "sklearn"
        folder, said = path.parent / "none", "scikit-learn's digits, enlarged to 28x28"
    else:
        said = "digits of MNIST"
    sets = input_data.read_data_sets(folder, dtype=np.uint8, reshape=False, validation_size=0)
    images = np.concatenate([sets.train.images, sets.test.images])[..., 0]
    np.savez(path, x=images, y=np.concatenate([sets.train.labels, sets.test.labels]))
    return f"{len(images):,} {said}"


def _epoch(figures: dict[str, Any]) -> float:
    """The median time of an epoch after the first, seconds."""
    return statistics.median(figures["rounds"][1:] or figures["rounds"])


def _cells(name: str, figures: dict[str, Any]) -> list[str]:
    first, later = figures["rounds"][0], figures["rounds"][1:] or figures["rounds"]
    cached = f"; {figures['cached']:.2f}" if "cached" in figures else ""
    return [
        BACKENDS[name],
        f"{_epoch(figures):.2f}; {min(later):.2f}",
        f"{first:.2f}{cached}",
        f"{figures['import']:.2f}",
        f"{figures['import'] + figures['build'] + sum(figures['rounds']):.1f}",
        f"{figures['losses'][-1]:.4f}",
        f"{100 * figures['accuracy']:.1f}",
        f"{figures['peak_mb']:.0f}",
    ]


def section(record: dict[str, Any]) -> tuple[str, list[str], list[list[str]], list[str]]:
    """For the report: text, heads and rows of a table, and lines behind it."""
    text = (
        "## Keras\n\n"
        "Keras 2.2.4 as it comes from PyPI trains its example `mnist_cnn` (two convolutions, pooling, dropout, Adadelta, "
        f"batches of 128) on {record['digits']}, 1,000 of which are held out; {record['epochs']} epochs, "
        f"{record['threads']} threads. Every backend has a process of its own, and the processes take turns, one epoch "
        "each. The whole training is import, building the net and all epochs."
    )
    backends = record["backends"]
    rows = [_cells(name, backends[name]) for name in BACKENDS if name in backends]
    if len(rows) == 2:
        ratio = _epoch(backends["tensorflow"]) / _epoch(backends["tfgraph"])
        rows.append(["**TensorFlow / tfgraph**", f"**{ratio:.2f}**", *[""] * (len(HEADS) - 2)])
    return text, HEADS, rows, [f"{BACKENDS[name]}: {why}." for name, why in record["absent"].items()]
