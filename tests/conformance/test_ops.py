"""Every row of tests/cases on TensorFlow and compiled here: values and gradients, float32 and float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.cases import Case
from tests.conformance._both import TF, TOLERANCES, differences, run_on, tfgraph
from tests.test_ops import AREAS, OPTIMISED, inputs_of

pytestmark = pytest.mark.conformance

SIZES = (1, 9)


@dataclass(frozen=True)
class LeftOut:
    """Rows that TensorFlow itself does not build or run, or not differentiate, and why."""

    reason: str
    rows: tuple[str, ...]
    dtypes: tuple[str, ...] = ("float64",)
    gradient_only: bool = False


LEFT_OUT = (
    LeftOut("not in tf.compat.v1 of TensorFlow 2", ("approximate_equal",), ("float32", "float64")),
    LeftOut(
        "TensorFlow has no float64 of this op",
        (
            "fused_batch_norm", "fused_batch_norm_images", "fused_batch_norm_nchw", "fused_batch_norm_inference",
            "lrn_radius_1", "lrn_radius_5",
        ),
    ),
    LeftOut("TensorFlow on CPU: float64 is NHWC only", ("conv2d_nchw", "avg_pool_nchw", "max_pool_nchw")),
    LeftOut(
        "TensorFlow on CPU: float64 has no gradient of a dilated convolution",
        ("conv2d_6x7x2_by_3x2x2_stride_1x1_rate_2x3_SAME", "conv2d_7x6x2_by_2x3x2_stride_1x1_rate_3x2_VALID"),
        gradient_only=True,
    ),
    LeftOut(
        "the same, and the row is made of gradients",
        (
            "conv2d_gradients_6x7x2_by_3x2x2_stride_1x1_rate_2x3_SAME",
            "conv2d_gradients_7x6x2_by_2x3x2_stride_1x1_rate_3x2_VALID",
        ),
    ),
    LeftOut(
        "TensorFlow on CPU: float64 has no depthwise convolution with unequal strides",
        (
            "depthwise_conv2d_5x6x3_by_1x1x2_stride_2x3_rate_1x1_VALID",
            "depthwise_conv2d_3x2x2_by_2x2x2_stride_2x1_rate_1x1_SAME",
            "depthwise_conv2d_gradients_5x6x3_by_1x1x2_stride_2x3_rate_1x1_VALID",
            "depthwise_conv2d_gradients_3x2x2_by_2x2x2_stride_2x1_rate_1x1_SAME",
        ),
    ),
    LeftOut("TensorFlow rounds the attribute alpha to float32", ("leaky_relu",)),
)  # fmt: skip


def left_out(name: str, dtype: str, gradient: bool) -> bool:
    return any(name in e.rows and dtype in e.dtypes and (gradient or not e.gradient_only) for e in LEFT_OUT)


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
        if case.differentiable and not left_out(case.name, dtype, gradient=True):
            fetches[f"{case.name}: gradient"] = gradients_of(tf, fetches[case.name], fed)
    with tf.Session() as session:
        results = session.run(fetches, feeds)
    return {name: [np.asarray(value) for value in values] for name, values in results.items()}


def gradients_of(tf: Any, outputs: list[Any], sources: list[Any]) -> list[Any]:
    """d(sum of fixed weights x outputs) / d(floating sources), where there is a path."""
    terms = []
    for t in (t for t in outputs if t.dtype.is_floating):
        size = t.shape.num_elements()
        weights = 1.0 if size is None else np.linspace(0.5, 1.5, size).reshape(t.shape.as_list())
        terms.append(tf.reduce_sum(t * weights))
    found = tf.gradients(tf.add_n(terms), [s for s in sources if s.dtype.is_floating])
    return [tf.convert_to_tensor(g) for g in found if g is not None]  # IndexedSlices become tensors


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("area", AREAS)
def test_rows(area: str, size: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if (size, dtype) not in OPTIMISED:
        monkeypatch.setenv("TFGRAPH_CFLAGS", "-O1")  # compiling takes the time
    rows = [c for c in AREAS[area] if size in c.sizes and dtype in c.dtypes and not left_out(c.name, dtype, gradient=False)]
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
    named = {name for entry in LEFT_OUT for name in entry.rows}
    assert named <= {case.name for rows in AREAS.values() for case in rows}
