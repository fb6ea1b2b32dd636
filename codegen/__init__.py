"""Graph to C: pure functions from a pruned graph to source text. Nothing here loads or runs anything."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .ir import Program
from .problems import NeedsConstants, NeedsValues, NotCompilable
from .signature import Prepared, prepare, symbolic


def compile_program(
    prepared: Prepared,
    dims: Sequence[tuple[Any, ...]],
    values: Mapping[int, np.ndarray],
    variable_dims: Mapping[str, tuple[int, ...]],
) -> Program:
    """See `compile.compile_program`; imported at the first call, so that a step found in the cache never pays for it."""
    from .compile import compile_program

    return compile_program(prepared, dims, values, variable_dims)


__all__ = ["NeedsConstants", "NeedsValues", "NotCompilable", "Prepared", "compile_program", "prepare", "symbolic"]
