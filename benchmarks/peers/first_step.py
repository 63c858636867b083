"""How long until a fresh process has done its first training step? Prints JSON; NEUROTORCH_CACHE says cold or warm."""

from __future__ import annotations

import time

from _machine import one_thread

one_thread()
started = time.perf_counter()

import json

import torch
from peers.ours import MODELS, Ours
from peers.problem import Setting, draw


def main() -> None:
    torch.set_num_threads(1)
    seconds = {"import": time.perf_counter() - started}
    for model in MODELS:
        peer = Ours(draw(Setting(model, False, neurons=4, batch=1, steps=3)))
        for when in ("first", "second"):
            begun = time.perf_counter()
            peer.backward(peer.forward())
            seconds[f"{when} step, {model}"] = time.perf_counter() - begun
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
