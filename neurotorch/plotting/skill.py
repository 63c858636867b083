"""Skill over the best baseline by horizon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neurotorch.plotting.horizon_axis import (
    FLOOR,
    Clipped,
    Values,
    read_horizons,
    read_number,
    set_horizon_axis,
    set_limits_above,
    write_clipped,
    write_not_scored,
)
from neurotorch.plotting.style import MODEL, REFERENCE, axes_or_new, baseline_look, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVEL = 0.95  # of intervals that do not say theirs


def plot_skill(
    held_out: Mapping[str, Any], *, dt: float | None = None, floor: float = FLOOR, ax: Axes | None = None
) -> Axes:
    """Plot the skill over the best baseline by horizon with its interval.

    Above 0 the model is better. Below each horizon stands the baseline that was the best there.

    Parameters
    ----------
    held_out
        The object ``held_out`` of ``report.json``: ``horizons`` maps frames to ``skill``, an object with ``over``,
        ``value``, ``interval`` (two numbers or None) and ``level``, or None.
    dt, floor, ax
        As in `plot_horizons`.
    """
    scores = read_horizons(held_out)
    skills = [score.get("skill") or {} for score in scores.values()]
    values = np.asarray([read_number(skill.get("value")) for skill in skills])
    intervals = np.asarray([_interval(skill) for skill in skills])
    with axes_or_new(ax, (5.6, 2.5)) as own:
        own.axhline(0.0, color=REFERENCE, linewidth=0.8, zorder=1)
        clipped = set_limits_above(own, [values, *intervals.T], floor)
        for horizon, value, (low, high) in zip(scores, values, intervals, strict=True):
            if not np.isfinite(value):
                write_not_scored(own, horizon)
                continue
            _draw_interval(own, horizon, low, high, floor)
            if value < floor:
                write_clipped(own, horizon, [Clipped(horizon, MODEL, value)], floor)
            else:
                known = bool(np.isfinite(low) and np.isfinite(high))
                own.plot(
                    [horizon], [value], "o", color=MODEL, markersize=6, markerfacecolor=MODEL if known else "white"
                )
        names = [baseline_look(skill["over"]).label if skill.get("over") else "" for skill in skills]
        set_horizon_axis(own, scores, dt=dt, names=names)
        own.set_ylabel("skill")
        own.set_title(_title(skills, values, intervals, floor if clipped else None), loc="left")
    return own


def _interval(skill: Mapping[str, Any]) -> tuple[float, float]:
    low, high = skill.get("interval") or (None, None)
    return read_number(low), read_number(high)


def _draw_interval(ax: Axes, horizon: float, low: float, high: float, floor: float) -> None:
    """Draw what of an interval lies above the floor; an end below it has no cap."""
    if not (np.isfinite(low) and high > floor):
        return
    ends = [end for end in (low, high) if end >= floor]
    ax.plot([horizon, horizon], [max(low, floor), high], color=MODEL, linewidth=1.6)
    ax.plot([horizon] * len(ends), ends, "_", color=MODEL, markersize=8, markeredgewidth=1.6)


def _title(skills: list[Mapping[str, Any]], values: Values, intervals: Values, floor: float | None) -> str:
    levels = {skill["level"] for skill in skills if skill.get("level") is not None} or {LEVEL}
    percent = " or ".join(f"{100 * level:g}" for level in sorted(levels))
    title = f"skill over the best baseline (named below), {percent} % interval"
    notes = []
    if (np.isfinite(values) & ~np.isfinite(intervals).all(axis=1)).any():
        notes.append("hollow circle: no interval")
    if floor is not None:
        notes.append(f"triangle: below {number(floor, 1)}, value written")
    return "\n".join([title, "; ".join(notes)]) if notes else title
