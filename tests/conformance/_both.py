"""The same script on TensorFlow and on tfgraph: how both are run, and how near their results have to be.

A script is a function of `tf`, the module that it uses. Each run has a fresh default graph.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # its `compat.v1.layers` need the package tf-keras
logging.getLogger("tensorflow").setLevel(logging.ERROR)

import tfgraph  # noqa: E402 (TensorFlow reads its log level when it is loaded)

tensorflow = pytest.importorskip(
    "tensorflow", reason="TensorFlow itself is what these tests compare with: pip install tensorflow-cpu"
)
TF = tensorflow.compat.v1
TF.disable_v2_behavior()

Script = Callable[[Any], Any]


@dataclass(frozen=True)
class Tolerance:
    """|ours - theirs| <= absolute + relative * |theirs|."""

    relative: float
    absolute: float = 0.0


# by what is compared; floating values are float32 unless the key says otherwise
TOLERANCES = {
    "values": Tolerance(1e-5, 1e-5),  # of single ops: both libraries have 1 to 4 ulp in exp, log, ... and sum in some order
    "values float64": Tolerance(1e-11, 1e-12),
    "gradients": Tolerance(2e-5, 2e-5),
    "gradients float64": Tolerance(1e-10, 1e-11),
    "uniform": Tolerance(0.0),  # the same bits
    "normal": Tolerance(3e-7, 1e-7),  # 2 ulp of float32: log, sin and cos are not the same functions
    "normal float64": Tolerance(1e-15, 1e-15),
    "losses": Tolerance(1e-4),  # of a net at every one of 50 steps
    "losses float64": Tolerance(1e-9),
    "variables": Tolerance(1e-5, 1e-6),  # after 20 steps of an optimizer
    "variables float64": Tolerance(1e-12, 1e-13),
    "rates": Tolerance(1e-5, 1e-8),
    "graphs": Tolerance(1e-5),  # of random graphs: of the largest element
    "graphs float64": Tolerance(1e-12),
}


def run_on(tf: Any, script: Script, seed: int | None = None) -> Any:
    """What `script` returns on the module `tf`, in a fresh graph with this seed."""
    with tf.Graph().as_default():
        if seed is not None:
            tf.set_random_seed(seed)
        return script(tf)


def both(script: Script, seed: int | None = None) -> tuple[Any, Any]:
    """What `script` returns here, and what it returns on TensorFlow."""
    theirs = run_on(TF, script, seed)
    return run_on(tfgraph, script, seed), theirs


def assert_same(script: Script, kind: str = "values", seed: int | None = None) -> None:
    """`script` returns the same structure of the same values on both, within the tolerance of `kind`."""
    ours, theirs = both(script, seed)
    wrong = differences(ours, theirs, TOLERANCES[kind])
    assert not wrong, "\n".join(wrong)


def differences(ours: Any, theirs: Any, near: Tolerance, where: str = "result") -> list[str]:
    """One line for every place where two structures of values differ."""
    if type(theirs).__name__ != type(ours).__name__:
        return [f"{where}: a {type(ours).__name__} {ours!r}, not a {type(theirs).__name__} {theirs!r}"]
    if isinstance(theirs, dict):
        if list(ours) != list(theirs):
            return [f"{where}: keys {list(ours)}, not {list(theirs)}"]
        return [line for key in theirs for line in differences(ours[key], theirs[key], near, f"{where}[{key!r}]")]
    if isinstance(theirs, (list, tuple)):
        if len(ours) != len(theirs):
            return [f"{where}: {len(ours)} elements {ours!r}, not {len(theirs)} {theirs!r}"]
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, near, f"{where}[{i}]")]
    if isinstance(theirs, (np.ndarray, np.generic, float)):
        return _different_arrays(np.asarray(ours), np.asarray(theirs), near, where)
    return [] if ours == theirs else [f"{where}: {ours!r}, not {theirs!r}"]


def _different_arrays(ours: np.ndarray, theirs: np.ndarray, near: Tolerance, where: str) -> list[str]:
    if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        return [f"{where}: {ours.dtype}{ours.shape}, not {theirs.dtype}{theirs.shape}"]
    if theirs.dtype.kind != "f":
        same = ours == theirs
    else:
        same = np.isclose(ours, theirs, rtol=near.relative, atol=near.absolute, equal_nan=True)
    if np.all(same):
        return []
    at = np.unravel_index(np.argmin(same), theirs.shape)
    count = np.size(same) - np.count_nonzero(same)
    return [f"{where}: {count} of {np.size(same)} differ, {ours[at]!r} at {tuple(map(int, at))}, not {theirs[at]!r}"]


def nodes_of(graph: Any, first: int = 0) -> list[tuple[str, str]]:
    """(name, type) of the operations of a graph from number `first` on, in the order of their construction."""
    return [(op.name, op.type) for op in graph.get_operations()[first:]]
