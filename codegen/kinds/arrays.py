"""What kernels over whole arrays have in common: operands as pointer expressions, positions, chunks.

The operands of these kernels are contiguous (`place_copies` sees to it), so an operand is a pointer and an array of
several dimensions is three: those outside an axis, the axis, those inside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...shapes import Batch, Dims, element_count
from ..emitted import Launch, insert_prologue
from ..index import access_of, index_text
from ..ir import Kernel, Size, Value
from ..render import render, tidy
from ..scalar import size_text
from . import Context, Written
from .pointwise import CHUNK_ELEMENTS
from .scribe import Scribe
from .spaces import Space, decompose, product_text

TYPICAL_BATCH = 32  # what an unknown batch size counts as where work is cut into chunks
_ATOM = 15  # the binding strength of names and plain numbers

# names that the templates of these kernels use for their own variables
RESERVED = (
    "best", "at", "before", "candidate", "running", "fill", "order", "positions", "index", "first", "last", "left", "right",
    "failed", "value", "to", "from", "pieces", "blocks", "key", "top", "bottom", "row_block", "column_block", "most", "row",
    "ahead", "byte", "end", "memcpy", "memset",
)  # fmt: skip


def operand(scribe: Scribe, value: Value) -> str:
    """The address of the first element of an operand: `images`, `(images + 784)`."""
    access = access_of(value)
    name = scribe.pointer_to(access.base)
    return name if access.offset == 0 else f"({name} + {size_text(access.offset)})"


def scalar_operand(scribe: Scribe, value: Value) -> str:
    """The one element of a scalar operand: a number, or a local variable that the prologue loads."""
    space = Space((), ())
    access = access_of(value)
    space.note(access)
    space.settle()
    return scribe.operand(access, space, ()).at(_ATOM)


def result(scribe: Scribe, value: Value) -> str | None:
    """The address of a result; None if nobody needs it."""
    return scribe.pointer_to(value) if value in scribe.kernel.writes else None


def sides(dims: Dims, axis: int) -> tuple[Any, Any, Any]:
    """Number of elements outside of an axis, along it, inside of it."""
    axis %= len(dims)
    return element_count(dims[:axis]), dims[axis], element_count(dims[axis + 1 :])


def spread(sizes: Sequence[Any], flat: str = "i") -> tuple[tuple[str, ...], list[str]]:
    """Lines that split the flat index into one per size, and their names; "0" where a size is 1."""
    wanted = [s for s in sizes if s != 1]
    lines, names = decompose(wanted, flat) if wanted else ([], [])
    rest = iter(names)
    return tuple(lines), ["0" if s == 1 else next(rest) for s in sizes]


def place(strides: Sequence[Any], variables: Sequence[str], offset: Any = 0) -> str:
    """The index expression offset + sum(strides * variables); variables that are "0" do not appear."""
    terms = [(s, v) for s, v in zip(strides, variables, strict=True) if v != "0"]
    return index_text([s for s, _ in terms], [v for _, v in terms], offset)


def times(*sizes: Any) -> str:
    """The product of dimensions as a C expression."""
    return product_text(sizes)


def chunks(count: str, block: int) -> str:
    """How many chunks of `block` cover `count`."""
    return "1" if count == "1" else f"tg_chunks({count}, {block})"


def block_of(work: Any) -> int:
    """How many items make a chunk if each costs as much as `work` elements of a copy."""
    elements = work.per * TYPICAL_BATCH if isinstance(work, Batch) else max(1, work)
    return max(1, CHUNK_ELEMENTS // elements)


def written(scribe: Scribe, template: str, text: Any, launches: Sequence[Launch], **more: Any) -> Written:
    """A rendered kernel; `more` are the other fields of Written. A scribe of another target finishes it in its own way."""
    finish = getattr(scribe, "finish", None)
    if finish is not None:
        return finish(template, text, **more)
    return Written(insert_prologue(tidy(render(template, k=text)), scribe.prologue()), tuple(launches), **more)


def scribe_of(context: Context) -> Scribe:
    """The scribe of a kernel whose template has variables of its own."""
    return context.scribe(RESERVED)


def no_scratch(kernel: Kernel) -> Size:
    """The working memory of kernels that need none."""
    return Size()
