r"""Autoregression of each neuron on its own past, iterated.

With ``z`` the activity standardized on the training part,

    ``z_j(t+1) = c_j + sum_{k=0}^{p-1} a_kj z_j(t-k)``,

fitted by least squares with intercept, and applied to its own forecasts ``h`` times for a horizon of ``h`` frames. The
order ``p``, the same for all neurons, is chosen by cross-validation. It knows nothing of connections.

Reference: Luetkepohl, New Introduction to Multiple Time Series Analysis (2005), section 2.2 (iterated forecasts), 3.2
(least squares). Equal to ``statsmodels.tsa.ar_model.AutoReg(y, lags=p, trend="c")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurotorch.core.checks import check_count
from neurotorch.data.recording import Recording
from neurotorch.evaluation.baselines.base import Array, Standard, examples, iterate
from neurotorch.evaluation.cross_validation import best_setting, cross_validate
from neurotorch.evaluation.forecaster import HORIZONS, past


@dataclass(frozen=True)
class AutoregressionForecaster:
    """The fitted autoregressions.

    Attributes
    ----------
    standard
        Training mean and standard deviation of each neuron.
    intercept
        ``c``, ``(neuron,)``, in standard deviations.
    coefficients
        ``a``, ``(lag, neuron)``, the newest lag first.
    """

    standard: Standard
    intercept: Array
    coefficients: Array

    def forecast(self, recording: Recording, origins: NDArray[np.intp], steps: int) -> NDArray[np.float64]:
        """Return ``(origin, step, neuron)``; a past shorter than the order is filled with the training mean."""
        history = past(recording, origins, lags=len(self.coefficients), fill=self.standard.mean)
        return self.standard.invert(iterate(self.standard.apply(history), self._advance, steps=steps))

    def _advance(self, history: Array) -> Array:
        next_frame: Array = self.intercept + np.einsum("olj,lj->oj", history, self.coefficients)
        return next_frame


@dataclass(frozen=True)
class Autoregression:
    """Autoregression of each neuron, iterated; the order is chosen by cross-validation.

    Parameters
    ----------
    orders
        Numbers of lags to choose from.
    horizons
        Frames ahead at which the choice is scored.
    """

    orders: Sequence[int] = (1, 2, 3, 4, 5)
    horizons: Sequence[int] = HORIZONS
    name: ClassVar[str] = "ar"

    def __post_init__(self) -> None:
        for order in self.orders:
            check_count("orders", order)

    def fit(self, train: Recording) -> AutoregressionForecaster:
        """Choose the order inside of `train`, then fit it to all of `train`.

        Raises
        ------
        ValueError
            If `train` is too short.
        """
        order = best_setting(cross_validate(train, self._candidates, horizons=self.horizons))
        return _least_squares(train, order)

    def _candidates(self, train: Recording) -> dict[int, AutoregressionForecaster]:
        longest = max((stop - start for start, stop in train.segments()), default=0)
        return {order: _least_squares(train, order) for order in self.orders if longest > 2 * order + 1}


def _least_squares(train: Recording, order: int) -> AutoregressionForecaster:
    standard = Standard.of(train)
    pasts, targets = examples(standard.segments(train), lags=order)
    design = np.concatenate([np.ones((targets.shape[1], len(pasts), 1)), pasts.transpose(2, 0, 1)], axis=2)
    # The pseudo-inverse leaves a constant neuron, whose past is all zero, at its mean.
    solution = (np.linalg.pinv(design, rcond=1e-12) @ targets.T[:, :, None])[:, :, 0]
    return AutoregressionForecaster(standard, solution[:, 0], np.ascontiguousarray(solution[:, 1:].T))
