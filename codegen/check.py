"""The contracts at stage boundaries. Cheap ones always; a broken one is a bug of the compiler, not of the user."""

from __future__ import annotations

from collections.abc import Sequence

from ..opdef import Composite
from .ir import Kernel, Plan, Roots


class BrokenContract(AssertionError):
    """A stage handed over something that its contract forbids."""


def check_roots(roots: Roots, stage: str) -> None:
    """Nodes come after what they use; every dimension is known; after the last stage, no composites."""
    seen = set()
    for node in roots.nodes:
        for value in node.inputs:
            if value.op not in seen:
                raise BrokenContract(f"after {stage}: {node!r} uses {value!r} before it is made")
        for value in node.outputs:
            if value.dims is None or None in value.dims:
                raise BrokenContract(f"after {stage}: {node!r} has an unknown dimension")
        if stage == "place_copies" and isinstance(node.kind, Composite):
            raise BrokenContract(f"after {stage}: the composite {node!r} is left")
        seen.add(node)
    missing = [v for v in roots.fetches if v.op not in seen] + [n for n in roots.effects if n not in seen]
    if missing:
        raise BrokenContract(f"after {stage}: {missing[0]!r} is fetched but gone")


def check_plan(kernels: Sequence[Kernel], plan: Plan) -> None:
    """Every value that a kernel touches has a buffer."""
    for kernel in kernels:
        for value in (*kernel.reads, *kernel.writes):
            inline = value.op.type in ("_Extent", "_Iota") or value.known() is not None
            if value not in plan.buffers and not inline:
                raise BrokenContract(f"{kernel.name}: {value!r} has no buffer")
