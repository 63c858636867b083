"""Spikes as dots: a neuron or channel a row, time to the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurotorch.core.checks import check_positive
from neurotorch.plotting.style import BLACK, EXCITATORY, FREE, INHIBITORY, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 60  # rows up to which a spike is a stroke as high as its row, and not a dot


def plot_raster(
    spikes: Any,
    *,
    dt: float | None = None,
    rows: int | None = None,
    signs: ArrayLike | None = None,
    duration: float | None = None,
    quantity: str = "neuron",
    ax: Axes | None = None,
) -> Axes:
    """Plot spikes over time.

    Parameters
    ----------
    spikes
        A list of events as a tuple that begins with times in seconds (spike,) and rows (spike,), such as a
        `SpikeTrain`; or an array (time, row), where anything but 0 is a spike, drawn at the beginning of its step.
    dt
        Seconds of a step; for an array.
    rows
        Number of rows; for events, the largest one there is unless given.
    signs
        ``(row,)``: +1 excitatory, -1 inhibitory, 0 free, which colours the rows.
    duration
        End of the time axis in seconds; the end of the array, or the last spike, unless given.
    quantity
        What a row is.
    ax
        A new figure unless given.

    Raises
    ------
    ValueError
        If shapes do not fit, or there is no `dt` for an array.
    """
    from matplotlib.ticker import MaxNLocator

    times, units, height, end = events_of(spikes, dt=dt, rows=rows)
    colors = _colors(signs, height)
    with axes_or_new(ax, (6.2, 3.0)) as own:
        shown = [BLACK] if colors is None else [color for color in (EXCITATORY, INHIBITORY, FREE) if color in colors]
        for color in shown:
            chosen = np.ones(len(units), dtype=bool) if colors is None else colors[units] == color
            if height <= FEW:
                own.vlines(times[chosen], units[chosen] - 0.4, units[chosen] + 0.4, color=color, linewidth=1.0)
            else:
                own.plot(times[chosen], units[chosen], "o", color=color, markersize=max(1.0, 200 / height), mew=0)
        own.set_xlim(0, (end if duration is None else check_positive("duration", duration, "s")) or 1.0)
        own.set_ylim(-0.5, height - 0.5)
        own.yaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        own.set_xlabel("time (s)")
        own.set_ylabel(quantity)
    return own


def events_of(
    spikes: Any, *, dt: float | None, rows: int | None
) -> tuple[NDArray[np.float64], NDArray[np.int64], int, float]:
    """Return times, rows, the number of rows and the end in seconds of spikes in either form."""
    if isinstance(spikes, tuple):
        times, units = np.asarray(spikes[0], dtype=np.float64), np.asarray(spikes[1], dtype=np.int64)
        if times.ndim != 1 or times.shape != units.shape:
            raise ValueError(
                f"`spikes` holds times of shape {times.shape} and rows of shape {units.shape}: one of each for a spike."
            )
        height = int(units.max(initial=0)) + 1 if rows is None else rows
        end = float(times.max(initial=0))
    else:
        dense = np.asarray(spikes)
        if dense.ndim != 2:
            raise ValueError(
                f"`spikes` has the shape {dense.shape}, but it must be (time, row), or a tuple of times and rows."
            )
        if dt is None:
            raise ValueError("`spikes` is an array, which says nothing of time: pass `dt`, the seconds of a step.")
        steps, units = np.nonzero(dense)
        times = (steps * check_positive("dt", dt, "s")).astype(np.float64)
        height = dense.shape[1]
        end = len(dense) * dt
    if len(units) and not (units.min() >= 0 and units.max() < height):
        raise ValueError(f"`spikes` reaches from row {units.min()} to {units.max()}, but there are {height} rows.")
    return times, units, height, end


def _colors(signs: ArrayLike | None, rows: int) -> NDArray[np.str_] | None:
    if signs is None:
        return None
    values = np.asarray(signs)
    if values.shape != (rows,):
        raise ValueError(f"`signs` has the shape {values.shape}, but there are {rows} rows: give one sign each.")
    return np.where(values > 0, EXCITATORY, np.where(values < 0, INHIBITORY, FREE))
