"""A network as a forecaster in a hurry: one pass over the past, for choices among many settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neurotorch.core.trees import transform
from neurotorch.data.recording import Recording
from neurotorch.evaluation.forecaster import segment_starts
from neurotorch.network.delays import held, last_steps_at
from neurotorch.network.forcing import Forcing
from neurotorch.network.layer import LayerState
from neurotorch.network.network import Network


class RunningForecaster:
    """Forecasts by a network that is forced once on each segment, and runs on from the states it had at each origin.

    It differs from `NetworkForecaster` in that states know the whole past of the segment and not the last frames of
    it, and takes a fraction of the time: each frame is met once and not once per origin. Meant for cross-validation;
    what is reported comes from `NetworkForecaster`.

    Parameters
    ----------
    network
        Fitted to recordings in the unit of the one that it forecasts.
    """

    def __init__(self, network: Network) -> None:
        self.network = network

    @torch.no_grad()
    def forecast(self, recording: Recording, origins: NDArray[np.intp], steps: int) -> NDArray[np.float64]:
        """Return ``(origin, step, neuron)``: from each origin frame the activity of the `steps` frames after it."""
        wanted = np.asarray(origins, dtype=np.intp)
        result = np.empty((len(wanted), steps, recording.activity.shape[1]))
        starts = segment_starts(recording, wanted)
        stops = dict(recording.segments())
        for start in np.unique(starts):
            rows = np.flatnonzero(starts == start)
            result[rows] = self._segment(recording, int(start), stops[int(start)], wanted[rows], steps)
        return result

    def _segment(
        self, recording: Recording, start: int, stop: int, origins: NDArray[np.intp], steps: int
    ) -> NDArray[np.float64]:
        like = next(self.network.parameters())
        last = int(origins.max()) + 1
        steps_per_frame = round(self.network.frame_dt / self.network.dt)
        target = torch.from_numpy(recording.activity[start:last].copy()).to(like)[:, None]
        shown = ahead = None
        if recording.inputs is not None:
            inputs = torch.from_numpy(np.array(recording.inputs)).to(like)
            shown = inputs[start:last, None]
            # Past the end of the segment nothing is scored: inputs stay as they were last.
            ahead = inputs[np.minimum(origins[None, :] + 1 + np.arange(steps)[:, None], stop - 1)]
        starts = self.network.initial_state()
        runs = self.network.run(shown, starts, forcing=Forcing.full(target), record=True).runs
        chosen = torch.from_numpy((origins - start + 1) * steps_per_frame - 1)

        def at_origins(field: Any) -> Any:
            return field[chosen, 0]

        state = tuple(
            LayerState(
                transform(run.states, at_origins),
                last_steps_at(before.history, run.emitted, chosen)[:, :, 0],
                None
                if before.underway is None
                else last_steps_at(before.underway, held(shown, len(run.emitted), before.underway), chosen)[:, :, 0],
            )
            for before, run in zip(starts, runs, strict=True)
        )
        output, _ = self.network(ahead, state, frames=steps)
        return output.transpose(0, 1).double().cpu().numpy()
