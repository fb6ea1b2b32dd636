"""The C of matrix products, from `templates/c/matmul.c.j2`.

In: a `MatMulSpec` (dimensions are ints or `Batch` multiples). Out: `Emitted` C. The text reads pointers `a` and `b`,
writes `y` (or what the epilogue stores to), and uses `scratch` where `scratch(spec, target)` is not empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from ...shapes import Batch
from ..c_text import plus, times
from ..emitted import PLAIN, Emitted, Epilogue, Launch, Scratch, Shared, insert_prologue
from ..render import render
from ..scalar import C_TYPES, size_text
from ..target import Target, Tile, host_target
from ..tiles import (
    Element,
    dots_function,
    later_functions,
    pack_functions,
    smaller_functions,
    stream_function,
    tile_function,
    vector_type,
)
from .column_sums import column_sums_function
from .matmul_choice import plan
from .matmul_later import later_of
from .matmul_plan import MatMulPlan, MatMulSpec

__all__ = ["MatMulSpec", "emit", "operand_lines", "plan", "scratch"]


def scratch(spec: MatMulSpec, target: Target | None = None) -> Scratch:
    """The working memory that the kernel needs: the sums of the shares of k."""
    target = target or host_target()
    p = plan(spec, target)
    if p.splits == 1:
        return Scratch()
    blocks = (0.0, 1)
    for dim, step in ((p.spec.m, p.block_rows), (p.spec.n, p.block_columns), (p.spec.batch, 1)):
        per_batch, fixed = _blocks(dim, step)
        blocks = (blocks[0] * fixed + blocks[1] * per_batch, blocks[1] * fixed)
    share = p.splits * p.sums_elements * Element(spec.dtype, target).bytes
    return Scratch(math.ceil(blocks[0] * share), blocks[1] * share)


def takes_column_sums(spec: MatMulSpec, target: Target) -> bool:
    """True if the kernel can sum the columns of b, as it lies, in the blocks that begin with the first row."""
    p = plan(spec, target)
    as_it_is = not p.swapped and spec.transpose_a and not spec.transpose_b and spec.batch == 1
    return as_it_is and p.has_tiles and not p.may_have_few_rows and p.splits == 1


def _blocks(dim: Any, step: int) -> tuple[float, int]:
    """No less than ceil(dim / step), as (per batch, fixed)."""
    if isinstance(dim, Batch):
        return dim.per / step, 1 if step > 1 else 0
    return 0.0, math.ceil(int(dim) / step)


def emit(
    spec: MatMulSpec,
    name: str,
    prologue_lines: Sequence[str],
    epilogue: Epilogue = PLAIN,
    comment: str = "",
    target: Target | None = None,
) -> Emitted:
    """The C of one product.

    `prologue_lines` declare `N`, `a`, `b`, `y` and `scratch` (char *), and whatever the epilogue reads.
    """
    target = target or host_target()
    element = Element(spec.dtype, target)
    p = plan(spec, target)
    if epilogue.is_plain:
        epilogue = Epilogue(stores=(f"y[{plus(times('row', size_text(spec.n)), 'column')}] = acc;",))
    later = later_of(p, epilogue, element)
    functions = _functions(p, element, later.count > 0)
    if epilogue.beside:
        functions["column_sums"] = (column_sums_function(element, min(p.block_columns, int(spec.n))),)
    shared = [smaller_functions(), vector_type(element), *(item for items in functions.values() for item in items)]
    source = render(
        "c/matmul.c.j2", p=p, name=name, comment=comment, epilogue=epilogue, later=later,
        row_by_row=not (p.has_whole_rows and _looks_at_places_only(p, epilogue)),
        uses_outer=re.search(rf"\b{p.outer_name}\b", "\n".join(epilogue.lines + epilogue.stores)) is not None,
        **{role: items[-1].name for role, items in functions.items()},
    )  # fmt: skip
    launches = [Launch(name, times(p.blocks, p.splits))]
    if p.splits > 1:
        launches.append(Launch(f"{name}_total", times(p.blocks, p.groups)))
    return Emitted(
        insert_prologue(source, prologue_lines), tuple(launches), scratch(spec, target),
        tuple(dict.fromkeys(shared)), p.method,
    )  # fmt: skip


def _looks_at_places_only(p: MatMulPlan, epilogue: Epilogue) -> bool:
    """The epilogue does the same at every place of the output, whatever its row and column.

    One loop over all rows leaves fewer elements that do not fill a vector: 9216 x 128 x 100 with Adam takes 1.23 ms in one
    thread instead of 1.30.
    """
    text = "\n".join(epilogue.lines + epilogue.stores).replace(plus(times("row", p.columns), "column"), "")
    return not epilogue.draws and re.search(r"\b(row|column)\b", text) is None


def _functions(p: MatMulPlan, element: Element, fetches: bool) -> dict[str, tuple[Shared, ...]]:
    """What the template calls, by its name for it: the function and before it those that it needs."""
    functions: dict[str, tuple[Shared, ...]] = {}
    if p.tile is None or p.may_have_few_rows:
        functions["few"] = dots_function(element) if p.multiplies_rows else (stream_function(element),)
    if p.tile is None:
        return functions
    narrow = Tile(p.tile.rows, p.narrow // element.lanes)
    functions["tile"] = (tile_function(element, p.tile, p.row_stride, fetches=fetches),)
    functions["narrow_tile"] = functions["tile"]
    if p.narrow:
        functions["narrow_tile"] = (tile_function(element, narrow, p.row_stride, fetches=fetches),)
    if p.may_have_few_columns:
        functions["few_columns"] = (stream_function(element),)
    if p.rest_tile:
        functions["rest_tile"] = (tile_function(element, p.rest_tile, 1),)
    elif p.rest:
        functions["rest_dots"] = dots_function(element)
    if p.last_tile:
        functions["last_tile"] = (tile_function(element, p.last_tile, p.row_stride, partial=True),)
    if fetches:
        functions["needed_later"] = (later_functions(element),)
    if p.packing:
        functions["pack"] = pack_functions(element, p.width, p.transpose_b)
    return functions


def operand_lines(dtype: str, a: str, b: str, y: str) -> tuple[str, ...]:
    """Prologue lines that give a product's pointers `a`, `b`, `y` the addresses of others."""
    c_type = C_TYPES[dtype]
    pairs = [(f"const {c_type} *", "a", a), (f"const {c_type} *", "b", b), (f"{c_type} *", "y", y)]
    return tuple(f"{pointer}{own} = {other};" for pointer, own, other in pairs if own != other)
