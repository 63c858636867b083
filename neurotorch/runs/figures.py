"""The figures of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurotorch.data import Recording
from neurotorch.evaluation import HORIZONS, origins_between
from neurotorch.evaluation.network_forecaster import NetworkForecaster
from neurotorch.network import Network
from neurotorch.runs.blueprint import recurrent_of, signs_of

if TYPE_CHECKING:
    import pandas as pd

    from neurotorch.plotting.style import Figure
    from neurotorch.runs.demo import Demo
    from neurotorch.runs.fit import Fit
    from neurotorch.runs.literature import LiteratureFit

TRACE_HORIZON = 4
"""Frames ahead of the forecasts that are drawn beside the recording."""


def held_out_figures(fit: Fit) -> dict[str, Figure]:
    """Return the figures of a fit, by file name."""
    from neurotorch.plotting import plot_held_out, plot_traces

    recording = fit.recording
    horizon = max(h for h in HORIZONS if h <= TRACE_HORIZON)
    forecast = forecast_trace(recording, fit.network, horizon)
    scores = _scores(fit, horizon)
    traces = plot_traces(
        recording.activity,
        forecast,
        dt=recording.dt,
        split=fit.start,
        scores=scores,
        names=recording.neurons,
        model_label=f"forecast {horizon} frames ahead",
        quantity="activity (s.d. of training)",
    )
    horizons = plot_held_out(fit.held_out.to_json(), dt=recording.dt)
    figures = {"traces": traces[0].figure, "horizons": horizons[0].figure}
    return {**figures, **_learning_figure(fit), **weight_figure(fit.network)}  # type: ignore[dict-item]


def _learning_figure(fit: Fit) -> dict[str, Figure]:
    """Return the learning curve, if a rule trained."""
    from neurotorch.plotting import plot_learning

    if "choose" not in fit.trained.histories:
        return {}
    history = fit.trained.histories["choose"].to_frame()
    axes = plot_learning(
        history,
        scores=[name for name in history.columns if name.startswith("validation")],
        score_label="validation R²",
        best_epoch=fit.trained.best_epoch if fit.choice is not None else fit.trained.best_epoch or None,
    )
    return {"learning": axes[0].figure}  # type: ignore[dict-item]


def literature_figures(fit: LiteratureFit) -> dict[str, Figure]:
    """Return the figures of a fit under the protocol of the literature, by file name."""
    from neurotorch.evaluation import p_variance_per_neuron
    from neurotorch.plotting import plot_learning, plot_traces

    traces = plot_traces(
        fit.activity,
        fit.free_run,
        dt=fit.recording.dt,
        split=len(fit.activity),
        scores=p_variance_per_neuron(fit.activity, fit.free_run),
        names=fit.recording.neurons,
        model_label="free run",
        quantity="smoothed, 0..1",
        score_label="in-sample p-variance",
    )
    learning = plot_learning(fit.history.to_frame(), scores=["p_variance"], score_label="global p-variance")
    return {"traces": traces[0].figure, "learning": learning[0].figure, **weight_figure(fit.network)}  # type: ignore[dict-item]


def overview_figure(fit: Fit, demo: Demo | None = None) -> Figure:
    """Return traces, scores and weights in one figure, beside the true weights where the truth is a demo's."""
    from neurotorch.plotting import plot_overview

    recording, horizon = fit.recording, 1 if demo is not None else TRACE_HORIZON
    axes = plot_overview(
        recording.activity,
        forecast_trace(recording, fit.network, horizon),
        held_out=fit.held_out.to_json(),
        dt=recording.dt,
        split=fit.start,
        scores=_scores(fit, horizon),
        names=recording.neurons,
        model_label=f"forecast {horizon} frame{'s' if horizon > 1 else ''} ahead",
        quantity="activity (s.d.)",
        window=(max(0, fit.start - 150), min(recording.frames, fit.start + 150)),
        weight=recurrent_of(fit.network),
        true_weight=None if demo is None else demo.weight,
        signs=signs_of(fit.network),
        true_signs=None if demo is None else demo.signs,
    )
    return axes["horizons"].figure  # type: ignore[return-value]


def weight_figure(network: Network) -> dict[str, Figure]:
    """Return the figure of the recurrent weights and their eigenvalues, if there are any."""
    from neurotorch.plotting import plot_connectivity

    weight = recurrent_of(network)
    if weight is None:
        return {}
    axes = plot_connectivity(weight, signs=signs_of(network))
    return {"weights": axes[0].figure}  # type: ignore[dict-item]


def ablation_figure(table: pd.DataFrame, metric: str, label: str) -> Figure:
    """Return the figure of an ablation study."""
    from neurotorch.plotting import plot_ablation

    return plot_ablation(table, metric=metric, label=label).figure  # type: ignore[return-value]


def forecast_trace(recording: Recording, network: Network, horizon: int) -> NDArray[np.float64]:
    """Return ``(time, neuron)``: every frame as it was forecast `horizon` frames before, NaN where it could not be."""
    origins = origins_between(recording, 0, recording.frames, horizon=horizon)
    origins = origins[origins >= 1]
    trace = np.full(recording.activity.shape, np.nan)
    for block in np.array_split(origins, max(1, len(origins) // 1000)):
        trace[block + horizon] = NetworkForecaster(network).forecast(recording, block, horizon)[:, -1]
    return trace


def _scores(fit: Fit, horizon: int) -> Any:
    score = fit.held_out.horizons[horizon]
    per_neuron = getattr(score, "r2_per_neuron", None)
    return np.full(len(fit.recording.neurons), np.nan) if per_neuron is None else per_neuron
