"""One device of a session: its memory, its streams, its arenas. Everything here is guarded by the session's lock."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import Any

import numpy as np

from ...errors import InternalError
from .driver import DeviceInfo, Driver
from .pool import Piece, join, leave


class Gpu:
    """The device that a session's steps run on."""

    def __init__(self, driver: Driver, number: int, info: DeviceInfo, config: Any) -> None:
        self.driver = driver
        self.number = number  # the driver's
        self.info = info
        with driver.use(number):
            self.pool = join(driver, number, info, config)
            self._pieces: set[Piece] = set()
            self._dropped = weakref.finalize(self, self.pool.abandon, self._pieces)
            self._dropped.atexit = False
            self.stream = driver.stream()
            self.copies = driver.stream()  # feeds arrive here while the step before may still run
        self.batch_arena = Block(self, "the values of a step")
        self.fixed_arena = Block(self, "the values of a step that do not grow with its batch")
        self.growths = 0

    def reserve(self, batch_bytes: int, fixed_bytes: int, n: int = 0) -> int:
        """Make the arenas hold at least these sizes, for batch size n. The result changes when one is elsewhere."""
        self.growths += self.batch_arena.grow(batch_bytes, f" at batch size {n}")
        self.growths += self.fixed_arena.grow(fixed_bytes)
        return self.growths

    def take(self, bytes: int, owner: str) -> Piece:
        """Memory of the device. ResourceExhaustedError, which names the owner: there is not so much."""
        piece = self.pool.take(bytes, owner)
        self._pieces.add(piece)
        return piece

    def give_back(self, piece: Piece) -> None:
        """Memory that is not needed once the stream's work has ended."""
        if piece in self._pieces:  # else the session is closed, and all of its memory was given back
            self.driver.synchronise(self.stream)
            self._pieces.discard(piece)
            self.pool.give_back(piece)

    def close(self) -> None:
        """The session ends: all of its memory is given back."""
        if self._dropped.detach() is None:
            return
        with suppress(InternalError), self.driver.use(self.number):  # which a kernel that faulted leaves useless
            self.driver.synchronise(self.copies)
            self.driver.synchronise(self.stream)
        for piece in self._pieces:
            self.pool.give_back(piece)
        self._pieces.clear()
        leave(self.pool)


class Block:
    """Device memory that grows when it has to; what it held is lost then. `owner` says what it is for."""

    def __init__(self, gpu: Gpu, owner: str) -> None:
        self._gpu = gpu
        self._owner = owner
        self._piece: Piece | None = None
        self.bytes = 0

    @property
    def address(self) -> int:
        return 0 if self._piece is None else self._piece.address

    def grow(self, bytes: int, detail: str = "") -> bool:
        """Hold at least so many bytes; True if the address has changed. ResourceExhaustedError: there are not so many."""
        bytes = max(bytes, 1)
        if bytes <= self.bytes:
            return False
        self.free()  # first, so that both need not be there at a time
        self._piece = self._gpu.take(bytes, self._owner + detail)
        self.bytes = bytes
        return True

    def free(self) -> None:
        """Give the memory back."""
        if self._piece is not None:
            self._gpu.give_back(self._piece)
            self._piece, self.bytes = None, 0


class Staged:
    """An array's way to the device or back: device memory, and pinned memory of the host beside it."""

    def __init__(self, gpu: Gpu, owner: str) -> None:
        self._gpu = gpu
        self.block = Block(gpu, owner)
        self._pinned: Any = None
        self._bytes = 0

    def grow(self, bytes: int) -> bool:
        """Hold at least so many bytes; True if the device address has changed."""
        if bytes > self._bytes or self._pinned is None:
            if self._pinned is not None:
                self._pinned.free()
            self._pinned = self._gpu.driver.pinned(max(bytes, 1))
            self._bytes = bytes
        return self.block.grow(bytes)

    def view(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """The pinned memory as an array."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        array: np.ndarray = self._pinned.array[:size].view(dtype).reshape(shape)
        return array
