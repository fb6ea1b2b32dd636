"""Pictures of the examples as PNG files: learning curves, grids of images, confusion matrices.

Figures are made without pyplot: no display, no global state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ._options import require
from ._report import replacing

INK = "#1f2933"
COLOURS = ("#2563a8", "#d1495b", "#3a8f5c", "#e09f3e")
RIGHT, WRONG = "#2e7d4f", "#c0392b"


@dataclass(frozen=True)
class Curve:
    """Values `y` measured at `x`; `faint` curves stay in the background."""

    x: Sequence[float]
    y: Sequence[float]
    faint: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of axes: its vertical label and the curves by their legend; `percent` shows 0..1 as 0..100 %."""

    label: str
    curves: Mapping[str, Curve]
    percent: bool = False
    logarithmic: bool = False


def new_figure(width: float, height: float, title: str) -> Any:
    """A figure of `width` x `height` inches with its title on top."""
    figure = require("matplotlib.figure", "matplotlib").Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, color=INK, fontsize=13)
    return figure


def save(figure: Any, path: Path) -> Path:
    """Write `figure` to `path` as PNG, whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, facecolor="white")
    return path


def draw_curves(path: Path, title: str, horizontal: str, panels: Sequence[Panel]) -> Path:
    """Learning curves, one pair of axes beside the other; `horizontal` names the common horizontal axis."""
    figure = new_figure(5.6 * len(panels), 4.0, title)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for colour, (name, curve) in zip(COLOURS, panel.curves.items(), strict=False):
            marker = "o" if len(curve.x) <= 40 and not curve.faint else None
            axes.plot(
                curve.x, curve.y, label=name, color=colour, marker=marker, markersize=3.5,
                linewidth=0.8 if curve.faint else 1.8, alpha=0.6 if curve.faint else 1.0,
            )  # fmt: skip
        if panel.logarithmic:
            axes.set_yscale("log")
            plain = require("matplotlib.ticker", "matplotlib").LogFormatter  # 0.6 and not 6 x 10^-1
            axes.yaxis.set_major_formatter(plain())
            axes.yaxis.set_minor_formatter(plain(minor_thresholds=(2, 0.5)))
        if panel.percent:
            axes.yaxis.set_major_formatter(require("matplotlib.ticker", "matplotlib").PercentFormatter(1.0))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel(horizontal)
        axes.set_ylabel(panel.label)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return save(figure, path)


def draw_images(
    path: Path,
    title: str,
    images: np.ndarray,
    captions: Sequence[str],
    *,
    right: Sequence[bool] | None = None,
    points: Mapping[str, np.ndarray] | None = None,
    columns: int = 8,
    inches: float = 1.5,
) -> Path:
    """A grid of images, each under its caption.

    images: (n, height, width) grey or (n, height, width, 3) colour, values 0..1.
    right: colours each caption as right or wrong.
    points: for every legend, (n, k, 2) pixel positions (x, y) drawn over the images; NaN is not drawn.
    """
    rows = -(-len(images) // columns)
    columns = min(columns, len(images))
    figure = new_figure(inches * columns, (inches + 0.2) * rows + 0.6, title)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for number, (axes, image, caption) in enumerate(zip(grid, images, captions, strict=False)):
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        colour = INK if right is None else (RIGHT if right[number] else WRONG)
        axes.set_title(caption, fontsize=9, color=colour, pad=3)
        for mark, colour, (name, positions) in zip("o+", ("#ffd23f", "#ff3b6b"), (points or {}).items(), strict=False):
            axes.scatter(
                positions[number, :, 0], positions[number, :, 1], label=name, marker=mark, color=colour,
                s=6 * inches if mark == "o" else 14 * inches, linewidths=0.9,
            )  # fmt: skip
        axes.set_xlim(-0.5, image.shape[1] - 0.5)
        axes.set_ylim(image.shape[0] - 0.5, -0.5)
    if points:
        handles, names = grid[0].get_legend_handles_labels()
        legend = figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=True, fontsize=9)
        legend.get_frame().set(facecolor="#52606d", edgecolor="none")
        for text in legend.get_texts():
            text.set_color("white")
    return save(figure, path)


def confusion_counts(truth: np.ndarray, guesses: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes) counts: row = what it is, column = what the net says."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, guesses), 1)
    return counts


def draw_confusion(path: Path, title: str, counts: np.ndarray, names: Sequence[str]) -> Path:
    """A confusion matrix, (classes, classes), rows what it is and columns what the net says."""
    size = len(names)
    figure = new_figure(1.9 + 0.5 * size, 1.2 + 0.46 * size, title)
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shown = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if share[row, column] > 0.5 else INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8, color=colour)
    slanted = max(map(len, names)) > 2
    axes.set_xticks(range(size), names, rotation=40 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks(range(size), names)
    axes.set_xlabel("the net says")
    axes.set_ylabel("it is")
    percent = require("matplotlib.ticker", "matplotlib").PercentFormatter(1.0)
    figure.colorbar(shown, ax=axes, shrink=0.8, format=percent, label="share of the row")
    return save(figure, path)
