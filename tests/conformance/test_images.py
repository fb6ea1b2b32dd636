"""`tf.image` on TensorFlow and here: sizes, frames, colours, random changes, and gradients through resized pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.conformance._both import assert_same

pytestmark = pytest.mark.conformance

_rng = np.random.RandomState(0)
BATCH = _rng.rand(2, 6, 7, 3).astype(np.float32)
PICTURE = BATCH[0]
BYTES = _rng.randint(0, 256, (5, 4, 3)).astype(np.uint8)


def run(tf: Any, *tensors: Any, feeds: Any = None) -> Any:
    with tf.Session() as sess:
        return sess.run(list(tensors), feeds)


def resized(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [None, 6, 7, 3])
    found = []
    for size in ((12, 14), (3, 5), (6, 7), (13, 4)):
        for corners in (False, True):
            found.append(tf.image.resize_nearest_neighbor(x, size, align_corners=corners))
            found.append(tf.image.resize_bilinear(x, size, align_corners=corners))
            found.append(tf.image.resize_images(x, size, tf.image.ResizeMethod.BILINEAR, corners))
    found.append(tf.image.resize_images(x, [12, 12], preserve_aspect_ratio=True))
    found.append(tf.image.resize_images(PICTURE, [4, 4], 1))
    found += tf.gradients([tf.square(y) for y in found if y.dtype == tf.float32], x)
    return run(tf, *found, feeds={x: BATCH})


def framed(tf: Any) -> Any:
    image = tf.image
    found = []
    for x in (tf.constant(PICTURE), tf.constant(BATCH)):
        found += [image.flip_left_right(x), image.flip_up_down(x), image.central_crop(x, 0.5)]
        found += [image.crop_to_bounding_box(x, 1, 2, 3, 4), image.pad_to_bounding_box(x, 1, 2, 9, 10)]
        found += [image.resize_image_with_crop_or_pad(x, 4, 10), image.resize_image_with_crop_or_pad(x, 9, 4)]
        found += [image.rot90(x, k) for k in range(5)]
        found += [image.transpose_image(x), image.total_variation(x)]
    return run(tf, *found, *image.image_gradients(tf.constant(BATCH)), image.psnr(BATCH, BATCH[::-1], 1.0))


def coloured(tf: Any) -> Any:
    image = tf.image
    found = []
    for x in (tf.constant(PICTURE), tf.constant(BATCH), tf.constant(BYTES)):
        found += [image.rgb_to_grayscale(x), image.grayscale_to_rgb(x[..., :1])]
        found += [image.adjust_brightness(x, 0.2), image.adjust_contrast(x, 1.7), image.adjust_gamma(x, 1.5, 0.9)]
        found += [image.per_image_standardization(x), image.convert_image_dtype(x, tf.float32)]
        found += [image.adjust_saturation(x, 1.4), image.adjust_hue(x, 0.3), image.adjust_hue(x, -0.4)]
    found += [image.rgb_to_hsv(BATCH), image.hsv_to_rgb(BATCH), image.rgb_to_hsv(np.zeros((1, 2, 3), np.float32))]
    found += [image.convert_image_dtype(PICTURE, tf.uint8), image.convert_image_dtype(BYTES, tf.uint16)]
    return run(tf, *found)


def at_random(tf: Any) -> Any:
    image = tf.image
    found = [image.random_flip_left_right(PICTURE, seed=seed) for seed in range(4)]
    found += [image.random_flip_up_down(PICTURE, seed=seed) for seed in range(4)]
    found += [image.random_brightness(PICTURE, 0.3, seed=1), image.random_contrast(PICTURE, 0.5, 1.5, seed=2)]
    found += [image.random_hue(PICTURE, 0.2, seed=1), image.random_saturation(PICTURE, 0.5, 1.5, seed=2)]
    found += [tf.random_crop(BATCH, [2, 3, 4, 3], seed=seed) for seed in range(3)]
    return run(tf, *found)


@pytest.mark.parametrize("script", [resized, framed, coloured, at_random])
def test_pictures(script: Any) -> None:
    assert_same(script, seed=5)
