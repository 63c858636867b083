"""What does FORCE learn, what does its free run do afterwards, what does Dale's law cost it, and how long does it take?

    python benchmarks/force.py --out build/force.json

Three questions, each over seeds, every run reported:

- a readout that feeds back onto a random tanh network learns two sine waves and then runs alone;
- a network that is fully observed learns the activity of three regions of chaotic rate neurons (one of them driven by
  a sequence, as in CURBD), in all its weights, in half of them, with updates of four steps, and under Dale's law by
  projection, beside the non-negative least-squares start;
- seconds for one pass over 522 neurons and 620 frames.

Scores are global p-variances over the training window: `training` is met while the weights are corrected, `free` by a
run from the first frame with the weights that are left. Nothing is held out; the script shows what the rule can do.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from neurotorch.connections import Connection, Dale, Normal, no_self
from neurotorch.core.storage import save_json
from neurotorch.data import Batch
from neurotorch.evaluation import p_variance
from neurotorch.learning import FORCE, WarmUp, warm_start
from neurotorch.network import Forcing, Layer, Network, Observation, forecast
from neurotorch.neurons import FiringRate, LeakyIntegrator, MultiTimescaleRate, Tanh, WilsonCowan, learned
from neurotorch.training.environment import environment
from tests.reference.recursive_least_squares import three_regions

DT, TAU = 0.1, 1.0
PASSES = 6
DOUBLE = torch.float64
SETTINGS: dict[str, dict[str, Any]] = {
    "all weights": {},
    "every 4 steps": {"every": 4},
    "half of the neurons": {"fraction": 0.5},
    "Dale, alpha 1": {"dale": True},
    "Dale, alpha 100": {"dale": True, "alpha": 100.0},
    "Dale, alpha 1000": {"dale": True, "alpha": 1000.0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--neurons", type=int, default=100, help="in each of the three regions")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []

    def report(row: dict[str, Any]) -> None:
        rows.append(row)
        print(" | ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
        save_json(args.out, {"environment": environment(), "rows": rows})

    for seed in range(args.seeds):
        report(waves(seed))
    for seed in range(args.seeds):
        activity = three_regions(args.neurons, 620, gains=(1.8, 1.5, 1.5), seed=seed)
        for name in SETTINGS:
            report(regions(activity, name, seed))
        report(least_squares(activity, seed))
    for every in (1, 4, 20):
        report(speed(every))


def waves(seed: int, neurons: int = 200, frames: int = 4000) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    cortex = Layer(
        FiringRate(TAU, transfer=Tanh()),
        neurons,
        recurrent=Connection(neurons, neurons, init=Normal(1.5 / neurons**0.5), generator=generator),
        bias=0.1 * torch.randn(neurons, generator=generator),
    )
    readout = Layer(LeakyIntegrator(0.02), 1, inputs=Connection(neurons, 1, init=Normal(1e-6), generator=generator))
    feedback = {"readout -> cortex": Connection(1, neurons, init=Normal(0.6), generator=generator)}
    network = Network({"cortex": cortex, "readout": readout}, dt=DT, feedback=feedback).double()
    t = DT * torch.arange(frames + 1000, dtype=DOUBLE)
    target = (torch.sin(2 * math.pi * t / 6) + 0.5 * torch.sin(2 * math.pi * t / 3))[:, None, None]
    started = time.perf_counter()
    loss = FORCE(network).compute(Batch(target[:frames], None)).loss
    seconds = time.perf_counter() - started
    free = forecast(network, target[:frames], 1000)
    return {
        "question": "readout",
        "seed": seed,
        "training": 1 - loss / float(target.var()),
        "free": p_variance(target[frames:, 0].numpy(), free[:, 0].detach().numpy()),
        "seconds": seconds,
    }


def student(neurons: int, seed: int, *, dale: bool) -> Network:
    """Return a fully observed network ``h' = (1 - dt/tau) h + W tanh(h) + b``, seeing no input, with small weights."""
    generator = torch.Generator().manual_seed(seed)
    types = Dale.fraction(neurons, 0.5, generator=generator) if dale else None
    weight = 0.1 * torch.randn(neurons, neurons, generator=generator) / neurons**0.5
    recurrent = Connection(neurons, neurons, mask=no_self(neurons), dale=types)
    signed = weight if types is None else weight.abs() * types.signs
    recurrent.set_weight(torch.where(no_self(neurons), signed, 0.0))
    model = MultiTimescaleRate(own=(1 - DT / TAU,), tau=(DT,), tau_trace=DT, transfer=Tanh())
    layer = Layer(model, neurons, recurrent=recurrent, bias=learned(torch.zeros(neurons)))
    return Network({"population": layer}, dt=DT).double()


def regions(activity: np.ndarray, name: str, seed: int) -> dict[str, Any]:
    options = dict(SETTINGS[name])
    network = student(activity.shape[1], seed, dale=options.pop("dale", False))
    target = torch.from_numpy(activity)[:, None]
    rule, training = FORCE(network, forcing=WarmUp(1), **options), []
    started = time.perf_counter()
    for _ in range(PASSES):
        loss = rule.compute(Batch(target, None)).loss
        training.append(1 - loss / float(target[1:].var(correction=0)))
    return {
        "question": "three regions",
        "setting": name,
        "seed": seed,
        "training": [round(score, 4) for score in training],
        "free": free_run(network, activity),
        "seconds per pass": (time.perf_counter() - started) / PASSES,
        "violations": network.dale_violations(),
    }


def least_squares(activity: np.ndarray, seed: int) -> dict[str, Any]:
    network = student(activity.shape[1], seed, dale=True)
    started = time.perf_counter()
    warm_start(network, torch.from_numpy(activity))
    seconds = time.perf_counter() - started
    return {
        "question": "three regions",
        "setting": "Dale, warm_start (non-negative least squares)",
        "seed": seed,
        "free": free_run(network, activity),
        "seconds": seconds,
        "violations": network.dale_violations(),
    }


@torch.no_grad()
def free_run(network: Network, activity: np.ndarray) -> float:
    try:
        output, _ = network(None, forcing=Forcing.warm_up(torch.from_numpy(activity)[:, None], 1))
    except FloatingPointError:
        return -math.inf
    return p_variance(activity[1:], output[1:, 0].numpy())


def speed(every: int, neurons: int = 522, frames: int = 620) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    recurrent = Connection(neurons, neurons, mask=no_self(neurons), dale=Dale.fraction(neurons, 0.8))
    layer = Layer(WilsonCowan(3.0), neurons, recurrent=recurrent, bias=learned(torch.zeros(neurons)))
    network = Network({"population": layer}, dt=1.0, observation=Observation(gain=1.25, offset=-0.125))
    steps = torch.randn(frames, 1, neurons, generator=generator).cumsum(0)
    target = (steps - steps.min()) / (steps.max() - steps.min())
    rule, seconds = FORCE(network, every=every, alpha=10.0, forcing=WarmUp(1)), []
    for _ in range(8):  # the first compiles
        started = time.perf_counter()
        rule.compute(Batch(target, None))
        seconds.append(time.perf_counter() - started)
    ordered = sorted(seconds[1:])
    return {
        "question": "seconds per pass, 522 neurons x 620 frames, float32 network, float64 P",
        "every": every,
        "median": ordered[3],
        "lowest": ordered[0],
        "highest": ordered[-1],
    }


if __name__ == "__main__":
    main()
