"""Which neuron model forecasts the real recordings, and how long does a fit take?

    python benchmarks/recordings.py --out build/recordings.json
    python benchmarks/recordings.py --recordings worm --neurons multi-timescale-rate --out build/worm.json

Fits every neuron model to fish 1 of the zebrafish regions, the tectum and the worm with the defaults of `neurotorch fit
--no-warm-start`, under Dale's law with random types, and writes the held-out scores with their intervals. Settings were
chosen on validation time of fish 1 and fish 2; what a warm start scores is in `benchmarks/held_out.py`. One thread; run
it alone, since times are reported.
"""

from __future__ import annotations

from _machine import one_thread

one_thread()

import argparse
import os
import time
from pathlib import Path
from typing import Any

import torch

import neurotorch as nt
from neurotorch.core.storage import save_json
from neurotorch.runs import neuron_named
from neurotorch.training.environment import environment

DATA = Path(os.environ.get("NEUROTORCH_DATA", "data"))
RECORDINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "fish1": ("zebrafish_regions/timeseries_regions_fish1.npy", {"axes": "neuron,time", "dt": 1.01}),
    "tectum": ("zebrafish_tectum/zf_20151104-f1.mat", {"axes": "neuron,time", "dt": 1 / 2.2, "key": "activity_matrix"}),
    "worm": ("celegans/atanas2023_worm_2022-08-02-01.npz", {"axes": "neuron,time", "dt": 0.6, "key": "trace_z"}),
}
NEURONS = ("multi-timescale-rate", "wilson-cowan", "firing-rate", "lif", "current-lif")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", default=",".join(RECORDINGS))
    parser.add_argument("--neurons", default=",".join(NEURONS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--seconds", type=float, default=None, help="at most so many seconds to find the number of epochs"
    )
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for recording in args.recordings.split(","):
        for neuron in args.neurons.split(","):
            rows.append(measure(recording, neuron, args.seed, args.seconds))
            print(line(rows[-1]), flush=True)
            save_json(args.out, {"environment": environment(), "fits": rows})


def measure(name: str, neuron: str, seed: int, seconds: float | None) -> dict[str, Any]:
    file, arguments = RECORDINGS[name]
    recording = nt.read(DATA / file, **arguments).drop_dead()
    started = time.perf_counter()
    plan = nt.TrainingPlan(warm_start=False, seconds=seconds)
    report = nt.fit(recording, nt.Blueprint(neuron=neuron_named(neuron)), plan=plan, seed=seed).report()
    return {"name": name, "neuron": neuron, "whole_fit_seconds": time.perf_counter() - started, **report}


def line(row: dict[str, Any]) -> str:
    scores = row["held_out"]["horizons"]
    cells = [f"{row['name']:7}", f"{row['neuron']:21}", f"{row['whole_fit_seconds']:6.0f} s"]
    for horizon, score in scores.items():
        skill = score["skill"]
        low, high = skill["interval"] or (float("nan"), float("nan"))
        cells.append(
            f"{horizon}: {score['r2']:+.3f} (without {score['without_connections']:+.3f}, {skill['over']} "
            f"{score['baselines'][skill['over']]:+.3f}, skill {skill['value']:+.3f} [{low:+.3f}, {high:+.3f}])"
        )
    cells.append(f"violations {row['dale']['violations']}")
    return " | ".join(cells)


if __name__ == "__main__":
    main()
