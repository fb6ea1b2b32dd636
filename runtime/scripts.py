"""A Python file or module run as the main program, as `python` itself would run it."""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path


def exists(name: str) -> bool:
    """True if there is a file, a folder with a main program or a module of this name."""
    return Path(name).is_file() or Path(name, "__main__.py").is_file() or _is_module(name)


def _is_module(name: str) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # a package before the last dot that is not there, or no name of a module
        return False
    return spec is not None and spec.origin is not None  # not any folder, which Python takes for a package


def run_script(name: str, arguments: list[str]) -> int:
    """Run a file or module as the main program; what it would leave as its exit status."""
    path = Path(name)
    is_file = path.suffix == ".py" or path.exists()
    before = sys.argv, sys.path[:]
    sys.argv = [name, *arguments]
    if is_file:
        sys.path[0:1] = [str(path.resolve().parent)]  # as Python does for a script
    try:
        if is_file:
            runpy.run_path(str(path), run_name="__main__")
        else:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    finally:
        sys.argv, sys.path[:] = before
    return 0
