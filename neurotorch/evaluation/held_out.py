"""The definition of a held-out score: forecasts from every held-out frame, beside the baselines.

From every held-out frame ``o`` whose target ``o + h`` is held out as well and lies in the same segment, a forecast over
``h`` frames is made from frames up to ``o`` (those of the training part included) and compared with the recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurotorch.core.checks import check_count
from neurotorch.data.preprocessing import constant_neurons
from neurotorch.data.recording import Recording
from neurotorch.evaluation.bootstrap import LEAST_BLOCKS, ratio_interval
from neurotorch.evaluation.forecaster import HORIZONS, Forecaster, origins_between
from neurotorch.evaluation.metrics import r_squared, r_squared_per_neuron, skill
from neurotorch.evaluation.score import HeldOut, HorizonScore, Skill, Unscored

Array = NDArray[np.float64]
MODEL, WITHOUT_CONNECTIONS = "the model", "the model without connections"
VALUES_AT_ONCE = 2**23  # forecasts of long recordings are made in blocks of 64 MiB


def evaluate_held_out(
    recording: Recording,
    start: int,
    *,
    forecaster: Forecaster,
    baselines: Mapping[str, Forecaster],
    without_connections: Forecaster | None = None,
    horizons: Sequence[int] = HORIZONS,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = 2000,
) -> HeldOut:
    """Score `forecaster` on the frames from `start` on, beside its baselines.

    Parameters
    ----------
    recording
        The whole recording, training part included: the first held-out frames are forecast from training frames.
        Neurons are pooled by their variance, so standardize on the training part first.
    start
        The first held-out frame. Nothing that is scored here may have been fitted on it or any later one.
    forecaster
        The fitted model.
    baselines
        Fitted baselines by name, from `fit_baselines(recording.window(0, start))`.
    without_connections
        The same model, refitted without connections.
    horizons
        Frames ahead. One that the held-out part cannot hold is reported as `Unscored`, with the reason.
    seed
        Of the bootstrap; every interval draws from the same stream.
    level, resamples
        Of the intervals, see `ratio_interval`.

    Raises
    ------
    ValueError
        If there is no training or no held-out part, a forecast is not finite (naming whose, where) or has the wrong
        shape, or the recording does not change at all where it is scored.
    """
    check_count("start", start)
    for horizon in horizons:
        check_count("horizons", horizon)
    held_out, training = _valid_parts(recording, start)
    forecasters = {MODEL: forecaster, **baselines}
    if without_connections is not None:
        forecasters[WITHOUT_CONNECTIONS] = without_connections
    table = _Table.of(recording, start, horizons, forecasters)
    scores: dict[int, HorizonScore | Unscored] = {}
    for horizon in horizons:
        target, predictions = table.at(horizon)
        if len(target) == 0:
            scores[horizon] = Unscored(_too_short(recording, start, horizon), tuple(baselines))
            continue
        means = held_out.mean(axis=0), training.mean(axis=0)
        draws = _Draws(horizon, seed, level, resamples)
        scores[horizon] = _score(target, predictions, means, tuple(baselines), draws)
    return HeldOut(start, len(held_out), scores)


@dataclass(frozen=True)
class _Draws:
    """How the intervals at one horizon are drawn."""

    horizon: int
    seed: int
    level: float
    resamples: int

    def skill(self, over: str, target: Array, prediction: Array, reference: Array) -> Skill:
        value = skill(target, prediction, reference)
        if len(target) < 2 * LEAST_BLOCKS:
            return Skill(over, value, None)
        errors = (((target - p) ** 2).sum(axis=1) for p in (prediction, reference))
        generator = np.random.default_rng(self.seed)
        interval = ratio_interval(
            *errors, generator=generator, horizon=self.horizon, level=self.level, resamples=self.resamples
        )
        return Skill(over, value, interval)


@dataclass(frozen=True)
class _Table:
    """All forecasts of all forecasters from the same origins."""

    recording: Recording
    start: int
    origins: NDArray[np.intp]
    horizons: tuple[int, ...]
    forecasts: Mapping[str, Array]  # (origin, horizon, neuron)

    @classmethod
    def of(
        cls, recording: Recording, start: int, horizons: Sequence[int], forecasters: Mapping[str, Forecaster]
    ) -> _Table:
        stop = recording.frames
        held = tuple(h for h in horizons if origins_between(recording, start, stop, horizon=h).size)
        nearest = min(held, default=1)
        origins = origins_between(recording, start, stop, horizon=nearest)
        forecasts = {name: _forecasts(name, f, recording, origins, held) for name, f in forecasters.items()}
        return cls(recording, start, origins, held, forecasts)

    def at(self, horizon: int) -> tuple[Array, dict[str, Array]]:
        """Return the targets ``(origin, neuron)`` at a horizon, and the predictions of them by name."""
        scored = origins_between(self.recording, self.start, self.recording.frames, horizon=horizon)
        target = self.recording.activity[scored + horizon]
        if not len(scored):
            return target, {}
        rows, column = np.isin(self.origins, scored), self.horizons.index(horizon)
        predictions = {name: forecast[rows, column] for name, forecast in self.forecasts.items()}
        for name, prediction in predictions.items():
            self._check_finite(name, prediction, scored, horizon)
        return target, predictions

    def _check_finite(self, name: str, prediction: Array, origins: NDArray[np.intp], horizon: int) -> None:
        bad = ~np.isfinite(prediction)
        if bad.any():
            origin, neuron = (int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"{_quoted(name)} gave {int(bad.sum())} NaN or infinite forecasts {horizon} frames ahead, the first "
                f"from frame {int(origins[origin])} for neuron {self.recording.neurons[neuron]!r}. If it forecasts "
                f"only the horizons it was fitted for, fit it with `horizons={self.horizons}`; if not, it is unstable."
            )


def _forecasts(
    name: str, forecaster: Forecaster, recording: Recording, origins: NDArray[np.intp], horizons: tuple[int, ...]
) -> Array:
    """Return the forecasts at the horizons ``(origin, horizon, neuron)``, made in blocks of origins."""
    neurons = recording.activity.shape[1]
    if not horizons:
        return np.empty((0, 0, neurons))
    steps, columns = max(horizons), np.asarray(horizons) - 1
    size = max(1, VALUES_AT_ONCE // (steps * neurons))
    kept = np.empty((len(origins), len(horizons), neurons))
    for first in range(0, len(origins), size):
        block = origins[first : first + size]
        forecast = np.asarray(forecaster.forecast(recording, block, steps), dtype=np.float64)
        if forecast.shape != (len(block), steps, neurons):
            raise ValueError(
                f"{_quoted(name)} forecast the shape {forecast.shape}, but {len(block)} origins, {steps} steps and "
                f"{neurons} neurons make {(len(block), steps, neurons)}: a forecast is (origin, step, neuron)."
            )
        kept[first : first + size] = forecast[:, columns]
    return kept


def _score(
    target: Array,
    predictions: Mapping[str, Array],
    means: tuple[Array, Array],
    baselines: tuple[str, ...],
    draws: _Draws,
) -> HorizonScore:
    held_out_mean, training_mean = means
    model = predictions[MODEL]
    scores = {name: r_squared(target, p, reference=held_out_mean) for name, p in predictions.items()}
    per_neuron = _per_neuron(target, model, held_out_mean)
    over_best = over_unconnected = None
    if baselines:
        best = max(baselines, key=lambda name: scores[name])
        over_best = draws.skill(best, target, model, predictions[best])
    if WITHOUT_CONNECTIONS in predictions:
        over_unconnected = draws.skill("without_connections", target, model, predictions[WITHOUT_CONNECTIONS])
    return HorizonScore(
        forecasts=len(target),
        r2=scores[MODEL],
        r2_training_mean=r_squared(target, model, reference=training_mean),
        r2_neuron_median=float(np.nanmedian(per_neuron)) if np.isfinite(per_neuron).any() else None,
        r2_per_neuron=per_neuron,
        without_connections=scores.get(WITHOUT_CONNECTIONS),
        baselines={name: scores[name] for name in baselines},
        skill=over_best,
        connections=over_unconnected,
    )


def _per_neuron(target: Array, prediction: Array, reference: Array) -> Array:
    """Return the R^2 of each neuron, NaN where the target never changes: a silent neuron must not stop the report."""
    changes = ~constant_neurons(target)
    scores = np.full(target.shape[1], np.nan)
    scores[changes] = r_squared_per_neuron(target[:, changes], prediction[:, changes], reference=reference[changes])
    return scores


def _valid_parts(recording: Recording, start: int) -> tuple[Array, Array]:
    """Return the valid activity from `start` on, and before it."""
    if start >= recording.frames:
        raise ValueError(
            f"`start` is {start}, but the recording ends after {recording.frames} frames: none is held out."
        )
    nan = recording.dead().nan
    if nan:
        raise ValueError(
            f"{len(nan)} neurons hold NaN outside missing frames, the first is neuron {nan[0]!r}: drop them with "
            "`drop_dead()`, or the frames with `mark_missing()`, before fitting."
        )
    valid = recording.valid
    held_out, training = recording.activity[start:][valid[start:]], recording.activity[:start][valid[:start]]
    for name, part in (("held-out", held_out), ("training", training)):
        if not len(part):
            raise ValueError(f"the {name} part, split at frame {start}, has no valid frame.")
    return held_out, training


def _too_short(recording: Recording, start: int, horizon: int) -> str:
    longest = max(max(0, stop - max(first, start)) for first, stop in recording.segments())
    return (
        f"no held-out frame has a target {horizon} frames ahead: the longest unbroken run of held-out frames has "
        f"{longest}."
    )


def _quoted(name: str) -> str:
    return name if name in (MODEL, WITHOUT_CONNECTIONS) else f"the baseline {name!r}"
