"""Loads and runs what codegen made: sessions, the cache of compiled modules, the interpreter that stands in for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .config import ConfigProto, GPUOptions, GraphOptions, OptimizerOptions, RunMetadata, RunOptions
from .session import InteractiveSession, Session

if TYPE_CHECKING:
    from .cpu import Statistics

__all__ = [
    "ConfigProto",
    "GPUOptions",
    "GraphOptions",
    "InteractiveSession",
    "OptimizerOptions",
    "RunMetadata",
    "RunOptions",
    "Session",
    "statistics",
]


def statistics() -> Statistics:
    """How many programs this process has compiled and how many it found compiled already."""
    from . import cpu  # loads cffi, which sessions that only interpret need not

    return cpu.statistics()
