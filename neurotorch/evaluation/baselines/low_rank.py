r"""Vector autoregression through a few shared modes: reduced-rank ridge regression, iterated.

With ``z`` the activity standardized on the training part and ``x``, ``y`` its centred past and next frame,

    ``z(t+1) = c + W z(t)``,   ``W' = R U_r U_r'``,   ``R = (X'X + penalty I)^-1 X'Y``,

where ``U_r`` holds the ``r`` leading eigenvectors of ``Y'X R``: the directions of activity that can be predicted best.
This minimizes ``|Y - XW'|^2 + penalty |W|^2`` over all ``W`` of rank ``r``. Rank and penalty are chosen by
cross-validation. A mode that does not carry over to the next frame is forecast at its mean.

Reference: Mukherjee & Zhu (2011), Reduced rank ridge regression and its kernel extensions, doi:10.1002/sam.10138,
section 2.1. The forecaster is that of `vector_autoregression`, with a weight of rank ``r``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neurotorch.core.checks import check_count, check_positive
from neurotorch.data.recording import Recording
from neurotorch.evaluation.baselines.base import Standard, examples
from neurotorch.evaluation.baselines.ridge import Moments
from neurotorch.evaluation.baselines.vector_autoregression import VectorAutoregressionForecaster
from neurotorch.evaluation.cross_validation import best_setting, cross_validate
from neurotorch.evaluation.forecaster import HORIZONS

Setting = tuple[int, float]


@dataclass(frozen=True)
class LowRankAutoregression:
    """Reduced-rank ridge vector autoregression of order one, iterated.

    Parameters
    ----------
    ranks
        Numbers of modes to choose from; those above the number of neurons are not tried.
    penalties
        Ridge penalties to choose from, for standardized activity summed over frames.
    horizons
        Frames ahead at which the choice is scored.
    """

    ranks: Sequence[int] = (1, 2, 3, 5, 8, 13, 21, 34)
    penalties: Sequence[float] = (1e0, 1e1, 1e2, 3e2, 1e3, 1e4)
    horizons: Sequence[int] = HORIZONS
    name: ClassVar[str] = "low_rank"

    def __post_init__(self) -> None:
        for rank in self.ranks:
            check_count("ranks", rank)
        for penalty in self.penalties:
            check_positive("penalties", penalty)

    def fit(self, train: Recording) -> VectorAutoregressionForecaster:
        """Choose rank and penalty inside of `train`, then fit them to all of `train`.

        Raises
        ------
        ValueError
            If `train` is too short.
        """
        errors = cross_validate(train, lambda part: _path(part, self.ranks, self.penalties), horizons=self.horizons)
        rank, penalty = best_setting(errors)
        return _path(train, (rank,), (penalty,))[rank, penalty]


def _path(
    train: Recording, ranks: Sequence[int], penalties: Sequence[float]
) -> dict[Setting, VectorAutoregressionForecaster]:
    """Return the forecasters of all settings: one decomposition for the penalties, one per penalty for the ranks."""
    standard = Standard.of(train)
    pasts, targets = examples(standard.segments(train), lags=1)
    if len(targets) < 2:
        return {}
    moments = Moments.of(pasts[:, 0], targets)
    path = {}
    for penalty, full in zip(penalties, moments.ridge(penalties), strict=True):
        explained = moments.cross.T @ full
        modes = np.linalg.eigh((explained + explained.T) / 2)[1][:, ::-1]
        for rank in ranks:
            if rank <= targets.shape[1]:
                flat = full @ modes[:, :rank] @ modes[:, :rank].T
                forecaster = VectorAutoregressionForecaster(standard, moments.intercept(flat), flat.T[None])
                path[rank, penalty] = forecaster
    return path
