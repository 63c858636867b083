"""Which magnitude map under Dale's law? A teacher with sparse weights, and students that differ in the map alone.

    python benchmarks/dale_maps.py --out build/dale_maps.json --figure build/dale_maps.png
    python benchmarks/dale_maps.py --seeds 0 --out build/dale_maps_time.json   # how long a step takes, alone

For each seed, a teacher of firing-rate neurons under Dale's law in which most connections do not exist, driven by known
noise. Students have as many neurons and the teacher's types, and no mask but that against self-connections: what is
absent they must find. They learn by BPTT and Adam, at each of several rates (annealed by a cosine), from the teacher's
activity with observation noise. Per map, the rate of the lowest mean unexplained variance on *validation* trajectories
is chosen, one for all seeds; what is reported is on test trajectories of the noiseless teacher, driven by fresh noise.
A student without Dale's law is there for comparison.

Unexplained variance is the squared error over the variance around each neuron's mean, pooled. A weight is near zero
below 1 % of the root mean square of the teacher's existing weights. Runs with non-finite values are counted as failed.
"""

from __future__ import annotations

from _machine import machine, made, one_thread, threads, versions

one_thread()

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neurotorch.connections import (
    Absolute,
    Balanced,
    Connection,
    Dale,
    Exponential,
    Given,
    Projected,
    Softplus,
    Square,
    no_self,
    sparse,
)
from neurotorch.core.storage import save_json
from neurotorch.data import Batch
from neurotorch.learning import BPTT, MeanSquaredError, NonFiniteError
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate, learned

MAPS = {
    "square": Square(),
    "absolute": Absolute(),
    "softplus": Softplus(),
    "exponential": Exponential(),
    "projected": Projected(),
    "no law": None,
}
DT, TAU, DENSITY, EXCITATORY = 0.1, 0.2, 0.2, 0.8
FRAMES, SETTLED, DRIVE, NOISE = 60, 10, 2.0, 0.02
WINDOWS = {"training": 64, "validation": 16, "test": 32}
NEAR = 0.01
ADDRESS = "population.recurrent"
SCORES = ("test", "correlation", "relative_error", "exact_zeros", "near_zeros", "lost", "violations")


class World(NamedTuple):
    """A teacher's types and weights, and what it did: activity and inputs by part, ``(frame, window, neuron)``."""

    signs: Tensor
    weight: Tensor
    parts: dict[str, Batch]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--neurons", type=int, default=30)
    parser.add_argument("--steps", type=int, default=800, help="of the optimizer, %(default)s")
    parser.add_argument("--batch", type=int, default=16, help="windows in a step, %(default)s")
    parser.add_argument("--rates", default="0.01,0.03,0.1,0.3", help="learning rates, %(default)s")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--go-on", action="store_true", help="keep the runs that the file holds, such as after a stop")
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    rates = [float(rate) for rate in args.rates.split(",")]
    report: dict[str, Any] = {
        "question": __doc__.splitlines()[0],
        "made": [made()],
        "machine": machine(),
        "versions": versions("torch", "numpy", "numba", "neurotorch"),
        "threads": threads(),
        "seeds": list(range(args.seeds)),
        "rates": rates,
        "steps": args.steps,
        "neurons": args.neurons,
        "runs": [],
    }
    if args.go_on:
        before = json.loads(args.out.read_text())
        report |= {"made": [*before["made"], made()], "runs": before["runs"]}
    report["step"] = timed(world(args.neurons, 0), args.batch)
    present = {(each["seed"], each["map"], each["rate"]) for each in report["runs"]}
    for seed in range(args.seeds):
        known = world(args.neurons, seed)
        for name, rate in itertools.product(MAPS, rates):
            if (seed, name, rate) not in present:
                report["runs"].append(run(known, name, rate, seed=seed, steps=args.steps, batch=args.batch))
                save_json(args.out, report)
    report["table"] = table(report["runs"], args.seeds)
    save_json(args.out, report)
    print(json.dumps(report["step"]))
    for row in report["table"]:
        print(
            " | ".join(
                f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()
            )
        )
    if args.figure:
        draw(report, args.figure)


def world(neurons: int, seed: int, *, noise: float = NOISE, training: int = WINDOWS["training"]) -> World:
    """Return a teacher, in which every neuron has a presynaptic one, and its recordings."""
    generator = torch.Generator().manual_seed(seed)
    dale = Dale.fraction(neurons, EXCITATORY, generator=generator)
    mask = sparse(neurons, neurons, density=DENSITY, generator=generator) & no_self(neurons)
    posts = torch.arange(neurons)
    mask[posts, (posts + 1) % neurons] = True
    recurrent = Connection(
        neurons, neurons, dale=dale, mask=mask, init=Balanced(spectral_radius=3.0), generator=generator
    )
    teacher = network(neurons, recurrent)
    parts = {}
    with torch.no_grad():
        for part, windows in {**WINDOWS, "training": training}.items():
            inputs = DRIVE * torch.randn(FRAMES, windows, neurons, generator=generator)
            seen = teacher(inputs)[0]
            added = 0.0 if part == "test" else noise * torch.randn(seen.shape, generator=generator)
            parts[part] = Batch(seen + added, inputs)
    return World(dale.signs, recurrent.weight().detach(), parts)


def network(neurons: int, recurrent: Connection) -> Network:
    """Return firing-rate neurons, each with an input of its own."""
    inputs = Connection(neurons, neurons, mask=torch.eye(neurons) > 0, init=Given(torch.eye(neurons)))
    bias = learned(torch.zeros(neurons))
    layer = Layer(FiringRate(TAU), neurons, inputs=inputs, recurrent=recurrent, bias=bias)
    made = Network({"population": layer}, dt=DT)
    made.freeze("population.inputs")
    return made


def student_of(known: World, name: str, generator: torch.Generator) -> Network:
    """Return a student of the teacher's types that starts balanced."""
    neurons, magnitude = len(known.signs), MAPS[name]
    dale = None if magnitude is None else Dale(known.signs, magnitude=magnitude)
    return network(neurons, Connection(neurons, neurons, dale=dale, mask=no_self(neurons), generator=generator))


def timed(known: World, batch: int, *, steps: int = 10, repeats: int = 7) -> dict[str, list[float]]:
    """Return lowest, median and highest milliseconds of processor time of a training step, the maps taking turns."""
    training = known.parts["training"]
    assert training.inputs is not None
    drawn = Batch(training.target[:, :batch], training.inputs[:, :batch])
    rules = {}
    for name in MAPS:
        student = student_of(known, name, torch.Generator().manual_seed(0))
        optimizer = torch.optim.Adam([p for p in student.parameters() if p.requires_grad], lr=1e-3)
        rules[name] = BPTT(student, MeanSquaredError(SETTLED), optimizer=optimizer)
    found: dict[str, list[float]] = {name: [] for name in MAPS}
    for turn in range(repeats + 1):  # the first compiles and warms up
        for name, rule in rules.items():
            started = time.process_time()
            for _ in range(steps):
                rule.compute(drawn)
                rule.apply()
            if turn:
                found[name].append(1000 * (time.process_time() - started) / steps)
    return {name: [min(each), statistics.median(each), max(each)] for name, each in found.items()}


def run(known: World, name: str, rate: float, *, seed: int, steps: int, batch: int) -> dict[str, Any]:
    """Return what one student learned."""
    generator = torch.Generator().manual_seed(1000 + seed)  # the same start and batches for every map
    student, training = student_of(known, name, generator), known.parts["training"]
    assert training.inputs is not None
    optimizer = torch.optim.Adam([p for p in student.parameters() if p.requires_grad], lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rule = BPTT(student, MeanSquaredError(SETTLED), optimizer=optimizer)
    row: dict[str, Any] = {"map": name, "rate": rate, "seed": seed, "failed": False}
    try:
        for _ in range(steps):
            drawn = torch.randperm(WINDOWS["training"], generator=generator)[:batch]
            rule.compute(Batch(training.target[:, drawn], training.inputs[:, drawn]))
            rule.apply()
            schedule.step()
        return row | scores(student, known)
    except (NonFiniteError, FloatingPointError) as error:
        return row | {"failed": True, "error": str(error)}


@torch.no_grad()
def scores(student: Network, known: World) -> dict[str, Any]:
    """Return unexplained variance on the parts that were not trained on, and how far the weights are off."""
    found: dict[str, Any] = {}
    for part in ("validation", "test"):
        seen = known.parts[part]
        error = (student(seen.inputs)[0] - seen.target)[SETTLED:].double()
        around = (seen.target[SETTLED:] - seen.target[SETTLED:].mean((0, 1))).double()
        found[part] = float(error.square().sum() / around.square().sum())
    pairs = no_self(len(known.signs))
    weight, true = student.effective_weights()[ADDRESS][pairs].double(), known.weight[pairs].double()
    exists = true != 0
    near = weight.abs() < NEAR * true[exists].square().mean().sqrt()
    return found | {
        "correlation": float(torch.corrcoef(torch.stack([weight, true]))[0, 1]),
        "relative_error": float((weight - true).norm() / true.norm()),
        "exact_zeros": float((weight[~exists] == 0).double().mean()),
        "near_zeros": float(near[~exists].double().mean()),
        "lost": float(near[exists].double().mean()),
        "violations": student.dale_violations(),
    }


def table(runs: list[dict[str, Any]], seeds: int) -> list[dict[str, Any]]:
    """Return for each map the rate that validation chose, and mean and standard deviation over seeds of its scores.

    Rates count that all seeds were trained at, without a failure.
    """
    rows = []
    for name in MAPS:
        by_rate: dict[float, list[dict[str, Any]]] = {}
        for each in runs:
            if each["map"] == name:
                by_rate.setdefault(each["rate"], []).append(each)
        whole = {
            rate: rows_of for rate, rows_of in by_rate.items() if sum(not each["failed"] for each in rows_of) == seeds
        }
        row: dict[str, Any] = {"map": name, "failed": sum(each["failed"] for each in runs if each["map"] == name)}
        if whole:
            row["rate"] = min(whole, key=lambda rate: statistics.mean(each["validation"] for each in whole[rate]))
            row["at_border"] = row["rate"] in (min(whole), max(whole))
            for score in SCORES:
                values = [each[score] for each in whole[row["rate"]]]
                row[score] = statistics.mean(values)
                row[f"{score}_sd"] = statistics.stdev(values) if len(values) > 1 else 0.0
        rows.append(row)
    return rows


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw unexplained variance by rate, and of the chosen rates the weights' error and the zeros that were found."""
    import matplotlib.pyplot as plt

    from neurotorch.plotting import save_figure, style

    chosen = {row["map"]: row for row in report.get("table", [])}
    with style():
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
        for index, name in enumerate(MAPS):
            runs = [each for each in report["runs"] if each["map"] == name and not each["failed"]]
            rates = sorted({each["rate"] for each in runs if each["rate"] in report["rates"]})
            means = [statistics.mean(each["test"] for each in runs if each["rate"] == rate) for rate in rates]
            (line,) = left.plot(rates, means, marker="o", label=name, color=f"C{index}")
            mine = [each for each in runs if each["rate"] == chosen[name]["rate"]]
            for axes, score in ((middle, "relative_error"), (right, "near_zeros")):
                axes.plot([index] * len(mine), [each[score] for each in mine], "o", color=line.get_color(), alpha=0.7)
        left.set(
            ylim=(3e-4, 5), xscale="log", yscale="log", xlabel="learning rate", ylabel="unexplained variance, test"
        )
        middle.set(ylabel="relative error of the weights", ylim=(0, None))
        right.set(ylabel="absent connections near zero", ylim=(0, 1))
        for axes in (middle, right):
            axes.set_xticks(range(len(MAPS)), list(MAPS), rotation=40, ha="right")
        left.legend()
        save_figure(figure, path)


if __name__ == "__main__":
    main()
