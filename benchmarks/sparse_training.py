"""What does a training step gain where few connections exist, and their products run over those alone?

    python benchmarks/sparse_training.py --out build/sparse_training.json
    python benchmarks/sparse_training.py --neurons 512 --densities 0.05 --out build/small.json

One recurrent layer under Dale's law and a mask, forward and backward through the public API, with compressed rows and
with the dense weight. The two take turns on networks of their own, equal in every number; the ratio is the median over
turns, of processor time. `rule` says whether the engine takes the rows by itself. With `--delays` every synapse has one
of 1 to 10 steps.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from pathlib import Path
from typing import Any

from _machine import machine, made, one_thread, threads, versions

one_thread()

import torch

from neurotorch.connections import Connection, Dale
from neurotorch.core.storage import save_json
from neurotorch.engine.pattern import Pattern
from neurotorch.network import Layer, Network, links
from neurotorch.neurons import LIF, FiringRate

NEURONS, DENSITIES, BATCHES, MODELS = "256,512,1024,2048", "0.01,0.05,0.1", "1,4,32", "lif,rate"
SETTINGS = {"lif": (LIF, 0.02, 0.001, 0.12), "rate": (FiringRate, 0.1, 0.02, 1.0)}
"""Model, its time constant, time step, and largest input: LIF neurons fire at 3 to 6 % of the steps."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neurons", default=NEURONS)
    parser.add_argument("--densities", default=DENSITIES)
    parser.add_argument("--batches", default=BATCHES)
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--delays", action="store_true")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True, help="JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {"question": __doc__.splitlines()[0], "made": made(), "machine": machine()}
    report |= {"threads": threads(), "versions": versions("torch", "numpy", "numba"), "seeds": [0], "results": []}
    grid = (args.models, args.neurons, args.batches, args.densities)
    for model, neurons, batch, density in itertools.product(*(each.split(",") for each in grid)):
        report["results"].append(measure(model, int(neurons), int(batch), float(density), args.delays, args.turns))
        save_json(args.out, report)
        print(line(report["results"][-1]), flush=True)


def measure(model: str, neurons: int, batch: int, density: float, delays: bool, turns: int) -> dict[str, Any]:
    """Time both ways in turns; the first two turns warm up."""
    steps = 200 if batch == 1 else 50
    scale = SETTINGS[model][3]
    inputs = scale * torch.rand(steps, batch, neurons, generator=torch.Generator().manual_seed(1))
    networks = {way: network_of(model, neurons, density, delays) for way in ("dense", "sparse")}
    (mask, *_) = connection(networks["dense"]).exists(SETTINGS[model][2], soonest=1)
    assert mask is not None
    rule = links.worthwhile(mask) and Pattern(mask).pays(batch)
    times: dict[str, list[float]] = {way: [] for way in networks}
    gradients = {}
    kept = links.worthwhile, Pattern.pays
    try:
        for turn, way in itertools.product(range(-2, turns), networks):
            links.worthwhile = (lambda _: True) if way == "sparse" else (lambda _: False)
            Pattern.pays = lambda *_: True
            seconds = step(networks[way], inputs)
            gradients[way] = connection(networks[way]).raw.grad
            times[way] += [seconds] if turn >= 0 else []
    finally:
        links.worthwhile, Pattern.pays = kept
    each = [sparse / dense for dense, sparse in zip(times["dense"], times["sparse"], strict=True)]
    return {
        "setting": {"model": model, "neurons": neurons, "batch": batch, "steps": steps, "density": density}
        | {"delays": delays},
        "milliseconds": {way: [1e3 * seconds for seconds in found] for way, found in times.items()},
        "ratio_median": statistics.median(each),
        "ratio_range": [min(each), max(each)],
        "difference_of_gradients": float((gradients["sparse"] - gradients["dense"]).norm() / gradients["dense"].norm()),
        "rule": bool(rule),
    }


def network_of(model: str, neurons: int, density: float, delays: bool) -> Network:
    """Return a recurrent layer in which no neuron is without input."""
    kind, tau, dt, _ = SETTINGS[model]
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(neurons, neurons, generator=generator) < density
    mask[torch.arange(neurons), torch.randint(neurons, (neurons,), generator=generator)] = True
    delay = dt * torch.randint(1, 11, mask.shape, generator=generator) if delays else None
    dale = Dale.fraction(neurons, 0.8, generator=generator)
    recurrent = Connection(neurons, neurons, dale=dale, mask=mask, delay=delay, generator=generator)
    return Network({"population": Layer(kind(tau), neurons, recurrent=recurrent)}, dt=dt)


def connection(network: Network) -> Connection:
    return network.connections()["population.recurrent"]


def step(network: Network, inputs: torch.Tensor) -> float:
    """Return the seconds of processor time of a pass forward and backward."""
    network.zero_grad()
    began = time.process_time()
    network(inputs)[0].square().mean().backward()
    return time.process_time() - began


def line(result: dict[str, Any]) -> str:
    s, (least, most) = result["setting"], result["ratio_range"]
    times = {way: statistics.median(each) for way, each in result["milliseconds"].items()}
    return (
        f"{s['model']:4} {s['neurons']:5} x {s['batch']:2}, {100 * s['density']:3.0f} %: "
        f"dense {times['dense']:7.1f} ms, sparse {times['sparse']:7.1f} ms, ratio {result['ratio_median']:.2f} "
        f"({least:.2f} to {most:.2f}), by itself {'sparse' if result['rule'] else 'dense'}, "
        f"gradients differ by {result['difference_of_gradients']:.0e}"
    )


if __name__ == "__main__":
    main()
