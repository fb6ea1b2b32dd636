"""Where the batch, the rows, the columns and the channels of an image tensor are: "NHWC" or "NCHW".

The kernels know NHWC only; ops of the other layout are the same ops between two transpositions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..opdef import one_of
from ..shapes import Dims
from .gather import gather_v2
from .shape import transpose

DATA_FORMATS = one_of("NHWC", "NCHW", default="NHWC")

_TO_LAST = [0, 2, 3, 1]
_TO_FIRST = [0, 3, 1, 2]


def channel_axis(data_format: str, rank: int) -> int:
    """The axis of the channels; "NCHW" puts them second whatever the rank."""
    return 1 if data_format == "NCHW" else rank - 1


def dims_last(dims: Sequence[Any], data_format: str) -> tuple[Any, ...]:
    """Four sizes (or strides, ...) of a layout in the order batch, rows, columns, channels."""
    return tuple(dims[i] for i in _TO_LAST) if data_format == "NCHW" else tuple(dims)


def dims_in(dims: Dims, data_format: str) -> Dims:
    """Batch, rows, columns, channels in the order of a layout."""
    return tuple(dims[i] for i in _TO_FIRST) if data_format == "NCHW" else dims


def channels_last(x: Any, data_format: str) -> Any:
    """A tensor of a layout as NHWC."""
    return transpose(x, _TO_LAST) if data_format == "NCHW" else x


def sizes_last(sizes: Any, data_format: str) -> Any:
    """A tensor that holds four sizes of a layout, in the order of NHWC."""
    return gather_v2(sizes, _TO_LAST, 0) if data_format == "NCHW" else sizes


def in_layout(x: Any, data_format: str) -> Any:
    """An NHWC tensor in a layout."""
    return transpose(x, _TO_FIRST) if data_format == "NCHW" else x
