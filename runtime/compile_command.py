"""`python -m tfgraph compile FILE.py --output DIR`: the functions that a Python file defines, as a C library."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import OpError

EPILOG = """
FILE builds a graph and gives the name `functions` (or the one after --functions) to a dictionary as tf.compile takes it,
or to a function without arguments that returns one:

    functions = {"train_step": ([train, loss], [x, y, learning_rate]), "predict": (probabilities, x)}

It is run as a module, so what stands under `if __name__ == "__main__":` is not executed. A file may call tf.compile itself
instead; then --output is not needed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", metavar="FILE", type=Path, help="a Python file that builds the graph")
    parser.add_argument("--output", metavar="DIR", type=Path, help="the folder to write")
    parser.add_argument("--functions", metavar="NAME", default="functions", help="what FILE calls them (default: functions)")
    parser.add_argument("--session", metavar="NAME", help="a session of FILE whose variables become the weights file")
    parser.add_argument("--prefix", help="what all names in C begin with (default: as DIR is called)")
    parser.add_argument("--target", help="the platform to compile for (default: this machine's)")
    parser.add_argument("--isas", metavar="LIST", help="instruction sets, such as sse2,avx2,avx512 (the default) or native")
    parser.add_argument("--c-only", action="store_true", help="write C, start no compiler")


def run(options: argparse.Namespace) -> int:
    """Execute the command; its exit status."""
    from .export import compile, exports

    if not options.file.is_file():
        return _failed(f"there is no file {str(options.file)!r}")
    done = len(exports)
    namespace = _namespace(options.file)
    functions = namespace.get(options.functions)
    if functions is None and len(exports) > done:
        for exported in exports[done:]:
            _report(exported)
        return 0
    if callable(functions):
        functions = functions()
    if not isinstance(functions, Mapping):
        return _failed(f"{options.file} has no dictionary {options.functions!r} of functions to compile")
    if options.output is None:
        return _failed("--output is missing")
    session = namespace.get(options.session) if options.session else None
    if options.session and session is None:
        return _failed(f"{options.file} has no session {options.session!r}")
    isas = options.isas.split(",") if options.isas else None
    try:
        _report(compile(functions, options.output, options.prefix, options.target, isas, options.c_only, session))
    except (OpError, ValueError, TypeError, OSError) as error:
        return _failed(str(error))
    return 0


def _namespace(file: Path) -> dict[str, Any]:
    """The names of a Python file that is run as a module."""
    before = sys.path[:]
    sys.path.insert(0, str(file.resolve().parent))
    try:
        return runpy.run_path(str(file), run_name=file.stem)
    finally:
        sys.path[:] = before


def _report(exported: Any) -> None:
    """Say what was written, file by file."""
    for name, entry in exported.record["files"].items():
        print(f"{exported.folder / name}  {entry['bytes']:,} bytes")


def _failed(text: str) -> int:
    print(f"python -m tfgraph compile: error: {text}", file=sys.stderr)
    return 2
