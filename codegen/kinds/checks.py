"""Kernels that hand on an array whose elements must be valid: labels in range, finite numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...shapes import element_count
from ..emitted import Launch
from ..ir import Value
from ..scalar import c_type, size_text
from . import Context, Written
from .arrays import chunks, no_scratch, operand, place, result, scribe_of, written
from .pointwise import CHUNK_ELEMENTS, header


@dataclass(frozen=True)
class CheckText:
    """The context of templates/shared/check.j2."""

    name: str
    comment: tuple[str, ...]
    x: str
    y: str | None  # None if the values are not needed
    ctype: str
    index: str
    failing: str  # the condition on `value` that must not hold
    count: str
    block: int
    fail: str


def _check(context: Context, x: Value, failing: str, y: Value | None) -> Written:
    scribe, node = scribe_of(context), context.kernel.group.nodes[0]
    count, name = size_text(element_count(x.dims)), context.kernel.name
    text = CheckText(
        name=name,
        comment=header(scribe),
        x=operand(scribe, x),
        y=None if y is None else result(scribe, y),
        ctype=c_type(x.dtype),
        index=place((1,), ("0" if count == "1" else "i",)),
        failing=failing,
        count=count,
        block=CHUNK_ELEMENTS,
        fail=scribe.fail(node),
    )
    return written(scribe, "shared/check.j2", text, (Launch(name, chunks(count, CHUNK_ELEMENTS)),))


def outside(limit: Any, name: str = "value") -> str:
    """The condition that an index is outside [0, limit)."""
    return f"{name} < 0 || {name} >= {size_text(limit)}"


def check_indices(context: Context, indices: Value, limit: Any, may_skip: bool = False) -> Written:
    """The kernel of a node with indices whose result is empty or not needed; may_skip: negative ones are right."""
    return _check(context, indices, f"value >= {size_text(limit)}" if may_skip else outside(limit), None)


def check_labels(context: Context) -> Written:
    """_CheckLabels: the labels, all in [0, classes)."""
    node = context.kernel.group.nodes[0]
    return _check(context, node.inputs[0], outside(node.attr("classes")), node.outputs[0])


def check_numerics(context: Context) -> Written:
    """CheckNumerics: the values, neither NaN nor infinite."""
    node = context.kernel.group.nodes[0]
    return _check(context, node.inputs[0], "!isfinite(value)", node.outputs[0])


TABLE = {"check_labels": (check_labels, no_scratch), "check_numerics": (check_numerics, no_scratch)}
