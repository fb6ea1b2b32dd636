"""Results that are larger than the caches: rows of them are stored past these (`templates/c/past_caches.h.j2`).

A store of part of a cache line reads the line first; a whole line that passes by does not, and leaves in the caches what
may be needed again. Measured with two threads: kpcnn's first layer, which stores 36 MB, 2.5 ms instead of 2.9,
convnet128's, which stores 67 MB, 2.5 instead of 3.5.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..c_text import plus, times
from ..emitted import Epilogue, Shared
from ..render import render
from ..scalar import size_text
from ..target import nominal
from ..tiles import Element

CACHE_BYTES = 24 * 1024 * 1024  # of results that are worth keeping: about the last-level cache

# bytes of a vector -> the instruction set that stores it past the caches, and what gcc calls that for floats and doubles
_INSTRUCTIONS = {
    64: ("__AVX512F__", "__builtin_ia32_movnt{}512"),
    32: ("__AVX__", "__builtin_ia32_movnt{}256"),
}


def can_pass(element: Element) -> bool:
    """True where there are instructions for it; older processors keep to the shorter code."""
    return element.target.vector_bytes in _INSTRUCTIONS


def store_functions(element: Element) -> tuple[Shared, ...]:
    """The function that stores rows of whole vectors, past the caches or not, last, after the one that waits for them."""
    isa, builtin = _INSTRUCTIONS[element.target.vector_bytes]
    letters = {"float32": "ps", "float64": "pd"}[element.dtype]
    name = store_name(element)
    text = render(
        "c/past_caches.h.j2", name=name, c_type=element.c_type, vector=element.vector, lanes=element.lanes,
        bytes=element.target.vector_bytes, builtin=builtin.format(letters), isa=isa,
    )  # fmt: skip
    return Shared("tg_stores_done", render("c/stores_done.h.j2")), Shared(name, text)


def store_name(element: Element) -> str:
    return f"tg_store_{element.letters}x{element.lanes}"


def usually_passes(element: Element, images: Any, image_elements: int) -> bool:
    """Whether a result of the usual batch goes past the caches."""
    count = nominal(images)
    return can_pass(element) and count * image_elements * element.bytes > CACHE_BYTES


def is_past(element: Element, pointer: str, rows: object, row_elements: int) -> str:
    """A C expression: whether so many rows at `pointer` should be stored past the caches."""
    size = times(size_text(rows), row_elements * element.bytes)
    return f"{size} > {CACHE_BYTES} && (uintptr_t){pointer} % {element.target.vector_bytes} == 0"


def kept_rows(
    epilogue: Epilogue, prologue_lines: Sequence[str], c_type: str, columns: int, target: str
) -> tuple[Epilogue, str]:
    """The epilogue with its one store of a row's element to `target`, and the pointer it stored to; unchanged and "" if it
    stores to several or none.
    """
    place = re.escape(plus(times("row", columns), "column"))
    store = re.compile(rf"(\w+)\[{place}\] = (\w+);")
    found = [match for line in (*epilogue.lines, *epilogue.stores) if (match := store.fullmatch(line))]
    declared = [line for line in prologue_lines if found and line.startswith(f"{c_type} *restrict {found[0][1]} =")]
    if len(found) != 1 or not declared or epilogue.draws:
        return epilogue, ""

    def kept(lines: Sequence[str]) -> tuple[str, ...]:
        return tuple(store.sub(rf"{target} = \2;", line) for line in lines)

    return replace(epilogue, lines=kept(epilogue.lines), stores=kept(epilogue.stores)), found[0][1]
