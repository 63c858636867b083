"""The results of `training_step.py` as a figure: time and memory of every peer at every size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peers.table import FLOORS, ORDER, by_model, size_of

COLOURS = {
    "ours": "#d62728",
    "recomputed": "#ff9896",
    "scan": "#e377c2",
    "autograd": "#1f77b4",
    "norse": "#2ca02c",
    "snntorch": "#9467bd",
    "published": "#8c564b",
    "products": "#000000",
    "numpy-products": "#7f7f7f",
}
MARKERS = {"ours": "o", "recomputed": "s", "scan": "^", "products": "|", "numpy-products": "|"}


def draw_figure(report: dict[str, Any], path: Path) -> None:
    """Write a figure with a column per model: above milliseconds, below mebibytes, both on a logarithmic axis."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    grouped = by_model(report["results"])
    longest = max(grouped.values(), key=len)
    rows = len(longest)
    figure, axes = plt.subplots(
        2,
        len(grouped),
        figsize=(max(3.6 * len(grouped) + 1.4, 9), 2 * max(0.5 * rows + 0.9, 2)),
        squeeze=False,
        sharey=True,
        sharex="row",
        layout="constrained",
    )
    present = [name for name in ORDER if any(name in result["median"] for result in report["results"])]
    for column, (model, results) in enumerate(grouped.items()):
        for row, (quantity, unit) in enumerate((("time of a step", "ms"), ("memory of a step", "MiB"))):
            axis = axes[row, column]
            for name in reversed(present):  # ours on top
                axis.plot(
                    [_value(result, name, row) for result in results],
                    range(len(results)),
                    MARKERS.get(name, "D"),
                    color=COLOURS[name],
                    markersize=12 if name in FLOORS else 7,
                    markeredgewidth=2 if name in FLOORS else 0.5,
                    label=name,
                )
            axis.set(xscale="log", xlabel=f"{quantity}, {unit}", ylim=(rows - 0.5, -0.5))
            axis.set_yticks(range(rows), [size_of(result["setting"]) for result in longest])
            axis.grid(axis="x", which="both", alpha=0.25)
            axis.set_title(model if not row else "")
    for axis in axes[:, 0]:
        axis.set_ylabel("neurons, batch, steps")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _value(result: dict[str, Any], name: str, row: int) -> float:
    """Return the time (row 0) or the memory of a peer, NaN where there is none: the products keep nothing."""
    if row == 0:
        return result["median"].get(name, float("nan"))
    if name in FLOORS or name not in result["mebibytes"]:
        return float("nan")
    return result["mebibytes"][name]["step"]
