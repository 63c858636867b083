"""How long does a step of the published NeuroTorch's e-prop take?

    cd benchmarks; PYTHONPATH=FOLDER python -m peers.published_eprop --frames 40

FOLDER holds ``pip install --target FOLDER --no-deps NeuroTorch==0.0.2`` and what it imports; ours must not be on the
path. Prints one JSON object, whose seconds per step can be scaled to a longer sequence. From another benchmark it is
``run("peers.published_eprop", "--frames", "40", published=FOLDER)`` of `peers.processes`.

`WHAT` says what runs.
"""

from __future__ import annotations

from _machine import made, one_thread, threads, versions

one_thread()

import argparse
import json
import statistics
import time
from typing import Any

import torch
from peers.published import published

WHAT = (
    "What the paper's own script runs on a recording (eprop_training.py of NeuroTorch_PaperWithCode): a network that "
    "goes on from the first frame by itself, its output being the next input; a layer of as many neurons as the "
    "recording has, without a recurrent matrix unless `recurrent` is set, a linear readout with a sigmoid; batch 1; "
    "Trainer and Eprop with the script's settings: random feedback, the eligibility traces, gradients and weights "
    "(AdamW) updated at every step. Left out: metrics, schedules, checkpoints. An iteration is one pass over the "
    "frames; the first, in which feedback weights and the optimizer are made, is not counted. Activity is noise."
)
NEURONS, FRAMES, DT, SEED = 522, 40, 0.02, 0
SETTINGS = {
    "alpha": 1e-3,
    "gamma": 1e-3,
    "params_lr": 1e-5,
    "output_params_lr": 2e-5,
    "default_optim_kwargs": {"weight_decay": 0.01, "lr": 1e-5},
    "grad_norm_clip_value": 1.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neurons", type=int, default=NEURONS)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--layer", choices=("spiking", "wilson-cowan"), default="spiking")
    parser.add_argument("--dale", action="store_true")
    parser.add_argument("--recurrent", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    nt = published()
    network = build(nt, args)
    activity = torch.rand(1, args.frames, args.neurons)
    steps = args.frames - 1  # the first frame is given, the others are forecast
    training = iterations(nt, network, activity, args.repeats + 1)[1:]
    forward = [seconds(network, activity) for _ in range(args.repeats + 1)][1:]
    print(
        json.dumps(
            {
                "what": WHAT,
                "made": made(),
                "versions": versions("NeuroTorch", "torch", "numpy"),
                "threads": threads(),
                "setting": {**vars(args), "batch": 1, "steps": steps, "dtype": "float32", "eprop": SETTINGS},
                "seconds_per_iteration": training,
                "seconds_per_step": statistics.median(training) / steps,
                "forward_seconds_per_step": statistics.median(forward) / steps,
            }
        )
    )


def build(nt: Any, args: argparse.Namespace) -> Any:
    """Return the network of the paper's script."""
    settings = {"dt": DT, "use_recurrent_connection": args.recurrent, "hh_init": "inputs", "name": "Encoder"}
    settings |= {"force_dale_law": args.dale, "activation": "sigmoid"}
    if args.layer == "spiking":
        layer = nt.SpyLIFLayerLPF(args.neurons, args.neurons, **settings).build()
    else:
        rate = {"tau": 0.1, "r": 0.1, "learn_r": True, "learn_mu": True, "learn_tau": True, "mean_mu": 0.0}
        layer = nt.WilsonCowanLayer(args.neurons, args.neurons, **settings, **rate).build()
    readout = nt.Linear(args.neurons, args.neurons, use_bias=False, activation="sigmoid")
    horizon = args.frames - 1
    return nt.SequentialRNN(
        layers=[layer, readout], foresight_time_steps=horizon, out_memory_size=horizon, hh_memory_size=1
    ).build()


def iterations(nt: Any, network: Any, activity: torch.Tensor, count: int) -> list[float]:
    """Return the seconds of each of `count` iterations of the published trainer."""
    clock = clock_of(nt)
    trainer = nt.trainers.Trainer(
        network, predict_method="get_prediction_trace", callbacks=[nt.Eprop(**SETTINGS), clock], verbose=False
    )
    frames = torch.utils.data.TensorDataset(activity[:, :1], activity[:, 1:])
    trainer.train(
        torch.utils.data.DataLoader(frames, batch_size=1),
        n_iterations=count,
        exec_metrics_on_train=False,
        verbose=False,
    )
    return clock.seconds


def clock_of(nt: Any) -> Any:
    """Return a callback that keeps the seconds of every iteration."""

    class Clock(nt.callbacks.BaseCallback):
        def __init__(self) -> None:
            super().__init__(save_state=False, load_state=False, priority=1000)
            self.seconds: list[float] = []

        def on_iteration_begin(self, *_: Any, **__: Any) -> None:
            self.started = time.perf_counter()

        def on_iteration_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.perf_counter() - self.started)

    return Clock()


@torch.no_grad()
def seconds(network: Any, activity: torch.Tensor) -> float:
    """Return the seconds of a forecast alone."""
    network.eval()
    started = time.perf_counter()
    network.get_prediction_trace(activity[:, :1])
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
