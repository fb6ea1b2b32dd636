"""Images in another size, by the nearest pixel or by linear interpolation: ResizeNearestNeighbor, ResizeBilinear."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOATS, NUMBERS, float32
from ..errors import fail
from ..opdef import Call, composite
from ..shapes import Dims
from .compare import cast
from .gather import gather_v2, unsorted_segment_sum
from .math import add, mul, sub
from .reduce import sum_
from .shape import reshape_to, shape_tensor, spread_to, transpose
from .slicing import slice_

ROWS, COLUMNS = 1, 2
_SIGNATURE = {"static": ("size",), "align_corners": False, "half_pixel_centers": False}


def _resized_shape(call: Call) -> list[Dims | None]:
    dims, size = call.shape("images"), call.ints("size")
    if dims is not None and len(dims) != 4:
        fail(f"Shape must be rank 4 but is rank {len(dims)}", "input must be 4-dimensional")
    if size is not None and len(size) != 2:
        fail(f"Dimension must be 2 but is {len(size)}", "shape_t must have two elements")
    height, width = (None, None) if size is None else size
    if any(isinstance(side, int) and side <= 0 for side in (height, width)):
        fail("output dimensions must be positive")
    return [(None, height, width, None) if dims is None else (dims[0], height, width, dims[3])]


def _scale(call: Call, before: int, after: int) -> np.float32:
    """How far apart in the given image the pixels of the new one lie."""
    if call.attr("align_corners") and after > 1:
        return np.float32(before - 1) / np.float32(after - 1)
    return np.float32(before) / np.float32(after)


def _positions(call: Call, before: int, after: int) -> np.ndarray:
    """Where the pixels of the new image lie in the given one: float32[after]."""
    places = np.arange(after, dtype=np.float32)
    scale = _scale(call, before, after)
    return (places + np.float32(0.5)) * scale if call.attr("half_pixel_centers") else places * scale


def _sides(call: Call, axis: int) -> tuple[int, int]:
    before, size = call.shape("images")[axis], call.ints("size")
    if size is None or not isinstance(before, int):
        raise LookupError(f"the sizes of the images that {call.op.type} takes and gives must be known")
    return before, size[axis - ROWS]


# --- by the nearest pixel -----------------------------------------------------------------------------------------------


@composite("ResizeNearestNeighbor", "images: T, size: int32 -> resized_images: T", _resized_shape, T=NUMBERS, **_SIGNATURE)
def resize_nearest_neighbor(call: Call, images: Any, size: Any) -> Any:
    """Each pixel of the new images is the pixel of the given ones that it falls on."""
    return _nearest(call, _nearest(call, images, ROWS), COLUMNS)


def _nearest_places(call: Call, before: int, after: int) -> np.ndarray:
    """Which row or column of the given images each one of the new ones is."""
    positions = _positions(call, before, after)
    rounded = np.floor(positions + np.float32(0.5)) if call.attr("align_corners") else np.floor(positions)
    return np.clip(rounded, 0, before - 1).astype(np.int32)


def _times(places: np.ndarray, before: int) -> int | None:
    """How often each of the `before` rows is repeated, if all are equally often."""
    times, rest = divmod(places.size, before)
    return times if not rest and (places == np.arange(places.size) // times).all() else None


def _nearest(call: Call, images: Any, axis: int) -> Any:
    before, after = _sides(call, axis)
    places = _nearest_places(call, before, after)
    times = _times(places, before)
    if times is None:
        return gather_v2(images, places, axis)
    return images if times == 1 else _repeated(images, axis, times)


def _repeated(images: Any, axis: int, times: int) -> Any:
    """Every row or column `times` times."""
    dims = images.dims
    beside = spread_to(
        reshape_to(images, dims=(*dims[: axis + 1], 1, *dims[axis + 1 :])),
        dims=(*dims[: axis + 1], times, *dims[axis + 1 :]),
    )
    return reshape_to(beside, dims=(*dims[:axis], dims[axis] * times, *dims[axis + 1 :]))


# --- by linear interpolation ----------------------------------------------------------------------------------------------


@composite("ResizeBilinear", "images: T, size: int32 -> resized_images: float32", _resized_shape, T=NUMBERS, **_SIGNATURE)
def resize_bilinear(call: Call, images: Any, size: Any) -> Any:
    """Each pixel of the new images is interpolated between the four around its place in the given ones."""
    pixels = images if call.dtype("images") == float32 else cast(images, DstT=float32)
    return _between(call, _between(call, pixels, COLUMNS), ROWS)


def _mixture(call: Call, before: int, after: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two rows or columns that each new one lies between, and its share of the second."""
    positions = _positions(call, before, after)
    if call.attr("half_pixel_centers"):
        positions = positions - np.float32(0.5)
    below = np.floor(positions)
    lower, upper = (np.clip(place, 0, before - 1).astype(np.int32) for place in (below, below + 1))
    return lower, upper, (positions - below).astype(np.float32)


def _along(share: np.ndarray, axis: int) -> np.ndarray:
    """One number per row or column, in a shape that broadcasts over images."""
    return share.reshape((-1, 1) if axis == COLUMNS else (-1, 1, 1))


def _between(call: Call, images: Any, axis: int) -> Any:
    before, after = _sides(call, axis)
    lower, upper, share = _mixture(call, before, after)
    one = gather_v2(images, lower, axis)
    if not share.any():
        return one
    return add(one, mul(sub(gather_v2(images, upper, axis), one), _along(share, axis)))


# --- gradients ----------------------------------------------------------------------------------------------------------


def _added(images: Any, axis: int, places: np.ndarray, count: int) -> Any:
    """The rows or columns of `images` added up at their `places` among `count`."""
    in_front = [axis, *(i for i in range(4) if i != axis)]
    total = unsorted_segment_sum(transpose(images, in_front), places, count)
    return transpose(total, [in_front.index(i) for i in range(4)])


def _nearest_grad_shape(call: Call) -> list[Dims | None]:
    dims, size = call.shape("grads"), call.ints("size")
    height, width = (None, None) if size is None else size
    return [(None, height, width, None) if dims is None else (dims[0], height, width, dims[3])]


@composite(
    "ResizeNearestNeighborGrad", "grads: T, size: int32 -> output: T", _nearest_grad_shape, T=NUMBERS, **_SIGNATURE
)
def resize_nearest_neighbor_grad(call: Call, grads: Any, size: Any) -> Any:
    """Each pixel of the given images is the sum of the gradients of those that show it; `size` is theirs."""
    sides = call.ints("size")
    assert sides is not None
    for axis, before in zip((ROWS, COLUMNS), sides, strict=True):
        grads = _nearest_back(call, grads, axis, before)
    return grads


def _nearest_back(call: Call, grads: Any, axis: int, before: int) -> Any:
    dims = grads.dims
    places = _nearest_places(call, before, dims[axis])
    times = _times(places, before)
    if times is None:
        return _added(grads, axis, places, before)
    if times == 1:
        return grads
    apart = reshape_to(grads, dims=(*dims[:axis], before, times, *dims[axis + 1 :]))
    return sum_(apart, np.asarray([axis + 1], np.int32))


@composite(
    "ResizeBilinearGrad",
    "grads: float32, original_image: T -> output: T",
    lambda call: [call.shape("original_image")],
    T=FLOATS,
    align_corners=False,
    half_pixel_centers=False,
)
def resize_bilinear_grad(call: Call, grads: Any, original_image: Any) -> Any:
    """The gradients of resized images spread over the pixels that they were interpolated between."""
    for axis in (ROWS, COLUMNS):
        before = call.shape("original_image")[axis]
        lower, upper, share = _mixture(call, before, grads.dims[axis])
        if not share.any():
            grads = _added(grads, axis, lower, before)
            continue
        share = _along(share, axis)
        of_lower, of_upper = mul(grads, np.float32(1) - share), mul(grads, share)
        grads = add(_added(of_lower, axis, lower, before), _added(of_upper, axis, upper, before))
    dtype = call.dtype("original_image")
    return grads if dtype == float32 else cast(grads, DstT=dtype)


def _attributes(op: Any) -> dict[str, Any]:
    return {name: op.attrs[name] for name in ("align_corners", "half_pixel_centers")}


@resize_nearest_neighbor.gradient
def _resize_nearest_neighbor_gradient(op: Any, dy: Any) -> Any:
    sides = slice_(shape_tensor(op.inputs[0]), [ROWS], [2])
    return resize_nearest_neighbor_grad(dy, sides, **_attributes(op)), None


@resize_bilinear.gradient
def _resize_bilinear_gradient(op: Any, dy: Any) -> Any:
    if not op.inputs[0].dtype.base_dtype.is_floating:
        return None, None
    return resize_bilinear_grad(dy, op.inputs[0], **_attributes(op)), None
