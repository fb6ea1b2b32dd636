"""nvcc as far as runtime/cuda/images.py calls it: `nvcc -cubin OPTIONS -o OUTPUT SOURCE`. What it makes is the library of
the host shim in place of a cubin."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tfgraph.errors import OpError
from tfgraph.runtime.cuda.shim_build import kernel_library


def main(arguments: list[str]) -> None:
    if "-cubin" not in arguments or "-o" not in arguments:
        sys.exit(f"this stands for `nvcc -cubin ... -o OUTPUT SOURCE`, not {arguments}")
    try:
        library = kernel_library(Path(arguments[-1]).read_text(), checks=False)
    except OpError as reason:
        sys.exit(str(reason))
    shutil.copy(library, arguments[arguments.index("-o") + 1])


main(sys.argv[1:])
