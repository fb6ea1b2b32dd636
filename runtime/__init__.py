"""Loads and runs what codegen made: sessions, the cache of compiled modules, the interpreter that stands in for them."""

from __future__ import annotations

from .config import ConfigProto, GPUOptions, GraphOptions, OptimizerOptions, RunOptions
from .cpu import Statistics, statistics
from .hybrid import compiled_step  # noqa: F401  so that the first run does not wait for the import
from .session import InteractiveSession, Session

__all__ = [
    "ConfigProto",
    "GPUOptions",
    "GraphOptions",
    "InteractiveSession",
    "OptimizerOptions",
    "RunOptions",
    "Session",
    "Statistics",
    "statistics",
]

