"""Training steps, single kernels and scaling, beside other frameworks: `python -m benchmarks` writes benchmarks/README.md.

python -m benchmarks                            everything, about 20 minutes on two cores
python -m benchmarks --only nets --nets mlp     a part of it; the other parts of the report stay as they were
python -m benchmarks --quick --output DIR       a look that takes little time; its figures mean little
python -m benchmarks --only                     the report and the pictures again, from results.json
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import exports, keras_training, kernels, nets, peaks, scaling
from .frameworks import FRAMEWORKS
from .machine import available_cpus, describe
from .models import NETS
from .options import Options, names_of, rounded
from .report import report

PARTS = ("nets", "export", "keras", "kernels", "scaling")
RESULTS = "results.json"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=names_of(PARTS), nargs="?", default=PARTS, const=(), help=f"of {','.join(PARTS)}")
    parser.add_argument("--nets", type=names_of(NETS), default=tuple(NETS), help=f"of {','.join(NETS)}")
    parser.add_argument(
        "--frameworks", type=names_of(FRAMEWORKS), default=tuple(FRAMEWORKS), help=f"of {','.join(FRAMEWORKS)}"
    )
    parser.add_argument("--threads", type=int, default=min(2, len(available_cpus())))
    parser.add_argument("--quick", action="store_true", help="few rounds and few cases")
    parser.add_argument(
        "--digits", type=Path, help="folder of MNIST's IDX files for the part keras (default: scikit-learn's digits)"
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder of the report")
    given = parser.parse_args(arguments)
    frameworks = tuple(name for name in FRAMEWORKS if name in given.frameworks or name == "tfgraph")
    options = Options(frameworks, given.nets, given.threads, given.quick, given.digits)
    given.output.mkdir(parents=True, exist_ok=True)
    results = _earlier(given.output / RESULTS)
    if given.only:
        for _ in _measured(given.only, options, results):  # kept part by part: a whole run takes long
            (given.output / RESULTS).write_text(json.dumps(rounded(results), indent=1) + "\n")
    _write(rounded(results), given.output)
    return 0


def _earlier(path: Path) -> dict[str, Any]:
    """What earlier runs measured; the parts that this run measures are replaced."""
    return json.loads(path.read_text()) if path.exists() else {"machines": {}}


def _measured(parts: tuple[str, ...], options: Options, results: dict[str, Any]) -> Iterator[str]:
    """Put each part's record into `results`; gives the part's name when it is there."""
    machine = describe()
    if (load := machine["load before"]) > 0.3 * (os.cpu_count() or 1):
        print(f"The machine is busy (load {load}): the figures will say little", flush=True)
    limits = [peaks.measure(threads, options.peak_times) for threads in sorted({1, options.threads})]
    results["peaks"] = [peak.record() for peak in limits]
    measure = {
        "nets": lambda: nets.measure(options),
        "export": lambda: exports.measure(options),
        "keras": lambda: keras_training.measure(options),
        "kernels": lambda: kernels.measure(options, limits[-1]),
        "scaling": lambda: scaling.measure(options),
    }
    for part in PARTS:
        if part in parts:
            results[part] = measure[part]()
            results["machines"][part] = machine
            yield part


def _write(results: dict[str, Any], folder: Path) -> None:
    """The report, with pictures if matplotlib is installed."""
    pictures = importlib.util.find_spec("matplotlib") is not None
    if pictures:
        from .plots import draw

        draw(results, folder)
    else:
        print("matplotlib is not installed: no pictures")
    (folder / "README.md").write_text(report(results, pictures))
    print(f"wrote {folder / 'README.md'}")


if __name__ == "__main__":
    raise SystemExit(main())
