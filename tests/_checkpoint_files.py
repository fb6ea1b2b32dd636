"""Checkpoints that TensorFlow and safetensors wrote, and how tests put and compare them."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from tfgraph.checkpoint.bundle import BundleReader, data_path
from tfgraph.checkpoint.crc32c import crc32c, masked
from tfgraph.checkpoint.entries import Entry, encoded, header
from tfgraph.checkpoint.safetensors import SafetensorsReader
from tfgraph.wire import varint

# written by tf.compat.v1.train.Saver of TensorFlow 2.21 after two steps of a MomentumOptimizer
TF_INDEX = base64.b64decode(
    "AAAGCAEaAggBAAQPZmxhZwgKEgQSAggCKAI1X7DOgQALDWdsb2JhbF9zdGVwCAkSACACKAg1eCcLNAAFEW5hbWVzCAcSBBICCAMgCigMNRCtxD8BBxFldC9i"
    "aWFzCAISBBICCAIgFigQNWRrApcEARV3CAESCBICCAISAggCICYoEDU1EFmJBQkVL01vbWVudHVtCAESCBICCAISAggCIDYoEDVn9MElAQMRb25lCBMSBhIA"
    "EgIIAyBGNdjqgqIAAAAAAQAAAACgTzSlAAAAAAEAAAAAwPKhsAABA28AxwEAAAAAAQAAAAD+iFmwzAEI2QEPAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAFf7gIskdUfb"
)
TF_DATA = base64.b64decode(
    "AQACAAAAAAAAAAIAAxtCi8phYnh5egAAAAAAANA/AAAAAAAA8L9mZma/Zmbmv8zMLMCZmYHAZmbmP2ZmZkDMzKxAmZkBQQ=="
)
TF_VALUES: dict[str, np.ndarray] = {
    "flag": np.array([True, False]),
    "global_step": np.array(2),
    "names": np.array([b"ab", b"", b"xyz"], object),
    "net/bias": np.array([0.25, -1.0]),
    "net/w": np.float32([[1, 2], [3, 4.5]]) * np.float32(-0.9),
    "net/w/Momentum": np.float32([[1, 2], [3, 4.5]]) * np.float32(1.8),
    "none": np.zeros((0, 3), np.float16),
}
# written by the function safetensors.numpy.save of safetensors 0.7
SAFETENSORS = base64.b64decode(
    "0AAAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJucCJ9LCJzdGVwIjp7ImR0eXBlIjoiSTY0Iiwic2hhcGUiOltdLCJkYXRhX29mZnNldHMiOlsw"
    "LDhdfSwidyI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMiwyXSwiZGF0YV9vZmZzZXRzIjpbOCwyNF19LCJmbGFnIjp7ImR0eXBlIjoiQk9PTCIsInNoYXBl"
    "IjpbXSwiZGF0YV9vZmZzZXRzIjpbMjQsMjVdfX0gICAgICAgBwAAAAAAAAAAAIA/AAAAQAAAQEAAAJBAAQ=="
)
SAFETENSORS_VALUES = {
    "step": np.array(7),
    "w": np.float32([[1, 2], [3, 4.5]]),
    "flag": np.array(True),
}
DTYPES = "bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 float32 float64".split()


def bytewise_crc(data: bytes, crc: int = 0) -> int:
    """CRC-32C by its definition, bit by bit."""
    crc ^= 0xFFFFFFFF
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def put(prefix: Path, index: bytes = TF_INDEX, data: bytes = TF_DATA) -> str:
    Path(f"{prefix}.index").write_bytes(index)
    Path(data_path(str(prefix))).write_bytes(data)
    return str(prefix)


def put_safetensors(path: Path, head: Any, data: bytes = b"") -> str:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return str(path)


def all_values(reader: BundleReader | SafetensorsReader) -> dict[str, np.ndarray]:
    return reader.read(reader.entries)


def assert_equal(ours: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert sorted(ours) == sorted(expected)
    for name, value in expected.items():
        assert (ours[name].dtype, ours[name].shape) == (value.dtype, value.shape), name
        np.testing.assert_allclose(ours[name], value, rtol=1e-6) if value.dtype == np.float32 else (
            np.testing.assert_array_equal(ours[name], value)
        )


def sealed_block(content: bytes, kind: int = 0) -> bytes:
    content += bytes([kind])
    return content + masked(crc32c(content)).to_bytes(4, "little")


def block_of(*rows: tuple[int, bytes, bytes]) -> bytes:
    """Rows of how much of the key is shared, the rest of it, and the value."""
    entries = b"".join(varint(shared) + varint(len(k)) + varint(len(v)) + k + v for shared, k, v in rows)
    return entries + struct.pack("<II", 0, 1)


def table_of(blocks: list[bytes], handles: list[tuple[int, int]] | None = None, kind: int = 0) -> bytes:
    """A table file with these blocks; `handles` are where its index says that they are."""
    file, places = b"", []
    for block in blocks:
        places.append((len(file), len(block)))
        file += sealed_block(block, kind)
    rows = [(0, b"%05d" % i, varint(a) + varint(b)) for i, (a, b) in enumerate(handles or places)]
    index = block_of(*rows)
    footer = varint(0) + varint(0) + varint(len(file)) + varint(len(index))
    return file + sealed_block(index) + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def entry_of(**changes: Any) -> bytes:
    content = {"dtype": 1, "shape": (2,), "shard": 0, "offset": 0, "size": 8, "crc": masked(crc32c(bytes(8)))}
    return encoded(Entry(**(content | changes)))


GOOD = (0, b"w", entry_of())
HEADER = (0, b"", header())
