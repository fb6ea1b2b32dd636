"""`tf.logging`: Python's `logging` with the logger "tensorflow" and TensorFlow's names for its levels."""

from __future__ import annotations

import logging as _logging
import sys as _sys
import threading as _threading
from typing import Any

DEBUG, INFO, WARN, ERROR, FATAL = _logging.DEBUG, _logging.INFO, _logging.WARNING, _logging.ERROR, _logging.CRITICAL

__all__ = [
    "DEBUG",
    "ERROR",
    "FATAL",
    "INFO",
    "WARN",
    "TaskLevelStatusMessage",
    "debug",
    "error",
    "fatal",
    "flush",
    "get_verbosity",
    "info",
    "log",
    "log_every_n",
    "log_first_n",
    "log_if",
    "set_verbosity",
    "vlog",
    "warn",
    "warning",
]

_lock = _threading.Lock()
_counts: dict[str, int] = {}


def _logger() -> _logging.Logger:
    logger = _logging.getLogger("tensorflow")
    with _lock:
        if not logger.handlers and not _logging.getLogger().handlers:
            handler = _logging.StreamHandler(_sys.stderr)
            handler.setFormatter(_logging.Formatter("%(levelname)s:%(name)s:%(message)s"))
            logger.addHandler(handler)
            logger.propagate = False
    return logger


def log(level: int, msg: str, *args: Any, **kwargs: Any) -> None:
    """Log `msg % args` at a level."""
    _logger().log(level, msg, *args, **kwargs)


def debug(msg: str, *args: Any, **kwargs: Any) -> None:
    log(DEBUG, msg, *args, **kwargs)


def info(msg: str, *args: Any, **kwargs: Any) -> None:
    log(INFO, msg, *args, **kwargs)


def warn(msg: str, *args: Any, **kwargs: Any) -> None:
    log(WARN, msg, *args, **kwargs)


warning = warn


def error(msg: str, *args: Any, **kwargs: Any) -> None:
    log(ERROR, msg, *args, **kwargs)


def fatal(msg: str, *args: Any, **kwargs: Any) -> None:
    log(FATAL, msg, *args, **kwargs)


def vlog(level: int, msg: str, *args: Any, **kwargs: Any) -> None:
    log(level, msg, *args, **kwargs)


def TaskLevelStatusMessage(msg: str) -> None:
    error(msg)


def flush() -> None:
    """Nothing waits: what is logged is written."""


def get_verbosity() -> int:
    """The least level that is shown."""
    return _logger().getEffectiveLevel()


def set_verbosity(v: int) -> None:
    """Show messages of level `v` and above."""
    _logger().setLevel(v)


def log_if(level: int, msg: str, condition: Any, *args: Any) -> None:
    if condition:
        log(level, msg, *args)


def _count(msg: str) -> int:
    """How often this message came before."""
    with _lock:
        _counts[msg] = _counts.get(msg, -1) + 1
        return _counts[msg]


def log_every_n(level: int, msg: str, n: int, *args: Any) -> None:
    """Log the first, the n+1st, the 2n+1st ... of these messages."""
    log_if(level, msg, _count(msg) % n == 0, *args)


def log_first_n(level: int, msg: str, n: int, *args: Any) -> None:
    """Log the first n of these messages."""
    log_if(level, msg, _count(msg) < n, *args)
