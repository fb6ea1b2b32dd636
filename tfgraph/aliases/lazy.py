"""Attributes of the package itself that are loaded when they are first used."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType
from typing import Any

from .. import event_protos
from .names import PACKAGE, is_tensorflows, missing

# modules that most scripts do without
MODULES = (
    "app", "compat", "contrib", "debugging", "examples", "flags", "gfile", "graph_util", "image", "linalg", "logging",
    "test",
)  # fmt: skip

# modules whose public names are all functions of `tf` itself that most scripts do without; and single ones
FUNCTIONS_OF = ("assertions", "behaviour", "choices", "letters", "rearranging", "stepwise")
FUNCTIONS = {"confusion_matrix": "metrics.classes", "random_crop": "image.randomly"}


@cache
def _homes() -> dict[str, str]:
    """The module of each function that is looked up here."""
    whole = {name: home for home in FUNCTIONS_OF for name in importlib.import_module(f"{PACKAGE}.{home}").__all__}
    return whole | FUNCTIONS


def attribute(name: str) -> Any:
    """`tf.<name>`. AttributeError, which names the nearest thing there is, if there is no such thing."""
    if name in MODULES:
        return importlib.import_module(f"{PACKAGE}.{name}")
    home = _homes().get(name)
    if home is not None:
        return getattr(importlib.import_module(f"{PACKAGE}.{home}"), name)
    if name in event_protos.NAMES:
        return event_protos.attribute(PACKAGE, name)
    if name.startswith("_"):
        raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}", name=name)
    package = sys.modules[PACKAGE]
    own = [other for other in dir(package) if not isinstance(getattr(package, other), ModuleType) or is_tensorflows(other)]
    raise missing("", name, [*own, *MODULES, *_homes()])
