"""`tf.image`: pictures cut out, put into larger frames, turned and mirrored."""

from __future__ import annotations

from typing import Any

from .. import array, math
from ..convert import convert_to_tensor
from ..naming import scope_of
from ..tensor import Tensor

__all__ = [
    "central_crop",
    "crop_to_bounding_box",
    "flip_left_right",
    "flip_up_down",
    "pad_to_bounding_box",
    "resize_image_with_crop_or_pad",
    "rot90",
    "transpose_image",
]

HEIGHT, WIDTH = -3, -2


def pictures(image: Any) -> Tensor:
    """`image` as a tensor. ValueError unless it is a picture or a batch of pictures."""
    image = convert_to_tensor(image, name="image")
    if image.shape.ndims not in (3, 4):
        raise ValueError(f"'image' must have either 3 or 4 dimensions, got shape {image.shape}")
    return image


def _axis(image: Tensor, side: int) -> int:
    assert image.shape.ndims is not None
    return image.shape.ndims + side


def _sides(image: Tensor) -> tuple[int, int]:
    """Height and width. ValueError if they are not known."""
    height, width = image.shape.as_list()[-3:-1]
    if height is None or width is None:
        raise ValueError(f"The height and the width of {image.name} must be known, got shape {image.shape}")
    return height, width


# --- turns ------------------------------------------------------------------------------------------------------------


def flip_left_right(image: Any) -> Tensor:
    """The picture, or each of a batch, mirrored so that its columns run backwards."""
    with scope_of(None, "flip_left_right", image):
        image = pictures(image)
        return array.reverse(image, [_axis(image, WIDTH)])


def flip_up_down(image: Any) -> Tensor:
    """The picture, or each of a batch, mirrored so that its rows run backwards."""
    with scope_of(None, "flip_up_down", image):
        image = pictures(image)
        return array.reverse(image, [_axis(image, HEIGHT)])


def transpose_image(image: Any) -> Tensor:
    """The picture, or each of a batch, with rows and columns exchanged."""
    with scope_of(None, "transpose", image):
        return _transposed(pictures(image))


def _transposed(image: Tensor) -> Tensor:
    return array.transpose(image, [1, 0, 2] if image.shape.ndims == 3 else [0, 2, 1, 3])


def rot90(image: Any, k: int = 1, name: str | None = None) -> Tensor:
    """The picture, or each of a batch, turned `k` times by 90 degrees to the left; `k` is a Python number."""
    with scope_of(name, "rot90", image):
        image = pictures(image)
        rows, columns = _axis(image, HEIGHT), _axis(image, WIDTH)
        turns = k % 4
        if turns == 1:
            return _transposed(array.reverse(image, [columns]))
        if turns == 2:
            return array.reverse(image, [rows, columns])
        return array.reverse(_transposed(image), [columns]) if turns == 3 else image


# --- frames -----------------------------------------------------------------------------------------------------------


def crop_to_bounding_box(
    image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Tensor:
    """The part of the picture, or of each of a batch, that begins at the offsets and has the target's size.

    ValueError if it reaches beyond the picture.
    """
    with scope_of(None, "crop_to_bounding_box", image):
        image = pictures(image)
        height, width = _sides(image)
        for offset, target, side, what in (
            (offset_height, target_height, height, "height"),
            (offset_width, target_width, width, "width"),
        ):
            if offset < 0:
                raise ValueError(f"offset_{what} must be >= 0.")
            if target <= 0:
                raise ValueError(f"target_{what} must be > 0.")
            if offset + target > side:
                raise ValueError(f"{what} must be >= target + offset.")
        bottom, right = offset_height + target_height, offset_width + target_width
        return image[..., offset_height:bottom, offset_width:right, :]


def pad_to_bounding_box(image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int) -> Tensor:
    """The picture, or each of a batch, at the offsets in a frame of zeros of the target's size. ValueError if it does not
    fit."""
    with scope_of(None, "pad_to_bounding_box", image):
        image = pictures(image)
        height, width = _sides(image)
        below, right = target_height - height - offset_height, target_width - width - offset_width
        for what, space, said in (
            ("offset_height", offset_height, "must be >= 0"),
            ("offset_width", offset_width, "must be >= 0"),
            ("height", below, "must be <= target - offset"),
            ("width", right, "must be <= target - offset"),
        ):
            if space < 0:
                raise ValueError(f"{what} {said}.")
        frame = [(offset_height, below), (offset_width, right), (0, 0)]
        return array.pad(image, frame if image.shape.ndims == 3 else [(0, 0), *frame])


def resize_image_with_crop_or_pad(image: Any, target_height: int, target_width: int) -> Tensor:
    """The middle of the picture, or of each of a batch, where it is larger than the target, zeros around it where it is
    smaller."""
    with scope_of(None, "resize_image_with_crop_or_pad", image):
        image = pictures(image)
        for what, target in (("height", target_height), ("width", target_width)):
            if target <= 0:
                raise ValueError(f"target_{what} must be > 0.")
        height, width = _sides(image)
        cut = crop_to_bounding_box(
            image,
            max((height - target_height) // 2, 0),
            max((width - target_width) // 2, 0),
            min(height, target_height),
            min(width, target_width),
        )
        above, left = max((target_height - height) // 2, 0), max((target_width - width) // 2, 0)
        return pad_to_bounding_box(cut, above, left, target_height, target_width)


def central_crop(image: Any, central_fraction: float) -> Tensor:
    """The middle of the picture, or of each of a batch: that fraction of its height and of its width.

    ValueError for a fraction outside (0, 1].
    """
    with scope_of(None, "central_crop", image):
        if not 0 < central_fraction <= 1:
            raise ValueError("central_fraction must be within (0, 1]")
        image = pictures(image)
        if central_fraction == 1:
            return image
        height, width = _sides(image)
        above, left = (int((side - side * central_fraction) / 2) for side in (height, width))
        return image[..., above : height - above, left : width - left, :]


def per_picture(values: Any, image: Tensor) -> Tensor:
    """One number per picture of a batch, in a shape that broadcasts over them."""
    return array.reshape(math.cast(values, image.dtype.base_dtype), [-1, 1, 1, 1])
