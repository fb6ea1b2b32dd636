"""Keras 2.2.4 as it comes from PyPI, on this package and on TensorFlow: the same script, the same losses.

Keras 3, which TensorFlow brings along, is in the way, so the old one has a folder of its own: `make conformance` fills it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

from tests.conformance._scripts import HERE, TENSORFLOW, needs_keras, output

pytest.importorskip("tensorflow", reason="TensorFlow itself is what these tests compare with: pip install tensorflow-cpu")
pytest.importorskip("sklearn", reason="needs scikit-learn's digits: pip install scikit-learn")
pytestmark = [pytest.mark.conformance, pytest.mark.xdist_group("keras"), needs_keras]  # one worker, for the fixtures

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
CONVOLUTIONAL = ("mnist_cnn", "cnn")

History = dict[str, list[float]]  # what Keras noted of each epoch


def histories(on: tuple[str, ...], nets: Collection[str], folder: Path, **environment: str) -> dict[str, History]:
    """Each net's history; one process trains them all, as it takes longer to start than to train one."""
    lines = output(on, "keras_sequential.py", folder, *nets, **environment)
    return {net: json.loads(line) for net, line in zip(nets, lines, strict=True)}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, History]:
    return histories(TENSORFLOW, DIRECT, tmp_path_factory.mktemp("theirs"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, History]:
    return histories(HERE, DIRECT, tmp_path_factory.mktemp("ours"), TFGRAPH_CONV="direct")


@pytest.fixture(scope="module")
def ours_by_default(tmp_path_factory: pytest.TempPathFactory) -> dict[str, History]:
    return histories(HERE, CONVOLUTIONAL, tmp_path_factory.mktemp("by_default"))


def assert_near(ours: History, theirs: History, near: dict[str, tuple[float, ...]]) -> None:
    assert ours.keys() == theirs.keys()
    for key, limits in near.items():
        for epoch, limit in enumerate(limits):
            said = f"{key} of epoch {epoch + 1}"
            np.testing.assert_allclose(ours[key][epoch], theirs[key][epoch], rtol=limit, err_msg=said)


@pytest.mark.parametrize("net", DIRECT)
def test_nets_train_alike(net: str, ours: dict[str, History], theirs: dict[str, History]) -> None:
    assert_near(ours[net], theirs[net], DIRECT[net])


@pytest.mark.parametrize("net", CONVOLUTIONAL)
def test_nets_train_alike_with_the_fastest_convolutions(
    net: str, ours_by_default: dict[str, History], theirs: dict[str, History]
) -> None:
    assert_near(ours_by_default[net], theirs[net], AUTO)
