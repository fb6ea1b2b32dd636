"""A program of its own, run without any compiler in PATH: op cases, a training run, an export. Prints one JSON line.

Arguments: the folder to export to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tfgraph as tf
from tests._export_library import Library
from tests._nets import mlp
from tests.test_emulation import run_area
from tfgraph.runtime.toolchain import find_compiler

AREAS = ("compare", "linalg", "reduce")
BATCH, STEPS = 6, 3


def main(folder: Path) -> None:
    compiler = find_compiler()
    wrong = [line for area in AREAS for line in run_area(area, "float32")]
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(3)
        net = mlp()
        step, loss = net.fetches[:2]
        session.run(tf.global_variables_initializer())
        functions = {"train_step": ([step, loss], list(net.shapes))}
        tf.compile(functions, folder, prefix="net", isas=["native"], session=session)
        batches = [net.feeds(BATCH, seed) for seed in range(STEPS)]
        losses = [float(session.run([step, loss], feeds)[1]) for feeds in batches]
        programs = len(session._machine.sources)
    instance = Library(folder).create()
    assert instance.load(folder / "net.safetensors") == "OK"
    found = [float(instance.results("train_step", BATCH, *feeds.values())[0][()]) for feeds in batches]
    instance.destroy()
    told = {"compiler": compiler and compiler.is_zig, "wrong": wrong, "programs": programs}
    print(json.dumps({**told, "session": losses, "library": found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
