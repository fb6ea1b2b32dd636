"""CUDA through PyCUDA: the driver behind a real GPU. Imported only where PyCUDA is installed.

PyCUDA's errors become TensorFlow's: out of memory is ResourceExhaustedError, anything else InternalError.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pycuda.driver as cuda  # type: ignore[import-not-found]

from ...errors import InternalError, ResourceExhaustedError, UnavailableError
from .capture import CapturedGraph
from .driver import DeviceInfo, Grid
from .images import cubin

_F = TypeVar("_F", bound=Callable[..., Any])


def _told(function: _F) -> _F:
    """`function` with PyCUDA's errors as TensorFlow's."""

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except cuda.MemoryError as reason:
            text = f"The GPU is out of memory ({reason}). Feed smaller batches, or close what else uses the GPU."
            raise ResourceExhaustedError(None, None, text) from reason
        except cuda.Error as reason:
            text = (
                f"CUDA failed: {reason}. A kernel that faulted leaves the device unusable until the process ends; "
                "TFGRAPH_CUDA=shim TFGRAPH_SHIM_CHECK=1 runs the same kernels on the CPU and says which one and where."
            )
            raise InternalError(None, None, text) from reason

    return call  # type: ignore[return-value]


class PycudaMemory:
    """Memory of the device."""

    def __init__(self, bytes: int) -> None:
        self.bytes = bytes
        self._allocation = cuda.mem_alloc(max(bytes, 1))
        self.address = int(self._allocation)

    def free(self) -> None:
        self._allocation.free()


class PycudaPinned:
    """Memory of the host that the device copies from and to by itself, as bytes in `array`."""

    def __init__(self, bytes: int) -> None:
        self.bytes = bytes
        self.array = cuda.pagelocked_empty(max(bytes, 1), np.uint8)
        self.address = int(self.array.ctypes.data)

    def free(self) -> None:
        self.array = np.zeros(0, np.uint8)


class PycudaModule:
    """A loaded cubin."""

    def __init__(self, image: Path) -> None:
        self._module = cuda.module_from_buffer(image.read_bytes())

    @_told
    def function(self, name: str) -> Any:
        return self._module.get_function(name)


class PycudaStream:
    """A stream that does not wait for the default one."""

    def __init__(self) -> None:
        self.handle = cuda.Stream()

    def wait(self, event: PycudaEvent) -> None:
        """What is put here later is done after the event."""
        self.handle.wait_for_event(event.handle)

    @_told
    def synchronise(self) -> None:
        self.handle.synchronize()


class PycudaEvent:
    """A place in a stream."""

    def __init__(self) -> None:
        self.handle = cuda.Event()

    def record(self, stream: PycudaStream) -> None:
        self.handle.record(stream.handle)

    @_told
    def synchronise(self) -> None:
        self.handle.synchronize()

    def milliseconds_since(self, earlier: PycudaEvent) -> float:
        """The time between two events that have been reached."""
        return float(self.handle.time_since(earlier.handle))


class PycudaDriver:
    """The CUDA driver API; see driver.Driver. Calls mean the device that their thread `use`s."""

    name = "pycuda"

    def __init__(self) -> None:
        cuda.init()
        if cuda.Device.count() == 0:
            raise UnavailableError(None, None, "there is no device")
        self._contexts: dict[int, Any] = {}
        self._current = threading.local()

    def devices(self) -> list[DeviceInfo]:
        found = []
        for number in range(cuda.Device.count()):
            device = cuda.Device(number)
            count = device.get_attribute(cuda.device_attribute.MULTIPROCESSOR_COUNT)
            found.append(DeviceInfo(device.name(), device.total_memory(), device.compute_capability(), count))
        return found

    @_told
    def use(self, number: int) -> None:
        """Make a device the one that this thread's later calls mean."""
        if getattr(self._current, "number", None) == number:
            return
        if number not in self._contexts:
            self._contexts[number] = cuda.Device(number).retain_primary_context()
        if getattr(self._current, "number", None) is not None:
            cuda.Context.pop()
        self._contexts[number].push()
        self._current.number = number

    @_told
    def allocate(self, bytes: int) -> PycudaMemory:
        return PycudaMemory(bytes)

    @_told
    def pinned(self, bytes: int) -> PycudaPinned:
        return PycudaPinned(bytes)

    @_told
    def copy_in(self, address: int, array: np.ndarray, stream: PycudaStream | None = None) -> None:
        if stream is None:
            cuda.memcpy_htod(address, array)
        else:
            cuda.memcpy_htod_async(address, array, stream.handle)

    @_told
    def copy_out(self, array: np.ndarray, address: int, stream: PycudaStream | None = None) -> None:
        if stream is None:
            cuda.memcpy_dtoh(array, address)
        else:
            cuda.memcpy_dtoh_async(array, address, stream.handle)

    @_told
    def copy(self, to: int, source: int, bytes: int, stream: PycudaStream | None = None) -> None:
        if stream is None:
            cuda.memcpy_dtod(to, source, bytes)
        else:
            cuda.memcpy_dtod_async(to, source, bytes, stream.handle)

    def image(self, source: str, arch: str) -> Path:
        """The cubin of a CUDA text, from the cache if it has been compiled before."""
        return cubin(source, arch)

    @_told
    def load(self, image: Path) -> PycudaModule:
        return PycudaModule(image)

    @_told
    def launch(
        self,
        function: Any,
        grid: Grid | int,
        block: Grid | int,
        shared: int,
        parameters: bytes,
        stream: PycudaStream | None = None,
    ) -> None:
        blocks = (grid, 1, 1) if isinstance(grid, int) else grid
        threads = (block, 1, 1) if isinstance(block, int) else block
        taken = f"{len(parameters)}s"  # one parameter, the struct itself, as its bytes
        if getattr(function, "arg_format", None) != taken:
            function.prepare([taken])
        if stream is None:
            function.prepared_call(blocks, threads, parameters, shared_size=shared)
        else:
            function.prepared_async_call(blocks, threads, stream.handle, parameters, shared_size=shared)

    def stream(self) -> PycudaStream:
        return PycudaStream()

    def event(self) -> PycudaEvent:
        return PycudaEvent()

    @_told
    def synchronise(self, stream: PycudaStream | None = None) -> None:
        if stream is None:
            cuda.Context.synchronize()
        else:
            stream.synchronise()

    @contextmanager
    def capture(self, stream: PycudaStream) -> Iterator[Any]:
        """While this lasts, launches in the stream are not done but kept for the graph."""
        graph = CapturedGraph()
        graph.begin(stream.handle.handle)
        try:
            yield graph
        finally:
            graph.end(stream.handle.handle)
