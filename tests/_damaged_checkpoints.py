"""Safetensors files changed at random: their bytes, the text of their headers, and what their headers say.

Some are resealed, with the right checksum for what they have become, so that nothing but the checks of the header is left.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from typing import Any

from tfgraph.checkpoint.crc32c import crc32c

SEAL_AT = 8 + len('{"__metadata__":{"crc32c":"')
NUMBERS = (
    0, 1, 2, 3, 4, 5, 8, 12, 31, 48, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**61, 2**62, 2**62 + 1, 2**63 - 1, 2**63,
    2**64 - 48, 2**64 - 1, 2**64, 2**64 + 48, 10**30, -1, -48, 1.5, 1e3,
)  # fmt: skip
OTHERS = (None, True, False, "", "F32", "x", [], {}, [[]], [0, 48], [3, 2, 2], {"a": 1}, [1] * 33)
CODES = ("F32", "F64", "F16", "BF16", "U64", "I64", "BOOL", "U8", "f32", "F8_E4M3", "")
SYMBOLS = '{}[]",:0123456789-+.eE\\u \t\n\r\0tfn\x7f\x80\xc3\xa9\xff'

Pairs = list[tuple[str, Any]]


def sealed(content: bytes) -> bytes:
    """The file with the right checksum where the checksum is."""
    if len(content) < SEAL_AT + 8:
        return content
    zeros = content[:SEAL_AT] + b"00000000" + content[SEAL_AT + 8 :]
    return zeros[:SEAL_AT] + b"%08x" % crc32c(zeros) + zeros[SEAL_AT + 8 :]


def parts(content: bytes) -> tuple[bytes, bytes]:
    """The header and the data."""
    (length,) = struct.unpack("<Q", content[:8])
    return content[8 : 8 + length], content[8 + length :]


def whole(header: bytes, data: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def written(pairs: Pairs) -> bytes:
    """A header as JSON; pairs may have the same name twice."""
    members = [f"{json.dumps(name)}:{json.dumps(content, separators=(',', ':'))}" for name, content in pairs]
    text = "{" + ",".join(members) + "}"
    return text.encode() + b" " * (-(8 + len(text)) % 64)


# --- what is changed ------------------------------------------------------------------------------------------------------


def changed_bytes(content: bytes, generator: random.Random) -> bytes:
    """Bits turned, bytes overwritten, cut out, put in, exchanged; the end missing."""
    result = bytearray(content)
    for _ in range(generator.choice((1, 1, 1, 2, 5))):
        at = generator.randrange(len(result)) if result else 0
        size = generator.randrange(1, 17)
        what = generator.randrange(8)
        if what == 0:
            del result[at:]
        elif what == 1:
            del result[at : at + size]
        elif what == 2:
            result[at:at] = generator.randbytes(size)
        elif what == 3 and len(result) > 40:
            other = generator.randrange(len(result) - 32)
            at = generator.randrange(len(result) - 32)
            result[at : at + size], result[other : other + size] = result[other : other + size], result[at : at + size]
        elif what == 4 and len(result) >= 8:
            result[:8] = struct.pack("<Q", abs(int(generator.choice(NUMBERS))) % 2**64)
        elif result:
            result[at] = generator.choice((0, 0xFF, 0x7F, result[at] ^ 1 << generator.randrange(8)))
    return bytes(result)


def changed_text(content: bytes, generator: random.Random) -> bytes:
    """A character of the header replaced, put in or left out; the length is right."""
    header, data = parts(content)
    result = bytearray(header)
    for _ in range(generator.choice((1, 1, 2, 3))):
        at = generator.randrange(len(header.rstrip()))
        symbol = generator.choice(SYMBOLS).encode("latin-1")
        what = generator.randrange(3)
        result[at : at + (what != 1)] = b"" if what == 2 else symbol
    return whole(bytes(result), data)


def changed_meaning(content: bytes, generator: random.Random) -> bytes:
    """Another number, name, type or order in the header; some of it changes nothing that a reader should mind."""
    header, data = parts(content)
    pairs: Pairs = json.loads(header, object_pairs_hook=lambda found: found)
    pairs = [(name, dict(fields)) for name, fields in pairs]
    at, other = generator.randrange(1, len(pairs)), generator.randrange(1, len(pairs))
    name, entry = pairs[at]
    what = generator.randrange(10)
    if what <= 2:
        field = generator.choice(("shape", "data_offsets"))
        values = list(entry[field])
        place = generator.randrange(len(values) + (what == 2)) if values else 0
        values[place : place + (what != 2)] = [generator.choice(NUMBERS)]
        entry[field] = values
    elif what == 3:
        entry["dtype"] = generator.choice(CODES)
    elif what == 4:
        entry[generator.choice(("dtype", "shape", "data_offsets", "more"))] = generator.choice(OTHERS)
    elif what == 5:
        entry["data_offsets"], pairs[other][1]["data_offsets"] = pairs[other][1]["data_offsets"], entry["data_offsets"]
    elif what == 6:
        pairs[at] = (generator.choice((name + "x", name[:-1], name.upper(), "", "é", pairs[other][0])), entry)
    elif what == 7:
        del pairs[at]
    elif what == 8:
        tail = pairs[1:]
        generator.shuffle(tail)
        pairs[1:] = tail
    else:
        size = generator.choice((0, 1, 8))
        extra = {"dtype": generator.choice(CODES), "shape": [size], "data_offsets": [len(data), len(data) + size]}
        pairs.append(("extra", extra))
        data += bytes(size)
    return whole(written(pairs), data)


CHANGES = (changed_bytes, changed_text, changed_meaning)


def damaged_files(originals: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Changed files, half of them resealed."""
    generator = random.Random(seed)
    for _ in range(count):
        content = generator.choice(CHANGES)(generator.choice(originals), generator)
        yield sealed(content) if generator.random() < 0.5 else content
