"""The one seam between this package and a CUDA device: everything above it is the same on a GPU and on the host shim."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Grid = tuple[int, int, int]


@dataclass(frozen=True)
class DeviceInfo:
    """One device: its name, bytes of memory, compute capability and number of multiprocessors."""

    name: str
    memory: int
    capability: tuple[int, int]
    multiprocessors: int

    @property
    def arch(self) -> str:
        """The architecture that images are made for, such as `sm_90`."""
        return f"sm_{self.capability[0]}{self.capability[1]}"


class Memory(Protocol):
    """Memory on the device, or pinned memory of the host, which has its bytes as a NumPy array in `array`."""

    address: int
    bytes: int

    def free(self) -> None: ...


class Graph(Protocol):
    """A captured sequence of launches and copies."""

    def launch(self, stream: Any) -> None: ...


class Module(Protocol):
    """A loaded image."""

    def function(self, name: str) -> Any: ...


class Driver(Protocol):
    """What a device can do. Addresses are ints; a stream of None is the driver's own, in which calls follow each other."""

    name: str

    def devices(self) -> list[DeviceInfo]: ...
    def use(self, number: int) -> AbstractContextManager[None]: ...  # in this block, the thread's calls mean the device
    def allocate(self, bytes: int) -> Memory: ...
    def pinned(self, bytes: int) -> Any: ...
    def copy_in(self, address: int, array: np.ndarray, stream: Any = None) -> None: ...
    def copy_out(self, array: np.ndarray, address: int, stream: Any = None) -> None: ...
    def copy(self, to: int, source: int, bytes: int, stream: Any = None) -> None: ...
    def image(self, source: str, arch: str) -> Path: ...
    def load(self, image: Path) -> Module: ...
    def launch(
        self, function: Any, grid: Grid | int, block: Grid | int, shared: int, parameters: bytes, stream: Any = None
    ) -> None: ...
    def stream(self) -> Any: ...
    def event(self) -> Any: ...
    def synchronise(self, stream: Any = None) -> None: ...
    def capture(self, stream: Any) -> AbstractContextManager[Any]: ...
