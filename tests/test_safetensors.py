"""The safetensors format: as its reference implementation writes it, and files that are wrong."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._checkpoint_files import (
    SAFETENSORS,
    SAFETENSORS_VALUES,
    all_values,
    assert_equal,
    bytewise_crc,
    put_safetensors,
)
from tfgraph.checkpoint.safetensors import SafetensorsReader, write_safetensors


def test_safetensors_of_the_reference_implementation(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(SAFETENSORS)
    assert_equal(all_values(SafetensorsReader(str(path))), SAFETENSORS_VALUES)


def test_safetensors_as_written(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_safetensors(
        str(path), {"a": np.uint8([1, 2, 3]), 'é"': np.float32(2), "b": np.float64([1.5]), "aa": np.int8([[]])}
    )
    head = (
        b'{"__metadata__":{"crc32c":"00000000","format":"tfgraph-1"}'
        b',"b":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}'
        b',"\\u00e9\\"":{"dtype":"F32","shape":[],"data_offsets":[8,12]}'
        b',"a":{"dtype":"U8","shape":[3],"data_offsets":[12,15]}'
        b',"aa":{"dtype":"I8","shape":[1,0],"data_offsets":[15,15]}}'
    )
    head += b" " * (-(8 + len(head)) % 64)
    file = struct.pack("<Q", len(head)) + head + struct.pack("<d", 1.5) + struct.pack("<f", 2) + b"\1\2\3"
    assert path.read_bytes() == file.replace(b"00000000", b"%08x" % bytewise_crc(file), 1)


@pytest.mark.parametrize("name", ["s", "__metadata__"])
def test_what_safetensors_cannot_hold(tmp_path: Path, name: str) -> None:
    value = np.zeros(2) if name == "__metadata__" else np.array([b"text"], object)
    with pytest.raises(tf.errors.InvalidArgumentError, match="cannot be saved"):
        write_safetensors(str(tmp_path / "w.safetensors"), {name: value})
    assert os.listdir(tmp_path) == []


def tensor(shape: Any, offsets: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("head", "data"),
    [
        (b"", b""),
        (b"[]", b""),
        (b" {}", b""),
        (b"{", b""),
        (b"\xff{}", b""),
        (b'{"a":' * 100_000, b""),
        (b"[" * 100_000, b""),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":1}', bytes(4)),
        (b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,4]}}', bytes(4)),
        ({"a": 1}, b""),
        ({"a": tensor([1], [0, 4]) | {"more": 1}}, bytes(4)),
        ({"a": tensor([1], [0, 4], 7)}, bytes(4)),
        ({"a": tensor([1.0], [0, 4])}, bytes(4)),
        ({"a": tensor([True], [0, 4])}, bytes(4)),
        ({"a": tensor([-1], [0, 4])}, bytes(4)),
        ({"a": tensor("1", [0, 4])}, bytes(4)),
        ({"a": tensor([1], [0, 4, 8])}, bytes(4)),
        ({"a": tensor([1], [4, 0])}, bytes(4)),
        ({"a": tensor([2], [0, 4])}, bytes(4)),
        ({"a": tensor([1] * 40, [0, 4])}, bytes(4)),
        ({"a": tensor([1 << 61, 1 << 61, 0], [0, 0])}, b""),
        ({"a": tensor([1 << 40], [0, 1 << 42])}, bytes(4)),
        ({"a": tensor([1], [0, 4])}, bytes(8)),
        ({"a": tensor([1], [4, 8])}, bytes(8)),
        ({"a": tensor([1], [0, 4]), "b": tensor([1], [0, 4])}, bytes(4)),
        ({"__metadata__": {"a": 1}}, b""),
        ({"__metadata__": []}, b""),
        ({"__metadata__": {"format": "tfgraph-1"}}, b""),
        ({"__metadata__": {"format": "pt", "crc32c": "00000000"}}, b""),
        ({"__metadata__": {"crc32c": "00000000", "format": "tfgraph-1"}}, b""),  # with spaces
        (b'{"__metadata__":{"crc32c":"0000000G","format":"tfgraph-1"}}', b""),
        (b'{"__metadata__":{"crc32c":"00000000","format":"tfgraph-1"}}', b""),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}}', bytes(4)),
    ],
)
def test_safetensors_that_are_wrong(tmp_path: Path, head: Any, data: bytes) -> None:
    path = put_safetensors(tmp_path / "w.safetensors", head, data)
    with pytest.raises(tf.errors.DataLossError, match=r"Unable to read file|Checksum does not match"):
        all_values(SafetensorsReader(path))


def test_safetensors_of_an_unknown_type(tmp_path: Path) -> None:
    path = put_safetensors(tmp_path / "w.safetensors", {"a": tensor([2], [0, 4], "BF16")}, bytes(4))
    assert tf.train.list_variables(path) == [("a", [2])]
    with pytest.raises(tf.errors.UnimplementedError, match="BF16"):
        tf.train.load_variable(path, "a")


def test_bytes_that_are_no_bool(tmp_path: Path) -> None:
    path = put_safetensors(tmp_path / "w.safetensors", {"a": tensor([3], [0, 3], "BOOL")}, b"\0\1\7")
    assert tf.train.load_variable(path, "a").view(np.uint8).tolist() == [0, 1, 1]
