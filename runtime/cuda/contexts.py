"""PyCUDA's contexts: which device a thread's calls mean, and when what belongs to a device may go.

PyCUDA keeps a stack of contexts for each thread. It stops the process if a thread ends with a context on that stack, it
leaks what goes in a thread that has another context, and what it destroys while a stream is captured spoils the capture.
So a context is on the stack only within `with device.used():`, the context of the user's other CUDA code is current
again afterwards, and what is let go of elsewhere (in another thread, in the garbage collector) waits for such a block.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from sys import is_finalizing
from types import TracebackType
from typing import Any

import pycuda.driver as cuda  # type: ignore[import-not-found]

from ...errors import InternalError


class _Thread(threading.local):
    """What this thread is in: the devices it uses, the innermost last, and if it captures a stream."""

    def __init__(self) -> None:
        self.devices: list[Device] = []
        self.captures = False


this_thread = _Thread()


def current_device() -> Device:
    """The device that this thread's calls mean. InternalError: it uses none."""
    if not this_thread.devices:
        raise InternalError(None, None, "this thread uses no device")
    return this_thread.devices[-1]


class Owned:
    """Something of a device. `handle` is PyCUDA's object, None once it is freed."""

    handle: Any = None

    def __init__(self, handle: Any) -> None:
        self.device = current_device()
        self.handle = handle

    def free(self) -> None:
        """Give it back. The driver waits for the work on it that has been put into streams."""
        if self.handle is not None:
            self.device.drop(self)

    def __del__(self) -> None:
        self.free()


class Device:
    """One device and its primary context, which it shares with the other CUDA libraries of the process."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.fault = ""  # what a kernel did; it stays, and every call fails from then on
        self.context = cuda.Device(number).retain_primary_context()
        _keep_for_ever(self.context)  # PyCUDA would end it with a function that is not for primary contexts
        self.waited_for = threading.RLock()  # by whom all streams are waited for, or one captured: not both at a time
        self._process = os.getpid()
        self._gone: deque[Any] = deque()  # PyCUDA's objects that wait to be destroyed

    def used(self) -> Used:
        """A block in which this thread's calls mean this device."""
        return Used(self)

    def enter(self) -> None:
        """The beginning of such a block. InternalError: CUDA refuses it."""
        devices = this_thread.devices
        devices.append(self)  # first: what is let go of from here on waits
        if len(devices) < 2 or devices[-2] is not self:
            try:
                self.context.push()
            except cuda.Error as reason:
                devices.pop()
                raise InternalError(None, None, f"CUDA failed: {reason}") from reason
            self._destroy_gone()

    def leave(self) -> None:
        """Its end."""
        devices = this_thread.devices
        if len(devices) < 2 or devices[-2] is not self:
            self._destroy_gone()
            cuda.Context.pop()
        devices.pop()

    def drop(self, owner: Owned) -> None:
        """Destroy an owner's handle, now if this thread may, else when one uses the device."""
        self._gone.append(owner.handle)
        owner.handle = None
        if not self._is_usable():
            self._destroy_gone()
        elif not this_thread.devices:
            with self.used():
                pass
        elif this_thread.devices[-1] is self:
            self._destroy_gone()

    def _is_usable(self) -> bool:
        """False after a fault, in a forked process, and when Python ends."""
        return not (self.fault or is_finalizing() or os.getpid() != self._process)

    def _destroy_gone(self) -> None:
        while self._gone and not this_thread.captures:
            try:
                thing = self._gone.popleft()
            except IndexError:  # another thread was faster
                return
            if not self._is_usable():
                _keep_for_ever(thing)
            del thing


def _keep_for_ever(thing: Any) -> None:
    """Never destroy it: the driver cleans up after the process."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


class Used:
    """The block of `Device.used`."""

    __slots__ = ("_device",)

    def __init__(self, device: Device) -> None:
        self._device = device

    def __enter__(self) -> None:
        self._device.enter()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._device.leave()
