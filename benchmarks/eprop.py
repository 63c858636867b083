"""What does e-prop cost: one pass over 522 neurons and 620 frames, and how much memory does it hold online?

Forward alone, offline (the gradient included), online with one update per window, per ten frames and per frame; a
recurrent layer under Dale's law that is observed directly, batch 1, float32, one thread. Ways alternate in one process.
Online memory is the high-water mark of a process of its own for each length, on inputs that take no memory.

`--published` reads seconds per step of the published e-prop, measured by another process on a shortened sequence, and
compares them step by step.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import datetime
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import numba
import numpy
import threadpoolctl
import torch

import neurotorch
from neurotorch.connections import Connection, Dale
from neurotorch.data import Batch
from neurotorch.learning import BPTT, EProp, MeanSquaredError
from neurotorch.network import Layer, Network
from neurotorch.neurons import LIF, CurrentLIF, WilsonCowan, learned

SEED, NEURONS, FRAMES = 0, 522, 620
MODELS = {
    "LIF": lambda _: LIF(),
    "CurrentLIF": lambda _: CurrentLIF(),
    "WilsonCowan": lambda _: WilsonCowan(3.0),
    "WilsonCowan, constants learned": lambda n: WilsonCowan(learned(torch.full((n,), 3.0)), learned(torch.zeros(n))),
}
WAYS = {
    "offline": {},
    "online, one update": {"online": True},
    "online, every 10": {"online": True, "update_every": 10},
    "online, every frame": {"online": True, "update_every": 1},
}
LENGTHS = (1_000, 10_000, 100_000)


def network_of(name, neurons):
    """Return the layer of a model, at rest, with inputs of its own size."""
    generator = torch.Generator().manual_seed(SEED)
    model = MODELS[name](neurons)
    spikes = model.emits == "spikes"
    connection = Connection(neurons, neurons, dale=Dale.fraction(neurons, 0.8), generator=generator)
    if spikes:
        # weak enough that the share of neurons that fire, reported below, is set by the inputs
        with torch.no_grad():
            connection.set_weight(0.1 * connection.weight())
    layer = Layer(model, neurons, recurrent=connection, bias=learned(torch.zeros(neurons)))
    return Network({"cortex": layer}, dt=0.001 if spikes else 1.0)


def inputs_of(name, frames, neurons):
    generator = torch.Generator().manual_seed(SEED + 1)
    draw = torch.randn(frames, 1, neurons, generator=generator)
    # currents at which 5 to 12 % of spiking neurons fire at a step; rates fluctuate around their middle
    return {"LIF": 0.3 * draw + 0.06, "CurrentLIF": 0.06 * draw + 0.015}.get(name, draw)


def seconds(function):
    """Return the wall-clock and the processor's seconds: on a machine that is shared, the second is what to compare."""
    wall, processor = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - processor


def measure(name, repeats, slow_repeats):
    network = network_of(name, NEURONS)
    inputs = inputs_of(name, FRAMES, NEURONS)
    batch = Batch(torch.rand(FRAMES, 1, NEURONS, generator=torch.Generator().manual_seed(SEED + 2)), inputs)
    # a learning rate of 0: the optimizer works, the weights and with them the activity stay
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    rules = {way: EProp(network, MeanSquaredError(), optimizer=optimizer, **o) for way, o in WAYS.items()}
    rules["bptt"] = BPTT(network, MeanSquaredError(), optimizer=optimizer)

    def forward():
        with torch.no_grad():
            network(inputs, network.initial_state(1), frames=FRAMES)

    def one_pass(rule):
        rule.compute(batch)
        rule.apply()

    ways = {"forward": forward} | {way: (lambda rule=rule: one_pass(rule)) for way, rule in rules.items()}
    found, processor = {way: [] for way in ways}, {way: [] for way in ways}
    gradients = {}
    for way, function in ways.items():  # warm
        if way != "online, every frame":
            function()
        if way in ("offline", "online, one update"):
            gradients[way] = network.layers["cortex"].recurrent.raw.grad.clone()
    for repeat in range(repeats):
        for way, function in ways.items():
            if repeat < slow_repeats or way not in ("online, every 10", "online, every frame"):
                wall, own = seconds(function)
                found[way].append(1000 * wall)
                processor[way].append(1000 * own)
    with torch.no_grad():
        output, _ = network(inputs, network.initial_state(1), frames=FRAMES)
    offline, online = gradients.values()
    medians = {way: statistics.median(times) for way, times in found.items()}
    return {
        "model": name,
        "milliseconds": found,
        "processor_milliseconds": processor,
        "median": medians,
        "median_processor": {way: statistics.median(times) for way, times in processor.items()},
        "ratio_offline_to_forward": statistics.median(
            [a / b for a, b in zip(found["offline"], found["forward"], strict=True)]
        ),
        "ratio_offline_to_forward_processor": statistics.median(
            [a / b for a, b in zip(processor["offline"], processor["forward"], strict=True)]
        ),
        "ratio_online_to_forward": medians["online, one update"] / medians["forward"],
        "mean_activity": float(output.mean()),
        "relative_difference_online_offline": float((online - offline).norm() / offline.norm()),
    }


def high_water():
    """Return the most memory that this process has held, in MiB (`ru_maxrss` would begin with that of its parent)."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not say how much memory a process has held")


def hold(frames, way):
    """Run one pass and print the high-water mark of this process before and after it."""
    neurons = 128
    network = network_of("LIF", neurons)
    inputs = inputs_of("LIF", 1, neurons).expand(frames, 1, neurons)
    target = torch.zeros(1, 1, neurons).expand(frames, 1, neurons)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    options = {"online": True} if way == "online" else {}
    rule = EProp(network, MeanSquaredError(), optimizer=optimizer, **options)
    rule.compute(Batch(target[:300], inputs[:300]))
    before = high_water()
    rule.compute(Batch(target, inputs))
    rule.apply()
    print(json.dumps({"before": before, "after": high_water()}))


def memory():
    found = []
    for way, lengths in (("online", LENGTHS), ("offline", LENGTHS)):
        for frames in lengths:
            command = [sys.executable, __file__, "--hold", str(frames), way, "--out", os.devnull]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append({"way": way, "frames": frames, "mebibytes": json.loads(done.stdout.splitlines()[-1])})
            print(json.dumps(found[-1]))
    return found


def published_of(path, results):
    """Read ``{"model name": {"seconds_per_step": number, ...}, ...}`` and return how many times faster ours is.

    The models are those of `MODELS`; other entries, such as versions and the length that was run, are kept as they are.
    """
    with open(path, encoding="utf-8") as file:
        published = json.load(file)
    ratios = {}
    for result in results:
        theirs = published.get(result["model"], {}).get("seconds_per_step")
        if theirs is not None:
            ratios[result["model"]] = {
                way: theirs / (result["median"][way] / 1000 / FRAMES) for way in WAYS if way in result["median"]
            }
    return {"times_faster_than_published": ratios, "published": published}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--slow-repeats", type=int, default=3, help="of the passes with updates inside a window")
    parser.add_argument("--published", help="JSON of seconds per step of the published e-prop")
    parser.add_argument("--hold", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.hold:
        hold(int(options.hold[0]), options.hold[1])
        return
    results = []
    for name in MODELS:
        results.append(measure(name, options.repeats, options.slow_repeats))
        shown = (
            "model",
            "median",
            "median_processor",
            "ratio_offline_to_forward",
            "ratio_offline_to_forward_processor",
        )
        shown += ("mean_activity", "relative_difference_online_offline")
        print(json.dumps({key: results[-1][key] for key in shown}))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    written = {
        "question": __doc__.splitlines()[0],
        "made": {"date": datetime.datetime.now(datetime.UTC).isoformat(), "commit": commit, "command": sys.argv},
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
            "memory_gib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
            "threads": {pool["prefix"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()},
            "accelerator": None,
        },
        "versions": {
            "python": platform.python_version(),
            "neurotorch": neurotorch.__version__,
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "numba": numba.__version__,
        },
        "seeds": [SEED, SEED + 1, SEED + 2],
        "repeats": options.repeats,
        "slow_repeats": options.slow_repeats,
        "neurons": NEURONS,
        "frames": FRAMES,
        "results": results,
        "memory": memory(),
    }
    if options.published:
        written |= published_of(options.published, results)
        print(json.dumps(written["times_faster_than_published"]))
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(written, file, indent=2)


if __name__ == "__main__":
    main()
