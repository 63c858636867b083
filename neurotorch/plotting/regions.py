"""The weights of a population whose neurons lie in named regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurotorch.connections.regions import Regions
from neurotorch.core.checks import check_kind
from neurotorch.plotting.eigenvalues import checked_matrix
from neurotorch.plotting.style import BLACK, axes_or_new
from neurotorch.plotting.weights import plot_weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OTHERS = "in no region"


def region_order(groups: Mapping[str, Sequence[int]], neurons: int) -> tuple[NDArray[np.intp], dict[str, int]]:
    """Return neurons sorted by region, each region as it came, and the size of each; those of no region come last.

    Raises
    ------
    ValueError
        If a neuron lies in two regions or does not exist.
    """
    members = [int(j) for group in groups.values() for j in group]
    outside = [j for j in members if not 0 <= j < neurons]
    if outside:
        raise ValueError(f"`groups` holds neuron {outside[0]}, but there are {neurons}, counted from 0.")
    twice = sorted({j for j in members if members.count(j) > 1})
    if twice:
        raise ValueError(
            f"`groups` holds the neurons {twice[:8]} in more than one region, but each has one place in the figure: "
            "plot regions that do not overlap."
        )
    sizes = {name: len(group) for name, group in groups.items()}
    rest = np.setdiff1d(np.arange(neurons), members)
    if len(rest):
        sizes[OTHERS] = len(rest)
    return np.concatenate([np.asarray(members, dtype=np.intp), rest]), sizes


def plot_regions(
    weight: ArrayLike,
    groups: Regions | Mapping[str, Sequence[int]],
    *,
    limit: float | None = None,
    label: str = "effective weight",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot recurrent weights with neurons sorted by region, borders between regions and their names at both axes.

    Parameters
    ----------
    weight
        ``(post, pre)``, square: columns send, rows receive.
    groups
        The regions, or neurons by the name of each; regions must not overlap.
    limit, label
        As for `plot_weights`.
    title
        Above the axes.
    ax
        A new figure unless given.

    Raises
    ------
    ValueError
        If the matrix is not square, or regions overlap or hold neurons that do not exist.
    """
    matrix = checked_matrix(weight)
    named = groups.groups if isinstance(groups, Regions) else groups
    check_kind("groups", named, Mapping, example="regions.groups")
    order, sizes = region_order(named, len(matrix))
    if matrix.shape != (len(matrix), len(matrix)):
        raise ValueError(f"`weight` has the shape {matrix.shape}, but weights between regions are square.")
    with axes_or_new(ax, (6.4, 5.0)) as own:
        plot_weights(matrix[order][:, order], recurrent=True, limit=limit, label=label, title=title, ax=own)
        ends = np.cumsum(list(sizes.values()))
        for border in ends[:-1] - 0.5:
            own.axvline(border, color=BLACK, linewidth=0.8)
            own.axhline(border, color=BLACK, linewidth=0.8)
        centres = ends - np.asarray(list(sizes.values())) / 2 - 0.5
        own.set_xticks(centres, list(sizes), rotation=90)
        own.set_yticks(centres, list(sizes))
        own.tick_params(length=0)
        own.set_xlabel("from")
        own.set_ylabel("to")
    return own
