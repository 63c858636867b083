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
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _machine import machine, made, one_thread, versions

one_thread()

import torch
from _connectome_summary import draw, summary
from _connectome_summary import line as told
from _scorer import OWN_PAST, Once, Scorer
from _structures import Subject, fish, simulated, worm

import neurotorch as nt
from neurotorch.connections import Dale, NoInputWarning
from neurotorch.core.storage import load_json, save_json
from neurotorch.evaluation import fit_baselines

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


def line(row: dict[str, Any]) -> str:
    cells = [f"{row['name']:6} {row['types']:12} {row['structure']:10} {row['condition']:10} {row['repeat']:2}"]
    cells.append(f"{row['seconds']:4.1f} s, weight {row['chosen']['shrinkage']['weight']}, {row['used']:4} used")
    cells += [f"{h}: {s['r2']:+.3f} {s['connections']['value']:+.3f}" for h, s in row["horizons"].items()]
    return " | ".join(cells)


if __name__ == "__main__":
    main()
