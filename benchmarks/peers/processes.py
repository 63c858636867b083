"""Starts the processes that peers run in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peers.problem import Setting

PEERS = {
    "ours": ("peers.ours", "Ours"),
    "recomputed": ("peers.ours", "Recomputed"),
    "scan": ("peers.ours", "Scan"),
    "autograd": ("peers.ours", "Autograd"),
    "norse": ("peers.norse_layer", "Norse"),
    "snntorch": ("peers.snntorch_layer", "Snntorch"),
    "published": ("peers.published_layer", "Published"),
    "products": ("peers.products", "Products"),
    "numpy-products": ("peers.products", "NumpyProducts"),
}
"""Module and class of every peer."""

BENCHMARKS = Path(__file__).resolve().parents[1]


def environment(published: Path | None = None) -> dict[str, str]:
    """Return the environment of a process that finds our package, or in its place the published one in a folder."""
    folder = BENCHMARKS.parent if published is None else published.resolve()
    return {**os.environ, "PYTHONPATH": str(folder)}


def run(module: str, *arguments: str, published: Path | None = None, **variables: str) -> Any:
    """Run a module of this folder that prints JSON in a process of its own, and return it.

    Raises
    ------
    RuntimeError
        If it fails; the message holds what it wrote.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=BENCHMARKS,
        env=environment(published) | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


class Worker:
    """The process of one peer; `absent` says why there is none. `clock` is "wall" or "cpu"."""

    def __init__(self, name: str, published: Path | None, clock: str = "wall") -> None:
        self.name, self.absent = name, None
        folder = published if name == "published" else None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "peers.worker", name, clock],
            cwd=BENCHMARKS,
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.about = self._answer()
        self.absent = self.about.get("absent")

    def prepare(self, setting: Setting) -> dict[str, Any]:
        """Build the layer and run it once; return what that took, activity and threads, or ``absent`` and why."""
        return self._ask(asdict(setting))

    def step(self) -> tuple[float, float]:
        """Return the milliseconds of a pass forward and of one backward."""
        forward, backward = self._ask({"step": True})["milliseconds"]
        return forward, backward

    def release(self) -> None:
        """End the process of the setting."""
        self._say({})

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._say(request)
        return self._answer()

    def _say(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The process of {self.name} ended: what it wrote is above.")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise RuntimeError(f"{self.name}: {answer['failed']}; what it wrote is above.")
        return answer
