r"""Autoregression of each neuron on its own past, one regression per horizon.

With ``z`` the activity standardized on the training part, for each horizon ``h`` on its own,

    ``z_j(t+h) = c_hj + sum_{k=0}^{L_h-1} a_hkj z_j(t-k)``,

by ridge regression. The number of lags ``L_h`` and the penalty, the same for all neurons, are chosen by
cross-validation for each horizon. It does not compound its errors and sees tens of frames of the past: the
strongest thing known about a neuron without looking at any other.

Reference: Marcellino, Stock & Watson (2006), doi:10.1016/j.jeconom.2005.07.020, equation 4 (direct forecasts).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurotorch.core.checks import check_count, check_positive
from neurotorch.data.recording import Recording
from neurotorch.evaluation.baselines.base import Array, Standard
from neurotorch.evaluation.baselines.ridge import Moments
from neurotorch.evaluation.cross_validation import cross_validate
from neurotorch.evaluation.forecaster import HORIZONS, past

Setting = tuple[int, float]


@dataclass(frozen=True)
class DirectAutoregressionForecaster:
    """The fitted regressions, for the horizons they were fitted for.

    Attributes
    ----------
    standard
        Training mean and standard deviation of each neuron.
    intercept
        ``c`` by horizon, each ``(neuron,)``, in standard deviations.
    coefficients
        ``a`` by horizon, each ``(lag, neuron)``, the newest lag first.
    """

    standard: Standard
    intercept: dict[int, Array]
    coefficients: dict[int, Array]

    def forecast(self, recording: Recording, origins: NDArray[np.intp], steps: int) -> NDArray[np.float64]:
        """Return ``(origin, step, neuron)``, NaN at the steps no regression was fitted for.

        A past shorter than the number of lags is filled with the training mean.
        """
        fitted = [horizon for horizon in self.coefficients if horizon <= steps]
        forecasts = np.full((len(origins), steps, len(self.standard.mean)), np.nan)
        if fitted:
            lags = max(len(self.coefficients[horizon]) for horizon in fitted)
            history = self.standard.apply(past(recording, origins, lags=lags, fill=self.standard.mean))
            for horizon in fitted:
                a = self.coefficients[horizon]
                forecasts[:, horizon - 1] = self.intercept[horizon] + np.einsum("olj,lj->oj", history[:, : len(a)], a)
        return self.standard.invert(forecasts)


@dataclass(frozen=True)
class DirectAutoregression:
    """Autoregression of each neuron, one ridge regression per horizon, settings by cross-validation.

    Parameters
    ----------
    horizons
        Frames ahead to fit; the forecaster answers NaN at all others.
    lags
        Numbers of lags to choose from. Those that would leave fewer than half of the examples that one lag has (short
        trials) are not tried.
    penalties
        Ridge penalties to choose from, for standardized activity summed over frames.
    """

    horizons: Sequence[int] = HORIZONS
    lags: Sequence[int] = (1, 2, 3, 5, 10, 20, 40)
    penalties: Sequence[float] = (1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4)
    name: ClassVar[str] = "ar_direct"

    def __post_init__(self) -> None:
        for horizon in self.horizons:
            check_count("horizons", horizon)
        for lags in self.lags:
            check_count("lags", lags)
        for penalty in self.penalties:
            check_positive("penalties", penalty)

    def fit(self, train: Recording) -> DirectAutoregressionForecaster:
        """Choose lags and penalty for each horizon inside of `train`, then fit them to all of `train`.

        A horizon that the folds of `train` cannot hold takes the settings of the next shorter one, with fewer lags if
        need be. One that `train` itself cannot hold is not fitted.

        Raises
        ------
        ValueError
            If `train` is too short.
        """
        errors = cross_validate(train, self._candidates, horizons=self.horizons)
        standard = Standard.of(train)
        segments = standard.segments(train)
        parts: dict[int, tuple[Array, Array]] = {}
        setting = min(errors, key=lambda s: float(np.nanmean(errors[s])))
        for index, horizon in sorted(enumerate(self.horizons), key=lambda pair: pair[1]):
            scored = {s: error[index] for s, error in errors.items() if np.isfinite(error[index])}
            setting = min(scored, key=lambda s: scored[s]) if scored else setting
            lags = max((count for count in self._supported(segments, horizon) if count <= setting[0]), default=0)
            if lags:
                path = _path(segments, horizon, lags=(lags,), penalties=(setting[1],))
                parts[horizon] = path[lags, setting[1]]
        return _forecaster(standard, parts)

    def _candidates(self, train: Recording) -> dict[Setting, DirectAutoregressionForecaster]:
        standard = Standard.of(train)
        segments = standard.segments(train)
        parts: dict[Setting, dict[int, tuple[Array, Array]]] = {}
        for horizon in self.horizons:
            lags = self._supported(segments, horizon)
            path = _path(segments, horizon, lags=lags, penalties=self.penalties) if lags else {}
            for setting, part in path.items():
                parts.setdefault(setting, {})[horizon] = part
        return {setting: _forecaster(standard, part) for setting, part in parts.items()}

    def _supported(self, segments: list[Array], horizon: int) -> list[int]:
        """Return the numbers of lags that leave enough examples at a horizon."""
        enough = max(2, _rows(segments, 1, horizon) // 2)
        return [count for count in self.lags if _rows(segments, count, horizon) >= enough]


def _forecaster(standard: Standard, parts: dict[int, tuple[Array, Array]]) -> DirectAutoregressionForecaster:
    intercept = {horizon: part[0] for horizon, part in parts.items()}
    return DirectAutoregressionForecaster(standard, intercept, {horizon: part[1] for horizon, part in parts.items()})


def _rows(segments: list[Array], lags: int, horizon: int) -> int:
    return sum(max(0, len(segment) - lags - horizon + 1) for segment in segments)


def _path(
    segments: list[Array], horizon: int, *, lags: Sequence[int], penalties: Sequence[float]
) -> dict[Setting, tuple[Array, Array]]:
    """Return intercept ``(neuron,)`` and coefficients ``(lag, neuron)`` for every setting, from one set of moments."""
    moments = _moments(segments, horizon, lags=max(lags))
    path = {}
    for count in lags:
        block = moments.leading(count)
        for penalty, weights in zip(penalties, block.ridge(penalties), strict=True):
            path[count, penalty] = (block.intercept(weights)[:, 0], weights[:, :, 0].T)
    return path


def _moments(segments: list[Array], horizon: int, *, lags: int) -> Moments:
    """Return the moments of every neuron's own regression; one neuron after the other, since pasts take space."""
    columns = []
    for j in range(segments[0].shape[1]):
        pasts, targets = [], []
        for segment in segments:
            rows = len(segment) - lags - horizon + 1
            if rows > 0:
                windows = np.lib.stride_tricks.sliding_window_view(np.ascontiguousarray(segment[:, j]), lags)[:rows]
                pasts.append(windows[:, ::-1])
                targets.append(segment[lags + horizon - 1 :, j, None])
        columns.append(Moments.of(np.concatenate(pasts), np.concatenate(targets)))
    return Moments(
        np.stack([column.gram for column in columns]),
        np.stack([column.cross for column in columns]),
        np.stack([column.mean_features for column in columns]),
        np.stack([column.mean_targets for column in columns]),
    )
