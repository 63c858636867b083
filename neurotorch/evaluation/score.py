"""What a held-out evaluation found, and its form in ``report.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurotorch.evaluation.bootstrap import Interval


@dataclass(frozen=True)
class Skill:
    """How much better than a reference, ``1 - SSE / SSE_reference``.

    Attributes
    ----------
    over
        Name of the reference.
    value
        0 is as good as the reference, 1 is perfect.
    interval
        By a block bootstrap over time; None where there are too few forecasts for one.
    """

    over: str
    value: float
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Return the object for ``report.json``."""
        interval = self.interval
        return {
            "over": self.over,
            "value": self.value,
            "interval": None if interval is None else [interval.low, interval.high],
            "level": None if interval is None else interval.level,
            "block": None if interval is None else interval.block,
        }


@dataclass(frozen=True)
class HorizonScore:
    """The score at one horizon.

    Attributes
    ----------
    forecasts
        Number of origins.
    r2
        Pooled over neurons, around each neuron's held-out mean: the headline.
    r2_training_mean
        The same around each neuron's training mean: it counts a drift of the baseline as skill.
    r2_neuron_median
        Median over neurons of the ``R^2`` of each, around its held-out mean; None if all are constant.
    r2_per_neuron
        ``(neuron,)``; NaN for a neuron that is constant over the targets, which has no ``R^2``.
    without_connections
        ``r2`` of the refit without connections, if one was given.
    baselines
        ``r2`` of each baseline.
    skill
        Over the baseline with the highest ``r2`` *here*, None without baselines. The best baseline is picked with
        hindsight on the held-out part, which a model is not: that is conservative for the model.
    connections
        Skill over the refit without connections, if one was given: what the connections add.
    """

    forecasts: int
    r2: float
    r2_training_mean: float
    r2_neuron_median: float | None
    r2_per_neuron: NDArray[np.float64]
    without_connections: float | None
    baselines: Mapping[str, float]
    skill: Skill | None
    connections: Skill | None

    def to_json(self) -> dict[str, Any]:
        """Return the object for ``report.json``."""
        return {
            "forecasts": self.forecasts,
            "r2": self.r2,
            "r2_training_mean": self.r2_training_mean,
            "r2_neuron_median": self.r2_neuron_median,
            "without_connections": self.without_connections,
            "baselines": dict(self.baselines),
            "skill": None if self.skill is None else self.skill.to_json(),
            "connections": None if self.connections is None else self.connections.to_json(),
        }


@dataclass(frozen=True)
class Unscored:
    """A horizon that could not be scored.

    Attributes
    ----------
    reason
        Why, in words.
    baselines
        Names of the baselines.
    """

    reason: str
    baselines: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object for ``report.json``: the fields of a score, all null, and the reason."""
        empty = dict.fromkeys(
            ("r2", "r2_training_mean", "r2_neuron_median", "without_connections", "skill", "connections")
        )
        return {"forecasts": 0, **empty, "baselines": dict.fromkeys(self.baselines), "reason": self.reason}


@dataclass(frozen=True)
class HeldOut:
    """The held-out score of a fit.

    Attributes
    ----------
    start
        The first held-out frame.
    frames
        Number of held-out frames that are valid.
    horizons
        The score by horizon, in frames.
    """

    start: int
    frames: int
    horizons: Mapping[int, HorizonScore | Unscored]

    def to_json(self) -> dict[str, Any]:
        """Return the object ``held_out`` of ``report.json``."""
        return {
            "start": self.start,
            "frames": self.frames,
            "horizons": {str(horizon): score.to_json() for horizon, score in self.horizons.items()},
        }
