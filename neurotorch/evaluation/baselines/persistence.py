"""The last frame, repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurotorch.data.recording import Recording
from neurotorch.evaluation.forecaster import segment_starts


@dataclass(frozen=True)
class PersistenceForecaster:
    """``y_j(o + h) = y_j(o)``."""

    def forecast(self, recording: Recording, origins: NDArray[np.intp], steps: int) -> NDArray[np.float64]:
        """Return the frame of each origin at every step, ``(origin, step, neuron)``."""
        segment_starts(recording, origins)  # a missing frame holds nothing to repeat
        return np.repeat(recording.activity[origins][:, None], steps, axis=1)


@dataclass(frozen=True)
class Persistence:
    """Nothing changes."""

    name: ClassVar[str] = "persistence"

    def fit(self, train: Recording) -> PersistenceForecaster:
        """Return the forecaster; there is nothing to learn from `train`."""
        del train
        return PersistenceForecaster()
