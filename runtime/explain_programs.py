"""Every program that is compiled while somebody watches, with its runs counted or timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from ..shapes import at_batch
from . import programs
from .explain import Explanation, explain_record, with_times
from .profile import watching


@dataclass(frozen=True)
class WatchedProgram:
    """A loaded program, what it was compiled from, and the stopwatch on it."""

    step: programs.CompiledStep
    signature: tuple[Any, Any, Any]  # dims, values and variable_dims as `compile_program` takes them
    loaded: Any
    watch: Any

    def explanation(self) -> Explanation:
        """The program at the batch size of most of its runs; with times if they were taken."""
        prepared, dims = self.step.prepared, self.signature[0]
        record = self.step.record(*self.signature)
        n = self.watch.usual_batch
        shapes = [at_batch(d, 1 if n is None else n) for d in dims]
        operations = len(prepared.order[0].graph.get_operations()) if prepared.order else 0
        found = explain_record(record, 1 if n is None else n, prepared, shapes, operations)
        return with_times(found, record, self.loaded, self.watch) if self.watch.timed and n is not None else found


@contextmanager
def watched(timed: bool) -> Iterator[list[WatchedProgram]]:
    """The list of programs that are compiled inside. Their runs are counted, kernel by kernel timed if `timed`."""
    found: list[WatchedProgram] = []
    with ExitStack() as watches:

        def watch(step: programs.CompiledStep, signature: tuple[Any, Any, Any], loaded: Any) -> None:
            found.append(WatchedProgram(step, signature, loaded, watches.enter_context(watching(loaded, timed))))

        programs.watchers.append(watch)
        try:
            yield found
        finally:
            programs.watchers.remove(watch)
