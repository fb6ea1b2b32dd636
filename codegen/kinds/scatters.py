"""Kernels that add or put rows into places that indices name: segment sums, scattered updates of variables.

Every element of the result has one owner, a chunk that goes through all indices in ascending order. So equal indices
meet in the same order for any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...shapes import Batch, element_count
from ..emitted import Launch
from ..ir import Value
from ..passes.place_copies import variable_of
from ..scalar import size_text
from . import Context, Written
from .arrays import chunks, no_scratch, operand, place, scalar_operand, scribe_of, times, written
from .checks import check_indices, outside
from .pointwise import CHUNK_ELEMENTS, header
from .scribe import Scribe

# rows of this size and more are shared out by columns; the scan of the indices is short beside the adding
WIDE_ROW = 256
COLUMNS = 64  # of a chunk: a few cache lines of each row
RANGES = 16  # at most so many chunks scan the indices where rows are shared out
RANGE_ELEMENTS = 4096  # of the result make a further chunk worth its scan


@dataclass(frozen=True)
class ScatterText:
    """The context of templates/c/scatter.c.j2."""

    name: str
    comment: tuple[str, ...]
    indices: str
    count: str  # how many indices there are
    y: str
    rows: str  # of y
    row_size: str
    columns: int  # per chunk; 0 if chunks own ranges of rows instead
    parts: str  # number of ranges
    to: str  # index of row `row`, column `j` in y
    first: str  # index of this chunk's first element in y, in row `row` if chunks own columns
    value: str  # what is added or put at row `row`, column `j`
    operator: str
    clear: bool  # True: y starts as zeros
    failing: str  # the condition on `row` that must not hold
    may_skip: bool  # True: negative indices are passed over
    fail: str
    check_block: int  # indices per chunk of a launch that checks them all first; 0 if the check is on the way


def scatter_add(context: Context) -> Written:
    """UnsortedSegmentSum: zeros, then rows added; negative indices are passed over, those too large fail."""
    node = context.kernel.group.nodes[0]
    data, ids, output = node.argument("data"), node.argument("segment_ids"), node.outputs[0]
    rows, inner = output.dims[0], element_count(output.dims[1:])
    if output not in context.kernel.writes or inner == 0:
        return check_indices(context, ids, rows, may_skip=True)
    scribe = scribe_of(context)
    value = f"{operand(scribe, data)}[{_element(inner, 'i')}]"
    y = operand(scribe, output)
    return _scatter(context, scribe, y, ids, rows, inner, value, "+=", clear=True)


_OPERATORS = {"ScatterUpdate": "=", "ScatterAdd": "+=", "ScatterSub": "-="}


def scatter_update(context: Context) -> Written:
    """ScatterUpdate, ScatterAdd, ScatterSub: all indices are checked before the variable changes."""
    node = context.kernel.group.nodes[0]
    reference, indices, updates = node.inputs
    rows, inner = reference.dims[0], element_count(reference.dims[1:])
    if inner == 0:
        return check_indices(context, indices, rows)
    scribe = scribe_of(context)
    y = scribe.pointer(scribe.variable_buffer(reference), variable_of(reference).label)
    value = scalar_operand(scribe, updates) if updates.dims == () else f"{operand(scribe, updates)}[{_element(inner, 'i')}]"
    return _scatter(context, scribe, y, indices, rows, inner, value, _OPERATORS[node.type], clear=False)


def _element(row_size: Any, row: str) -> str:
    """The index of column j of a row."""
    return place((row_size, 1), (row, "0" if row_size == 1 else "j"))


def _scatter(
    context: Context, scribe: Scribe, y: str, indices: Value, rows: Any, inner: Any, value: str, operator: str, clear: bool
) -> Written:
    node, name = context.kernel.group.nodes[0], context.kernel.name
    count = size_text(element_count(indices.dims))
    by_columns = isinstance(inner, Batch) or inner >= WIDE_ROW
    parts = f"tg_parts({times(rows, inner)}, {RANGE_ELEMENTS}, {RANGES})"
    text = ScatterText(
        name=name,
        comment=header(scribe),
        indices=operand(scribe, indices),
        count=count,
        y=y,
        rows=size_text(rows),
        row_size=size_text(inner),
        columns=COLUMNS if by_columns else 0,
        parts=parts,
        to=_element(inner, "row"),
        first=place((inner, 1), ("row", "first")) if by_columns else place((inner,), ("first",)),
        value=value,
        operator=operator,
        clear=clear,
        failing=f"row >= {size_text(rows)}" if clear else outside(rows, "row"),
        may_skip=clear,
        fail=scribe.fail(node),
        check_block=0 if clear else CHUNK_ELEMENTS,
    )
    launches = [Launch(name, chunks(size_text(inner), COLUMNS) if by_columns else parts)]
    if not clear:
        launches.insert(0, Launch(f"{name}_check", chunks(count, CHUNK_ELEMENTS)))
    return written(scribe, "c/scatter.c.j2", text, launches)


TABLE = {"scatter_add": (scatter_add, no_scratch), "scatter_update": (scatter_update, no_scratch)}
