"""What figures over forecast horizons share: reading the scores, the axis in frames and seconds, clipped values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurotorch.core.checks import check_positive
from neurotorch.plotting.style import GREY, LIGHT_GREY, NOTE_SIZE, number, scaled_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Values = NDArray[np.float64]
Scores = Mapping[int, Mapping[str, Any]]

FLOOR = -1.0
EDGE = 1.35  # the axis goes on beyond its first and last horizon by this factor


def read_horizons(held_out: Mapping[str, Any]) -> Scores:
    """Return the scores of the object ``held_out`` of ``report.json`` by horizon in frames, sorted."""
    horizons = held_out.get("horizons")
    if not horizons:
        raise ValueError(
            f"`held_out` has the keys {list(held_out)}, but it must have `horizons`, the scores by frames ahead: pass "
            "the object `held_out` of report.json."
        )
    return {int(key): horizons[key] or {} for key in sorted(horizons, key=int)}


def read_number(value: float | None) -> float:
    """Return a number of a report, NaN for null."""
    return float("nan") if value is None else float(value)


def set_horizon_axis(ax: Axes, scores: Scores, *, dt: float | None = None, names: Sequence[str] | None = None) -> None:
    """Give the horizontal axis one tick per horizon, with a name below each, and with `dt` an upper one in seconds.

    Horizons that double are evenly spaced.
    """
    from matplotlib.ticker import NullLocator

    horizons = np.asarray(list(scores), dtype=np.float64)
    labels = [f"{horizon:g}" for horizon in horizons]
    if names is not None:
        labels = [f"{label}\n{name}" for label, name in zip(labels, names, strict=True)]
    ax.set_xscale("log", base=2)
    ax.set_xticks(horizons, labels)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(horizons.min() / EDGE, horizons.max() * EDGE)
    ax.set_xlabel("frames ahead")
    if dt is not None:
        step = check_positive("dt", dt, "s")
        top = scaled_axis(ax, step)
        top.set_xticks(horizons * step, [f"{horizon * step:.3g}" for horizon in horizons])
        top.xaxis.set_minor_locator(NullLocator())
        top.set_xlabel("seconds ahead")


def set_limits_above(ax: Axes, curves: Sequence[Values], floor: float) -> bool:
    """Fit the vertical axis to the values above `floor`; if some lie below, leave a grey zone and return True."""
    values = np.concatenate([*curves, np.zeros(1)])
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    if low >= floor:
        margin = 0.08 * max(high - low, 0.1)
        ax.set_ylim(low - margin, high + margin)
        return False
    span = high - floor
    ax.set_ylim(floor - 0.3 * span, high + 0.08 * span)
    ax.axhspan(floor - 0.3 * span, floor, color=LIGHT_GREY, linewidth=0, zorder=0)
    ax.set_yticks([tick for tick in ax.get_yticks() if floor <= tick <= high + 0.08 * span])
    return True


@dataclass(frozen=True)
class Clipped:
    """A value below the floor: where its curve ends, its colour and what it is."""

    x: float
    color: str
    value: float


def write_clipped(ax: Axes, horizon: float, clipped: Sequence[Clipped], floor: float) -> None:
    """Draw a triangle at `floor` for each value below it and write the values under it, from left to right."""
    alone = len(clipped) == 1
    for index, point in enumerate(sorted(clipped, key=lambda point: point.x)):
        ax.plot([point.x], [floor], "v", color=point.color, markerfacecolor="white", markersize=6, zorder=5)
        shift = 12.0 * (index - (len(clipped) - 1) / 2)
        ax.annotate(
            _short(point.value), (point.x if alone else horizon, floor), xytext=(shift, -5), textcoords="offset points",
            rotation=0 if alone else 90, ha="center", va="top", fontsize=NOTE_SIZE, color=point.color,
        )  # fmt: skip


def _short(value: float) -> str:
    return number(value, 1) if abs(value) < 100 else f"{value:.0e}".replace("-", "\N{MINUS SIGN}")


def write_not_scored(ax: Axes, horizon: float) -> None:
    """Say that there is no score at `horizon`."""
    ax.text(
        horizon, 0.6, "not scored", transform=ax.get_xaxis_transform(), rotation=90, ha="center", va="center",
        fontsize=NOTE_SIZE, color=GREY, bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
    )  # fmt: skip
