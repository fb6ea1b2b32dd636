"""What the tests of fusion share: kernels of a fetch as (kind, op types), and the reasons that are given for edges."""

from __future__ import annotations

from typing import Any

import numpy as np

import tfgraph as tf
from tests._programs import N, groups_of
from tfgraph.codegen.ir import Group

Kernels = list[tuple[str, list[str]]]


def fed(*dims: int) -> Any:
    return tf.placeholder(tf.float32, [None, *dims])


def variable(*dims: int, seed: int = 0) -> Any:
    values = np.random.default_rng(seed).normal(size=dims) / np.sqrt(np.prod(dims[:-1], initial=1.0))
    return tf.Variable(values.astype(np.float32))


def numbers(*dims: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=dims).astype(np.float32)


def kernel_groups(fetches: Any, *feeds: Any) -> tuple[Group, ...]:
    return groups_of(fetches, {x: (N, *x.shape.as_list()[1:]) for x in feeds})


def kernels_of(fetches: Any, *feeds: Any) -> Kernels:
    """(kind, op types) of each kernel in order; every feed's first dimension is the batch."""
    return [(g.kind, [n.type for n in g.nodes]) for g in kernel_groups(fetches, *feeds)]


def kinds_of(fetches: Any, *feeds: Any) -> list[str]:
    return [kind for kind, _ in kernels_of(fetches, *feeds)]


def reasons(fetches: Any, *feeds: Any) -> list[str]:
    """What is said about neighbours that were not fused."""
    return [str(refusal) for group in kernel_groups(fetches, *feeds) for refusal in group.refusals]


def close(actual: np.ndarray, wanted: np.ndarray, tolerance: float = 2e-5) -> None:
    """Equal up to float32's rounding, relative to the largest element."""
    assert np.asarray(actual).shape == np.asarray(wanted).shape
    scale = float(np.abs(wanted).max(initial=1e-30))
    assert float(np.abs(np.asarray(actual, np.float64) - wanted).max(initial=0.0)) <= tolerance * scale
