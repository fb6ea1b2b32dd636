"""CUDA graphs through the driver's own C functions: PyCUDA has streams, but no capture."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do does not end the capture

_HANDLE = ctypes.c_void_p
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuStreamBeginCapture_v2": (_HANDLE, ctypes.c_int),
    "cuStreamEndCapture": (_HANDLE, ctypes.POINTER(_HANDLE)),
    "cuGraphInstantiateWithFlags": (ctypes.POINTER(_HANDLE), _HANDLE, ctypes.c_ulonglong),
    "cuGraphDestroy": (_HANDLE,),
    "cuGraphLaunch": (_HANDLE, _HANDLE),
    "cuGraphExecDestroy": (_HANDLE,),
    "cuGetErrorString": (ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)),
}


class CallFailed(Exception):
    """A function of the driver gave another status than 0."""

    def __init__(self, name: str, status: int) -> None:
        text = ctypes.c_char_p()
        _function("cuGetErrorString")(status, ctypes.byref(text))
        super().__init__(f"{name} failed: {(text.value or b'unknown error').decode()}")
        self.status = status


@cache
def _function(name: str) -> Any:
    """A function of the library that PyCUDA has loaded."""
    found = getattr(ctypes.CDLL("libcuda.so.1"), name)
    found.argtypes = _SIGNATURES[name]
    return found


def _call(name: str, *arguments: Any) -> None:
    status = _function(name)(*arguments)
    if status != 0:
        raise CallFailed(name, status)


class Executable:
    """A captured graph that can be launched. Its context must be current when it is destroyed."""

    def __init__(self, graph: Any) -> None:
        self._handle = _HANDLE()
        _call("cuGraphInstantiateWithFlags", ctypes.byref(self._handle), graph, 0)

    def launch(self, stream: int) -> None:
        _call("cuGraphLaunch", self._handle, stream)

    def __del__(self) -> None:
        if self._handle:
            _function("cuGraphExecDestroy")(self._handle)


def begin_capture(stream: int) -> None:
    """From now on what is put into the stream is kept, not done."""
    _call("cuStreamBeginCapture_v2", stream, _THREAD_LOCAL)


def end_capture(stream: int) -> Executable:
    """What has been put into the stream since. CallFailed: something has spoilt it, or the device has no memory for it."""
    graph = _HANDLE()
    _call("cuStreamEndCapture", stream, ctypes.byref(graph))
    try:
        return Executable(graph)
    finally:
        _call("cuGraphDestroy", graph)


def abandon_capture(stream: int) -> None:
    """Forget what has been put into the stream since, so that it can be used again."""
    graph = _HANDLE()
    if _function("cuStreamEndCapture")(stream, ctypes.byref(graph)) == 0:
        _function("cuGraphDestroy")(graph)
