"""One look for all figures: a colour-blind-safe palette with fixed roles, sizes, and a safe way to save.

The colours are those of Okabe & Ito (https://jfly.uni-koeln.de/color/). A colour keeps its role in every figure;
baselines of one family share a colour and differ in marker and line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from neurotorch.core.storage import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axes._secondary_axes import SecondaryAxis
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure as Figure
    from matplotlib.figure import SubFigure

BLACK, GREY, LIGHT_GREY = "#222222", "#7F7F7F", "#EFEFEF"
ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"

RECORDED, MODEL, WITHOUT_CONNECTIONS = BLACK, BLUE, SKY
EXCITATORY, INHIBITORY, FREE = VERMILLION, BLUE, GREY
SPLIT, REFERENCE = GREY, GREY
OTHERS = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION, SKY)

DPI = 150
SETTINGS: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "figure.constrained_layout.use": True,
    "lines.linewidth": 1.3,
    "lines.markersize": 5,
}
TICK_LABEL_SIZE = SETTINGS["xtick.labelsize"]
NOTE_SIZE = 7.5


@dataclass(frozen=True)
class Look:
    """How one curve is drawn and what it is called."""

    label: str
    color: str
    marker: str
    line: str = "-"


BASELINES = {
    "mean": Look("training mean", GREY, "x", ":"),
    "persistence": Look("persistence", ORANGE, "P"),
    "ar": Look("AR, iterated", GREEN, "^"),
    "ar_direct": Look("AR, direct", GREEN, "v", "--"),
    "ridge_var": Look("ridge VAR", PURPLE, "D"),
    "low_rank": Look("low-rank VAR", PURPLE, "d", "--"),
}
STRATEGIES = {"weakest": BLUE, "random": ORANGE, "strongest": VERMILLION}


def baseline_look(name: str) -> Look:
    """Return the look of a baseline; one that is not known is black and dotted, under its own name."""
    return BASELINES.get(name, Look(name, BLACK, "*", ":"))


@contextmanager
def style() -> Iterator[None]:
    """Draw in the look of this package; the user's own ``rcParams`` are back afterwards, whatever happens.

    A figure made here without axes of yours uses it by itself. Wrap your own ``subplots`` in it to get the same look.
    """
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        cast(dict[str, Any], mpl.rcParams).update(SETTINGS)
        yield


def save_figure(figure: Figure | SubFigure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG with 150 dots per inch, atomically.

    Parameters
    ----------
    figure
        Such as ``ax.figure``; of a part of a figure the whole is saved.
    path
        A name that ends in ``.png``; a file that exists is replaced in one step.

    Raises
    ------
    ValueError
        If `path` does not end in ``.png``.
    OSError
        If it could not be written: then what was there is unchanged.
    """
    if Path(path).suffix.lower() != ".png":
        raise ValueError(
            f"`path` is {os.fspath(path)!r}, but figures are saved as PNG: name it with the ending `.png`."
        )
    whole = figure.figure  # a figure is its own
    with style():
        write_atomically(
            path, lambda temporary: whole.savefig(temporary, dpi=DPI, format="png", metadata={"Software": None})
        )


def new_figure(size: tuple[float, float]) -> Figure:
    """Return an empty figure of `size` inches with constrained layout, which pyplot does not know."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


@contextmanager
def axes_or_new(ax: Axes | None, size: tuple[float, float]) -> Iterator[Axes]:
    """Yield `ax` under the caller's settings, or the axes of a new figure of `size` inches under `style`."""
    if ax is not None:
        yield ax
        return
    with style():
        figure = new_figure(size)
        yield figure.add_subplot()
        keep_ticks(figure)


@contextmanager
def several_or_new(
    axes: Sequence[Axes] | None,
    shape: tuple[int, int],
    *,
    size: tuple[float, float],
    heights: Sequence[float] | None = None,
    widths: Sequence[float] | None = None,
    share_x: bool = False,
) -> Iterator[tuple[Axes, ...]]:
    """Yield `axes`, or those of a new figure with `shape` (rows, columns), in reading order.

    Raises
    ------
    ValueError
        If the number of `axes` is not that of `shape`.
    """
    needed = shape[0] * shape[1]
    if axes is not None:
        given = tuple(axes)
        if len(given) != needed:
            raise ValueError(f"`axes` holds {len(given)} axes, but this figure needs {needed}.")
        yield given
        return
    with style():
        figure = new_figure(size)
        grid = figure.subplots(*shape, squeeze=False, sharex=share_x, height_ratios=heights, width_ratios=widths)
        yield tuple(grid.flat)
        keep_ticks(figure)


def keep_ticks(figure: Figure) -> None:
    """Fix the size of tick labels, which matplotlib makes only when it draws, after `style` has ended."""
    for ax in figure.axes:
        for each in (ax, *ax.child_axes):
            each.tick_params(which="both", labelsize=TICK_LABEL_SIZE)


def scaled_axis(ax: Axes, factor: float) -> SecondaryAxis:
    """Add an upper axis which shows the horizontal one multiplied by `factor`."""
    top = ax.secondary_xaxis("top", functions=(lambda x: np.asarray(x) * factor, lambda x: np.asarray(x) / factor))
    top.spines["top"].set_visible(True)
    return top


def sign_colormap() -> Colormap:
    """Return the diverging map of signed weights: inhibitory blue, white at 0, excitatory vermillion."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = ["#00395C", INHIBITORY, "#9CCAE6", "#FFFFFF", "#F4BC94", EXCITATORY, "#6B2F00"]
    return LinearSegmentedColormap.from_list("inhibitory_excitatory", stops)


def number(value: float, digits: int = 2) -> str:
    """Return `value` with a typographic minus and `digits` decimals, or ``undefined`` if it is not finite."""
    text = f"{value:.{digits}f}"
    return "undefined" if "n" in text else text.replace("-", "\N{MINUS SIGN}")
