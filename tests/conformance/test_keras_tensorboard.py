"""Keras 2.2.4's TensorBoard callback on tfgraph. TensorFlow of today has no `tf.contrib`, which that callback imports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance._scripts import HERE, needs_keras, output

pytest.importorskip("tensorboard", reason="event files are written by the package tensorboard")
pytestmark = [pytest.mark.conformance, needs_keras]


def test_scalars_histograms_graph_and_profile(tmp_path: Path) -> None:
    tags, events, validations = json.loads(
        output(HERE, "keras_tensorboard.py", tmp_path / "run", str(tmp_path / "logs"))[-1]
    )
    weights = [f"{layer}/{weight}_0" for layer in ("hidden", "out") for weight in ("kernel", "bias")]
    layers = ["hidden_out", "out_out"]
    assert sorted(tags["histograms"]) == sorted([*weights, *(f"{name}_grad" for name in weights), *layers])
    assert set(tags["scalars"]) == {"loss", "acc", "val_loss", "val_acc"}
    assert tags["graph"]
    assert validations == 2
    assert "MatMul" in events
