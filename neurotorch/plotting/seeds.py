"""Learning curves over seeds: the mean, and how far chance spreads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurotorch.core.checks import nearest
from neurotorch.plotting.style import OTHERS, axes_or_new

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def plot_seeds(
    histories: Mapping[str, Sequence[pd.DataFrame]],
    *,
    column: str,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot a measure over epochs: for each setting a thin line for each seed and a thick one for their mean.

    Parameters
    ----------
    histories
        For each setting the history of each seed: ``epoch`` and the measure, NaN where it was not measured. The mean is
        that of the seeds that were measured at an epoch, up to the last epoch that all of them reached.
    column
        The measure.
    label
        Of the vertical axis, with its unit; the column's name unless given.
    ax
        A new figure unless given. The legend stands on the right of it.

    Raises
    ------
    ValueError
        If there is no history, or one lacks the column.
    """
    if not histories or not all(len(each) for each in histories.values()):
        raise ValueError(f"`histories` must hold at least one history for each setting, but holds {list(histories)}.")
    with axes_or_new(ax, (6.4, 3.4)) as own:
        for index, (setting, tables) in enumerate(histories.items()):
            color = OTHERS[index % len(OTHERS)]
            curves = [_curve(table, column) for table in tables]
            for epochs, values in curves:
                own.plot(epochs, values, color=color, linewidth=0.6, alpha=0.6, zorder=2)
            epochs, mean = _mean(curves)
            seeds = f"{len(tables)} seed{'' if len(tables) == 1 else 's'}"
            own.plot(epochs, mean, color=color, linewidth=2.0, zorder=3, label=f"{setting} ({seeds})")
        own.set_xlabel("epoch")
        own.set_ylabel(column if label is None else label)
        own.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
    return own


def _curve(table: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    present = [str(name) for name in table.columns]
    for name in ("epoch", column):
        if name not in present:
            raise ValueError(f"A history has no column {name!r}; it has {present}.{nearest(name, present)}")
    measured = table[table[column].notna()]
    return measured["epoch"].to_numpy(dtype=np.float64), measured[column].to_numpy(dtype=np.float64)


def _mean(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    last = min((float(epochs.max()) for epochs, _ in curves if len(epochs)), default=0.0)
    epochs = np.unique(np.concatenate([epochs for epochs, _ in curves]))
    epochs = epochs[epochs <= last]
    means = [np.mean([value for at, values in curves for value in values[at == epoch]]) for epoch in epochs]
    return epochs, np.asarray(means, dtype=np.float64)
