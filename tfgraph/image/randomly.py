"""`tf.image`: random changes of pictures, with TensorFlow's random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import array, math
from ..convert import convert_to_tensor
from ..dtypes import int32
from ..naming import scope_of
from ..random import random_uniform
from ..tensor import Tensor
from .colours import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from .frames import flip_left_right, flip_up_down, per_picture, pictures

__all__ = [
    "random_brightness",
    "random_contrast",
    "random_crop",
    "random_flip_left_right",
    "random_flip_up_down",
    "random_hue",
    "random_saturation",
]


def random_flip_left_right(image: Any, seed: int | None = None) -> Tensor:
    """The picture, or each of a batch on its own, mirrored left to right in one of two cases."""
    return _flipped(image, seed, flip_left_right, "random_flip_left_right")


def random_flip_up_down(image: Any, seed: int | None = None) -> Tensor:
    """The picture, or each of a batch on its own, mirrored upside down in one of two cases."""
    return _flipped(image, seed, flip_up_down, "random_flip_up_down")


def _flipped(image: Any, seed: int | None, flip: Callable[[Any], Tensor], scope: str) -> Tensor:
    with scope_of(None, scope, image):
        image = pictures(image)
        if image.shape.ndims == 3:
            return math.where_v2(random_uniform([], 0, 1.0, seed=seed) < 0.5, flip(image), image)
        drawn = random_uniform([array.shape(image)[0]], seed=seed)
        chosen = per_picture(math.round(drawn), image)
        return chosen * flip(image) + (1 - chosen) * image


def random_brightness(image: Any, max_delta: float, seed: int | None = None) -> Tensor:
    """`adjust_brightness` by a random number from [-max_delta, max_delta). ValueError for a negative limit."""
    if max_delta < 0:
        raise ValueError("max_delta must be non-negative.")
    return adjust_brightness(image, random_uniform([], -max_delta, max_delta, seed=seed))


def random_contrast(image: Any, lower: float, upper: float, seed: int | None = None) -> Tensor:
    """`adjust_contrast` by a random number from [lower, upper). ValueError unless 0 <= lower < upper."""
    return adjust_contrast(image, _factor(lower, upper, seed))


def random_saturation(image: Any, lower: float, upper: float, seed: int | None = None) -> Tensor:
    """`adjust_saturation` by a random number from [lower, upper). ValueError unless 0 <= lower < upper."""
    return adjust_saturation(image, _factor(lower, upper, seed))


def random_hue(image: Any, max_delta: float, seed: int | None = None) -> Tensor:
    """`adjust_hue` by a random number from [-max_delta, max_delta). ValueError for a limit outside [0, 0.5]."""
    if not 0 <= max_delta <= 0.5:
        raise ValueError("max_delta must be <= 0.5." if max_delta > 0.5 else "max_delta must be non-negative.")
    return adjust_hue(image, random_uniform([], -max_delta, max_delta, seed=seed))


def _factor(lower: float, upper: float, seed: int | None) -> Tensor:
    if upper <= lower:
        raise ValueError("upper must be > lower.")
    if lower < 0:
        raise ValueError("lower must be non-negative.")
    return random_uniform([], lower, upper, seed=seed)


def random_crop(value: Any, size: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """A part of `value` of that `size`, a list of ints with one per dimension, at a random place."""
    with scope_of(name, "random_crop", value, size):
        value = convert_to_tensor(value, name="value")
        wanted = [int(side) for side in size]
        limit = array.shape(value) - convert_to_tensor(wanted, dtype=int32) + 1
        offset = math.floormod(random_uniform([len(wanted)], maxval=int32.max, dtype=int32, seed=seed), limit)
        for axis, (side, found) in enumerate(zip(wanted, value.shape.as_list(), strict=True)):
            if side != found:
                value = array.gather(value, array.range(side) + offset[axis], axis=axis)
        return value
