"""A process of its own for a peer: ``python -m peers.worker NAME CLOCK``, run in the folder of the benchmarks.

It imports the peer once, and forks for every setting: the child starts with all that is imported and nothing that an
earlier setting left, so that its memory is that of the setting. Requests and answers are lines of JSON.
"""

from __future__ import annotations

from _machine import one_thread, threads, versions

one_thread()

import ctypes
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import torch
from peers.peer import AbsentError, Peer
from peers.problem import Setting, draw
from peers.processes import PEERS

PACKAGES = ("neurotorch", "torch", "numpy", "numba", "norse", "snntorch")
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def main() -> None:
    name, clock = sys.argv[1], CLOCKS[sys.argv[2]]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints goes to the errors
    torch.set_num_threads(1)
    try:
        module, peer = PEERS[name]
        kind = vars(importlib.import_module(module))[peer]
    except ImportError as error:
        say(answers, absent=str(error))
        return
    say(answers, what=kind.what, learned=kind.learned, versions=versions(*PACKAGES))
    for request in requests():
        setting = Setting(**request)
        child = os.fork()
        if not child:
            serve(kind, setting, answers, clock)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            say(answers, failed=f"the process ended with {os.waitstatus_to_exitcode(status)}")


def serve(kind: type[Peer], setting: Setting, answers: TextIO, clock: Callable[[], float]) -> None:
    """Answer all requests about one setting; the first answer says what it takes, the last request is empty."""
    # A first step compiles and allocates once and for all: a small setting takes that off the memory's account.
    try:
        small = kind(draw(replace(setting, neurons=4, steps=3)))
        step(small, clock)
        trim()
        before = memory("VmRSS")
        peer = kind(draw(setting))
    except AbsentError as absence:
        say(answers, absent=str(absence))
        return
    held = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back
    first = step(peer, clock)
    peak = memory("VmHWM")
    say(
        answers,
        mebibytes={"held": held - before, "step": peak - held},
        first_step=first,
        activity=peer.activity(),
        threads=threads(),
    )
    for request in requests():
        if not request:
            return
        say(answers, milliseconds=step(peer, clock))


def step(peer: Peer, clock: Callable[[], float]) -> tuple[float, float]:
    """Return the milliseconds of a pass forward and of one backward."""
    peer.forget()
    started = clock()
    loss = peer.forward()
    middle = clock()
    peer.backward(loss)
    ended = clock()
    return 1000 * (middle - started), 1000 * (ended - middle)


def memory(field: str) -> float:
    """Return a field of /proc/self/status in mebibytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}: the memory is only measured on Linux.")


def trim() -> None:
    """Give freed memory back, so that the setting cannot hide in it."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def requests() -> Iterator[Any]:
    """Yield what is asked, until nobody is there to ask."""
    while line := sys.stdin.readline():
        yield json.loads(line)


def say(answers: TextIO, **answer: Any) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
