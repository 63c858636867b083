"""The content of ``report.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurotorch.data import Recording
from neurotorch.data.preprocessing import constant_neurons
from neurotorch.evaluation import (
    LiteratureCompanions,
    literature_companions,
    origins_between,
    p_variance,
    p_variance_per_neuron,
    verdict,
)
from neurotorch.evaluation.network_forecaster import NetworkForecaster
from neurotorch.network import Network
from neurotorch.runs.blueprint import Blueprint, name_of
from neurotorch.runs.training_plan import rule_name

if TYPE_CHECKING:
    from neurotorch.runs.fit import Fit
    from neurotorch.runs.literature import LiteratureFit


def held_out_report(fit: Fit) -> dict[str, Any]:
    """Return the report of a fit that was scored on held-out time."""
    target, forecast = _one_ahead(fit.recording, fit.start, fit.network)
    rule = fit.plan.rule_after(fit.plan.start(fit.blueprint))
    return {
        "protocol": "held-out",
        "recording": recording_part(fit.recording),
        "network": network_part(fit.network, fit.blueprint),
        "training": {
            "start": "random" if fit.choice is None else "least squares",
            "rule": None if rule is None else rule_name(rule),
            "epochs": sum(len(history) for name, history in fit.trained.histories.items() if name == "choose"),
            "best_epoch": fit.trained.best_epoch,
            "seconds": fit.trained.seconds,
            "seconds_without_connections": fit.unconnected.seconds,
            "seed": fit.seed,
            "stopped_by": fit.trained.stopped_by,
            "warm_start": None if fit.choice is None else fit.choice.to_json(),
        },
        "p_var": {
            "of": "held-out forecasts one frame ahead",
            **p_variance_part(target, forecast, fit.recording.neurons),
        },
        "held_out": fit.held_out.to_json(),
        "dale": {"violations": fit.network.dale_violations()},
        "verdict": verdict(fit.held_out),
    }


def literature_report(fit: LiteratureFit) -> dict[str, Any]:
    """Return the report of a fit under the protocol of the literature."""
    return {
        "protocol": "literature",
        "recording": recording_part(fit.recording),
        "network": network_part(fit.network, fit.blueprint),
        "training": {
            "rule": "bptt",
            "epochs": len(fit.history),
            "seconds": fit.seconds,
            "seed": fit.seed,
            "stopped_by": fit.stopped_by,
        },
        "p_var": {
            "of": "free run from the first frame, over the frames it was fitted to",
            **p_variance_part(fit.activity, fit.free_run, fit.recording.neurons),
        },
        "companions": {**companions_part(fit.companions), "time_shuffled_fit": fit.shuffled_p_variance},
        "with_constant_neurons": _with_constants(fit),
        "held_out": None,
        "dale": {"violations": fit.network.dale_violations()},
        "verdict": _literature_verdict(fit),
    }


def companions_part(companions: LiteratureCompanions) -> dict[str, float]:
    """Return what scores without dynamics."""
    return {
        "own_mean": companions.own_mean,
        f"static_rank_{companions.rank}": companions.static_rank,
        "repeated_last_frame": companions.repeated_last_frame,
    }


def _with_constants(fit: LiteratureFit) -> dict[str, Any] | None:
    """Return the numbers with the neurons that never change kept, and predicted as constant; None if there are none."""
    if not len(fit.constants):
        return None
    constant = np.broadcast_to(fit.constants, (len(fit.activity), len(fit.constants)))
    activity, free_run = (np.hstack([part, constant]) for part in (fit.activity, fit.free_run))
    return {
        "neurons": activity.shape[1],
        "global": p_variance(activity, free_run),
        **companions_part(literature_companions(activity)),
    }


def recording_part(recording: Recording) -> dict[str, Any]:
    """Return what the report says of the recording."""
    provenance = recording.provenance
    drops = [step for step in provenance.get("steps", ()) if step["step"] == "drop_dead"]
    dropped = [name for step in drops for name in (*step["constant"], *step["nan"])]
    return {
        "path": provenance.get("path"),
        "sha256": provenance.get("sha256"),
        "neurons": recording.activity.shape[1],
        "frames": recording.frames,
        "dt": recording.dt,
        "missing_frames": int(recording.missing.sum()),
        "dropped_neurons": dropped,
    }


def network_part(network: Network, blueprint: Blueprint) -> dict[str, Any]:
    """Return what the report says of the network."""
    return {
        "neuron": name_of(blueprint.neuron),
        "excitatory": blueprint.excitatory_share,
        "types": blueprint.to_json()["types"],
        "gap_junctions": sum(int((g.weight() > 0).sum()) // 2 for g in network.electrical_connections().values()),
        "parameters": sum(p.numel() for p in network.parameters()),
        "dt": network.dt,
        "steps_per_frame": blueprint.steps,
    }


def p_variance_part(
    target: NDArray[np.float64], prediction: NDArray[np.float64], names: tuple[str, ...]
) -> dict[str, Any]:
    """Return p-variance, global and per neuron; None for a neuron that does not change over the target."""
    changes = ~constant_neurons(target)
    per_neuron: NDArray[np.float64] = np.full(target.shape[1], np.nan)
    per_neuron[changes] = p_variance_per_neuron(target[:, changes], prediction[:, changes])
    return {
        "global": p_variance(target, prediction),
        "per_neuron_mean": float(np.nanmean(per_neuron)),
        "per_neuron": dict(zip(names, (float(v) if np.isfinite(v) else None for v in per_neuron), strict=True)),
    }


def _one_ahead(recording: Recording, start: int, network: Network) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    origins = origins_between(recording, start, recording.frames, horizon=1)
    return recording.activity[origins + 1], NetworkForecaster(network).forecast(recording, origins, 1)[:, 0]


def _literature_verdict(fit: LiteratureFit) -> str:
    companions = fit.companions
    above = "above" if fit.p_variance > companions.static_rank else "below"
    last = "above" if fit.p_variance > companions.repeated_last_frame else "below"
    return (
        f"A free run over the data it was fitted to reaches a global p-variance of {fit.p_variance:.3f}: {above} the "
        f"static reconstruction by {companions.rank} patterns ({companions.static_rank:.3f}), which knows no dynamics, "
        f"and {last} the repeated last frame ({companions.repeated_last_frame:.3f}). The same fit to time-shuffled "
        f"data, in which there is nothing to predict, reaches {fit.shuffled_p_variance:.3f}. This measure shows how "
        "much a network can store, not what it can predict; use the held-out protocol for that."
    )


def table(report: Mapping[str, Any]) -> str:
    """Return the held-out part of a report as lines of text: one row per horizon."""
    if report.get("held_out") is None:
        lines = [f"{'global p-variance':24} {report['p_var']['global']:.4f}"]
        lines += [f"{name.replace('_', ' '):24} {value:.4f}" for name, value in report["companions"].items()]
        return "\n".join(lines)
    lines = [f"{'frames ahead':>12} {'model':>8} {'unconnected':>12} {'best baseline':>22} {'skill over it':>26}"]
    for horizon, score in report["held_out"]["horizons"].items():
        if score["r2"] is None:
            lines.append(f"{horizon:>12} not scored: {score.get('reason')}")
            continue
        skill = score["skill"]
        best = f"{skill['over']} {score['baselines'][skill['over']]:.3f}"
        interval = "" if skill["interval"] is None else "[{:+.3f}, {:+.3f}]".format(*skill["interval"])
        lines.append(
            f"{horizon:>12} {score['r2']:>8.3f} {score['without_connections']:>12.3f} {best:>22} "
            f"{skill['value']:>+7.3f} {interval:>18}"
        )
    return "\n".join(lines)
