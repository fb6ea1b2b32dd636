"""One framework training one net, a few steps at a time, on orders from standard input.

    python -m benchmarks.worker tfgraph|tensorflow NET

Prints a JSON line when ready ({"import": s, "first": s}), one per order "N" (N steps: {"times": [s, ...], "loss": x}), and
one with its peak memory on "end".
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any

THREADS = 2


def module(framework: str) -> Any:
    """The framework, as the scripts of TensorFlow 1.x see it."""
    if framework == "tfgraph":
        import tfgraph

        return tfgraph
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    return tf


def main(framework: str, name: str) -> None:
    start = time.perf_counter()
    tf = module(framework)
    imported = time.perf_counter() - start
    from .models import NETS

    net = NETS[name]
    feeds, loss, train = net.build(tf)
    arrays = net.data(net.batch)
    config = tf.ConfigProto(intra_op_parallelism_threads=THREADS, inter_op_parallelism_threads=1)
    session = tf.Session(config=config)
    session.run(tf.global_variables_initializer())
    feed_dict = dict(zip(feeds, arrays, strict=True))
    start = time.perf_counter()
    session.run([train, loss], feed_dict)
    tell({"import": imported, "first": time.perf_counter() - start})
    for order in sys.stdin:
        if order.strip() == "end":
            break
        times, value = [], 0.0
        for _ in range(int(order)):
            start = time.perf_counter()
            _, value = session.run([train, loss], feed_dict)
            times.append(time.perf_counter() - start)
        tell({"times": times, "loss": float(value)})
    tell({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


def tell(record: dict[str, Any]) -> None:
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
