"""Choices by rolling-origin cross-validation: always fitted on the past, always scored on the block that follows.

Reference: Hyndman & Athanasopoulos, Forecasting: Principles and Practice (3rd edition), section 5.10.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from neurotorch.core.checks import check_count, check_fraction
from neurotorch.data.recording import Recording
from neurotorch.evaluation.forecaster import HORIZONS, Forecaster, origins_between

Setting = TypeVar("Setting", bound=Hashable)


@dataclass(frozen=True)
class Fold:
    """One fold: fit on ``recording[:start]``, score forecasts from and into the block ``[start, stop)``.

    Attributes
    ----------
    recording
        The training recording up to the end of the block, so that forecasts from its first frames have a past.
    start
        First frame of the block.
    """

    recording: Recording
    start: int

    def fit_part(self) -> Recording:
        """Return the frames before the block."""
        return self.recording.window(0, self.start)

    def squared_error(
        self, forecaster: Forecaster, *, horizons: Sequence[int] = HORIZONS
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return the summed squared errors ``(horizon, neuron)`` and the number of forecasts ``(horizon,)``.

        A forecast that is not finite counts as an infinite error.
        """
        stop = self.recording.frames
        activity = self.recording.activity
        errors = np.zeros((len(horizons), activity.shape[1]))
        counts = np.zeros(len(horizons), dtype=np.intp)
        offered = [h for h in horizons if origins_between(self.recording, self.start, stop, horizon=h).size]
        if not offered:
            return errors, counts
        origins = origins_between(self.recording, self.start, stop, horizon=min(offered))
        forecasts = forecaster.forecast(self.recording, origins, max(offered))
        for i, horizon in enumerate(horizons):
            if horizon not in offered:
                continue
            scored = np.isin(origins, origins_between(self.recording, self.start, stop, horizon=horizon))
            with np.errstate(over="ignore", invalid="ignore"):  # a forecast that exploded: rejected below, not repaired
                squared = (forecasts[scored, horizon - 1] - activity[origins[scored] + horizon]) ** 2
            errors[i] = np.where(np.isfinite(squared), squared, np.inf).sum(axis=0)
            counts[i] = int(scored.sum())
        return errors, counts


def rolling_origin(recording: Recording, *, folds: int = 3, first: float = 0.5) -> tuple[Fold, ...]:
    """Return the folds of a training recording.

    The first fold fits on the fraction `first` of the frames; what follows is cut into `folds` blocks of equal length,
    and every fold fits on all that precedes its block. No fold sees a frame after its block.

    Parameters
    ----------
    recording
        The training part, nothing else.
    folds
        Number of blocks.
    first
        Fraction of the frames that are never validated, 0..1.

    Raises
    ------
    ValueError
        If the recording is too short for a block of two frames each (one to forecast from, one to forecast).
    """
    check_count("folds", folds)
    check_fraction("first", first)
    frames = recording.frames
    borders = np.linspace(round(first * frames), frames, folds + 1).round().astype(int)
    if borders[0] < 2 or np.diff(borders).min() < 2:
        raise ValueError(
            f"the training recording has {frames} frames, but {folds} folds after the first {first:g} of it need at "
            f"least two frames each: give a longer recording or fewer `folds`."
        )
    return tuple(Fold(recording.window(0, int(stop)), int(start)) for start, stop in itertools.pairwise(borders))


def cross_validate(
    recording: Recording,
    candidates: Callable[[Recording], Mapping[Setting, Forecaster]],
    *,
    horizons: Sequence[int] = HORIZONS,
    folds: Sequence[Fold] | None = None,
) -> dict[Setting, NDArray[np.float64]]:
    """Return the cross-validated error of each setting at each horizon, ``(horizon,)``.

    The error is the squared forecast error in units of each neuron's variance over `recording`, averaged over all
    forecasts of all folds and over neurons with equal weight: about 1 for forecasts no better than the mean.
    A neuron that is constant has no weight. A horizon at which no fold holds a forecast is NaN.

    Parameters
    ----------
    recording
        The training part, nothing else.
    candidates
        Fits every setting on the recording it is handed and returns the forecasters by setting: all settings in one
        call, so that they can share a decomposition. A setting the recording cannot support is left out. For one
        model fit, return ``{"model": forecaster}``.
    horizons
        Frames ahead.
    folds
        By default `rolling_origin(recording)`.

    Raises
    ------
    ValueError
        If no setting could be fitted in every fold, or no fold holds a forecast at any horizon.
    """
    known = recording.activity[recording.valid]
    changes = np.ptp(known, axis=0) > 0  # the variance of a constant need not be exactly 0
    weight = np.zeros(known.shape[1])
    weight[changes] = 1 / (known[:, changes].var(axis=0) * changes.sum())
    sums: dict[Setting, NDArray[np.float64]] = {}
    counts = np.zeros(len(horizons))
    for index, fold in enumerate(rolling_origin(recording) if folds is None else folds):
        fitted = candidates(fold.fit_part())
        kept = fitted if index == 0 else {key: fitted[key] for key in sums if key in fitted}
        errors = {key: fold.squared_error(forecaster, horizons=horizons) for key, forecaster in kept.items()}
        sums = {key: sums.get(key, np.zeros(len(horizons))) + _weighted(e, weight) for key, (e, _) in errors.items()}
        counts += next((count for _, count in errors.values()), 0)
    if not sums or not counts.any():
        lengths = [stop - start for start, stop in recording.segments()]
        raise ValueError(
            f"the training recording ({recording.frames} frames, longest unbroken segment "
            f"{max(lengths, default=0)}) is too short to choose by cross-validation at horizons {tuple(horizons)}: no "
            "setting could be fitted and scored in every fold. Give a longer recording."
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        return {key: np.where(counts > 0, total / counts, np.nan) for key, total in sums.items()}


def best_setting(errors: Mapping[Setting, NDArray[np.float64]]) -> Setting:
    """Return the setting with the smallest error averaged over the horizons that could be scored; first among ties.

    Raises
    ------
    ValueError
        If every setting failed, that is, forecast values that are not finite.
    """
    means = {key: float(np.nanmean(error)) for key, error in errors.items()}
    best = min(means, key=lambda key: means[key])
    if not np.isfinite(means[best]):
        raise ValueError(f"none of the {len(means)} settings gave finite forecasts in cross-validation.")
    return best


def _weighted(errors: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    alive = weight > 0  # 0 * inf would be NaN
    total: NDArray[np.float64] = errors[:, alive] @ weight[alive]
    return total
