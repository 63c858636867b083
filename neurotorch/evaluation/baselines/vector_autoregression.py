r"""Ridge vector autoregression, iterated: every neuron from the past of all neurons, linearly.

With ``z`` the activity standardized on the training part,

    ``z(t+1) = c + sum_{k=0}^{p-1} W_k z(t-k)``,   ``W = argmin sum_t |z(t+1) - c - ...|^2 + penalty sum_k |W_k|^2``,

applied to its own forecasts ``h`` times for a horizon of ``h`` frames. Order and penalty are chosen by
cross-validation.

Reference: Luetkepohl, New Introduction to Multiple Time Series Analysis (2005), sections 2.2 and 3.2, with a ridge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurotorch.core.checks import check_count, check_positive
from neurotorch.data.recording import Recording
from neurotorch.evaluation.baselines.base import Array, Standard, examples, iterate
from neurotorch.evaluation.baselines.ridge import Moments
from neurotorch.evaluation.cross_validation import best_setting, cross_validate
from neurotorch.evaluation.forecaster import HORIZONS, past

Setting = tuple[int, float]


@dataclass(frozen=True)
class VectorAutoregressionForecaster:
    """The fitted vector autoregression.

    Attributes
    ----------
    standard
        Training mean and standard deviation of each neuron.
    intercept
        ``c``, ``(neuron,)``, in standard deviations.
    weight
        ``W``, ``(lag, post, pre)``, the newest lag first.
    """

    standard: Standard
    intercept: Array
    weight: Array

    def forecast(self, recording: Recording, origins: NDArray[np.intp], steps: int) -> NDArray[np.float64]:
        """Return ``(origin, step, neuron)``; a past shorter than the order is filled with the training mean."""
        lags, post, pre = self.weight.shape
        flat = np.ascontiguousarray(self.weight.transpose(0, 2, 1)).reshape(lags * pre, post)
        history = self.standard.apply(past(recording, origins, lags=lags, fill=self.standard.mean))
        forecasts = iterate(history, lambda h: self.intercept + h.reshape(len(h), lags * pre) @ flat, steps=steps)
        return self.standard.invert(forecasts)


@dataclass(frozen=True)
class VectorAutoregression:
    """Ridge vector autoregression, iterated; order and penalty are chosen by cross-validation.

    Parameters
    ----------
    orders
        Numbers of lags to choose from.
    penalties
        Ridge penalties to choose from, for standardized activity summed over frames.
    horizons
        Frames ahead at which the choice is scored.
    """

    orders: Sequence[int] = (1, 2, 3)
    penalties: Sequence[float] = (1e0, 1e1, 3e1, 1e2, 3e2, 1e3, 3e3, 1e4, 1e5)
    horizons: Sequence[int] = HORIZONS
    name: ClassVar[str] = "ridge_var"

    def __post_init__(self) -> None:
        for order in self.orders:
            check_count("orders", order)
        for penalty in self.penalties:
            check_positive("penalties", penalty)

    def fit(self, train: Recording) -> VectorAutoregressionForecaster:
        """Choose order and penalty inside of `train`, then fit them to all of `train`.

        Raises
        ------
        ValueError
            If `train` is too short.
        """
        errors = cross_validate(train, lambda part: _path(part, self.orders, self.penalties), horizons=self.horizons)
        order, penalty = best_setting(errors)
        return _path(train, (order,), (penalty,))[order, penalty]


def _path(
    train: Recording, orders: Sequence[int], penalties: Sequence[float]
) -> dict[Setting, VectorAutoregressionForecaster]:
    """Return the forecasters of all settings, all orders from the same examples."""
    standard = Standard.of(train)
    segments = standard.segments(train)
    longest = max((len(segment) for segment in segments), default=0)
    supported = [order for order in orders if longest > order + 1]
    if not supported:
        return {}
    pasts, targets = examples(segments, lags=max(supported))
    neurons = targets.shape[1]
    moments = Moments.of(pasts.reshape(len(pasts), -1), targets)
    path = {}
    for order in supported:
        block = moments.leading(order * neurons)
        for penalty, flat in zip(penalties, block.ridge(penalties), strict=True):
            weight = flat.reshape(order, neurons, neurons).transpose(0, 2, 1)
            path[order, penalty] = VectorAutoregressionForecaster(standard, block.intercept(flat), weight)
    return path
