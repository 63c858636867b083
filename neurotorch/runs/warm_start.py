"""A network of multi-timescale units fitted by least squares, with what cannot be fitted chosen by cross-validation."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurotorch.core.checks import check_count
from neurotorch.core.vocabulary import Transfer
from neurotorch.data import Recording
from neurotorch.evaluation import HORIZONS, Forecaster, cross_validate, rolling_origin
from neurotorch.evaluation.baselines.base import Standard
from neurotorch.evaluation.running_forecaster import RunningForecaster
from neurotorch.learning.convex import Shrinkage
from neurotorch.neurons import MultiTimescaleRate
from neurotorch.neurons.transfer import Sigmoid
from neurotorch.runs.blueprint import Blueprint
from neurotorch.runs.one_step import Setting, Timescales, finite, fit_one_step, plain

logger = logging.getLogger(__name__)

NEVER_ZERO = 1e-3
"""Share of a typical weight that those found to be zero start from where training goes on, see `OneStepSolution`."""


@dataclass(frozen=True)
class Choice:
    """What cross-validation chose, and the mean error of everything it chose from."""

    setting: Setting
    errors: Mapping[Setting, float]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        errors = [{**setting.to_json(), "error": finite(error)} for setting, error in self.errors.items()]
        return {"chosen": self.setting.to_json(), "tried": errors}


@dataclass(frozen=True)
class WarmStart:
    """A convex start, `OneStepMoments`, and the settings that rolling-origin cross-validation chooses from.

    First the filters are chosen for the network without connections; then, with these, transfer function, trace and the
    shrinkage of the weights, one of which is that there are none. Few settings are offered on purpose: in nested
    cross-validation on eight fish the best autoregression was beaten by a skill of 0.074 at 4 and 8 frames with one
    setting for all, 0.071 with a choice among 9, and 0.057 with a choice among 58.

    Parameters
    ----------
    filters
        Banks of time constants of own filters, in frames.
    traces
        Time constants of what acts on other neurons, in frames.
    transfers
        Functions of it that are emitted. One that takes both signs makes Dale's law one of deviations from the mean.
    weights
        Values of `Shrinkage.weight`.
    shrinkage
        The other penalties.
    caution
        Share of what connections gain in cross-validation that is given up for smaller weights: among the settings that
        keep the rest, the one with the strongest shrinkage is taken (the best of those with equal shrinkage). What
        comes after the training part can be of another kind than the blocks within it. Where dark flashes followed
        mostly spontaneous frames, in the training parts of eight fish, 0.3 kept connections from doing harm 8 frames
        ahead (-0.013 in skill without it, +0.005 with it), at a price where nothing changed (0.051 in place of 0.070).
    folds
        Of the cross-validation.
    horizons
        Frames ahead at which forecasts are scored; the mean error over them decides.

    Raises
    ------
    ValueError
        If one of these is empty or out of range.
    """

    filters: tuple[tuple[float, ...], ...] = ((1, 2, 4, 8), (1, 2, 4, 8, 16, 32))
    traces: tuple[float, ...] = (1.5,)
    transfers: tuple[Transfer, ...] = (Sigmoid(0.25), Sigmoid(1.0))
    weights: tuple[float, ...] = (20.0, 7.0, 2.0, 0.7, 0.25)
    shrinkage: Shrinkage = dataclasses.field(default_factory=Shrinkage)
    caution: float = 0.3
    folds: int = 3
    horizons: tuple[int, ...] = HORIZONS

    def __post_init__(self) -> None:
        for name in ("filters", "traces", "transfers", "weights", "horizons"):
            if not getattr(self, name):
                raise ValueError(f"`{name}` is empty, but there must be at least one value to choose.")
        for value in (*(tau for bank in self.filters for tau in bank), *self.traces):
            if not value >= 1:
                raise ValueError(
                    f"A time constant is {value:g} frames, but it must be at least 1: beyond it Euler's "
                    "method overshoots."
                )
        if not 0 <= self.caution < 1:
            raise ValueError(f"`caution` is {self.caution:g}, but it is a share of a gain: at least 0, below 1.")
        check_count("folds", self.folds)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "filters": [list(bank) for bank in self.filters],
            "traces": list(self.traces),
            "transfers": [str(transfer) for transfer in self.transfers],
            "weights": [finite(weight) for weight in self.weights],
            "shrinkage": plain(self.shrinkage),
            "caution": self.caution,
            "folds": self.folds,
            "horizons": list(self.horizons),
        }

    @staticmethod
    def refusal(blueprint: Blueprint) -> str | None:
        """Return why the networks of a blueprint cannot start warm, None if they can."""
        if blueprint.neuron is not MultiTimescaleRate:
            return f"a warm start is for MultiTimescaleRate, and the neurons are {blueprint.neuron.__name__}"
        if blueprint.steps != 1:
            return f"a warm start takes one step per frame, and there are {blueprint.steps}"
        return None

    def choose(self, training: Recording, blueprint: Blueprint, *, seed: int) -> Choice:
        """Choose a setting by forecasts within the training part.

        Parameters
        ----------
        training
            The training part, nothing else.
        blueprint
            Says types and mask, or how types are drawn.
        seed
            Of the types.

        Raises
        ------
        ValueError
            If the blueprint's networks cannot start warm, or the recording is too short.
        """
        if (reason := self.refusal(blueprint)) is not None:
            raise ValueError(f"{reason[0].upper()}{reason[1:]}.")
        banks = [self._alone(bank) for bank in self.filters]
        errors = self._errors(training, blueprint, banks, seed) if len(banks) > 1 else {}
        bank = banks[0] if not errors else min(errors, key=lambda setting: errors[setting])
        settings = [bank, *self._connected(bank)]
        errors = {**errors, **self._errors(training, blueprint, settings, seed)}
        return Choice(self._cautious({setting: errors[setting] for setting in settings}, bank), errors)

    def _cautious(self, errors: Mapping[Setting, float], alone: Setting) -> Setting:
        """Return the setting with the smallest weights that keeps enough of the gain over the one without any."""
        best = min(errors.values())
        if not np.isfinite(best):
            raise ValueError(f"None of the {len(errors)} settings of the warm start gave finite forecasts.")
        allowed = best if errors[alone] == np.inf else best + self.caution * (errors[alone] - best)
        kept = [setting for setting, error in errors.items() if error <= allowed]
        return min(kept, key=lambda setting: (-setting.shrinkage.weight, errors[setting]))

    def _alone(self, bank: tuple[float, ...]) -> Setting:
        none = dataclasses.replace(self.shrinkage, weight=float("inf"))
        return Setting(Timescales(bank, self.traces[0], self.transfers[0]), none)

    def _connected(self, alone: Setting) -> Iterator[Setting]:
        """Yield all settings with the filters of `alone`, weights of one kind from strongly to weakly shrunk."""
        for trace in self.traces:
            for transfer in self.transfers:
                for weight in sorted(self.weights, reverse=True):
                    timescales = Timescales(alone.timescales.filters, trace, transfer)
                    yield Setting(timescales, dataclasses.replace(self.shrinkage, weight=weight))

    def _errors(
        self, training: Recording, blueprint: Blueprint, settings: Sequence[Setting], seed: int
    ) -> dict[Setting, float]:
        def candidates(part: Recording) -> Mapping[Setting, Forecaster]:
            # Scaled anew in each fold: the training part's mean would tell where its later frames lie.
            standard = Standard.of(part)
            scaled = _standardized(part, standard)
            fitted = fit_one_step(scaled, blueprint, settings, seed=seed)
            return {setting: _Rescaled(standard, RunningForecaster(network)) for setting, network in fitted}

        folds = rolling_origin(training, folds=self.folds)
        errors = cross_validate(training, candidates, horizons=self.horizons, folds=folds)
        return {setting: float(np.nanmean(error)) for setting, error in errors.items()}


def _standardized(recording: Recording, standard: Standard) -> Recording:
    return dataclasses.replace(recording, activity=standard.apply(recording.activity))


@dataclass(frozen=True)
class _Rescaled:
    """A forecaster in standardized units, for recordings in others."""

    standard: Standard
    forecaster: Forecaster

    def forecast(self, recording: Recording, origins: NDArray[np.intp], steps: int) -> NDArray[np.float64]:
        scaled = _standardized(recording, self.standard)
        return self.standard.invert(self.forecaster.forecast(scaled, origins, steps))
