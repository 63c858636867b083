"""Held-out R² by horizon: the model beside the model without connections and the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurotorch.plotting.horizon_axis import (
    FLOOR,
    Clipped,
    Scores,
    Values,
    read_horizons,
    read_number,
    set_horizon_axis,
    set_limits_above,
    write_clipped,
    write_not_scored,
)
from neurotorch.plotting.skill import plot_skill
from neurotorch.plotting.style import (
    BLACK,
    MODEL,
    REFERENCE,
    WITHOUT_CONNECTIONS,
    Look,
    axes_or_new,
    baseline_look,
    number,
    several_or_new,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

APART = 0.055  # octaves between curves at the same horizon, so that equal points can be told apart


def plot_horizons(
    held_out: Mapping[str, Any],
    *,
    dt: float | None = None,
    floor: float = FLOOR,
    model_label: str = "model",
    ax: Axes | None = None,
) -> Axes:
    """Plot the held-out R² of the model, of the model without connections and of all baselines by horizon.

    Curves are set a little apart sideways, so that points of equal height are all seen.

    Parameters
    ----------
    held_out
        The object ``held_out`` of ``report.json``: ``horizons`` maps frames to ``r2``, ``without_connections`` and
        ``baselines``, each a number or None. A horizon without ``r2`` is named as not scored.
    dt
        Seconds per frame; with it the upper axis is in seconds.
    floor
        Values below it are drawn there as a triangle, with the value written below.
    model_label
        What the model is called.
    ax
        A new figure unless given. The legend stands on the right of it.
    """
    scores = read_horizons(held_out)
    horizons = np.asarray(list(scores), dtype=np.float64)
    curves = [(look, values) for look, values in _curves(scores, model_label) if np.isfinite(values).any()]
    with axes_or_new(ax, (6.8, 3.6)) as own:
        own.axhline(0.0, color=REFERENCE, linewidth=0.8, zorder=1)
        clipped = set_limits_above(own, [values for _, values in curves], floor)
        shifts = _shifts(horizons, len(curves))
        for (look, values), shift in zip(curves, shifts, strict=True):
            _draw(own, horizons * shift, look, values, floor)
        for place, horizon in enumerate(horizons):
            below = [
                Clipped(horizon * shift, look.color, values[place])
                for (look, values), shift in zip(curves, shifts, strict=True)
                if values[place] < floor
            ]
            write_clipped(own, horizon, below, floor)
        if clipped:
            text = f"below {number(floor, 1)}: value written"
            own.plot([], [], "v", color=BLACK, markerfacecolor="white", label=text)
        set_horizon_axis(own, scores, dt=dt)
        for horizon in (h for h, score in scores.items() if score.get("r2") is None):
            write_not_scored(own, horizon)
        own.set_ylabel("held-out R²")
        if curves:
            own.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0, handlelength=2.6)
    return own


def plot_held_out(
    held_out: Mapping[str, Any],
    *,
    dt: float | None = None,
    floor: float = FLOOR,
    model_label: str = "model",
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Plot R² by horizon (`plot_horizons`) and, below it, the skill over the best baseline (`plot_skill`)."""
    with several_or_new(axes, (2, 1), size=(6.8, 5.6), heights=(1.8, 1)) as (upper, lower):
        plot_horizons(held_out, dt=dt, floor=floor, model_label=model_label, ax=upper)
        plot_skill(held_out, floor=floor, ax=lower)
        upper.set_xlabel("")
    return upper, lower


def _curves(scores: Scores, model_label: str) -> list[tuple[Look, Values]]:
    model = Look(model_label, MODEL, "o")
    without = Look("without connections", WITHOUT_CONNECTIONS, "s")
    names = dict.fromkeys(name for score in scores.values() for name in score.get("baselines") or {})
    rows = scores.values()
    found = [(model, [row.get("r2") for row in rows]), (without, [row.get("without_connections") for row in rows])]
    found += [(baseline_look(name), [(row.get("baselines") or {}).get(name) for row in rows]) for name in names]
    return [(look, np.asarray([read_number(value) for value in values])) for look, values in found]


def _shifts(horizons: Values, curves: int) -> Values:
    """Return the factor by which each curve is moved, less where horizons are close; the first one stays in place."""
    gap = float(np.diff(np.log2(horizons)).min()) if len(horizons) > 1 else 1.0
    order = np.asarray([0, *(sign * step for step in range(1, curves) for sign in (1, -1))][:curves])
    shifts: Values = 2.0 ** (APART * min(1.0, gap) * order)
    return shifts


def _draw(ax: Axes, horizons: Values, look: Look, values: Values, floor: float) -> None:
    strong = look.color in (MODEL, WITHOUT_CONNECTIONS)
    held = np.where(values < floor, np.nan, values)  # the triangle stands for the marker of a clipped value
    order = 4 if look.color == MODEL else 3 if strong else 2
    width = 2.0 if strong else 1.1
    ax.plot(horizons, np.maximum(values, floor), color=look.color, linestyle=look.line, linewidth=width, zorder=order)
    ax.plot(horizons, held, color=look.color, linestyle="", marker=look.marker, markersize=5.5, zorder=order)
    ax.plot([], [], color=look.color, linestyle=look.line, linewidth=width, marker=look.marker, label=look.label)
