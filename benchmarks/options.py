"""How much is measured: the full run, or a quick look."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Options:
    """What the parts of the benchmarks are told; times in seconds."""

    frameworks: tuple[str, ...]
    nets: tuple[str, ...]
    threads: int = 2
    quick: bool = False
    digits: Path | None = None  # a folder of IDX files; None: scikit-learn's

    @property
    def rounds(self) -> int:
        """Orders to each worker."""
        return 2 if self.quick else 5

    @property
    def turn(self) -> float:
        """How long a worker trains on one order, if two steps do not take longer."""
        return 0.1 if self.quick else 1.0

    @property
    def peak_times(self) -> int:
        """How often each loop of the machine's limits is timed."""
        return 1 if self.quick else 15

    @property
    def kernel_rounds(self) -> int:
        return 2 if self.quick else 3

    @property
    def kernel_turn(self) -> float:
        """How long one kernel is repeated on one order."""
        return 0.02 if self.quick else 0.06


def names_of(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """The parser of a list of names separated by commas."""

    def names(text: str) -> tuple[str, ...]:
        found = tuple(filter(None, text.split(",")))
        if wrong := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(wrong)}: not one of {', '.join(known)}")
        return found

    return names


def rounded(record: Any) -> Any:
    """The record with eight digits of every figure, which is more than any of them means."""
    if isinstance(record, dict):
        return {key: rounded(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [rounded(value) for value in record]
    return float(f"{record:.8g}") if isinstance(record, float) else record
