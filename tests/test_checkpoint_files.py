"""Checkpoint files: checksums, TensorFlow's bytes, and bundles that are wrong."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import numpy as np
import pytest

import tfgraph as tf
from tests._checkpoint_files import (
    DTYPES,
    GOOD,
    HEADER,
    TF_DATA,
    TF_INDEX,
    TF_VALUES,
    all_values,
    assert_equal,
    block_of,
    bytewise_crc,
    entry_of,
    put,
    table_of,
)
from tfgraph.checkpoint.bundle import BundleReader, data_path, write_bundle
from tfgraph.checkpoint.crc32c import crc32c
from tfgraph.checkpoint.entries import header
from tfgraph.checkpoint.reader import open_checkpoint
from tfgraph.checkpoint.safetensors import SafetensorsReader, write_safetensors
from tfgraph.checkpoint.table import read_table, write_table
from tfgraph.wire import varint

# --- checksums ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # this one and the next three: RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_crc_of_known_messages(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected == bytewise_crc(data)


def test_crc_of_all_lengths() -> None:
    data = np.random.default_rng(0).integers(0, 256, 400, np.uint8).tobytes()
    for size in range(len(data)):
        assert crc32c(memoryview(data)[:size]) == bytewise_crc(data[:size])


def test_crc_of_long_messages() -> None:
    data = np.random.default_rng(1).integers(0, 256, 3 * 65536 + 5, np.uint8).tobytes()
    for size in (65535, 65536, 65537, 2 * 65536, len(data)):
        assert crc32c(data[:size]) == bytewise_crc(data[:size])


def test_crc_continued() -> None:
    data = bytes(range(256)) * 3
    for cut in (0, 1, 100, 767, 768):
        assert crc32c(data[cut:], crc32c(data[:cut])) == crc32c(data)


# --- TensorFlow's bytes ---------------------------------------------------------------------------------------------------


def test_tensorflows_checkpoint_is_read(tmp_path: Path) -> None:
    assert_equal(all_values(BundleReader(put(tmp_path / "ck"))), TF_VALUES)


def test_the_same_values_give_the_same_bytes(tmp_path: Path) -> None:
    values = all_values(BundleReader(put(tmp_path / "theirs")))
    write_bundle(str(tmp_path / "ours"), values)
    assert (tmp_path / "ours.index").read_bytes() == TF_INDEX
    assert Path(data_path(str(tmp_path / "ours"))).read_bytes() == TF_DATA


def test_functions_on_checkpoints(tmp_path: Path) -> None:
    path = put(tmp_path / "ck")
    tf.train.update_checkpoint_state(tmp_path, path)
    assert tf.train.latest_checkpoint(tmp_path) == path
    expected = [(name, list(value.shape)) for name, value in TF_VALUES.items()]
    assert tf.train.list_variables(path) == tf.train.list_variables(str(tmp_path)) == expected
    assert tf.train.load_variable(path, "global_step:0") == 2
    np.testing.assert_array_equal(tf.train.load_variable(tmp_path, "net/bias"), [0.25, -1])
    reader = tf.train.NewCheckpointReader(path)
    assert reader.has_tensor("flag")
    assert not reader.has_tensor("flag:0")
    assert reader.get_variable_to_shape_map() == dict(expected)
    assert reader.get_variable_to_dtype_map()["net/bias"] == tf.float64
    assert reader.debug_string().decode().splitlines()[3:5] == ["net/bias (DT_DOUBLE) [2]", "net/w (DT_FLOAT) [2,2]"]
    with pytest.raises(tf.errors.NotFoundError, match="Key nope not found in checkpoint"):
        reader.get_tensor("nope")
    with pytest.raises(tf.errors.NotFoundError, match="Failed to find any matching files for"):
        tf.train.load_checkpoint(str(tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="Couldn't find 'checkpoint' file or checkpoints in given directory"):
        tf.train.list_variables(tmp_path / "empty")


def test_every_dtype_comes_back(tmp_path: Path) -> None:
    values = {dtype: np.arange(-3, 3).reshape(2, 3).astype(dtype) for dtype in DTYPES}
    values["scalar"] = np.array(3.5, np.float32)
    values["transposed"] = np.arange(6.0).reshape(2, 3).T
    write_safetensors(str(tmp_path / "s.safetensors"), values)
    assert_equal(all_values(open_checkpoint(str(tmp_path / "s.safetensors"))), values)
    values["text"] = np.array([[b"", b"a" * 300], ["é", b"\0"]], object)
    write_bundle(str(tmp_path / "b"), values)
    values["text"][1, 0] = "é".encode()
    assert_equal(all_values(open_checkpoint(str(tmp_path / "b"))), values)


def test_an_index_of_many_blocks(tmp_path: Path) -> None:
    values = {f"layer_{i % 7}/unit_{i:05d}/kernel": np.array(i) for i in range(12000)}
    write_bundle(str(tmp_path / "ck"), values)
    assert (tmp_path / "ck.index").stat().st_size > 1 << 18
    assert_equal(all_values(BundleReader(str(tmp_path / "ck"))), values)


def test_table_of_any_keys() -> None:
    generator = random.Random(5)
    keys = {bytes(generator.choices((0, 1, 97, 254, 255), k=generator.randrange(12))) for _ in range(3000)}
    rows = [(key, bytes([len(key)]) * generator.randrange(300)) for key in sorted(keys)]
    assert read_table(write_table(rows)) == rows
    assert read_table(write_table([])) == []


@pytest.mark.parametrize("name", ["", "\0x", "\ud800"])
def test_names_that_no_checkpoint_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="cannot be saved under the name"):
        write_bundle(str(tmp_path / "ck"), {name: np.zeros(2)})
    assert os.listdir(tmp_path) == []


# --- bundles that are wrong -----------------------------------------------------------------------------------------------


def test_the_hand_made_table_is_right(tmp_path: Path) -> None:
    path = put(tmp_path / "ck", table_of([block_of(HEADER), block_of(GOOD)]), bytes(8))
    np.testing.assert_array_equal(tf.train.load_variable(path, "w"), [0, 0])


INDEXES: dict[str, bytes] = {
    "empty": b"",
    "short": b"hi",
    "text": b"hello world " * 20,
    "no blocks": write_table([]),
    "no header": table_of([block_of(GOOD)]),
    "a block twice": table_of([block_of(HEADER)], [(0, len(block_of(HEADER)))] * 2),
    "a block behind the end": table_of([block_of(HEADER)], [(0, 1 << 40)]),
    "a block far away": table_of([block_of(HEADER)], [((1 << 64) - 1, (1 << 64) - 1)]),
    "a compression that there is not": table_of([block_of(HEADER, GOOD)], kind=9),
    "too many restarts": table_of([block_of(HEADER, GOOD)[:-4] + b"\xff" * 4]),
    "a block of nothing": table_of([b""]),
    "keys twice": table_of([block_of(HEADER, GOOD, GOOD)]),
    "keys that fall": table_of([block_of(HEADER, (0, b"x", entry_of()), GOOD)]),
    "a key that shares too much": table_of([block_of(HEADER, (5, b"w", entry_of()))]),
    "a value behind the end": table_of([b"\0\0\x7f" + bytes(10)]),
    "a number that does not end": table_of([b"\xff" * 30 + struct.pack("<II", 0, 1)]),
    "keys that grow": table_of([block_of(HEADER, (0, b"w" * 5000, b""), *[(5000, b"%07d" % i, b"") for i in range(30000)])]),
    "a name that is no text": table_of([block_of(HEADER, (0, b"\xff\xfe", entry_of()))]),
    "no data files": table_of([block_of((0, b"", varint(0)), GOOD)]),
    "too many data files": table_of([block_of((0, b"", b"\x08" + varint(1 << 30)), GOOD)]),
    "negative data files": table_of([block_of((0, b"", b"\x08" + varint((1 << 64) - 1)), GOOD)]),
    "a field of an unknown kind": table_of([block_of(HEADER, (0, b"w", b"\x0f\x01"))]),
    "a message behind the end": table_of([block_of(HEADER, (0, b"w", b"\x12\x7f\x01"))]),
    "another size": table_of([block_of(HEADER, (0, b"w", entry_of(shape=(3,))))]),
    "a negative size": table_of([block_of(HEADER, (0, b"w", entry_of(size=(1 << 64) - 8)))]),
    "a negative dimension": table_of([block_of(HEADER, (0, b"w", entry_of(shape=((1 << 64) - 1,))))]),
    "too many dimensions": table_of([block_of(HEADER, (0, b"w", entry_of(shape=(1,) * 99 + (2,))))]),
    "an impossible shape": table_of([block_of(HEADER, (0, b"w", entry_of(shape=(0, 1 << 60, 1 << 60), size=0)))]),
    "an unknown rank": table_of([block_of(HEADER, (0, b"w", b"\x08\x01\x12\x02\x18\x01"))]),
    "another data file": table_of([block_of(HEADER, (0, b"w", entry_of(shard=1)))]),
    "a place far away": table_of([block_of(HEADER, (0, b"w", entry_of(offset=1 << 63)))]),
    "a place behind the end": table_of([block_of(HEADER, (0, b"w", entry_of(offset=1)))]),
    "much memory": table_of([block_of(HEADER, (0, b"w", entry_of(shape=(1 << 50,), size=1 << 52)))]),
    "another checksum": table_of([block_of(HEADER, (0, b"w", entry_of(crc=5)))]),
    "strings without lengths": table_of([block_of(HEADER, (0, b"w", entry_of(dtype=7, shape=(9,))))]),
    "very many strings": table_of([block_of(HEADER, (0, b"w", entry_of(dtype=7, shape=(1 << 50,))))]),
}  # fmt: skip


@pytest.mark.parametrize("name", INDEXES)
def test_checkpoints_that_are_wrong(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / "ck", INDEXES[name], bytes(8))
    with pytest.raises(tf.errors.DataLossError):
        all_values(BundleReader(path))


@pytest.mark.parametrize(
    ("name", "index"),
    {
        "Snappy": table_of([block_of(HEADER, GOOD)], kind=1),
        "big-endian": table_of([block_of((0, b"", header() + b"\x10\x01"), GOOD)]),
        "version 2": table_of([block_of((0, b"", header() + b"\x1a\x02\x10\x02"), GOOD)]),
        "elements of type 14": table_of([block_of(HEADER, (0, b"w", entry_of(dtype=14)))]),
        "slices": table_of([block_of(HEADER, (0, b"\0part", b""), (0, b"w", entry_of() + b"\x3a\x00"))]),
    }.items(),
)
def test_checkpoints_that_are_not_read(tmp_path: Path, name: str, index: bytes) -> None:
    path = put(tmp_path / "ck", index, bytes(8))
    with pytest.raises(tf.errors.UnimplementedError, match=name):
        all_values(BundleReader(path))


def test_a_missing_data_file(tmp_path: Path) -> None:
    path = put(tmp_path / "ck")
    os.remove(data_path(path))
    with pytest.raises(tf.errors.NotFoundError, match="No such file or directory"):
        all_values(BundleReader(path))


@pytest.mark.parametrize("name", ["ck.index", "ck.data-00000-of-00001", "w.safetensors"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    put(tmp_path / "ck")
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(tf.errors.DataLossError, match="is not a file"):
        all_values(open_checkpoint(str(tmp_path / ("ck" if name.startswith("ck") else name))))


def test_a_folder_or_another_file_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"hello" * 100)
    with pytest.raises(tf.errors.DataLossError, match="latest_checkpoint"):
        open_checkpoint(str(tmp_path))
    with pytest.raises(tf.errors.DataLossError, match="Unable to open table file"):
        open_checkpoint(str(tmp_path / "plain"))
    assert not tf.train.checkpoint_exists("a\0b")
    with pytest.raises(tf.errors.DataLossError, match="is not a file"):
        SafetensorsReader(str(tmp_path))
