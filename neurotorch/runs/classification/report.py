"""The content of ``report.json`` of a classifier, and the report in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neurotorch.runs.classification.scoring import scores
from neurotorch.runs.folder import CLASSIFICATION
from neurotorch.runs.training_plan import rule_name

if TYPE_CHECKING:
    from neurotorch.runs.classification.classify import Classification

NOT_CLEAR = 2.0
"""Standard errors of a difference below which it says nothing."""


def classification_report(result: Classification) -> dict[str, Any]:
    """Return the report."""
    classes = result.task.train.classes
    test, validation = scores(result.test, classes), scores(result.validation, classes)
    blueprint, presentation = result.blueprint.to_json(), result.task.presentation
    report = {
        "protocol": CLASSIFICATION,
        "data": {"name": result.task.name, "classes": list(classes), "training_samples": len(result.task.train)},
        "network": {
            "neuron": blueprint["neuron"],
            "units": blueprint["units"],
            "recurrent": blueprint["recurrent"],
            "excitatory": blueprint["excitatory"],
            "parameters": sum(p.numel() for p in result.network.parameters()),
            "dt": presentation.dt,
            "steps": presentation.duration(),
        },
        "training": {
            "rule": rule_name(result.plan.rule),
            "epochs": len(result.history),
            "kept_epoch": result.epoch,
            "seconds": result.seconds,
            "seed": result.seed,
            "stopped_by": result.stopped_by,
        },
        "validation": validation,
        "test": test,
        "baselines": dict(result.baselines),
        "spikes_per_inference": test["spikes_per_inference"],
        "dale": {"violations": result.network.dale_violations()},
    }
    return {**report, "verdict": _verdict(report)}


def classification_table(report: Mapping[str, Any]) -> str:
    """Return the report as lines of text."""
    test, validation = report["test"], report["validation"]
    lines = [f"{'':>22} {'validation':>12} {'test':>12}"]
    lines.append(f"{'samples':>22} {validation['samples']:>12} {test['samples']:>12}")
    for name, label in (
        ("accuracy", "accuracy"),
        ("standard_error", "its standard error"),
        ("f1", "F1, mean of classes"),
        ("cross_entropy", "cross-entropy"),
        ("calibration_error", "calibration error"),
        ("spikes_per_inference", "spikes per sample"),
    ):
        values = [part[name] for part in (validation, test)]
        digits = 1 if name == "spikes_per_inference" else 4
        cells = ("-" if value is None else f"{value:.{digits}f}" for value in values)
        lines.append(f"{label:>22} " + " ".join(f"{cell:>12}" for cell in cells))
    for name, value in report["baselines"].items():
        lines.append(f"{name + ', accuracy':>22} {'':>12} {value:>12.4f}")
    return "\n".join(lines)


def _verdict(report: Mapping[str, Any]) -> str:
    test, linear, largest = report["test"], report["baselines"]["linear"], report["baselines"]["largest class"]
    error = 100 * test["standard_error"]
    rates = ", ".join(f"{name} {rate:.1f} Hz" for name, rate in test["firing_rates_hz"].items())
    difference = 100 * (test["accuracy"] - linear)
    # Both are scored on the same samples, so that this is an upper bound on the error of the difference.
    bound = NOT_CLEAR * (2 * error**2) ** 0.5
    beside = f"{abs(difference):.1f} points {'above' if difference > 0 else 'below'}" if difference else "level with"
    sure = "" if abs(difference) > bound or not difference else ", which is not clear at this number of samples"
    return (
        f"The network names the class of {100 * test['accuracy']:.1f} % of {test['samples']} test samples, on which it "
        f"was scored once (standard error {error:.1f} points): {beside} a linear classifier ({100 * linear:.1f} %)"
        f"{sure}; the largest class alone gives {100 * largest:.1f} %. It emitted "
        f"{test['spikes_per_inference']:.0f} spikes per sample ({rates or 'none of its layers spikes'}). "
        "Accuracies are comparable only on the same files."
    )
