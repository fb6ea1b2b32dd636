"""`python -m tfgraph compile FILE --output DIR`: what a Python file defines, or a saved graph, as a C library."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import OpError
from .compile_graph import SUFFIXES, Wanted, functions_of, parsed_shape, read

EPILOG = """
A Python FILE builds a graph and gives the name `functions` (or the one after --functions) to a dictionary as tf.compile
takes it, or to a function without arguments that returns one:

    functions = {"train_step": ([train, loss], [x, y, learning_rate]), "predict": (probabilities, x)}

It is run as a module, so what stands under `if __name__ == "__main__":` is not executed. A file may call tf.compile itself
instead; then --output is not needed.

A saved graph is a GraphDef (model.pb, model.pbtxt) or a MetaGraphDef (model.meta), whose variables come from the
checkpoint beside it:

    python -m tfgraph compile frozen.pb --fetch probabilities --feed x
    python -m tfgraph compile model.ckpt-100.meta --function train_step --fetch train --fetch loss \\
                                                  --function predict --fetch probabilities --set keep_prob=1.0

--fetch and --feed take names of nodes or tensors, with =NAME behind them for another name in C. They and --set belong to the
last --function before them; a --set before all of them belongs to all. Feeds that are not named are the placeholders that
the fetches need. Without any --fetch a graph without variables becomes `predict`, which computes all its ends, and a
MetaGraphDef with a training operation `train_step`.
"""


class _Ordered(argparse.Action):
    """--function, --fetch, --feed and --set as a list of `Wanted`: they belong together as they stand."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, value: Any, option: str | None = None
    ) -> None:
        wanted: list[Wanted] = getattr(namespace, self.dest) or []
        if option == "--function" or not wanted:
            wanted.append(Wanted())
        one = wanted[-1]
        if option == "--function":
            one.name = value
        else:
            {"--fetch": one.fetches, "--feed": one.feeds, "--set": one.values}[option or ""].append(value)
        setattr(namespace, self.dest, wanted)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.allow_abbrev = False  # --function would be one of --functions
    parser.add_argument("file", metavar="FILE", type=Path, help="a Python file that builds the graph, or a saved graph")
    parser.add_argument("--output", metavar="DIR", type=Path, help="the folder to write (a saved graph's default: as FILE)")
    parser.add_argument("--prefix", help="what all names in C begin with (default: as DIR is called)")
    parser.add_argument("--target", help="the platform to compile for (default: this machine's); cuda, cuda:sm_90: a GPU")
    parser.add_argument("--isas", metavar="LIST", help="instruction sets, such as sse2,avx2,avx512 (the default) or native")
    parser.add_argument("--c-only", action="store_true", help="write C, start no compiler")
    parser.add_argument("--split", action="store_true", help="put the kernels into C files of their own")
    python = parser.add_argument_group("of a Python file")
    python.add_argument("--functions", metavar="NAME", help="what FILE calls them (default: functions)")
    python.add_argument("--session", metavar="NAME", help="a session of FILE whose variables become the weights file")
    graph = parser.add_argument_group("of a saved graph")
    ordered: Any = {"action": _Ordered, "dest": "wanted"}
    graph.add_argument("--function", **ordered, metavar="NAME", help="begin a function called NAME in C")
    graph.add_argument("--fetch", **ordered, metavar="NAME", help="a result of the function, or an operation that it runs")
    graph.add_argument("--feed", **ordered, metavar="NAME", help="an argument of the function")
    graph.add_argument("--set", **ordered, metavar="NAME=VALUE", help="a placeholder that has this value for good")
    graph.add_argument("--shape", metavar="NAME=DIMS", action="append", help="a placeholder's shape, such as x=?,28,28,1")
    graph.add_argument("--checkpoint", metavar="PATH", help="the variables of a MetaGraphDef (default: beside FILE)")


def run(options: argparse.Namespace) -> int:
    """Execute the command; its exit status."""
    if not options.file.is_file():
        return _failed(f"there is no file {str(options.file)!r}")
    is_graph = options.file.suffix in SUFFIXES
    names = ("functions", "session") if is_graph else ("wanted", "shape", "checkpoint")
    misplaced = [name for name in names if getattr(options, name) is not None]
    if misplaced:
        kind = "a Python file" if is_graph else f"a saved graph ({', '.join(SUFFIXES)})"
        option = "function, --fetch, --feed and --set" if misplaced[0] == "wanted" else misplaced[0]
        return _failed(f"--{option}: only for {kind}, which {options.file} is not")
    return _run_graph(options) if is_graph else _run_python(options)


# --- a Python file --------------------------------------------------------------------------------------------------------


def _run_python(options: argparse.Namespace) -> int:
    from .export import exports

    done = len(exports)
    namespace = _namespace(options.file)
    wanted = options.functions or "functions"
    functions = namespace.get(wanted)
    if functions is None and len(exports) > done:
        for exported in exports[done:]:
            _report(exported)
        return 0
    if callable(functions):
        functions = functions()
    if not isinstance(functions, Mapping):
        return _failed(f"{options.file} has no dictionary {wanted!r} of functions to compile")
    if options.output is None:
        return _failed("--output is missing")
    session = namespace.get(options.session) if options.session else None
    if options.session and session is None:
        return _failed(f"{options.file} has no session {options.session!r}")
    try:
        _compile(functions, options.output, options, session)
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


# --- a saved graph --------------------------------------------------------------------------------------------------------


def _run_graph(options: argparse.Namespace) -> int:
    from ..graph import Graph
    from .session import Session

    try:
        shapes = dict(map(parsed_shape, options.shape or ()))
        with Graph().as_default() as graph:
            saved = read(options.file, shapes)
            functions = functions_of(saved, options.wanted or ())
            with Session(graph=graph) as session:
                restored = _restored(saved.saver, session, options)
                _compile(functions, options.output or Path(options.file.stem), options, session if restored else None)
    except OpError as error:
        return _failed(error.message)
    except (ImportError, ValueError, TypeError, OSError) as error:
        return _failed(str(error))
    return 0


def _restored(saver: Any, session: Any, options: argparse.Namespace) -> bool:
    """Give the variables of the session the values of the checkpoint; False if there is none to take by itself."""
    from ..train import checkpoint_exists

    path = options.checkpoint or str(options.file.with_suffix(""))
    if saver is None:
        if options.checkpoint:
            raise ValueError(f"--checkpoint: {options.file} has no collection of variables to restore")
        return False
    if not options.checkpoint and not checkpoint_exists(path):
        print(f"no checkpoint {path}: the variables get their values from `initialize`", file=sys.stderr)
        return False
    saver.restore(session, path)
    return True


# --- both -----------------------------------------------------------------------------------------------------------------


def _compile(functions: Mapping[str, Any], folder: Path, options: argparse.Namespace, session: Any) -> None:
    from .export import compile

    isas: Sequence[str] | None = options.isas.split(",") if options.isas else None
    _report(compile(functions, folder, options.prefix, options.target, isas, options.c_only, session, options.split))


def _report(exported: Any) -> None:
    """Say what was written, file by file."""
    for name, entry in exported.record["files"].items():
        print(f"{exported.folder / name}  {entry['bytes']:,} bytes")


def _failed(text: str) -> int:
    print(f"python -m tfgraph compile: error: {text}", file=sys.stderr)
    return 2
