"""The report on GPUs: Markdown tables from the records alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .frameworks import GPU_FRAMEWORKS, OURS_ON_GPU

Record = dict[str, Any]
NONE = "–"
KERNELS_SHOWN = 6  # of a cell, those that take longest
PRECISION_TEXTS = {
    "float32": "float32: no tensor cores",
    "tf32": "TF32: operands of products rounded to 10 bits of fraction, sums in float32",
    "bf16": "bfloat16: operands of products with 7 bits, sums in float32; PyTorch's autocast, bfloat16 activations in JAX",
}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def report(results: Record, pictures: bool) -> str:
    """The text of benchmarks/GPU.md for whatever was measured."""
    parts = [
        "# Benchmarks on a GPU\n\n"
        "Written by `make bench-gpu` (`python -m benchmarks.gpu`; `--help` lists its options); no figure here was put in by "
        "hand. The raw figures are in `results-gpu.json`. A step is forward, gradients and Adam, and its loss on the host. "
        "Every framework runs in a process of its own on the same card, with the same weights and the same batch, which is "
        "on the card already (but in the row that says it is fed). In each cell the processes take turns, round by round; a "
        "time is the median of the rounds' medians."
    ]
    if not results.get("machine"):
        return parts[0] + "\n\nNothing has been measured.\n"
    parts.append(table(["", ""], [[key, str(value)] for key, value in results["machine"].items()]))
    parts += [f"{GPU_FRAMEWORKS[name].label}: {text}." for name, text in results.get("absent", {}).items()]
    cells = results.get("cells", {})
    precisions = [name for name in PRECISION_TEXTS if any(key.endswith(f"/{name}") for key in cells)]
    if cells:
        parts.append("## Best peer / tfgraph")
        parts += ["![a training step on every framework](gpu.png)"] if pictures else []
        parts += [_ratio_table(cells, precisions)]
    parts += [_precision(cells, precision) for precision in precisions]
    if results.get("first"):
        parts.append(_first(results["first"]))
    if any(results.get("kernels", {}).values()):
        parts.append(_kernels(results["kernels"], cells))
    return "\n\n".join(parts) + "\n"


# --- training steps ---------------------------------------------------------------------------------------------------


def best_peer(figures: Record) -> str | None:
    """The fastest framework that is not ours."""
    peers = [name for name, figure in figures.items() if name not in OURS_ON_GPU and "median" in figure]
    return min(peers, key=lambda name: figures[name]["median"], default=None)


def ratio(figures: Record) -> tuple[float, float, float] | None:
    """The best peer's time over tfgraph's: of the medians, and the least and largest of any round."""
    peer = best_peer(figures)
    if peer is None or "median" not in figures.get("tfgraph", {}):
        return None
    pairs = zip(figures[peer]["rounds"], figures["tfgraph"]["rounds"], strict=True)
    rounds = [theirs["median"] / mine["median"] for theirs, mine in pairs]
    return figures[peer]["median"] / figures["tfgraph"]["median"], min(rounds), max(rounds)


def _batches(cells: Record) -> list[int]:
    return sorted({int(key.split("/")[1]) for key in cells})


def _nets(cells: Record) -> list[str]:
    return list(dict.fromkeys(key.split("/")[0] for key in cells))


def _ratio_table(cells: Record, precisions: Sequence[str]) -> str:
    rows = []
    for net in _nets(cells):
        for precision in precisions:
            found = [cells.get(f"{net}/{batch}/{precision}") for batch in _batches(cells)]
            rows.append([f"{net}, {precision}", *(_ratio_cell(cell) for cell in found)])
    return table(["batch", *map(str, _batches(cells))], rows)


def _ratio_cell(cell: Record | None) -> str:
    found = ratio(cell["frameworks"]) if cell else None
    return f"**{found[0]:.2f}** ({found[1]:.2f}–{found[2]:.2f})" if found else NONE


def _precision(cells: Record, precision: str) -> str:
    """The steps and the memory of all nets at one precision."""
    own = {key: cell for key, cell in cells.items() if key.endswith(f"/{precision}")}
    parts = [f"## {PRECISION_TEXTS[precision]}"]
    for net in _nets(own):
        found = {batch: own[key] for batch in _batches(own) if (key := f"{net}/{batch}/{precision}") in own}
        names = [name for name in GPU_FRAMEWORKS if any(name in cell["frameworks"] for cell in found.values())]
        rows = [
            [GPU_FRAMEWORKS[name].label, *(_step_cell(cell["frameworks"].get(name)) for cell in found.values())]
            for name in names
        ]
        heads = [f"**{net}**: step, ms; peak memory, MB", *(f"batch {batch}" for batch in found)]
        parts.append(table(heads, rows))
        failures = {f"{GPU_FRAMEWORKS[name].label} failed: {figure['failed']}." for cell in found.values()
                    for name, figure in cell["frameworks"].items() if "failed" in figure}  # fmt: skip
        parts += sorted(failures)
    return "\n\n".join(parts)


def _step_cell(figure: Record | None) -> str:
    if figure is None or "median" not in figure:
        return "failed" if figure and "failed" in figure else NONE
    memory = f"; {figure['peak_mb']:.0f}" if figure.get("peak_mb") else ""
    return f"{1e3 * figure['median']:.3f}{memory}"


# --- first steps ------------------------------------------------------------------------------------------------------


def _first(first: Record) -> str:
    names = [name for name in GPU_FRAMEWORKS if any(name in record["frameworks"] for record in first.values())]
    rows = [
        [GPU_FRAMEWORKS[name].label, *(_first_cell(record["frameworks"].get(name)) for record in first.values())]
        for name in names
    ]
    batch = next(iter(first.values()))["batch"]
    text = (
        f"## First steps\n\nSeconds for building the net and its first step, batch {batch}, float32: with nothing compiled; "
        "where compiled code is kept, then in another process with what that left.\n\n"
    )
    return text + table(["", *first], rows)


def _first_cell(found: Any) -> str:
    if not found:
        return NONE
    if isinstance(found, dict):
        return "failed"
    return "; ".join(f"{one['build'] + one['first']:.2f}" for one in found)


# --- kernels ----------------------------------------------------------------------------------------------------------


def _kernels(cells: Record, steps: Record) -> str:
    """The kernels that take longest, at the largest batch of each net and precision."""
    largest: dict[tuple[str, str], int] = {}
    for key, cell in cells.items():
        net, batch, precision = key.split("/")
        if cell:
            largest[net, precision] = max(largest.get((net, precision), 0), int(batch))
    parts = [
        "## Single kernels of tfgraph\n\n"
        "Timed by events between launches, outside of the captured graph. The ceiling is what a probe reaches on this card: "
        "the operations at its multiply-adds per second (through tensor cores where the kernel uses them), or every operand "
        "and result moved once at its bandwidth, whichever takes longer."
    ]
    peaks = next(cell["peaks"] for cell in cells.values() if cell)
    speeds = [[kind, f"{speed / 1e12:.3g} TFLOP/s"] for kind, speed in peaks["flops_per_second"].items()]
    speeds += [[f"{size / 1e6:.0f} MB", f"{speed / 1e9:.0f} GB/s"] for size, speed in peaks["bandwidths"]]
    parts.append(table(["probe", ""], speeds))
    for (net, precision), batch in largest.items():
        key = f"{net}/{batch}/{precision}"
        cell = cells[key]
        timed = sorted(cell["kernels"], key=lambda kernel: -kernel["time"]["seconds"])
        floor = sum(kernel["time"]["floor_seconds"] for kernel in timed)
        median = steps.get(key, {}).get("frameworks", {}).get("tfgraph", {}).get("median")
        rows = [_kernel_row(kernel) for kernel in timed[:KERNELS_SHOWN]]
        rows.append([f"all {len(timed)}", "", f"{1e6 * cell['seconds']:.1f}", "", "", f"{floor / cell['seconds']:.0%}"])
        step = f", of a step of {1e6 * median:.0f} µs" if median else ""
        heads = [f"**{net}, {precision}, batch {batch}**{step}", "method", "µs", "GFLOP/s", "GB/s", "of the ceiling"]
        parts.append(table(heads, rows))
    return "\n\n".join(parts)


def _kernel_row(kernel: Record) -> list[str]:
    time = kernel["time"]
    rates = [f"{time['gflops_per_second']:.0f}", f"{time['gigabytes_per_second']:.0f}", f"{time['share_of_floor']:.0%}"]
    return [f"`{kernel['name']}`", kernel["algorithm"], f"{1e6 * time['seconds']:.1f}", *rates]
