"""The contract of a baseline, and what all of them share: scaling, training examples, iteration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neurotorch.data.dead import listed
from neurotorch.data.recording import Recording
from neurotorch.evaluation.forecaster import Forecaster

Array = NDArray[np.float64]


class Baseline(Protocol):
    """A forecaster yet to be fitted. All its choices are made by cross-validation inside of what it is fitted on."""

    @property
    def name(self) -> str:  # pragma: no cover
        """The name it has in reports."""
        ...

    def fit(self, train: Recording) -> Forecaster:  # pragma: no cover
        """Return the forecaster fitted on `train`, in the unit of `train`."""
        ...


@dataclass(frozen=True)
class Standard:
    """Each neuron in deviations from its training mean, in units of its training standard deviation.

    Baselines work in these units, so that penalties mean the same for every neuron and forecasts follow any change of
    unit of the recording. A constant neuron is only centred.

    Attributes
    ----------
    mean, scale
        ``(neuron,)``, in the unit of the recording.
    """

    mean: Array
    scale: Array

    @classmethod
    def of(cls, train: Recording) -> Standard:
        """Measure the valid frames of `train`.

        Raises
        ------
        ValueError
            If a neuron holds NaN in a valid frame.
        """
        nan = train.dead().nan
        if nan:
            raise ValueError(
                f"{len(nan)} neurons hold NaN outside missing frames, and nothing can be fitted to them: "
                f"{listed(nan)}. Drop them with `drop_dead()`, or the frames with `mark_missing()`."
            )
        known = train.activity[train.valid]
        mean = known.mean(axis=0)
        scale = known.std(axis=0)
        # the deviations of a constant from its mean are rounding, not a scale
        alive = scale > 1e-12 * np.maximum(np.abs(mean), np.finfo(float).tiny)
        return cls(mean, np.where(alive, scale, 1.0))

    def apply(self, activity: NDArray[np.floating]) -> Array:
        """Return standardized activity; the neuron is the last axis."""
        standardized: Array = (activity - self.mean) / self.scale
        return standardized

    def invert(self, activity: Array) -> Array:
        """Return activity in the unit of the recording."""
        return activity * self.scale + self.mean

    def segments(self, recording: Recording) -> list[Array]:
        """Return the standardized activity of each unbroken segment, ``(frame, neuron)``."""
        return [self.apply(recording.activity[start:stop]) for start, stop in recording.segments()]


def examples(segments: list[Array], *, lags: int, horizon: int = 1) -> tuple[Array, Array]:
    """Return all pairs of a past ``(row, lag, neuron)``, newest first, and its target ``(row, neuron)``.

    The target is the frame `horizon` after the newest of the past. No pair crosses the border of a
    segment, and every past is complete.
    """
    neurons = segments[0].shape[1] if segments else 0
    pasts, targets = [np.empty((0, lags, neurons))], [np.empty((0, neurons))]
    for segment in segments:
        rows = len(segment) - lags - horizon + 1
        if rows > 0:
            windows = np.lib.stride_tricks.sliding_window_view(segment, lags, axis=0)[:rows]
            pasts.append(windows[:, :, ::-1].transpose(0, 2, 1))
            targets.append(segment[lags + horizon - 1 :])
    return np.concatenate(pasts), np.concatenate(targets)


def iterate(history: Array, advance: Callable[[Array], Array], *, steps: int) -> Array:
    """Apply `advance`, a map from a past ``(origin, lag, neuron)`` to the next frame, to its own results.

    Returns ``(origin, step, neuron)``. An unstable model may overflow; its forecasts are
    then infinite, for the caller to refuse.
    """
    forecasts = np.empty((len(history), steps, history.shape[2]))
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps):
            forecasts[:, step] = advance(history)
            history = np.concatenate([forecasts[:, step, None], history[:, :-1]], axis=1)
    return forecasts
