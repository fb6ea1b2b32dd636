"""CUDA kernels on the CPU: the driver behind `TFGRAPH_CUDA=shim`, for machines without a GPU and for finding mistakes.

One device whose memory is the host's. Kernels run block by block, each block's threads as fibers (`shim/fibers.c`).

$TFGRAPH_SHIM_ORDER: the order of threads and blocks: `forward` (the default), `backward`, or a number that seeds a
permutation. $TFGRAPH_SHIM_CHECK=1: races, accesses outside of memory and barriers that not all threads reach are errors.
$TFGRAPH_SHIM_STREAMS=late: what is put into a stream is done when somebody waits for it and not before, so that a
missing wait shows. Faults are InternalError; memory that cannot be had is ResourceExhaustedError.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InternalError, InvalidArgumentError, ResourceExhaustedError
from .driver import DeviceInfo, Grid
from .shim_build import kernel_library, runtime_library, wants_checks

MEMORY = 8 << 30  # bytes that the device says it has
CAPABILITY = (8, 0)
MULTIPROCESSORS = 4  # few, so that kernels which share out work have something to share

ORDERS = {"forward": 0, "backward": 1}

Work = Callable[[], None]


class _Dim(ctypes.Structure):
    _fields_ = (("x", ctypes.c_uint), ("y", ctypes.c_uint), ("z", ctypes.c_uint))


class _Launch(ctypes.Structure):
    """tg_shim_launch_info of shim/abi.h."""

    _fields_ = (
        ("entry", ctypes.c_void_p),
        ("module", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("parameters", ctypes.c_char_p),
        ("grid", _Dim),
        ("block", _Dim),
        ("shared_bytes", ctypes.c_uint64),
        ("order", ctypes.c_uint64),
    )


@cache
def _runtime() -> ctypes.CDLL:
    """The shim's runtime: one for all modules."""
    library = ctypes.PyDLL(str(runtime_library()))  # which keeps Python's lock: it runs one launch at a time
    library.tg_shim_allocate.argtypes, library.tg_shim_allocate.restype = [ctypes.c_size_t], ctypes.c_void_p
    library.tg_shim_free.argtypes, library.tg_shim_free.restype = [ctypes.c_void_p], None
    library.tg_shim_is_allocated.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.tg_shim_launch.argtypes, library.tg_shim_launch.restype = [ctypes.POINTER(_Launch)], ctypes.c_char_p
    return library


def wanted_order() -> int:
    """The order of $TFGRAPH_SHIM_ORDER as the runtime takes it. InvalidArgumentError if it is none."""
    text = os.environ.get("TFGRAPH_SHIM_ORDER", "forward").strip() or "forward"
    if text in ORDERS:
        return ORDERS[text]
    if not text.isdecimal():
        raise InvalidArgumentError(None, None, f"TFGRAPH_SHIM_ORDER must be forward, backward or a number, not {text!r}")
    return int(text) + len(ORDERS)


class ShimMemory:
    """Memory of the device."""

    def __init__(self, bytes: int) -> None:
        self.bytes = bytes
        self.address: int = _runtime().tg_shim_allocate(bytes) or 0
        if not self.address:
            raise ResourceExhaustedError(None, None, f"the host shim cannot have {bytes} bytes")

    def free(self) -> None:
        if self.address:
            _runtime().tg_shim_free(self.address)
            self.address = 0


class ShimPinned:
    """Memory of the host for copies, as bytes in `array`."""

    def __init__(self, bytes: int) -> None:
        self.bytes = bytes
        self.array = np.zeros(bytes, np.uint8)
        self.address: int = self.array.ctypes.data

    def free(self) -> None:
        self.array = np.zeros(0, np.uint8)


class ShimFunction:
    """One kernel of a module."""

    def __init__(self, name: str, entry: int, module: int) -> None:
        self.name = name
        self.entry = entry
        self.module = module


class ShimModule:
    """A loaded library of kernels."""

    def __init__(self, image: Path) -> None:
        self.library = ctypes.CDLL(str(image))
        self.info = ctypes.addressof(ctypes.c_char.in_dll(self.library, "tg_shim_module"))

    def function(self, name: str) -> ShimFunction:
        """The kernel of that name. InternalError if there is none."""
        try:
            entry = ctypes.cast(getattr(self.library, f"tg_shim_entry_{name}"), ctypes.c_void_p).value
        except AttributeError:
            raise InternalError(None, None, f"the module has no kernel {name}") from None
        assert entry is not None
        return ShimFunction(name, entry, self.info)


class ShimStream:
    """Work in order; done at once, or (`late`) when somebody waits."""

    def __init__(self, late: bool) -> None:
        self.late = late
        self.queue: list[Work] = []
        self.recording: list[Work] | None = None

    def put(self, work: Work) -> None:
        if self.recording is not None:
            self.recording.append(work)
        elif self.late:
            self.queue.append(work)
        else:
            work()

    def wait(self, event: ShimEvent) -> None:
        """What is put here later is done after what the event has been recorded behind."""
        self.put(partial(ShimEvent.synchronise, event))

    def synchronise(self) -> None:
        while self.queue:
            self.queue.pop(0)()


class ShimEvent:
    """A place in a stream."""

    def __init__(self) -> None:
        self.stream: ShimStream | None = None
        self.time = 0.0
        self.records = 0
        self.reached = 0

    def record(self, stream: ShimStream) -> None:
        self.stream = stream
        self.records += 1
        stream.put(self._reach)

    def _reach(self) -> None:
        self.time = time.perf_counter()
        self.reached = self.records

    def synchronise(self) -> None:
        """Do what the stream has before this event."""
        while self.stream is not None and self.reached < self.records and self.stream.queue:
            self.stream.queue.pop(0)()

    def milliseconds_since(self, earlier: ShimEvent) -> float:
        """The time between two events that have been reached."""
        return 1e3 * (self.time - earlier.time)


class ShimGraph:
    """A captured sequence of work."""

    def __init__(self) -> None:
        self.work: list[Work] = []

    def launch(self, stream: ShimStream) -> None:
        """Put all of it into the stream."""
        for work in self.work:
            stream.put(work)


class ShimDriver:
    """The host as a CUDA device; see driver.Driver."""

    name = "shim"

    def __init__(self) -> None:
        self.late = os.environ.get("TFGRAPH_SHIM_STREAMS", "") == "late"
        self.streams: list[ShimStream] = []
        self.own_stream = ShimStream(late=False)

    def devices(self) -> list[DeviceInfo]:
        return [DeviceInfo("host shim", MEMORY, CAPABILITY, MULTIPROCESSORS)]

    def use(self, number: int) -> AbstractContextManager[None]:
        """There is one device."""
        return nullcontext()

    def allocate(self, bytes: int) -> ShimMemory:
        return ShimMemory(bytes)

    def pinned(self, bytes: int) -> ShimPinned:
        return ShimPinned(bytes)

    def copy_in(self, address: int, array: np.ndarray, stream: ShimStream | None = None) -> None:
        _check_copied(address, array.nbytes)
        assert array.flags.c_contiguous, "copies take contiguous arrays"
        self._put(stream, lambda: ctypes.memmove(address, array.ctypes.data, array.nbytes))

    def copy_out(self, array: np.ndarray, address: int, stream: ShimStream | None = None) -> None:
        _check_copied(address, array.nbytes)
        assert array.flags.c_contiguous, "copies take contiguous arrays"
        self._put(stream, lambda: ctypes.memmove(array.ctypes.data, address, array.nbytes))

    def copy(self, to: int, source: int, bytes: int, stream: ShimStream | None = None) -> None:
        _check_copied(to, bytes)
        _check_copied(source, bytes)
        self._put(stream, lambda: ctypes.memmove(to, source, bytes))

    def image(self, source: str, arch: str) -> Path:
        """The library of a CUDA text; every architecture is this processor's."""
        return kernel_library(source, wants_checks())

    def load(self, image: Path) -> ShimModule:
        return ShimModule(image)

    def launch(
        self,
        function: ShimFunction,
        grid: Grid | int,
        block: Grid | int,
        shared: int,
        parameters: bytes,
        stream: ShimStream | None = None,
    ) -> None:
        order = wanted_order()
        self._put(stream, partial(_launch, function, _dim(grid), _dim(block), shared, bytes(parameters), order))

    def stream(self) -> ShimStream:
        stream = ShimStream(self.late)
        self.streams.append(stream)
        return stream

    def event(self) -> ShimEvent:
        return ShimEvent()

    def synchronise(self, stream: ShimStream | None = None) -> None:
        for each in [stream] if stream is not None else self.streams:
            each.synchronise()

    @contextmanager
    def capture(self, stream: ShimStream) -> Iterator[ShimGraph]:
        """While this lasts, work put into the stream is not done but kept for the graph."""
        graph = ShimGraph()
        stream.recording = graph.work
        try:
            yield graph
        finally:
            stream.recording = None

    def _put(self, stream: ShimStream | None, work: Callable[[], Any]) -> None:
        if stream is None:
            self.synchronise()  # the driver's own stream waits for all others
            stream = self.own_stream
        stream.put(work)


def _dim(size: Grid | int) -> _Dim:
    return _Dim(size, 1, 1) if isinstance(size, int) else _Dim(*size)


def _launch(function: ShimFunction, grid: _Dim, block: _Dim, shared: int, parameters: bytes, order: int) -> None:
    name = function.name.encode()
    launch = _Launch(function.entry, function.module, name, parameters, grid, block, shared, order)
    failure = _runtime().tg_shim_launch(ctypes.byref(launch))
    if failure is not None:
        raise InternalError(None, None, f"a kernel failed: {failure.decode(errors='replace')}")


def _check_copied(address: int, count: int) -> None:
    if count and not _runtime().tg_shim_is_allocated(address, count):
        raise InternalError(None, None, f"a copy of {count} bytes leaves the device memory at {address:#x}")
