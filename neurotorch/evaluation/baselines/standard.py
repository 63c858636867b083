"""The six baselines that stand beside every fit."""

from __future__ import annotations

from collections.abc import Sequence

from neurotorch.data.recording import Recording
from neurotorch.evaluation.baselines.autoregression import Autoregression
from neurotorch.evaluation.baselines.base import Baseline
from neurotorch.evaluation.baselines.direct_autoregression import DirectAutoregression
from neurotorch.evaluation.baselines.low_rank import LowRankAutoregression
from neurotorch.evaluation.baselines.mean import Mean
from neurotorch.evaluation.baselines.persistence import Persistence
from neurotorch.evaluation.baselines.vector_autoregression import VectorAutoregression
from neurotorch.evaluation.forecaster import HORIZONS, Forecaster


def standard_baselines(horizons: Sequence[int] = HORIZONS) -> tuple[Baseline, ...]:
    """Return the six baselines, which make their choices for `horizons`."""
    return (
        Mean(),
        Persistence(),
        Autoregression(horizons=horizons),
        DirectAutoregression(horizons=horizons),
        VectorAutoregression(horizons=horizons),
        LowRankAutoregression(horizons=horizons),
    )


def fit_baselines(train: Recording, baselines: Sequence[Baseline] | None = None) -> dict[str, Forecaster]:
    """Fit each baseline on the training recording and return the forecasters by name.

    Parameters
    ----------
    train
        The training part, nothing else.
    baselines
        By default `standard_baselines()`.

    Raises
    ------
    ValueError
        If two baselines have the same name, or one cannot be fitted.
    """
    chosen = standard_baselines() if baselines is None else baselines
    names = [baseline.name for baseline in chosen]
    if len(set(names)) < len(names):
        raise ValueError(f"the baselines are named {names}, but every name in a report must be unique.")
    return {baseline.name: baseline.fit(train) for baseline in chosen}
