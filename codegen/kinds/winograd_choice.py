"""Which convolutions Winograd's method computes faster than direct sums: the cost model behind TFGRAPH_CONV=auto.

Costs are counted in multiply-adds of one channel with another. Both methods do these at nearly the same rate, close to
what the machine can; the constants say what else Winograd's does. They are fitted to 84 layers in all three directions (3
to 512 channels, 3 to 64 pixels, AVX-512): the ratios of times are right to 20 %, and the choice costs 1 % on average.
With 5 x 5 and 2 x 2 filters (12 layers, 4 to 128 channels) they are right to 30 %.

Larger squares need fewer products for a pixel, but those at the edges compute pixels that nobody wants: 6 x 6 results are
four squares of F(4x4,3x3), with 144 products of each channel, or four of F(3x3,3x3), with 100. Of the three sizes for
3 x 3 filters the model names the fastest for every one of 23 small layers (1 to 10 pixels, 32 to 256 channels, AVX-512) in
all directions: F(2x2,3x3) for results of 2 pixels along an axis (2 x 2 x 256: 0.85 ms, direct sums 1.80, F(4x4,3x3)
2.21), F(3x3,3x3) for 3, 5, 6 and 9 (6 x 6 x 128: 1.15 ms, F(2x2,3x3) 1.49, F(4x4,3x3) 1.72, direct sums 2.56), F(4x4,3x3)
for the others (7 x 7 x 128: 1.70 ms, F(3x3,3x3) 2.39, F(2x2,3x3) 2.58).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..target import Target, nominal
from ..tiles import Element
from .conv2d_narrow import suits as is_narrow
from .conv2d_window import Conv2DSpec
from .pool import PoolSpec, overlaps
from .winograd_spread import takes as takes_spread
from .winograd_transforms import Form

FORMS = {2: (Form(4, 2), Form(6, 2)), 3: (Form(2, 3), Form(3, 3), Form(4, 3)), 5: (Form(4, 5),)}
"""By the size of the filters. More points err more: F(6x6,2x2) up to 8e-6 of the result's scale, F(4x4,3x3) 2e-6."""

TRANSFORM = 1.8  # of a channel of a square, per point and points along an axis: either to the points or back
FILTERS = 40  # of each element of the filters or of their gradients, per point, once in a step
# of an element of the results: the pass over memory that a pooling costs by itself, 8 bytes at 25 GB/s; a training step of
# 128 x 6 x 6 x 128 takes 3.5 ms with F(3x3,3x3) and a pooling of its own, 4.6 with the pooling in F(2x2,3x3)
POOLING = 40
# of a product for 1 to 4 results, summed along the channels: right for 7 layers, of which the nearest are 5 x 5 taps from
# 128 to 3 channels (15.2 ms, F(4x4,5x5) 12.7) and the gradient of 4 by 3 x 3 taps from 128 (1.21 ms, F(4x4,3x3) 1.47)
NARROW = 1.9
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
    pictures = nominal(spec.images)
    if spec.direction == "backprop_input":
        return _Sweep(pictures, spec.in_h, spec.in_w, spec.out_c, spec.in_c)
    return _Sweep(pictures, spec.out_h, spec.out_w, spec.in_c, spec.out_c)


def direct_cost(spec: Conv2DSpec, target: Target) -> float:
    """Multiply-adds of direct sums; the columns fill whole vectors, or are few and have a kernel of their own."""
    sweep, element = _sweep(spec), Element(spec.dtype, target)
    columns = NARROW * sweep.columns if is_narrow(spec, element) else whole(sweep.columns, element.lanes)
    products = sweep.channels * columns
    return float(sweep.pictures * sweep.height * sweep.width * spec.filter_h * spec.filter_w * products)


def winograd_cost(spec: Conv2DSpec, form: Form, target: Target) -> float:
    """Multiply-adds that take as long as Winograd's products and transforms of squares and filters."""
    sweep, lanes = _sweep(spec), Element(spec.dtype, target).lanes
    squares = sweep.pictures * math.ceil(sweep.height / form.step) * math.ceil(sweep.width / form.step)
    products = sweep.channels * whole(sweep.columns, lanes)
    transforms = TRANSFORM * form.side * (whole(sweep.channels, lanes) + whole(sweep.columns, lanes))
    return float(form.points * (squares * (products + transforms) + FILTERS * products))


def whole(count: int, lanes: int) -> int:
    """Channels with those that fill the last vector."""
    return math.ceil(count / lanes) * lanes


def _takes_pool(form: Form, spec: Conv2DSpec, pool: PoolSpec, target: Target) -> bool:
    if spec.direction != "forward":
        return takes_spread(pool, form, Element(spec.dtype, target))
    divides = form.divides(pool.stride_h, pool.stride_w)
    return divides and not overlaps(pool) and pool.pad_top == 0 and pool.pad_left == 0


def forms(spec: Conv2DSpec, target: Target, pool: PoolSpec | None = None) -> tuple[Form, ...]:
    """The forms of Winograd's method that there are for a convolution, and for a pooling of its results.

    No window may lie in two squares.
    """
    every = FORMS.get(spec.filter_h, ())
    return tuple(form for form in every if _takes_pool(form, spec, pool, target)) if pool else every


def best_form(spec: Conv2DSpec, target: Target, pool: PoolSpec | None = None) -> Form:
    """The fastest of `forms`."""
    return min(forms(spec, target, pool), key=lambda form: winograd_cost(spec, form, target))


def gains_by_pool(spec: Conv2DSpec, target: Target, pool: PoolSpec) -> bool:
    """A form takes the pooling, and is not so much slower than the best one without it that two kernels are faster."""
    if not forms(spec, target, pool):
        return False
    sweep = _sweep(spec)
    alone, both = (winograd_cost(spec, best_form(spec, target, fused), target) for fused in (None, pool))
    return both <= alone + POOLING * sweep.pictures * spec.out_h * spec.out_w * spec.out_c


def prefers_winograd(spec: Conv2DSpec, target: Target) -> bool:
    """Winograd's method is the faster one for a convolution that there is a kernel for."""
    return direct_cost(spec, target) > MARGIN * winograd_cost(spec, best_form(spec, target), target)
