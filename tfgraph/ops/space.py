"""Ops that move blocks of an image into its channels or into the batch, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import ALL
from ..errors import fail
from ..opdef import REQUIRED, Call, composite, one_of
from ..shapes import Dim, Dims, with_rank
from .shape import INDEX_TYPES, reshape_to, transpose
from .slicing import pad, slice_

_BLOCK = {"T": ALL, "block_size": REQUIRED, "data_format": one_of("NHWC", "NCHW", default="NHWC")}


def _moved(x: Any, apart: Dims, order: Sequence[int], result: Dims) -> Any:
    """x seen as `apart`, with these dimensions in another order, as `result`."""
    return reshape_to(transpose(reshape_to(x, dims=apart), np.asarray(order, np.int32)), dims=result)


def _exact(dim: Dim, by: Any, what: str) -> Dim:
    if dim is None or by is None:
        return None
    if isinstance(dim, int) and isinstance(by, int) and dim % by:
        fail(f"Dimension size must be evenly divisible by {by} but is {dim}", f"{what} {dim} is not divisible by {by}")
    return dim // by


def _times(dim: Dim, by: Any) -> Dim:
    return None if dim is None or by is None else dim * by


def _to_last(call: Call, dims: Dims) -> Dims:
    return dims if call.attr("data_format") == "NHWC" else (dims[0], dims[2], dims[3], dims[1])


def _from_last(call: Call, dims: Dims) -> Dims:
    return dims if call.attr("data_format") == "NHWC" else (dims[0], dims[3], dims[1], dims[2])


def _to_depth_shape(call: Call) -> list[Dims | None]:
    n, h, w, c = _to_last(call, with_rank(call.shape("input"), 4))
    b = call.attr("block_size")
    return [_from_last(call, (n, _exact(h, b, "Image height"), _exact(w, b, "Image width"), _times(c, b * b)))]


@composite("SpaceToDepth", "input: T -> output: T", _to_depth_shape, **_BLOCK)
def space_to_depth(call: Call, x: Any) -> Any:
    """Each block of block_size x block_size pixels becomes one pixel with as many times the channels."""
    b, last = call.attr("block_size"), call.attr("data_format") == "NHWC"
    x = x if last else transpose(x, [0, 2, 3, 1])
    n, h, w, c = x.dims
    y = _moved(x, (n, h // b, b, w // b, b, c), (0, 1, 3, 2, 4, 5), (n, h // b, w // b, c * b * b))
    return y if last else transpose(y, [0, 3, 1, 2])


@space_to_depth.gradient
def _space_to_depth_gradient(op: Any, dy: Any) -> Any:
    return depth_to_space(dy, block_size=op.attr("block_size"), data_format=op.attr("data_format"))


def _to_space_shape(call: Call) -> list[Dims | None]:
    n, h, w, c = _to_last(call, with_rank(call.shape("input"), 4))
    b = call.attr("block_size")
    return [_from_last(call, (n, _times(h, b), _times(w, b), _exact(c, b * b, "Depth")))]


@composite("DepthToSpace", "input: T -> output: T", _to_space_shape, **_BLOCK)
def depth_to_space(call: Call, x: Any) -> Any:
    """The opposite of SpaceToDepth."""
    b, last = call.attr("block_size"), call.attr("data_format") == "NHWC"
    x = x if last else transpose(x, [0, 2, 3, 1])
    n, h, w, c = x.dims
    depth = c // (b * b)
    y = _moved(x, (n, h, w, b, b, depth), (0, 1, 3, 2, 4, 5), (n, h * b, w * b, depth))
    return y if last else transpose(y, [0, 3, 1, 2])


@depth_to_space.gradient
def _depth_to_space_gradient(op: Any, dy: Any) -> Any:
    return space_to_depth(dy, block_size=op.attr("block_size"), data_format=op.attr("data_format"))


# --- blocks into the batch ------------------------------------------------------------------------------------------------


def _pairs(call: Call, name: str) -> list[list[Any]] | None:
    value = call.value(name)
    return None if value is None else value.reshape(-1, 2).tolist()


def _product(values: tuple[int, ...]) -> int:
    total = 1
    for value in values:
        total *= value
    return total


def _into_batch(dims: Dims, blocks: tuple[int, ...]) -> Dims:
    """The dimensions after blocks of pixels went into the batch."""
    spatial = dims[1 : 1 + len(blocks)]
    cut = tuple(_exact(d, b, f"padded_shape[{i}]=") for i, (d, b) in enumerate(zip(spatial, blocks, strict=True)))
    return (_times(dims[0], _product(blocks)), *cut, *dims[1 + len(blocks) :])


def _to_batch_shape(call: Call) -> list[Dims | None]:
    dims, blocks, pairs = call.shape("input"), call.ints("block_shape"), _pairs(call, "paddings")
    if dims is None or blocks is None or pairs is None:
        return [None if dims is None else (None,) * len(dims)]
    spatial = tuple(None if d is None else d + b + a for d, (b, a) in zip(dims[1:], pairs, strict=False))
    return [_into_batch((dims[0], *spatial, *dims[1 + len(pairs) :]), blocks)]


def _blocks_to_batch(x: Any, blocks: tuple[int, ...]) -> Any:
    """Pixel (i * block + r) of sample n goes to pixel i of sample r * batch + n."""
    count, result = len(blocks), _into_batch(x.dims, blocks)
    rest = x.dims[1 + count :]
    apart = [x.dims[0]]
    for size, block in zip(result[1:], blocks, strict=False):
        apart += [size, block]
    order = (*range(2, 2 * count + 1, 2), 0, *range(1, 2 * count, 2), *range(2 * count + 1, 2 * count + 1 + len(rest)))
    return _moved(x, (*apart, *rest), order, result)


@composite(
    "SpaceToBatchND",
    "input: T, block_shape: Tblock_shape, paddings: Tpaddings -> output: T",
    _to_batch_shape,
    static=("block_shape", "paddings"),
    T=ALL,
    Tblock_shape=INDEX_TYPES,
    Tpaddings=INDEX_TYPES,
)
def space_to_batch_nd(call: Call, x: Any, block_shape: Any, paddings: Any) -> Any:
    """The padded input, one sample of the batch per offset inside a block."""
    blocks, pairs = call.ints("block_shape"), _pairs(call, "paddings")
    assert blocks is not None
    assert pairs is not None
    tail = [[0, 0] for _ in x.dims[1 + len(blocks) :]]
    return _blocks_to_batch(pad(x, [[0, 0], *pairs, *tail]), blocks)


@space_to_batch_nd.gradient
def _space_to_batch_gradient(op: Any, dy: Any) -> Any:
    return batch_to_space_nd(dy, op.inputs[1], op.inputs[2]), None, None


def _out_of_batch(dims: Dims, blocks: tuple[int, ...]) -> Dims:
    """The dimensions after the samples of one block became pixels again."""
    spatial = tuple(_times(d, b) for d, b in zip(dims[1:], blocks, strict=False))
    return (_exact(dims[0], _product(blocks), "input batch size"), *spatial, *dims[1 + len(blocks) :])


def _to_space_nd_shape(call: Call) -> list[Dims | None]:
    dims, blocks, pairs = call.shape("input"), call.ints("block_shape"), _pairs(call, "crops")
    if dims is None or blocks is None or pairs is None:
        return [None if dims is None else (None,) * len(dims)]
    whole = _out_of_batch(dims, blocks)
    cropped = tuple(None if d is None else d - (b + a) for d, (b, a) in zip(whole[1:], pairs, strict=False))
    return [(whole[0], *cropped, *whole[1 + len(pairs) :])]


def _batch_to_blocks(x: Any, blocks: tuple[int, ...]) -> Any:
    """The opposite of `_blocks_to_batch`."""
    count, result = len(blocks), _out_of_batch(x.dims, blocks)
    order = [count]
    for i in range(count):
        order += [count + 1 + i, i]
    order += range(2 * count + 1, len(x.dims) + count)
    return _moved(x, (*blocks, result[0], *x.dims[1:]), order, result)


@composite(
    "BatchToSpaceND",
    "input: T, block_shape: Tblock_shape, crops: Tcrops -> output: T",
    _to_space_nd_shape,
    static=("block_shape", "crops"),
    T=ALL,
    Tblock_shape=INDEX_TYPES,
    Tcrops=INDEX_TYPES,
)
def batch_to_space_nd(call: Call, x: Any, block_shape: Any, crops: Any) -> Any:
    """The opposite of SpaceToBatchND: samples become pixels again, and the borders are cropped."""
    blocks, pairs = call.ints("block_shape"), _pairs(call, "crops")
    assert blocks is not None
    assert pairs is not None
    whole = _batch_to_blocks(x, blocks)
    (dims,) = _to_space_nd_shape(call)
    assert dims is not None
    begin = [0, *(before for before, _ in pairs), *(0 for _ in dims[1 + len(pairs) :])]
    return slice_(whole, begin, [-1, *dims[1:]])


@batch_to_space_nd.gradient
def _batch_to_space_gradient(op: Any, dy: Any) -> Any:
    return space_to_batch_nd(dy, op.inputs[1], op.inputs[2]), None, None
