"""How a measure falls as connections are removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neurotorch.core.checks import check_fraction, nearest
from neurotorch.plotting.style import OTHERS, REFERENCE, STRATEGIES, axes_or_new, scaled_axis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LABELS_HEIGHT = 34  # points, of tick labels and axis label together
MARKERS = ("o", "s", "^", "D", "v", "P")


def plot_ablation(
    table: pd.DataFrame,
    *,
    metric: str = "metric",
    label: str | None = None,
    coverage: float = 1.0,
    ax: Axes | None = None,
) -> Axes:
    """Plot a measure against the fraction of connections removed, one line per strategy.

    Parameters
    ----------
    table
        As `AblationStudy.run` returns it: ``strategy``, ``repeat``, ``fraction``, ``removed``, ``connections`` and the
        measure.
    metric
        Column of the measure.
    label
        Of the vertical axis, with its unit; the column's name unless given.
    coverage
        Of the band around the mean over repeats: 1 spans the smallest to the largest, 0.95 the central 95 %. The
        legend says which. It shows what chance does to this one model, not a confidence interval.
    ax
        A new figure unless given.

    Raises
    ------
    ValueError
        If `table` is empty or lacks a column.
    """
    _check_columns(table, metric)
    check_fraction("coverage", coverage)
    with axes_or_new(ax, (6.4, 3.8)) as own:
        for index, (strategy, rows) in enumerate(table.groupby("strategy", sort=False)):
            _draw_strategy(own, str(strategy), rows, metric, coverage, index)
        _draw_intact(own, table, metric)
        edge = 0.025 * max(float(table["fraction"].max()), 0.01)
        own.set_xlim(-edge, float(table["fraction"].max()) + edge)
        own.set_xlabel("fraction of connections removed")
        own.set_ylabel(metric if label is None else label)
        _counts_axis(own, table)
        _legend_below(own)
    return own


def _check_columns(table: pd.DataFrame, metric: str) -> None:
    present = [str(name) for name in table.columns]
    for name in ("strategy", "repeat", "fraction", "connections", metric):
        if name not in present:
            raise ValueError(f"`table` has no column {name!r}; it has {present}.{nearest(name, present)}")
    if not len(table):
        raise ValueError("`table` has no rows: no lesion was measured.")


def _draw_strategy(ax: Axes, strategy: str, rows: pd.DataFrame, metric: str, coverage: float, index: int) -> None:
    grid = rows.pivot_table(index="fraction", columns="repeat", values=metric, aggfunc="mean", dropna=False)
    values: NDArray[np.float64] = grid.to_numpy(dtype=np.float64)
    fractions = grid.index.to_numpy(dtype=np.float64)
    repeats, lacking = values.shape[1], int(rows[metric].isna().sum())
    color = STRATEGIES.get(strategy, OTHERS[index % len(OTHERS)])
    # A fraction where a repeat has no value has no mean: leaving it out would flatter the lesion.
    mean = values.mean(axis=1)
    if repeats > 1:
        tail = (1.0 - coverage) / 2
        low, high = np.quantile(values, [tail, 1.0 - tail], axis=1)
        ax.fill_between(fractions, low, high, color=color, alpha=0.22, linewidth=0)
    ax.plot(
        fractions, mean, color=color, marker=MARKERS[index % len(MARKERS)], markersize=4,
        label=_said(strategy, repeats, lacking, len(rows), coverage),
    )  # fmt: skip


def _said(strategy: str, repeats: int, lacking: int, lesions: int, coverage: float) -> str:
    text = strategy
    if repeats > 1:
        band = "smallest to largest" if coverage == 1 else f"central {100 * coverage:g} %"
        text += f": mean of {repeats} repeats, band: {band}"
    return f"{text} ({lacking} of {lesions} without a value)" if lacking else text


def _draw_intact(ax: Axes, table: pd.DataFrame, metric: str) -> None:
    intact = table.loc[table["fraction"] == 0, metric].mean()
    if np.isfinite(intact):
        ax.axhline(float(intact), color=REFERENCE, linestyle=":", linewidth=1.0, zorder=0, label="intact network")


def _counts_axis(ax: Axes, table: pd.DataFrame) -> None:
    """Add an axis with the number of connections removed, if all rows speak of networks of one size."""
    counts = table["connections"].unique()
    if len(counts) != 1 or counts[0] <= 0:
        ax.set_title("connections: " + ", ".join(f"{count:,}" for count in sorted(counts)), loc="left")
        return
    total = int(counts[0])
    top = scaled_axis(ax, total)
    top.xaxis.set_major_formatter(lambda count, _: f"{round(count):,}")
    top.set_xlabel(f"connections removed, of {total:,}")


def _legend_below(ax: Axes) -> None:
    """Put the legend below the label of the horizontal axis: curves may be anywhere inside the axes."""
    from matplotlib.transforms import ScaledTranslation

    down = ScaledTranslation(0, -LABELS_HEIGHT / 72, ax.figure.dpi_scale_trans)
    ax.legend(loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=ax.transAxes + down, borderaxespad=0)
