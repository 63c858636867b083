"""Recorded activity against the model's, for the best, the median and the worst neuron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurotorch.core.checks import check_positive
from neurotorch.plotting.style import LIGHT_GREY, MODEL, RECORDED, SPLIT, axes_or_new, number, several_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LATE_SPLIT = 0.85  # beyond this part of the axis the label "held out" does not fit on the right of the split


def ranked_neurons(scores: ArrayLike) -> dict[str, int]:
    """Return the indices of the ``best``, ``median`` and ``worst`` neuron by score.

    Neurons without a score (NaN) are passed over unless there are no others. Of fewer than three neurons only
    ``best`` and ``worst`` are left, of one only ``only``.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"`scores` has the shape {values.shape}, but it must hold one score per neuron.")
    scored = np.flatnonzero(np.isfinite(values))
    order = scored[np.argsort(values[scored], kind="stable")] if len(scored) else np.arange(len(values))[:1]
    if len(order) == 1:
        return {"only": int(order[0])}
    worst, median, best = int(order[0]), int(order[(len(order) - 1) // 2]), int(order[-1])
    return {"best": best, "worst": worst} if len(order) == 2 else {"best": best, "median": median, "worst": worst}


def plot_traces(
    recorded: ArrayLike,
    model: ArrayLike,
    *,
    dt: float,
    split: int,
    scores: ArrayLike,
    names: Sequence[str] | None = None,
    model_label: str = "model",
    quantity: str = "activity",
    score_label: str = "held-out R²",
    neurons: Mapping[str, int] | None = None,
    window: tuple[int, int] | None = None,
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Plot recorded and modelled activity of a few neurons below each other, with the split marked.

    Parameters
    ----------
    recorded
        ``(time, neuron)``.
    model
        ``(time, neuron)``; NaN where nothing was predicted, which leaves a gap.
    dt
        Seconds per frame.
    split
        The first held-out frame, 0 to the number of frames.
    scores
        ``(neuron,)`` score of each neuron, such as its held-out R²; NaN where it has none.
    names
        Of all neurons; ``neuron 0``, ``neuron 1``, ... unless given.
    model_label
        What the model's trace is, such as ``"8-frame forecast"``.
    quantity
        Label of the vertical axes, with its unit, such as ``"ΔF/F"``.
    score_label
        What `scores` are, as the titles say it.
    neurons
        Which to show: a word for each and its index. The best, the median and the worst by score unless given.
    window
        First frame to show and the one after the last; all unless given.
    axes
        As many as neurons are shown; a new figure unless given.

    Returns
    -------
    tuple of Axes
        One per neuron, from the top.
    """
    x, y, values = _checked(recorded, model, scores)
    labels = [f"neuron {index}" for index in range(x.shape[1])] if names is None else list(names)
    if len(labels) != x.shape[1]:
        raise ValueError(f"`names` holds {len(labels)} names, but the recording has {x.shape[1]} neurons.")
    shown = ranked_neurons(values) if neurons is None else dict(neurons)
    size = (7.5, 0.7 + 1.5 * len(shown))
    with several_or_new(axes, (len(shown), 1), size=size, share_x=True) as stack:
        for ax, (rank, index) in zip(stack, shown.items(), strict=True):
            plot_trace(x[:, index], y[:, index], dt=dt, split=split, model_label=model_label, window=window, ax=ax)
            ax.set_ylabel(quantity)
            word = labels[index] if rank == "only" else f"{rank}: {labels[index]}"
            ax.set_title(f"{word}, {score_label} = {number(values[index])}", loc="left")
            if ax is not stack[-1]:
                ax.set_xlabel("")
                ax.tick_params(labelbottom=False)
        _label_split(stack[0], split * dt)
        _legend_below(stack[-1])
    return stack


def plot_trace(
    recorded: ArrayLike,
    model: ArrayLike,
    *,
    dt: float,
    split: int,
    model_label: str = "model",
    window: tuple[int, int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot recorded and modelled activity ``(time,)`` of one neuron; parameters as in `plot_traces`."""
    x, y = np.asarray(recorded, dtype=np.float64), np.asarray(model, dtype=np.float64)
    check_positive("dt", dt, "s")
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"`recorded` has the shape {x.shape} and `model` {y.shape}, but both must be (time,).")
    if not 0 <= split <= len(x):
        raise ValueError(f"`split` is frame {split}, but the recording has {len(x)} frames.")
    start, stop = (0, len(x)) if window is None else window
    if not 0 <= start < stop <= len(x):
        raise ValueError(f"`window` is {start} to {stop}, but the recording has the frames 0 to {len(x)}.")
    time = np.arange(start, stop) * dt
    with axes_or_new(ax, (7.5, 2.2)) as own:
        if split < stop:
            own.axvspan(max(split, start) * dt, stop * dt, color=LIGHT_GREY, linewidth=0, zorder=0)
        if start < split < stop:
            own.axvline(split * dt, color=SPLIT, linestyle="--", linewidth=1.0, zorder=1)
        own.plot(time, x[start:stop], color=RECORDED, linewidth=0.9, label="recorded")
        own.plot(time, y[start:stop], color=MODEL, linewidth=1.2, alpha=0.9, label=model_label)
        own.set_xlim(start * dt, stop * dt)
        own.set_xlabel("time (s)")
        own.set_ylabel("activity")
    return own


def _checked(
    recorded: ArrayLike, model: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    x, y, values = (np.asarray(array, dtype=np.float64) for array in (recorded, model, scores))
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"`recorded` has the shape {x.shape}, but it must be (time, neuron) and not empty.")
    if y.shape != x.shape:
        raise ValueError(
            f"`model` has the shape {y.shape} but `recorded` {x.shape}: fill frames without a prediction with NaN."
        )
    if values.shape != x.shape[1:]:
        raise ValueError(f"`scores` has the shape {values.shape}, but the recording has {x.shape[1]} neurons.")
    return x, y, values


def _label_split(ax: Axes, split: float) -> None:
    """Name the two sides of the split in a free strip at the top of `ax`."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.22 * (high - low))
    left, right = ax.get_xlim()
    place = (split - left) / (right - left)
    common: dict[str, Any] = {
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "va": "top",
        "fontsize": "small",
    }
    if place > 0:
        ax.annotate("training", (0, 1), xytext=(4, -2), ha="left", color=SPLIT, **common)
    if place < 1:
        text, side, shift = ("held out", "left", 4)
        if place > LATE_SPLIT:
            text, side, shift = ("held out \N{RIGHTWARDS ARROW}", "right", -4)
        ax.annotate(text, (max(place, 0), 1), xytext=(shift, -2), ha=side, color=SPLIT, **common)


def _legend_below(ax: Axes) -> None:
    """Put the legend on the right of the label of the time axis, where there is no data."""
    ax.xaxis.set_label_text("time (s)")
    ax.xaxis.label.set_horizontalalignment("left")
    ax.xaxis.label.set_x(0.0)
    legend = ax.legend(loc="upper right", bbox_to_anchor=(1, 0), borderaxespad=1.8, ncols=2)
    for line in legend.get_lines():
        line.set_linewidth(2.0)
