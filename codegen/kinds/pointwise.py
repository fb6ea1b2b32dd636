"""Kernels of pointwise chains and updates: one sweep over the domain, everything in registers between loads and stores."""

from __future__ import annotations

from dataclasses import dataclass

from ...shapes import Batch
from ..emitted import Launch
from ..scalar import size_text
from .draws import BLOCK, Draws
from .scribe import Scribe
from .spaces import Space, nest_variables

# elements per chunk: 64 KB of float32 per stream, large enough to hide the hand-out of a chunk (0.1 us)
CHUNK_ELEMENTS = 16384


@dataclass(frozen=True)
class PointwiseText:
    """The context of templates/shared/pointwise.j2."""

    name: str
    comment: tuple[str, ...]
    count: str  # outer iterations
    block: int  # outer iterations per chunk
    inner: str  # inner iterations, "" for none
    decompose: tuple[str, ...]
    body: tuple[str, ...]
    draws: Draws | None  # random numbers that the body takes


def write(scribe: Scribe) -> tuple[str, PointwiseText, tuple[Launch, ...]]:
    """The template, its context and the launches of one pointwise group."""
    group = scribe.kernel.group
    space = Space(group.domain, (False,) * len(group.domain))
    members = {v for n in group.nodes for v in n.outputs}
    for node in scribe.nodes:
        scribe.note_operands(node, space, members.__contains__)
    space.settle()
    variables, lines, count, inner = nest_variables(space, "i", "j")
    size = space.axes[-1].size if len(space.axes) > 1 else 1
    first = f"i * {size_text(size)} + strip" if inner else "strip"
    draws = scribe.draw(first, size if inner else BLOCK["float32"], "j" if inner else "i")
    body = [text for node in scribe.nodes for text in scribe.lines_at(node, space, variables, scribe.local)]
    per_iteration = size.per * 32 if isinstance(size, Batch) else max(1, size)
    block = max(1, CHUNK_ELEMENTS // per_iteration)
    text = PointwiseText(scribe.kernel.name, header(scribe), count, block, inner, tuple(lines), tuple(body), draws)
    return "shared/pointwise.j2", text, (Launch(scribe.kernel.name, f"tg_chunks({count}, {block})"),)


def header(scribe: Scribe) -> tuple[str, ...]:
    """The comment above a kernel: its nodes in order, then domain and dtype."""
    from ..names import comment

    group = scribe.kernel.group
    labels = " -> ".join(dict.fromkeys(comment(n.label) for n in group.nodes))
    lines = [labels[i : i + 110] for i in range(0, len(labels), 110)]
    dtype = group.nodes[-1].outputs[0].dtype.base_dtype.name if group.nodes[-1].outputs else ""
    return (*lines, f"{group.kind}, {dtype} {list(group.domain)}".replace("'", ""))
