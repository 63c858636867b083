"""Excitation and inhibition that a neuron receives, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from neurotorch.core.checks import check_positive
from neurotorch.plotting.style import BLACK, EXCITATORY, GREY, INHIBITORY, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_balance(
    excitation: ArrayLike,
    inhibition: ArrayLike,
    *,
    dt: float,
    start: float = 0.0,
    label: str = "current",
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Plot the excitatory and the inhibitory current of one neuron, and what is left of both.

    Parameters
    ----------
    excitation, inhibition
        ``(time,)``, such as ``balance.excitation[:, 0, 5]`` of `neurotorch.analysis.measure_balance`; inhibition is
        negative, as there.
    dt
        Seconds per step.
    start
        Seconds at the first step.
    label
        Of the vertical axis, with its unit if it has one.
    legend
        Whether to name the three above the axes.
    ax
        A new figure unless given.
    """
    e, i = np.asarray(excitation, dtype=np.float64), np.asarray(inhibition, dtype=np.float64)
    check_positive("dt", dt, "s")
    if e.ndim != 1 or e.shape != i.shape or not len(e):
        raise ValueError(
            f"`excitation` has the shape {e.shape} and `inhibition` {i.shape}, but both must be (time,): choose a "
            "sample and a neuron."
        )
    time = start + dt * np.arange(len(e))
    with axes_or_new(ax, (7.0, 2.6)) as own:
        own.axhline(0.0, color=GREY, linewidth=0.5, zorder=0)
        for current, color, name in ((e, EXCITATORY, "excitation"), (i, INHIBITORY, "inhibition")):
            own.fill_between(time, current, color=color, alpha=0.15, linewidth=0)
            own.plot(time, current, color=color, linewidth=1.0, label=name)
        own.plot(time, e + i, color=BLACK, linewidth=1.0, label="sum")
        if len(time) > 1:
            own.set_xlim(time[0], time[-1])
        own.set_xlabel("time (s)")
        own.set_ylabel(label)
        if legend:
            own.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0.2, columnspacing=1.2)
    return own
