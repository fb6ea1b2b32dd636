"""Offsets for buffers in one arena, such that those that are alive at the same time do not overlap.

Each buffer goes as low as it fits. How much memory that takes depends on the order in which they are placed; a few orders
are tried, until one takes no more than what is alive at the busiest moment.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Request:
    """`size` bytes for `owner` from kernel `start` to kernel `end`. Most of a `loose` buffer will never be touched."""

    owner: Any
    size: int
    start: int
    end: int
    loose: bool = False


_ORDERS: tuple[Callable[[Request], Any], ...] = (
    lambda r: (-r.size, r.start),
    lambda r: (-r.size * (r.end - r.start + 1), r.start),
    lambda r: (r.start - r.end, -r.size),
    lambda r: (r.start, -r.size),
    lambda r: (-r.end, -r.size),
)


def place_buffers(requests: Sequence[Request]) -> tuple[dict[Request, int], int]:
    """The offset of each buffer, and the size of the arena. Loose buffers come last, so that they spread no others."""
    tight = [r for r in requests if not r.loose]
    loose = sorted((r for r in requests if r.loose), key=_ORDERS[0])
    least = _most_alive(tight)
    best: list[Request] = []
    lowest = -1
    for order in _ORDERS:
        tried = sorted(tight, key=order)
        total = _placed(tried)[1]
        if lowest < 0 or total < lowest:
            best, lowest = tried, total
        if lowest == least:
            break
    return _placed([*best, *loose])


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


def _placed(requests: Iterable[Request]) -> tuple[dict[Request, int], int]:
    """Offsets when the buffers are placed one after the other, each as low as it fits."""
    taken: list[tuple[int, int, int, int]] = []  # offset, end, first and last kernel; by offset
    offsets: dict[Request, int] = {}
    total = 0
    for request in requests:
        offset = 0
        for low, high, start, end in taken:
            if start <= request.end and request.start <= end:
                if offset + request.size <= low:
                    break
                offset = max(offset, high)
        offsets[request] = offset
        total = max(total, offset + request.size)
        bisect.insort(taken, (offset, offset + request.size, request.start, request.end))
    return offsets, total
