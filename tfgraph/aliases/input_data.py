"""`tensorflow.examples.tutorials.mnist.input_data`: the digits of the tutorials, from the four IDX files in a folder.

Nothing is downloaded: the files (plain or gzipped) have to be there. Where they are not, the environment variable
TFGRAPH_DIGITS=sklearn takes the 1,797 digits of scikit-learn instead, enlarged to 28x28.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import as_dtype, float32, uint8
from ..examples import _idx
from ..examples._options import ExampleError

VALIDATION_SIZE = 5000  # of the 60,000 digits for training


class DataSet:
    """Images and labels, given out in batches: in random order, and whole epochs before any digit comes again."""

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        fake_data: bool = False,
        one_hot: bool = False,
        dtype: Any = float32,
        reshape: bool = True,
        seed: int | None = None,
    ) -> None:
        dtype = as_dtype(dtype).base_dtype
        if dtype not in (uint8, float32):
            raise TypeError(f"Invalid image dtype {dtype!r}, expected uint8 or float32")
        if len(images) != len(labels):
            raise ValueError(f"images.shape: {images.shape} labels.shape: {labels.shape}")
        if reshape:
            images = images.reshape(len(images), math.prod(images.shape[1:]))
        if dtype == float32:
            images = np.multiply(images.astype(np.float32), np.float32(1 / 255))
        self._images, self._labels = images, labels
        self._random = np.random.RandomState(seed)
        self._epochs_completed, self._index = 0, 0

    images = property(lambda self: self._images, doc="[n, 784], or [n, 28, 28, 1] without `reshape`; 0 to 1 as floats.")
    labels = property(lambda self: self._labels, doc="[n], or [n, 10] with `one_hot`.")
    num_examples = property(lambda self: len(self._images))
    epochs_completed = property(lambda self: self._epochs_completed)

    def next_batch(
        self, batch_size: int, fake_data: bool = False, shuffle: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """The next `batch_size` images and labels; where an epoch ends in a batch, the next one fills it up."""
        if self._index == 0 and self._epochs_completed == 0 and shuffle:
            self._shuffle()
        start, left = self._index, self.num_examples - self._index
        if batch_size <= left:
            self._index += batch_size
            return self._images[start : self._index], self._labels[start : self._index]
        images, labels = self._images[start:], self._labels[start:]
        self._epochs_completed += 1
        if shuffle:
            self._shuffle()
        self._index = batch_size - left
        if self._index > self.num_examples:
            raise ValueError(f"A batch of {batch_size} is more than the {self.num_examples} examples that there are.")
        return (
            np.concatenate([images, self._images[: self._index]]),
            np.concatenate([labels, self._labels[: self._index]]),
        )

    def _shuffle(self) -> None:
        order = self._random.permutation(self.num_examples)
        self._images, self._labels = self._images[order], self._labels[order]


class Datasets(NamedTuple):
    """The digits for training, for choosing between models, and for the final test."""

    train: DataSet
    validation: DataSet
    test: DataSet


def dense_to_one_hot(labels_dense: np.ndarray, num_classes: int) -> np.ndarray:
    """[n] classes as [n, num_classes] with a 1 each."""
    return np.eye(num_classes)[labels_dense]


def read_data_sets(
    train_dir: Any,
    fake_data: bool = False,
    one_hot: bool = False,
    dtype: Any = float32,
    reshape: bool = True,
    validation_size: int = VALIDATION_SIZE,
    seed: int | None = None,
    source_url: str = "",
) -> Datasets:
    """The digits in a folder. FileNotFoundError, which says what is missing, if the folder does not have them.

    ValueError if `validation_size` is not between 0 and the number of training digits. `source_url` is ignored.
    """
    (images, labels), (test_images, test_labels) = _digits(Path(train_dir))
    if not 0 <= validation_size <= len(images):
        raise ValueError(f"Validation size should be between 0 and {len(images)}. Received: {validation_size}.")
    if one_hot:
        labels, test_labels = dense_to_one_hot(labels, 10), dense_to_one_hot(test_labels, 10)
    options = {"dtype": dtype, "reshape": reshape, "seed": seed}
    return Datasets(
        train=DataSet(images[validation_size:], labels[validation_size:], **options),
        validation=DataSet(images[:validation_size], labels[:validation_size], **options),
        test=DataSet(test_images, test_labels, **options),
    )


_Pair = tuple[np.ndarray, np.ndarray]


def _digits(folder: Path) -> tuple[_Pair, _Pair]:
    """(images [n, 28, 28, 1], labels [n]) for training and for testing."""
    try:
        train, test = _idx.read_digits(folder)
    except ExampleError as error:
        if os.environ.get("TFGRAPH_DIGITS") == "sklearn":
            return _of_sklearn()
        raise FileNotFoundError(
            f"The digits of the tutorial are not there ({error}). Put {', '.join(map(_idx.name_of, _idx.PARTS))} (plain or "
            f".gz) into {folder}, or set TFGRAPH_DIGITS=sklearn to take scikit-learn's digits instead."
        ) from None
    return (train.images[..., None], train.labels), (test.images[..., None], test.labels)


def _of_sklearn() -> tuple[_Pair, _Pair]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            f"TFGRAPH_DIGITS=sklearn needs scikit-learn ({error}): pip install 'tfgraph-compiler[examples]'"
        ) from error
    found = load_digits()
    small = np.repeat(np.repeat(found.images, 3, 1), 3, 2) * (255 / 16)  # 8x8 -> 24x24
    images = np.pad(small, [(0, 0), (2, 2), (2, 2)]).astype(np.uint8)[..., None]
    order = np.random.RandomState(0).permutation(len(images))
    images, labels = images[order], found.target[order].astype(np.uint8)
    held_out = len(images) // 6
    return (images[held_out:], labels[held_out:]), (images[:held_out], labels[:held_out])
