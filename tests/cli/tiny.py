"""A tiny recording, the arguments that fit it, and what counts when two runs are compared."""

import json

import numpy as np
import pandas as pd


def activity(frames=160, neurons=4):
    random = np.random.default_rng(5)
    weights = random.normal(size=(neurons, neurons)) / neurons
    values = np.zeros((frames, neurons))
    for t in range(1, frames):
        values[t] = 0.8 * values[t - 1] + np.tanh(weights @ values[t - 1]) + 0.3 * random.normal(size=neurons)
    return values


def fit(path, folder):
    """Windows of 12 frames; both trainings take their six epochs, or fewer, in well under a second each."""
    given = "--axes time,neuron --dt 0.5 --warm-up 8 --free 4 --batch-size 4 --epochs 6 --no-warm-start"
    return ["fit", str(path), "--out", str(folder), *given.split()]


def outcome(folder):
    """Everything in a run folder that must not depend on whether the run was cut off."""
    report = json.loads((folder / "report.json").read_text())
    training = {name: value for name, value in report.pop("training").items() if not name.startswith("seconds")}
    history = pd.read_csv(folder / "history.csv").drop(columns="seconds").to_dict("records")
    return (folder / "model.safetensors").read_bytes(), report, training, str(history)


def contents(folder):
    """Every file below a folder with its bytes."""
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
