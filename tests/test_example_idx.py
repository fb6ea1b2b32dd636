"""IDX files as the MNIST example reads and writes them, and what it says about malformed ones."""

import gzip
import struct

import numpy as np
import pytest

from tfgraph.examples import _idx, _options

IMAGES = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([7, 0, 9], np.uint8)


def idx(array):
    """The bytes of an IDX file, written by the format's description alone."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    for name, array in (("train-images-idx3", IMAGES), ("train-labels-idx1", LABELS)):
        (tmp_path / f"{name}-ubyte").write_bytes(idx(array))
    for name, array in (("t10k-images.idx3", IMAGES[:2]), ("t10k-labels.idx1", LABELS[:2])):
        (tmp_path / f"{name}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
    return tmp_path


def test_plain_and_gzipped_files_are_read_by_either_name(folder):
    training, test = _idx.read_digits(folder)
    np.testing.assert_array_equal(training.images, IMAGES)
    np.testing.assert_array_equal(training.labels, LABELS)
    np.testing.assert_array_equal(test.images, IMAGES[:2])
    np.testing.assert_array_equal(test.labels, LABELS[:2])


def test_written_files_are_what_the_format_says(tmp_path):
    digits = _idx.Digits(IMAGES, LABELS)
    paths = _idx.write_digits(tmp_path / "new", digits, digits)
    assert [path.name for path in paths] == [
        "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
    ]  # fmt: skip
    assert [path.read_bytes() for path in paths] == [idx(IMAGES), idx(LABELS)] * 2


MALFORMED = {
    "empty": (b"", "starts with nothing"),
    "text": (b"hello", "expected an IDX file of bytes"),
    "another type": (b"\0\0\x0d" + idx(LABELS)[3:], "expected an IDX file of bytes"),
    "sizes cut off": (idx(IMAGES)[:9], "expected 3 sizes"),
    "data cut off": (idx(IMAGES)[:-1], "expected 2352 bytes for the shape (3, 28, 28), found 2351"),
    "data too long": (idx(IMAGES) + b"x", "found 2353"),
    "gzip cut off": (gzip.compress(idx(IMAGES))[:-9], "damaged gzip file"),
    "other pixels": (idx(IMAGES[:, 1:]), "expected images of 28x28"),
    "no images": (idx(IMAGES[:0]), "expected images of 28x28"),
    "fewer images": (idx(IMAGES[:2]), "expected 2 labels"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_refused_with_what_was_expected(folder, name):
    content, message = MALFORMED[name]
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(_options.ExampleError) as refused:
        _idx.read_digits(folder)
    assert message in str(refused.value)
    assert str(folder) in str(refused.value)


def test_a_label_above_nine_and_a_missing_file_are_refused(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.array([1, 2, 10], np.uint8)))
    with pytest.raises(_options.ExampleError, match="expected labels 0 to 9, found 10"):
        _idx.read_digits(folder)
    (folder / "t10k-images.idx3-ubyte.gz").unlink()
    with pytest.raises(_options.ExampleError, match="expected a file t10k-images-idx3-ubyte or"):
        _idx.read_digits(folder)
