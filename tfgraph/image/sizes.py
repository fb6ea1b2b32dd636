"""`tf.image`: pictures in another size."""

from __future__ import annotations

from typing import Any

from .. import array, math
from ..convert import convert_to_tensor
from ..dtypes import int32
from ..naming import scope_of
from ..ops import resize as ops
from ..tensor import Tensor

__all__ = ["ResizeMethod", "resize_bilinear", "resize_images", "resize_nearest_neighbor"]


class ResizeMethod:
    """How `resize_images` finds the pixels between those that there are."""

    BILINEAR = 0
    NEAREST_NEIGHBOR = 1
    BICUBIC = 2
    AREA = 3


def resize_nearest_neighbor(
    images: Any, size: Any, align_corners: bool = False, name: str | None = None, half_pixel_centers: bool = False
) -> Tensor:
    """[batch, height, width, channels] in the `size` (height, width), each pixel the nearest of the given ones.

    With `align_corners` the outermost pixels stay where they are. The sizes must be known when the step is compiled.
    """
    return ops.resize_nearest_neighbor(
        images, _pair(size), align_corners=align_corners, half_pixel_centers=half_pixel_centers, name=name
    )


def resize_bilinear(
    images: Any, size: Any, align_corners: bool = False, name: str | None = None, half_pixel_centers: bool = False
) -> Tensor:
    """[batch, height, width, channels] in the `size` (height, width), linearly interpolated; float32.

    With `align_corners` the outermost pixels stay where they are. The sizes must be known when the step is compiled.
    """
    return ops.resize_bilinear(
        images, _pair(size), align_corners=align_corners, half_pixel_centers=half_pixel_centers, name=name
    )


def _pair(size: Any) -> Tensor:
    return convert_to_tensor(size, dtype=int32, name="size")


_METHODS = {ResizeMethod.BILINEAR: resize_bilinear, ResizeMethod.NEAREST_NEIGHBOR: resize_nearest_neighbor}


def resize_images(
    images: Any,
    size: Any,
    method: int = ResizeMethod.BILINEAR,
    align_corners: bool = False,
    preserve_aspect_ratio: bool = False,
    name: str | None = None,
) -> Tensor:
    """A picture, or a batch of them, in the `size` (height, width).

    With `preserve_aspect_ratio` the largest size of the same shape that fits. Pictures that have the size already are
    returned as they are. NotImplementedError for the methods BICUBIC and AREA, ValueError for other ranks than 3 and 4.
    """
    if method not in _METHODS:
        if method in (ResizeMethod.BICUBIC, ResizeMethod.AREA):
            raise NotImplementedError("tf.image.resize_images has the methods BILINEAR and NEAREST_NEIGHBOR, not this one")
        raise ValueError("Resize method is not implemented.")
    with scope_of(name, "resize", images, size):
        images = convert_to_tensor(images, name="images")
        if images.shape.ndims not in (3, 4):
            raise ValueError("'images' must have either 3 or 4 dimensions.")
        alone = images.shape.ndims == 3
        batch = array.expand_dims(images, 0) if alone else images
        size = _pair(size)
        if not size.shape.is_compatible_with([2]):
            raise ValueError("'size' must be a 1-D Tensor of 2 elements: new_height, new_width")
        if preserve_aspect_ratio:
            size = _fitting(batch, size)
        wanted, found = size.known(), batch.shape.as_list()[1:3]
        if wanted is not None and list(wanted) == found:
            return images
        result = _METHODS[method](batch, size, align_corners)
        return array.squeeze(result, [0]) if alone else result


def _fitting(batch: Tensor, size: Tensor) -> Tensor:
    """The largest size in proportion to that of the pictures that is not above `size` on either side."""
    sides = math.to_float(array.shape(batch)[1:3])
    factor = math.reduce_min(math.to_float(size) / sides)
    return math.to_int32(math.round(factor * sides))
