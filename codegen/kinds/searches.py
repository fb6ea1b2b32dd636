"""Kernels that go along one axis in order: positions of extremes, running sums and products, largest elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...dtypes import DType
from ...shapes import Batch, element_count
from ..emitted import Launch, Shared
from ..ir import Kernel, Size
from ..problems import NotCompilable
from ..render import render, tidy
from ..scalar import c_type, literal, read_type, size_text
from . import Context, Written
from .arrays import block_of, chunks, no_scratch, operand, place, result, scribe_of, sides, written
from .pointwise import header

STRETCH = 64  # elements of a row that are compared side by side: enough vectors to hide how long each comparison takes
PIECE = 2048  # elements of a row between two looks at whether they hold a better one: it is searched for in L1
COLUMNS = 64  # elements beside the axis that one item takes along: whole vectors, and few enough for registers or L1

# --- columns: what lies inside the axis is cut into blocks ----------------------------------------------------------------


@dataclass(frozen=True)
class Columns:
    """How the elements beside an axis become items of work, numbered `i`."""

    items: str
    block: int  # items per chunk
    blocks: str  # blocks of columns per outer index, "" for a single one
    width: int  # columns of a block at most; 0 if the axis is the last one
    inner: str
    outer: str  # the text of the outer index
    left: str  # the columns of an item
    right: str


def _columns(outer: Any, size: Any, inner: Any) -> Columns:
    if inner == 1:
        count = size_text(outer)
        return Columns(count, block_of(size), "", 0, "1", "0" if count == "1" else "i", "0", "1")
    if isinstance(inner, int) and inner <= COLUMNS:
        count = size_text(outer)
        block = block_of(size * inner)
        return Columns(
            count, block, "", max(1, inner), size_text(inner), "0" if count == "1" else "i", "0", size_text(inner)
        )
    blocks = chunks(size_text(inner), COLUMNS)
    factor = f"({size_text(outer)})" if isinstance(outer, Batch) else str(outer)
    items = blocks if outer == 1 else f"{factor} * {blocks}"
    row = "0" if outer == 1 else "o"
    block = 1 if isinstance(size, Batch) else block_of(size * COLUMNS)
    return Columns(items, block, blocks, COLUMNS, size_text(inner), row, "left", "right")


# --- positions of extremes ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ExtremeText:
    """The context of templates/shared/extreme.j2."""

    name: str
    comment: tuple[str, ...]
    columns: Columns
    size: str  # of the axis
    ctype: str
    position_type: str
    position: str  # `k` as that type
    x: str  # the element at `k` of the axis
    initial: str  # what every element is compared with first
    better: str  # operator between a better element and the best so far
    y: str
    row: str  # the address of the row's first element, "" unless the axis is the last one and long
    piece: int
    find: str  # the function that finds a number in a row
    no_elements: str  # the statement for an axis that may turn out empty, "" if it cannot


def argreduce(context: Context) -> Written:
    """ArgMax and ArgMin: the first extreme along an axis; NaN is passed over."""
    scribe, node = scribe_of(context), context.kernel.group.nodes[0]
    x, output = node.argument("input"), node.outputs[0]
    outer, size, inner = sides(x.dims, node.static_int("dimension"))
    if size == 0:
        raise NotCompilable(f"{node.label} looks for an extreme among no elements")
    columns = _columns(outer, size, inner)
    source = operand(scribe, x)
    column = "0" if inner == 1 else "j"
    strides = (size * inner, inner, 1)
    if x.dtype.is_floating:
        initial = "-INFINITY" if node.type == "ArgMax" else "INFINITY"
    else:
        initial = f"{source}[{place(strides, (columns.outer, '0', column))}]"
    is_row = inner == 1 and (isinstance(size, Batch) or size >= STRETCH)
    text = ExtremeText(
        name=context.kernel.name,
        comment=header(scribe),
        columns=columns,
        size=size_text(size),
        ctype=read_type(x.dtype),
        position_type=c_type(output.dtype),
        position="k" if output.dtype.base_dtype.name == "int64" else f"({c_type(output.dtype)})k",
        x=f"{source}[{place(strides, (columns.outer, 'k', column))}]",
        initial=initial,
        better=">" if node.type == "ArgMax" else "<",
        y=f"{operand(scribe, output)}[{place((inner, 1), (columns.outer, column))}]",
        row=f"&{source}[{place(strides, (columns.outer, '0', '0'))}]" if is_row else "",
        piece=PIECE,
        find=f"tg_find_{read_type(x.dtype)}",
        no_elements=scribe.fail(node) if isinstance(size, Batch) else "",
    )
    launch = Launch(text.name, chunks(columns.items, columns.block))
    return written(scribe, "shared/extreme.j2", text, (launch,), shared=(_finding(x.dtype, text.find),) if is_row else ())


def _finding(dtype: DType, name: str) -> Shared:
    return Shared(name, tidy(render("c/find.h.j2", name=name, c_type=read_type(dtype), stretch=STRETCH)))


# --- running sums and products ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScanText:
    """The context of templates/shared/scan.j2."""

    name: str
    comment: tuple[str, ...]
    columns: Columns
    start: str  # the conditions of the loop along the axis
    condition: str
    step: str
    ctype: str
    identity: str
    operator: str
    x: str  # the element at `k` of the axis
    y: str
    is_exclusive: bool


def _walk(size: Any, backwards: bool) -> dict[str, str]:
    """The parts of a loop with the variable `k` along an axis."""
    if not backwards:
        return {"start": "0", "condition": f"k < {size_text(size)}", "step": "++k"}
    end = f"{size_text(size)} - 1" if isinstance(size, Batch) else str(size - 1)
    return {"start": end, "condition": "k >= 0", "step": "--k"}


_SCANS = {"Cumsum": ("+", 0), "Cumprod": ("*", 1)}


def scan(context: Context) -> Written:
    """Cumsum and Cumprod."""
    scribe, node = scribe_of(context), context.kernel.group.nodes[0]
    x, output = node.argument("x"), node.outputs[0]
    outer, size, inner = sides(x.dims, node.static_int("axis"))
    columns = _columns(outer, size, inner)
    operator, identity = _SCANS[node.type]
    index = place((size * inner, inner, 1), (columns.outer, "k", "0" if inner == 1 else "j"))
    text = ScanText(
        name=context.kernel.name,
        comment=header(scribe),
        columns=columns,
        **_walk(size, node.attr("reverse")),
        ctype=c_type(x.dtype),
        identity=literal(identity, x.dtype),
        operator=operator,
        x=f"{operand(scribe, x)}[{index}]",
        y=f"{operand(scribe, output)}[{index}]",
        is_exclusive=bool(node.attr("exclusive")),
    )
    return written(scribe, "shared/scan.j2", text, (Launch(text.name, chunks(columns.items, columns.block)),))


# --- largest elements --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TopText:
    """The context of templates/shared/top.j2."""

    name: str
    comment: tuple[str, ...]
    ctype: str
    x: str
    columns: str
    k: str
    row: str  # index of the row's first element in x
    to: str  # index of its first element in the results
    values: str | None
    value_at: str  # index of result `j`
    order: str  # where the positions go
    count: str
    block: int


def topk(context: Context) -> Written:
    """TopKV2: the k largest elements of each row in descending order, and their positions."""
    scribe, node = scribe_of(context), context.kernel.group.nodes[0]
    x = node.argument("input")
    values, indices = node.outputs
    rows, columns, k = element_count(x.dims[:-1]), x.dims[-1], values.dims[-1]
    count, block = size_text(rows), block_of(columns)
    scratch_buffer = context.plan.scratch.get(context.kernel.index)
    if scratch_buffer is not None:
        scribe.partial = (f"int32_t *restrict positions = (int32_t *)({scratch_buffer.address()});",)
    row = "0" if count == "1" else "i"
    text = TopText(
        name=context.kernel.name,
        comment=header(scribe),
        ctype=read_type(x.dtype),
        x=operand(scribe, x),
        columns=size_text(columns),
        k=size_text(k),
        row=place((columns,), (row,)),
        to=place((k,), (row,)),
        values=result(scribe, values),
        value_at=place((k, 1), (row, "j")),
        order=result(scribe, indices) or "positions",
        count=count,
        block=block,
    )
    launch = Launch(text.name, chunks(count, block))
    return written(scribe, "shared/top.j2", text, (launch,), shared=(_selection(x.dtype),))


def _selection(dtype: DType) -> Shared:
    name = read_type(dtype)
    return Shared(f"top_{name}", tidy(render("c/top.h.j2", ctype=name, is_floating=dtype.is_floating)))


def topk_scratch(kernel: Kernel) -> Size:
    """Room for the positions, if nobody else wants them."""
    indices = kernel.group.nodes[0].outputs[1]
    if indices in kernel.writes:
        return Size()
    count = element_count(indices.dims)
    return Size(per_batch=4 * count.per) if isinstance(count, Batch) else Size(fixed=4 * max(1, count))


TABLE = {"argreduce": (argreduce, no_scratch), "scan": (scan, no_scratch), "topk": (topk, topk_scratch)}
