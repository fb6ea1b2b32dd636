"""The report: Markdown tables from the records alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from .exports import median
from .frameworks import FRAMEWORKS, OURS
from .keras_training import section as keras_section
from .kernels import best
from .nets import best_peer, ratios
from .peaks import Peaks, from_record

Record = dict[str, Any]
NONE = "–"


def report(results: Record, pictures: bool) -> str:
    """The text of benchmarks/README.md for whatever parts were measured."""
    parts = [_head(results)]
    if "nets" in results:
        parts += [_nets(results, pictures)]
    if "export" in results:
        parts += [_exports(results["export"])]
    if "keras" in results:
        text, heads, rows, notes = keras_section(results["keras"])
        parts += ["\n\n".join([text, table(heads, rows) if rows else "", *notes])]
    if "kernels" in results:
        parts += [_kernels(results, pictures)]
    if "scaling" in results:
        parts += [_scaling(results["scaling"], pictures)]
    return "\n\n".join(parts) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


# --- the machine --------------------------------------------------------------------------------------------------


def _head(results: Record) -> str:
    text = (
        "# Benchmarks\n\n"
        "Written by `make bench` (`python -m benchmarks`; `--help` lists its options); no figure here was put in by hand. "
        "The raw figures are in `results.json`. Each framework runs in a process of its own on as many CPUs as it has "
        "threads, and the processes take turns, so that all meet the same moods of the machine.\n\n## The machine\n\n"
    )
    names = list(results["machines"])
    machines = list(results["machines"].values())
    if all(machine == machines[0] for machine in machines):
        names, machines = ["all parts"], machines[:1]
    keys = dict.fromkeys(key for machine in machines for key in machine)
    text += table(["", *names], [[key, *(str(machine.get(key, NONE)) for machine in machines)] for key in keys])
    if "peaks" in results:
        text += "\n\n" + _peaks([from_record(record) for record in results["peaks"]])
    return text


def _peaks(peaks: Sequence[Peaks]) -> str:
    text = (
        "What `peaks.c` measures: multiply-adds in registers (two operations each), and the faster of a sum over an array "
        "and `y = a x + y`, by the bytes in use. A virtual machine's processors can be near each other or far apart, and "
        "that changes: it shows in the time that a cache line takes between them.\n\n"
    )
    sizes = [size for size, _ in peaks[0].bandwidth]
    rows = [["GFLOP/s", *(f"{peak.flops / 1e9:.0f}" for peak in peaks)]]
    rows += [
        [f"GB/s over {_bytes(size)}", *(f"{dict(peak.bandwidth)[size] / 1e9:.0f}" for peak in peaks)] for size in sizes[::2]
    ]
    if any(peak.line_seconds is not None for peak in peaks):
        times = ["–" if peak.line_seconds is None else f"{peak.line_seconds * 1e9:.0f}" for peak in peaks]
        rows.append(["a cache line between processors, ns", *times])
    return text + table(["", *(f"{peak.threads} thread{'s' * (peak.threads > 1)}" for peak in peaks)], rows)


def _bytes(size: float) -> str:
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GB"


# --- nets ---------------------------------------------------------------------------------------------------------


def _nets(results: Record, pictures: bool) -> str:
    part = results["nets"]
    nets = part["nets"]
    names = [name for name in FRAMEWORKS if any(name in net["frameworks"] for net in nets.values())]
    batches = ", ".join(f"{name} {net['batch']}" for name, net in nets.items())
    text = (
        "## Training steps\n\n"
        f"Forward, gradients and Adam, float32, {part['threads']} threads, {part['rounds']} rounds; every framework starts "
        "from the same weights and the same samples. tfgraph and TensorFlow are fed NumPy arrays in each step; PyTorch and "
        "JAX keep theirs. A step's time is the median of the rounds' medians, the least of all steps behind it. Batches: "
        f"{batches}.\n\n"
    )
    if pictures:
        text += "![times of a training step](nets.png)\n\n"
    text += _step_table(results, names) + "\n\n" + _loss_sentence(nets) + _absences(part, nets)
    text += "\n\n### Other costs\n\n" + _cost_text(nets) + _cost_tables(nets, names)
    return text


def _step_table(results: Record, names: Sequence[str]) -> str:
    nets = results["nets"]["nets"]
    rows = []
    for name in names:
        figures = [net["frameworks"].get(name, {}) for net in nets.values()]
        rows.append([FRAMEWORKS[name].label, *(_pair(f, "median", "least", 1e3) for f in figures)])
    peers = {net: best_peer(record["frameworks"]) for net, record in nets.items()}
    rows.append(["best peer", *(FRAMEWORKS[peer].label if peer else NONE for peer in peers.values())])
    for ours in OURS:
        if ours in names:
            cells = [_ratio(record["frameworks"], ours, peers[net]) for net, record in nets.items()]
            rows.append([f"**best peer / {FRAMEWORKS[ours].label}** (range of the rounds)", *cells])
    rows.append(["operations of the products, GFLOP", *(f"{net['flops'] / 1e9:.2f}" for net in nets.values())])
    peak = next((p for p in map(from_record, results.get("peaks", [])) if p.threads == results["nets"]["threads"]), None)
    if peak:
        rows.append(["these at the peak, ms", *(f"{net['flops'] / peak.flops * 1e3:.2f}" for net in nets.values())])
    return table(["step, ms: median; least", *nets], rows)


def _pair(figure: Record, first: str, second: str, scale: float) -> str:
    if first not in figure:
        return "failed" if "failed" in figure else NONE
    return f"{_three_digits(figure[first] * scale)}; {_three_digits(figure[second] * scale)}"


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(figures: Record, ours: str, peer: str | None) -> str:
    if peer is None or "median" not in figures.get(ours, {}):
        return NONE
    ratio, least, most = ratios(figures, ours, peer)
    return f"**{ratio:.2f}** ({least:.2f}–{most:.2f})"


def _loss_sentence(nets: Record) -> str:
    """How far the frameworks' first losses are apart, nets with dropout left out."""
    from .models import NETS

    spreads = []
    for name, net in nets.items():
        losses = [figure["loss"] for figure in net["frameworks"].values() if "loss" in figure]
        if len(losses) > 1 and not NETS[name].dropout:
            spreads.append((max(losses) - min(losses)) / max(abs(loss) for loss in losses))
    if not spreads:
        return ""
    return f"The frameworks' first losses differ by {max(spreads):.0e} of their size at the most (nets without dropout)."


def _absences(part: Record, nets: Record) -> str:
    lines = [f"{FRAMEWORKS[name].label}: {missing} is not installed." for name, missing in part["absent"].items()]
    for net, record in nets.items():
        for name, figure in record["frameworks"].items():
            if "failed" in figure:
                lines.append(f"{FRAMEWORKS[name].label} failed on {net}: {figure['failed']}.")
    return "".join(f"\n\n{line}" for line in lines)


def _cost_text(nets: Record) -> str:
    first = next(iter(nets))
    return (
        "Import: a fresh process, the files read before. Small call: NumPy array of 4 floats in, `2 x + 1` out. First step: "
        "after the net is built and initialised; where compiled code is kept, first with an empty cache, then in a new "
        f"process with what that left. Peak memory: the whole process, and what it took by the import. (Imports are the "
        f"median over the nets; small calls were made beside `{first}`.)\n\n"
    )


def _cost_tables(nets: Record, names: Sequence[str]) -> str:
    rows = []
    for name in names:
        figures = [net["frameworks"].get(name, {}) for net in nets.values()]
        imports = [seconds for figure in figures for seconds in figure.get("imports", ())]
        call = next((figure["small_call"] for figure in figures if "small_call" in figure), None)
        rows.append([
            FRAMEWORKS[name].label,
            f"{statistics.median(imports):.2f}" if imports else NONE,
            f"{call * 1e6:.1f}" if call else NONE,
        ])  # fmt: skip
    text = table(["", "import, s", "small call, µs"], rows) + "\n\n"
    text += _per_net(nets, names, "first step, s: cold; cached", _first_step) + "\n\n"
    text += _per_net(nets, names, "building and initialising, s: cold; cached", _building) + "\n\n"
    text += _per_net(nets, names, "peak memory, MB: whole; after the import", _memory)
    code = [name for name in names if any(net["frameworks"].get(name, {}).get("code") for net in nets.values())]
    if code:
        text += "\n\n" + _per_net(nets, code, "generated for the step, KB: C source; module", _code)
    return text


def _per_net(nets: Record, names: Sequence[str], head: str, cell: Any) -> str:
    rows = [[FRAMEWORKS[name].label, *(cell(net["frameworks"].get(name, {})) for net in nets.values())] for name in names]
    return table([head, *nets], rows)


def _first_step(figure: Record) -> str:
    return _cold_and_cached(figure, "first")


def _building(figure: Record) -> str:
    return _cold_and_cached(figure, "build")


def _cold_and_cached(figure: Record, key: str) -> str:
    if "cold" not in figure:
        return NONE
    cached = f"; {figure['cached'][key]:.2f}" if "cached" in figure else ""
    return f"{figure['cold'][key]:.2f}{cached}"


def _memory(figure: Record) -> str:
    return f"{figure['peak_mb']:.0f}; {figure['imported_mb']:.0f}" if "peak_mb" in figure else NONE


def _code(figure: Record) -> str:
    code = figure.get("code")
    return f"{code['source'] / 1e3:.0f}; {code['module'] / 1e3:.0f}" if code else NONE


# --- exported libraries -------------------------------------------------------------------------------------------


def _exports(part: Record) -> str:
    """Exported nets beside their sessions, which run in the same process and take turns."""
    text = (
        "## Exported libraries\n\n"
        f"`tf.compile` of each training step, the compiler included, for this machine's instruction set; {part['threads']} "
        "threads. The library trains through its C interface with memory and threads of its own, beside the Session in the "
        "same process; both start from the same weights.\n\n"
    )
    rows = []
    for net, record in part["nets"].items():
        session, library = median(record, "session"), median(record, "library")
        losses = record["losses"]
        rows.append([
            net,
            f"{record['compile']:.2f}",
            f"{record['source'] / 1e3:.0f}",
            f"{record['library'] / 1e3:.0f}",
            _three_digits(session * 1e3),
            _three_digits(library * 1e3),
            f"{session / library:.2f}",
            "yes" if losses["session"] == losses["library"] else f"{losses['session']:.8g}; {losses['library']:.8g}",
        ])  # fmt: skip
    heads = [
        "", "compiling, s", "C source, KB", "library, KB", "step of the Session, ms", "step of the library, ms",
        "Session / library", "equal first losses",
    ]  # fmt: skip
    return text + table(heads, rows) + "".join(f"\n\n{line}" for line in part["failures"])


# --- kernels ------------------------------------------------------------------------------------------------------


def _kernels(results: Record, pictures: bool) -> str:
    part = results["kernels"]
    text = (
        "## Single kernels\n\n"
        f"{part['threads']} threads; generated code called without Python around it. The floor is what the machine's limits "
        "allow: the operations at the multiply-add peak, or every operand and result moved once at the bandwidth of as many "
        "bytes, whichever takes longer. Winograd's method needs a quarter of the multiplications that are counted, so it "
        "may pass 100 %; random numbers and `tanh` cost arithmetic that the floor does not count; a kernel of a "
        "microsecond is mostly the call. Times are of the best round. References are calls of the library's own "
        "operation (NumPy's with `out=` where it has it): above 1.00 tfgraph is the faster.\n\n"
    )
    text += "".join(f"{name} is not installed, so there is no reference from it.\n\n" for name in part["absent"])
    if pictures:
        text += "![share of the floor](kernels.png)\n\n![operations per second](roofline.png)\n\n"
    groups: dict[str, list[Record]] = {}
    for case in part["cases"]:
        groups.setdefault(case["group"], []).append(case)
    return text + "\n\n".join(_kernel_table(group, cases) for group, cases in groups.items())


def _kernel_table(group: str, cases: Sequence[Record]) -> str:
    counted = "GFLOP/s" if cases[0]["flops"] else "GB/s"
    references = [name for name in ("numpy", "torch") if any(best(case, name) for case in cases)]
    labels = {"numpy": "NumPy's time / this", "torch": "PyTorch's time / this"}
    rows = []
    for case in cases:
        ours = best(case, "tfgraph")
        if ours is None:
            continue
        work = case["flops"] or case["moved"]
        ratios_ = [f"{theirs / ours:.2f}" if (theirs := best(case, name)) else NONE for name in references]
        rows.append([
            case["name"],
            _three_digits(ours * 1e6),
            _three_digits(work / ours / 1e9),
            f"{case['floor'] / ours:.0%}",
            *ratios_,
        ])  # fmt: skip
    return table([f"**{group}**", "µs", counted, "of the floor", *(labels[name] for name in references)], rows)


# --- scaling ------------------------------------------------------------------------------------------------------


def _scaling(part: Record, pictures: bool) -> str:
    text = "## Scaling of tfgraph\n\n"
    if pictures:
        text += "![scaling with batch, threads and graph](scaling.png)\n\n"
    batches = sorted({row["batch"] for rows in part["batch"].values() for row in rows})
    rows = []
    for net, measured in part["batch"].items():
        known = {row["batch"]: row for row in measured}
        rows.append([net, *(_three_digits(known[b]["least"] / b * 1e6) if b in known else NONE for b in batches)])
    text += table(["time per sample, µs, at a batch of", *map(str, batches)], rows)
    text += "".join(f"\n\n{line}" for line in part["failures"])
    counts = sorted({int(count) for by_count in part["threads"].values() for count in by_count})
    rows = []
    for net, by_count in part["threads"].items():
        times = [min(by_count[str(count)]) for count in counts]
        rows.append([net, *(_three_digits(time * 1e3) for time in times), f"{times[0] / times[-1]:.2f}"])
    heads = ["step, ms, on", *(f"{count} thread{'s' * (count > 1)}" for count in counts), "speed-up"]
    text += "\n\n" + table(heads, rows)
    rows = [
        [
            f"{row['operations']:,}",
            f"{row['build']:.2f}",
            f"{row['first']:.2f}",
            f"{row['cached']:.3f}",
            _three_digits(row["step"]["least"] * 1e6),
            f"{row['source'] / 1e3:.0f}",
        ]
        for row in part["graph"]
    ]
    heads = ["operations of a run", "building, s", "first run, s", "first run, cached, s", "later runs, µs", "C source, KB"]
    text += "\n\nA chain of small layers in training (products, biases, activations, residual sums, gradients, updates):\n\n"
    return text + table(heads, rows)
