"""The status codes of an exported library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """A status: its number is its place in `CODES`."""

    name: str
    text: str


def in_c(codes: Sequence[Code], prefix: str) -> list[dict[str, object]]:
    """The enumerators for a library, in order."""
    return [
        {"name": f"{prefix}_{code.name}", "number": number, "text": code.text, "comment": f"/* {code.text} */"}
        for number, code in enumerate(codes)
    ]


CODES = (
    Code("OK", "no error"),
    Code("NULL_ARGUMENT", "a pointer is NULL that may not be"),
    Code("BAD_BATCH", "the batch is negative"),
    Code("BATCH_TOO_LARGE", "the batch needs more memory than there can be or was given"),
    Code("OUT_OF_MEMORY", "there is not enough memory"),
    Code("NOT_INITIALIZED", "a variable is used that has no value yet: initialize or load first"),
    Code("CHECK_FAILED", "an operation refused its input, such as a label out of range; failed_check names it"),
    Code("BAD_ALIGNMENT", "the memory for an instance does not begin at a multiple of 64 bytes"),
    Code("BAD_THREADS", "there cannot be that many threads"),
    Code("CANNOT_OPEN", "the file cannot be opened"),
    Code("CANNOT_READ", "the file cannot be read"),
    Code("CANNOT_WRITE", "the file cannot be written"),
    Code("DAMAGED_FILE", "the file is damaged, cut off, or no checkpoint"),
    Code("FOREIGN_FILE", "the file is not of this model: a tensor is missing, or of another type or shape"),
)

_ON_A_DEVICE = {
    "OUT_OF_MEMORY": "there is not enough memory on the device or the host",
    "BAD_ALIGNMENT": "the memory for an instance is not the device's, or does not begin at a multiple of 256 bytes",
}

CUDA_CODES = (
    *(Code(code.name, _ON_A_DEVICE.get(code.name, code.text)) for code in CODES),
    Code("NO_DEVICE", "there is no GPU that this library has code for, or no driver for it; device_error tells more"),
    Code("DEVICE_FAILED", "the GPU or its driver failed; device_error tells how"),
)
"""Those of a library for CUDA: C's, with the same numbers, and its own."""
