"""Attributes of the package itself that are loaded when they are first used."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from .. import event_protos
from .names import PACKAGE, is_tensorflows, missing

# modules that most scripts do without
MODULES = ("app", "compat", "contrib", "examples", "flags", "gfile", "graph_util", "logging", "test")


def attribute(name: str) -> Any:
    """`tf.<name>`. AttributeError, which names the nearest thing there is, if there is no such thing."""
    if name in MODULES:
        return importlib.import_module(f"{PACKAGE}.{name}")
    if name in event_protos.NAMES:
        return event_protos.attribute(PACKAGE, name)
    if name.startswith("_"):
        raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}", name=name)
    package = sys.modules[PACKAGE]
    own = [other for other in dir(package) if not isinstance(getattr(package, other), ModuleType) or is_tensorflows(other)]
    raise missing("", name, [*own, *MODULES])
