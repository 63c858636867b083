"""What does a training step cost: one pass forward and backward through a recurrent layer and its readout?

    python benchmarks/training_step.py --out build/training_step.json --figure build/training_step.png
    python benchmarks/training_step.py --sizes 128x1x1000 --models current-lif --published FOLDER --out build/small.json

Ours through the public API, beside norse, snntorch, the published NeuroTorch, plain autograd through the same loop, and
the floor: the products with the recurrent weights alone. Every peer runs in a process of its own with one thread; for
each setting they take turns, and ratios are of the same turn. `docs/speed.md` says what is compared.
"""

from __future__ import annotations

from _machine import machine, made, one_thread

one_thread()

import argparse
import json
import statistics
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peers.figure import draw_figure
from peers.problem import CONSTANTS, SEED, Setting
from peers.processes import PEERS, Worker, run
from peers.table import FLOORS, line, tables

from neurotorch.core.storage import save_json

SIZES = "128x1x1000,522x1x1000,522x32x200,256x128x100,2048x1x200"
MODELS = "current-lif,current-lif-dale,wilson-cowan,wilson-cowan-dale"
FASTEST_OF = ("autograd", "norse", "snntorch", "published")
PUBLISHED = "NeuroTorch 0.0.2"
SLOW, FEW, ENDLESS = 3000, 3, 8000
"""Milliseconds from which on a peer is repeated a few times only, and from which on its first step must do."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=SIZES, help="neurons x batch x steps, %(default)s")
    parser.add_argument("--models", default=MODELS, help="%(default)s")
    parser.add_argument("--peers", default=",".join(PEERS), help="%(default)s")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: of the process, if others run")
    parser.add_argument("--published", type=Path, help=f"folder that holds {PUBLISHED} and what it imports")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    settings = [setting(model, size, args.dtype) for model in args.models.split(",") for size in args.sizes.split(",")]
    report: dict[str, Any] = {
        "question": __doc__.splitlines()[0],
        "made": made(),
        "machine": machine(),
        "seeds": [SEED],
        "repeats": args.repeats,
        "clock": args.clock,
        "constants": {model: asdict(constants) for model, constants in CONSTANTS.items()},
        "seconds_to_compile": compilation(),
    }
    names = args.peers.split(",")
    report["peers"] = {}
    if args.published is None and "published" in names:
        names.remove("published")
        report["peers"]["published"] = {"absent": f"no folder with {PUBLISHED} was given with --published"}
    workers = [Worker(name, args.published, args.clock) for name in names]
    report["peers"] |= {worker.name: worker.about for worker in workers}
    report["results"] = []
    for each in settings:
        report["results"].append(measure(each, workers, args.repeats))
        save_json(args.out, report)  # what is there so far outlives an interruption
        print(line(report["results"][-1]), flush=True)
    for worker in workers:
        worker.close()
    for result, differences in zip(report["results"], agreement(settings), strict=True):
        result["relative_difference_of_gradients_to_autograd_over_100_steps_in_float64"] = differences
    report["made"]["load_after"] = machine()["load"]
    save_json(args.out, report)
    print(tables(report["results"]))
    if args.figure:
        draw_figure(report, args.figure)


def setting(model: str, size: str, dtype: str) -> Setting:
    """Read ``current-lif-dale`` and ``522x1x1000``."""
    neurons, batch, steps = (int(each) for each in size.split("x"))
    return Setting(model.removesuffix("-dale"), model.endswith("-dale"), neurons, batch, steps, dtype)


def measure(setting: Setting, workers: list[Worker], repeats: int) -> dict[str, Any]:
    """Time one setting: every peer once in every repeat, a slow one in the first few only."""
    absent = {worker.name: worker.absent for worker in workers if worker.absent}
    ready, prepared = [], {}
    for worker in workers:
        if worker.absent:
            continue
        prepared[worker.name] = worker.prepare(setting)
        if "absent" in prepared[worker.name]:
            absent[worker.name] = prepared.pop(worker.name)["absent"]
        else:
            ready.append(worker)
    steps: dict[str, list[tuple[float, float]]] = {name: [] for name in prepared}
    turns = {name: allowed(sum(each["first_step"]), repeats) for name, each in prepared.items()}
    for turn in range(-1, repeats):  # the first turn warms up
        for worker in ready:
            if turn < turns[worker.name]:
                steps[worker.name].append(worker.step())
    for name, each in prepared.items():
        steps[name] = steps[name][1:] or [each["first_step"]]
    for worker in ready:
        worker.release()
    total = {name: [sum(step) for step in each] for name, each in steps.items()}
    return {
        "setting": asdict(setting),
        "milliseconds": total,
        "milliseconds_forward": {name: [forward for forward, _ in each] for name, each in steps.items()},
        "median": {name: statistics.median(times) for name, times in total.items()},
        "mebibytes": {name: each["mebibytes"] for name, each in prepared.items()},
        "activity": {name: each["activity"] for name, each in prepared.items()},
        "threads": {name: each["threads"] for name, each in prepared.items()},
        "ratios": ratios(total),
        "absent": absent,
    }


def allowed(first_step: float, repeats: int) -> int:
    """Return how often a peer is timed, given the milliseconds of its first step; -1 for not again."""
    if first_step >= ENDLESS:
        return -1
    return min(FEW, repeats) if first_step >= SLOW else repeats


def ratios(total: dict[str, list[float]]) -> dict[str, Any]:
    """Return paired ratios to ours: of each peer, of the fastest of them, and of ours to the products."""
    if "ours" not in total:
        return {}
    found = {name: paired(times, total["ours"]) for name, times in total.items() if name != "ours"}
    others = [name for name in FASTEST_OF if name in total]
    if others:
        fastest = min(others, key=lambda name: statistics.median(total[name]))
        found["fastest"] = {"peer": fastest, **found[fastest]}
    for floor in FLOORS:
        if floor in total:
            found[f"ours to {floor}"] = paired(total["ours"], total[floor])
    return found


def paired(numerator: list[float], denominator: list[float]) -> dict[str, Any]:
    """Return the median and the range of the ratios of pairs; a slow peer has fewer of them."""
    each = [one / other for one, other in zip(numerator, denominator, strict=False)]
    return {"median": statistics.median(each), "range": [min(each), max(each)]}


def compilation() -> dict[str, dict[str, float]]:
    """Return the seconds of the first steps of a fresh process, with an empty cache and with what that left there."""
    with tempfile.TemporaryDirectory() as cache:
        return {when: run("peers.first_step", NEUROTORCH_CACHE=cache) for when in ("cold", "warm")}


def agreement(settings: list[Setting]) -> list[dict[str, float]]:
    """Return how far the gradients of ours are from autograd's, by parameter, for every setting."""
    found: list[dict[str, float]] = run("peers.agreement", json.dumps([asdict(each) for each in settings]))
    return found


if __name__ == "__main__":
    main()
