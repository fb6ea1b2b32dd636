"""`tf.app`: the main function of a script, after its flags have been read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import flags

__all__ = ["flags", "run"]


def run(main: Callable[[Sequence[str]], Any] | None = None, argv: Sequence[str] | None = None) -> NoReturn:
    """Call `main` (default: the script's own) with what is left of `argv` after the flags, then exit with its result.

    Options that are no flags are left to `main`.
    """
    arguments = list(sys.argv if argv is None else argv)
    left = flags.absl_flags().FLAGS(arguments, known_only=True)
    function = main if main is not None else sys.modules["__main__"].main  # type: ignore[attr-defined]
    sys.exit(function(left))
