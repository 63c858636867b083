"""Recovered weights against true ones, for simulated recordings whose network is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurotorch.plotting.style import FREE, GREY, axes_or_new, number
from neurotorch.plotting.weights import TYPES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_recovery(
    true_weight: ArrayLike, weight: ArrayLike, *, signs: ArrayLike | None = None, ax: Axes | None = None
) -> Axes:
    """Plot each recovered weight against the true one, with the correlation over all of them.

    Parameters
    ----------
    true_weight, weight
        ``(post, pre)``. Of square matrices the diagonal, where fits of recordings have no connection, is left out.
    signs
        ``(pre,)`` types of the presynaptic neurons, which colour the points.
    ax
        A new figure unless given.
    """
    true, found = np.asarray(true_weight, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    if true.shape != found.shape or true.ndim != 2:
        raise ValueError(f"`true_weight` has the shape {true.shape} and `weight` {found.shape}: both are (post, pre).")
    types = np.zeros(true.shape[1]) if signs is None else np.asarray(signs)
    if types.shape != true.shape[1:]:
        raise ValueError(f"`signs` has the shape {types.shape}, but there are {true.shape[1]} presynaptic neurons.")
    kept = np.ones(true.shape, dtype=np.bool_)
    if true.shape[0] == true.shape[1]:
        np.fill_diagonal(kept, False)
    with axes_or_new(ax, (3.8, 3.6)) as own:
        own.axhline(0.0, color=GREY, linewidth=0.5, zorder=0)
        own.axvline(0.0, color=GREY, linewidth=0.5, zorder=0)
        for sign, name, color in TYPES:
            chosen = kept & (types == sign)[None, :]
            label = None if signs is None else name
            if chosen.any():
                color = FREE if signs is None else color
                own.plot(
                    true[chosen], found[chosen], "o", color=color, markersize=2, markeredgewidth=0, alpha=0.5,
                    label=label, rasterized=True,
                )  # fmt: skip
        own.set_xlabel("true weight")
        own.set_ylabel("recovered weight")
        own.set_title(f"correlation {number(_correlation(true[kept], found[kept]))}", loc="left")
        if signs is not None:
            own.legend(loc="best", markerscale=2.5, handletextpad=0.1)
    return own


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
