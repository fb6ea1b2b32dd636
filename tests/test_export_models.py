"""Models at the edge of what is exported: every kind of argument, no argument, empty batches, names that C has taken.

Each one's functions give the Session's bytes, call by call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._c_compiler import COMPILER, compile_c
from tests._export_library import Instance, Library
from tests.test_export_files import WARNINGS

pytestmark = [
    pytest.mark.xdist_group("export"),
    pytest.mark.usefixtures("graph"),
    pytest.mark.skipif(COMPILER is None, reason="needs a C compiler in PATH"),
]

Call = tuple[str, int, Mapping[Any, Any]]  # a function, the batch, what is fed


def numbers(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(len(shape)).uniform(0.2, 2.0, shape).astype(dtype)


def exported(functions: dict[str, Any], session: Any, folder: Path) -> Instance:
    """The library with the session's values, loaded."""
    tf.compile(functions, folder, prefix="net", isas=["native"], session=session)
    instance = Library(folder).create()
    assert instance.initialize() == "OK"
    assert instance.load(folder / "net.safetensors") == "OK"
    return instance


def check(functions: dict[str, Any], calls: Sequence[Call], folder: Path) -> None:
    """The same calls of the session and of the library, one after the other, leave the same bytes."""
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        instance = exported(functions, session, folder)
        for name, batch, feeds in calls:
            fetches, arguments = functions[name]
            expected = [v for v in session.run(fetches, dict(feeds)) if v is not None]
            found = instance.results(name, batch, *[feeds[x] for x in arguments])
            assert [np.asarray(v).tobytes() for v in expected] == [v.tobytes() for v in found], (name, batch)
            assert [np.asarray(v).shape for v in expected] == [v.shape for v in found]
        instance.destroy()


# --- arguments ------------------------------------------------------------------------------------------------------------


def test_functions_without_arguments(tmp_path: Path) -> None:
    count = tf.Variable(np.float64([1, 2]), name="count")
    functions = {"tick": ([tf.assign_add(count, [0.5, 2]).op], []), "value": ([tf.identity(count)], [])}
    check(functions, [("tick", 0, {}), ("value", 0, {}), ("tick", 7, {}), ("value", 7, {})], tmp_path)


TYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "int64", "float32", "float64")


def test_arguments_of_every_type(tmp_path: Path) -> None:
    """As arrays that grow with the batch, as arrays that do not, as numbers."""
    rows = {name: tf.placeholder(getattr(tf, name), [None, 3], name=f"{name}_rows") for name in TYPES}
    fixed = {name: tf.placeholder(getattr(tf, name), [2], name=f"{name}_pair") for name in TYPES}
    single = {name: tf.placeholder(getattr(tf, name), [], name=f"{name}_one") for name in TYPES}

    def doubled(x: Any) -> Any:
        return tf.cast(x, tf.float64) * 2

    functions = {
        "rows": ([f(x) for x in rows.values() for f in (doubled, tf.identity)], list(rows.values())),
        "pairs": ([f(x) for x in fixed.values() for f in (doubled, tf.identity)], list(fixed.values())),
        "ones": ([doubled(x) for x in single.values()], list(single.values())),
    }

    def fed(tensors: Mapping[str, Any], *shape: int) -> dict[Any, np.ndarray]:
        return {x: numbers(*shape, dtype=x.dtype.as_numpy_dtype) for x in tensors.values()}

    calls = [
        ("rows", 5, fed(rows, 5, 3)),
        ("rows", 0, fed(rows, 0, 3)),
        ("pairs", 1, fed(fixed, 2)),
        ("ones", 3, fed(single)),
    ]
    check(functions, calls, tmp_path)


def test_a_result_that_is_wanted_twice_is_an_error(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [None])
    y = x * 2
    for fetches in ([y, y], {"a": y, "b": y}):
        with pytest.raises(ValueError, match=r"returns mul:0 twice.*tf\.identity"):
            tf.compile({"f": (fetches, x)}, tmp_path, prefix="net", c_only=True)


# --- batches --------------------------------------------------------------------------------------------------------------


def test_empty_batches(tmp_path: Path) -> None:
    """Of a whole training step; the means of nothing are NaN, as in the Session."""
    x, y = tf.placeholder(tf.float32, [None, 12, 12, 3]), tf.placeholder(tf.int32, [None])
    hidden = tf.nn.relu(tf.nn.conv2d(x, tf.Variable(numbers(5, 5, 3, 8)), [1, 1, 1, 1], "SAME"))
    hidden = tf.nn.max_pool(hidden, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    logits = tf.matmul(tf.reshape(hidden, [-1, 288]), tf.Variable(numbers(288, 4)))
    loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    step = tf.train.MomentumOptimizer(1e-6, 0.9).minimize(loss)
    functions = {"train": ([step, loss], [x, y]), "predict": ([tf.argmax(logits, 1), tf.reduce_mean(logits)], [x])}

    def train(n: int) -> Call:
        return "train", n, {x: numbers(n, 12, 12, 3), y: np.arange(n, dtype=np.int32) % 4}

    def predict(n: int) -> Call:
        return "predict", n, {x: numbers(n, 12, 12, 3)}

    check(functions, [train(0), predict(0), train(3), train(0), predict(2)], tmp_path)


def test_scratch_that_grows_with_the_batch_and_has_a_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an instance whose memory ends where `arena_bytes` says, with bytes behind it that must stay."""
    monkeypatch.setenv("TFGRAPH_CONV", "direct")
    x, y = tf.placeholder(tf.float32, [None, 24, 24, 320]), tf.placeholder(tf.float32, [None, 9216])
    filtered = tf.nn.conv2d(tf.tanh(x), tf.Variable(numbers(5, 5, 320, 8)), [1, 1, 1, 1], "SAME")
    product = tf.nn.relu(tf.matmul(y, tf.Variable(numbers(9216, 100))))
    functions = {"filter": ([filtered], [x]), "multiply": ([product], [y])}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        exported(functions, session, tmp_path).destroy()
        library = Library(tmp_path)
        record = library.record["arena_bytes"][library.record["isas"][0]]
        assert all(record[name]["fixed"] for name in functions)
        for batch in (0, 1, 3):
            size = library.function("instance_bytes")() + library.arena_bytes(batch)
            memory = np.full(size + 64 + 4096, 0xFF, np.uint8)
            start = -memory.ctypes.data % 64
            status, instance = library.create_in(memory.ctypes.data + start, size, batch)
            assert status == "OK"
            assert instance.load(tmp_path / "net.safetensors") == "OK"
            for name, fed in (("filter", x), ("multiply", y)):
                data = numbers(batch, *fed.shape.as_list()[1:])
                (expected,) = session.run(functions[name][0], {fed: data})
                assert instance.results(name, batch, data)[0].tobytes() == expected.tobytes()
            instance.destroy()
            assert (memory[start + size :] == 0xFF).all()


# --- what models are made of ----------------------------------------------------------------------------------------------


def recurrent() -> tuple[dict[str, Any], list[Call]]:
    x, y = tf.placeholder(tf.float32, [None, 5, 6]), tf.placeholder(tf.float32, [None, 4])
    cell = tf.contrib.rnn.LSTMCell(7)
    outputs, _ = tf.contrib.rnn.static_rnn(cell, tf.unstack(x, 5, 1), cell.zero_state(tf.shape(x)[0], tf.float32))
    result = tf.layers.dense(outputs[-1], 4)
    loss = tf.reduce_mean(tf.square(result - y))
    step = tf.train.AdamOptimizer(0.01).minimize(loss)
    fed = {x: numbers(3, 5, 6), y: numbers(3, 4)}
    return {"train": ([step, loss], [x, y]), "predict": ([result], [x])}, [("train", 3, fed)] * 2 + [("predict", 3, fed)]


def normalised() -> tuple[dict[str, Any], list[Call]]:
    """Batch normalisation with moving averages, and averages of the weights."""
    x = tf.placeholder(tf.float32, [None, 6])
    hidden = tf.layers.batch_normalization(x, training=True, name="norm")
    in_use = tf.layers.batch_normalization(x, training=False, name="norm", reuse=True)
    loss = tf.reduce_mean(tf.square(hidden - 1))
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        step = tf.train.GradientDescentOptimizer(0.1).minimize(loss, tf.train.get_or_create_global_step())
    averages = tf.train.ExponentialMovingAverage(0.9, tf.train.get_global_step())
    with tf.control_dependencies([step]):
        update = averages.apply(tf.trainable_variables())
    means = [tf.identity(averages.average(v)) for v in tf.trainable_variables()]
    fed = {x: numbers(5, 6)}
    functions = {"train": ([update, loss], [x]), "predict": ([in_use], [x]), "means": (means, [])}
    return functions, [("train", 5, fed), ("train", 5, fed), ("predict", 5, fed), ("means", 0, {})]


def looked_up() -> tuple[dict[str, Any], list[Call]]:
    words = tf.placeholder(tf.int64, [None, 4])
    table = tf.Variable(numbers(20, 8))
    result = tf.reduce_mean(tf.nn.embedding_lookup(table, words), 1)
    step = tf.train.AdagradOptimizer(0.1).minimize(tf.reduce_sum(tf.square(result)))
    fed = {words: np.arange(20).reshape(5, 4) * 7 % 20}
    none = {words: np.zeros((0, 4), np.int64)}
    return {"train": ([step, result], [words])}, [("train", 5, fed), ("train", 5, fed), ("train", 0, none)]


def random() -> tuple[dict[str, Any], list[Call]]:
    """Dropout with and without a seed of its own, other random numbers, and choices between values."""
    tf.set_random_seed(11)
    x, keep = tf.placeholder(tf.float32, [None, 6]), tf.placeholder(tf.float32, [])
    dropped = [tf.nn.dropout(x, keep, seed=5), tf.nn.dropout(x, keep), tf.nn.dropout(x, 0.5)]
    drawn = [tf.random_uniform(tf.shape(x), seed=3), tf.truncated_normal([5]), tf.random_uniform([3], 0, 9, tf.int32)]
    chosen = [tf.where(x > 1, x, -x), tf.cond(tf.reduce_sum(x) > 1, lambda: x * 2, lambda: x * 3)]
    fed = {x: numbers(4, 6), keep: np.float32(0.7)}
    functions = {"draw": ([*dropped, *drawn, *chosen], [x, keep])}
    return functions, [("draw", 4, fed)] * 3


@pytest.mark.parametrize("build", [recurrent, normalised, looked_up, random])
def test_models(build: Callable[[], tuple[dict[str, Any], list[Call]]], tmp_path: Path) -> None:
    functions, calls = build()
    check(functions, calls, tmp_path)


# --- names ----------------------------------------------------------------------------------------------------------------

WORDS = (
    "int", "class", "return", "free", "malloc", "model", "batch", "status", "feeds", "fetches", "kernels", "N", "s", "i",
    "chunk", "NAN", "EOF", "errno", "restrict", "tg_step", "tg_pool", "net", "X", "x.y-z", "_9", "very_" * 60 + "a",
    "very_" * 60 + "b",
)  # fmt: skip
FUNCTIONS = ("free", "step", "int", "main", "struct", "N", "run", "kernels", "malloc", "size_t", "template", "API", "OK")


def test_names_that_c_has_taken(tmp_path: Path) -> None:
    """Of placeholders, variables and functions; as strict C and C++."""
    feeds = [tf.placeholder(tf.float32, [None] if i % 2 else [], name=word.lstrip("_")) for i, word in enumerate(WORDS)]
    variables = [tf.Variable(np.float32(1 + i), name=word.lstrip("_")) for i, word in enumerate(WORDS)]
    result = tf.add_n([tf.reduce_sum(x * v) for x, v in zip(feeds, variables, strict=True)], name="return")
    functions = {name: ([result], feeds) for name in FUNCTIONS}
    fed = {x: numbers(2) if x.shape.ndims else np.float32(0.5) for x in feeds}
    check(functions, [(name, 2, fed) for name in FUNCTIONS], tmp_path)
    for language, options in (("c11", ()), ("c++17", ("-x", "c++"))):
        compile_c(
            *WARNINGS, f"-std={language}", "-march=native", *options, "-fsyntax-only", "net.c", "main.c", folder=tmp_path
        )


@pytest.mark.parametrize("name", ["tg_launch", "kernels_avx2", "constant_0"])
def test_functions_that_would_be_called_as_parts(name: str, tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [None])
    with pytest.raises(ValueError, match="parts of exported libraries"):
        tf.compile({name: (x * 2, x)}, tmp_path, prefix="net", c_only=True)


@pytest.mark.parametrize(("prefix", "names"), [("net", ["net", "run"]), ("net", ["k00_relu", "net"]), ("NET", ["OK"])])
def test_names_that_prefix_and_function_make_together(prefix: str, names: list[str], tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [None])
    with pytest.raises(ValueError, match=f"choose another prefix than '{prefix}'"):
        tf.compile(dict.fromkeys(names, (x * 2, x)), tmp_path, prefix=prefix, c_only=True)
    tf.compile({"net": (x * 2, x), "ok": (x * 3, x)}, tmp_path, prefix=prefix, c_only=True)
