"""Fits as `neurotorch.fit` makes them, scored on one held-out part; what they share is computed once."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neurotorch as nt
from neurotorch.data import Recording
from neurotorch.evaluation import (
    Autoregression,
    DirectAutoregression,
    Forecaster,
    HeldOut,
    Persistence,
    evaluate_held_out,
)
from neurotorch.evaluation.network_forecaster import NetworkForecaster
from neurotorch.runs.one_step import fit_one_step
from neurotorch.runs.warm_start import WarmStart

OWN_PAST = (Persistence(), Autoregression(), DirectAutoregression())


class Once:
    """A forecaster whose forecasts from the same origins are made once."""

    def __init__(self, forecaster: Forecaster) -> None:
        self.forecaster = forecaster
        self.made: dict[tuple[int, int, int], NDArray[np.float64]] = {}

    def forecast(self, recording: Recording, origins: NDArray[np.intp], steps: int) -> NDArray[np.float64]:
        """Return ``(origin, step, neuron)``."""
        key = (int(origins[0]), len(origins), steps)
        if key not in self.made:
            self.made[key] = self.forecaster.forecast(recording, origins, steps)
        return self.made[key]


class Scorer:
    """Fits as `neurotorch.fit` does and scores on the same held-out frames; what masks share is computed once."""

    def __init__(self, scaled: Recording, start: int, baselines: dict[str, Forecaster]) -> None:
        self.scaled, self.start, self.baselines = scaled, start, baselines
        self.training = scaled.window(0, start)
        self.alone: dict[str, Forecaster] = {}

    def score(self, plan: nt.Blueprint, seed: int) -> dict[str, Any]:
        """Choose, fit and score."""
        began = time.perf_counter()
        choice = WarmStart().choose(self.training, plan, seed=seed)
        (_, network), *_ = fit_one_step(self.training, plan, [choice.setting], seed=seed)
        seconds = time.perf_counter() - began
        bank = str(choice.setting.timescales)
        if bank not in self.alone:
            (_, alone), *_ = fit_one_step(self.training, plan, [choice.setting], seed=seed, connected=False)
            self.alone[bank] = Once(NetworkForecaster(alone))
        chosen = {"seconds": seconds, "chosen": choice.setting.to_json()}
        return {**chosen, **self.held_out(network, self.alone[bank], plan, seed)}

    def held_out(self, network: nt.Network, alone: Forecaster, plan: nt.Blueprint, seed: int) -> dict[str, Any]:
        """Score a network that was fitted, beside one without connections."""
        found = evaluate_held_out(
            self.scaled,
            self.start,
            forecaster=NetworkForecaster(network),
            baselines=self.baselines,
            without_connections=alone,
            seed=seed,
            resamples=200,
        )
        weight = network.effective_weights()["population.recurrent"]
        allowed = weight.numel() - len(weight) if plan.mask is None else int(plan.mask.sum())
        return {"allowed": allowed, "used": int((weight != 0).sum()), **scores(found)}


def scores(found: HeldOut) -> dict[str, Any]:
    at = {str(h): s for h, s in found.to_json()["horizons"].items()}
    for score in at.values():
        score.pop("r2_per_neuron", None)
    return {"horizons": at}
