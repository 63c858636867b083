"""The weights of a connection, sorted by presynaptic type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurotorch.plotting.eigenvalues import checked_matrix, plot_eigenvalues
from neurotorch.plotting.style import (
    BLACK,
    EXCITATORY,
    FREE,
    INHIBITORY,
    axes_or_new,
    several_or_new,
    sign_colormap,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TYPES = ((1, "excitatory", EXCITATORY), (-1, "inhibitory", INHIBITORY), (0, "free", FREE))
SHOWN_PERCENTILE = 99.0  # of the non-zero magnitudes: a few large weights must not make the others white


def type_order(signs: ArrayLike) -> NDArray[np.intp]:
    """Return the order of neurons: excitatory (+1), inhibitory (-1), then free (0), each as they came."""
    values = np.asarray(signs)
    unknown = values[~np.isin(values, (-1, 0, 1))]
    if values.ndim != 1 or unknown.size:
        what = f"holds {unknown.flat[0]}" if unknown.size else f"has the shape {values.shape}"
        raise ValueError(f"`signs` {what}, but it must hold +1, -1 or 0 (free) for each presynaptic neuron.")
    return np.concatenate([np.flatnonzero(values == sign) for sign, _, _ in TYPES])


def plot_weights(
    weight: ArrayLike,
    *,
    signs: ArrayLike | None = None,
    recurrent: bool | None = None,
    limit: float | None = None,
    label: str = "effective weight",
    title: str | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Plot a weight matrix with presynaptic neurons sorted by type, in colours centred at 0.

    Parameters
    ----------
    weight
        ``(post, pre)``.
    signs
        ``(pre,)`` types of the presynaptic neurons: +1 excitatory, -1 inhibitory, 0 free. Nothing is sorted without
        them.
    recurrent
        Whether rows are the same neurons as columns and are sorted alike; if the matrix is square, unless given.
    limit
        Magnitude at the ends of the colour bar; the 99th percentile of the non-zero magnitudes unless given. An arrow
        on the colour bar says that there are larger ones.
    label
        Of the colour bar, with its unit if it has one.
    title
        Above the axes.
    legend
        Whether to name the types above the axes.
    ax
        A new figure unless given.
    """
    matrix = checked_matrix(weight)
    same = matrix.shape[0] == matrix.shape[1] if recurrent is None else recurrent
    if same and matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"`weight` has the shape {matrix.shape}, but recurrent weights are square.")
    types = None if signs is None else np.asarray(signs)
    if types is not None:
        order = type_order(types)
        if len(order) != matrix.shape[1]:
            raise ValueError(
                f"`signs` holds {len(order)} types, but `weight` has {matrix.shape[1]} presynaptic neurons."
            )
        matrix = matrix[order][:, order] if same else matrix[:, order]
    largest = float(np.abs(matrix).max())
    bound = _shown_limit(matrix) if limit is None else limit
    with axes_or_new(ax, (5.0, 4.6)) as own:
        image = own.imshow(
            matrix, cmap=sign_colormap(), vmin=-bound, vmax=bound, aspect="equal" if same else "auto", origin="upper"
        )
        beyond = "both" if largest > bound * (1 + 1e-9) else "neither"
        # An inset is as high as the matrix, also where the axes are narrower than their place in a grid.
        bar = own.figure.colorbar(image, cax=own.inset_axes((1.03, 0.0, 0.04, 1.0)), extend=beyond)
        bar.set_label(label)
        own.set_xlabel("presynaptic neuron")
        own.set_ylabel("postsynaptic neuron")
        _whole_ticks(own)
        for spine in own.spines.values():
            spine.set_visible(True)
        if types is not None:
            _mark_types(own, types, rows=same, legend=legend)
        if title is not None:
            own.set_title(title, loc="left", pad=None if types is None else 26 if legend else 10)
    return own


def plot_connectivity(
    weight: ArrayLike,
    *,
    signs: ArrayLike | None = None,
    label: str = "effective weight",
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Plot a recurrent weight matrix ``(post, pre)`` (as `plot_weights`) and, beside it, its eigenvalues."""
    with several_or_new(axes, (1, 2), size=(9.0, 4.4), widths=(1.15, 1)) as (left, right):
        plot_weights(weight, signs=signs, recurrent=True, label=label, ax=left)
        plot_eigenvalues(weight, ax=right)
    return left, right


def _shown_limit(matrix: NDArray[np.float64]) -> float:
    magnitudes = np.abs(matrix[matrix != 0])
    return float(np.percentile(magnitudes, SHOWN_PERCENTILE)) if len(magnitudes) else 1.0


def _whole_ticks(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))


def _mark_types(ax: Axes, types: NDArray[np.generic], *, rows: bool, legend: bool) -> None:
    """Draw the borders between types, a coloured strip over each type and its name and count above."""
    from matplotlib.lines import Line2D

    start, handles = 0, []
    for sign, name, color in TYPES:
        count = int((types == sign).sum())
        if not count:
            continue
        if start:
            ax.axvline(start - 0.5, color=BLACK, linewidth=0.8)
            if rows:
                ax.axhline(start - 0.5, color=BLACK, linewidth=0.8)
        strip: dict[str, Any] = {"color": color, "linewidth": 4, "solid_capstyle": "butt", "clip_on": False}
        ax.plot([start - 0.5, start + count - 0.5], [1.015, 1.015], transform=ax.get_xaxis_transform(), **strip)
        handles.append(Line2D([], [], color=color, linewidth=4, label=f"{name} ({count})"))
        start += count
    if legend:
        ax.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1.02), ncols=3, borderaxespad=0.3, handlelength=1.2,
        columnspacing=1.2,
    )  # fmt: skip
