"""Kernels -> translation units of about equal work, which C compilers can take side by side.

The number of units is a property of the program and not of the machine, so that a program is everywhere compiled in the
same way. The length of the text stands for the work: gcc 12 -O3 takes about 11 ms for 1,000 characters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .emitted import Shared

# with gcc 12 on two processors: two units of 23,000 characters take 0.45 s, one of 45,000 takes 0.75 s
SMALLEST_SPLIT = 40_000
# what several units share is compiled in each of them: 4 units instead of 2 take 1.9 s of gcc for convnet128, not 1.6
LARGEST_UNIT = 200_000
STEP_SIZE = 5_000  # what `tg_run` and the thread pool, which are in the last unit, weigh

_UNITS = re.compile(r"^#define TG_UNITS (\d+)$", re.MULTILINE)


def cut_into_units(kernels: Sequence[str], shared: Sequence[Shared]) -> list[Sequence[str]]:
    """The texts of `kernels` in order, in one or an even number of units: two processors are the fewest that gain."""
    if len(kernels) < 2:
        return [kernels]
    work = _Work(kernels, shared)
    if work.whole < SMALLEST_SPLIT:
        return [kernels]
    ends = work.ends_of_at_most(2 * -(-work.whole // (2 * LARGEST_UNIT)))
    return [kernels[first:last] for first, last in zip([0, *ends], ends)]


def unit_count(source: str) -> int:
    """In how many units a source may be compiled."""
    found = _UNITS.search(source)
    return int(found[1]) if found else 1


class _Work:
    """How much text a compiler has to work through for a run of kernels: their own, and once each what they share."""

    def __init__(self, kernels: Sequence[str], shared: Sequence[Shared]) -> None:
        self._sizes = [len(text) for text in kernels]
        self._sizes[-1] += STEP_SIZE
        self._needs = [[i for i, item in enumerate(shared) if item.name in text] for text in kernels]
        self._shared_sizes = [len(item.source) for item in shared]
        needed = {i for needs in self._needs for i in needs}
        self.whole = sum(self._sizes) + sum(self._shared_sizes[i] for i in needed)

    def ends_of_at_most(self, most: int) -> list[int]:
        """Where at most `most` units end, the largest of them as small as it can be: bisection of its size."""
        low, high = 0, self.whole
        while high - low > 100:
            middle = (low + high) // 2
            low, high = (low, middle) if len(self._ends(middle)) <= most else (middle, high)
        return self._ends(high)

    def _ends(self, limit: int) -> list[int]:
        """Where units end that are filled in turn, each up to `limit`."""
        ends = list[int]()
        held, work = set[int](), 0
        for i, size in enumerate(self._sizes):
            more = size + sum(self._shared_sizes[j] for j in self._needs[i] if j not in held)
            if work + more > limit and i > (ends[-1] if ends else 0):
                ends.append(i)
                held, work = set(), 0
                more = size + sum(self._shared_sizes[j] for j in self._needs[i])
            held.update(self._needs[i])
            work += more
        return [*ends, len(self._sizes)]
