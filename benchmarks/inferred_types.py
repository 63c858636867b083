"""Are the types of neurons found that nobody gave? A teacher under Dale's law, and students that infer its types.

    python benchmarks/inferred_types.py --out build/inferred_types.json

The teachers are those of `dale_maps.py`: sparse firing-rate networks under known drive. A student has no mask but that
against self-connections and types by `Dale.inferred`; it learns freely, `harden_types` decides, and it learns on under
the law. From setting to setting there is more noise and there are fewer frames, until types cannot be told any more.
Counted over all neurons and seeds: how many types are right, how sure the right and the wrong ones were, and how often
a right one was surer than a wrong one (a half by chance).
"""

from __future__ import annotations

# The second asks for one thread before it imports torch: both come first.
from _machine import machine, made, threads, versions
from dale_maps import FRAMES, SETTLED, World, network, scores, world

RATE = 0.03

import argparse
from pathlib import Path
from typing import Any

import torch

from neurotorch.connections import Connection, Dale, Normal, harden_types, no_self
from neurotorch.core.storage import save_json
from neurotorch.learning import BPTT, EProp, GradientRule, MeanSquaredError

RULES: dict[str, type[BPTT] | type[EProp]] = {"BPTT": BPTT, "EProp": EProp}
SETTINGS = ((0.02, 16), (0.1, 4), (0.2, 4), (0.2, 1))
"""Standard deviation of the observation noise, and training windows of 60 frames."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--neurons", type=int, default=30)
    parser.add_argument("--steps", type=int, default=200, help="before types are decided, and again after, %(default)s")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    report: dict[str, Any] = {
        "question": __doc__.splitlines()[0],
        "made": made(),
        "machine": machine(),
        "versions": versions("torch", "numpy", "numba", "neurotorch"),
        "threads": threads(),
        "seeds": list(range(args.seeds)),
        "steps": args.steps,
        "neurons": args.neurons,
        "runs": [],
    }
    for noise, windows in SETTINGS:
        for rule in RULES:
            for seed in range(args.seeds):
                known = world(args.neurons, seed, noise=noise, training=windows)
                found = run(known, rule, seed=seed, steps=args.steps)
                report["runs"].append({"rule": rule, "noise": noise, "frames": windows * FRAMES, "seed": seed, **found})
            report["table"] = table(report["runs"])
            save_json(args.out, report)
            print(report["table"][-1], flush=True)


def run(known: World, rule: str, *, seed: int, steps: int) -> dict[str, Any]:
    """Return which types one student found, and how sure it was of each."""
    neurons, generator = len(known.signs), torch.Generator().manual_seed(1000 + seed)
    dale = Dale.inferred(neurons)
    start = Normal(0.01)
    recurrent = Connection(neurons, neurons, dale=dale, mask=no_self(neurons), init=start, generator=generator)
    student = network(neurons, recurrent)
    optimizer = torch.optim.Adam([p for p in student.parameters() if p.requires_grad], lr=RATE)
    trained: GradientRule = RULES[rule](student, MeanSquaredError(SETTLED), optimizer=optimizer)
    batch = known.parts["training"]
    for step in range(2 * steps):
        if step == steps:
            harden_types(student)
        trained.compute(batch)
        trained.apply()
    types = dale.types()
    right = (types.signs == known.signs).tolist()
    found = scores(student, known)
    return {
        "right": right,
        "confidence": types.confidence.tolist(),
        "test": found["test"],
        "violations": found["violations"],
    }


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each setting and rule what was found, over all neurons and seeds."""
    rows = []
    for setting in dict.fromkeys((each["rule"], each["noise"], each["frames"]) for each in runs):
        mine = [each for each in runs if (each["rule"], each["noise"], each["frames"]) == setting]
        right = torch.tensor([value for each in mine for value in each["right"]])
        sure = torch.tensor([value for each in mine for value in each["confidence"]])
        surer = sure[right][:, None] > sure[~right]
        row: dict[str, Any] = dict(zip(("rule", "noise", "frames"), setting, strict=True))
        row["right"] = float(right.double().mean())
        row["right_by_seed"] = [sum(each["right"]) / len(each["right"]) for each in mine]
        row["confidence_right"] = float(sure[right].mean())
        row["confidence_wrong"] = float(sure[~right].mean()) if (~right).any() else None
        row["surer"] = float(surer.double().mean()) if surer.numel() else None
        row["test"] = sum(each["test"] for each in mine) / len(mine)
        row["violations"] = sum(each["violations"] for each in mine)
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
