"""A small simulated recording, and plans that take seconds."""

from __future__ import annotations

import numpy as np

from neurotorch.data import Recording
from neurotorch.runs import Blueprint, LiteraturePlan, TrainingPlan

PLAN = TrainingPlan(warm_start=False, warm_up=12, free=4, batch_size=8, batches=3, epochs=3, patience=3)
LITERATURE = LiteraturePlan(sigma=2.0, epochs=3, batches=2)


def recording(frames: int = 240, neurons: int = 6, seed: int = 0) -> Recording:
    """Return correlated autoregressive activity."""
    generator = np.random.default_rng(seed)
    activity = np.zeros((frames, neurons))
    for t in range(1, frames):
        activity[t] = 0.8 * activity[t - 1] + 0.15 * np.roll(activity[t - 1], 1) + generator.normal(size=neurons)
    return Recording(activity, 0.5, neurons=tuple(f"n{i}" for i in range(neurons)), provenance={"path": None})


def blueprint(neuron: type, **changes: object) -> Blueprint:
    """Return a blueprint with half of the neurons excitatory."""
    return Blueprint(**{"neuron": neuron, "excitatory": 0.5, **changes})
