"""How high is the in-sample free run of 522 neurons and 620 frames, under the literature's protocol, and how soon?

    python benchmarks/literature.py --out build/literature.json

Simulates populations (ten shared autoregressive factors and as much private noise, smoothed by the protocol with a
sigma of 10 frames) and fits them by weaning, with and without Dale's law. Beside the p-variance of the free run stand
that of the same fit to time-shuffled frames, each neuron's own mean, a static reconstruction of rank 5 and the repeated
last frame: the measure shows what a network can hold, not what it predicts.

Seconds are those of the processor, in one thread: a machine that others use, too, cannot be trusted with others.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import neurotorch as nt
from neurotorch.core.storage import save_json
from neurotorch.data import Recording
from neurotorch.runs import neuron_named
from neurotorch.training import Callback, Trainer
from neurotorch.training.environment import environment

LEVELS = (0.9, 0.95, 0.975, 0.99)


class Clock(Callback):
    """Processor seconds of every fit, and after how many of them each level was first reached."""

    def __init__(self) -> None:
        self.started, self.fits = 0.0, []

    def on_fit_start(self, trainer: Trainer) -> None:
        del trainer
        self.started = time.process_time()
        self.fits.append({"seconds": 0.0, "epochs": 0, "reached": {}})

    def on_epoch_end(self, trainer: Trainer) -> None:
        fit, score = self.fits[-1], trainer.history[-1]["p_variance"]
        fit["seconds"], fit["epochs"] = time.process_time() - self.started, trainer.epoch + 1
        for level in LEVELS:
            if score >= level:
                fit["reached"].setdefault(str(level), fit["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--neurons", type=int, default=522)
    parser.add_argument("--frames", type=int, default=620)
    parser.add_argument("--weaning", type=int, default=500)
    parser.add_argument("--models", default="wilson-cowan")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for model in args.models.split(","):
        for excitatory in (None, 0.8):
            for seed in range(args.seeds):
                rows.append(measure(model, excitatory, seed, args))
                print(line(rows[-1]), flush=True)
                save_json(args.out, {"environment": environment(), "fits": rows})


def simulated(neurons: int, frames: int, seed: int) -> Recording:
    """Return ten shared factors, loaded at random, as much private noise, and means of their own."""
    random = np.random.default_rng(seed)
    factors = random.standard_normal((frames + 200, 10))
    for t in range(1, len(factors)):
        factors[t] += 0.8 * factors[t - 1]
    factors = factors[200:] / factors[200:].std(axis=0)
    shared = factors @ random.standard_normal((10, neurons)) / np.sqrt(10)
    return Recording(shared + random.standard_normal((frames, neurons)) + random.standard_normal(neurons), 1.0)


def measure(model: str, excitatory: float | None, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    clock = Clock()
    plan = nt.LiteraturePlan(weaning=args.weaning, enough=0.995)
    blueprint = nt.Blueprint(neuron=neuron_named(model), excitatory=excitatory)
    recording = simulated(args.neurons, args.frames, seed)
    row: dict[str, Any] = {"model": model, "excitatory": excitatory, "seed": seed}
    try:
        fit = nt.fit_literature(recording, blueprint, plan=plan, seed=seed, callbacks=[clock])
    except FloatingPointError as error:
        return {**row, "failed": str(error)}
    return {
        **row,
        "p_variance": fit.p_variance,
        "shuffled": fit.shuffled_p_variance,
        "companions": fit.companions.to_json(),
        "fit": clock.fits[0],
        "shuffled_fit": clock.fits[1],
        "violations": fit.network.dale_violations(),
    }


def line(row: dict[str, Any]) -> str:
    name = f"{row['model']} {'free signs' if row['excitatory'] is None else 'Dale'} seed {row['seed']}"
    if "failed" in row:
        return f"{name}: {row['failed']}"
    reached = ", ".join(f"{level} after {seconds:.1f} s" for level, seconds in row["fit"]["reached"].items())
    beside = ", ".join(f"{key} {value:.3f}" for key, value in row["companions"].items() if key != "rank")
    return (
        f"{name}: {row['p_variance']:.4f} in {row['fit']['seconds']:.1f} s ({reached}) | "
        f"shuffled {row['shuffled']:.3f} | {beside} | violations {row['violations']}"
    )


if __name__ == "__main__":
    main()
