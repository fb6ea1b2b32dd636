"""The public names of TensorFlow 1.14, by namespace, and which of them there are here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from importlib import import_module, resources
from typing import Any

PACKAGE = __package__.rpartition(".")[0]


@cache
def names_of_tensorflow() -> dict[str, tuple[str, ...]]:
    """The names in each namespace of TensorFlow 1.14; that of `tf` itself is ""."""
    text = resources.files(__package__).joinpath("names_1_14.json").read_text()
    return {namespace: tuple(names) for namespace, names in json.loads(text).items()}


def resolved(path: str) -> Any:
    """What `tf.<path>` is here. AttributeError if there is no such thing."""
    found = import_module(PACKAGE)
    for name in path.split(".") if path else ():
        found = getattr(found, name)
    return found


def is_here(path: str) -> bool:
    """True if there is a `tf.<path>`."""
    try:
        resolved(path)
    except AttributeError:
        return False
    except ImportError:  # it is here, and says which extra it needs
        return True
    return True


def is_tensorflows(path: str) -> bool:
    """True if TensorFlow 1.14 has a public `tf.<path>`."""
    namespace, _, name = path.rpartition(".")
    known = names_of_tensorflow()
    return name in known.get(namespace, ()) or path in known


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that is most like `name`, None if none is."""
    import difflib  # for errors only

    public = [candidate for candidate in candidates if not candidate.startswith("_")]
    plain = {candidate.lower().replace("_", ""): candidate for candidate in public}
    found = difflib.get_close_matches(name.lower().replace("_", ""), plain, 1, 0.6)
    return plain[found[0]] if found else None


def missing(namespace: str, name: str, candidates: Iterable[str]) -> AttributeError:
    """The error for a name of `tf.<namespace>` that is not here."""
    path = f"{namespace}.{name}" if namespace else name
    known = is_tensorflows(path)
    said = f"tfgraph has no tf.{path} yet" if known else f"module 'tensorflow' has no attribute '{path}', nor has tfgraph"
    like = nearest(name, candidates)
    hint = "" if like is None else f"; the nearest that it has is tf.{namespace + '.' if namespace else ''}{like}"
    return AttributeError(said + hint, name=name)


def missing_from(module: str, candidates: Iterable[str]) -> Any:
    """A `__getattr__` for one of this package's modules with public names."""
    namespace = module.removeprefix(PACKAGE).lstrip(".")

    def getattr_of_module(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
        raise missing(namespace, name, candidates)

    return getattr_of_module
