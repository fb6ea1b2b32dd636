"""One device of a session: its memory, its streams, its arenas. Everything here is guarded by the session's lock."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ResourceExhaustedError
from .driver import DeviceInfo, Driver


class Gpu:
    """The device that a session's steps run on."""

    def __init__(self, driver: Driver, number: int, info: DeviceInfo, config: Any) -> None:
        driver.use(number)
        self.driver = driver
        self.number = number  # the driver's
        self.info = info
        options = getattr(config, "gpu_options", None)
        fraction = float(getattr(options, "per_process_gpu_memory_fraction", 0.0) or 0.0)
        self.limit = int(info.memory * fraction) if fraction > 0 else info.memory
        self.used = 0
        self.stream = driver.stream()
        self.copies = driver.stream()  # feeds arrive here while the step before may still run
        self.batch_arena = Block(self)
        self.fixed_arena = Block(self)
        self.growths = 0

    def reserve(self, batch_bytes: int, fixed_bytes: int) -> int:
        """Make the arenas hold at least these sizes. The result changes when one of them is elsewhere."""
        grown = [self.batch_arena.grow(batch_bytes), self.fixed_arena.grow(fixed_bytes)]
        self.growths += any(grown)
        return self.growths


class Block:
    """Device memory that grows when it has to; what it held is lost then."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._memory: Any = None
        self.bytes = 0

    @property
    def address(self) -> int:
        return 0 if self._memory is None else int(self._memory.address)

    def grow(self, bytes: int) -> bool:
        """Hold at least so many bytes; True if the address has changed. ResourceExhaustedError: there are not so many."""
        bytes = max(bytes, 1)
        if bytes <= self.bytes:
            return False
        gpu = self._gpu
        if gpu.used - self.bytes + bytes > gpu.limit:
            raise ResourceExhaustedError(
                None,
                None,
                f"OOM when allocating {bytes} bytes on {gpu.info.name}: {gpu.used} of {gpu.limit} bytes are in use. "
                "Feed smaller batches, or raise per_process_gpu_memory_fraction if it is set.",
            )
        self.free()
        self._memory = gpu.driver.allocate(bytes)
        self.bytes = bytes
        gpu.used += bytes
        return True

    def free(self) -> None:
        """Give the memory back."""
        if self._memory is not None:
            self._gpu.driver.synchronise(self._gpu.stream)
            self._memory.free()
            self._gpu.used -= self.bytes
            self._memory, self.bytes = None, 0


class Staged:
    """An array's way to the device or back: device memory, and pinned memory of the host beside it."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self.block = Block(gpu)
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
