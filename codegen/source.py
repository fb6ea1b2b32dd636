"""Kernel texts -> one C file."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from .emitted import Joined, Launch, Shared
from .prelude import math_closure
from .render import render, squeeze
from .units import cut_into_units


def assemble(
    kernels: Sequence[str],
    launches: Sequence[tuple[int, Launch]],
    shared: Sequence[Shared],
    math: frozenset[str],
    random: frozenset[str],
    summary: Sequence[str],
    batch_bytes: int,
    fixed_bytes: int,
    joined: Sequence[Joined] = (),
) -> str:
    """The whole C file of a program; a long one can also be compiled as several translation units."""
    units = cut_into_units(kernels, shared)
    launched = dict.fromkeys(launch.function for _, launch in launches) if len(units) > 1 else {}
    text = render(
        "c/step.c.j2",
        units=[[_declared_before(text, launched) for text in unit] for unit in units],
        launched=launched,
        joined=joined,
        blocks=_blocks(launches, joined),
        shared=shared,
        math=math_closure(math),
        random=random,
        summary=summary,
        batch_bytes=batch_bytes,
        fixed_bytes=fixed_bytes,
    )
    return squeeze(text)


_BEGINNING = re.compile(r"^static (void (\w+)\()", re.MULTILINE)


def _blocks(
    launches: Sequence[tuple[int, Launch]], joined: Sequence[Joined]
) -> list[tuple[Joined | None, list[tuple[int, Launch]]]]:
    """Kernels' launches in order, those that are joined apart from the others, each with what joins them."""
    together = {i: one for one in joined for i in range(one.first, one.last + 1)}
    blocks: list[tuple[Joined | None, list[tuple[int, Launch]]]] = []
    for kernel, launch in launches:
        one = together.get(kernel)
        if not blocks or blocks[-1][0] is not one:
            blocks.append((one, []))
        blocks[-1][1].append((kernel, launch))
    return blocks


def _declared_before(kernel: str, launched: Collection[str]) -> str:
    """The text of a kernel whose functions `launched` leave it to their declarations whether they are static."""
    return _BEGINNING.sub(lambda found: found[1] if found[2] in launched else found[0], kernel) if launched else kernel
