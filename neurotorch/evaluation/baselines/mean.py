"""The mean of the training part: what is known of a neuron without looking at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurotorch.data.recording import Recording
from neurotorch.evaluation.baselines.base import Standard
from neurotorch.evaluation.forecaster import segment_starts


@dataclass(frozen=True)
class MeanForecaster:
    """``y_j(o + h) = mean_j``.

    Attributes
    ----------
    mean
        ``(neuron,)``, in the unit of the recording.
    """

    mean: NDArray[np.float64]

    def forecast(self, recording: Recording, origins: NDArray[np.intp], steps: int) -> NDArray[np.float64]:
        """Return the mean for every origin and step, ``(origin, step, neuron)``."""
        segment_starts(recording, origins)  # a missing frame is refused here as everywhere
        return np.tile(self.mean, (len(origins), steps, 1))


@dataclass(frozen=True)
class Mean:
    """Each neuron's training mean, missing frames left out."""

    name: ClassVar[str] = "mean"

    def fit(self, train: Recording) -> MeanForecaster:
        """Return the forecaster of the means of `train`."""
        return MeanForecaster(Standard.of(train).mean)
