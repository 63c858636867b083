"""What accuracy costs: against the steps of time and against the spikes that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurotorch.core.checks import nearest
from neurotorch.plotting.style import OTHERS, several_or_new

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MARKERS = ("o", "s", "^", "D", "v", "P")
COLUMNS = ("setting", "steps", "spikes", "accuracy")


def plot_accuracy_cost(table: pd.DataFrame, *, axes: Sequence[Axes] | None = None) -> tuple[Axes, Axes]:
    """Plot accuracy against steps and against spikes per inference, one line per setting.

    A point is the mean over the rows (such as seeds) of one setting and number of steps; bars reach from the smallest
    to the largest.

    Parameters
    ----------
    table
        A row for each run: ``setting`` (text), ``steps``, ``spikes`` (mean number per inference) and ``accuracy``
        (0..1).
    axes
        Two; a new figure unless given. The legend stands on the right of the second.

    Returns
    -------
    tuple of Axes
        Against steps, against spikes.

    Raises
    ------
    ValueError
        If `table` is empty or lacks a column.
    """
    present = [str(name) for name in table.columns]
    for name in COLUMNS:
        if name not in present:
            raise ValueError(f"`table` has no column {name!r}; it has {present}.{nearest(name, present)}")
    if not len(table):
        raise ValueError("`table` has no rows: nothing was measured.")
    with several_or_new(axes, (1, 2), size=(8.0, 3.2)) as own:
        left, right = own
        for index, (setting, rows) in enumerate(table.groupby("setting", sort=False)):
            color, marker = OTHERS[index % len(OTHERS)], MARKERS[index % len(MARKERS)]
            grid, spikes, accuracy = _points(rows)
            left.errorbar(grid, accuracy[0], yerr=accuracy[1:], color=color, marker=marker, capsize=2)
            right.errorbar(
                spikes[0],
                accuracy[0],
                xerr=spikes[1:],
                yerr=accuracy[1:],
                color=color,
                marker=marker,
                capsize=2,
                label=str(setting),
            )
        left.set_xlabel("steps")
        right.set_xlabel("spikes per inference")
        for ax in own:
            ax.set_ylabel("accuracy")
        steps = np.unique(table["steps"].to_numpy(dtype=np.float64))
        if len(steps) > 1:
            left.set_xscale("log", base=2)
            left.set_xticks(steps, [f"{step:g}" for step in steps])
            left.set_xticks([], minor=True)
        right.set_xlim(left=0)
        right.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
    return left, right


def _points(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the steps and, of spikes and accuracy, the mean and how far the extremes lie below and above."""
    groups = rows.groupby("steps")
    found = []
    for name in ("spikes", "accuracy"):
        mean, least, most = (getattr(groups[name], how)().to_numpy(dtype=np.float64) for how in ("mean", "min", "max"))
        found.append(np.stack([mean, np.maximum(mean - least, 0.0), np.maximum(most - mean, 0.0)]))
    spikes, accuracy = found
    return np.unique(rows["steps"].to_numpy(dtype=np.float64)), spikes, accuracy
