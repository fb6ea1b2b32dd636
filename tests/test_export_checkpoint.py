"""Checkpoints of exported C: the bytes that Python writes, what is refused, and what a save leaves that is cut off."""

from __future__ import annotations

import json
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from tests._c_compiler import COMPILER, compile_c
from tests._damaged_checkpoints import parts, sealed, whole
from tests._export_checkpoint import (
    INSTANCE_BYTES,
    PLACES,
    STATUSES,
    VARIABLES,
    build,
    call,
    instance,
    saved_by_python,
    tensors,
)
from tfgraph.checkpoint.safetensors import SafetensorsReader, write_safetensors
from tfgraph.codegen.export.checkpoint import checkpoint_source
from tfgraph.dtypes import as_dtype
from tfgraph.errors import DataLossError

pytestmark = pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="needs gcc in PATH, and a linker with --wrap as Linux has it"
)

OK, CANNOT_OPEN, CANNOT_READ, CANNOT_WRITE, DAMAGED_FILE, FOREIGN_FILE = range(len(STATUSES))
EMPTY = b"\xa5" * INSTANCE_BYTES


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("driver"), "-O1", "-std=gnu11", "-Wall", "-Wextra", "-Wpedantic", "-Werror")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return saved_by_python(tmp_path_factory.mktemp("good") / "good.safetensors")


def saved(driver: Path, folder: Path, path: Path | str, state: bytes | None = None) -> int:
    (folder / "instance").write_bytes(instance() if state is None else state)
    return call(driver, "save", folder / "instance", path)[0]


def loaded(driver: Path, folder: Path, content: bytes, weights_only: bool = False) -> tuple[int, bytes]:
    """What loading a file said, and the instance, which was empty."""
    (folder / "it.safetensors").write_bytes(content)
    (folder / "instance").write_bytes(EMPTY)
    status, _ = call(driver, "load", folder / "instance", folder / "it.safetensors", "w" if weights_only else "-")
    return status, (folder / "instance").read_bytes()


# --- the same bytes -------------------------------------------------------------------------------------------------------


def test_c_writes_what_python_writes(driver: Path, good: bytes, tmp_path: Path) -> None:
    assert saved(driver, tmp_path, tmp_path / "c.safetensors") == OK
    assert (tmp_path / "c.safetensors").read_bytes() == good
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.safetensors", "instance"]


def test_c_reads_what_python_writes(driver: Path, good: bytes, tmp_path: Path) -> None:
    assert loaded(driver, tmp_path, good) == (OK, instance())


def test_a_model_without_tensors(tmp_path: Path) -> None:
    driver = build(tmp_path, "-Wall", "-Wextra", "-Werror", rows=[])
    assert saved(driver, tmp_path, tmp_path / "c.safetensors") == OK
    write_safetensors(str(tmp_path / "python.safetensors"), {})
    content = (tmp_path / "python.safetensors").read_bytes()
    assert (tmp_path / "c.safetensors").read_bytes() == content
    assert loaded(driver, tmp_path, content) == (OK, EMPTY)


@pytest.mark.parametrize("options", [["-std=c11"], ["-std=c++17", "-x", "c++"]], ids=["C11", "C++17"])
def test_no_compiler_complains(tmp_path: Path, options: list[str]) -> None:
    text = "#define _POSIX_C_SOURCE 200809L\nenum {" + ", ".join(f"TG_{s}" for s in STATUSES) + "};\n"
    main = "int main(void) { bool whole; return tg_save(0, 0) + tg_load(0, 0, false, &whole); }\n"
    (tmp_path / "it.c").write_text(text + checkpoint_source(tensors(), "TG") + main)
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wno-nonnull", "-Werror", "-O2", "-c"]
    compile_c(*options, *warnings, "it.c", folder=tmp_path)


# --- what is taken --------------------------------------------------------------------------------------------------------


def plain(values: dict[str, np.ndarray], spaces: bool = False) -> bytes:
    """A file as other programs write it."""
    header, data = {}, b""
    for name, value in values.items():
        code = {"f": "F", "i": "I", "b": "BOOL", "u": "U"}[value.dtype.kind]
        code += str(8 * value.itemsize) if value.dtype.kind != "b" else ""
        place = [len(data), len(data) + value.nbytes]
        header[name] = {"data_offsets": place, "shape": list(value.shape), "dtype": code}
        data += value.tobytes()
    text = json.dumps(header, indent=1 if spaces else None).encode()
    return whole(text, data)


def values() -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in VARIABLES.items()}


@pytest.mark.parametrize("spaces", [False, True])
def test_weights_of_another_program(driver: Path, tmp_path: Path, spaces: bool) -> None:
    """Variables alone, in any order, among others; the states of random operations stay as they are."""
    others = {"more": np.uint8([1, 2, 3]), **dict(reversed(values().items())), "é\n": np.float64([[1]])}
    assert loaded(driver, tmp_path, plain(others, spaces)) == (FOREIGN_FILE, EMPTY)
    assert loaded(driver, tmp_path, plain(others, spaces), weights_only=True) == (OK, instance(values()))


def test_weights_of_a_checkpoint(driver: Path, good: bytes, tmp_path: Path) -> None:
    assert loaded(driver, tmp_path, good, weights_only=True) == (OK, instance(values()))


def test_a_checkpoint_with_more_in_it(driver: Path, tmp_path: Path) -> None:
    everything = {name: value for name, (_, value) in PLACES.items()}
    more = {"a": np.zeros(100_000), "z": np.array([True]), "none": np.zeros((0, 2))}
    write_safetensors(str(tmp_path / "more"), {**everything, **more})
    assert loaded(driver, tmp_path, (tmp_path / "more").read_bytes()) == (OK, instance())


def test_names_in_escapes(driver: Path, tmp_path: Path) -> None:
    content = plain(values())
    header, data = parts(content)
    header = header.replace(b'"flag"', b'"\\u0066l\\u0061g"').replace(b'"F16"', b'"\\u0046\\u0031\\u0036"')
    assert loaded(driver, tmp_path, whole(header, data), weights_only=True) == (OK, instance(values()))


def test_bytes_that_are_no_bool(driver: Path, good: bytes, tmp_path: Path) -> None:
    place = good.rindex(b"\1\0\1")
    content = sealed(good[:place] + b"\x80\0\xff" + good[place + 3 :])
    assert loaded(driver, tmp_path, content) == (OK, instance())


# --- what is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(PLACES))
@pytest.mark.parametrize("change", ["missing", "shape", "rank", "dtype"])
def test_files_of_another_model(driver: Path, tmp_path: Path, name: str, change: str) -> None:
    everything = {name: value for name, (_, value) in PLACES.items()}
    value = everything.pop(name)
    different = {
        "missing": None,
        "shape": np.concatenate([value, value]) if value.ndim else np.zeros(2, value.dtype),
        "rank": value[None],
        "dtype": np.zeros(value.shape, np.uint32),
    }[change]
    if different is not None:
        everything[name] = different
    write_safetensors(str(tmp_path / "other"), everything)
    assert loaded(driver, tmp_path, (tmp_path / "other").read_bytes()) == (FOREIGN_FILE, EMPTY)


def test_truncated_files(driver: Path, good: bytes, tmp_path: Path) -> None:
    for size in range(0, len(good), 7):
        assert loaded(driver, tmp_path, good[:size]) == (DAMAGED_FILE, EMPTY), size
    for more in (b"\0", bytes(64), good):
        assert loaded(driver, tmp_path, good + more) == (DAMAGED_FILE, EMPTY)


def test_a_seal_that_is_gone(driver: Path, good: bytes, tmp_path: Path) -> None:
    """What says that it is sealed must be; without any such word it is a file of another program."""
    header, data = parts(good)
    for old, new in [
        (b'{"crc32c":', b'{"crc32d":'),
        (b'{"crc32c":', b'{ "crc32c":'),
        (b'"format"', b'"Format"'),
        (b"tfgraph-1", b"tfgraph-2"),
        (b"__metadata__", b"__metadatb__"),
    ]:
        for weights_only in (False, True):
            content = whole(header.replace(old, new, 1), data)
            assert loaded(driver, tmp_path, content, weights_only) == (DAMAGED_FILE, EMPTY), (old, new)
    content = whole(b"{" + header[header.index(b"},") + 2 :], data)
    assert loaded(driver, tmp_path, content) == (FOREIGN_FILE, EMPTY)
    assert loaded(driver, tmp_path, content, weights_only=True) == (OK, instance(values()))


@pytest.mark.parametrize(
    "name",
    [b"\xc3\xa9", b"\xe2\x82\xac", b"\xf0\x9f\x98\x80", b"\xf4\x8f\xbf\xbf", b"\\ud83d", b"\x7f", b"\\/\\b"],
    ids=repr,
)
def test_names_that_a_header_may_have(driver: Path, tmp_path: Path, name: bytes) -> None:
    assert _with_the_name(driver, tmp_path, name) == (OK, True)


@pytest.mark.parametrize(
    "name",
    [
        b"\xc0\xaf",  # longer than it need be, here and in the next two
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xed\xa0\x80",  # half of a surrogate pair
        b"\xf4\x90\x80\x80",  # beyond Unicode
        b"\x80",
        b"\xe2\x82",
        b"\xff",
        b"\n",
        b"\\x41",
        b"\\u00g0",
        b"\\u12",
        b"\\",
    ],
    ids=repr,
)
def test_names_that_no_header_may_have(driver: Path, tmp_path: Path, name: bytes) -> None:
    assert _with_the_name(driver, tmp_path, name) == (DAMAGED_FILE, False)


def _with_the_name(driver: Path, folder: Path, name: bytes) -> tuple[int, bool]:
    """What C says of a file with a tensor of this name among others, and whether Python reads it."""
    header, data = parts(plain({**values(), "NAME": np.uint8([1])}))
    content = whole(header.replace(b"NAME", name), data)
    status, state = loaded(driver, folder, content, weights_only=True)
    assert state == (instance(values()) if status == OK else EMPTY)
    try:
        return status, set(VARIABLES) < set(SafetensorsReader(str(folder / "it.safetensors")).entries)
    except DataLossError:
        return status, False


def test_numbers_that_would_wrap_around(driver: Path, good: bytes, tmp_path: Path) -> None:
    """Each number of the header, and 2^64 or a multiple more."""
    header, data = parts(good)
    numbers = [found.span() for found in re.finditer(rb"(?<=[\[,])\d+(?=[],])", header)]
    assert len(numbers) == 2 * len(PLACES) + sum(value.ndim for _, value in PLACES.values())
    for begin, end in numbers:
        for more in (2**64, 10 * 2**64):
            changed = header[:begin] + str(int(header[begin:end]) + more).encode() + header[end:]
            assert loaded(driver, tmp_path, sealed(whole(changed, data))) == (DAMAGED_FILE, EMPTY), changed


@pytest.mark.parametrize("fitting", ["first", "second", "both"])
def test_a_name_that_occurs_twice(driver: Path, tmp_path: Path, fitting: str) -> None:
    flag = np.array([False, False, True])
    other = {"first": np.uint8([0, 0, 1]), "second": np.uint8([0, 0, 1]), "both": flag}[fitting]
    rows = {"NAME": other, "flag": flag} if fitting == "second" else {"flag": flag, "NAME": other}
    header, data = parts(plain({**{name: value for name, value in values().items() if name != "flag"}, **rows}))
    status, state = loaded(driver, tmp_path, whole(header.replace(b"NAME", b"flag"), data), weights_only=True)
    assert status != OK
    assert state == EMPTY


def test_files_that_are_something_else(driver: Path, tmp_path: Path) -> None:
    assert loaded(driver, tmp_path, b"\x89PNG\r\n\x1a\n" + bytes(500)) == (DAMAGED_FILE, EMPTY)
    assert loaded(driver, tmp_path, struct.pack("<Q", 2) + b"{}") == (FOREIGN_FILE, EMPTY)
    (tmp_path / "instance").write_bytes(EMPTY)
    assert call(driver, "load", tmp_path / "instance", tmp_path / "none", "-")[0] == CANNOT_OPEN
    assert call(driver, "load", tmp_path / "instance", tmp_path, "-")[0] == CANNOT_READ
    assert (tmp_path / "instance").read_bytes() == EMPTY


def test_paths_that_cannot_be_written(driver: Path, tmp_path: Path) -> None:
    assert saved(driver, tmp_path, tmp_path / "none" / "c") == CANNOT_OPEN
    assert saved(driver, tmp_path, "x" * 5000) == CANNOT_OPEN
    (tmp_path / "folder").mkdir()
    assert saved(driver, tmp_path, tmp_path / "folder") == CANNOT_WRITE
    (tmp_path / "full.new").symlink_to("/dev/full")
    (tmp_path / "full").write_bytes(b"old")
    assert saved(driver, tmp_path, tmp_path / "full") == CANNOT_WRITE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "full", "instance"]
    assert (tmp_path / "full").read_bytes() == b"old"


# --- saves and loads that end early ---------------------------------------------------------------------------------------


@pytest.fixture
def states(tmp_path: Path) -> Path:
    """Two states, one after the other in a file."""
    other = {name: ~value if value.dtype == bool else value + value for name, (_, value) in PLACES.items()}
    (tmp_path / "states").write_bytes(instance() + instance(other))
    return tmp_path / "states"


def test_a_full_disk_loses_nothing(driver: Path, states: Path, tmp_path: Path) -> None:
    """With room for 0, 1, 2, ... bytes: an error and the old state, until there is room for the new one."""
    done, outcomes = call(driver, "full_disk", states, tmp_path / "c.safetensors")
    size = (tmp_path / "c.safetensors").stat().st_size
    assert (done, outcomes) == (0, [[CANNOT_WRITE, 1]] * size + [[OK, 2]])
    assert not (tmp_path / "c.safetensors.new").exists()


def test_a_save_that_is_cut_off_loses_nothing(driver: Path, states: Path, tmp_path: Path) -> None:
    """The process ends when it has written 0, 1, 2, ... bytes."""
    done, outcomes = call(driver, "cut_off", states, tmp_path / "c.safetensors")
    size = (tmp_path / "c.safetensors").stat().st_size
    assert (done, outcomes) == (0, [[1, 1]] * size + [[0, 2]])


def test_a_save_that_is_killed_loses_nothing(driver: Path, states: Path, tmp_path: Path) -> None:
    done, outcomes = call(driver, "killed", states, tmp_path / "c.safetensors")
    assert done == 0
    assert len(outcomes) == 200
    assert all(was_killed and state in (1, 2) for was_killed, state in outcomes)


def test_a_save_that_fails_at_its_end_loses_nothing(driver: Path, states: Path, tmp_path: Path) -> None:
    """The system refuses to write through, to rename, to close, or the process ends before."""
    _, outcomes = call(driver, "at_the_end", states, tmp_path / "c.safetensors")
    assert outcomes == [[10 + CANNOT_WRITE, 1], [1, 1], [10 + CANNOT_WRITE, 1], [1, 1], [10 + CANNOT_WRITE, 1]]


def test_a_disk_that_fails_in_a_load(driver: Path, states: Path, tmp_path: Path) -> None:
    """What is not whole is called so: never is a part of a file in an instance that counts as whole."""
    _, outcomes = call(driver, "failing_reads", states, tmp_path / "c.safetensors")
    assert outcomes[-1] == [OK, 1, 1]
    assert all(status != OK and (is_as_before or not is_whole) for status, is_whole, is_as_before in outcomes[:-1])
    assert [0, 0] in [outcome[1:] for outcome in outcomes]


# --- the table ------------------------------------------------------------------------------------------------------------


def test_a_reader_of_other_programs_finds_each_tensor(tmp_path: Path, good: bytes) -> None:
    """Each tensor starts at a multiple of its element, the first at a multiple of 64."""
    header, data = parts(good)
    assert (8 + len(header)) % 64 == 0
    for name, (_, value) in PLACES.items():
        entry = json.loads(header)[name]
        begin, end = entry["data_offsets"]
        assert begin % max(value.itemsize, 1) == 0
        assert data[begin:end] == value.tobytes()
    (tmp_path / "x.safetensors").write_bytes(good)
    reader = SafetensorsReader(str(tmp_path / "x.safetensors"))
    assert {name: reader.dtype(name) for name in PLACES} == {n: as_dtype(v.dtype) for n, (_, v) in PLACES.items()}
