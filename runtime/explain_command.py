"""`python -m tfgraph explain SCRIPT [ARGUMENT ...]`: run a script as it is, then show what its sessions compiled.

The script may say `import tensorflow`, as under `python -m tfgraph run`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

FORMATS = ("text", "json", "html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command; what follows the script's name is the script's."""
    parser.add_argument("--profile", action="store_true", help="measure the time of each kernel in all runs")
    parser.add_argument("--format", choices=FORMATS, default="text", help="how to show it (default: text)")
    parser.add_argument("--output", metavar="FILE", type=Path, help="where to write it (default: standard output)")
    parser.add_argument("script", help="a Python file, or the name of a module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="for the script")


def run(options: argparse.Namespace) -> int:
    """Execute the command; the script's exit status."""
    from ..aliases import era, modules
    from .explain_programs import watched
    from .scripts import exists, run_script

    modules.install()
    era.install()
    if not exists(options.script):
        print(f"python -m tfgraph explain: error: there is no file and no module {options.script!r}", file=sys.stderr)
        return 2
    with watched(options.profile) as programs:
        status = run_script(options.script, options.arguments)
    explanations = [program.explanation() for program in programs]
    if options.format == "json":
        text = json.dumps([json.loads(one.to_json()) for one in explanations], indent=1)
    elif options.format == "html":
        text = "\n".join(one._repr_html_() for one in explanations)
    elif explanations:
        text = "\n\n".join(f"program {i}\n{one}" for i, one in enumerate(explanations))
    else:
        text = "No program was compiled: the script's sessions ran nothing, or the interpreter ran it."
    if options.output is None:
        print(text)
    else:
        options.output.write_text(text + "\n")
    return status
