"""What a kernel writer hands back: the C text of its functions, how to launch them, and the memory they need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Epilogue:
    """What happens to each finished sum of a matrix product or convolution before it is stored.

    `lines` are C statements that may use `acc` (the sum), `row` and `column` (int64_t, its place in the output seen
    as a row-major matrix); `stores` are C statements that write to memory. Both empty means: store `acc` itself.
    `value` is the C expression of the finished element, for a pooling that takes it instead of a store. `draws` are the
    random numbers that the lines take (a `kinds.draws.Draws`), made in strips of columns. `beside` is what happens to
    the sums of the columns of the right operand, over `acc` and `column`, if the kernel is to make these too.
    """

    lines: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    value: str = "acc"
    draws: Any = None
    beside: Epilogue | None = None

    @property
    def is_plain(self) -> bool:
        return not self.lines and not self.stores


PLAIN = Epilogue()


@dataclass(frozen=True)
class Launch:
    """One call of a kernel function: chunks 0 .. `chunks`-1, a C expression that may use N."""

    function: str
    chunks: str


@dataclass(frozen=True)
class Joined:
    """Launches that run kernels `first` to `last` together, and the C of the functions that these launches call."""

    first: int
    last: int
    source: str
    launches: tuple[Launch, ...]


@dataclass(frozen=True)
class Scratch:
    """Bytes of working memory: `per_batch_bytes` * N + `fixed_bytes`."""

    per_batch_bytes: int = 0
    fixed_bytes: int = 0

    @property
    def is_empty(self) -> bool:
        return self.per_batch_bytes == 0 and self.fixed_bytes == 0


@dataclass(frozen=True)
class Shared:
    """A type or function that several kernels of a program use: emitted once, before them, in first-seen order."""

    name: str
    source: str


@dataclass(frozen=True)
class Emitted:
    """A kernel as C: `source` after every item of `shared`, run by `launches` in order. `method` says how it computes."""

    source: str
    launches: tuple[Launch, ...]
    scratch: Scratch
    shared: tuple[Shared, ...] = ()
    method: str = ""


def unique_shared(items: Iterable[Shared]) -> tuple[Shared, ...]:
    """The items, each name once, in the order they are first seen: what has one name must be one text."""
    found: dict[str, Shared] = {}
    for item in items:
        assert found.setdefault(item.name, item).source == item.source, f"two helpers are called {item.name}"
    return tuple(found.values())


PROLOGUE = "@prologue@"
"""Stands in a template's function bodies where the caller's declarations go."""

_DECLARED = re.compile(r"(\w+)\s*=")
_WORD = re.compile(r"\w+")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def used_lines(lines: Sequence[str], body: str) -> tuple[str, ...]:
    """The declarations among `lines` that `body`, or a later line that is kept, refers to.

    A line that declares nothing is kept. So one list of declarations serves all functions of a kernel without
    unused variables.
    """
    words = set(_WORD.findall(_COMMENT.sub(" ", body)))
    kept: list[str] = []
    for line in reversed(lines):
        declared = _DECLARED.search(line)
        if declared and declared.group(1) not in words:
            continue
        kept.append(line)
        words.update(_WORD.findall(_COMMENT.sub(" ", line)))
    return tuple(reversed(kept))


def insert_prologue(text: str, lines: Sequence[str], indent: str = "    ") -> str:
    """`text` with the declarations that each function needs in the place of its `@prologue@` line."""
    first, *bodies = text.split(f"{indent}{PROLOGUE}\n")
    result = first
    for body in bodies:
        own = body.split("\nstatic ", 1)[0]
        needed = used_lines(lines, own)
        if "chunk" not in _WORD.findall(_COMMENT.sub(" ", own)):
            needed = ("(void)chunk;  // there is one only", *needed)
        result += "".join(f"{indent}{line}\n" for line in needed) + body
    return result
