"""CUDA graphs through the driver's own C functions: PyCUDA has streams, but no capture."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from ...errors import InternalError

_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do does not end the capture


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


def _call(name: str, *arguments: Any) -> None:
    status = getattr(_library(), name)(*arguments)
    if status != 0:
        raise InternalError(None, None, f"{name} failed with status {status}")


class CapturedGraph:
    """What a stream was given between `begin` and `end`, launched as one."""

    def __init__(self) -> None:
        self._executable = ctypes.c_void_p()

    def begin(self, stream: int) -> None:
        _call("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), _THREAD_LOCAL)

    def end(self, stream: int) -> None:
        graph = ctypes.c_void_p()
        _call("cuStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
        try:
            _call("cuGraphInstantiateWithFlags", ctypes.byref(self._executable), graph, ctypes.c_ulonglong(0))
        finally:
            _call("cuGraphDestroy", graph)

    def launch(self, stream: Any) -> None:
        _call("cuGraphLaunch", self._executable, ctypes.c_void_p(stream.handle.handle))

    def __del__(self) -> None:
        if self._executable:
            _library().cuGraphExecDestroy(self._executable)
