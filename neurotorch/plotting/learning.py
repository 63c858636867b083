"""The learning curve of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neurotorch.core.checks import nearest
from neurotorch.plotting.style import BLACK, GREEN, MODEL, NOTE_SIZE, ORANGE, PURPLE, SPLIT, number, several_or_new

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLORS = (BLACK, MODEL, ORANGE, GREEN, PURPLE)
LINES = ("-", "--", "-.", ":")
LOG_RANGE = 5.0  # losses that fall by more than this factor are drawn on a logarithmic axis
FLOOR = -1.0


def plot_learning(
    history: pd.DataFrame,
    *,
    losses: Sequence[str] = ("loss",),
    scores: Sequence[str] = (),
    score_label: str = "validation score",
    best_epoch: int | None = None,
    floor: float = FLOOR,
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, ...]:
    """Plot losses over epochs and, below them, validation scores, with the best epoch marked.

    Parameters
    ----------
    history
        One row per epoch: ``epoch``, ``loss``, and what else was measured.
    losses
        Columns of the upper axes; smaller is better.
    scores
        Columns of the lower axes, such as a held-out R²; larger is better. Without any there is only one axes.
    score_label
        Label of the lower vertical axis.
    best_epoch
        The epoch to mark: unless given, that with the largest first score, or without scores the smallest last loss.
        0: none, since what training started from was better.
    floor
        Scores below it are not shown (early epochs may lie far below); the figure says how many.
    axes
        One, or two with `scores`; a new figure unless given.

    Returns
    -------
    tuple of Axes
        The losses, then the scores if there are any.

    Raises
    ------
    ValueError
        If `history` is empty or lacks a column.
    """
    _check_columns(history, ("epoch", *losses, *scores))
    epochs = history["epoch"].to_numpy(dtype=np.float64)
    rows = 2 if scores else 1
    with several_or_new(axes, (rows, 1), size=(6.5, 1.0 + 2.1 * rows), share_x=True) as stack:
        _plot_losses(stack[0], history, epochs, losses)
        if scores:
            _plot_scores(stack[1], history, epochs, scores, floor)
            stack[1].set_ylabel(score_label)
            stack[0].tick_params(labelbottom=False)
        _whole_epochs(stack[-1])
        deciding, sign = (scores[0], 1.0) if scores else (losses[-1], -1.0)
        best = _best(history, deciding, sign) if best_epoch is None else best_epoch
        if best == 0:
            stack[0].set_title("best: the start, before any epoch", loc="left")
        elif best is not None:
            _mark_best(stack, history, deciding, best)
    return stack


def _check_columns(history: pd.DataFrame, names: Sequence[str]) -> None:
    if not len(history):
        raise ValueError("`history` has no rows: no epoch has finished.")
    present = [str(name) for name in history.columns]
    for name in names:
        if name not in present:
            raise ValueError(f"`history` has no column {name!r}; it has {present}.{nearest(name, present)}")


def _plot_losses(ax: Axes, history: pd.DataFrame, epochs: NDArray[np.float64], losses: Sequence[str]) -> None:
    drawn = _draw(ax, history, epochs, losses)
    if len(drawn) and drawn.min() > 0 and drawn.max() > LOG_RANGE * drawn.min():
        ax.set_yscale("log")
        _few_log_labels(ax, float(drawn.max() / drawn.min()))
    ax.set_ylabel("loss")
    if len(losses) > 1:
        ax.legend(loc="upper right")


def _plot_scores(
    ax: Axes, history: pd.DataFrame, epochs: NDArray[np.float64], scores: Sequence[str], floor: float
) -> None:
    drawn = _draw(ax, history, epochs, scores)
    below = int((drawn < floor).sum())
    if below and below < len(drawn):
        top = float(drawn.max())
        ax.set_ylim(floor, top + 0.08 * (top - floor))
        text = f"{below} value{'s' if below > 1 else ''} below {number(floor, 1)} not shown"
        ax.set_title(text, loc="right", fontsize=NOTE_SIZE)
    if len(scores) > 1:
        ax.legend(loc="lower right")


def _draw(ax: Axes, history: pd.DataFrame, epochs: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
    """Draw the columns as lines and return their finite values."""
    drawn = []
    for index, name in enumerate(names):
        values = history[name].to_numpy(dtype=np.float64)
        color, line = COLORS[index % len(COLORS)], LINES[index % len(LINES)]
        # Scores may be measured in some epochs only: the line joins those that exist.
        held = np.isfinite(values)
        marker = "o" if held.sum() <= 20 else None
        ax.plot(epochs[held], values[held], color=color, linestyle=line, marker=marker, markersize=3, label=name)
        drawn.append(values[held])
    return np.concatenate(drawn) if drawn else np.empty(0)


def _best(history: pd.DataFrame, name: str, sign: float) -> int | None:
    values = sign * history[name].to_numpy(dtype=np.float64)
    if not np.isfinite(values).any():
        return None
    return int(history["epoch"].iloc[int(np.nanargmax(np.where(np.isfinite(values), values, np.nan)))])


def _mark_best(stack: Sequence[Axes], history: pd.DataFrame, name: str, epoch: int) -> None:
    for ax in stack:
        ax.axvline(epoch, color=SPLIT, linestyle=":", linewidth=1.0, zorder=0)
    rows = history[history["epoch"] == epoch]
    value = float(rows[name].iloc[0]) if len(rows) else float("nan")
    said = f" ({name} {value:.3g})".replace("-", "\N{MINUS SIGN}") if np.isfinite(value) else ""
    if np.isfinite(value):
        stack[-1].plot([epoch], [value], "o", color=COLORS[0], markersize=6, markerfacecolor="white", clip_on=False)
    stack[0].set_title(f"best epoch: {epoch}{said}", loc="left")


def _few_log_labels(ax: Axes, factor: float) -> None:
    """Label 1, 2 and 5 times each power of ten where there are few powers, and only the powers where there are many."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if factor < 300 else (1.0,)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _whole_epochs(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("epoch")
