"""Training steps of the five nets on a GPU: `python -m benchmarks.gpu [--nets mlp,lenet] [--batches 1,32,128,512]`.

A step is one `Session.run` of the optimizer and the loss, its feeds copied from the host. Each precision of
$TFGRAPH_CUDA_PRECISION has a column. With TFGRAPH_CUDA=shim it only shows that the script works.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

import tfgraph as tf
from tfgraph.runtime.cuda.choice import find_driver, why_none

from .models import NETS

PRECISIONS = ("float32", "tf32", "bf16")
WARM_UP = 3  # the first run compiles, the second one captures the graph


def step_seconds(net: Any, batch: int, runs: int) -> float:
    """The median time of a training step."""
    with tf.Graph().as_default(), tf.device("/gpu:0"):
        feeds, *fetches = net.build(tf)
        values = dict(zip(feeds, net.data(batch), strict=True))
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            times = []
            for _ in range(WARM_UP + runs):
                begin = time.perf_counter()
                session.run(fetches, values)
                times.append(time.perf_counter() - begin)
    return statistics.median(times[WARM_UP:])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default=",".join(NETS), help="names, separated by commas")
    parser.add_argument("--batches", default="", help="batch sizes, separated by commas; each net's own if not given")
    parser.add_argument("--runs", type=int, default=50, help="timed steps")
    options = parser.parse_args(arguments)
    driver = find_driver()
    if driver is None:
        print(f"There is no GPU. {why_none()}")
        return 1
    print(f"{driver.devices()[0].name}: milliseconds of a training step, medians of {options.runs}")
    print(f"{'net':12} {'batch':>6} " + " ".join(f"{name:>9}" for name in PRECISIONS))
    for name in options.nets.split(","):
        for batch in map(int, options.batches.split(",")) if options.batches else [NETS[name].batch]:
            figures = []
            for precision in PRECISIONS:
                os.environ["TFGRAPH_CUDA_PRECISION"] = precision
                figures.append(1e3 * step_seconds(NETS[name], batch, options.runs))
            print(f"{name:12} {batch:6d} " + " ".join(f"{figure:9.3f}" for figure in figures), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
