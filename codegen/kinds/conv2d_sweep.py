"""Convolution forward, and the gradient of its input: tiles and blocks for `templates/c/conv2d.c.j2`.

A max pooling whose windows do not overlap may take the results: a chunk then is a block of pooled rows, and the rows that
a row of windows covers are kept on the stack until their maxima are stored.

The gradient of the input is a convolution of dy with the filters turned by 180 degrees and transposed. With a stride
the output pixels fall into phases; those of one phase are reached by the same taps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ...shapes import Batch
from ..c_text import minus, plus, times
from ..emitted import Emitted, Epilogue, Launch, Scratch, Shared, insert_prologue
from ..render import render
from ..target import Target, Tile, choose_tile
from ..tiles import Element, pack_functions, smaller_functions, tile_function, vector_type, whole_lines
from .conv2d_narrow import NarrowTile, copied_tile, gradient_tile, suits, tile_pixels
from .conv2d_plan import FilterPack, Phase, SweepPlan, forward_phase, gradient_phases
from .conv2d_thin import thin_row
from .conv2d_thin_pool import ThinWindows, window_vectors
from .conv2d_window import STACK_BYTES, Conv2DSpec, Window
from .past_caches import can_pass, kept_rows, store_functions, usually_passes
from .pool import PoolSpec, maxima_function
from .pool import plan as pool_plan
from .reach import Reach
from .spread import Spread

CHUNK_OPERATIONS = 2_000_000
FEWEST_ROWS = 4  # of a block that copies its window: neighbours copy the rows between them twice
MOST_IMAGES = 16
FAR_ROWS = 2048  # bytes between filter rows from which on a panel of them is worth packing


def reaches(spec: Conv2DSpec) -> tuple[Reach, Reach]:
    """The forward convolution's two axes."""
    return (
        Reach(spec.out_h, spec.filter_h, spec.in_h, spec.stride_h, spec.dilation_h, spec.pad_top),
        Reach(spec.out_w, spec.filter_w, spec.in_w, spec.stride_w, spec.dilation_w, spec.pad_left),
    )


def _window(
    images: Any, rows: Reach, width: Reach, channels: int, row_operations: int, element: Element, offset: int,
    spread: Spread | None,
) -> Window:  # fmt: skip
    """The window of a chunk: some output rows, or several images if a picture is small."""
    block = min(rows.out, max(1, math.ceil(CHUNK_OPERATIONS / row_operations)))
    if spread or not width.is_inside:
        block = max(block, min(rows.out, FEWEST_ROWS))
    while block > 1 and not Window(element, rows, width, channels, images, 1, block, 0, spread).is_on_stack:
        block -= 1
    block = math.ceil(rows.out / math.ceil(rows.out / block))
    several = CHUNK_OPERATIONS // (2 * row_operations * rows.out) if block == rows.out else 1
    return Window(element, rows, width, channels, images, max(1, min(MOST_IMAGES, several)), block, offset, spread)


def _spread(pool: PoolSpec, element: Element, width: Reach, channels: int) -> Spread:
    """What makes those columns of dy that the taps reach."""
    return Spread(pool, element, channels, max(-width.pad, 0), min(width.extent - width.pad, width.size))


def plan(
    spec: Conv2DSpec, name: str, target: Target, plain: bool, pool: PoolSpec | None = None
) -> tuple[SweepPlan, ...]:
    """One plan per phase; phases without pixels are left out.

    A `pool` takes the results of a forward convolution; dy of a gradient is known at its windows only.
    """
    pooling = pool_plan(pool) if pool and spec.direction == "forward" else None
    element = Element(spec.dtype, target)
    forward = spec.direction == "forward"
    down, across = reaches(spec)
    verticals, horizontals = map(forward_phase if forward else gradient_phases, (down, across))
    channels, columns = (spec.in_c, spec.out_c) if forward else (spec.out_c, spec.in_c)
    fewest = min(phase.reach.out for phase in horizontals)
    steps = max(len(p.taps) for p in verticals) * max(len(p.taps) for p in horizontals) * channels
    is_narrow = suits(spec, element)
    thin = thin_row(element, across, channels, columns) if forward and not is_narrow else None
    tile = choose_tile(target, fewest, element.vectors(columns), max(steps, 1))
    of_window = window_vectors(element, pooling, spec) if pooling and thin else 0
    if thin or is_narrow:
        tile = Tile(1, of_window or thin.vectors) if thin else Tile(tile_pixels(element, columns), 1)
    width = columns if is_narrow else tile.vectors * element.lanes
    taps = [
        i * spec.filter_w + j for v in verticals for h in horizontals for i in v.taps for j in h.taps
    ]  # fmt: skip
    filters = None
    if not is_narrow and (not forward or columns % width or (columns * element.bytes >= FAR_ROWS and not thin)):
        filters = FilterPack(
            len(taps), tuple(taps), channels, columns, width, not forward, spec.out_c,
            pack_functions(element, width, not forward)[-1].name,
        )  # fmt: skip
    copied = filters.elements if filters else len(taps) * channels * columns if is_narrow and forward else 0
    filter_bytes = whole_lines(copied * element.bytes)
    function = tile_function(element, tile, horizontals[0].reach.stride * channels)
    is_whole = columns % width == 0 and not is_narrow and can_pass(element)
    stores_rows = pooling and pooling.stores_y and not pooling.is_clipped and is_whole
    by_rows = is_narrow or (thin and usually_passes(element, spec.images, spec.out_h * spec.out_w * columns))
    plans: list[SweepPlan] = []
    position = 0
    single = len(verticals) * len(horizontals) == 1
    for v in verticals:
        for h in horizontals:
            rows = v.reach.of_windows(pooling.down) if pooling else v.reach
            lines = pooling.down.taps if pooling else 1
            operations = max(1, 2 * lines * h.reach.out * v.reach.taps * h.reach.taps * channels * columns)
            spread = _spread(pool, element, h.reach, channels) if pool and not forward else None
            window = _window(spec.images, rows, h.reach, channels, operations, element, filter_bytes, spread)
            narrow = _narrow_tile(spec, element, (v, h)) if is_narrow else None
            if of_window:
                window = replace(window, zero_rows=not rows.is_inside)
            windows = ThinWindows(spec, element, window, pooling, of_window) if pooling and of_window else None
            plans.append(SweepPlan(
                name if single else f"{name}_{v.first}_{h.first}", element, tile, function.name,
                window, v, h,
                spec.out_h if forward else spec.in_h, spec.out_w if forward else spec.in_w, channels, columns,
                filters, position, plain and not pooling and not by_rows and columns % width == 0, pooling,
                thin, narrow, windows, "y" if stores_rows else "",
            ))  # fmt: skip
            position += len(v.taps) * len(h.taps)
    return tuple(plans)


def _narrow_tile(spec: Conv2DSpec, element: Element, phases: tuple[Phase, Phase]) -> NarrowTile:
    """The tile of a phase (its rows and columns) of sums for few channels."""
    down, across = phases
    forward = spec.direction == "forward"
    channels, columns = (spec.in_c, spec.out_c) if forward else (spec.out_c, spec.in_c)
    steps = across.reach.stride * channels, across.reach.dilation * channels
    if forward:
        return copied_tile(element, columns, channels, (down.reach.taps, across.reach.taps), *steps)
    return gradient_tile(element, columns, channels, (down.taps, across.taps), spec.filter_w, *steps)


def _sum_functions(plan: SweepPlan) -> Iterable[Shared]:
    """The functions that make the sums, each once."""
    if plan.windows:
        return ()
    own = plan.thin or plan.narrow
    return dict.fromkeys(own.functions) if own else (tile_function(plan.element, plan.tile, plan.pixel_stride),)


def takes_pool(spec: Conv2DSpec, pool: PoolSpec, target: Target) -> bool:
    """True if the sums that a row of windows covers fit on the stack."""
    (one,) = plan(spec, "", target, False, pool)
    kept = pool.window_h * one.line_elements * one.element.bytes
    return kept <= STACK_BYTES and pool.window_h * pool.window_w > 1


def scratch(spec: Conv2DSpec, target: Target, pool: PoolSpec | None = None) -> Scratch:
    """The packed filters, then one window per chunk where windows are large. Phases run one after the other."""
    plans = plan(spec, "", target, False, pool)
    filters = plans[0].filters
    narrow = plans[0].narrow
    copied = filters.elements if filters else narrow.filter_elements if narrow and narrow.is_copied else 0
    fixed = whole_lines(copied * plans[0].element.bytes)
    per_image = max(p.window.scratch_bytes * p.window.row_blocks for p in plans)
    if isinstance(spec.images, Batch):
        return Scratch(per_image * spec.images.per, fixed)
    return Scratch(0, fixed + per_image * int(spec.images))


def emit(
    spec: Conv2DSpec, name: str, prologue_lines: Sequence[str], epilogue: Epilogue, comment: str, target: Target,
    pool: PoolSpec | None = None,
) -> Emitted:  # fmt: skip
    """The C of a forward convolution or of the gradient of its input, with or without pooling."""
    plans = plan(spec, name, target, epilogue.is_plain, pool)
    first = plans[0]
    x, y = ("x", "y") if spec.direction == "forward" else ("dy", "dx")
    if epilogue.is_plain and not first.pool:
        epilogue = Epilogue(stores=(f"{y}[{plus(times('row', first.columns), 'column')}] = acc;",))
    stores_rows = first.thin and not first.pool and not first.stores_directly and first.columns % first.width == 0
    if stores_rows and can_pass(first.element):
        target_of_store = f"kept[{minus('column', first.panel)}]"
        epilogue, result = kept_rows(epilogue, prologue_lines, first.c_type, first.columns, target_of_store)
        first = replace(first, result=result)
        plans = (first,)
    shared: list[Shared] = [smaller_functions(), vector_type(first.element), *_sum_functions(first)]
    shared += store_functions(first.element) if first.past else ()
    if first.pool and not first.pool.is_clipped:
        shared.append(maxima_function(first.element))
    shared += {p.window.spread.name: p.window.spread.function for p in plans if p.window.spread}.values()
    launches: list[Launch] = []
    if first.filters:
        shared += pack_functions(first.element, first.width, first.filters.transposed)
        launches.append(Launch(f"{name}_filters", str(first.filters.taps * first.filters.panels)))
    if first.narrow and first.narrow.is_copied:
        launches.append(Launch(f"{name}_filters", str(first.taps_h * first.taps_w)))
    launches += [Launch(p.name, p.window.chunks) for p in plans]
    source = render(
        "c/conv2d.c.j2", phases=plans, name=name, comment=comment, epilogue=epilogue, filters=first.filters,
        c_type=first.c_type, x=x, y=y, words=frozenset(re.findall(r"\w+", " ".join(epilogue.lines))),
    )  # fmt: skip
    size = scratch(spec, target, pool)
    packed = first.filters or (first.narrow and first.narrow.is_copied)
    filters = "filters packed" if packed else "filters as they lie"
    phases = [f"{len(plans)} phases"] if len(plans) > 1 else []
    pooled = ["dy spread from its maxima" if first.pool is None else "max pooling"] if pool else []
    kept = f"{'narrow' if first.narrow else 'direct'}, tile {first.tile.rows} x {first.width}"
    if first.thin:
        kept = f"thin, {first.width} filters in registers"
    if first.windows:
        kept = f"thin, windows of {first.windows.pixels} x {first.width} sums in registers"
    method = ", ".join([kept, filters, *phases, *pooled])
    return Emitted(
        insert_prologue(source, prologue_lines), tuple(launches), size, tuple(shared), method
    )
