"""tfgraph on a GPU: the batch stays there in variables (`resident`), or is fed from the host in each step (`fed`)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

import tfgraph as tf

from ..models import Net


class _Resident:
    """`tfgraph` whose placeholders are variables that hold a batch."""

    def __init__(self, data: Sequence[np.ndarray]) -> None:
        self._data = list(data)
        self.inputs: list[tuple[Any, np.ndarray]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(tf, name)

    def placeholder(self, dtype: Any, shape: Any) -> Any:
        array = self._data[len(self.inputs)]
        variable = tf.Variable(tf.zeros(array.shape, dtype), trainable=False)
        self.inputs.append((variable, array))
        return variable


class Trainer:
    """Builds the net on /gpu:0, sets its weights, trains it step by step."""

    def __init__(
        self, variant: str, net: Net, parameters: list[np.ndarray], data: list[np.ndarray], threads: int, precision: str
    ) -> None:
        os.environ["TFGRAPH_CUDA_PRECISION"] = precision
        resident = _Resident(data)
        self._graph = tf.Graph()
        with self._graph.as_default(), tf.device("/gpu:0"):
            inputs, loss, train = net.build(resident if variant == "resident" else tf)
            self._session = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=threads))
            self._session.run(tf.global_variables_initializer())
            for variable, value in (*zip(tf.trainable_variables(), parameters, strict=True), *resident.inputs):
                variable.load(value, self._session)
        self._fetches = [train, loss]
        self._feed_dict = {} if resident.inputs else dict(zip(inputs, data, strict=True))

    def step(self) -> float:
        """One training step; the loss before it."""
        return float(self._session.run(self._fetches, self._feed_dict)[1])

    def peak_bytes(self) -> int:
        """The most device memory that was in use."""
        return int(self._session._machine.gpu[1].pool.peak)

    def kernels(self) -> dict[str, Any]:
        """Each kernel's time and share of the device's ceiling."""
        found = json.loads(self._session.explain(self._fetches, self._feed_dict, profile=True).to_json())
        kept = ("name", "kind", "algorithm", "flops", "bytes_read", "bytes_written", "time")
        kernels = [{key: kernel[key] for key in kept} for kernel in found["kernels"]]
        return {"kernels": kernels, "seconds": found["seconds"], "peaks": found["profile"]["peaks"]}

    def close(self) -> None:
        """Give the memory back."""
        self._session.close()


def device() -> str:
    """The GPU's name; empty where there is none."""
    from tfgraph.runtime.cuda.choice import find_driver

    driver = find_driver()
    return driver.devices()[0].name if driver is not None else ""
