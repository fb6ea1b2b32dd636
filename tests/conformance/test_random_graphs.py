"""The random graphs of tests/_random_graphs.py on TensorFlow and compiled here, gradients included."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests._random_graphs import RandomGraph, differences, graphs, run_all
from tests.conformance._both import TF, TOLERANCES, tfgraph

pytestmark = pytest.mark.conformance

TOGETHER = 10  # graphs in one program: 20 examples make 200 graphs


@settings(
    max_examples=20, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(st.lists(graphs(), min_size=TOGETHER, max_size=TOGETHER), st.sampled_from(["float32", "float64"]))
def test_random_graphs(drawn: list[RandomGraph], dtype: str) -> None:
    near = TOLERANCES["graphs" if dtype == "float32" else "graphs float64"]
    wrong = differences(drawn, run_all(tfgraph, drawn, dtype), run_all(TF, drawn, dtype), near.relative)
    assert not wrong, "\n\n".join(wrong)
