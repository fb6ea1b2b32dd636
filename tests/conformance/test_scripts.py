"""Whole scripts in the manners of published ones, as they are, here and on TensorFlow: the same lines with the same numbers."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conformance._scripts import HERE, TENSORFLOW, needs_keras, output

pytest.importorskip("tensorflow", reason="TensorFlow itself is what these tests compare with: pip install tensorflow-cpu")
pytest.importorskip("tf_keras", reason="TensorFlow's own tf.layers and cells need it: pip install tf-keras")
pytest.importorskip("sklearn", reason="needs scikit-learn's digits: pip install scikit-learn")
pytestmark = [pytest.mark.conformance, pytest.mark.xdist_group("scripts")]  # one worker: TensorFlow is imported once

Theirs = Callable[[str], list[str]]
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?|(?<=loss )\d+")

# how far apart: the relative difference of printed losses, and what one digit that is classified otherwise makes of an accuracy
SCRIPTS = {
    "raw_ops_convnet.py": (1e-3, 0.02),
    "layers_flags_saver.py": (1e-3, 0.005),
    "deep_digits.py": (1e-3, 0.02),
    "rows_lstm.py": (1e-3, 2e-4),
    "classics_raw_ops.py": (1e-3, 1e-5),
    "word_vectors_and_letters.py": (1e-3, 1e-4),
    "policies_and_values.py": (1e-3, 1e-4),
    "monitored_summaries.py": (1e-3, 1e-5),
    "keras_functional.py": (2e-3, 0.005),
}


def assert_alike(ours: list[str], theirs: list[str], near: tuple[float, float]) -> None:
    """The same text, and numbers within `near` = (relative, absolute)."""
    assert [NUMBER.sub("#", line) for line in ours] == [NUMBER.sub("#", line) for line in theirs]
    numbers = [[float(text) for text in NUMBER.findall("\n".join(lines))] for lines in (ours, theirs)]
    assert len(numbers[0]) > 3
    np.testing.assert_allclose(*numbers, rtol=near[0], atol=near[1])


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    """What a script prints on TensorFlow."""
    return functools.cache(lambda script: output(TENSORFLOW, script, tmp_path_factory.mktemp("theirs")))


@pytest.mark.parametrize("script", [name for name in SCRIPTS if not name.startswith("keras")])
def test_a_script_prints_what_it_prints_on_tensorflow(script: str, theirs: Theirs, tmp_path: Path) -> None:
    # closest to TensorFlow's sums: see the settings in README.md
    ours = output(HERE, script, tmp_path / "ours", TFGRAPH_CONV="direct")
    assert_alike(ours, theirs(script), SCRIPTS[script])


@needs_keras
def test_a_functional_net_of_keras(theirs: Theirs, tmp_path: Path) -> None:
    script = "keras_functional.py"
    ours = output(HERE, script, tmp_path / "ours", TFGRAPH_CONV="direct")
    assert_alike(ours, theirs(script), SCRIPTS[script])


def test_a_script_goes_on_from_the_others_checkpoint(tmp_path: Path) -> None:
    """Ten steps on one, then ten on the other, from the files that the first has left."""
    script, steps = "layers_flags_saver.py", "--max_steps=10"
    ends = []
    for name, order in (("here first", (HERE, TENSORFLOW)), ("there first", (TENSORFLOW, HERE))):
        for on in order:
            lines = output(on, script, tmp_path / name, steps, TFGRAPH_CONV="direct")
        assert lines[0] == "Restored model.ckpt-10"
        ends.append(lines)
    assert_alike(*ends, (1e-3, 0.005))


def test_with_the_fastest_convolutions_too(theirs: Theirs, tmp_path: Path) -> None:
    """The default, Winograd where it is faster, on images whose background is exactly 0."""
    script = "raw_ops_convnet.py"
    ours = output(HERE, script, tmp_path / "ours")
    assert_alike(ours, theirs(script), (1e-2, 0.05))
