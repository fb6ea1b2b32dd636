"""`python -m tfgraph COMMAND`: a table of commands, each in a module with `add_arguments(parser)` and `run(options)`.

The modules are imported when their command is asked for.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from importlib import metadata

COMMANDS = {
    "doctor": ("runtime.doctor", "say what this machine has for tfgraph, and what missing pieces would give"),
    "run": ("runtime.run_command", "run a script that imports TensorFlow on tfgraph, as it is"),
    "check": ("runtime.check_command", "list what scripts use of TensorFlow that is not here"),
    "compile": ("runtime.compile_command", "export the functions of a graph: a C file, its header, libraries"),
    "explain": ("runtime.explain_command", "run a script and show the kernels of every program that its sessions compiled"),
}


def version() -> str:
    """This package's version and the API level that it has."""
    from . import __version__

    return f"tfgraph {metadata.version('tfgraph-compiler')} (TensorFlow API {__version__})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m tfgraph", description="TensorFlow 1.x graphs, compiled.")
    parser.add_argument("--version", action="store_true", help="say which version this is")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        if name in arguments[:1]:
            importlib.import_module(f"{__package__}.{module}").add_arguments(command)
    options = parser.parse_args(arguments)
    if options.version:
        print(version())
        return 0
    if options.command is None:
        parser.print_help()
        return 2
    status: int = importlib.import_module(f"{__package__}.{COMMANDS[options.command][0]}").run(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
