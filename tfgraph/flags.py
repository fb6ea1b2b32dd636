"""`tf.flags` and `tf.app.flags`: command-line options, by the package `absl` (extra `scripts`)."""

from __future__ import annotations

import sys
from typing import Any

HOW_TO_INSTALL = "pip install 'tfgraph-compiler[scripts]', or pip install -e '.[scripts]' in a checkout"


def absl_flags() -> Any:
    """The module `absl.flags`; the ImportError says how to install it."""
    try:
        from absl import flags
    except ImportError as error:
        raise ImportError(f"tf.flags needs the package absl-py ({error}): {HOW_TO_INSTALL}") from error
    return flags


class _Flags:
    """`absl.flags.FLAGS` that reads the command line when the first flag is asked for; unknown options are left alone."""

    def __init__(self, wrapped: Any) -> None:
        self.__dict__["_wrapped"] = wrapped

    def __getattr__(self, name: str) -> Any:
        wrapped = self.__dict__["_wrapped"]
        if not wrapped.is_parsed() and name not in ("is_parsed", "_parse_flags"):
            wrapped(sys.argv, known_only=True)
        return getattr(wrapped, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_wrapped"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["_wrapped"], name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__dict__["_wrapped"](*args, **kwargs)

    def __dir__(self) -> list[str]:
        return dir(self.__dict__["_wrapped"])

    def __contains__(self, name: str) -> bool:
        return name in self.__dict__["_wrapped"]

    def __getitem__(self, name: str) -> Any:
        return self.__dict__["_wrapped"][name]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    flags = absl_flags()
    if name == "FLAGS":
        return globals().setdefault("FLAGS", _Flags(flags.FLAGS))
    # TensorFlow's own parameters are called flag_name, default_value and docstring; absl's name, default and help
    found = getattr(flags, name, None)
    if found is None:
        raise AttributeError(f"module 'tensorflow.flags' has no attribute {name!r}", name=name)
    return _renamed(found) if name.startswith("DEFINE_") else found


_NAMES = {"flag_name": "name", "default_value": "default", "docstring": "help"}


def _renamed(define: Any) -> Any:
    def defining(*args: Any, **kwargs: Any) -> Any:
        return define(*args, **{_NAMES.get(key, key): value for key, value in kwargs.items()})

    defining.__name__, defining.__doc__ = define.__name__, define.__doc__
    return defining
