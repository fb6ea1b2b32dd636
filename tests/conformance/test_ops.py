"""Every row of tests/cases on TensorFlow and compiled here: values and gradients, float32 and float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.cases import Case
from tests.conformance._both import TF, TOLERANCES, differences, run_on, tfgraph
from tests.test_ops import AREAS, inputs_of

pytestmark = pytest.mark.conformance

SIZES = (1, 9)

# rows that TensorFlow itself does not run: why
NOT_ON_TENSORFLOW: dict[str, str] = {}


def run_area(tf: Any, rows: list[Case], size: int, dtype: str) -> dict[str, list[np.ndarray]]:
    """The outputs of the rows and the gradients of their weighted sums, all from one run."""
    fetches: dict[str, list[Any]] = {}
    feeds: dict[Any, np.ndarray] = {}
    for case in rows:
        arrays = inputs_of(case, size, dtype)
        fed = [tf.placeholder(a.dtype, a.shape) for a in arrays]
        feeds.update(zip(fed, arrays, strict=True))
        result = case.build(tf, *fed)
        fetches[case.name] = list(result) if isinstance(result, (list, tuple)) else [result]
        if case.differentiable:
            fetches[f"{case.name}: gradient"] = gradients_of(tf, fetches[case.name], fed)
    with tf.Session() as session:
        results = session.run(fetches, feeds)
    return {name: [np.asarray(value) for value in values] for name, values in results.items()}


def gradients_of(tf: Any, outputs: list[Any], sources: list[Any]) -> list[Any]:
    """d(sum of fixed weights x outputs) / d(floating sources), where there is a path."""
    outputs = [t for t in outputs if t.dtype.is_floating]
    weights = [np.linspace(0.5, 1.5, t.shape.num_elements()).reshape(t.shape.as_list()) for t in outputs]
    loss = tf.add_n([tf.reduce_sum(t * w) for t, w in zip(outputs, weights, strict=True)])
    return [g for g in tf.gradients(loss, [s for s in sources if s.dtype.is_floating]) if g is not None]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("area", AREAS)
def test_rows(area: str, size: int, dtype: str) -> None:
    rows = [c for c in AREAS[area] if size in c.sizes and dtype in c.dtypes and c.name not in NOT_ON_TENSORFLOW]
    theirs = run_on(TF, lambda tf: run_area(tf, rows, size, dtype))
    ours = run_on(tfgraph, lambda tf: run_area(tf, rows, size, dtype))
    suffix = "" if dtype == "float32" else f" {dtype}"
    assert list(ours) == list(theirs)
    wrong = []
    for name, expected in theirs.items():
        kind = "gradients" if name.endswith(": gradient") else "values"
        wrong += differences(ours[name], expected, TOLERANCES[kind + suffix], name)
    assert not wrong, "\n".join(wrong)


def test_rows_left_out_exist() -> None:
    assert set(NOT_ON_TENSORFLOW) <= {case.name for rows in AREAS.values() for case in rows}
