"""Which convolutions Winograd's method computes faster than direct sums: the cost model behind TFGRAPH_CONV=auto.

Costs are counted in multiply-adds of one channel with another. Both methods do these at nearly the same rate, close to
what the machine can; the constants say what else Winograd's does. They are fitted to 84 layers in all three directions (3
to 512 channels, 3 to 64 pixels, AVX-512): the ratios of times are right to 20 %, and the choice costs 1 % on average.
With 5 x 5 and 2 x 2 filters (12 layers, 4 to 128 channels) they are right to 30 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...shapes import Batch
from ..target import NOMINAL_BATCH, Target
from ..tiles import Element
from .conv2d_window import Conv2DSpec
from .winograd_transforms import STEP, points_of

TRANSFORM = 1.8  # of a channel of a square, per point and points along an axis: either to the points or back
FILTERS = 40  # of each element of the filters or of their gradients, per point, once in a step
MARGIN = 1.1  # the gain that is worth larger rounding errors and more to compile


@dataclass(frozen=True)
class _Sweep:
    """The convolution as sums over `channels` for `columns`; the gradient of the input is one over dy."""

    pictures: int
    height: int
    width: int
    channels: int
    columns: int


def _sweep(spec: Conv2DSpec) -> _Sweep:
    pictures = spec.images.per * NOMINAL_BATCH if isinstance(spec.images, Batch) else int(spec.images)
    if spec.direction == "backprop_input":
        return _Sweep(pictures, spec.in_h, spec.in_w, spec.out_c, spec.in_c)
    return _Sweep(pictures, spec.out_h, spec.out_w, spec.in_c, spec.out_c)


def direct_cost(spec: Conv2DSpec, target: Target) -> float:
    """Multiply-adds of direct sums; the columns fill whole vectors."""
    sweep, lanes = _sweep(spec), Element(spec.dtype, target).lanes
    products = sweep.channels * whole(sweep.columns, lanes)
    return float(sweep.pictures * sweep.height * sweep.width * spec.filter_h * spec.filter_w * products)


def winograd_cost(spec: Conv2DSpec, target: Target) -> float:
    """Multiply-adds that take as long as Winograd's products and transforms of squares and filters."""
    sweep, lanes = _sweep(spec), Element(spec.dtype, target).lanes
    squares = sweep.pictures * math.ceil(sweep.height / STEP) * math.ceil(sweep.width / STEP)
    products = sweep.channels * whole(sweep.columns, lanes)
    transforms = TRANSFORM * (STEP + spec.filter_h - 1) * (whole(sweep.channels, lanes) + whole(sweep.columns, lanes))
    return float(points_of(spec.filter_h) * (squares * (products + transforms) + FILTERS * products))


def whole(count: int, lanes: int) -> int:
    """Channels with those that fill the last vector."""
    return math.ceil(count / lanes) * lanes


def prefers_winograd(spec: Conv2DSpec, target: Target) -> bool:
    """Winograd's method is the faster one for a convolution that there is a kernel for."""
    return direct_cost(spec, target) > MARGIN * winograd_cost(spec, target)
