"""Whether checkpoints are those of the fit that is to be continued."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurotorch.core.storage import load_json, save_json
from neurotorch.data import Recording

if TYPE_CHECKING:
    from neurotorch.runs.blueprint import Blueprint
    from neurotorch.runs.literature import LiteraturePlan
    from neurotorch.runs.training_plan import TrainingPlan

FIT = "fit.json"
"""In the folder of checkpoints: what the numbers of the fit depend on."""


def check_same_fit(
    folder: Path, recording: Recording, *, blueprint: Blueprint, plan: TrainingPlan | LiteraturePlan, seed: int
) -> None:
    """Write down what is fitted to what, or compare it with what `folder` says of the checkpoints in it.

    Raises
    ------
    ValueError
        If they are of another fit: continued, its parameters would be reported as this one's.
    """
    dale, mask, electrical = blueprint.dale, blueprint.mask, blueprint.electrical
    settings = {
        "recording": digest(recording.activity, recording.missing, recording.inputs, recording.trials, recording.dt),
        "seed": seed,
        **blueprint.to_json(),
        "dale": None if dale is None else digest(dale.signs.cpu().numpy()) + str(dale.magnitude),
        "mask": None if mask is None else digest(np.asarray(mask)),
        "junctions": None if electrical is None else digest(np.asarray(electrical)),
        **plan_json(plan),
    }
    check_same_settings(folder, settings)


def check_same_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write down `settings`, or compare them with those that `folder` says its checkpoints were made with.

    Raises
    ------
    ValueError
        If they differ.
    """
    if not (folder / FIT).exists():
        save_json(folder / FIT, settings)
        return
    before = load_json(folder / FIT)
    other = sorted(name for name in before.keys() | settings.keys() if before.get(name) != settings.get(name))
    if other:
        raise ValueError(
            f"The checkpoints in {folder} are of another fit, which differs in {', '.join(other)}: continue that with "
            "the arguments it was begun with, or give another folder."
        )


def plan_json(plan: TrainingPlan | LiteraturePlan) -> dict[str, Any]:
    """Return a plan as plain values."""
    from neurotorch.runs.training_plan import TrainingPlan

    return plan.to_json() if isinstance(plan, TrainingPlan) else asdict(plan)


def digest(*parts: Any) -> str:
    """Return the SHA-256 of arrays and other values."""
    found = hashlib.sha256()
    for part in parts:
        found.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return found.hexdigest()
