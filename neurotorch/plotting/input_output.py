"""What a network was shown, what it fired, and what it made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from neurotorch.plotting.raster import events_of, plot_raster
from neurotorch.plotting.style import GREY, MODEL, VERMILLION, several_or_new, sign_colormap

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_input_output(
    inputs: Any,
    outputs: Any,
    *,
    dt: float,
    readout: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    label: int | None = None,
    signs: ArrayLike | None = None,
    picture: ArrayLike | None = None,
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Plot input spikes, the spikes of the network below them and, below these, its readout of each class.

    Parameters
    ----------
    inputs
        Events or an array (time, channel), as `plot_raster` takes them; an array of other than whole numbers is a
        current, drawn in shades.
    outputs
        Of the network, (time, neuron) or events.
    dt
        Seconds of a step of what is an array.
    readout
        ``(time, class)``, unless there is nothing to show of it.
    classes
        Names of the classes; their numbers unless given.
    label
        The class of the sample: its readout is blue, and the largest other one vermillion.
    signs
        Types of the neurons of `outputs`, as `plot_raster` takes them.
    picture
        The image ``(row, column)`` that `inputs` are an encoding of: drawn in their place, in grey levels.
    axes
        Two, or three with `readout`; a new figure unless given.

    Returns
    -------
    tuple of Axes
        Input, output, and the readout if there is one.
    """
    panels = 2 if readout is None else 3
    heights = (1.2, 1.0, 0.8)[:panels]
    end = max(events_of(each, dt=dt, rows=None)[3] for each in (inputs, outputs))
    size = (6.2, 1.9 * panels)
    with several_or_new(axes, (panels, 1), size=size, heights=heights, share_x=picture is None) as own:
        if picture is not None:
            _plot_picture(own[0], np.asarray(picture))
        elif _is_current(inputs):
            _plot_current(own[0], np.asarray(inputs), dt)
        else:
            plot_raster(inputs, dt=dt, duration=end, quantity="input channel", ax=own[0])
        plot_raster(outputs, dt=dt, duration=end, signs=signs, quantity="neuron", ax=own[1])
        if readout is not None:
            _plot_readout(own[2], np.asarray(readout), dt, classes, label)
            own[2].set_xlim(0, end or 1.0)
        for ax in own[:-1]:
            ax.set_xlabel("")
        own[-1].set_xlabel("time (s)")
    return own


def _is_current(inputs: Any) -> bool:
    values = None if isinstance(inputs, tuple) else np.asarray(inputs)
    return values is not None and bool((values != np.round(values)).any())


def _plot_picture(ax: Axes, picture: np.ndarray) -> None:
    if picture.ndim != 2:
        raise ValueError(f"`picture` has the shape {picture.shape}, but it must be (row, column).")
    ax.imshow(picture, cmap="Greys", interpolation="nearest")
    ax.set_axis_off()


def _plot_current(ax: Axes, current: np.ndarray, dt: float) -> None:
    signed = bool((current < 0).any())
    largest = float(np.abs(current).max())
    ax.imshow(
        current.T,
        aspect="auto",
        origin="lower",
        extent=(0, len(current) * dt, -0.5, current.shape[1] - 0.5),
        interpolation="nearest",
        cmap=sign_colormap() if signed else "Greys",
        vmin=-largest if signed else 0,
        vmax=largest,
    )
    ax.set_ylabel("input channel")


def _plot_readout(ax: Axes, readout: np.ndarray, dt: float, classes: Sequence[str] | None, label: int | None) -> None:
    if readout.ndim != 2:
        raise ValueError(f"`readout` has the shape {readout.shape}, but it must be (time, class).")
    names = [str(index) for index in range(readout.shape[1])] if classes is None else list(classes)
    if len(names) != readout.shape[1]:
        raise ValueError(f"`readout` has {readout.shape[1]} classes, but `classes` names {len(names)}.")
    if label is not None and not 0 <= label < len(names):
        raise ValueError(f"`label` is {label}, but classes are 0..{len(names) - 1}.")
    time = np.arange(len(readout)) * dt
    mean = readout.mean(axis=0)
    rivals = [index for index in np.argsort(-mean).tolist() if index != label]
    named = {} if label is None else {label: (MODEL, f"{names[label]} (true)")}
    if rivals:
        named[rivals[0]] = (VERMILLION, names[rivals[0]])
    for index in range(len(names)):
        color, text = named.get(index, (GREY, None))
        strong = index in named
        ax.plot(time, readout[:, index], color=color, label=text, linewidth=1.6 if strong else 0.7, zorder=2 + strong)
    ax.set_ylabel("readout")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
