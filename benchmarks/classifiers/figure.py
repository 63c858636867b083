"""The results of `classification.py` as a figure: accuracy of every way in every row, and learning curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

COLOURS = {"ours": "#0072B2", "norse": "#2ca02c", "snntorch": "#9467bd", "svm": "#7f7f7f"}
OTHERS = ("#0072B2", "#D55E00", "#E69F00")


def draw_figure(results: list[dict[str, Any]], path: Path) -> None:
    """Write a figure: a row of points for each row of the table, its mean as a bar and the aim as a dotted line."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    lines = [(row, way) for row in results for way in row["ways"]]
    figure, ax = plt.subplots(figsize=(7.5, 0.9 + 0.32 * len(lines)), layout="constrained")
    for place, (row, way) in enumerate(lines):
        colour = COLOURS.get(way, OTHERS[list(row["ways"]).index(way) % len(OTHERS)])
        scores = [each["accuracy"] for each in row["runs"] if each["way"] == way and "accuracy" in each]
        ax.plot(scores, [place] * len(scores), "o", color=colour, alpha=0.6, markersize=4)
        ax.plot([row["ways"][way]["mean"]] * 2, [place - 0.35, place + 0.35], color=colour, linewidth=2)
        if row["aim"] is not None:
            ax.plot([row["aim"]] * 2, [place - 0.5, place + 0.5], ":", color="black", linewidth=1)
    ax.set_yticks(range(len(lines)), [f"{row['row']}, {way}" for row, way in lines])
    ax.invert_yaxis()
    ax.set_xlabel("accuracy on the test part (dotted: the aim)")
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
