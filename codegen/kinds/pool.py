"""Max and average pooling and their gradients: sizes and blocks for `templates/c/pool.c.j2`.

Pointers: max and avg read `x` and write `y`; max_grad reads `x`, `y`, `dy` and writes `dx`; avg_grad reads `dy` and
writes `dx`. No kernel needs scratch memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..emitted import Emitted, Launch, Scratch, insert_prologue
from ..render import render
from ..scalar import C_TYPES
from .conv2d_window import Reach

CHUNK_ELEMENTS = 32 * 1024
MOST_IMAGES = 64


@dataclass(frozen=True)
class PoolSpec:
    """Pooling of NHWC pictures. `op` is max, avg, max_grad or avg_grad; sizes are those of the forward operation.

    `images` is an int or a `Batch`. An average is over the places inside the picture; the gradient of a maximum goes
    to the first one in row-major order of the window.
    """

    op: str
    images: Any
    in_h: int
    in_w: int
    channels: int
    window_h: int
    window_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    out_h: int
    out_w: int
    dtype: str = "float32"


@dataclass(frozen=True)
class PoolPlan:
    """Everything the template needs to know."""

    spec: PoolSpec
    block_rows: int
    images_per_chunk: int

    op = property(lambda self: self.spec.op)
    c_type = property(lambda self: C_TYPES[self.spec.dtype])
    images = property(lambda self: factor(self.spec.images))
    in_h = property(lambda self: self.spec.in_h)
    in_w = property(lambda self: self.spec.in_w)
    out_h = property(lambda self: self.spec.out_h)
    out_w = property(lambda self: self.spec.out_w)
    channels = property(lambda self: self.spec.channels)
    window_h = property(lambda self: self.spec.window_h)
    window_w = property(lambda self: self.spec.window_w)
    row_blocks = property(lambda self: math.ceil(self.out_h / self.block_rows))
    is_whole = property(lambda self: self.row_blocks == 1)
    is_float = property(lambda self: self.spec.dtype.startswith("float"))
    is_gradient = property(lambda self: self.op.endswith("_grad"))
    assign = property(lambda self: "+=" if _overlaps(self.spec) else "=")
    top = property(lambda self: self.down.place("h", "0").replace(" + 0", "", 1))
    left = property(lambda self: self.across.place("q", "0").replace(" + 0", "", 1))
    i_begin = property(lambda self: _begin(self.down, self.top))
    i_end = property(lambda self: _end(self.down, self.top))
    j_begin = property(lambda self: _begin(self.across, self.left))
    j_end = property(lambda self: _end(self.across, self.left))

    @property
    def down(self) -> Reach:
        s = self.spec
        return Reach(s.out_h, s.window_h, s.in_h, s.stride_h, 1, s.pad_top)

    @property
    def across(self) -> Reach:
        s = self.spec
        return Reach(s.out_w, s.window_w, s.in_w, s.stride_w, 1, s.pad_left)

    @property
    def is_clipped(self) -> bool:
        """Some windows hang over an edge, so that their bounds are not constants."""
        return not (self.down.is_inside and self.across.is_inside)

    @property
    def clears(self) -> bool:
        """dx must be zeroed first: windows overlap, or leave places out."""
        tiled = all(r.taps == r.stride and r.pad == 0 and r.out * r.stride >= r.size for r in (self.down, self.across))
        return self.is_gradient and not tiled

    @property
    def first_cleared(self) -> str:
        """The first of the input rows that belong to a chunk."""
        if self.is_whole:
            return "0"
        row = self.down.place("first_row", "0").replace(" + 0", "", 1)
        return row if self.down.pad <= 0 else f"first_row > 0 ? {row} : 0"

    @property
    def end_cleared(self) -> str:
        if self.is_whole:
            return str(self.in_h)
        row = self.down.place("end_row", "0").replace(" + 0", "", 1)
        return f"end_row < {self.out_h} ? {row} : {self.in_h}"


def _overlaps(spec: PoolSpec) -> bool:
    return spec.window_h > spec.stride_h or spec.window_w > spec.stride_w


def _begin(reach: Reach, place: str) -> str:
    return "0" if reach.is_inside or reach.pad <= 0 else f"{place} < 0 ? -({place}) : 0"


def _end(reach: Reach, place: str) -> str:
    if reach.is_inside:
        return str(reach.taps)
    rest = f"{reach.size} - ({place})"
    return f"{rest} < {reach.taps} ? {rest} : {reach.taps}"


def plan(spec: PoolSpec) -> PoolPlan:
    """Rows or images per chunk."""
    row_elements = max(1, spec.in_w * spec.channels * spec.stride_h)
    block = min(spec.out_h, max(1, CHUNK_ELEMENTS // row_elements))
    if spec.op.endswith("_grad") and _overlaps(spec):
        block = spec.out_h
    images = max(1, min(MOST_IMAGES, CHUNK_ELEMENTS // (row_elements * spec.out_h)))
    return PoolPlan(spec, block, images)


def emit(spec: PoolSpec, name: str, prologue_lines: Sequence[str], comment: str = "") -> Emitted:
    """The C of one pooling; `prologue_lines` declare `N` and the pointers."""
    p = plan(spec)
    source = render("c/pool.c.j2", p=p, name=name, comment=comment)
    chunks = f"({p.images} + {p.images_per_chunk - 1}) / {p.images_per_chunk}" if p.is_whole else f"{p.images} * {p.row_blocks}"
    return Emitted(insert_prologue(source, prologue_lines), (Launch(name, chunks),), Scratch())
