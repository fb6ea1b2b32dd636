"""`tf.image`: colours, contrast and brightness, and the dtypes that pictures have."""

from __future__ import annotations

from typing import Any

from .. import array, math
from ..convert import convert_to_tensor
from ..dtypes import as_dtype, float16, float32
from ..naming import scope_of
from ..tensor import Tensor

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "convert_image_dtype",
    "grayscale_to_rgb",
    "hsv_to_rgb",
    "per_image_standardization",
    "rgb_to_grayscale",
    "rgb_to_hsv",
]

_LUMINANCE = [0.2989, 0.5870, 0.1140]  # how bright red, green and blue appear
_PIXEL = [-1, -2, -3]  # height, width and channels


def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False, name: str | None = None) -> Tensor:
    """Pixels in another dtype: floats have the range [0, 1], integers that of their dtype.

    `saturate` limits floats to their range before they become integers.
    """
    image = convert_to_tensor(image, name="image")
    wanted, found = as_dtype(dtype), image.dtype.base_dtype
    if wanted == found:
        return array.identity(image, name=name)
    with scope_of(name, "convert_image", image) as scope:
        if found.is_integer and wanted.is_integer:
            return _between_integers(image, wanted, saturate, scope)
        if found.is_floating and wanted.is_floating:
            return math.cast(image, wanted, name=scope)
        if found.is_integer:
            return math.multiply(math.cast(image, wanted), 1.0 / found.max, name=scope)
        scaled = math.multiply(image, wanted.max + 0.5)
        return math.saturate_cast(scaled, wanted, name=scope) if saturate else math.cast(scaled, wanted, name=scope)


def _between_integers(image: Tensor, wanted: Any, saturate: bool, scope: str) -> Tensor:
    found = image.dtype.base_dtype
    if found.max > wanted.max:
        scaled = math.floordiv(image, (found.max + 1) // (wanted.max + 1))
        return math.saturate_cast(scaled, wanted, name=scope) if saturate else math.cast(scaled, wanted, name=scope)
    cast = math.saturate_cast(image, wanted) if saturate else math.cast(image, wanted)
    return math.multiply(cast, (wanted.max + 1) // (found.max + 1), name=scope)


def _as_floats(image: Tensor) -> Tensor:
    floating = image.dtype.base_dtype.is_floating
    return image if floating else convert_image_dtype(image, float32)


# --- grey and colour ----------------------------------------------------------------------------------------------------


def rgb_to_grayscale(images: Any, name: str | None = None) -> Tensor:
    """[..., 3] -> [..., 1], in the same dtype: how bright the colours appear."""
    with scope_of(name, "rgb_to_grayscale", images):
        images = convert_to_tensor(images, name="images")
        found = images.dtype.base_dtype
        floats = _as_floats(images)
        weights = convert_to_tensor(_LUMINANCE, dtype=floats.dtype.base_dtype)
        grey = math.reduce_sum(floats * weights, -1, keepdims=True)
        return convert_image_dtype(grey, found)


def grayscale_to_rgb(images: Any, name: str | None = None) -> Tensor:
    """[..., 1] -> [..., 3]: three equal channels."""
    with scope_of(name, "grayscale_to_rgb", images):
        images = convert_to_tensor(images, name="images")
        ndims = images.shape.ndims
        if ndims is None or images.shape[-1].value not in (1, None):
            raise ValueError("The last dimension of a grayscale image should be size 1.")
        return array.tile(images, [1] * (ndims - 1) + [3])


def rgb_to_hsv(images: Any, name: str | None = None) -> Tensor:
    """Red, green, blue in [0, 1] -> hue, saturation, value in [0, 1]; floats [..., 3]."""
    with scope_of(name, "rgb_to_hsv", images):
        images = convert_to_tensor(images, name="images")
        red, green, blue = array.unstack(images, 3, axis=-1)
        value = math.reduce_max(images, -1)
        spread = value - math.reduce_min(images, -1)
        saturation = array.where(value > 0, spread / value, array.zeros_like(value))
        sixth = 1.0 / (6.0 * spread)
        of_blue = sixth * (red - green) + 4.0 / 6.0
        of_green = array.where(math.equal(green, value), sixth * (blue - red) + 2.0 / 6.0, of_blue)
        hue = array.where(math.equal(red, value), sixth * (green - blue), of_green)
        hue = array.where(spread > 0, hue, array.zeros_like(hue))
        return array.stack([array.where(hue < 0, hue + 1, hue), saturation, value], axis=-1)


def hsv_to_rgb(images: Any, name: str | None = None) -> Tensor:
    """Hue, saturation, value in [0, 1] -> red, green, blue in [0, 1]; floats [..., 3]."""
    with scope_of(name, "hsv_to_rgb", images):
        images = convert_to_tensor(images, name="images")
        hue, saturation, value = array.unstack(images, 3, axis=-1)
        around = hue * 6.0
        # how much of each colour there is where the saturation is full
        parts = [math.abs(around - 3.0) - 1.0, 2.0 - math.abs(around - 2.0), 2.0 - math.abs(around - 4.0)]
        full = [math.clip_by_value(part, 0.0, 1.0) for part in parts]
        rest = 1 - saturation
        return array.stack([(rest + saturation * part) * value for part in full], axis=-1)


# --- adjustments --------------------------------------------------------------------------------------------------------


def adjust_brightness(image: Any, delta: Any) -> Tensor:
    """`delta` added to every pixel, where floats have the range [0, 1]; integers are limited to their range."""
    with scope_of(None, "adjust_brightness", image, delta):
        image = convert_to_tensor(image, name="image")
        found = image.dtype.base_dtype
        floats = _as_floats(image)
        return convert_image_dtype(floats + math.cast(delta, floats.dtype.base_dtype), found, saturate=True)


def adjust_contrast(images: Any, contrast_factor: Any) -> Tensor:
    """(pixel - mean) * contrast_factor + mean, for the mean of each channel of each picture."""
    with scope_of(None, "adjust_contrast", images, contrast_factor):
        images = convert_to_tensor(images, name="images")
        found = images.dtype.base_dtype
        floats = _as_floats(images)
        mean = math.reduce_mean(floats, [-3, -2], keepdims=True)
        factor = math.cast(contrast_factor, floats.dtype.base_dtype)
        return convert_image_dtype((floats - mean) * factor + mean, found, saturate=True)


def adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Tensor:
    """gain * pixel^gamma, where floats have the range [0, 1]. ValueError for a `gamma` below 0."""
    with scope_of(None, "adjust_gamma", image, gamma, gain):
        if isinstance(gamma, (int, float)) and gamma < 0:
            raise ValueError("Gamma should be a non-negative real number.")
        image = convert_to_tensor(image, name="image")
        found = image.dtype.base_dtype
        floats = _as_floats(image)
        return convert_image_dtype(math.pow(floats, math.cast(gamma, floats.dtype.base_dtype)) * gain, found, saturate=True)


def adjust_saturation(image: Any, saturation_factor: Any, name: str | None = None) -> Tensor:
    """Pictures [..., 3] with their saturation times that factor, at most 1."""
    with scope_of(name, "adjust_saturation", image, saturation_factor):
        image = convert_to_tensor(image, name="image")
        found = image.dtype.base_dtype
        hue, saturation, value = array.unstack(rgb_to_hsv(_as_floats(image)), 3, axis=-1)
        scaled = math.clip_by_value(saturation * saturation_factor, 0.0, 1.0)
        return convert_image_dtype(hsv_to_rgb(array.stack([hue, scaled, value], axis=-1)), found)


def adjust_hue(image: Any, delta: Any, name: str | None = None) -> Tensor:
    """Pictures [..., 3] with their hue turned by `delta`, where 1 is the whole circle."""
    with scope_of(name, "adjust_hue", image, delta):
        image = convert_to_tensor(image, name="image")
        found = image.dtype.base_dtype
        hue, saturation, value = array.unstack(rgb_to_hsv(_as_floats(image)), 3, axis=-1)
        turned = math.floormod(hue + math.cast(delta, hue.dtype.base_dtype), 1.0)
        return convert_image_dtype(hsv_to_rgb(array.stack([turned, saturation, value], axis=-1)), found)


def per_image_standardization(image: Any) -> Tensor:
    """(pixel - mean) / deviation of each picture; a deviation is at least 1 / sqrt(number of its pixels). Float32, or
    float16 for float16."""
    with scope_of(None, "per_image_standardization", image):
        image = convert_to_tensor(image, name="image")
        floats = image if image.dtype.base_dtype == float16 else math.cast(image, float32)
        count = math.cast(math.reduce_prod(array.shape(image)[-3:]), floats.dtype.base_dtype)
        mean = math.reduce_mean(floats, _PIXEL, keepdims=True)
        deviation = math.sqrt(math.reduce_mean(math.squared_difference(floats, mean), _PIXEL, keepdims=True))
        return (floats - mean) / math.maximum(deviation, math.rsqrt(count))
