"""What a fit hands to the figures, made up."""

from __future__ import annotations

import numpy as np
import pandas as pd

NAMES = ("mean", "persistence", "ar", "ar_direct", "ridge_var", "low_rank")


def traces(random: np.random.Generator, *, frames: int = 60, neurons: int = 5) -> dict:
    recorded = random.normal(size=(frames, neurons)).cumsum(axis=0)
    model = recorded + random.normal(size=recorded.shape)
    return {"recorded": recorded, "model": model, "scores": random.permutation(np.linspace(-0.5, 0.9, neurons))}


def horizon(r2: float, *, over: str = "ar", value: float = 0.1, interval=(0.05, 0.15), **baselines: float) -> dict:
    return {
        "r2": r2,
        "without_connections": r2 - 0.03,
        "baselines": {name: r2 - 0.1 * (index + 1) for index, name in enumerate(NAMES)} | baselines,
        "skill": {"over": over, "value": value, "interval": interval and list(interval), "level": 0.95},
    }


def unscored() -> dict:
    empty = dict.fromkeys(("r2", "without_connections", "skill"))
    return {"forecasts": 0, **empty, "baselines": dict.fromkeys(NAMES), "reason": "too short"}


def held_out(**changed: dict) -> dict:
    """The object of report.json; `h16=...` replaces the score at 16 frames."""
    scores = {"1": horizon(0.9), "4": horizon(0.7), "8": horizon(0.5), "16": horizon(0.2)}
    return {"frames": 100, "horizons": scores | {key.removeprefix("h"): score for key, score in changed.items()}}


def weights(random: np.random.Generator, *, neurons: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Weights (post, pre) that keep the types, and the types, shuffled."""
    signs = random.permutation(np.resize([1, 1, 1, -1, 0, 1], neurons))
    weight = np.abs(random.normal(size=(neurons, neurons))) * np.where(signs == 0, 1, signs)
    np.fill_diagonal(weight, 0.0)
    return weight, signs


def history(epochs: int = 30) -> pd.DataFrame:
    """The loss falls throughout; the score is largest in epoch 20 and is measured every fifth epoch only."""
    epoch = np.arange(1, epochs + 1)
    score = np.where(epoch % 5 == 0, 0.8 - ((epoch - 20) / 20.0) ** 2, np.nan)
    return pd.DataFrame({"epoch": epoch, "loss": np.exp(-epoch / 8.0), "r2": score, "seconds": 1.0})


def spikes(random: np.random.Generator, *, rows: int = 20) -> np.ndarray:
    """0 and 1, (time, row), one second in steps of 10 ms."""
    return (random.random((100, rows)) < 0.05).astype(np.float32)


def membranes() -> tuple[np.ndarray, np.ndarray]:
    """Potentials and spikes (time, neuron) of three leaky integrators under constant currents, two of which fire."""
    potential, spikes = np.zeros((100, 3)), np.zeros((100, 3))
    v = np.zeros(3)
    for step in range(100):
        v = 0.9 * v + np.array([0.15, 0.05, 0.3])
        spikes[step] = v > 1
        v = v - spikes[step]
        potential[step] = v
    return potential, spikes


def readout(random: np.random.Generator, *, classes: int = 4) -> np.ndarray:
    """(time, class): class 1 wins."""
    return np.linspace(0, 1, 100)[:, None] * (np.arange(classes) == 1) + 0.1 * random.random((100, classes))


def confusion(random: np.random.Generator, *, classes: int = 10) -> np.ndarray:
    """(true, predicted), mostly right."""
    return random.poisson(1.0, (classes, classes)) + 90 * np.eye(classes, dtype=int)


def costs() -> pd.DataFrame:
    """Accuracy, steps and spikes of two settings with two seeds each."""
    rows = [
        (setting, steps, spikes * steps * (1 + 0.1 * seed), 1 - 0.3 / steps - 0.01 * seed)
        for setting, spikes in (("free", 20), ("Dale", 10))
        for steps in (5, 10, 25, 100)
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows, columns=["setting", "steps", "spikes", "accuracy"])


def ablations(**repeats: int) -> pd.DataFrame:
    """A measure that falls from 1 to 0; repeat k lies 0.1 k above the first in the middle."""
    rows = [
        (
            strategy,
            repeat,
            fraction,
            round(200 * fraction),
            200,
            1 - fraction + 0.4 * repeat * fraction * (1 - fraction),
        )
        for strategy, count in repeats.items()
        for repeat in range(count)
        for fraction in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    return pd.DataFrame(rows, columns=["strategy", "repeat", "fraction", "removed", "connections", "metric"])
