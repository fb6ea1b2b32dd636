"""What `make sanitize-gpu` puts under compute-sanitizer: `python -m tests.sanitize_cuda [NAME ...]`.

The kernels of the op cases, area by area, and two training steps of the five nets at each precision, at small sizes. Values
are compared on the way, so a kernel that computes nonsense is found too. Names select areas and nets (`reduce`,
`lenet/tf32`). With TFGRAPH_TEST_CUDA=shim and TFGRAPH_SHIM_CHECK=1 the shim does the looking.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest

import tfgraph as tf
from benchmarks.models import NETS
from tests._cuda import on_cuda, refuse_cpu
from tests.test_ops import AREAS, _run_area

BATCH = 3
SIZE = 7  # of the op cases
PRECISIONS = ("float32", "tf32", "bf16")


def _area(name: str) -> str:
    """The first difference of an area's op cases from their oracles; empty if there is none."""
    wrong = _run_area(AREAS[name], SIZE, "float32", on_cuda)
    return wrong[0] if wrong else ""


def _net(name: str, precision: str) -> str:
    """What is wrong with two training steps; empty if the loss is a number."""
    net = NETS[name]
    with pytest.MonkeyPatch.context() as patch, tf.Graph().as_default(), tf.Session() as session:
        refuse_cpu(patch)
        patch.setenv("TFGRAPH_CUDA_PRECISION", precision)
        feeds, loss, train = net.build(tf)
        session.run(tf.global_variables_initializer())
        for batch in (BATCH, BATCH, 1):  # launched one by one, then captured; and another grid
            values = dict(zip(feeds, net.data(batch), strict=True))
            found = session.run([train, loss], values)[1]
            if np.isnan(found):
                return "the loss is no number"
    return ""


def jobs() -> dict[str, Callable[[], str]]:
    """Everything there is to run, by name."""
    areas: dict[str, Callable[[], str]] = {name: lambda name=name: _area(name) for name in AREAS}  # type: ignore[misc]
    nets: dict[str, Callable[[], str]] = {
        f"{name}/{precision}": lambda name=name, precision=precision: _net(name, precision)  # type: ignore[misc]
        for name in NETS
        for precision in PRECISIONS
    }
    return {**areas, **nets}


def main(names: Sequence[str]) -> int:
    known = jobs()
    if unknown := [name for name in names if name not in known]:
        print(f"{', '.join(unknown)}: not one of {', '.join(known)}")
        return 2
    failed = 0
    for name in names or known:
        begin = time.perf_counter()
        wrong = known[name]()
        failed += bool(wrong)
        print(f"{name:24} {wrong or 'right'} {time.perf_counter() - begin:8.1f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
