"""The picture of the report on GPUs, drawn from the records alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from .frameworks import GPU_FRAMEWORKS

COLOURS = {
    "tfgraph": "#b5202c",
    "tfgraph-fed": "#e8848b",
    "torch": "#004c7f",
    "torch-nhwc": "#3a86c8",
    "torch-compiled": "#9cc8ea",
    "torch-graphed": "#5b4a9c",
    "torch-compiled-graphed": "#a99ad8",
    "jax": "#2f7d4f",
}


def draw(results: dict[str, Any], folder: Path) -> None:
    """gpu.png in `folder`: a panel for each net and precision, a line for each framework, over the batch."""
    cells = results.get("cells", {})
    keys = [key.split("/") for key in cells]
    nets = list(dict.fromkeys(net for net, _, _ in keys))
    precisions = list(dict.fromkeys(precision for _, _, precision in keys))
    if not cells:
        return
    plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
    size = (2.6 * len(nets) + 0.6, 2.2 * len(precisions) + 0.9)
    figure, grid = plt.subplots(len(precisions), len(nets), figsize=size, squeeze=False)
    for row, precision in zip(grid, precisions, strict=True):
        for axes, net in zip(row, nets, strict=True):
            batches = sorted(int(batch) for other, batch, kind in keys if (other, kind) == (net, precision))
            for name in GPU_FRAMEWORKS:
                found = [(b, cells[f"{net}/{b}/{precision}"]["frameworks"].get(name, {})) for b in batches]
                points = [(b, 1e3 * figures["median"]) for b, figures in found if "median" in figures]
                if points:
                    label = GPU_FRAMEWORKS[name].label.replace("`", "")
                    line: dict[str, Any] = {"linewidth": 1.8 if name == "tfgraph" else 1.0, "marker": "o", "markersize": 3}
                    axes.plot(*zip(*points, strict=True), color=COLOURS[name], label=label, **line)
            axes.set(xscale="log", yscale="log", title=f"{net}, {precision}")
            axes.grid(color="#e5e5e5", linewidth=0.6)
    for axes in grid[-1]:
        axes.set_xlabel("batch")
    for axes in grid[:, 0]:
        axes.set_ylabel("ms of a training step")
    handles = {label: line for axes in grid.flat for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.tight_layout()
    figure.legend(handles.values(), handles.keys(), ncols=4, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.0))
    figure.savefig(folder / "gpu.png", bbox_inches="tight")
    plt.close(figure)
