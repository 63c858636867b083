"""Where is a sparse recurrent connection faster in compressed rows than as a dense matrix with zeros?

    python benchmarks/sparse_storage.py --out build/sparse.json
    python benchmarks/sparse_storage.py --neurons 128,1024 --densities 0.05 --out build/small.json

Times the products of a training step, ``W z`` forward, ``W' g`` backward, and the gradient of the weights (per row of
time and batch, out of 100 or more), dense by torch as now, with torch's and scipy's compressed rows, and by a gather
compiled by numba. The ways take turns; ratios are medians over turns, of processor time. float32, one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

from _machine import machine, made, one_thread, threads, versions

one_thread()

import warnings

import numpy as np
import torch
from _sparse_products import Product, products

from neurotorch.core.storage import save_json

NEURONS, DENSITIES, BATCHES = "128,256,512,1024,2048,4096", "0.01,0.02,0.05,0.1,0.2,0.5", "1,32"
LEAST_SECONDS = 0.01
ROWS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neurons", default=NEURONS)
    parser.add_argument("--densities", default=DENSITIES)
    parser.add_argument("--batches", default=BATCHES)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True, help="JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    # torch says once that compressed rows are in beta.
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta", category=UserWarning)
    rows = []
    for neurons in (int(n) for n in args.neurons.split(",")):
        for density in (float(d) for d in args.densities.split(",")):
            for batch in (int(b) for b in args.batches.split(",")):
                rows += measure(neurons, density, batch, args.turns)
        about = {"made": made(), "machine": machine(), "threads": threads()}
        save_json(args.out, {**about, "versions": versions("torch", "numpy", "numba", "scipy"), "times": rows})


def measure(neurons: int, density: float, batch: int, turns: int) -> list[dict[str, Any]]:
    """Return a row for every product."""
    random = np.random.default_rng(0)
    shape = (neurons, neurons)
    weight = np.where(random.random(shape) < density, random.normal(size=shape), 0).astype(np.float32)
    steps = random.normal(size=(2, neurons, batch)).astype(np.float32)
    over_time = random.normal(size=(2, neurons, max(batch, ROWS))).astype(np.float32)
    once, whole = products(weight, *steps), products(weight, *over_time)
    found = []
    for name in once:
        peers = whole[name] if name == "gradient" else once[name]
        samples = max(batch, ROWS) if name == "gradient" else batch
        check(name, peers, weight)
        times = in_turns(peers, turns)
        micros = {peer: 1e6 * statistics.median(each) / samples for peer, each in times.items()}
        ratios = {
            peer: statistics.median(mine / dense for mine, dense in zip(each, times["dense"], strict=True))
            for peer, each in times.items()
        }
        about = {"neurons": neurons, "density": density, "batch": batch, "product": name}
        found.append({**about, "us_per_sample": micros, "over_dense": ratios})
        print(line(found[-1]), flush=True)
    return found


def check(name: str, peers: dict[str, Product], weight: np.ndarray) -> None:
    """Raise if a way does not compute what the dense one does; this compiles it, too."""
    expected = np.asarray(peers["dense"]())
    if name == "gradient":
        expected = expected[weight != 0]
    for peer, product in peers.items():
        result = np.asarray(product())
        result = result[weight != 0] if name == "gradient" and peer == "dense" else result.reshape(expected.shape)
        # sums of up to thousands of terms of order 1 in float32, in another order
        np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3)


def in_turns(peers: dict[str, Product], turns: int) -> dict[str, list[float]]:
    """Return seconds of processor time per call for each turn."""
    calls = {peer: max(1, round(LEAST_SECONDS / max(seconds(product, 1), 1e-7))) for peer, product in peers.items()}
    found: dict[str, list[float]] = {peer: [] for peer in peers}
    for _ in range(turns):
        for peer, product in peers.items():
            found[peer].append(seconds(product, calls[peer]))
    return found


def seconds(product: Product, calls: int) -> float:
    began = time.process_time()
    for _ in range(calls):
        product()
    return (time.process_time() - began) / calls


def line(row: dict[str, Any]) -> str:
    cells = [f"{row['neurons']:5} {row['density']:5.2f} batch {row['batch']:2} {row['product']:8}"]
    cells += [f"{peer} {value:8.2f} us, {row['over_dense'][peer]:6.2f}" for peer, value in row["us_per_sample"].items()]
    return " | ".join(cells)


if __name__ == "__main__":
    main()
