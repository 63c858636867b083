"""One figure that tells a fit: traces, scores by horizon, weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from neurotorch.plotting.eigenvalues import plot_eigenvalues
from neurotorch.plotting.horizons import plot_horizons
from neurotorch.plotting.recovery import plot_recovery
from neurotorch.plotting.style import keep_ticks, new_figure, style
from neurotorch.plotting.traces import plot_traces, ranked_neurons
from neurotorch.plotting.weights import plot_weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure


def plot_overview(
    recorded: ArrayLike,
    model: ArrayLike,
    *,
    held_out: Mapping[str, Any],
    dt: float,
    split: int,
    scores: ArrayLike,
    names: Sequence[str] | None = None,
    model_label: str = "model",
    quantity: str = "activity",
    window: tuple[int, int] | None = None,
    weight: ArrayLike | None = None,
    true_weight: ArrayLike | None = None,
    signs: ArrayLike | None = None,
    true_signs: ArrayLike | None = None,
) -> dict[str, Axes]:
    """Compose traces, held-out R² by horizon and the weights into one figure.

    Parameters
    ----------
    recorded, model, dt, split, scores, names, model_label, quantity, window
        As in `plot_traces`.
    held_out
        As in `plot_horizons`.
    weight
        Effective weights ``(post, pre)`` of the fit, square. Without them the lower row is left out.
    true_weight
        The weights of the simulated network, if it is known: then the lower row shows the true matrix, the recovered
        one and one against the other, else the matrix and its eigenvalues.
    signs
        ``(pre,)`` types of the fit's neurons.
    true_signs
        ``(pre,)`` types of the true neurons; `signs` unless given. Both matrices are sorted by them.

    Returns
    -------
    dict
        Axes by name: ``best``, ``median``, ``worst``, ``horizons``, and ``weights``, ``true_weights``, ``recovery`` or
        ``eigenvalues`` where drawn. Of fewer neurons see `ranked_neurons`. The whole is
        saved by ``save_figure(axes["horizons"].figure, path)``.
    """
    if true_weight is not None and weight is None:
        raise ValueError("`true_weight` is given without `weight`: there is nothing to compare it with.")
    heights = [4.0] if weight is None else [4.0, 3.2]
    rows = len(heights)
    with style():
        figure = new_figure((10.5, sum(heights)))
        upper, *lower = figure.subfigures(rows, 1, squeeze=False, height_ratios=heights)[:, 0]
        left, right = upper.subfigures(1, 2, width_ratios=(1.25, 1))
        shown = ranked_neurons(scores)
        stack = left.subplots(len(shown), 1, squeeze=False, sharex=True)
        traces = plot_traces(
            recorded, model, dt=dt, split=split, scores=scores, names=names, model_label=model_label, quantity=quantity,
            neurons=shown, window=window, axes=list(stack.flat),
        )  # fmt: skip
        axes = dict(zip(shown, traces, strict=True))
        axes["horizons"] = plot_horizons(held_out, dt=dt, ax=right.subplots())
        if weight is not None:
            axes |= _lower_row(lower[0], weight, true_weight, signs, true_signs)
        keep_ticks(figure)
    return axes


def _lower_row(
    band: SubFigure,
    weight: ArrayLike,
    true_weight: ArrayLike | None,
    signs: ArrayLike | None,
    true_signs: ArrayLike | None,
) -> dict[str, Axes]:
    if true_weight is None:
        left, right = band.subplots(1, 2)
        return {
            "weights": plot_weights(weight, signs=signs, ax=left),
            "eigenvalues": plot_eigenvalues(weight, ax=right),
        }
    types = signs if true_signs is None else true_signs
    first, second, third = band.subplots(1, 3, width_ratios=(1.1, 1.1, 1))
    return {
        "true_weights": plot_weights(
            true_weight, signs=types, label="weight", title="true weights", legend=False, ax=first
        ),
        "weights": plot_weights(
            weight, signs=types, label="weight", title="recovered weights", legend=False, ax=second
        ),
        "recovery": plot_recovery(true_weight, weight, signs=types, ax=third),
    }
