"""Keras 2.2.4 as it comes from PyPI, on this package and on TensorFlow: the same script, the same losses.

Keras 3, which TensorFlow brings along, is in the way, so the old one has a folder of its own: `make conformance` fills it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conformance._scripts import HERE, TENSORFLOW, needs_keras, output

pytest.importorskip("tensorflow", reason="TensorFlow itself is what these tests compare with: pip install tensorflow-cpu")
pytest.importorskip("sklearn", reason="needs scikit-learn's digits: pip install scikit-learn")
pytestmark = [pytest.mark.conformance, needs_keras]

# relative differences after 11, 22 and 33 steps. Where an image is 0, all outputs of a convolution in a channel are equal, and a
# rounding of the biases' gradient that takes them across 0 turns ReLU's gradient on or off for all of them at once. Adadelta,
# whose rate is 1, makes most of it: TensorFlow with oneDNN and without it is 0, 2e-4, 1e-2 from itself with mnist_cnn
DIRECT = {
    "mnist_cnn": {"loss": (1e-3, 0.05, 0.25), "val_loss": (0.02, 0.5, 0.25), "val_acc": (0.03, 0.1, 0.05)},
    "cnn": {"loss": (1e-3, 0.03, 0.05), "val_loss": (0.02, 0.05, 0.1), "val_acc": (0.05, 0.03, 0.03)},
    "mlp": {"loss": (1e-4, 1e-3, 1e-3), "val_loss": (1e-4, 1e-3, 5e-3), "val_acc": (0.01, 0.01, 0.02)},
    "normalised": {"loss": (1e-5, 1e-4, 1e-3), "val_loss": (1e-4, 1e-4, 1e-3), "val_acc": (0.005, 0.005, 0.01)},
}
# where a patch of an image is all zeros and biases still are, Winograd's sums are 0 but for rounding, and the gradient of ReLU
# goes by their sign
AUTO = {"loss": (0.01, 0.1, 0.25), "val_loss": (0.1, 0.3, 0.25), "val_acc": (0.05, 0.1, 0.05)}


def histories(net: str, folder: Path, **environment: str) -> list[dict[str, list[float]]]:
    """What Keras noted of each epoch, here and on TensorFlow."""
    script = "keras_sequential.py"
    ours = output(HERE, script, folder / "ours", net, **environment)
    theirs = output(TENSORFLOW, script, folder / "theirs", net)
    return [json.loads(lines[-1]) for lines in (ours, theirs)]


def assert_near(ours: dict[str, list[float]], theirs: dict[str, list[float]], near: dict[str, tuple[float, ...]]) -> None:
    assert ours.keys() == theirs.keys()
    for key, limits in near.items():
        for epoch, limit in enumerate(limits):
            said = f"{key} of epoch {epoch + 1}"
            np.testing.assert_allclose(ours[key][epoch], theirs[key][epoch], rtol=limit, err_msg=said)


@pytest.mark.parametrize("net", DIRECT)
def test_nets_train_alike(net: str, tmp_path: Path) -> None:
    assert_near(*histories(net, tmp_path, TFGRAPH_CONV="direct"), DIRECT[net])


@pytest.mark.parametrize("net", ["mnist_cnn", "cnn"])
def test_nets_train_alike_with_the_fastest_convolutions(net: str, tmp_path: Path) -> None:
    assert_near(*histories(net, tmp_path), AUTO)
