"""`python -m tfgraph check SCRIPT ...`: what scripts use of TensorFlow that is not here, before they are run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("scripts", nargs="+", type=Path, metavar="SCRIPT", help="a Python file")


def run(options: argparse.Namespace) -> int:
    """Print a line per use of a missing name. 0 if there is none, 1 if there is one, 2 if a script cannot be read."""
    from ..aliases.check import uses_of_tensorflow

    status, count = 0, 0
    for script in options.scripts:
        try:
            uses = uses_of_tensorflow(script.read_bytes(), str(script))
        except (OSError, SyntaxError, ValueError) as error:
            print(f"{script}: cannot be checked: {error}", file=sys.stderr)
            status = 2
            continue
        for use in uses:
            if use.problem:
                print(f"{script}:{use.line}: {use.problem}")
                status = max(status, 1)
            count += 1
    if status == 0:
        print(f"All {count} uses of TensorFlow's names are here.")
    return status
