"""Kaggle's *Facial Keypoints Detection* files: training.csv, test.csv, IdLookupTable.csv, submission.csv.

Comes in: a folder with those files, plain or zipped. Goes out: NumPy arrays. A file that is not what its format says
raises `ExampleError` with the file, the line (the header is line 1) and what was expected there.
"""

import contextlib
import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ._options import ExampleError
from ._report import replacing

SIDE = 96  # pixels
PIXELS = SIDE * SIDE
IMAGE = "Image"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Faces:
    """Faces with their keypoints.

    images: (n, 9216) float32 in 0..1, row by row.
    keypoints: (n, k) float32 in pixels, NaN where nobody marked the point.
    names: the k columns' names, `left_eye_center_x`, `left_eye_center_y`, ...
    """

    images: np.ndarray
    keypoints: np.ndarray
    names: tuple[str, ...]

    def take(self, rows: np.ndarray) -> "Faces":
        return Faces(self.images[rows], self.keypoints[rows], self.names)


@dataclass(frozen=True)
class TestFaces:
    """Faces to predict: image_ids (n,) int64, images (n, 9216) float32 in 0..1."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    image_ids: np.ndarray
    images: np.ndarray


@dataclass(frozen=True)
class Lookup:
    """What a submission answers, entry by entry: row_ids, image_ids (int64) and the keypoint columns' names."""

    row_ids: np.ndarray
    image_ids: np.ndarray
    features: tuple[str, ...]


class Table:
    """One comma-separated file: its name for messages, the columns of its header, its rows."""

    def __init__(self, label: str, lines: Iterator[bytes]) -> None:
        self.label = label
        self._lines = lines
        header = next(lines, b"").removeprefix(BYTE_ORDER_MARK).strip()
        if not header:
            raise ExampleError(f"{label}: expected a header line, the file is empty")
        self.columns = tuple(name.strip() for name in header.decode("utf-8", "replace").split(","))

    def index(self, column: str) -> int:
        """The position of `column`."""
        if column not in self.columns:
            raise self.error(1, f"expected a column {column!r}, found {_shortened(', '.join(self.columns))}")
        return self.columns.index(column)

    def rows(self) -> Iterator[tuple[int, list[bytes]]]:
        """Line number and cells of every row; blank lines are passed over."""
        for number, line in enumerate(self._lines, start=2):
            text = line.strip(b"\r\n")
            if not text.strip():
                continue
            cells = text.split(b",")
            if len(cells) != len(self.columns):
                raise self.error(number, f"expected {len(self.columns)} cells as in the header, found {len(cells)}")
            yield number, cells

    def error(self, line: int, message: str) -> ExampleError:
        return ExampleError(f"{self.label}, line {line}: {message}")

    def integer(self, line: int, column: str, cell: bytes) -> int:
        try:
            return int(cell)
        except ValueError:
            raise self.error(line, f"column {column}: expected an integer, found {_quoted(cell)}") from None

    def coordinate(self, line: int, column: str, cell: bytes) -> float:
        """A finite number of pixels, NaN for an empty cell."""
        if not cell.strip():
            return math.nan
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(line, f"column {column}: expected a number or an empty cell, found {_quoted(cell)}")
        return value

    def pixels(self, line: int, cell: bytes) -> np.ndarray:
        """(9216,) uint8 grey values. One call into NumPy for a whole image: 7,000 images a second."""
        try:
            values = np.fromstring(cell, dtype=np.int64, sep=" ")
        except ValueError:
            raise self.error(
                line, f"column {IMAGE}: expected {PIXELS} whole numbers separated by spaces, found other characters"
            ) from None
        if values.size != PIXELS:
            raise self.error(line, f"column {IMAGE}: expected {PIXELS} grey values ({SIDE} x {SIDE}), found {values.size}")
        if values.min() < 0 or values.max() > 255:
            wrong = values[(values < 0) | (values > 255)][0]
            raise self.error(line, f"column {IMAGE}: expected grey values from 0 to 255, found {wrong}")
        return values.astype(np.uint8)


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _quoted(cell: bytes) -> str:
    return repr(_shortened(cell.decode("utf-8", "replace")))


def find(folder: Path, name: str) -> Path | None:
    """`folder/name`, or the zip archive that holds it: `training.zip` or `training.csv.zip` for `training.csv`."""
    candidates = (folder / name, (folder / name).with_suffix(".zip"), folder / f"{name}.zip")
    return next((path for path in candidates if path.is_file()), None)


@contextlib.contextmanager
def open_table(folder: Path, name: str) -> Iterator[Table]:
    """Open the table `name` of `folder`, plain or zipped; `ExampleError` when there is none."""
    path = find(folder, name)
    if path is None:
        zipped = Path(name).with_suffix(".zip")
        reason = f"{folder} holds neither {name} nor {zipped}" if folder.is_dir() else f"{folder} is no folder"
        raise ExampleError(f"{reason}; expected the files of Kaggle's Facial Keypoints Detection")
    if path.suffix != ".zip":
        with path.open("rb") as stream:
            yield Table(str(path), stream)
        return
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive, name)) as stream:
            yield Table(f"{path}: {name}", stream)
    except zipfile.BadZipFile as error:
        raise ExampleError(f"{path}: expected a zip archive: {error}") from error


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> str:
    """The archive's entry called `name`, in whatever folder of the archive."""
    for entry in archive.namelist():
        if entry.rsplit("/", 1)[-1] == name and not entry.startswith("__MACOSX"):
            return entry
    raise ExampleError(f"{path}: expected an entry {name}, found {_shortened(', '.join(archive.namelist()) or 'none')}")


def _scaled(images: Sequence[np.ndarray]) -> np.ndarray:
    """(n, 9216) float32 in 0..1."""
    return np.stack(images).astype(np.float32) / np.float32(255)


def read_training(folder: Path) -> Faces:
    """training.csv: keypoint columns in any number and order, and `Image`. Empty cells become NaN."""
    with open_table(folder, "training.csv") as table:
        image_at = table.index(IMAGE)
        places = [index for index in range(len(table.columns)) if index != image_at]
        names = tuple(table.columns[index] for index in places)
        pairs = zip(names[::2], names[1::2], strict=False)
        if len(names) < 2 or len(names) % 2 or any(x[:-2] + "_y" != y or x[-2:] != "_x" for x, y in pairs):
            raise table.error(1, "expected pairs of columns NAME_x, NAME_y beside Image")
        images, keypoints = [], []
        for line, cells in table.rows():
            keypoints.append([table.coordinate(line, table.columns[place], cells[place]) for place in places])
            images.append(table.pixels(line, cells[image_at]))
        if not images:
            raise table.error(2, "expected at least one row, the file ends here")
    return Faces(_scaled(images), np.array(keypoints, np.float32), names)


def read_test(folder: Path) -> TestFaces:
    """test.csv: `ImageId` and `Image`."""
    with open_table(folder, "test.csv") as table:
        id_at, image_at = table.index("ImageId"), table.index(IMAGE)
        image_ids, images = [], []
        for line, cells in table.rows():
            image_ids.append(table.integer(line, "ImageId", cells[id_at]))
            images.append(table.pixels(line, cells[image_at]))
        if not images:
            raise table.error(2, "expected at least one row, the file ends here")
    return TestFaces(np.array(image_ids, np.int64), _scaled(images))


def read_lookup(folder: Path, names: Sequence[str], image_ids: np.ndarray) -> Lookup:
    """IdLookupTable.csv: `RowId`, `ImageId`, `FeatureName`; its images and features must be known."""
    known_names, known_ids = set(names), set(image_ids.tolist())
    row_ids, images, features = [], [], []
    with open_table(folder, "IdLookupTable.csv") as table:
        row_at, image_at, feature_at = (table.index(column) for column in ("RowId", "ImageId", "FeatureName"))
        for line, cells in table.rows():
            row_ids.append(table.integer(line, "RowId", cells[row_at]))
            image = table.integer(line, "ImageId", cells[image_at])
            feature = cells[feature_at].strip().decode("utf-8", "replace")
            if image not in known_ids:
                raise table.error(line, f"expected an ImageId of test.csv, found {image}")
            if feature not in known_names:
                raise table.error(line, f"expected a keypoint column of training.csv, found {_shortened(feature)!r}")
            images.append(image)
            features.append(feature)
    return Lookup(np.array(row_ids, np.int64), np.array(images, np.int64), tuple(features))


def whole_lookup(names: Sequence[str], image_ids: np.ndarray) -> Lookup:
    """A lookup table that asks for every keypoint of every image."""
    count = len(image_ids) * len(names)
    return Lookup(np.arange(1, count + 1), np.repeat(image_ids, len(names)), tuple(names) * len(image_ids))


def write_submission(path: Path, lookup: Lookup, names: Sequence[str], image_ids: np.ndarray, keypoints: np.ndarray) -> Path:
    """Write `RowId,Location` for every entry of `lookup`.

    keypoints: (n, k) in pixels, rows as `image_ids`, columns as `names`; clipped to 0..96, Kaggle's range.
    """
    row_of = {image: row for row, image in enumerate(image_ids.tolist())}
    column_of = {name: column for column, name in enumerate(names)}
    rows = [row_of[image] for image in lookup.image_ids.tolist()]
    columns = [column_of[feature] for feature in lookup.features]
    locations = np.clip(keypoints[rows, columns], 0, SIDE)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="ascii") as stream:
        stream.write("RowId,Location\n")
        stream.writelines(f"{row},{x:.4f}\n" for row, x in zip(lookup.row_ids.tolist(), locations.tolist(), strict=True))
    return path
