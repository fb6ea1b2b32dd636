"""`python -m tfgraph run SCRIPT [ARGUMENT ...]`: run a script that says `import tensorflow` on tfgraph, as it is."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command; what follows the script's name is the script's."""
    parser.add_argument("script", help="a Python file, or the name of a module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="for the script")


def run(options: argparse.Namespace) -> int:
    """Execute the command; the script's exit status."""
    from ..aliases import era, modules
    from .scripts import exists, run_script

    modules.install()
    era.install()
    if not exists(options.script):
        print(f"python -m tfgraph run: error: there is no file and no module {options.script!r}", file=sys.stderr)
        return 2
    return run_script(options.script, options.arguments)
