"""The option `--export DIR`: the net of an example as a C library that trains and predicts without Python."""

import argparse
import shutil
from pathlib import Path
from typing import Any

import tfgraph as tf

from ._options import ExampleError

Functions = dict[str, tuple[Any, ...]]  # the function's name in C: what it returns, what it takes, what is constant in it
PROGRAMS = Path(__file__).parent / "programs"


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--export", type=Path, metavar="DIR", help="write the net, as trained by then, as a C library into this folder; "
        "--epochs 0 --export DIR: untrained")  # fmt: skip
    add("--target", metavar="NAME", help="the platform that the library is for, such as wasm32 or cuda; default: this one")


def export(functions: Functions, prefix: str, session: Any, options: argparse.Namespace, *, programs: bool = False) -> None:
    """With `--export`, compile `functions` to a library with the session's weights and tell where it is.

    programs: also copy the programs in C and other languages that use the library, into DIR/programs.
    """
    if options.export is None:
        return
    folder = options.export
    try:
        tf.compile(functions, str(folder), prefix=prefix, target=options.target, session=session)
    except (ValueError, tf.errors.UnavailableError) as error:  # no such target, or no compiler for it
        raise ExampleError(str(error)) from error
    print(f"C library    {folder}")
    if programs:
        shutil.copytree(PROGRAMS, folder / "programs", dirs_exist_ok=True)
        print(f"programs     {folder / 'programs'}")
