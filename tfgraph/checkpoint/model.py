"""Checkpoints of a whole training run: variables, and where each random operation stands, in one sealed safetensors file.

A random operation is a tensor of three uint64, `tfgraph/random/<its name>`: the two words of its key and the counter of its
next run. Exported C writes and reads the same file, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..errors import InvalidArgumentError
from .bundle import BundleReader
from .safetensors import SafetensorsReader, write_safetensors

RANDOM_PREFIX = "tfgraph/random/"
RANDOM_WORDS = 3
_MASK = 2**64 - 1

RandomWords = tuple[int, int, int]
"""Both words of a random operation's key, and the counter of its next run."""


def write_model_checkpoint(path: str, variables: Mapping[str, np.ndarray], randoms: Mapping[str, RandomWords]) -> None:
    """Write the values of variables by their names in the file, and random states by the names of their operations.

    The file replaces one of the same name when it is complete. InvalidArgumentError for a variable that is a string or has
    a name that means something else in the file; other `tf.errors` for what the disk says.
    """
    for name in variables:
        if name.startswith(RANDOM_PREFIX):
            raise InvalidArgumentError(None, None, f"Variable {name!r} cannot be saved under a name of a random state")
    rows = {RANDOM_PREFIX + name: np.array([w & _MASK for w in words], np.uint64) for name, words in randoms.items()}
    write_safetensors(path, {**variables, **rows})


def random_states(reader: BundleReader | SafetensorsReader, op_names: Iterable[str]) -> list[str]:
    """The names of the operations, of those given, whose states a checkpoint has.

    InvalidArgumentError if what it has under such a name is something else.
    """
    found = [name for name in op_names if RANDOM_PREFIX + name in reader.entries]
    for name in found:
        key = RANDOM_PREFIX + name
        dtype = reader.dtype(key)
        if dtype is None or dtype.name != "uint64" or reader.shape(key) != (RANDOM_WORDS,):
            raise InvalidArgumentError(None, None, f"{key} is not the state of a random operation, three uint64")
    return found


def words_of(value: np.ndarray) -> RandomWords:
    """The state in a tensor of a checkpoint."""
    seed, seed2, counter = value.tolist()
    return seed, seed2, counter
