"""What compiling a step for CUDA gives: text, and its launches as data. It is loaded and stored without the compiler."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir import Program
from .launches import CudaLaunch


@dataclass(frozen=True)
class CudaProgram(Program):
    """A step for CUDA: what a `Program` tells, and its launches in order."""

    launches: tuple[CudaLaunch, ...] = ()
    launch_kernels: tuple[tuple[int, ...], ...] = ()  # the kernels that each launch runs
    in_memory: bool = False  # the tables of pointers are in memory, not among a kernel's parameters
