"""Convolutions to 1 to 4 channels, and gradients of such inputs: tiles for `templates/c/narrow_tile.c.j2`.

So few channels would fill a vector by a quarter or less. Here vectors run along the channels that are summed over, a sum is
a vector until the taps are done, and the sums of several pixels are then added across their lanes together. Measured with
two threads and AVX-512, instead of the faster of tiles and Winograd's method: 64 to 3 channels, 3 x 3 taps, 64 x 64 x 32
pictures 2.1 ms, not 3.5; 32 to 1, 5 x 5 taps 0.7, not 3.0; the gradient of 3 channels from 32, 128 x 128 x 32: 4.0, not 6.5.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..c_text import plus, times
from ..emitted import Shared
from ..render import render
from ..tiles import Element, lane_sums_function
from .conv2d_window import Conv2DSpec

MOST_COLUMNS = 4
MOST_PIXELS = 16
FREE_REGISTERS = 5  # beside the sums: of the filters, one for each column, and of the input


@dataclass(frozen=True)
class NarrowTile:
    """`pixels` x `columns` sums over `taps_h` x `taps_w` taps of `depth` channels.

    Filters are read at base + row * right_row + tap * right_tap + column * depth: as they lie for a gradient, whose taps
    run backwards, else from a copy.
    """

    element: Element
    pixels: int
    columns: int
    depth: int
    taps_h: int
    taps_w: int
    pixel_step: int
    tap_step: int
    right_first: int
    right_row: int
    right_tap: int
    is_copied: bool

    c_type = property(lambda self: self.element.c_type)
    vector = property(lambda self: self.element.vector)
    lanes = property(lambda self: self.element.lanes)
    sums = property(lambda self: self.pixels * self.columns)
    padded_sums = property(lambda self: -(-self.sums // self.element.lanes) * self.element.lanes)
    lane_sums = property(lambda self: lane_sums_function(self.element)[-1].name)
    filter_elements = property(lambda self: self.taps_h * self.taps_w * self.columns * self.depth)

    @property
    def name(self) -> str:
        sizes = f"{self.pixels}x{self.columns}x{self.depth}_step{self.pixel_step}"
        return f"tg_narrow_{self.element.letters}_{sizes}"

    @property
    def functions(self) -> tuple[Shared, ...]:
        """The tile, last, after what it needs."""
        return *lane_sums_function(self.element), Shared(self.name, render("c/narrow_tile.c.j2", k=self, name=self.name))

    def right(self, first_tap: str) -> str:
        """Where the filters of the first row of taps begin."""
        base = f"(const {self.c_type} *)scratch" if self.is_copied else "w"
        return plus(base, self.right_first, times(first_tap, self.right_row))


def suits(spec: Conv2DSpec, element: Element) -> bool:
    """True for results of so few channels, sums over whole vectors of others, and rows that are long enough."""
    forward = spec.direction == "forward"
    columns, depth = (spec.out_c, spec.in_c) if forward else (spec.in_c, spec.out_c)
    pixels = spec.out_w if forward else spec.in_w // spec.stride_w
    return (
        spec.direction != "backprop_filter"
        and columns <= min(MOST_COLUMNS, element.lanes // 2)
        and depth % element.lanes == 0
        and pixels >= tile_pixels(element, columns) > 0
    )


def tile_pixels(element: Element, columns: int) -> int:
    """Pixels of a tile: their sums have registers."""
    return min(MOST_PIXELS, (element.target.registers - FREE_REGISTERS) // columns)


def copied_tile(
    element: Element, columns: int, depth: int, taps: tuple[int, int], pixel_step: int, tap_step: int
) -> NarrowTile:
    """The tile of a forward convolution; its filters are copied as [tap][column][depth]."""
    tap = columns * depth
    return NarrowTile(
        element, tile_pixels(element, columns), columns, depth, *taps, pixel_step, tap_step, 0, taps[1] * tap, tap, True
    )


def gradient_tile(
    element: Element, columns: int, depth: int, taps: tuple[tuple[int, ...], tuple[int, ...]], filter_w: int,
    pixel_step: int, tap_step: int,
) -> NarrowTile:  # fmt: skip
    """The tile of one phase of an input's gradient, which reads those taps of the filters, rows and columns, as they lie."""
    rows, across = taps
    tap = columns * depth
    row_step = (rows[1] - rows[0]) * filter_w * tap if len(rows) > 1 else 0
    step = (across[1] - across[0]) * tap if len(across) > 1 else 0
    first = (rows[0] * filter_w + across[0]) * tap if rows and across else 0
    sizes = (tile_pixels(element, columns), columns, depth, len(rows), len(across))
    return NarrowTile(element, *sizes, pixel_step, tap_step, first, row_step, step, False)
