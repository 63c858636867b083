"""Do the worm's gap junctions help, as junctions? Held-out scores under true and shuffled synapses and junctions.

    python benchmarks/gap_junctions.py --out build/gap_junctions.json
    python benchmarks/gap_junctions.py --subjects simulated --shuffles 5 --out build/gap_junctions_simulated.json
    python benchmarks/gap_junctions.py --rule bptt --shuffles 3 --out build/gap_junctions_bptt.json
    python benchmarks/gap_junctions.py --rehearse --shuffles 1 --out build/rehearsal.json

Multi-timescale units under the worm's chemical connectome, with the signs of its transmitters, and its electrical one
as an `ElectricalConnection`: one symmetric conductance for each pair, on the difference of the activities. Either is
true, absent, or shuffled with all degrees kept. By least squares, time scales and penalties are chosen anew for every
condition, by rolling origin in the training part; by BPTT from a random start, the number of epochs is, and there every
repetition has its own seed. The simulated worm, whose activity is that of a network with these synapses and junctions,
says whether the comparison could find them. `--rehearse` stays within the training part. One thread.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _machine import machine, made, one_thread, versions

one_thread()

import numpy as np
import torch
from _scorer import OWN_PAST, Once, Scorer
from _structures import worm
from torch import Tensor

import neurotorch as nt
from neurotorch.connections import NoInputWarning, shuffle_degrees, shuffle_degrees_symmetric
from neurotorch.core.seeds import torch_generator
from neurotorch.core.storage import save_json
from neurotorch.data import Recording
from neurotorch.evaluation import fit_baselines
from neurotorch.evaluation.network_forecaster import NetworkForecaster
from neurotorch.learning import BPTT
from neurotorch.network import simulate
from neurotorch.neurons import MultiTimescaleRate
from neurotorch.runs import TrainingPlan
from neurotorch.runs.training_plan import VALIDATION, validation_score
from neurotorch.training import EarlyStopping, Trainer

PLAN = TrainingPlan(warm_start=False, epochs=20)
HORIZONS = ("1", "4", "8", "16")
MEASURES = ("r2", "r2_neuron_median")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", default="worm")
    parser.add_argument("--rule", choices=["least-squares", "bptt"], default="least-squares")
    parser.add_argument("--shuffles", type=int, default=20, help="of each kind; by BPTT also the seeds of the others")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rehearse", action="store_true", help="stay within the training part")
    parser.add_argument("--out", type=Path, required=True, help="JSON, after every fit")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", NoInputWarning)
    where = {"made": made(), "machine": machine(), "versions": versions("torch", "numpy", "numba", "neurotorch")}
    where |= {"rehearsal": args.rehearse, "rule": args.rule, "seed": args.seed}
    rows: list[dict[str, Any]] = []
    for name in args.subjects.split(","):
        for row in measure(name, args):
            rows.append(row)
            print(line(row), flush=True)
            save_json(args.out, {**where, "fits": rows})
    tests = [test for name in args.subjects.split(",") for test in summary(name, rows)]
    for test in tests:
        print(told(test))
    save_json(args.out, {**where, "tests": tests, "fits": rows})


def measure(name: str, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row for every fit of the worm, or of the simulated one."""
    subject = worm(rehearse=args.rehearse, shuffles=args.shuffles)
    known, dale = subject.structures["both"], subject.types["transmitters"]
    assert known.directed is not None
    assert known.symmetric is not None
    plan = nt.Blueprint(dale=dale, mask=known.directed, electrical=known.symmetric)
    recording = subject.recording if name == "worm" else simulated(plan, subject.recording)
    train, _ = recording.split(0.2)
    scaled, start = recording.standardize(fit_on=train), train.frames
    scorer = Scorer(scaled, start, {n: Once(f) for n, f in fit_baselines(scaled.window(0, start), OWN_PAST).items()})
    alone: dict[int, Once] = {}
    for condition, repeat, mask, junctions in conditions(known.directed, known.symmetric, args):
        blueprint = dataclasses.replace(plan, mask=mask, electrical=junctions)
        about = {"name": name, "condition": condition, "repeat": repeat}
        if args.rule == "least-squares":
            yield {**about, **scorer.score(blueprint, args.seed)}
            continue
        seed, began = args.seed + repeat, time.perf_counter()
        if seed not in alone:
            alone[seed] = Once(NetworkForecaster(trained(scorer.training, blueprint, seed, connected=False)[0]))
        network, epochs = trained(scorer.training, blueprint, seed)
        found = scorer.held_out(network, alone[seed], blueprint, seed)
        yield {**about, "seconds": time.perf_counter() - began, "epochs": epochs, **found}


def conditions(
    chemical: Tensor, electrical: Tensor, args: argparse.Namespace
) -> Iterator[tuple[str, int, Tensor | None, Tensor | None]]:
    """Yield condition, repetition, mask of the synapses, and junctions."""
    for repeat in range(args.shuffles):
        moved = shuffle_degrees(chemical, generator=torch_generator(args.seed, f"shuffled {repeat}"))
        generator = torch_generator(args.seed, f"shuffled junctions {repeat}")
        joined = shuffle_degrees_symmetric(electrical, generator=generator)
        if repeat == 0 or args.rule == "bptt":
            yield "true", repeat, chemical, electrical
            yield "no junctions", repeat, chemical, None
            yield "no synapses", repeat, torch.zeros_like(chemical), electrical
        yield "junctions shuffled", repeat, chemical, joined
        yield "synapses shuffled", repeat, moved, electrical
        yield "both shuffled", repeat, moved, joined
    if args.rule == "least-squares":
        yield "all synapses", 0, None, None
        yield "all synapses, true junctions", 0, None, electrical


def trained(
    training: Recording, blueprint: nt.Blueprint, seed: int, *, connected: bool = True
) -> tuple[nt.Network, int]:
    """Train by BPTT as `neurotorch.fit` does: until validation is best, then as long on all of the training part."""

    def run(part: Recording, epochs: int, stopping: EarlyStopping | None = None) -> nt.Network:
        network = blueprint.build(part, seed=seed, connected=connected)
        rule = PLAN.build_rule(BPTT, network, PLAN.frames(part)[0])
        validation = None if stopping is None else (training, part.frames)
        metrics = {} if stopping is None else {VALIDATION: validation_score}
        trainer = Trainer(rule, callbacks=[] if stopping is None else [stopping], metrics=metrics)
        trainer.fit(PLAN.loader(part, seed=seed), validation, epochs=epochs)
        return network

    stopping = EarlyStopping(VALIDATION, higher_is_better=True, patience=PLAN.patience)
    inner, _ = training.split(PLAN.validation)
    run(inner, PLAN.epochs, stopping)
    epochs = max(1, stopping.best_epoch or 0)
    return run(training, epochs), epochs


def simulated(plan: nt.Blueprint, like: Recording) -> Recording:
    """Return activity of a network with these synapses and junctions, as long as the worm's recording."""
    count = like.activity.shape[1]
    units = MultiTimescaleRate.with_timescales(
        like.dt, count, filters=(1, 4), trace=1.5, transfer=nt.neurons.transfer.Sigmoid(1.0)
    )
    strong = dataclasses.replace(plan, spectral_radius=1.5, coupling=0.5)
    network = strong.build(like, seed=1, units=units)
    layer = network.layers["population"]
    layer.neuron.own.assign(torch.tensor([[0.5], [0.45]]).expand(2, count))
    made = simulate(network, frames=like.frames + 200, noise=1.0, generator=torch_generator(0, "simulated worm"))
    activity = made.observed[200:, 0].double().numpy()
    return Recording(activity, like.dt, neurons=like.neurons, provenance={"path": None})


def summary(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for every condition, measure and horizon, the true one less it, with its place among repetitions."""
    found = []
    here = [row for row in rows if row["name"] == name]
    others = (row["condition"] for row in here if row["condition"] != "true")
    for condition in (*dict.fromkeys(others), "none"):
        for of in MEASURES:
            for horizon in HORIZONS:
                true, other = (_scores(here, which, of, horizon) for which in ("true", condition))
                if not len(other):
                    continue
                test = {
                    "name": name,
                    "of": of,
                    "horizon": int(horizon),
                    "condition": condition,
                    "true": float(true.mean()),
                }
                test |= {"score": float(other.mean()), "difference": float(true.mean() - other.mean())}
                test |= {"range": [float(other.min()), float(other.max())], "repeats": len(other)}
                if len(true) > 1:
                    test["differences"] = (true - other).tolist()
                elif len(other) > 1:
                    test["p"] = float((1 + (other >= true[0]).sum()) / (1 + len(other)))
                found.append(test)
    return found


def _scores(rows: list[dict[str, Any]], condition: str, of: str, horizon: str) -> Any:
    """Return the scores under one condition; without connections from the rows of the true one."""
    if condition == "none":
        scores = [row["horizons"][horizon] for row in rows if row["condition"] == "true"] if of == "r2" else []
        return np.asarray([score["without_connections"] for score in scores], dtype=float)
    return np.asarray([row["horizons"][horizon][of] for row in rows if row["condition"] == condition], dtype=float)


def line(row: dict[str, Any]) -> str:
    cells = [f"{row['name']:9} {row['condition']:28} {row['repeat']:2} {row['seconds']:5.1f} s, {row['used']:4} used"]
    cells += [f"{h}: {s['r2']:+.4f} {s['r2_neuron_median']:+.4f}" for h, s in row["horizons"].items()]
    return " | ".join(cells)


def told(test: dict[str, Any]) -> str:
    """Return a row of the summary as text."""
    cells = f"{test['name']:9} {test['of']:16} {test['horizon']:2} frames: true {test['true']:+.4f}, "
    cells += f"{test['condition']} {test['score']:+.4f}, difference {test['difference']:+.4f}"
    low, high = test["range"]
    cells += f" among [{low:+.4f}, {high:+.4f}]" if test["repeats"] > 1 else ""
    if "differences" in test:
        cells += " (" + ", ".join(f"{value:+.4f}" for value in test["differences"]) + ")"
    return cells + (f", p {test['p']:.2f}" if "p" in test else "")


if __name__ == "__main__":
    main()
