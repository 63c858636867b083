"""Membrane potentials with their threshold and spikes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from neurotorch.core.checks import check_positive
from neurotorch.plotting.style import BLACK, MODEL, REFERENCE, several_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 4  # neurons, unless the caller names some


def plot_membranes(
    potential: ArrayLike,
    spikes: ArrayLike | None = None,
    *,
    dt: float,
    threshold: ArrayLike = 1.0,
    neurons: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    quantity: str = "potential",
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Plot the membrane potential of a few neurons below each other, the threshold dashed, spikes as strokes above.

    Parameters
    ----------
    potential
        ``(time, neuron)``, after the reset of each step, as networks hand it out.
    spikes
        ``(time, neuron)``: anything but 0 is a spike.
    dt
        Seconds of a step.
    threshold
        Of all neurons, ``(neuron,)`` or, where it moves, ``(time, neuron)``; 1.
    neurons
        Which to show; the first four unless given.
    names
        Of all neurons; ``neuron 0``, ``neuron 1``, ... unless given.
    quantity
        Label of the vertical axes, with its unit.
    axes
        As many as neurons are shown; a new figure unless given.

    Raises
    ------
    ValueError
        If shapes do not fit or there is no such neuron.
    """
    traces = np.asarray(potential, dtype=np.float64)
    if traces.ndim != 2:
        raise ValueError(f"`potential` has the shape {traces.shape}, but it must be (time, neuron).")
    fired = np.zeros(traces.shape, dtype=bool) if spikes is None else np.asarray(spikes) != 0
    if fired.shape != traces.shape:
        raise ValueError(f"`spikes` has the shape {fired.shape}, but `potential` has {traces.shape}.")
    try:
        levels = np.broadcast_to(np.asarray(threshold, dtype=np.float64), traces.shape)
    except ValueError:
        raise ValueError(
            f"`threshold` has the shape {np.shape(threshold)}, but it must be one number, (neuron,) or (time, neuron) "
            f"= {traces.shape}."
        ) from None
    count = traces.shape[1]
    shown = list(range(min(SHOWN, count))) if neurons is None else list(neurons)
    if not shown or min(shown) < 0 or max(shown) >= count:
        raise ValueError(f"`neurons` is {shown}, but it must name some of the neurons 0..{count - 1}.")
    if names is not None and len(names) != count:
        raise ValueError(f"`names` are {len(names)}, but there are {count} neurons: give one for each.")
    time = np.arange(len(traces)) * check_positive("dt", dt, "s")
    with several_or_new(axes, (len(shown), 1), size=(6.2, 0.6 + 1.2 * len(shown)), share_x=True) as own:
        for ax, neuron in zip(own, shown, strict=True):
            _plot_one(ax, time, traces[:, neuron], levels[:, neuron], fired[:, neuron])
            ax.set_title(f"neuron {neuron}" if names is None else names[neuron])
            ax.set_ylabel(quantity)
        own[-1].set_xlabel("time (s)")
    return own


def _plot_one(ax: Axes, time: np.ndarray, trace: np.ndarray, level: np.ndarray, fired: np.ndarray) -> None:
    ax.plot(time, level, color=REFERENCE, linestyle="--", linewidth=0.9, zorder=1)
    ax.plot(time, trace, color=MODEL, linewidth=1.1, zorder=2)
    low, high = min(trace.min(), level.min()), max(trace.max(), level.max())
    room = (high - low) or 1.0
    ax.vlines(time[fired], high + 0.08 * room, high + 0.3 * room, color=BLACK, linewidth=1.0, zorder=3)
    ax.set_ylim(low - 0.05 * room, high + 0.35 * room)
    ax.set_xlim(0, time[-1] or 1.0)
