r"""Scores of a prediction: pure functions on float64 arrays ``(frame, neuron)``.

A frame whose target holds a NaN in any neuron (a missing frame) is left out of every sum, for the target and for all
predictions alike. A NaN in a prediction where the target is known is an error: a model that said nothing has no score.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def p_variance(target: ArrayLike, prediction: ArrayLike) -> float:
    r"""Return the share of the variance explained, with all neurons and frames in *one* variance.

    ``p = 1 - MSE / Var``, ``MSE = mean_tj (y_tj - p_tj)^2``, ``Var = mean_tj (y_tj - mean_tj y)^2``.

    The literature's number. It flatters: the differences *between* neurons' means are part of the variance, so that
    each neuron's own time mean already scores well above 0. Read `p_variance_per_neuron` beside it.

    Parameters
    ----------
    target, prediction
        Activity ``(frame, neuron)``, any unit. Frames with a NaN in `target` are left out.

    Raises
    ------
    ValueError
        If the shapes differ, the prediction is not finite, no frame is left, or the target is one constant.
    """
    y, (p,) = _aligned(target, prediction=prediction)
    variance = float(y.var())
    if _vanishes(variance * y.size, y):
        raise ValueError(
            f"`target` is {y.flat[0]:g} in every neuron and frame: its variance is 0, so a share of it means nothing. "
            "Drop constant neurons first, with `recording.drop_dead()`."
        )
    return 1.0 - float(np.mean((y - p) ** 2)) / variance


def p_variance_per_neuron(
    target: ArrayLike, prediction: ArrayLike, *, neurons: Sequence[str] | None = None
) -> NDArray[np.float64]:
    r"""Return the share of each neuron's own variance explained, ``(neuron,)``.

    ``p_j = 1 - mean_t (y_tj - p_tj)^2 / Var_t y_tj``. Each neuron's own time mean scores exactly 0.

    Parameters
    ----------
    target, prediction
        Activity ``(frame, neuron)``, any unit. Frames with a NaN in `target` are left out.
    neurons
        Names for the error message; by default their positions.

    Raises
    ------
    ValueError
        As `p_variance`; and if a neuron is constant over the frames, naming it.
    """
    y, (p,) = _aligned(target, prediction=prediction)
    return _per_neuron(y, p, y.mean(axis=0), neurons)


def r_squared(target: ArrayLike, prediction: ArrayLike, *, reference: ArrayLike) -> float:
    r"""Return ``R^2 = 1 - SSE / SS``, pooled over neurons, with SS around a *given* mean of each neuron.

    ``SSE = sum_tj (y_tj - p_tj)^2``, ``SS = sum_tj (y_tj - reference_j)^2``.

    The reference decides what counts as skill. Around the held-out mean, predicting a drift of the baseline earns
    nothing; around the training mean it does. Say which one was used.

    Parameters
    ----------
    target, prediction
        Activity ``(frame, neuron)``, any unit; pooling weighs neurons by their variance, so standardize before.
        Frames with a NaN in `target` are left out.
    reference
        ``(neuron,)``, in the unit of the target.

    Raises
    ------
    ValueError
        If the shapes differ, an argument is not finite, no frame is left, or SS is 0.
    """
    y, (p,) = _aligned(target, prediction=prediction)
    total = float(np.sum((y - _reference(reference, y)) ** 2))
    if _vanishes(total, y):
        raise ValueError(
            "`target` equals `reference` in every neuron and frame: the sum of squares around it is 0 and R^2 means "
            "nothing. Drop constant neurons first, with `recording.drop_dead()`."
        )
    return 1.0 - float(np.sum((y - p) ** 2)) / total


def r_squared_per_neuron(
    target: ArrayLike, prediction: ArrayLike, *, reference: ArrayLike, neurons: Sequence[str] | None = None
) -> NDArray[np.float64]:
    r"""Return ``R^2_j = 1 - sum_t (y_tj - p_tj)^2 / sum_t (y_tj - reference_j)^2`` of each neuron, ``(neuron,)``.

    Parameters and errors are those of `r_squared`; a neuron whose own sum of squares is 0 is an error that names it
    (by `neurons`, else by position).
    """
    y, (p,) = _aligned(target, prediction=prediction)
    return _per_neuron(y, p, _reference(reference, y), neurons)


def skill(target: ArrayLike, prediction: ArrayLike, baseline: ArrayLike) -> float:
    r"""Return the skill of `prediction` over `baseline`, ``1 - SSE / SSE_baseline``. It needs no mean.

    0 is as good as the baseline, 1 is perfect, below 0 is worse than the baseline.

    Parameters
    ----------
    target, prediction, baseline
        Activity ``(frame, neuron)``, any unit. Frames with a NaN in `target` are left out.

    Raises
    ------
    ValueError
        If the shapes differ, a prediction is not finite, no frame is left, or the baseline makes no error at all.
    """
    y, (p, b) = _aligned(target, prediction=prediction, baseline=baseline)
    error = float(np.sum((y - b) ** 2))
    if error == 0:
        raise ValueError("`baseline` predicts `target` without any error: nothing can have skill over it.")
    return 1.0 - float(np.sum((y - p) ** 2)) / error


def _aligned(target: ArrayLike, **predictions: ArrayLike) -> tuple[Array, list[Array]]:
    """Return target and predictions as float64 on the frames where the target is known."""
    y = np.asarray(target, dtype=np.float64)
    if y.ndim != 2:
        raise ValueError(f"`target` has the shape {y.shape}, but a target is (frame, neuron).")
    known = np.asarray(~np.isnan(y).any(axis=1))
    if not known.any():
        raise ValueError(
            f"`target` of shape {y.shape} has no frame without NaN, so there is nothing to score. A neuron that is NaN "
            "throughout hides all others: drop it with `recording.drop_dead()`."
        )
    if not np.isfinite(y[known]).all():
        raise ValueError("`target` holds infinite values.")
    return y[known], [_prediction(name, value, y.shape, known) for name, value in predictions.items()]


def _prediction(name: str, value: ArrayLike, shape: tuple[int, ...], known: NDArray[np.bool_]) -> Array:
    p = np.asarray(value, dtype=np.float64)
    if p.shape != shape:
        raise ValueError(
            f"`{name}` has the shape {p.shape} but `target` has {shape}: both are (frame, neuron), for the same frames."
        )
    bad = ~np.isfinite(p) & known[:, None]
    if bad.any():
        frame, neuron = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"`{name}` is NaN or infinite at {int(bad.sum())} places where the target is known, the first at frame "
            f"{frame}, neuron {neuron}: a forecast that was not made cannot be scored."
        )
    return p[known]


def _reference(reference: ArrayLike, y: Array) -> Array:
    mean = np.asarray(reference, dtype=np.float64)
    if mean.shape != y.shape[1:]:
        raise ValueError(
            f"`reference` has the shape {mean.shape}, but one mean per neuron, {y.shape[1:]}, is expected."
        )
    if not np.isfinite(mean).all():
        raise ValueError("`reference` holds NaN or infinite values: take the mean over known frames only.")
    return mean


def _per_neuron(y: Array, p: Array, reference: Array, neurons: Sequence[str] | None) -> Array:
    total = np.sum((y - reference) ** 2, axis=0)
    constant = np.flatnonzero([_vanishes(float(total[j]), y[:, j]) for j in range(y.shape[1])])
    if constant.size:
        names = ", ".join(repr(neurons[j]) if neurons is not None else str(j) for j in constant[:8])
        more = f" and {constant.size - 8} more" if constant.size > 8 else ""
        raise ValueError(
            f"the target of neuron {names}{more} is constant over the {len(y)} scored frames: its sum of squares is 0 "
            "and a share of it means nothing. Leave it out, with `recording.drop_dead()` or `recording.select(...)`."
        )
    score: Array = 1.0 - np.sum((y - p) ** 2, axis=0) / total
    return score


def _vanishes(total: float, y: Array) -> bool:
    # the mean of equal numbers differs from them by rounding: 2^-52 of their size, squared
    return total <= 1e-28 * float(np.sum(y**2))
