"""What does a training step cost: one pass forward and backward through a recurrent population?

Ours (`neurotorch.engine.adjoint`) against autograd through the reference loop, and against the floor: the `2T` products
of the recurrent weights alone, by torch. They alternate in one process on the same inputs.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import datetime
import json
import platform
import statistics
import subprocess
import sys
import time
from unittest import mock

import numba
import numpy
import threadpoolctl
import torch

import neurotorch
from neurotorch.engine import Link, Population, adjoint, reference
from neurotorch.engine.kernel import kernel
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons import CurrentLIF, WilsonCowan, learned

SEED = 0
SETTINGS = (
    (CurrentLIF, 128, 1, 1000),
    (CurrentLIF, 522, 1, 1000),
    (CurrentLIF, 522, 32, 200),
    (CurrentLIF, 256, 128, 100),
    (WilsonCowan, 67, 1, 891),
)


class Setting:
    def __init__(self, model, neurons, batch, steps, dtype):
        generator = torch.Generator().manual_seed(SEED)

        def draw(*shape):
            return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

        self.steps, self.rest = steps, torch.zeros(batch, neurons, dtype=dtype)
        if model is WilsonCowan:
            self.model, self.dt = WilsonCowan(learned(torch.full((neurons,), 0.1)), learned(torch.zeros(neurons))), 0.02
            self.weight, self.current = draw(neurons, neurons) / neurons**0.5, draw(steps, batch, neurons)
        else:
            self.model, self.dt = CurrentLIF(), 0.001
            # about 12 % of the neurons fire at a step
            self.weight, self.current = (
                0.3 * draw(neurons, neurons) / neurons**0.5,
                0.3 * draw(steps, batch, neurons) - 0.02,
            )
        self.model = self.model.to(dtype)
        self.weight.requires_grad_()

    def forward(self, engine):
        population = Population(
            NeuronStep(type(self.model)),
            self.model.coefficients(self.dt),
            self.model.initial_state(self.rest.shape[0], self.rest),
            self.rest,
            self.current,
        )
        (run,) = engine.scan([population], [Link(0, 0, self.weight)])
        return run

    def times(self, engine):
        start = time.perf_counter()
        run = self.forward(engine)
        loss = run.emitted.square().mean()
        middle = time.perf_counter()
        self.gradients = torch.autograd.grad(loss, [self.weight, *self.model.parameters()])
        self.emitted = run.emitted.detach()
        return middle - start, time.perf_counter() - middle

    @torch.no_grad()
    def products(self):
        start = time.perf_counter()
        for _ in range(2 * self.steps):
            torch.nn.functional.linear(self.rest, self.weight)
        return time.perf_counter() - start


def measure(setting, repeats):
    names = ("ours", "ours_forward", "in_torch", "in_torch_forward", "autograd", "autograd_forward", "products")
    found = {name: [] for name in names}
    setting.times(adjoint)
    ours, mine = setting.emitted, setting.gradients
    setting.times(reference)
    same_spikes = float((ours != setting.emitted).double().mean())
    differences = [float((a - b).norm() / b.norm()) for a, b in zip(mine, setting.gradients, strict=True)]
    for _ in range(repeats):
        for name, engine in (("ours", adjoint), ("in_torch", adjoint), ("autograd", reference)):
            with mock.patch.object(adjoint, "choose", adjoint.choose if name == "ours" else lambda *_: None):
                forward, backward = setting.times(engine)
            found[name].append(1000 * (forward + backward))
            found[f"{name}_forward"].append(1000 * forward)
        found["products"].append(1000 * setting.products())
    return found, {
        "largest_difference_of_outputs": float((ours - setting.emitted).abs().max()),
        "share_of_outputs_that_differ": same_spikes,
        "relative_difference_of_gradients": differences,
        "activity": float(ours.mean()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    start, loading = time.perf_counter(), {}
    for dtype in ("float32", "float64"):
        kernel(dtype)
        loading[dtype] = time.perf_counter() - start
        start = time.perf_counter()
    results = []
    for dtype in (torch.float32, torch.float64):
        for model, *shape in SETTINGS:
            found, agreement = measure(Setting(model, *shape, dtype), options.repeats)
            ratios = [other / mine for other, mine in zip(found["autograd"], found["ours"], strict=True)]
            torch_ratios = [other / mine for other, mine in zip(found["in_torch"], found["ours"], strict=True)]
            results.append(
                {
                    "setting": dict(zip(("neurons", "batch", "steps"), shape, strict=True))
                    | {"model": model.__name__, "dtype": str(dtype).removeprefix("torch.")},
                    "milliseconds": found,
                    "median": {name: statistics.median(times) for name, times in found.items()},
                    "ratio_median": statistics.median(ratios),
                    "ratio_range": [min(ratios), max(ratios)],
                    "ratio_median_to_torch": statistics.median(torch_ratios),
                    **agreement,
                }
            )
            print(
                json.dumps(
                    {
                        k: results[-1][k]
                        for k in ("setting", "median", "ratio_median", "ratio_median_to_torch", "activity")
                    }
                )
            )
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    threads = {pool["prefix"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    written = {
        "question": __doc__.splitlines()[0],
        "made": {"date": datetime.datetime.now(datetime.UTC).isoformat(), "commit": commit, "command": sys.argv},
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "memory_gib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
            "threads": threads,
            "accelerator": None,
        },
        "versions": {
            "python": platform.python_version(),
            "neurotorch": neurotorch.__version__,
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "numba": numba.__version__,
        },
        "seeds": [SEED],
        "repeats": options.repeats,
        "seconds_to_load_or_compile": loading,
        "results": results,
    }
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(written, file, indent=2)


if __name__ == "__main__":
    main()
