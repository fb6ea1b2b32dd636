"""The ops of TensorFlow's own savers, for graphs that it built. They run in Python; `tf.train.Saver` needs none of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InvalidArgumentError, NotFoundError
from ..opdef import REQUIRED, Call, host


def _text(value: Any) -> str:
    found = np.asarray(value, object).item()
    return found.decode() if isinstance(found, bytes) else str(found)


def _texts(values: Any) -> list[str]:
    return [_text(value) for value in np.asarray(values, object).reshape(-1)]


def _whole(slices: Any) -> None:
    if any(_texts(slices)):
        raise InvalidArgumentError(None, None, "variables that were saved in slices are not implemented")


@host(
    "SaveV2",
    "prefix: string, tensor_names: string, shape_and_slices: string, tensors: N*any ->",
    lambda call: [],
    effect="file",
    dtypes=REQUIRED,
)
def save_v2(call: Call, prefix: Any, names: Any, slices: Any, tensors: Sequence[Any]) -> tuple[()]:
    """Writes the tensors as a checkpoint (format V2) with the prefix."""
    from ..checkpoint.bundle import write_bundle

    _whole(slices)
    arrays = [np.asarray(tensor) for tensor in tensors]
    write_bundle(_text(prefix), dict(zip(_texts(names), arrays, strict=True)))
    return ()


@host(
    "RestoreV2",
    "prefix: string, tensor_names: string, shape_and_slices: string -> tensors: N*any",
    lambda call: [None] * len(call.attr("dtypes")),
    effect="file",
    dtypes=REQUIRED,
)
def restore_v2(call: Call, prefix: Any, names: Any, slices: Any) -> tuple[Any, ...]:
    """The tensors of these names from a checkpoint."""
    from ..checkpoint.reader import open_checkpoint

    _whole(slices)
    wanted = _texts(names)
    reader = open_checkpoint(_text(prefix))
    for name in wanted:
        if name not in reader.entries:
            raise NotFoundError(None, None, f"Key {name} not found in checkpoint")
    found = reader.read(wanted)
    return tuple(found[name] for name in wanted)
