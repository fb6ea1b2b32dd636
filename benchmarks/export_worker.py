"""One net exported as a C library, beside its Session: `python -m benchmarks.export_worker NET [--threads N]`.

Says first how long `tf.compile` took, how large its files are, and the loss of the first step of both; then trains on
orders, with the library or with the session. Only `native` code is exported, as the session's is.
"""

from __future__ import annotations

import argparse
import ctypes
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import tfgraph as tf

from .machine import confine
from .models import NETS, Net
from .workers import serve, summary, take_output, timed

PREFIX = "net"


class Library:
    """The exported training step, called through its C interface."""

    def __init__(self, exported: Any, data: list[np.ndarray], threads: int) -> None:
        self._c = ctypes.CDLL(str(exported.library))
        create = self._c.net_create
        create.restype = ctypes.c_void_p
        self._model = ctypes.c_void_p(create())
        if not self._model:
            raise MemoryError("net_create returned NULL")
        self._checked(self._c.net_set_threads(self._model, ctypes.c_int32(threads)))
        weights = exported.folder / f"{PREFIX}.safetensors"
        self._checked(self._c.net_load(self._model, str(weights).encode()))
        self._loss = ctypes.c_float()
        self._data = data  # kept alive for the addresses
        addresses = [array.ctypes.data_as(ctypes.c_void_p) for array in data]
        self._arguments = (self._model, ctypes.c_int64(len(data[0])), *addresses, ctypes.byref(self._loss))

    def step(self) -> float:
        """One training step; the loss before it."""
        self._checked(self._c.net_train_step(*self._arguments))
        return self._loss.value

    def _checked(self, status: int) -> None:
        if status:
            self._c.net_error_string.restype = ctypes.c_char_p
            raise RuntimeError(self._c.net_error_string(status).decode())


def built(net: Net, threads: int) -> tuple[Any, Any, list[Any], list[np.ndarray]]:
    """A session with the net's weights, what to fetch, the feeds and a batch for them."""
    feeds, loss, train = net.build(tf)
    session = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=threads))
    session.run(tf.global_variables_initializer())
    for variable, value in zip(tf.trainable_variables(), net.parameters(), strict=True):
        variable.load(value, session)
    return session, {"loss": loss, "train": train}, feeds, [np.ascontiguousarray(a) for a in net.data(net.batch)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", choices=NETS)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    answers = take_output()
    confine(options.threads)
    session, fetches, feeds, data = built(NETS[options.net], options.threads)
    folder = tempfile.TemporaryDirectory()
    start = time.perf_counter()
    functions = {"train_step": (fetches, dict(zip(("x", "y"), feeds, strict=True)))}
    exported = tf.compile(functions, Path(folder.name) / PREFIX, PREFIX, isas="native", session=session)
    compiled = time.perf_counter() - start
    library = Library(exported, data, options.threads)
    feed_dict = dict(zip(feeds, data, strict=True))

    def with_session() -> float:
        return float(session.run([fetches["train"], fetches["loss"]], feed_dict)[1])

    def steps(of: str, seconds: float, least: int) -> dict[str, Any]:
        return summary(timed({"session": with_session, "library": library.step}[of], seconds, least))

    ready = {
        "compile": compiled,
        "library": exported.library.stat().st_size,
        "source": (exported.folder / f"{PREFIX}.c").stat().st_size,
        "losses": {"session": with_session(), "library": library.step()},
    }
    serve(answers, ready, {"steps": steps})
    folder.cleanup()


if __name__ == "__main__":
    main()
