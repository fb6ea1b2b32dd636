"""Graph to C: pure functions from a pruned graph to source text. Nothing here loads or runs anything."""

from .compile import Prepared, compile_program, prepare, symbolic
from .problems import NeedsConstants, NeedsValues, NotCompilable

__all__ = ["NeedsConstants", "NeedsValues", "NotCompilable", "Prepared", "compile_program", "prepare", "symbolic"]
