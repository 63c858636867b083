"""Does rewiring find the connections of a teacher, and with which drift and noise?

    python benchmarks/deep_r.py --out build/deep_r.json

A student of 16 firing-rate neurons under Dale's law (`Projected`), with 36 of 240 possible connections at random
places, learns by BPTT what a teacher with as many connections elsewhere does under known noise. Counted are the places
that both have in the end; chance is 5.4. `fixed` trains the first places without rewiring. One thread.
"""

from __future__ import annotations

from _machine import machine, made, one_thread, versions

one_thread()

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from neurotorch.connections import Balanced, Connection, Dale, NoInputWarning, Projected, sparse
from neurotorch.core.seeds import torch_generator
from neurotorch.core.storage import save_json
from neurotorch.data import Batch
from neurotorch.learning import BPTT, MeanSquaredError
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate
from neurotorch.neurons.transfer import Tanh
from neurotorch.training import DeepR, Trainer

NEURONS, DENSITY, FRAMES, SAMPLES = 16, 0.15, 15, 64
RATES = {"SGD": 2.0, "Adam": 0.02}
SETTINGS: list[tuple[str, float | None, float]] = [
    ("SGD", None, 0.0),
    ("SGD", 0.0, 0.0),
    ("SGD", 1e-4, 0.0),
    ("SGD", 1e-3, 0.0),
    ("SGD", 1e-3, 1e-6),
    ("SGD", 3e-3, 0.0),
    ("Adam", None, 0.0),
    ("Adam", 0.0, 0.0),
    ("Adam", 0.3, 0.0),
    ("Adam", 0.3, 1e-2),
    ("Adam", 0.0, 1e-2),
]
"""Optimizer, `l1` (None: no rewiring) and temperature."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--out", type=Path, required=True, help="JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", NoInputWarning)
    rows = []
    for optimizer, l1, temperature in SETTINGS:
        for seed in range(args.seeds):
            rows.append(run(optimizer, l1, temperature, seed=seed, epochs=args.epochs))
            print(line(rows[-1]), flush=True)
        about = {"made": made(), "machine": machine(), "versions": versions("torch", "numpy")}
        save_json(args.out, {**about, "runs": rows})


def run(optimizer: str, l1: float | None, temperature: float, *, seed: int, epochs: int) -> dict[str, Any]:
    """Train one student."""
    teacher, student = network(seed, "teacher", 1.5), network(seed, "student", 0.5)
    inputs = 2 * torch.randn(FRAMES, SAMPLES, NEURONS, generator=torch_generator(seed, "inputs"))
    with torch.no_grad():
        target, _ = teacher(inputs)
    half = SAMPLES // 2
    batches = [Batch(target[:, part], inputs[:, part]) for part in (slice(0, half), slice(half, SAMPLES))]
    steps = getattr(torch.optim, optimizer)(student.parameters(), lr=RATES[optimizer])
    callbacks = [] if l1 is None else [DeepR("brain.recurrent", l1=l1, temperature=temperature, seed=seed)]
    began = time.process_time()
    trainer = Trainer(BPTT(student, MeanSquaredError(), optimizer=steps), callbacks=callbacks)
    losses = trainer.fit(batches, epochs=epochs).column("loss")
    true, found = (each.connections()["brain.recurrent"].mask for each in (teacher, student))
    assert true is not None
    assert found is not None
    return {
        "optimizer": optimizer,
        "l1": l1,
        "temperature": temperature,
        "seed": seed,
        "connections": int(true.sum()),
        "found": int((true & found).sum()),
        "moved": callbacks[0].moved if callbacks else 0,
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "seconds": time.process_time() - began,
    }


def network(seed: int, which: str, radius: float) -> Network:
    dale = Dale.fraction(NEURONS, 0.75, magnitude=Projected(), generator=torch_generator(seed, "types"))
    mask = sparse(NEURONS, NEURONS, density=DENSITY, generator=torch_generator(seed, f"{which} places"))
    generator = torch_generator(seed, f"{which} weights")
    recurrent = Connection(NEURONS, NEURONS, dale=dale, mask=mask, init=Balanced(radius), generator=generator)
    return Network({"brain": Layer(FiringRate(0.15, transfer=Tanh()), NEURONS, recurrent=recurrent)}, dt=0.1)


def line(row: dict[str, Any]) -> str:
    how = "fixed" if row["l1"] is None else f"l1 {row['l1']:g}, temperature {row['temperature']:g}"
    return (
        f"{row['optimizer']:4} {how:28} seed {row['seed']}: {row['found']:2} of {row['connections']} found, "
        f"{row['moved']:5} moved, loss {row['first_loss']:.1e} to {row['last_loss']:.1e}, {row['seconds']:.1f} s"
    )


if __name__ == "__main__":
    main()
