"""Ablation of a fitted network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neurotorch.analysis import Ablation, AblationStudy
from neurotorch.core.checks import check_count
from neurotorch.evaluation import HORIZONS, origins_between, p_variance, r_squared
from neurotorch.evaluation.network_forecaster import NetworkForecaster
from neurotorch.network import Network
from neurotorch.runs.literature import free_run

if TYPE_CHECKING:
    import pandas as pd

    from neurotorch.runs.folder import LoadedRun

Metric = Callable[[Mapping[str, Tensor] | None], Mapping[str, float]]


def ablate(
    run: LoadedRun,
    ablations: Sequence[Ablation],
    *,
    points: int = 21,
    repeats: int = 8,
    seed: int = 0,
    progress: Callable[[Iterable[Any]], Iterable[Any]] | None = None,
) -> pd.DataFrame:
    """Remove connections of a fitted network, a growing fraction of them, and score what is left.

    Parameters
    ----------
    run
        From `neurotorch.load(folder)`.
    ablations
        Strategies, such as `weakest` and `random`.
    points
        Fractions from 0 to 1, both ends included.
    repeats
        Of strategies that draw. They show what chance does to this one model: no sample of models or animals.
    seed
        Of everything that is drawn.
    progress
        Wraps the lesions, such as `tqdm`.

    Returns
    -------
    pandas.DataFrame
        ``strategy``, ``repeat``, ``fraction``, ``removed``, ``connections`` and the scores: held-out R² at each horizon
        (``r2_1``, ...), or the global ``p_variance`` of a free run under the protocol of the literature. Lesions act on
        effective weights; the parameters stay as they are.
    """
    fractions = np.linspace(0, 1, check_count("points", points, least=2)).tolist()
    metric = _p_variance(run) if run.protocol == "literature" else _held_out(run)
    study = AblationStudy(run.network, metric, addresses=["population.recurrent"])
    return study.run(ablations, fractions, repeats=repeats, seed=seed, progress=progress)


def measure_of(table: pd.DataFrame) -> tuple[str, str]:
    """Return the column to draw and its label."""
    if "p_variance" in table.columns:
        return "p_variance", "global p-variance of the free run"
    horizons = [name for name in table.columns if name.startswith("r2_")]
    name = "r2_4" if "r2_4" in horizons else horizons[-1]
    return name, f"held-out R², {name.removeprefix('r2_')} frames ahead"


def _held_out(run: LoadedRun) -> Metric:
    recording, start = run.recording, run.start
    mean = recording.activity[start:][recording.valid[start:]].mean(axis=0)
    horizons = [h for h in HORIZONS if len(origins_between(recording, start, recording.frames, horizon=h)) > 1]
    origins = {h: origins_between(recording, start, recording.frames, horizon=h) for h in horizons}
    every = origins[min(horizons)]

    def metric(weights: Mapping[str, Tensor] | None) -> dict[str, float]:
        forecasts = NetworkForecaster(run.network, weights=weights).forecast(recording, every, max(horizons))
        return {
            f"r2_{h}": r_squared(
                recording.activity[origins[h] + h], forecasts[np.isin(every, origins[h]), h - 1], reference=mean
            )
            for h in horizons
        }

    return metric


def _p_variance(run: LoadedRun) -> Metric:
    activity = run.recording.activity
    target = torch.from_numpy(activity.copy()).float()
    network: Network = run.network

    def metric(weights: Mapping[str, Tensor] | None) -> dict[str, float]:
        return {"p_variance": p_variance(activity, free_run(network, target, weights=weights))}

    return metric
