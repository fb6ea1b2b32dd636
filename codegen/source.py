"""Kernel texts -> one C file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .emitted import Shared
from .prelude import math_closure
from .render import render, squeeze


def assemble(
    kernels: Sequence[str],
    launches: Sequence[tuple[int, Any]],
    shared: Sequence[Shared],
    math: frozenset[str],
    random: frozenset[str],
    summary: Sequence[str],
    batch_bytes: int,
    fixed_bytes: int,
) -> str:
    """The whole C file of a program."""
    text = render(
        "c/step.c.j2",
        kernels=kernels,
        launches=launches,
        shared=shared,
        math=math_closure(math),
        random=random,
        summary=summary,
        batch_bytes=batch_bytes,
        fixed_bytes=fixed_bytes,
    )
    return squeeze(text)
