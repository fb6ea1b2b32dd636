"""The examples as programs: short runs, their pictures and files, command lines, what a user is told."""

import struct
import sys

import numpy as np
import pytest

from tests._exported import write_few
from tests._kaggle_files import write_data
from tfgraph.examples import _idx, convnet128, digits, keypoints, mnist


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / "data")


def assert_png(path):
    """A whole PNG file: signature, a header with a size, the end chunk."""
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert width > 100
    assert height > 100
    assert content.endswith(b"IEND\xaeB`\x82")


def test_pixel_rmse_counts_marked_coordinates_only():
    marked = np.array([[1.0, 2.0], [np.nan, 4.0]])
    assert keypoints.pixel_rmse(marked, np.array([[1.0, 5.0], [100.0, 4.0]])) == pytest.approx((9 / 3) ** 0.5)


def test_digits_runs(tmp_path, capsys):
    assert digits.main(["--epochs", "3", "--batch", "100", "--output", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    accuracy = float(output.split("held-out accuracy: ")[1].split("%")[0])
    assert accuracy > 80
    for name in ("learning_curve.png", "predictions.png", "confusion.png"):
        assert_png(tmp_path / name)
        assert str(tmp_path / name) in output


def test_mnist_learns_small_digits_and_leaves_a_checkpoint(tmp_path, capsys):
    arguments = ["--epochs", "3", "--output", str(tmp_path), "--show", "10", "--write-idx", str(tmp_path / "idx")]
    assert mnist.main(arguments) == 0
    output = capsys.readouterr().out
    assert float(output.split("epoch 3/3  test accuracy ")[1].split("%")[0]) > 90
    assert f"checkpoint   {tmp_path / mnist.CHECKPOINT}" in output
    assert (tmp_path / mnist.CHECKPOINT).stat().st_size > 3 * 4 * 3_274_000  # values and both slots of Adam
    training, test = _idx.read_digits(tmp_path / "idx")
    assert (len(training.labels), len(test.labels)) == (1438, 359)
    assert training.images.max() == 255


def test_mnist_reads_idx_files_and_resumes(tmp_path, capsys):
    data = write_few(tmp_path / "idx", training=60, test=20)
    arguments = ["--data", str(data), "--batch", "32", "--show", "1", "--output", str(tmp_path)]
    assert mnist.main([*arguments, "--epochs", "2"]) == 0
    whole = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("step", "epoch"))]
    assert [line.split()[1] for line in whole] == ["1", "2", "1/2", "3", "4", "2/2"]
    assert mnist.main([*arguments, "--epochs", "1"]) == 0
    assert "60 digits to train on, 20 to test" in capsys.readouterr().out
    assert mnist.main([*arguments, "--epochs", "2", "--resume", str(tmp_path / mnist.CHECKPOINT)]) == 0
    rest = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("step", "epoch"))]
    assert rest == whole[3:]


def test_an_epoch_of_mnist_has_every_digit_once_in_an_order_of_its_own():
    orders = [mnist.epoch_order(1000, seed, epoch) for seed, epoch in ((1, 0), (1, 1), (2, 0), (2, 1))]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(1000))
    assert max(np.mean(a == b) for i, a in enumerate(orders) for b in orders[:i]) < 0.01


@pytest.mark.parametrize("model", ["none", "hidden"])
def test_keypoints_draws_its_own_faces(tmp_path, capsys, model):
    arguments = ["--model", model, "--faces", "60", "--epochs", "2", "--batch", "32", "--keep-prob", "0.9"]
    arguments += ["--l2", "1e-4", "--decay-rate", "0.5", "--decay-epochs", "1", "--output", str(tmp_path)]
    assert keypoints.main(arguments) == 0
    output = capsys.readouterr().out
    assert "learning rate 1.00e-04" in output or "learning rate 3.00e-04" in output
    assert "learning rate 5.00e-05" in output or "learning rate 1.50e-04" in output
    assert "validation RMSE: " in output
    for name in ("learning_curve.png", "validation_faces.png", "test_faces.png"):
        assert_png(tmp_path / name)
    lines = (tmp_path / "submission.csv").read_text().splitlines()
    assert len(lines) == 1 + 64 * 30
    assert all(0 <= float(line.split(",")[1]) <= 96 for line in lines[1:])


def test_keypoints_reads_data_with_empty_cells(data, tmp_path, capsys):
    arguments = ["--data", str(data), "--epochs", "1", "--batch", "3", "--output", str(tmp_path / "out")]
    assert keypoints.main(arguments) == 0
    output = capsys.readouterr().out
    assert "read 5 faces, 20.0% of the cells empty (masked in the loss): 4 to train on, 1 for validation" in output
    lines = (tmp_path / "out" / "submission.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["RowId", "1", "2", "7", "9"]
    assert_png(tmp_path / "out" / "test_faces.png")


def test_keypoints_drops_incomplete_faces_and_does_without_test_files(data, tmp_path, capsys):
    (data / "test.csv").unlink()
    arguments = ["--data", str(data), "--model", "none", "--epochs", "1", "--missing", "drop"]
    assert keypoints.main([*arguments, "--output", str(tmp_path / "out")]) == 0
    output = capsys.readouterr().out
    assert "(2 faces dropped): 2 to train on, 1 for validation" in output
    assert "no submission" in output
    assert sorted(path.name for path in (tmp_path / "out").glob("*.*")) == ["learning_curve.png", "validation_faces.png"]


def test_keypoints_stops_early_and_goes_back_to_the_best_weights(tmp_path, capsys):
    arguments = ["--model", "none", "--faces", "40", "--epochs", "50", "--learning-rate", "0.5", "--patience", "2"]
    assert keypoints.main([*arguments, "--output", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert "no better for 2 epochs: stopped" in output
    curve = [float(line.split("validation RMSE")[1].split()[0]) for line in output.splitlines() if line[:5] == "epoch"]
    final = float(output.split("validation RMSE: ")[1].split()[0])
    assert final == pytest.approx(min(curve), abs=2e-3)
    assert curve[-1] > final


@pytest.mark.parametrize("channels", ["1", "3"])
def test_convnet128_runs(tmp_path, capsys, channels):
    arguments = ["--channels", channels, "--steps", "2", "--batch", "2", "--held-out", "3", "--output", str(tmp_path)]
    assert convnet128.main(arguments) == 0
    assert "of 3 images" in capsys.readouterr().out
    for name in ("learning_curve.png", "predictions.png", "confusion.png"):
        assert_png(tmp_path / name)


@pytest.mark.parametrize("example", [digits, keypoints, convnet128, mnist])
def test_help_and_bad_options(example, capsys):
    with pytest.raises(SystemExit) as leaving:
        example.main(["--help"])
    assert leaving.value.code == 0
    assert "--learning-rate" in capsys.readouterr().out
    for bad in (["--batch", "0"], ["--learning-rate", "nan"], ["--seed", "-1"], ["--device", "abacus"], ["--nothing"]):
        with pytest.raises(SystemExit) as leaving:
            example.main(bad)
        assert leaving.value.code == 2
        assert bad[0] in capsys.readouterr().err


def test_bad_files_are_told_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for arguments in (["--data", str(tmp_path / "nowhere")], ["--output", str(tmp_path / "file" / "below")]):
        if "--output" not in arguments:
            arguments += ["--output", str(tmp_path / "out")]
        assert keypoints.main(arguments) == 1
        error = capsys.readouterr().err
        assert error.startswith("python -m tfgraph.examples.keypoints: error: ")
        assert error.count("\n") == 1


def test_a_missing_package_is_told_with_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert digits.main(["--output", str(tmp_path / "out")]) == 1
    assert "pip install 'tfgraph-compiler[examples]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
