"""Kernel texts -> one C file."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from .emitted import Joined, Launch, Shared
from .prelude import math_closure
from .render import render, squeeze
from .repeats import share_repeats
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
    batch_rest: int = 0,
) -> str:
    """The whole C file of a program; a long one can also be compiled as several translation units."""
    kernels, repeated = share_repeats(kernels)
    cut = cut_into_units(kernels, [*shared, *repeated])
    launched = dict.fromkeys(launch.function for _, launch in launches) if len(cut.units) > 1 else {}
    text = render(
        "c/step.c.j2",
        cut=cut,
        kernels=[[_declared_before(text, launched) for text in unit.kernels] for unit in cut.units],
        launched=launched,
        joined=joined,
        stages=_stages(launches, joined),
        math=math_closure(math),
        random=random,
        summary=summary,
        batch_bytes=batch_bytes,
        batch_rest=batch_rest,
        fixed_bytes=fixed_bytes,
    )
    return squeeze(text)


_BEGINNING = re.compile(r"^static (void (\w+)\()", re.MULTILINE)


def _stages(launches: Sequence[tuple[int, Launch]], joined: Sequence[Joined]) -> list[tuple[int, int, Launch]]:
    """Launches in order with the first and the last of the kernels that they run: joined ones before those they join."""
    beginning = {one.first: one for one in joined}
    stages: list[tuple[int, int, Launch]] = []
    for kernel, launch in launches:
        one = beginning.pop(kernel, None)
        if one is not None:
            stages += [(one.first, one.last, together) for together in one.launches]
        stages.append((kernel, kernel, launch))
    return stages


def _declared_before(kernel: str, launched: Collection[str]) -> str:
    """The text of a kernel whose functions `launched` leave it to their declarations whether they are static."""
    return _BEGINNING.sub(lambda found: found[1] if found[2] in launched else found[0], kernel)
