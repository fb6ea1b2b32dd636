"""Offsets for buffers in one arena, such that those that are alive at the same time do not overlap.

Each buffer goes as low as it fits. How much memory that takes depends on the order in which they are placed; a few orders
are tried, until one takes no more than what is alive at the busiest moment.

Sizes may be numbers per sample. A buffer that has a `rest`, bytes on top whose number does not depend on the batch, lies
above all else that is alive then: what does not grow stands at the end and moves nothing by a multiple of the batch.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, eq=False)
class Request:
    """`size` bytes for `owner` from kernel `start` to kernel `end`, and a `rest` that is counted apart."""

    owner: Any
    size: int
    start: int
    end: int
    rest: int = 0

    def meets(self, other: Request) -> bool:
        """True if both are alive at some moment."""
        return self.start <= other.end and other.start <= self.end


class Place(NamedTuple):
    """Where something begins, or how much it is: `size`, and a `rest` that is counted apart."""

    size: int
    rest: int


_ORDERS: tuple[Callable[[Request], Any], ...] = (
    lambda r: (-r.size, r.start),
    lambda r: (-r.size * (r.end - r.start + 1), r.start),
    lambda r: (r.start - r.end, -r.size),
    lambda r: (r.start, -r.size),
    lambda r: (-r.end, -r.size),
)


def place_buffers(requests: Sequence[Request]) -> tuple[dict[Request, Place], Place]:
    """Where each buffer begins, and the size of the arena."""
    lower = [r for r in requests if not r.rest]
    upper = sorted((r for r in requests if r.rest), key=_ORDERS[0])
    least = _most_alive(requests)
    best: tuple[dict[Request, Place], Place] = {}, Place(0, 0)
    for i, order in enumerate(_ORDERS):
        tried = _with_rests(_placed(sorted(lower, key=order)), upper)
        if i == 0 or tried[1] < best[1]:
            best = tried
        if best[1].size == least:
            break
    return best


def _most_alive(requests: Iterable[Request]) -> int:
    """The bytes that are alive at the busiest moment: no arena is smaller."""
    changes: dict[int, int] = {}
    for request in requests:
        changes[request.start] = changes.get(request.start, 0) + request.size
        changes[request.end + 1] = changes.get(request.end + 1, 0) - request.size
    now = most = 0
    for moment in sorted(changes):
        now += changes[moment]
        most = max(most, now)
    return most


def _placed(requests: Iterable[Request]) -> dict[Request, int]:
    """Offsets when the buffers are placed one after the other, each as low as it fits."""
    taken: list[tuple[int, int, int, int]] = []  # offset, end, first and last kernel; by offset
    offsets: dict[Request, int] = {}
    for request in requests:
        offset = 0
        for low, high, start, end in taken:
            if start <= request.end and request.start <= end:
                if offset + request.size <= low:
                    break
                offset = max(offset, high)
        offsets[request] = offset
        bisect.insort(taken, (offset, offset + request.size, request.start, request.end))
    return offsets


def _with_rests(offsets: dict[Request, int], upper: Iterable[Request]) -> tuple[dict[Request, Place], Place]:
    """The places of all buffers, those with a rest on top of the others, and the size of the arena."""
    places = {request: Place(offset, 0) for request, offset in offsets.items()}
    for request in upper:
        below = [(place, other) for other, place in places.items() if other.meets(request)]
        size = max((place.size + other.size for place, other in below), default=0)
        rest = max((place.rest + other.rest for place, other in below), default=0)
        places[request] = Place(size, rest)
    size = max((place.size + request.size for request, place in places.items()), default=0)
    rest = max((place.rest + request.rest for request, place in places.items()), default=0)
    return places, Place(size, rest)
