"""Sums of the columns of dy beside the gradient of filters: the gradient of biases, from what is loaded anyway.

A share of the pictures has its own sums in scratch memory. Each block of dy that it goes through adds its part of all
pixels to them: those that the block has just brought into the cache, give or take a few.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..c_text import minus, plus, quotient, times
from ..emitted import Shared
from ..render import render
from ..scalar import size_text
from ..tiles import Element
from .conv2d_window import Conv2DSpec
from .pool import PoolSpec

SUMS = 8  # vectors in registers: one addition waits for four cycles, and two can begin in each


def column_sums_function(element: Element, columns: int) -> Shared:
    """The C function that adds the sums of a matrix' columns to sums in memory."""
    widest = max(1, min(SUMS, columns // element.lanes))
    panels = [(vectors, SUMS // vectors) for vectors in sorted({widest, 1}, reverse=True)]
    name = f"tg_column_sums_{element.letters}x{widest * element.lanes}"
    source = render(
        "c/column_sums.c.j2", name=name, c_type=element.c_type, vector=element.vector, lanes=element.lanes,
        panels=panels,
    )  # fmt: skip
    return Shared(name, source)


@dataclass(frozen=True)
class ColumnSums:
    """The sums of `shares` shares of the pixels, each of `columns` channels, `offset` bytes into the scratch memory."""

    element: Element
    pixels: Any
    columns: int
    shares: int
    offset: int

    c_type = property(lambda self: self.element.c_type)
    function = property(lambda self: column_sums_function(self.element, self.columns))
    end = property(lambda self: self.offset + self.shares * self.columns * self.element.bytes)

    def place(self, share: str) -> str:
        """Where a share's sums begin."""
        return plus(f"({self.c_type} *)(scratch + {self.offset})", times(share, self.columns))

    def clear(self, share: str, first: str, columns: str) -> tuple[str, ...]:
        """The statements that find a share's sums, and set those of `columns` channels from `first` on to 0."""
        count = columns if columns.isdigit() else f"(size_t)({columns})"
        return (
            f"{self.c_type} *column_sums = {self.place(share)};",
            f"memset({plus('column_sums', first)}, 0, {count} * sizeof *column_sums);",
        )

    def part(self, block: str, blocks: str, first: str, columns: str) -> tuple[str, ...]:
        """The statements that add the part of block number `block` of `blocks`, of `columns` channels from `first` on."""
        begin, end = (quotient(times(size_text(self.pixels), b), blocks) for b in (block, plus(block, 1)))
        place, count = plus("dy", times("pixel", self.columns), first), minus(end, "pixel")
        return (
            f"const int64_t pixel = {begin};",
            f"{self.function.name}({place}, {self.columns}, {count}, {columns}, {plus('column_sums', first)});",
        )


def column_sums(spec: Conv2DSpec, element: Element, pool: PoolSpec | None, shares: int, offset: int) -> ColumnSums:
    """The sums of dy's columns. With a `pool`, dy is an array of its windows."""
    pixels = spec.images * (pool.out_h * pool.out_w if pool else spec.out_h * spec.out_w)
    return ColumnSums(element, pixels, spec.out_c, shares, 64 * math.ceil(offset / 64))
