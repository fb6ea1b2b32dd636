"""The examples: reading and writing of files, what is drawn, pictures, command lines."""

import io
import struct
import sys
import zipfile

import numpy as np
import pytest

from tfgraph.examples import (
    _batches,
    _faces,
    _keypoint_files,
    _options,
    _pictures,
    _report,
    _shapes,
    convnet128,
    digits,
    keypoints,
)

NAMES = ("nose_tip_x", "nose_tip_y", "left_eye_center_x", "left_eye_center_y")
PIXELS = np.random.default_rng(7).integers(0, 256, (5, 9216))
CELLS = [
    ["48.5", "50.25", "60", "30"],
    ["40", "41", "", ""],
    ["1e1", "12", "13", "14"],
    ["", "", "20.125", "21"],
    ["47", "49", "61", "29"],
]
EXPECTED = np.array([[float(cell or "nan") for cell in row] for row in CELLS], np.float32)


def image_cell(row):
    return " ".join(map(str, PIXELS[row]))


def training_lines():
    header = ",".join([*NAMES, "Image"])
    return [header, *(",".join([*cells, image_cell(row)]) for row, cells in enumerate(CELLS))]


def write_lines(path, lines, end="\n"):
    path.write_text(end.join(lines) + end, newline="")


@pytest.fixture
def data(tmp_path):
    """A folder in Kaggle's format: 5 training faces, 3 test faces, 4 wanted locations."""
    folder = tmp_path / "data"
    folder.mkdir()
    write_lines(folder / "training.csv", training_lines())
    write_lines(folder / "test.csv", ["ImageId,Image", *(f"{row + 11},{image_cell(row)}" for row in range(3))])
    wanted = ["1,11,nose_tip_x,", "2,11,nose_tip_y,", "7,13,left_eye_center_y,", "9,12,nose_tip_x,"]
    write_lines(folder / "IdLookupTable.csv", ["RowId,ImageId,FeatureName,Location", *wanted])
    return folder


def assert_png(path):
    """A whole PNG file: signature, a header with a size, the end chunk."""
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert width > 100
    assert height > 100
    assert content.endswith(b"IEND\xaeB`\x82")


# --- the terminal and the disk ---


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_draws_nothing_where_the_output_is_no_terminal():
    stream = io.StringIO()
    with _report.ProgressBar(3, stream) as bar:
        bar.advance("loss 1")
        bar.say("epoch 1: done")
        bar.advance("loss 2")
    assert stream.getvalue() == "epoch 1: done\n"


def test_the_bar_fills_up_on_a_terminal_and_leaves_only_the_lines():
    stream = Terminal()
    with _report.ProgressBar(2, stream) as bar:
        bar.advance("loss 1")
        bar.say("half")
        bar.advance("loss 2")
    text = stream.getvalue()
    assert "\x1b[K[" in text
    assert "100%  2/2" in text
    assert "half\n" in text
    assert text.endswith("\r\x1b[K")


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old")

    def fail():
        with _report.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    with _report.replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_generated_source_is_told(tmp_path, capsys):
    class Compiling:
        def export_source(self, folder):
            path = folder / "step.c"
            path.write_text("int x;")
            return [path]

    assert _report.show_generated(Compiling(), tmp_path / "generated") == [tmp_path / "generated" / "step.c"]
    assert str(tmp_path / "generated" / "step.c") in capsys.readouterr().out
    assert _report.show_generated(object(), tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("rows", [2, 3, 10, 101])
def test_a_split_is_repeatable_and_covers_every_row_once(rows):
    training, held_out = _batches.split(rows, 0.2, seed=3)
    assert len(held_out) == max(round(rows * 0.2), 1)
    assert sorted([*training, *held_out]) == list(range(rows))
    np.testing.assert_array_equal(held_out, _batches.split(rows, 0.2, seed=3)[1])


def test_batches_cover_every_row_once_and_the_last_is_ragged():
    batches = list(_batches.shuffled(10, 4, np.random.default_rng(0)))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert len(batches) == _batches.batch_count(10, 4)
    assert sorted(np.concatenate(batches)) == list(range(10))


# --- Kaggle's files ---


def assert_training_faces(faces):
    assert faces.names == NAMES
    np.testing.assert_array_equal(faces.keypoints, EXPECTED)
    np.testing.assert_allclose(faces.images, PIXELS / 255, rtol=1e-6)
    assert faces.images.dtype == faces.keypoints.dtype == np.float32


def test_training_faces_are_read(data):
    assert_training_faces(_keypoint_files.read_training(data))


@pytest.mark.parametrize(("archive", "member"), [("training.zip", "training.csv"), ("training.csv.zip", "a/training.csv")])
def test_zipped_training_faces_are_read(data, archive, member):
    with zipfile.ZipFile(data / archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(data / "training.csv", member)
    (data / "training.csv").unlink()
    assert_training_faces(_keypoint_files.read_training(data))


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_are_read(data):
    lines = training_lines()
    write_lines(data / "training.csv", ["\ufeff" + lines[0], *lines[1:], "", ""], end="\r\n")
    assert_training_faces(_keypoint_files.read_training(data))


def test_the_image_may_stand_in_any_column(data):
    lines = [",".join([image_cell(0), *CELLS[0]]), ",".join([image_cell(1), *CELLS[1]])]
    write_lines(data / "training.csv", [",".join(["Image", *NAMES]), *lines])
    faces = _keypoint_files.read_training(data)
    np.testing.assert_array_equal(faces.keypoints, EXPECTED[:2])
    np.testing.assert_allclose(faces.images, PIXELS[:2] / 255, rtol=1e-6)


def spoil(lines, line, old, new):
    """`lines` with `old` replaced by `new` on line `line` (the header is line 1)."""
    assert old in lines[line - 1]
    return [*lines[: line - 1], lines[line - 1].replace(old, new, 1), *lines[line:]]


MALFORMED = {
    "empty file": (lambda lines: [""], "expected a header line, the file is empty"),
    "header only": (lambda lines: lines[:1], "line 2: expected at least one row"),
    "no Image": (lambda lines: spoil(lines, 1, "Image", "Picture"), "line 1: expected a column 'Image'"),
    "odd columns": (lambda lines: spoil(lines, 1, "nose_tip_y", "nose_tip_z"), "line 1: expected pairs of columns"),
    "short row": (lambda lines: spoil(lines, 3, "40,", ""), "line 3: expected 5 cells as in the header, found 4"),
    "word": (lambda lines: spoil(lines, 2, "50.25", "fifty"), "line 2: column nose_tip_y: expected a number or an empty"),
    "infinity": (lambda lines: spoil(lines, 2, "50.25", "inf"), "line 2: column nose_tip_y: expected a number or an emp"),
    "pixel missing": (lambda lines: [*lines[:5], lines[5].rsplit(" ", 1)[0]], "line 6: column Image: expected 9216 gr"),
    "letters": (lambda lines: [*lines[:3], lines[3] + "x"], "line 4: column Image: expected 9216 whole numbers"),
    "fraction": (lambda lines: [*lines[:3], lines[3] + ".5"], "line 4: column Image: expected 9216 whole numbers"),
    "too bright": (lambda lines: [*lines[:3], lines[3].rsplit(" ", 1)[0] + " 256"], "values from 0 to 255, found 256"),
    "negative": (lambda lines: [*lines[:3], lines[3].rsplit(" ", 1)[0] + " -1"], "values from 0 to 255, found -1"),
    "no image": (lambda lines: [*lines[:3], ",".join([*CELLS[2], ""])], "line 4: column Image: expected 9216 grey values"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_training_file_is_told_with_its_line(data, case):
    change, message = MALFORMED[case]
    write_lines(data / "training.csv", change(training_lines()))
    with pytest.raises(_options.ExampleError) as error:
        _keypoint_files.read_training(data)
    assert str(data / "training.csv") in str(error.value)
    assert message in str(error.value)


def test_missing_and_broken_archives_are_told(data):
    (data / "training.csv").unlink()
    with pytest.raises(_options.ExampleError, match=r"holds neither training\.csv nor training\.zip"):
        _keypoint_files.read_training(data)
    (data / "training.zip").write_bytes(b"no archive")
    with pytest.raises(_options.ExampleError, match=r"training\.zip: expected a zip archive"):
        _keypoint_files.read_training(data)
    with zipfile.ZipFile(data / "training.zip", "w") as file:
        file.writestr("readme.txt", "nothing")
    with pytest.raises(_options.ExampleError, match=r"expected an entry training\.csv, found readme\.txt"):
        _keypoint_files.read_training(data)


def test_test_faces_are_read(data):
    test = _keypoint_files.read_test(data)
    np.testing.assert_array_equal(test.image_ids, [11, 12, 13])
    np.testing.assert_allclose(test.images, PIXELS[:3] / 255, rtol=1e-6)


def test_a_submission_answers_the_lookup_table_row_by_row(data, tmp_path):
    image_ids = np.array([11, 12, 13])
    lookup = _keypoint_files.read_lookup(data, NAMES, image_ids)
    predicted = np.array([[10.0, 97.5, 1, 2], [-3.0, 4, 5, 6], [7.0, 8, 9, 33.33333]])
    path = tmp_path / "submission.csv"
    _keypoint_files.write_submission(path, lookup, NAMES, image_ids, predicted)
    assert path.read_text() == "RowId,Location\n1,10.0000\n2,96.0000\n7,33.3333\n9,0.0000\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,99,nose_tip_x,", "line 2: expected an ImageId of test.csv, found 99"),
        ("1,11,ear_x,", "line 2: expected a keypoint column of training.csv, found 'ear_x'"),
        ("one,11,nose_tip_x,", "line 2: column RowId: expected an integer, found 'one'"),
    ],
)
def test_a_malformed_lookup_table_is_told(data, row, message):
    write_lines(data / "IdLookupTable.csv", ["RowId,ImageId,FeatureName,Location", row])
    with pytest.raises(_options.ExampleError) as error:
        _keypoint_files.read_lookup(data, NAMES, np.array([11]))
    assert message in str(error.value)


# --- what is drawn ---


def test_drawn_faces_are_repeatable_and_their_keypoints_lie_in_the_image():
    faces = _faces.draw_faces(40, seed=5)
    again = _faces.draw_faces(40, seed=5)
    np.testing.assert_array_equal(faces.images, again.images)
    np.testing.assert_array_equal(faces.keypoints, again.keypoints)
    assert not np.array_equal(faces.images, _faces.draw_faces(40, seed=6).images)
    assert faces.images.shape == (40, 9216)
    assert faces.images.min() >= 0
    assert faces.images.max() <= 1
    assert faces.keypoints.shape == (40, 30)
    assert np.nanmin(faces.keypoints) > 0
    assert np.nanmax(faces.keypoints) < 96


def test_drawn_faces_lack_some_keypoints_but_never_the_eyes():
    faces = _faces.draw_faces(60, seed=1)
    missing = np.isnan(faces.keypoints)
    assert 0.1 < missing.any(axis=1).mean() < 0.5
    np.testing.assert_array_equal(missing[:, 0::2], missing[:, 1::2])
    left, right = faces.names.index("left_eye_center_x"), faces.names.index("right_eye_center_x")
    assert not missing[:, [left, right]].any()
    assert (faces.keypoints[:, left] > faces.keypoints[:, right]).all()


def test_the_pupils_are_dark_where_the_eyes_are_marked():
    faces = _faces.draw_faces(20, seed=2)
    x, y = np.round(faces.keypoints[:, :2]).astype(int).T
    pupils = faces.images.reshape(-1, 96, 96)[np.arange(20), y, x]
    assert pupils.mean() < 0.25


@pytest.mark.parametrize("channels", [1, 3])
def test_drawn_images_are_repeatable(channels):
    images, labels = _shapes.draw_images(6, channels, np.random.default_rng(3))
    again, same_labels = _shapes.draw_images(6, channels, np.random.default_rng(3))
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same_labels)
    assert images.shape == (6, 128, 128, channels)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1


@pytest.mark.parametrize("label", range(10))
def test_every_class_has_a_figure_in_its_middle_and_none_outside(label):
    v, u = np.mgrid[-2:2:81j, -2:2:81j]
    inside = _shapes.FIGURES[_shapes.NAMES[label]](u, v) > 0
    assert 0.02 < inside.mean() < 0.4
    assert not inside[np.hypot(u, v) > 1.2].any()


def test_confusion_counts_rows_as_truth():
    counts = _pictures.confusion_counts(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)
    np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 1, 0], [1, 0, 0]])


# --- the programs ---


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


@pytest.mark.parametrize("example", [digits, keypoints, convnet128])
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
