"""The part of an exported library that saves and loads: the table of a model's tensors, and the header of its files.

In: the variables and random operations of a model, each with its place in an instance. Out: C text with `tg_save` and
`tg_load`. The header of a file depends on the model alone but for its checksum, so it is made here, by the code that
`tf.train.Saver` writes it with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...checkpoint.model import RANDOM_PREFIX, RANDOM_WORDS
from ...checkpoint.safetensors import FORMAT, OPENING, SEAL_AT, SIZES, code_of, header_lines, order
from ...dtypes import DType, uint64
from ..render import render

_LENGTH = 8  # bytes before the header


@dataclass(frozen=True)
class Tensor:
    """A tensor of a model. `place` is C: the constant number of bytes from the beginning of an instance to its elements."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    place: str
    is_random: bool = False


def random_tensor(op_name: str, place: str) -> Tensor:
    """The state of a random operation: `uint64_t` seed, seed2 and counter."""
    return Tensor(RANDOM_PREFIX + op_name, uint64, (RANDOM_WORDS,), place, is_random=True)


def checkpoint_source(tensors: Sequence[Tensor], status: str) -> str:
    """C with two static functions, for file scope after the declaration of the codes `<status>_OK` and so on.

    `int tg_save(const char *instance, const char *path)` writes a checkpoint; `int tg_load(char *instance, const char *path,
    bool weights_only, bool *whole)` reads one. The text includes what it needs; under -std=c11 the file must begin with
    `#define _POSIX_C_SOURCE 200809L`. InvalidArgumentError for an element type that a file cannot have.
    """
    ordered = sorted(tensors, key=lambda t: order(t.name, t.dtype))
    lines = header_lines([(t.name, t.dtype, t.shape) for t in ordered])
    assert all(t.name.isascii() for t in ordered), "names of operations are ASCII"
    return render(
        "c/export/checkpoint.c.j2",
        status=status,
        format=FORMAT,
        tensors=[_row(t) for t in ordered] or [_NONE],
        count=len(ordered),
        most_dims=max([1, *(len(t.shape) for t in ordered)]),
        opening=_literal(OPENING),
        opening_bytes=_LENGTH + len(OPENING),
        pieces=[_literal(line) for line in lines[1:]],
        header_bytes=sum(map(len, lines)),
        seal_at=SEAL_AT,
        text_bytes=max([16, *(len(t.name) for t in ordered)]),
        types=[{"dtype": code, "bytes": size} for code, size in SIZES.items()],
    )


# stands in the table of a model without tensors, which C could not have otherwise
_NONE = '{"", "U8", 0, {0}, 0, 0, false}'


def _row(tensor: Tensor) -> str:
    fields = [
        _literal(tensor.name),
        _literal(code_of(tensor.name, tensor.dtype)),
        str(len(tensor.shape)),
        "{" + (", ".join(map(str, tensor.shape)) or "0") + "}",
        str(math.prod(tensor.shape) * tensor.dtype.size),
        tensor.place,
        "true" if tensor.is_random else "false",
    ]
    return "{" + ", ".join(fields) + "}"


def _literal(text: str) -> str:
    """ASCII as a C string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?") + '"'
