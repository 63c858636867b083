"""The results of `classification.py` as a figure: accuracy, seconds and spikes of every way in every row.

python -m classifiers.figure mnist.json spoken.json --out figure.png  # in the folder above
"""

from __future__ import annotations

import argparse
import json
from itertools import groupby
from pathlib import Path
from typing import Any

from classifiers.rows import ROWS

COLOURS = {"ours": "#0072B2", "norse": "#2ca02c", "snntorch": "#9467bd", "svm": "#7f7f7f"}
OTHERS = ("#0072B2", "#D55E00", "#E69F00")
COLUMNS = {
    "accuracy": "accuracy on the test part",
    "processor_seconds": "processor seconds of training",
    "spikes_per_inference": "spikes per sample",
}
TITLES = {
    ("mnist", "parts"): "MNIST",
    ("fashion-mnist", "parts"): "Fashion-MNIST",
    ("spoken-digits", "folds"): "Spoken digits, five folds",
    ("spoken-digits", "speakers"): "Spoken digits, one speaker left out",
}


def draw_figure(results: list[dict[str, Any]], path: Path) -> None:
    """Write a figure: a point for each training, the mean as a bar, the aim as a dotted line; a panel for each task."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    ordered = sorted(results, key=lambda row: list(TITLES).index(_task(row)))
    panels = [(TITLES[task], list(rows)) for task, rows in groupby(ordered, key=_task)]
    heights = [sum(len(row["ways"]) for row in rows) for _, rows in panels]
    figure, axes = plt.subplots(
        len(panels),
        len(COLUMNS),
        figsize=(9.5, 0.75 * len(panels) + 0.21 * sum(heights)),
        height_ratios=heights,
        layout="constrained",
        squeeze=False,
    )
    for line, (title, rows) in enumerate(panels):
        for ax, column in zip(axes[line], COLUMNS, strict=True):
            _draw_panel(ax, rows, column, names=column == "accuracy")
            if line == len(panels) - 1:
                ax.set_xlabel(COLUMNS[column], fontsize=8)
        axes[line][0].set_title(title, loc="left", fontsize=9)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _task(row: dict[str, Any]) -> tuple[str, str]:
    chosen = ROWS[row["row"]]
    return chosen.data, chosen.divided


def _draw_panel(ax: Any, rows: list[dict[str, Any]], column: str, *, names: bool) -> None:
    lines = [(row, way) for row in rows for way in row["ways"]]
    for place, (row, way) in enumerate(lines):
        colour = COLOURS.get(way, OTHERS[list(row["ways"]).index(way) % len(OTHERS)])
        found = [each[column] for each in row["runs"] if each["way"] == way and column in each]
        if found:
            ax.plot(found, [place] * len(found), "o", color=colour, alpha=0.5, markersize=3.5, mew=0)
            ax.plot([sum(found) / len(found)] * 2, [place - 0.35, place + 0.35], color=colour, linewidth=2)
        if column == "accuracy" and row["aim"] is not None:
            ax.plot([row["aim"]] * 2, [place - 0.5, place + 0.5], ":", color="black", linewidth=1)
    ax.set_yticks(range(len(lines)), [f"{row['row']}: {way}" if names else "" for row, way in lines])
    ax.set_ylim(len(lines) - 0.4, -0.6)
    if column != "accuracy":
        _from_zero(ax)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)


def _from_zero(ax: Any) -> None:
    """Begin the axis at 0, or make it logarithmic where values differ by more than a factor of ten."""
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    if ax.dataLim.x1 < 10 * ax.dataLim.x0:
        ax.set_xlim(0, 1.05 * ax.dataLim.x1)
        return
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_formatter(NullFormatter())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="what `classification.py` wrote")
    parser.add_argument("--out", type=Path, required=True, help="the figure to write")
    asked = parser.parse_args()
    draw_figure([row for file in asked.files for row in json.loads(file.read_text())["results"]], asked.out)
