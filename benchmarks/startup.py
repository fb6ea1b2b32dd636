"""What a script pays before its first result: import, first run with nothing compiled yet, first run from the cache.

    python -m benchmarks.startup [--repeat 5]

Each figure comes from processes of their own. The least of several is what the work takes; the median says how busy the
machine was meanwhile.
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

ROOT = Path(__file__).parent.parent

# 20 operations with a placeholder, variables and their update; prints seconds as JSON
SCRIPT = """
import json, time
start = time.perf_counter()
import tfgraph as tf
imported = time.perf_counter()
import numpy as np
x = tf.placeholder(tf.float32, [None, 8], name="x")
w = tf.Variable(np.full((8, 4), 0.1, np.float32), name="w")
y = tf.nn.softmax(tf.matmul(tf.tanh(x * 2.0), w) + 0.5)
loss = tf.reduce_mean(tf.square(y - 0.25))
step = tf.assign_sub(w, tf.ones([8, 4]) * loss * 0.1)
built = time.perf_counter()
with tf.Session() as session:
    session.run(w.initializer)
    ready = time.perf_counter()
    session.run([step, loss], {x: np.ones((5, 8), np.float32)})
    first = time.perf_counter()
    session.run([step, loss], {x: np.ones((5, 8), np.float32)})
    second = time.perf_counter()
operations = len(tf.get_default_graph().get_operations())
print(json.dumps({"import": imported - start, "build": built - imported, "first run": first - ready,
                  "second run": second - first, "operations": operations}))
"""


def measure(cache: Path) -> dict[str, float]:
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


def row(name: str, seconds: list[float]) -> str:
    return f"{name:28s} {min(seconds) * 1e3:9.1f} ms {statistics.median(seconds) * 1e3:9.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="processes per figure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cold = [measure(Path(folder) / str(i)) for i in range(options.repeat)]
        warm = [measure(Path(folder) / "0") for _ in range(options.repeat)]
    print(f"{warm[0]['operations']:.0f} operations; load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    print(f"{'':28s} {'least':>12s} {'median':>12s}")
    print(row("import", [run["import"] for run in cold + warm]))
    print(row("building the graph", [run["build"] for run in cold + warm]))
    print(row("first run, cold cache", [run["first run"] for run in cold]))
    print(row("first run, from the cache", [run["first run"] for run in warm]))
    print(row("second run", [run["second run"] for run in warm]))


if __name__ == "__main__":
    main()
