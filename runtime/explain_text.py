"""Explanations for reading: aligned text, and an HTML table for notebooks. Both say the same."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..codegen.explain import KernelReport
    from .explain import Explanation, Profile

NODES_SHOWN = 12  # of a kernel in the text; `kernels` has all
RIGHT = frozenset(("#", "FLOP", "bytes", "time", "GFLOP/s", "GB/s", "of floor"))


def scaled(number: float, unit: str = "", prefixes: Sequence[str] = ("", "k", "M", "G", "T")) -> str:
    """Three digits and a unit: `1.23 MB`."""
    power = 0
    while abs(number) >= 999.5 and power < len(prefixes) - 1:
        number, power = number / 1000, power + 1
    digits = 0 if number == int(number) and power == 0 else min(2, max(0, 2 - math.floor(math.log10(abs(number)))))
    return f"{number:.{digits}f} {prefixes[power]}{unit}".rstrip()


def byte_text(count: float) -> str:
    return scaled(count, "B")


def time_text(seconds: float) -> str:
    return scaled(seconds * 1e9, "s", ("n", "u", "m", ""))


# --- what both forms show ---------------------------------------------------------------------------------------------


def columns(explanation: Explanation) -> list[str]:
    timed = ["time", "GFLOP/s", "GB/s", "of floor"] if explanation.profile else []
    return ["#", "kernel", "kind", "iterates over", "algorithm", "FLOP", "bytes", *timed]


def cells(kernel: KernelReport) -> list[str]:
    """One kernel as a row."""
    row = [
        str(kernel.index),
        kernel.name,
        kernel.kind,
        kernel.shape_text,
        kernel.algorithm,
        scaled(kernel.flops),
        byte_text(kernel.bytes),
    ]
    if kernel.time is not None:
        t = kernel.time
        rates = [f"{t.gflops_per_second:.1f}", f"{t.gigabytes_per_second:.1f}", f"{100 * t.share_of_floor:.0f} %"]
        row += [time_text(t.seconds), *rates]
    return row


def details(kernel: KernelReport) -> list[str]:
    """What is said under a kernel: nodes, its work in terms of N, what is fused to it or launched with it, what not."""
    shown = [f"[{name}]" if name == kernel.anchor else name for name in kernel.nodes[:NODES_SHOWN]]
    more = [f"... {len(kernel.nodes) - NODES_SHOWN} more"] if len(kernel.nodes) > NODES_SHOWN else []
    lines = [f"nodes: {', '.join([*shown, *more])}", f"FLOP: {kernel.flops_text}; bytes: {kernel.bytes_text}"]
    lines += kernel.fused
    lines += [f"launched together with {ranges_text(kernel.launched_with)}"] if kernel.launched_with else []
    lines += [
        f"not fused with kernel {one.consumer} ({one.value} -> {one.node}): {one.reason}" for one in kernel.not_fused
    ]
    return lines


def ranges_text(numbers: Sequence[int]) -> str:
    """Numbers of kernels, ascending, with runs of three and more in short: `kernels 4 to 7, 9`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [f"{r[0]} to {r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs]
    return f"kernel{'s' if len(numbers) > 1 else ''} {', '.join(parts)}"


def heading(explanation: Explanation) -> list[str]:
    """The lines above the table."""
    counts = explanation.counts
    fed = ", ".join(f"{name} {list(shape)}" for name, shape in explanation.feeds.items())
    return [
        f"fetches: {', '.join(explanation.fetches) or 'operations'}" + (f"; feeds: {fed}" if fed else ""),
        f"N = {explanation.batch}; {counts.kernels} kernels of {counts.kernel_nodes} nodes",
        f"graph: {counts.graph_operations} operations, {counts.pruned} pruned; {counts.folded} nodes folded, merged or "
        "simplified away",
        *explanation.notes,
    ]


def any_together(explanation: Explanation) -> bool:
    return any(kernel.launched_with for kernel in explanation.kernels)


def footing(explanation: Explanation) -> list[str]:
    """The lines under the table."""
    memory = explanation.memory
    lines = [
        f"total: {scaled(explanation.flops, 'FLOP')}, {byte_text(explanation.bytes)} moved at least",
        f"memory: arenas {byte_text(memory.batch_arena)} ({memory.batch_arena_per_sample} * N) + "
        f"{byte_text(memory.fixed_arena)} for values of {byte_text(memory.values)}, of which {byte_text(memory.live)} live "
        "at one time",
        f"        variables {byte_text(memory.variables)}, constants {byte_text(memory.constants)}, feeds "
        f"{byte_text(memory.feeds)}, fetches {byte_text(memory.fetches)}; peak {byte_text(memory.peak)}",
    ]
    profile, seconds = explanation.profile, explanation.seconds
    if profile is not None and seconds is not None:
        floor = sum(kernel.time.floor_seconds for kernel in explanation.kernels if kernel.time is not None)
        lines += [
            f"time: {time_text(seconds)} in kernels (least of {profile.runs} runs each), {time_text(profile.wall_seconds)} "
            f"for a whole run; floor {time_text(floor)}",
            profile.peaks.described,
            *([_how_together_timed(profile)] if any_together(explanation) else []),
            "above 100 %: operands were still in a nearer cache, or Winograd's method needs fewer operations",
        ]
    return lines


def _how_together_timed(profile: Profile) -> str:
    if hasattr(profile.peaks, "threads"):
        return "kernels that are launched together are timed one by one"
    return "kernels that are launched together share their launch's time in proportion to their floors"


# --- the two forms ----------------------------------------------------------------------------------------------------


def as_text(explanation: Explanation) -> str:
    """Aligned lines, one row per kernel with its details under it."""
    names = columns(explanation)
    rows = [cells(kernel) for kernel in explanation.kernels]
    widths = [max(len(row[i]) for row in [names, *rows]) for i in range(len(names))]
    lines = heading(explanation)
    if rows:
        lines += ["", _aligned(names, names, widths)]
    for kernel, row in zip(explanation.kernels, rows, strict=True):
        lines.append(_aligned(row, names, widths))
        lines += [" " * (widths[0] + 4) + line for line in details(kernel)]
    return "\n".join([*lines, "", *footing(explanation)])


def _aligned(row: Sequence[str], names: Sequence[str], widths: Sequence[int]) -> str:
    places = zip(row, names, widths, strict=True)
    return "  ".join(text.rjust(n) if name in RIGHT else text.ljust(n) for text, name, n in places).rstrip()


def as_html(explanation: Explanation) -> str:
    """A table with the details of a kernel in a second row."""
    names = columns(explanation)
    lines = [_paragraphs(heading(explanation)), "<table>", f"<tr>{_cells('th', names, names)}</tr>"]
    for kernel in explanation.kernels:
        lines.append(f"<tr>{_cells('td', cells(kernel), names)}</tr>")
        said = "<br>".join(html.escape(line) for line in details(kernel))
        lines.append(f'<tr><td></td><td colspan="{len(names) - 1}" style="text-align: left"><small>{said}</small></td></tr>')
    return "\n".join([*lines, "</table>", _paragraphs(footing(explanation))])


def _cells(tag: str, row: Sequence[str], names: Sequence[str]) -> str:
    sides = ["right" if name in RIGHT else "left" for name in names]
    return "".join(
        f'<{tag} style="text-align: {side}">{html.escape(text)}</{tag}>' for side, text in zip(sides, row, strict=True)
    )


def _paragraphs(lines: Sequence[Any]) -> str:
    return f"<p>{'<br>'.join(html.escape(line) for line in lines)}</p>"
