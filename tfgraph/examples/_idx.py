"""IDX files, the form that MNIST comes in: bytes in an array of any rank, big-endian sizes in front.

Comes in: a file, plain or gzipped, or a folder with the four files of a set of digits. Goes out: NumPy arrays of uint8.
A file that is not what its format says raises `ExampleError` with the file and what was expected there.
"""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ._options import ExampleError
from ._report import replacing

UNSIGNED_BYTES = 0x08  # the type that the third byte of a file names; every MNIST file holds these
GZIP = b"\x1f\x8b"
SIDE = 28  # pixels
CLASSES = 10
PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")


@dataclass(frozen=True)
class Digits:
    """images (n, 28, 28) uint8, 0 background to 255 ink; labels (n,) uint8 in 0..9."""

    images: np.ndarray
    labels: np.ndarray


def read(path: Path) -> np.ndarray:
    """The array of bytes in an IDX file, gzipped or not."""
    content = path.read_bytes()
    if content.startswith(GZIP):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ExampleError(f"{path}: damaged gzip file: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTES:
        raise ExampleError(f"{path}: expected an IDX file of bytes, it starts with {content[:4].hex(' ') or 'nothing'}")
    rank = content[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise ExampleError(f"{path}: expected {rank} sizes, the file ends among them")
    shape = struct.unpack(f">{rank}I", content[4:start])
    size = math.prod(shape)
    if len(content) - start != size:
        raise ExampleError(f"{path}: expected {size} bytes for the shape {shape}, found {len(content) - start}")
    return np.frombuffer(content, np.uint8, size, start).reshape(shape)


def write(path: Path, array: np.ndarray) -> None:
    """Write an array of uint8 as a plain IDX file, which appears whole or not at all."""
    header = struct.pack(f">2xBB{array.ndim}I", UNSIGNED_BYTES, array.ndim, *array.shape)
    with replacing(path) as temporary:
        temporary.write_bytes(header + np.ascontiguousarray(array, np.uint8).tobytes())


def name_of(part: str) -> str:
    """`train-images` -> `train-images-idx3-ubyte`."""
    return f"{part}-idx{3 if part.endswith('images') else 1}-ubyte"


def find(folder: Path, part: str) -> Path:
    """The file of a part, by MNIST's own name or with a dot in it as some archives have it, plain or gzipped."""
    name = name_of(part)
    for spelling in (name, name.replace("-idx", ".idx")):
        for path in (folder / spelling, folder / f"{spelling}.gz"):
            if path.is_file():
                return path
    raise ExampleError(f"{folder}: expected a file {name} or {name}.gz")


def _checked(images_path: Path, labels_path: Path) -> Digits:
    images, labels = read(images_path), read(labels_path)
    if images.shape[1:] != (SIDE, SIDE) or not len(images):
        raise ExampleError(f"{images_path}: expected images of {SIDE}x{SIDE}, found the shape {images.shape}")
    if labels.shape != images.shape[:1]:
        raise ExampleError(f"{labels_path}: expected {len(images)} labels, one an image, found the shape {labels.shape}")
    if labels.max() >= CLASSES:
        raise ExampleError(f"{labels_path}: expected labels 0 to {CLASSES - 1}, found {labels.max()}")
    return Digits(images, labels)


def read_digits(folder: Path) -> tuple[Digits, Digits]:
    """Digits to train on and digits to test on."""
    paths = [find(folder, part) for part in PARTS]
    return _checked(paths[0], paths[1]), _checked(paths[2], paths[3])


def write_digits(folder: Path, training: Digits, test: Digits) -> list[Path]:
    """Write both sets as the four files of MNIST, plain."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name_of(part) for part in PARTS]
    for path, array in zip(paths, (training.images, training.labels, test.images, test.labels), strict=True):
        write(path, array)
    return paths
