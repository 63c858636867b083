"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from neurotorch.plotting.style import BLACK, MODEL, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WRITTEN = 20  # classes up to which counts are written into the cells
DARK = 0.3  # fraction above which a cell is dark


def plot_confusion(counts: ArrayLike, *, classes: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """Plot a confusion matrix: colour is the fraction of the true class, the number in a cell counts samples.

    Parameters
    ----------
    counts
        ``(true, predicted)``: samples of a class that were taken for a class.
    classes
        Names of the classes; their numbers unless given.
    ax
        A new figure unless given.

    Raises
    ------
    ValueError
        If `counts` is not square, holds what no count can be, or there are not as many names.
    """
    table = np.asarray(counts)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not len(table):
        raise ValueError(f"`counts` has the shape {table.shape}, but it must be (true, predicted), of equal size.")
    if not (np.isfinite(table).all() and (table >= 0).all()):
        raise ValueError("`counts` holds negative or non-finite numbers, but it must count samples.")
    names = [str(index) for index in range(len(table))] if classes is None else list(classes)
    if len(names) != len(table):
        raise ValueError(f"`counts` has {len(table)} classes, but `classes` names {len(names)}.")
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    total = table.sum(axis=1, keepdims=True)
    fraction = np.divide(table, total, out=np.zeros(table.shape), where=total > 0)
    side = min(2.2 + 0.3 * len(table), 8.5)
    with axes_or_new(ax, (side + 0.6, side)) as own:
        colors = LinearSegmentedColormap.from_list("confusion", ["#FFFFFF", MODEL])
        # The root, so that single mistakes can be seen beside the diagonal.
        image = own.imshow(fraction, cmap=colors, norm=PowerNorm(0.5, 0, 1))
        own.figure.colorbar(image, ax=own, label="fraction of the true class", shrink=0.8)
        places = np.arange(len(table))
        long = max(map(len, names)) > 2
        own.set_xticks(places, names, rotation=90 if long else 0)
        own.set_yticks(places, names)
        own.tick_params(length=0)
        if len(table) <= WRITTEN:
            _write(own, table, fraction)
        own.set_xlabel("predicted class")
        own.set_ylabel("true class")
        samples = table.sum()
        if samples:
            own.set_title(f"accuracy {np.trace(table) / samples:.3f} of {int(samples)} samples")
    return own


def _write(ax: Axes, table: np.ndarray, fraction: np.ndarray) -> None:
    for true, predicted in np.argwhere(table > 0).tolist():
        color = "#FFFFFF" if fraction[true, predicted] > DARK else BLACK
        text = f"{table[true, predicted]:g}"
        size = 7 if len(text) < 4 and len(table) <= 12 else 5.5
        ax.text(predicted, true, text, ha="center", va="center", color=color, fontsize=size)
