"""`--export` of the examples: the library goes with the weights that the example trained, and predicts with them."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path

import numpy as np
import pytest

from tests._c_compiler import COMPILER
from tfgraph.examples import _faces, digits, keypoints, mnist

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler in PATH")


class Library:
    """An instance of an exported model with the weights in its folder."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self.library = ctypes.CDLL(str(folder / f"lib{prefix}.so"))
        self.prefix = prefix
        create = self.library[f"{prefix}_create"]
        create.restype = ctypes.c_void_p
        self.model = ctypes.c_void_p(create())
        weights = str(folder / f"{prefix}.safetensors").encode()
        assert self.library[f"{prefix}_load"](self.model, weights) == 0

    def predict(self, batch: int, *arrays: np.ndarray) -> int:
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]
        return int(self.library[f"{self.prefix}_predict"](self.model, ctypes.c_int64(batch), *pointers))


def stored(path: Path, name: str) -> np.ndarray:
    """A float32 tensor of a safetensors file, read by the format's description alone."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    entry = json.loads(content[8:start])[name]
    assert entry["dtype"] == "F32"
    first, last = (start + offset for offset in entry["data_offsets"])
    return np.frombuffer(content[first:last], np.float32).reshape(entry["shape"])


def test_digits_goes_with_the_weights_it_trained(tmp_path, capsys):
    arguments = ["--epochs", "3", "--batch", "100", "--output", str(tmp_path), "--export", str(tmp_path / "lib")]
    assert digits.main(arguments) == 0
    output = capsys.readouterr().out
    assert f"C library    {tmp_path / 'lib'}" in output
    _, held_out = digits.load()
    count = len(held_out.labels)
    guesses, probabilities = np.empty(count, np.int64), np.empty((count, 10), np.float32)
    library = Library(tmp_path / "lib", "digits")
    assert library.predict(count, np.ascontiguousarray(held_out.images), guesses, probabilities) == 0
    accuracy = f"{np.mean(guesses == held_out.labels):.2%}"
    assert f"held-out accuracy: {accuracy} of {count} digits" in output
    np.testing.assert_array_equal(guesses, probabilities.argmax(1))
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)


def test_keypoints_goes_with_the_weights_it_trained(tmp_path):
    """The net without a hidden layer is one product, which NumPy computes as well."""
    arguments = ["--model", "none", "--faces", "40", "--epochs", "1", "--output", str(tmp_path)]
    assert keypoints.main([*arguments, "--export", str(tmp_path / "lib")]) == 0
    file = tmp_path / "lib" / "keypoints.safetensors"
    weights, biases = (stored(file, f"output/{name}").astype(np.float64) for name in ("weights", "biases"))
    images = _faces.draw_faces(7, seed=3).images
    predictions = np.empty((7, 30), np.float32)
    assert Library(tmp_path / "lib", "keypoints").predict(7, images, predictions) == 0
    np.testing.assert_allclose(predictions, images @ weights + biases, atol=1e-5)
    assert np.abs(biases).max() > 0  # it has been trained


def test_a_target_that_nobody_knows_is_told_in_one_line(tmp_path, capsys):
    arguments = ["--epochs", "0", "--output", str(tmp_path), "--export", str(tmp_path / "lib"), "--target", "abacus"]
    assert mnist.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("python -m tfgraph.examples.mnist: error: ")
    assert "abacus" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "lib").exists()
