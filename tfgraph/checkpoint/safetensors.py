"""The safetensors format: eight bytes with the length of a JSON header, the header, the elements of all tensors.

The header maps each name to `dtype`, `shape` and `data_offsets`, the first byte and the one after the last, counted from the
end of the header. The tensors cover the rest of the file without gaps. The format has no strings and no checksums.

What is written here is *sealed*: the header begins with a CRC-32C of the whole file, whose own eight digits count as zeros.
Equal tensors make equal files: those with the largest elements come first, so that each starts at a multiple of its
element, and in the order of their names; the JSON has no spaces but those that let the elements start at a multiple of 64.
Exported C (templates/c/export/checkpoint.c.j2) writes the same bytes. Files of other tools, without a seal, are read, too.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from typing import Any, NoReturn

import numpy as np

from ..dtypes import DType, as_dtype
from ..errors import CodedError, InvalidArgumentError, NotFoundError
from .bundle import elements
from .crc32c import crc32c
from .files import NEW, opened, read_at, renamed, written
from .problems import damaged, unsupported

SUFFIX = ".safetensors"
_METADATA = "__metadata__"
_LENGTH = 8  # bytes of the header's length
_LONGEST_HEADER = 100_000_000  # bytes, as in the reference implementation
_MOST_DIMENSIONS = 32  # of a NumPy array
_LARGEST = 1 << 62
_ALIGNMENT = 64  # bytes: of the first element in the file, so of every element in memory that the file is mapped to
_BLOCK = 1 << 24  # bytes that are checked at once

FORMAT = "tfgraph-1"
UNSEALED = "00000000"
OPENING = f'{{"{_METADATA}":{{"crc32c":"{UNSEALED}","format":"{FORMAT}"}}'
SEAL_AT = _LENGTH + OPENING.index(UNSEALED)  # where in a file its checksum is
_SEALED = re.compile(re.escape(OPENING.encode()).replace(UNSEALED.encode(), b"([0-9a-f]{8})"))

_CODES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "uint16": "U16", "int16": "I16", "uint32": "U32", "int32": "I32",
    "uint64": "U64", "int64": "I64", "float16": "F16", "float32": "F32", "float64": "F64",
}  # fmt: skip
_DTYPES = {code: as_dtype(name) for name, code in _CODES.items()}
SIZES = {code: dtype.size for code, dtype in _DTYPES.items()}  # bytes of an element


# --- writing --------------------------------------------------------------------------------------------------------------


def write_safetensors(path: str, tensors: Mapping[str, np.ndarray]) -> None:
    """Write the sealed file, which replaces one of the same name when it is complete.

    InvalidArgumentError for strings and for a name that the format has for itself.
    """
    for name, array in tensors.items():
        code_of(name, as_dtype(array.dtype))
    ordered = sorted(tensors.items(), key=lambda item: order(item[0], as_dtype(item[1].dtype)))
    header = "".join(header_lines([(name, as_dtype(array.dtype), array.shape) for name, array in ordered])).encode()
    start = len(header).to_bytes(_LENGTH, "little") + header
    contents = [np.ascontiguousarray(a, a.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data for _, a in ordered]
    crc = crc32c(start)
    for content in contents:
        crc = crc32c(content, crc)
    with written(path + NEW) as file:
        file.write(start[:SEAL_AT] + b"%08x" % crc + start[SEAL_AT + len(UNSEALED) :])
        for content in contents:
            file.write(content)
    renamed(path + NEW, path)


def code_of(name: str, dtype: DType) -> str:
    """How the format calls the element type of a variable. InvalidArgumentError if it has not got it, or not the name."""
    if dtype.name not in _CODES or name == _METADATA:
        what = "under this name" if name == _METADATA else "because safetensors has no strings"
        raise InvalidArgumentError(None, None, f"Variable {name!r} cannot be saved {what}")
    return _CODES[dtype.name]


def order(name: str, dtype: DType) -> tuple[int, str]:
    """A key that sorts tensors as they stand in a file."""
    return -dtype.size, name


def header_lines(tensors: Sequence[tuple[str, DType, Sequence[int]]]) -> list[str]:
    """The header of a file with these tensors (in `order`), in pieces: its beginning with the digits of the checksum still
    zeros, a piece for each tensor, its end."""
    lines, offset = [OPENING], 0
    for name, dtype, shape in tensors:
        end = offset + math.prod(shape) * dtype.size
        content = {"dtype": code_of(name, dtype), "shape": [int(size) for size in shape], "data_offsets": [offset, end]}
        lines.append(f",{json.dumps(name)}:{json.dumps(content, separators=(',', ':'))}")
        offset = end
    length = _LENGTH + sum(map(len, lines)) + 1
    return [*lines, "}" + " " * (-length % _ALIGNMENT)]


# --- reading --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    code: str
    shape: tuple[int, ...]
    start: int
    end: int


class SafetensorsReader:
    """An open file: `entries` by name. The header has been checked against the size of the file; the checksum of a sealed
    file is checked before the first value is read."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with opened(path) as (file, size):
                length = int.from_bytes(read_at(file, 0, min(_LENGTH, size), path).tobytes(), "little")
                if size < _LENGTH or length > min(size - _LENGTH, _LONGEST_HEADER):
                    raise damaged("it does not start with the length of its header")
                text = read_at(file, _LENGTH, length, path).tobytes()
            self._start = _LENGTH + length
            header = _parsed(text)
            self._unchecked = _seal(text, header.pop(_METADATA, {}))
            self.entries = _places(header, size - self._start)
        except CodedError as error:
            if isinstance(error, NotFoundError):
                raise
            raise type(error)(None, None, f"Unable to read file ({path}): {error.message}") from None

    def shape(self, name: str) -> tuple[int, ...]:
        return self.entries[name].shape

    def dtype(self, name: str) -> DType | None:
        """The element type; None if this library does not have it."""
        return _DTYPES.get(self.entries[name].code)

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """The values of some tensors."""
        values = {}
        with opened(self.path) as (file, size):
            self._check_seal(file, size)
            for name in names:
                place, dtype = self.entries[name], self.dtype(name)
                if dtype is None:
                    raise unsupported(f"tensor {name!r} has elements of type {place.code}")
                if self._start + place.end > size:
                    raise damaged(f"{self.path}: Read less bytes than requested")
                octets = read_at(file, self._start + place.start, place.end - place.start, self.path)
                values[name] = elements(octets, dtype).reshape(place.shape)
        return values

    def _check_seal(self, file: FileIO, size: int) -> None:
        if self._unchecked is None:
            return
        crc = 0
        for start in range(0, size, _BLOCK):
            block = read_at(file, start, min(_BLOCK, size - start), self.path)
            if start == 0:
                block[SEAL_AT : SEAL_AT + len(UNSEALED)] = ord("0")
            crc = crc32c(block, crc)
        if crc != self._unchecked:
            stored = f"stored {self._unchecked:08x} vs. calculated {crc:08x}"
            raise damaged(f"{self.path}: Checksum does not match: {stored}")
        self._unchecked = None


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(
            text.decode(), object_pairs_hook=_once_each, parse_int=_size, parse_float=_no_such, parse_constant=_no_such
        )
    except (ValueError, RecursionError) as error:
        raise damaged(f"its header is not the JSON that it should be: {error}") from None
    if not text.startswith(b"{") or not isinstance(header, dict):
        raise damaged("its header is not a JSON object")
    return header


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result


def _size(text: str) -> int:
    return _no_such(text) if text.startswith("-") else int(text)


def _no_such(text: str) -> NoReturn:
    raise ValueError(f"{text} is no size")


def _seal(text: bytes, metadata: Any) -> int | None:
    """The checksum of a sealed file, None for one without. What says that it is sealed must be so, to the byte."""
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise damaged("its metadata is not a map of strings")
    if "crc32c" not in metadata and metadata.get("format") != FORMAT:
        return None
    found = _SEALED.match(text)
    if found is None:
        raise damaged("its checksum is not where it should be")
    return int(found.group(1), 16)


def _places(header: dict[str, Any], data_size: int) -> dict[str, _Place]:
    places = {name: _place(name, content) for name, content in header.items()}
    reached = 0
    for name, place in sorted(places.items(), key=lambda item: (item[1].start, item[1].end)):
        if place.start != reached:
            raise damaged(f"tensor {name!r} starts at byte {place.start}, not {reached}")
        reached = place.end
    if reached != data_size:
        raise damaged(f"its tensors have {reached} bytes, but {data_size} are there")
    return places


def _place(name: str, content: Any) -> _Place:
    if not isinstance(content, dict) or content.keys() != {"dtype", "shape", "data_offsets"}:
        raise damaged(f"tensor {name!r} is not described by dtype, shape and data_offsets")
    code, shape, offsets = content["dtype"], content["shape"], content["data_offsets"]
    if not isinstance(code, str) or not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2:
        raise damaged(f"tensor {name!r} is not described as it should be")
    start, end = offsets
    if start > end or len(shape) > _MOST_DIMENSIONS or math.prod(max(size, 1) for size in shape) > _LARGEST:
        raise damaged(f"tensor {name!r} has an impossible shape or place")
    count, known = math.prod(shape), _DTYPES.get(code)
    if known is not None and end - start != count * known.size:
        raise damaged(f"tensor {name!r} has {end - start} bytes, but {count} elements of {known.name}")
    return _Place(code, tuple(shape), start, end)


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item <= _LARGEST for item in value)
