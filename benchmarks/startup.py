"""What a script pays before its first result: import, first run with nothing compiled yet, first run from the cache.

    python -m benchmarks.startup [--repeat 5]

Each figure comes from processes of their own: elapsed time, and the processor time of the process and its compiler. On a
busy machine only the least of several runs, or the processor time, says what the work takes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# 20 operations with a placeholder, a variable and its update; prints (elapsed, processor) seconds as JSON
SCRIPT = """
import json, resource, time
def now():
    compiler = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), time.process_time() + compiler.ru_utime + compiler.ru_stime
start = now()
import tfgraph as tf
imported = now()
import numpy as np
x = tf.placeholder(tf.float32, [None, 8], name="x")
w = tf.Variable(np.full((8, 4), 0.1, np.float32), name="w")
y = tf.nn.softmax(tf.matmul(tf.tanh(x * 2.0), w) + 0.5)
loss = tf.reduce_mean(tf.square(y - 0.25))
step = tf.assign_sub(w, tf.ones([8, 4]) * loss * 0.1)
built = now()
data = {x: np.ones((5, 8), np.float32)}
with tf.Session() as session:
    session.run(w.initializer)
    ready = now()
    session.run([step, loss], data)
    first = now()
    for _ in range(100):
        session.run([step, loss], data)
    more = now()
def since(a, b, n=1):
    return [(b[0] - a[0]) / n, (b[1] - a[1]) / n]
print(json.dumps({"import": since(start, imported), "build": since(imported, built), "first run": since(ready, first),
                  "later runs": since(first, more, 100), "operations": len(x.graph.get_operations())}))
"""


def measure(cache: Path) -> dict[str, Any]:
    """The script's figures with the compiled modules of `cache`."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "TFGRAPH_CACHE": str(cache)},
        cwd=tempfile.gettempdir(),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str, pairs: list[list[float]]) -> str:
    elapsed, processor = zip(*pairs, strict=True)
    figures = (min(elapsed), statistics.median(elapsed), min(processor))
    return f"{name:28s}" + "".join(f"{seconds * 1e3:12.2f} ms" for seconds in figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="processes per figure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cold = [measure(Path(folder) / str(i)) for i in range(options.repeat)]
        warm = [measure(Path(folder) / "0") for _ in range(options.repeat)]
    print(f"{warm[0]['operations']:.0f} operations; load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    print(f"{'':28s}{'least':>15s}{'median':>15s}{'processor':>15s}")
    print(row("import", [run["import"] for run in cold + warm]))
    print(row("building the graph", [run["build"] for run in cold + warm]))
    print(row("first run, cold cache", [run["first run"] for run in cold]))
    print(row("first run, from the cache", [run["first run"] for run in warm]))
    print(row("later runs, each", [run["later runs"] for run in warm]))


if __name__ == "__main__":
    main()
