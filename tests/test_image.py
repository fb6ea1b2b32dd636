"""`tf.image` against NumPy: sizes, frames, colours."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

import tfgraph as tf

pytestmark = pytest.mark.usefixtures("graph")

BATCH = np.random.RandomState(0).rand(2, 4, 6, 3).astype(np.float32)


def run(*tensors: tf.Tensor) -> list[np.ndarray]:
    with tf.Session() as sess:
        return sess.run(list(tensors))


def interpolated(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """Linear interpolation, pixel by pixel."""
    y = np.zeros((len(x), height, width, x.shape[3]))
    for i in range(height):
        for j in range(width):
            row, column = i * x.shape[1] / height, j * x.shape[2] / width
            top, left = int(row), int(column)
            bottom, right = min(top + 1, x.shape[1] - 1), min(left + 1, x.shape[2] - 1)
            upper = x[:, top, left] * (1 - (column - left)) + x[:, top, right] * (column - left)
            lower = x[:, bottom, left] * (1 - (column - left)) + x[:, bottom, right] * (column - left)
            y[:, i, j] = upper * (1 - (row - top)) + lower * (row - top)
    return y


@pytest.mark.parametrize("size", [(8, 12), (2, 3), (4, 6), (5, 4), (1, 1)])
def test_sizes(size: tuple[int, int]) -> None:
    x = tf.constant(BATCH)
    near, between = run(tf.image.resize_nearest_neighbor(x, size), tf.image.resize_images(x, size))
    rows, columns = (np.arange(n) * m // n for n, m in zip(size, BATCH.shape[1:3], strict=True))
    np.testing.assert_array_equal(near, BATCH[:, rows][:, :, columns])
    np.testing.assert_allclose(between, interpolated(BATCH, *size), rtol=1e-5)


@pytest.mark.parametrize("size", [(8, 12), (3, 5)])
def test_slopes_of_sizes_are_the_transposed_map(size: tuple[int, int]) -> None:
    """Both are linear maps A, so <A x, y> = <x, gradient for y>."""
    x = tf.placeholder(tf.float32, [None, 4, 6, 3])
    weights = np.random.RandomState(1).rand(2, *size, 3).astype(np.float32)
    for function in (tf.image.resize_nearest_neighbor, tf.image.resize_bilinear):
        y = function(x, size)
        with tf.Session() as sess:
            value, slope = sess.run([y, tf.gradients(y, x, weights)[0]], {x: BATCH})
        assert np.vdot(value, weights) == pytest.approx(np.vdot(BATCH, slope), rel=1e-4)


def test_frames() -> None:
    x, image = tf.constant(BATCH), tf.image
    found = run(
        image.flip_left_right(x), image.flip_up_down(x), image.rot90(x), image.transpose_image(x),
        image.central_crop(x, 0.5), image.crop_to_bounding_box(x, 1, 2, 3, 4), image.pad_to_bounding_box(x, 1, 2, 6, 9),
        image.resize_image_with_crop_or_pad(x, 2, 8),
    )  # fmt: skip
    expected = [
        BATCH[:, :, ::-1], BATCH[:, ::-1], np.rot90(BATCH, axes=(1, 2)), BATCH.transpose(0, 2, 1, 3), BATCH[:, 1:3, 1:5],
        BATCH[:, 1:4, 2:6], np.pad(BATCH, [(0, 0), (1, 1), (2, 1), (0, 0)]),
        np.pad(BATCH[:, 1:3], [(0, 0), (0, 0), (1, 1), (0, 0)]),
    ]  # fmt: skip
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="height must be >= target"):
        image.crop_to_bounding_box(x, 2, 0, 3, 4)
    with pytest.raises(ValueError, match="either 3 or 4 dimensions"):
        image.flip_up_down(tf.zeros([3]))


def test_colours() -> None:
    x, image = tf.constant(BATCH), tf.image
    hsv, back, saturated, grey, standard = run(
        image.rgb_to_hsv(x), image.hsv_to_rgb(image.rgb_to_hsv(x)), image.adjust_saturation(x, 0.5),
        image.rgb_to_grayscale(x), image.per_image_standardization(x),
    )  # fmt: skip
    pixels = BATCH.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(hsv.reshape(-1, 3), [colorsys.rgb_to_hsv(*p) for p in pixels], atol=2e-6)
    np.testing.assert_allclose(back, BATCH, atol=2e-6)
    halved = [colorsys.hsv_to_rgb(h, s / 2, v) for h, s, v in (colorsys.rgb_to_hsv(*p) for p in pixels)]
    np.testing.assert_allclose(saturated.reshape(-1, 3), halved, atol=2e-6)
    np.testing.assert_allclose(grey[..., 0], BATCH @ [0.2989, 0.587, 0.114], rtol=1e-5)
    np.testing.assert_allclose(standard.mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(standard.std((1, 2, 3)), 1, rtol=1e-5)


def test_random_changes_stay_in_the_picture() -> None:
    crop, flipped = tf.random_crop(BATCH[0], [2, 3, 3], seed=1), tf.image.random_flip_left_right(BATCH[0], seed=2)
    with tf.Session() as sess:
        crops, flips = zip(*[sess.run([crop, flipped]) for _ in range(12)], strict=True)
    places = {(i, j): BATCH[0, i : i + 2, j : j + 3] for i in range(3) for j in range(4)}
    found = {at for one in crops for at, part in places.items() if np.array_equal(one, part)}
    assert len(found) > 3
    assert all(any(np.array_equal(one, part) for part in places.values()) for one in crops)
    kinds = {("as it is" if np.array_equal(f, BATCH[0]) else "mirrored") for f in flips}
    assert kinds == {"as it is", "mirrored"}
