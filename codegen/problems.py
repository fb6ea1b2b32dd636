"""What a compilation may ask of its caller instead of giving a program."""

from __future__ import annotations

from collections.abc import Sequence


class NeedsConstants(Exception):
    """The program's shape cannot be said for every N: compile it for this run's sizes."""


class NeedsValues(Exception):
    """The program depends on the values of these feeds (shapes, axes, branches)."""

    def __init__(self, feeds: Sequence[int]) -> None:
        super().__init__(f"the values of feeds {sorted(feeds)} decide the program")
        self.feeds = tuple(sorted(feeds))


class NotCompilable(Exception):
    """The program holds something that has no compiled form; the interpreter runs it."""
