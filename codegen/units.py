"""The functions of a program -> translation units of about equal work, which C compilers can take side by side.

Every function is compiled in one unit: a kernel, and a function that several kernels call but that is compiled without
regard to its callers (TG_ALONE). Types and small inline functions are in every unit.

The number of units is a property of the program and not of the machine, so that a program is everywhere compiled in the
same way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .emitted import Shared

# work is counted in characters of C, of which gcc 12 -O3 takes about 1,000 in 9 ms; a unit more takes 40 ms for headers
SMALLEST_SPLIT = 40_000
# convnet128's 2.6 s of gcc are 2 units of 1.4 and 1.2 s, or 4 of at most 0.8 s, which together take 0.07 s more
LARGEST_UNIT = 100_000
FUNCTION_SIZE = 600  # a function costs as much beside its text: least squares over 322 functions of five nets
STEP_SIZE = 2_000  # what `tg_run`, which is in the last unit, weighs

_UNITS = re.compile(r"^#define TG_UNITS (\d+)$", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_FUNCTION = re.compile(r"^static (?:TG_ALONE )?void ", re.MULTILINE)
_ALONE = re.compile(r"^static TG_ALONE (void (\w+)\([^{;]*\))\n\{", re.MULTILINE)
_DEFINED = re.compile(
    r"^static (?!TG_ALONE)[^(;={]*?(\w+)\(|^\} (\w+);|^typedef [^{;]*?(\w+)(?: __attribute__[^;]*)?;", re.MULTILINE
)


@dataclass(frozen=True)
class Unit:
    """What one translation unit compiles: texts of C."""

    number: int
    shared: tuple[str, ...]
    kernels: tuple[str, ...]


@dataclass(frozen=True)
class Units:
    """A program cut up: what every unit holds, and the declarations of the functions that units hold for each other."""

    everywhere: tuple[str, ...]
    declared: tuple[str, ...]
    units: tuple[Unit, ...]


def cut_into_units(kernels: Sequence[str], shared: Sequence[Shared]) -> Units:
    """The texts of `kernels` and what they share, in one or an even number of units."""
    movable = _movable(kernels, shared)
    work = [work_of(text) + STEP_SIZE * (i == len(kernels) - 1) for i, text in enumerate(kernels)]
    items = {i: work_of(shared[i].source) for i in movable}
    whole = sum(work) + sum(items.values())
    if len(kernels) < 2 or whole < SMALLEST_SPLIT:
        return Units(tuple(item.source for item in shared), (), (Unit(0, (), tuple(kernels)),))
    count = 2 * -(-whole // (2 * LARGEST_UNIT))
    ends = _ends_of_at_most(count, work)
    runs = list(zip([0, *ends], ends))
    placed = _spread(items, [sum(work[first:last]) for first, last in runs])
    sources = [_ALONE.sub(r"TG_SHARED \1\n{", item.source) for item in shared]
    return Units(
        everywhere=tuple(item.source for i, item in enumerate(shared) if i not in items),
        declared=tuple(head for i in movable for head, _ in _ALONE.findall(shared[i].source)),
        units=tuple(
            Unit(number, tuple(sources[i] for i in own), tuple(kernels[first:last]))
            for number, (own, (first, last)) in enumerate(zip(placed, runs, strict=True))
        ),
    )


def unit_count(source: str) -> int:
    """In how many units a source may be compiled."""
    found = _UNITS.search(source)
    return int(found[1]) if found else 1


def work_of(text: str) -> int:
    """How much work the functions of a text are for a compiler: their characters, comments left out."""
    return len(_COMMENT.sub("", text)) + FUNCTION_SIZE * len(_FUNCTION.findall(text))


def _movable(kernels: Sequence[str], shared: Sequence[Shared]) -> list[int]:
    """Which shared items one unit can hold for all: functions of which others need no more than a declaration."""
    found = []
    for i, item in enumerate(shared):
        others = [text for j, other in enumerate(shared) if j != i for text in [other.source]]
        names = {name for names in _DEFINED.findall(item.source) for name in names if name}
        needed = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b") if names else None
        if _ALONE.search(item.source) and not (needed and any(needed.search(text) for text in [*others, *kernels])):
            found.append(i)
    return found


def _ends_of_at_most(most: int, work: Sequence[int]) -> list[int]:
    """Where at most `most` runs end, the largest of them as small as it can be: bisection of its size."""
    low, high = 0, sum(work)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if len(_ends(middle, work)) <= most else (middle, high)
    return _ends(high, work)


def _ends(limit: int, work: Sequence[int]) -> list[int]:
    """Where runs end that are filled in turn, each up to `limit`."""
    ends, filled = list[int](), 0
    for i, more in enumerate(work):
        if filled + more > limit and i > (ends[-1] if ends else 0):
            ends.append(i)
            filled = 0
        filled += more
    return [*ends, len(work)]


def _spread(items: dict[int, int], loads: list[int]) -> list[list[int]]:
    """Which items go to which unit, given the work that each has already: the largest first, each to the least loaded."""
    placed = [list[int]() for _ in loads]
    for i in sorted(items, key=lambda i: -items[i]):
        least = min(range(len(loads)), key=loads.__getitem__)
        loads[least] += items[i]
        placed[least].append(i)
    return [sorted(own) for own in placed]
