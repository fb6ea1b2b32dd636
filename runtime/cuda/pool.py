"""The memory of one GPU that this process uses: all of its sessions take theirs from one pool, which has a limit.

`ConfigProto.gpu_options`, as in TensorFlow, of the session that is first to use the GPU:
- `per_process_gpu_memory_fraction` is the share of the device's memory that may be used; not set, it is all of it.
- `allow_growth=True` takes memory when it is needed.
- `allow_growth=False`, the default, takes the fraction at once, so that nobody else can. Without a fraction there is
  nothing to take at once: TensorFlow would take nearly the whole device, this pool grows.
"""

from __future__ import annotations

import logging
import threading
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ...errors import InvalidArgumentError, ResourceExhaustedError
from .driver import DeviceInfo, Driver

logger = logging.getLogger("tfgraph")

ALIGNMENT = 256  # bytes, as the driver's own allocations


@dataclass(frozen=True)
class Limits:
    """What a session's options say about memory."""

    fraction: float = 0.0  # of the device's; 0: all of it
    grows: bool = False

    @property
    def reserves(self) -> bool:
        """True if all of it is taken at once."""
        return self.fraction > 0 and not self.grows

    def __str__(self) -> str:
        return f"per_process_gpu_memory_fraction={self.fraction:g}, allow_growth={self.grows}"


def limits_of(config: Any) -> Limits:
    """The limits in a `tf.ConfigProto`. InvalidArgumentError for a fraction that is none."""
    options = getattr(config, "gpu_options", None)
    fraction = float(getattr(options, "per_process_gpu_memory_fraction", 0.0) or 0.0)
    if not 0.0 <= fraction <= 1.0:
        text = f"per_process_gpu_memory_fraction must be from 0 to 1, but is {fraction:g}"
        raise InvalidArgumentError(None, None, text)
    return Limits(fraction, bool(getattr(options, "allow_growth", False)))


class Piece:
    """Memory of the device that one owner has."""

    def __init__(self, address: int, bytes: int, memory: Any) -> None:
        self.address = address
        self.bytes = bytes
        self.memory = memory  # the driver's, None for a part of what has been reserved


class Pool:
    """Device memory within a limit. `used` and `peak` are bytes in pieces, now and at most so far."""

    def __init__(self, driver: Driver, number: int, info: DeviceInfo, limits: Limits) -> None:
        self.info = info
        self.limits = limits
        self.limit = int(info.memory * limits.fraction) if limits.fraction > 0 else info.memory
        self.used = 0
        self.peak = 0
        self.users = 0
        self._driver = driver
        self._number = number
        self._lock = threading.Lock()
        self._free: list[tuple[int, int]] = []  # address and bytes of the gaps in what has been reserved
        self._abandoned: list[Iterable[Piece]] = []
        self._reserved = self._take_from_driver(self.limit, "the pool of this process") if limits.reserves else None
        if self._reserved is not None:
            self._free = [(int(self._reserved.address), self.limit)]

    def take(self, bytes: int, owner: str) -> Piece:
        """Memory for `owner`. ResourceExhaustedError: that would be more than the limit, or than there is."""
        with self._lock:
            self._sweep()
            if self.used + bytes > self.limit:
                raise ResourceExhaustedError(None, None, self._refusal(bytes, owner, f"{self.used} bytes of it are in use"))
            piece = self._part(bytes, owner) if self._reserved is not None else self._own(bytes, owner)
            self.used += piece.bytes
            self.peak = max(self.peak, self.used)
            return piece

    def give_back(self, piece: Piece) -> None:
        """Take a piece back; work on it must have ended."""
        with self._lock:
            self._give_back(piece)

    def abandon(self, pieces: Iterable[Piece]) -> None:
        """The owner of these pieces is gone. They are taken back before the next one is given out: the driver may not be
        called here, which may be anywhere in the program."""
        self._abandoned.append(pieces)
        self.users -= 1

    def close(self) -> None:
        """Give everything back to the driver."""
        with self._lock:
            self._sweep()
            if self._reserved is not None:
                self._reserved.free()
                self._reserved, self._free = None, []

    # --- how ----------------------------------------------------------------------------------------------------------

    def _own(self, bytes: int, owner: str) -> Piece:
        memory = self._take_from_driver(bytes, owner)
        return Piece(int(memory.address), bytes, memory)

    def _take_from_driver(self, bytes: int, owner: str) -> Any:
        try:
            return self._driver.allocate(bytes)
        except ResourceExhaustedError as reason:
            said = f"the device has no more ({reason.message})"
            raise ResourceExhaustedError(None, None, self._refusal(bytes, owner, said)) from reason

    def _part(self, bytes: int, owner: str) -> Piece:
        """A part of what has been reserved: of the smallest gap that is large enough."""
        size = -(-bytes // ALIGNMENT) * ALIGNMENT
        found = min((gap for gap in self._free if gap[1] >= size), key=lambda gap: gap[1], default=None)
        if found is None:
            largest = max((gap[1] for gap in self._free), default=0)
            said = f"{self.used} bytes of it are in use, and the largest gap between them has {largest} bytes"
            raise ResourceExhaustedError(None, None, self._refusal(bytes, owner, said))
        self._free.remove(found)
        address, room = found
        if room > size:
            insort(self._free, (address + size, room - size))
        return Piece(address, size, None)

    def _give_back(self, piece: Piece) -> None:
        self.used -= piece.bytes
        if piece.memory is not None:
            piece.memory.free()
            return
        insort(self._free, (piece.address, piece.bytes))
        self._free = _joined(self._free)

    def _sweep(self) -> None:
        while self._abandoned:
            for piece in self._abandoned.pop():
                self._give_back(piece)

    def _refusal(self, bytes: int, owner: str, state: str) -> str:
        limit = f"{self.limit} bytes" + (f" ({self.limits})" if self.limits.fraction else ", all that it has")
        advice = "raise per_process_gpu_memory_fraction, " if self.limits.fraction else "close what else uses the GPU, "
        return (
            f"OOM when allocating {bytes} bytes on {self.info.name} for {owner}: this process may use {limit}; {state}. "
            f"Feed smaller batches, {advice}close other sessions, or place the step on /cpu:0."
        )


def _joined(gaps: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Gaps in order, those that touch as one."""
    joined = gaps[:1]
    for (_, _), (address, size) in pairwise(gaps):
        begin, room = joined[-1]
        if begin + room == address:
            joined[-1] = (begin, room + size)
        else:
            joined.append((address, size))
    return joined


# --- of the process ---------------------------------------------------------------------------------------------------

_pools: dict[tuple[int, int], Pool] = {}  # by driver and number of the device
_pools_lock = threading.Lock()


def join(driver: Driver, number: int, info: DeviceInfo, config: Any) -> Pool:
    """The pool of a device, for one more session; `leave` it afterwards. What the first session's options say holds for
    all that use it at the same time."""
    limits = limits_of(config)
    with _pools_lock:
        pool = _pools.get((id(driver), number))
        if pool is not None and pool.users <= 0:
            pool.close()  # of sessions that were dropped without being closed
            pool = None
        if pool is None:
            pool = _pools[id(driver), number] = Pool(driver, number, info, limits)
        elif pool.limits != limits:
            logger.warning(
                "The sessions of a process share the memory of a GPU: what the first one was given holds (%s), not %s",
                pool.limits, limits,
            )  # fmt: skip
        pool.users += 1
        return pool


def leave(pool: Pool) -> None:
    """A session no longer uses its pool; the last one ends it."""
    with _pools_lock:
        pool.users -= 1
        if pool.users <= 0:
            pool.close()
            for key in [key for key, known in _pools.items() if known is pool]:
                del _pools[key]
