"""Ten thousand damaged checkpoints: C and Python refuse the same ones whole, and load the others to the same bytes."""

from __future__ import annotations

import random
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

import tfgraph as tf
from tests._c_compiler import COMPILER
from tests._damaged_checkpoints import changed_meaning, damaged_files, parts, sealed, whole
from tests._export_checkpoint import INSTANCE_BYTES, PLACES, RANDOMS, VARIABLES, build, call, instance, saved_by_python
from tests.test_sanitizers import LIBRARIES
from tfgraph.checkpoint.model import RANDOM_PREFIX
from tfgraph.checkpoint.safetensors import SafetensorsReader, write_safetensors

COUNT = 10_000
BEFORE = bytes(range(256)) * (INSTANCE_BYTES // 256)
OPTIONS = ["-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if LIBRARIES else ["-O1"]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A checkpoint, one with other tensors between, and the first without a seal."""
    folder = tmp_path_factory.mktemp("originals")
    good = saved_by_python(folder / "good")
    everything = {name: value for name, (_, value) in PLACES.items()}
    write_safetensors(str(folder / "more"), {"a": np.ones(3), **everything, "é": np.uint8([1, 2, 3, 4])})
    header, data = parts(good)
    unsealed = whole(b"{" + header[header.index(b"},") + 2 :], data)
    return [good, good, (folder / "more").read_bytes(), unsealed]


@pytest.fixture(scope="module")
def files(originals: list[bytes]) -> list[bytes]:
    return list(damaged_files(originals, COUNT, seed=21))


Values = dict[str, np.ndarray]


def read_by_python(path: Path) -> tuple[Values | None, Values | None] | None:
    """What a load of everything and a load of the variables alone should find, None for those that should refuse the file;
    None alone if a name occurs twice: C minds that only for names that it looks for."""
    try:
        reader = SafetensorsReader(str(path))
        fitting = [
            name
            for name, (_, value) in PLACES.items()
            if name in reader.entries
            and reader.shape(name) == value.shape
            and getattr(reader.dtype(name), "as_numpy_dtype", None) == value.dtype
        ]
        values = reader.read(fitting)
    except tf.errors.DataLossError as error:
        return None if "a name occurs twice" in error.message else (None, None)
    is_sealed = b'"crc32c"' in path.read_bytes()
    everything = values if is_sealed and len(values) == len(PLACES) else None
    weights = {name: value for name, value in values.items() if name in VARIABLES}
    return everything, weights if len(weights) == len(VARIABLES) else None


@pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="needs gcc in PATH, and a linker with --wrap as Linux has it"
)
def test_c_refuses_what_python_refuses(files: list[bytes], tmp_path: Path) -> None:
    driver = build(tmp_path, *OPTIONS)
    (tmp_path / "before").write_bytes(BEFORE)
    (tmp_path / "files").write_bytes(b"".join(struct.pack("<Q", len(content)) + content for content in files))
    answers = []
    for mode in ("-", "w"):
        names = [tmp_path / name for name in ("before", "files", "answers", "scratch")]
        assert call(driver, "load_each", *names, mode) == (0, [])
        answers.append((tmp_path / "answers").read_bytes())
        assert len(answers[-1]) == COUNT * (1 + INSTANCE_BYTES)
    outcomes = [[0, 0], [0, 0]]
    path = tmp_path / "it.safetensors"
    for i, content in enumerate(files):
        path.write_bytes(content)
        for mode, expected in enumerate(read_by_python(path) or ()):
            answer = answers[mode][i * (1 + INSTANCE_BYTES) : (i + 1) * (1 + INSTANCE_BYTES)]
            assert (answer[0] == 0) == (expected is not None), (mode, answer[0], expected, content)
            assert answer[1:] == (BEFORE if expected is None else instance(expected, BEFORE)), (mode, content)
            outcomes[mode][expected is not None] += 1
    assert all(refused > COUNT / 3 and taken > COUNT / 30 for refused, taken in outcomes), outcomes


def test_a_session_is_as_before_or_as_the_file_says(files: list[bytes], originals: list[bytes], tmp_path: Path) -> None:
    """Through `Saver.restore`: after an error, variables and random states are what they were."""
    with tf.Graph().as_default() as graph:
        for name, value in VARIABLES.items():
            tf.Variable(np.zeros_like(value), name=name)
        tf.random_uniform([2], seed=5, name="drop"), tf.random_normal([2], name="init")
        saver, sess = tf.train.Saver(), tf.Session()
        sess.run(tf.global_variables_initializer())
        variables = {variable.op.name: variable.op for variable in tf.global_variables()}
        randoms = [graph.get_operation_by_name(name) for name in RANDOMS]
        path = tmp_path / "it.safetensors"

        def state() -> bytes:
            values, words = sess.copy_state(variables, randoms)
            held = {RANDOM_PREFIX + name: np.array(state, np.uint64) for name, state in words.items()}
            return instance({**values, **held}, BEFORE)

        path.write_bytes(originals[0])
        before = state()
        refused = 0
        for content in files:
            path.write_bytes(content)
            try:
                saver.restore(sess, path)
            except tf.errors.OpError:
                refused += 1
                assert state() == before, content
            else:
                reader = SafetensorsReader(str(path))
                before = instance(reader.read(PLACES.keys() & reader.entries.keys()), before)
                assert state() == before, content
    assert COUNT / 3 < refused < COUNT - COUNT / 30


def test_changes_that_change_nothing(originals: list[bytes], tmp_path: Path) -> None:
    """Some changes leave a right file, so that not everything is refused that is not the same bytes."""
    generator, taken = random.Random(3), 0
    for _ in range(200):
        (tmp_path / "it").write_bytes(sealed(changed_meaning(originals[0], generator)))
        found = read_by_python(tmp_path / "it")
        taken += found is not None and found[0] is not None
    assert taken > 20
