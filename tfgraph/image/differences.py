"""`tf.image`: how much pictures differ from each other, and from pixel to pixel."""

from __future__ import annotations

from typing import Any

from .. import array, math
from ..convert import convert_to_tensor
from ..dtypes import float32
from ..naming import scope_of
from ..tensor import Tensor
from .colours import convert_image_dtype

__all__ = ["image_gradients", "psnr", "total_variation"]


def total_variation(images: Any, name: str | None = None) -> Tensor:
    """The sum of the absolute differences of neighbouring pixels: a scalar, or one number per picture of a batch."""
    with scope_of(name, "total_variation", images):
        images = convert_to_tensor(images, name="images")
        if images.shape.ndims not in (3, 4):
            raise ValueError("'images' must be either 3 or 4-dimensional.")
        vertical = images[..., 1:, :, :] - images[..., :-1, :, :]
        horizontal = images[..., :, 1:, :] - images[..., :, :-1, :]
        axes = None if images.shape.ndims == 3 else [1, 2, 3]
        return math.reduce_sum(math.abs(vertical), axes) + math.reduce_sum(math.abs(horizontal), axes)


def psnr(a: Any, b: Any, max_val: Any, name: str | None = None) -> Tensor:
    """The peak signal-to-noise ratio of pictures in decibels; `max_val` is the range of their pixels."""
    with scope_of(name, "PSNR", a, b):
        a, b = convert_to_tensor(a), convert_to_tensor(b)
        peak = convert_image_dtype(math.cast(max_val, a.dtype.base_dtype), float32)
        a, b = convert_image_dtype(a, float32), convert_image_dtype(b, float32)
        error = math.reduce_mean(math.squared_difference(a, b), [-3, -2, -1])
        to_decibel = 10 / math.log(convert_to_tensor(10.0))
        return math.subtract(2 * to_decibel * math.log(peak), to_decibel * math.log(error), name="psnr")


def image_gradients(image: Any) -> tuple[Tensor, Tensor]:
    """The differences to the next row and to the next column, 0 in the last ones; [batch, height, width, channels]."""
    image = convert_to_tensor(image)
    if image.shape.ndims != 4:
        raise ValueError(f"image_gradients expects a 4D tensor [batch_size, h, w, d], not {image.shape}.")
    vertical = image[:, 1:, :, :] - image[:, :-1, :, :]
    horizontal = image[:, :, 1:, :] - image[:, :, :-1, :]
    return array.pad(vertical, [(0, 0), (0, 1), (0, 0), (0, 0)]), array.pad(horizontal, [(0, 0), (0, 0), (0, 1), (0, 0)])
