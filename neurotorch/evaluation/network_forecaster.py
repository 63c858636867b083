"""A fitted network as a forecaster."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurotorch.core.checks import check_count
from neurotorch.data.recording import Recording
from neurotorch.evaluation.forecaster import segment_starts
from neurotorch.network.network import Network
from neurotorch.network.simulate import forecast

VALUES_AT_ONCE = 2**23
"""Values of warm-up and forecast in one run of the network, 64 MiB: many origins go one block after the other."""


class NetworkForecaster:
    """Forecasts by a network whose states were warmed up by forcing it on the recent past.

    Parameters
    ----------
    network
        Fitted to recordings in the unit of the one that it forecasts.
    warm_up
        Frames of the past to force on, at most; fewer where the segment of an origin is younger.
    weights
        Effective weights by address, in place of the network's own: a lesion.

    Notes
    -----
    A network with inputs is given those of the forecast frames too: they must be what was shown or injected, and no
    measurement of the animal.
    """

    def __init__(self, network: Network, *, warm_up: int = 100, weights: Mapping[str, Tensor] | None = None) -> None:
        self.network, self.warm_up, self.weights = network, check_count("warm_up", warm_up), weights

    def forecast(self, recording: Recording, origins: NDArray[np.intp], steps: int) -> NDArray[np.float64]:
        """Return ``(origin, step, neuron)``: from each origin frame the activity of the `steps` frames after it."""
        self._check(recording)
        origins = np.asarray(origins, dtype=np.intp)
        known = np.minimum(self.warm_up, origins - segment_starts(recording, origins) + 1)
        result = np.empty((len(origins), steps, recording.activity.shape[1]))
        for length in np.unique(known):
            rows = np.flatnonzero(known == length)
            size = max(1, VALUES_AT_ONCE // ((int(length) + steps) * result.shape[2]))
            for first in range(0, len(rows), size):
                block = rows[first : first + size]
                result[block] = self._forecast(recording, origins[block], int(length), steps)
        return result

    def _forecast(self, recording: Recording, origins: NDArray[np.intp], known: int, steps: int) -> NDArray[np.float64]:
        like = next(self.network.parameters())
        past = origins[None, :] - np.arange(known)[::-1, None]
        recent = torch.from_numpy(recording.activity[past]).to(like)
        inputs = None
        if recording.inputs is not None:
            # Inputs after the origin are the experimenter's, not the brain's. Past the end of the segment nothing is
            # scored, and a missing frame may hold none: there they stay as they were last.
            segments = np.asarray(recording.segments())
            stops = segments[np.searchsorted(segments[:, 0], origins, side="right") - 1, 1]
            frames = np.concatenate([past, origins[None, :] + 1 + np.arange(steps)[:, None]])
            inputs = torch.from_numpy(recording.inputs[np.minimum(frames, stops - 1)]).to(like)
        forecasts = forecast(self.network, recent, steps, inputs=inputs, weights=self.weights)
        return forecasts.transpose(0, 1).double().cpu().numpy()

    def _check(self, recording: Recording) -> None:
        frame = self.network.frame_dt
        if abs(recording.dt - frame) > 1e-6 * frame:
            raise ValueError(
                f"`recording.dt` is {recording.dt:g} s but a frame of the network is {frame:g} s: resample the "
                f"recording with `recording.resample({frame:g})` or build the network with `dt={recording.dt:g}` per "
                "frame."
            )
        if self.network.neurons != recording.activity.shape[1]:
            raise ValueError(
                f"The recording has {recording.activity.shape[1]} neurons, but the network observes "
                f"{self.network.neurons}."
            )
