"""CUDA through PyCUDA: the driver behind a real GPU. Imported only where PyCUDA is installed.

PyCUDA's errors become TensorFlow's: out of memory is ResourceExhaustedError, anything else InternalError.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pycuda.driver as cuda  # type: ignore[import-not-found]

from ...errors import InternalError, ResourceExhaustedError, UnavailableError
from .capture import OUT_OF_MEMORY, CallFailed, Executable, abandon_capture, begin_capture, end_capture
from .contexts import Device, Owned, Used, current_device, this_thread
from .driver import DeviceInfo, Grid
from .images import cubin

FORKED = (
    "This process was forked from one that had used the GPU, and CUDA does not work in it. Start it with "
    "multiprocessing.get_context('spawn'), or fork before the first session."
)
FAULTED = (
    "A kernel has faulted on the GPU ({}), and CUDA does nothing more in this process: end it. "
    "TFGRAPH_CUDA=shim TFGRAPH_SHIM_CHECK=1 runs the same kernels on the CPU and says which one faults and where."
)
SHARED_UNASKED = 48 << 10  # bytes of dynamic shared memory that a kernel may have without asking for more
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: the stream and the default one do not wait for each other

_F = TypeVar("_F", bound=Callable[..., Any])


def _told(function: _F) -> _F:
    """`function` with PyCUDA's errors as TensorFlow's."""

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except (cuda.Error, CallFailed) as reason:
            raise _as_ours(reason) from reason

    return call  # type: ignore[return-value]


def _as_ours(reason: Exception) -> Exception:
    if isinstance(reason, cuda.MemoryError) or getattr(reason, "status", 0) == OUT_OF_MEMORY:
        text = f"The GPU is out of memory ({reason}). Feed smaller batches, or close what else uses the GPU."
        return ResourceExhaustedError(None, None, text)
    if this_thread.devices:
        try:
            cuda.mem_get_info()  # fails after a fault, as everything does, but not because a stream is captured
        except cuda.Error:
            this_thread.devices[-1].fault = str(reason)
            return InternalError(None, None, FAULTED.format(reason))
    return InternalError(None, None, f"CUDA failed: {reason}")


class PycudaMemory(Owned):
    """Memory of the device."""

    def __init__(self, bytes: int) -> None:
        super().__init__(cuda.mem_alloc(max(bytes, 1)))
        self.bytes = bytes
        self.address = int(self.handle)


class PycudaPinned(Owned):
    """Memory of the host that the device copies from and to by itself, as bytes in `array`."""

    def __init__(self, bytes: int) -> None:
        super().__init__(cuda.pagelocked_empty(max(bytes, 1), np.uint8))
        self.bytes = bytes
        self.address = int(self.handle.ctypes.data)

    @property
    def array(self) -> np.ndarray:
        array: np.ndarray = self.handle
        return array


class PycudaModule(Owned):
    """A loaded cubin."""

    def __init__(self, image: Path) -> None:
        super().__init__(cuda.module_from_buffer(image.read_bytes()))

    @_told
    def function(self, name: str) -> PycudaFunction:
        return PycudaFunction(self, name)


class PycudaFunction(Owned):
    """One kernel of a module."""

    def __init__(self, module: PycudaModule, name: str) -> None:
        super().__init__(module.handle.get_function(name))
        self._parameter_bytes = -1
        self._shared = SHARED_UNASKED

    def prepare(self, parameter_bytes: int, shared: int) -> None:
        """Let launches have one parameter, a struct of that size, and so much dynamic shared memory."""
        if parameter_bytes != self._parameter_bytes:
            self.handle.prepare([f"{parameter_bytes}s"])
            self._parameter_bytes = parameter_bytes
        if shared > self._shared:
            self.handle.set_attribute(cuda.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES, shared)
            self._shared = shared


class PycudaStream(Owned):
    """A stream that does not wait for the default one."""

    def __init__(self) -> None:
        super().__init__(cuda.Stream(_NON_BLOCKING))

    @_told
    def wait(self, event: PycudaEvent) -> None:
        """What is put here later is done after the event."""
        self.handle.wait_for_event(event.handle)

    @_told
    def synchronise(self) -> None:
        self.handle.synchronize()


class PycudaEvent(Owned):
    """A place in a stream."""

    def __init__(self) -> None:
        super().__init__(cuda.Event())

    @_told
    def record(self, stream: PycudaStream) -> None:
        self.handle.record(stream.handle)

    @_told
    def synchronise(self) -> None:
        self.handle.synchronize()

    @_told
    def milliseconds_since(self, earlier: PycudaEvent) -> float:
        """The time between two events that have been reached."""
        return float(self.handle.time_since(earlier.handle))


class PycudaGraph(Owned):
    """What a stream was given while it was captured, launched as one."""

    def __init__(self) -> None:
        super().__init__(None)

    @_told
    def launch(self, stream: PycudaStream) -> None:
        executable: Executable = self.handle
        executable.launch(stream.handle.handle)


class PycudaDriver:
    """The CUDA driver API; see driver.Driver."""

    name = "pycuda"

    def __init__(self) -> None:
        cuda.init()
        self._devices = [_info(number) for number in range(cuda.Device.count())]
        if not self._devices:
            raise UnavailableError(None, None, "there is no device")
        self._process = os.getpid()
        self._used: dict[int, Device] = {}
        self._lock = threading.Lock()

    def devices(self) -> list[DeviceInfo]:
        return list(self._devices)

    @_told
    def use(self, number: int) -> Used:
        """InternalError: the process is a fork, or a kernel has faulted on the device."""
        if os.getpid() != self._process:
            raise InternalError(None, None, FORKED)
        with self._lock:
            device = self._used.get(number)
            if device is None:
                device = self._used[number] = Device(number)
        if device.fault:
            raise InternalError(None, None, FAULTED.format(device.fault))
        return device.used()

    @_told
    def allocate(self, bytes: int) -> PycudaMemory:
        return PycudaMemory(bytes)

    @_told
    def pinned(self, bytes: int) -> PycudaPinned:
        return PycudaPinned(bytes)

    @_told
    def copy_in(self, address: int, array: np.ndarray, stream: PycudaStream | None = None) -> None:
        if stream is None:
            with _alone():
                cuda.memcpy_htod(address, array)
        else:
            cuda.memcpy_htod_async(address, array, stream.handle)

    @_told
    def copy_out(self, array: np.ndarray, address: int, stream: PycudaStream | None = None) -> None:
        if stream is None:
            with _alone():
                cuda.memcpy_dtoh(array, address)
        else:
            cuda.memcpy_dtoh_async(array, address, stream.handle)

    @_told
    def copy(self, to: int, source: int, bytes: int, stream: PycudaStream | None = None) -> None:
        if stream is None:
            with _alone():
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
        function: PycudaFunction,
        grid: Grid | int,
        block: Grid | int,
        shared: int,
        parameters: bytes,
        stream: PycudaStream | None = None,
    ) -> None:
        blocks = (grid, 1, 1) if isinstance(grid, int) else grid
        threads = (block, 1, 1) if isinstance(block, int) else block
        function.prepare(len(parameters), shared)
        if stream is None:
            with _alone():
                function.handle.prepared_call(blocks, threads, parameters, shared_size=shared)
        else:
            function.handle.prepared_async_call(blocks, threads, stream.handle, parameters, shared_size=shared)

    @_told
    def stream(self) -> PycudaStream:
        return PycudaStream()

    @_told
    def event(self) -> PycudaEvent:
        return PycudaEvent()

    @_told
    def synchronise(self, stream: PycudaStream | None = None) -> None:
        if stream is None:
            with _alone():
                pass
        else:
            stream.handle.synchronize()

    @contextmanager
    def capture(self, stream: PycudaStream) -> Iterator[PycudaGraph]:
        """While this lasts, launches in the stream are not done but kept for the graph."""
        graph = PycudaGraph()
        number = stream.handle.handle
        with graph.device.waited_for:
            this_thread.captures = True  # first: what is destroyed while a stream is captured spoils the capture
            try:
                _told(begin_capture)(number)
                yield graph
                graph.handle = _told(end_capture)(number)
            except BaseException:
                abandon_capture(number)
                raise
            finally:
                this_thread.captures = False


def _info(number: int) -> DeviceInfo:
    device = cuda.Device(number)
    count = device.get_attribute(cuda.device_attribute.MULTIPROCESSOR_COUNT)
    return DeviceInfo(device.name(), device.total_memory(), device.compute_capability(), count)


@contextmanager
def _alone() -> Iterator[None]:
    """The default stream and the others do not wait for each other: what is put there comes after all else and before it."""
    with current_device().waited_for:
        cuda.Context.synchronize()
        yield
        cuda.Context.synchronize()
