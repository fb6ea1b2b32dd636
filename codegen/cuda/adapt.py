"""Kernels over whole arrays: from the context of a C template to that of the CUDA kernel and its shape.

A C kernel's chunk is cut so that it gives a thread enough to do; a CUDA kernel has a thread, or a team of threads, for
every item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..kinds.pointwise import CHUNK_ELEMENTS
from ..problems import NotCompilable
from .text import THREADS, WARP, Shape, lanes_for

LONG_PIECE = 4  # elements of a long row that a thread copies: 16 bytes of float32


@dataclass(frozen=True)
class Adapted:
    """What a CUDA kernel is rendered from, and the shape of each of its functions."""

    template: str
    text: Any
    shapes: Mapping[str, Shape]
    context: Mapping[str, Any] = field(default_factory=dict)
    unneeded: tuple[str, ...] = ()  # shared C functions that it does not call


def adapted(template: str, text: Any) -> Adapted:
    """The CUDA form of a kernel. NotCompilable if it has none."""
    rule = RULES.get(template)
    if rule is None:
        raise NotCompilable(f"{text.name} has no CUDA kernel")
    return rule(template, text)


def row_lanes(size: str) -> int:
    """How many threads share a row whose size is that C expression; a row that grows with N counts as long."""
    return lanes_for(int(size)) if size.isdigit() else WARP


def _flat(template: str, text: Any) -> Adapted:
    return Adapted(template, text, {text.name: Shape(text.count)}, {"lanes": 1})


def _rowwise(size: Callable[[Any], str]) -> Callable[[str, Any], Adapted]:
    def rule(template: str, text: Any) -> Adapted:
        lanes = row_lanes(size(text))
        return Adapted(template, text, {text.name: Shape(text.count, lanes)}, {"lanes": lanes})

    return rule


def _embed_size(text: Any) -> str:
    # rows that are filled first and then written to in places belong to one thread
    return "1" if text.strided else str(text.row_size)


def _columns(template: str, text: Any) -> Adapted:
    return Adapted(template, text, {text.name: Shape(text.columns.items)}, {"lanes": 1})


def _extreme(template: str, text: Any) -> Adapted:
    return replace(_columns(template, replace(text, row="")), unneeded=(text.find,))


def _long_concat(template: str, text: Any) -> Adapted:
    pieces = text.count.replace(f", {CHUNK_ELEMENTS})", f", {LONG_PIECE})")
    return Adapted(template, replace(text, count=pieces, piece=LONG_PIECE), {text.name: Shape(pieces, strides=False)})


def _scatter(template: str, text: Any) -> Adapted:
    """A thread per column of all rows, or per row: it goes through all indices in order."""
    items = text.row_size if text.columns else text.rows
    own = replace(text, columns=1 if text.columns else 0, parts=text.rows, check_block=1 if text.check_block else 0)
    shapes = {text.name: Shape(items, strides=False)}
    if text.check_block:
        shapes = {f"{text.name}_check": Shape(text.count, strides=False), **shapes}
    return Adapted(template, own, shapes)


def _random(template: str, text: Any) -> Adapted:
    return Adapted("cuda/random.cu.j2", text, {text.name: Shape(text.count)}, {"lanes": 1})


RULES: dict[str, Callable[[str, Any], Adapted]] = {
    "shared/pointwise.j2": lambda template, text: (_rowwise(lambda k: k.inner) if text.inner else _flat)(template, text),
    "shared/check.j2": _flat,
    "shared/top.j2": _flat,
    "shared/concat.j2": _rowwise(lambda k: max((p.size for p in k.parts), key=len, default="1")),
    "c/concat.c.j2": _long_concat,
    "shared/embed.j2": _rowwise(_embed_size),
    "shared/gather.j2": _rowwise(lambda k: k.size),
    "shared/extreme.j2": _extreme,
    "shared/scan.j2": _columns,
    "c/scatter.c.j2": _scatter,
    "c/random.c.j2": _random,
}

__all__ = ["THREADS", "Adapted", "adapted", "row_lanes"]
