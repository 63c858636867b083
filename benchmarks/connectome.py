"""Does the connectome help? Held-out scores under the true mask, shuffled, random and no masks.

    python benchmarks/connectome.py --out build/connectome.json
    python benchmarks/connectome.py --rehearse --subjects fish1,fish2 --out build/rehearsal.json

Multi-timescale units are fitted by least squares with the defaults of `neurotorch fit`, under a mask: the structural
connectome of the zebrafish regions (types free, and 80 % excitatory at random), and the chemical and electrical
connectome of the worm (signs of its transmitters, and types free), and a simulated recording under its own, where the
answer must be yes. Against the true mask stand masks whose degrees are the same (`shuffle_degrees`), random masks of
the same density, the nearest pairs of regions, its transpose, all connections, and none. Time scales and penalties are
chosen anew for every mask, by rolling origin in the training part. `--rehearse` stays within the training part. One
thread.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _machine import machine, made, one_thread, versions

one_thread()

import numpy as np
import torch
from _connectome_summary import draw, summary
from _connectome_summary import line as told
from _structures import Subject, fish, simulated, worm
from numpy.typing import NDArray

import neurotorch as nt
from neurotorch.connections import Dale, NoInputWarning
from neurotorch.core.storage import load_json, save_json
from neurotorch.data import Recording
from neurotorch.evaluation import (
    Autoregression,
    DirectAutoregression,
    Forecaster,
    HeldOut,
    Persistence,
    evaluate_held_out,
    fit_baselines,
)
from neurotorch.evaluation.network_forecaster import NetworkForecaster
from neurotorch.runs.one_step import fit_one_step
from neurotorch.runs.warm_start import WarmStart

OWN_PAST = (Persistence(), Autoregression(), DirectAutoregression())
SUBJECTS = ",".join([*(f"fish{i}" for i in range(1, 17)), "worm", "demo"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", default=SUBJECTS)
    parser.add_argument("--shuffles", type=int, default=10, help="shuffled masks of each fish")
    parser.add_argument("--worm-shuffles", type=int, default=20, help="and of each structure of the worm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rehearse", action="store_true", help="stay within the training part")
    parser.add_argument("--earlier", type=Path, nargs="*", default=[], help="JSON of earlier runs, to be told together")
    parser.add_argument("--out", type=Path, required=True, help="JSON, after every subject; the figure beside it, .png")
    args = parser.parse_args()
    torch.set_num_threads(1)
    # Ganglia send and do not receive: that some regions have no input is what the connectome says.
    warnings.simplefilter("ignore", NoInputWarning)
    rows: list[dict[str, Any]] = [row for path in args.earlier for row in load_json(path)["fits"]]
    where = {"made": made(), "machine": machine(), "versions": versions("torch", "numpy", "numba", "neurotorch")}
    where |= {"rehearsal": args.rehearse, "seed": args.seed}
    for name in [name for name in args.subjects.split(",") if name]:
        for row in measure(subject(name, args), args.seed):
            rows.append(row)
            print(line(row), flush=True)
            save_json(args.out, {**where, "fits": rows})
    tests = summary(rows)
    for test in tests:
        print(told(test))
    save_json(args.out, {**where, "tests": tests, "fits": rows})
    draw(rows, args.out.with_suffix(".png"))


def subject(name: str, args: argparse.Namespace) -> Subject:
    if name == "worm":
        return worm(rehearse=args.rehearse, shuffles=args.worm_shuffles)
    if name == "demo":
        return simulated(rehearse=args.rehearse, shuffles=args.shuffles)
    return fish(int(name.removeprefix("fish")), rehearse=args.rehearse, shuffles=args.shuffles)


def measure(subject: Subject, seed: int) -> Iterator[dict[str, Any]]:
    """Yield a row for every fit of one animal."""
    train, _ = subject.recording.split(0.2)
    scaled, start = subject.recording.standardize(fit_on=train), train.frames
    scorer = Scorer(scaled, start, {n: Once(f) for n, f in fit_baselines(scaled.window(0, start), OWN_PAST).items()})
    for types, given in subject.types.items():
        about = {"name": subject.name, "neurons": len(scaled.neurons), "frames": scaled.frames, "types": types}
        for structure, known in subject.structures.items():
            if known.directed is None and isinstance(given, Dale):
                continue  # gap junctions have no sign
            for condition, repeat, mask in subject.masks(known, seed):
                what = {"structure": structure, "condition": condition, "repeat": repeat}
                yield {**about, **what, **scorer.score(blueprint(given, mask), seed)}
        what = {"structure": "all", "condition": "full", "repeat": 0}
        yield {**about, **what, **scorer.score(blueprint(given, None), seed)}


def blueprint(types: Any, mask: torch.Tensor | None) -> nt.Blueprint:
    if isinstance(types, Dale):
        return nt.Blueprint(dale=types, mask=mask)
    return nt.Blueprint(excitatory=types, mask=mask)


class Once:
    """A forecaster whose forecasts from the same origins are made once."""

    def __init__(self, forecaster: Forecaster) -> None:
        self.forecaster = forecaster
        self.made: dict[tuple[int, int, int], NDArray[np.float64]] = {}

    def forecast(self, recording: Recording, origins: NDArray[np.intp], steps: int) -> NDArray[np.float64]:
        """Return ``(origin, step, neuron)``."""
        key = (int(origins[0]), len(origins), steps)
        if key not in self.made:
            self.made[key] = self.forecaster.forecast(recording, origins, steps)
        return self.made[key]


class Scorer:
    """Fits as `neurotorch.fit` does and scores on the same held-out frames; what masks share is computed once."""

    def __init__(self, scaled: Recording, start: int, baselines: dict[str, Forecaster]) -> None:
        self.scaled, self.start, self.baselines = scaled, start, baselines
        self.training = scaled.window(0, start)
        self.alone: dict[str, Forecaster] = {}

    def score(self, plan: nt.Blueprint, seed: int) -> dict[str, Any]:
        """Choose, fit and score."""
        began = time.perf_counter()
        choice = WarmStart().choose(self.training, plan, seed=seed)
        (_, network), *_ = fit_one_step(self.training, plan, [choice.setting], seed=seed)
        seconds = time.perf_counter() - began
        bank = str(choice.setting.timescales)
        if bank not in self.alone:
            (_, alone), *_ = fit_one_step(self.training, plan, [choice.setting], seed=seed, connected=False)
            self.alone[bank] = Once(NetworkForecaster(alone))
        found = evaluate_held_out(
            self.scaled,
            self.start,
            forecaster=NetworkForecaster(network),
            baselines=self.baselines,
            without_connections=self.alone[bank],
            seed=seed,
            resamples=200,
        )
        (weight,) = network.effective_weights().values()
        allowed = weight.numel() - len(weight) if plan.mask is None else int(plan.mask.sum())
        chosen = choice.setting.to_json()
        used = int((weight != 0).sum())
        return {"seconds": seconds, "chosen": chosen, "allowed": allowed, "used": used, **scores(found)}


def scores(found: HeldOut) -> dict[str, Any]:
    at = {str(h): s for h, s in found.to_json()["horizons"].items()}
    for score in at.values():
        score.pop("r2_per_neuron", None)
    return {"horizons": at}


def line(row: dict[str, Any]) -> str:
    cells = [f"{row['name']:6} {row['types']:12} {row['structure']:10} {row['condition']:10} {row['repeat']:2}"]
    cells.append(f"{row['seconds']:4.1f} s, weight {row['chosen']['shrinkage']['weight']}, {row['used']:4} used")
    cells += [f"{h}: {s['r2']:+.3f} {s['connections']['value']:+.3f}" for h, s in row["horizons"].items()]
    return " | ".join(cells)


if __name__ == "__main__":
    main()
