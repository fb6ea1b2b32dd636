"""Summary operations: names and tags, what they serialise, and that they leave the step beside them compiled."""

from __future__ import annotations

import io
import itertools
import math
import re
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tfgraph as tf
from tests._messages import fields, packed_doubles, summary_values
from tests.test_golden import COMPILERS
from tfgraph import png
from tfgraph.runtime import machine

pytestmark = pytest.mark.usefixtures("graph")

TAG, NUMBER, IMAGE, HISTOGRAM, TENSOR, METADATA = 1, 2, 4, 5, 8, 9


def run(fetch: Any, feeds: Any = None) -> Any:
    with tf.Session() as session:
        return session.run(fetch, feeds)


def values_of(fetch: Any, feeds: Any = None) -> list[dict[int, Any]]:
    result = run(fetch, feeds)
    assert type(result) is bytes
    return summary_values(result)


def tags_of(fetch: Any, feeds: Any = None) -> list[str]:
    return [value.get(TAG, b"").decode() for value in values_of(fetch, feeds)]


def nodes() -> list[str]:
    return [f"{op.name}={op.type}" for op in tf.get_default_graph().get_operations()]


# --- names, tags, collections -------------------------------------------------------------------------------


def test_names_and_tags() -> None:
    x = tf.placeholder(tf.float32, [], name="x")
    with tf.name_scope("tower"):
        made = [
            tf.summary.scalar("loss", x),
            tf.summary.scalar("loss", x),
            tf.summary.scalar("/a loss: 1", x),
            tf.summary.scalar("loss", x, family="train set"),
            tf.summary.histogram("h", x),
        ]
    tags = ["tower/loss", "tower/loss_1", "tower/a_loss__1", "train_set/tower/train_set/loss", "tower/h"]
    assert [tags_of(summary, {x: 1.0}) for summary in made] == [[tag] for tag in tags]
    assert nodes()[1:] == [
        "tower/loss/tags=Const",
        "tower/loss=ScalarSummary",
        "tower/loss_1/tags=Const",
        "tower/loss_1=ScalarSummary",
        "tower/a_loss__1/tags=Const",
        "tower/a_loss__1=ScalarSummary",
        "tower/train_set/loss/tags=Const",
        "tower/train_set/loss=ScalarSummary",
        "tower/h/tag=Const",
        "tower/h=HistogramSummary",
    ]
    for summary in made:
        assert (summary.dtype, summary.shape.as_list()) == (tf.string, [])


def test_names_that_are_missing() -> None:
    with pytest.raises(ValueError, match=r"At least one of name \(None\) and default_name \(None\) must be provided"):
        tf.summary.scalar(None, 1.0)
    assert tf.summary.histogram(None, 1.0).op.name == "HistogramSummary"
    assert tf.summary.scalar("", 1.0).op.name == "ScalarSummary"


def test_collections() -> None:
    assert tf.summary.merge_all() is None
    first = tf.summary.scalar("a", 1.0)
    second = tf.summary.histogram("scope/b", [1.0], collections=["mine", "yours"])
    third = tf.summary.text("scope/c", tf.constant("text"))
    apart = tf.summary.scalar("d", 1.0, collections=[])
    merged = tf.summary.merge([first, apart], collections=["merged"])
    key = tf.GraphKeys.SUMMARIES
    assert tf.get_collection(key) == [first, third]
    assert tf.get_collection("mine") == tf.get_collection("yours") == [second]
    assert tf.get_collection("merged") == [merged]
    assert tf.summary.merge_all("nothing") is None
    assert tags_of(tf.summary.merge_all()) == ["a", "scope/c"]
    assert tags_of(tf.summary.merge_all("mine")) == ["scope/b"]
    assert tags_of(tf.summary.merge_all(scope="scope")) == ["scope/c"]
    assert tf.summary.merge_all(scope="nowhere") is None


# --- numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int32", "int64", "uint64"])
def test_numbers(dtype: str, backend: str) -> None:
    x = tf.placeholder(dtype, [])
    (value,) = values_of(tf.summary.scalar("x", x), {x: 100})
    assert value == {TAG: b"x", NUMBER: 100.0}


@pytest.mark.parametrize("number", [0.0, -0.0, math.inf, math.nan, 1e300, 1 / 3])
def test_special_numbers(number: float) -> None:
    (value,) = values_of(tf.summary.scalar("x", np.float64(number)))
    with np.errstate(over="ignore"):
        expected = np.float64(number).astype(np.float32)
    assert struct.pack("<f", value[NUMBER]) == expected.tobytes()


def test_numbers_have_the_shape_of_their_tags() -> None:
    x = tf.placeholder(tf.float32, name="x")
    summary = tf.summary.scalar("x", x)
    text = r"tags and values not the same shape: \[\] != \[2\] \(tag 'x_1'\)\n\t \[\[\{\{node x_1\}\}\]\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        run(summary, {x: [1.0, 2.0]})
    several = tf.get_default_graph().create_op("ScalarSummary", [["a", "b"], x]).outputs[0]
    assert [(v[TAG], v[NUMBER]) for v in values_of(several, {x: [1.0, 2.0]})] == [(b"a", 1.0), (b"b", 2.0)]


@pytest.mark.parametrize(
    ("make", "parameter", "dtype"),
    [
        (lambda: tf.summary.scalar("x", True), "values", "bool"),
        (lambda: tf.summary.scalar("x", "text"), "values", "string"),
        (lambda: tf.summary.histogram("x", [True]), "values", "bool"),
        (lambda: tf.summary.image("x", tf.zeros([1, 2, 2, 1], tf.int32)), "tensor", "int32"),
    ],
)
def test_types(make: Callable[[], Any], parameter: str, dtype: str) -> None:
    with pytest.raises(TypeError, match=f"passed to parameter '{parameter}' has DataType {dtype} not in list of allowed"):
        make()


# --- histograms ---------------------------------------------------------------------------------------------

GROWING = itertools.accumulate(itertools.repeat(1.1), float.__mul__, initial=1e-12)
UP = list(itertools.takewhile(lambda limit: limit < 1e20, GROWING))
EDGES = [-math.inf, -sys.float_info.max, *(-limit for limit in reversed(UP)), 0.0, *UP, sys.float_info.max]


def buckets(values: np.ndarray) -> list[tuple[float, float]]:
    """(limit, count) as NumPy's histogram counts, runs of empty buckets merged into one with the last limit."""
    counts, _ = np.histogram(values.astype(np.float64), EDGES)
    merged = []
    for is_empty, run in itertools.groupby(zip(EDGES[1:], counts.tolist(), strict=True), lambda pair: pair[1] == 0):
        pairs = list(run)
        merged += pairs[-1:] if is_empty else pairs
    return merged


def values_for_histograms(dtype: str, size: int) -> np.ndarray:
    rng = np.random.default_rng(size)
    if np.dtype(dtype).kind != "f":
        return rng.integers(0 if dtype == "uint8" else -100, 100, size).astype(dtype)
    spread = rng.standard_normal(size) * 10.0 ** rng.integers(-4 if dtype == "float16" else -14, 4, size)
    spread[::5] = rng.choice([0.0, 1.0, -1.0, 1e-12, -1e-12, 1.1e-12], spread[::5].shape)  # some of them limits
    return spread.astype(dtype)


@pytest.mark.parametrize("size", [0, 1, 7, 33, 600_000])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8"])
def test_histograms(dtype: str, size: int) -> None:
    values = values_for_histograms(dtype, size)
    x = tf.placeholder(dtype)
    (value,) = values_of(tf.summary.histogram("h", x), {x: values.reshape(-1, 1)})
    assert value.keys() == {TAG, HISTOGRAM}
    found = dict(fields(value[HISTOGRAM]))
    limits, counts = packed_doubles(found[6]), packed_doubles(found[7])
    assert list(zip(limits, counts, strict=True)) == buckets(values)
    exact = [float(v) for v in values]
    low, high, count, total, squares = (found.get(i, 0.0) for i in range(1, 6))
    assert count == size
    assert (low, high) == ((min(exact), max(exact)) if exact else (sys.float_info.max, -sys.float_info.max))
    assert total == sum_in_order(exact)
    assert squares == sum_in_order([v * v for v in exact])


def sum_in_order(values: list[float]) -> float:
    """Rounded after each addition (Python's own `sum` compensates for that)."""
    total = 0.0
    for value in values:
        total += value
    return total


def test_extremes_in_histograms() -> None:
    largest = sys.float_info.max
    (value,) = values_of(tf.summary.histogram("h", np.array([largest, -largest, 1e25, -1e25, -0.0, 0.0])))
    found = dict(fields(value[HISTOGRAM]))
    pairs = list(zip(packed_doubles(found[6]), packed_doubles(found[7]), strict=True))
    assert [pair for pair in pairs if pair[1]] == [(-UP[-1], 2.0), (UP[0], 2.0), (largest, 2.0)]
    assert (found[1], found[2], found[3]) == (-largest, largest, 6.0)


@pytest.mark.parametrize(
    ("values", "told"), [([1.0, np.nan, np.inf], "Nan"), ([-np.inf, np.nan], "Infinity"), ([[np.nan]], "Nan")]
)
def test_histograms_of_what_is_not_finite(values: Any, told: str, backend: str) -> None:
    x = tf.placeholder(tf.float32)
    with tf.name_scope("layer"):
        summary = tf.summary.merge([tf.summary.histogram("weights", x * 1.0)])
    text = rf"{told} in summary histogram for: layer/weights\n\t \[\[\{{\{{node layer/weights\}}\}}\]\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=text) as caught:
        run(summary, {x: values})
    assert caught.value.op.type == "HistogramSummary"


# --- images -------------------------------------------------------------------------------------------------


def decoded(data: bytes) -> np.ndarray:
    """The pixels [height, width, channels] of a PNG file, as Pillow reads them."""
    pillow = pytest.importorskip("PIL.Image")
    pixels = np.asarray(pillow.open(io.BytesIO(data)))
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


PICTURES = {
    "noise": lambda rng, shape: rng.integers(0, 256, shape),
    "waves": lambda rng, shape: 127 + 100 * np.sin(np.arange(np.prod(shape)).reshape(shape) / 50),
    "steps": lambda rng, shape: np.arange(np.prod(shape)).reshape(shape) // shape[2] % 256,
    "plain": lambda rng, shape: np.full(shape, 200),
}


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 3), (9, 1, 4), (5, 7, 1), (32, 33, 3), (16, 8, 4)])
def test_png(picture: str, shape: tuple[int, ...]) -> None:
    pixels = PICTURES[picture](np.random.default_rng(0), shape).astype(np.uint8)
    data = png.encode(pixels)
    np.testing.assert_array_equal(decoded(data), pixels)
    if picture == "steps" and pixels.size > 1000:
        assert len(data) < pixels.size / 4  # filters find the steps


def images_of(tensor: Any, most: int = 3, feeds: Any = None) -> list[tuple[str, np.ndarray]]:
    """(tag, pixels) of the images in a summary of `tensor`."""
    found = []
    for value in values_of(tf.summary.image("im", tensor, max_outputs=most), feeds):
        image = dict(fields(value[IMAGE]))
        pixels = decoded(image[4])
        assert (image[1], image[2], image[3]) == pixels.shape
        found.append((value[TAG].decode(), pixels))
    return found


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_bytes(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 5, channels)).astype(np.uint8)
    found = images_of(images)
    assert [tag for tag, _ in found] == ["im/image/0", "im/image/1", "im/image/2"]
    for (_, pixels), image in zip(found, images, strict=False):
        np.testing.assert_array_equal(pixels, image)


def test_tags_of_images() -> None:
    x = tf.placeholder(tf.float32, [None, 2, 2, 1])
    assert [tag for tag, _ in images_of(x, 1, {x: np.ones([2, 2, 2, 1])})] == ["im/image"]
    assert [tag for tag, _ in images_of(x, 9, {x: np.ones([1, 2, 2, 1])})] == ["im_1/image/0"]
    assert images_of(x, 3, {x: np.ones([0, 2, 2, 1])}) == []


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floating_images_are_scaled(dtype: str) -> None:
    ramp = np.arange(256).reshape(1, 16, 16, 1)
    around = np.arange(-127, 129).reshape(1, 16, 16, 1)
    (_, whole), (_, dark), (_, black), (_, middle), (_, grey) = (
        images_of(images.astype(dtype))[0]
        for images in (ramp, ramp / 256 * 255 / 256, ramp * 1e-9, around / 128 * 127, around * 1e-9)
    )
    near = 1 if dtype != "float16" else 2
    np.testing.assert_allclose(whole, ramp[0], atol=near - 1)
    np.testing.assert_allclose(dark, ramp[0], atol=near)
    assert not black.any()
    np.testing.assert_allclose(middle, np.trunc(around[0] / 128 * 127 + 128), atol=near)
    assert (grey == 128).all()


def test_each_image_has_its_own_scale() -> None:
    images = np.stack([np.full((2, 2, 1), 0.5, np.float32), np.full((2, 2, 1), 80.0, np.float32)])
    assert [int(pixels[0, 0, 0]) for _, pixels in images_of(images)] == [255, 255]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pixels_that_are_not_finite(channels: int) -> None:
    image = np.full((1, 2, 2, channels), 10.0, np.float32)
    image[0, 0, 0, 0], image[0, 1, 1, channels - 1] = np.nan, -np.inf
    ((_, pixels),) = images_of(image)
    red = [255, 0, 0, 255][:channels]
    assert pixels.tolist() == [[red, [255] * channels], [[255] * channels, red]]


def test_misuse_of_images() -> None:
    x = tf.placeholder(tf.float32)
    summary = tf.summary.image("im", x)
    for shape, told in (([2], r"not \[2\]"), ([1, 2, 2, 2], r"not \[1,2,2,2\]")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"Tensor must be 4-D with last dim 1, 3, or 4, {told}"):
            run(summary, {x: np.zeros(shape)})
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"must have non-zero dims. Found: \[1, 0, 2, 1\]"):
        run(summary, {x: np.zeros([1, 0, 2, 1])})
    with pytest.raises(ValueError, match="Attr 'max_images' of 'ImageSummary' Op passed 0 less than minimum 1"):
        tf.summary.image("im", x, max_outputs=0)


# --- texts and tensors --------------------------------------------------------------------------------------


def test_texts() -> None:
    x = tf.placeholder(tf.string)
    with tf.name_scope("notes"):
        summary = tf.summary.text("text", x)
    (value,) = values_of(summary, {x: ["eins", "zwölf"]})
    assert value[TAG] == b"notes/text"
    tensor = fields(value[TENSOR])
    assert tensor[0] == (1, tf.string.enum)
    assert fields(tensor[1][1]) == [(2, b"\x08\x02")]
    assert tensor[2:] == [(8, b"eins"), (8, "zwölf".encode())]
    ((number, plugin),) = fields(value[METADATA])
    assert (number, fields(plugin)) == (1, [(1, b"text")])
    with pytest.raises(ValueError, match="to have dtype string, got <dtype: 'float32'>"):
        tf.summary.text("text", tf.constant(1.0))


def test_tensors() -> None:
    array = np.arange(6, dtype=np.float64).reshape(2, 3)
    summary = tf.summary.tensor_summary("t", array, "what it is", display_name="shown")
    (value,) = values_of(summary)
    tensor = dict(fields(value[TENSOR]))
    assert tensor[1] == tf.float64.enum
    assert fields(tensor[2]) == [(2, b"\x08\x02"), (2, b"\x08\x03")]
    assert tensor[4] == array.tobytes()
    assert fields(value[METADATA]) == [(2, b"shown"), (3, b"what it is")]


# --- merging ------------------------------------------------------------------------------------------------


def test_merging() -> None:
    x = tf.placeholder(tf.float32, [], name="x")
    parts = [tf.summary.scalar("a", x), tf.summary.histogram("b", x), tf.summary.scalar("c", x)]
    merged = tf.summary.merge([tf.summary.merge(parts[:2]), parts[2]], name="all of them")
    assert [merged.op.name, merged.op.inputs[0].op.name] == ["all_of_them/all_of_them", "Merge/MergeSummary"]
    *results, whole = run([*parts, merged], {x: 1.0})
    assert whole == b"".join(results)


def test_misuse_of_merging() -> None:
    given = tf.placeholder(tf.string)
    one = tf.summary.scalar("a", 1.0)
    merged = tf.summary.merge([one, given])
    good = run(one)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Duplicate tag a found in summary inputs"):
        run(merged, {given: good})
    for junk in (b"junk!", good[:-1], b"\x0a\x02\x0a\x05", b"\x0a\x04\x2a\x02\x09\x01", b"\x0a\xff"):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Could not parse one of the summary inputs"):
            run(merged, {given: junk})
    assert run(merged, {given: b""}) == good
    untagged = b"\x0a\x05\x15\x00\x00\x80\x3f"
    assert run(merged, {given: [untagged, untagged]}) == good + 2 * untagged
    with pytest.raises(ValueError, match="'inputs' to 'MergeSummary' Op with length 0 shorter than minimum length 1"):
        tf.summary.merge([])
    with pytest.raises(TypeError, match="have types"):
        tf.summary.merge([one, tf.constant(1.0)])


# --- beside a compiled step ---------------------------------------------------------------------------------


@pytest.mark.skipif(not COMPILERS, reason="needs a C compiler")
def test_the_training_step_stays_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFGRAPH_BACKEND", "compiled")
    interpreted: list[str] = []
    interpret = machine.interpret

    def noted(order: Any, *others: Any) -> Any:
        interpreted.extend(op.type for op in order)
        return interpret(order, *others)

    monkeypatch.setattr(machine, "interpret", noted)
    x = tf.placeholder(tf.float32, [None, 3])
    weights = tf.Variable([[1.0], [2.0], [3.0]], name="weights")
    loss = tf.reduce_mean(tf.square(tf.matmul(x, weights) - 1.0), name="loss")
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    tf.summary.scalar("loss", loss)
    tf.summary.histogram("weights", weights)
    merged = tf.summary.merge_all()
    feeds = {x: np.random.default_rng(0).standard_normal((8, 3))}
    with tf.Session() as session:
        initializer = tf.global_variables_initializer()
        session.run(initializer)
        _, plain = session.run([train, loss], feeds)
        session.run(initializer)
        interpreted.clear()
        _, summary = session.run([train, merged], feeds)
        first, second = (kernels(source) for source in session._machine.sources[-2:])
        moved = session.run(weights)
    assert set(interpreted) == {"Const", "ScalarSummary", "HistogramSummary", "MergeSummary"}
    assert [name for name in second if name != "copy"] == first  # the histogram is of the weights before the step
    assert summary_values(summary)[0][NUMBER] == plain
    assert not np.array_equal(moved, [[1.0], [2.0], [3.0]])


def kernels(source: str) -> list[str]:
    return re.findall(r"^static void k\d+_(\w+)", source, re.MULTILINE)
