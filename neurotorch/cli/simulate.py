"""Simulate a recording of a network whose weights are known, and write both to a .npz file.

The file holds activity (time, neuron), dt, the names of the neurons, weights (post, pre) and the types (pre,) as signs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from neurotorch.cli.parser import new_file

if TYPE_CHECKING:
    from neurotorch.cli.parser import Parser

HELP = "simulate a recording of a known network"


def configure(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .npz file to write")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything that is drawn (%(default)s)")
    parser.add_argument("--neurons", type=int, metavar="N", help="neurons in the network")
    parser.add_argument("--frames", type=int, metavar="N", help="frames in the recording")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def run(args: argparse.Namespace) -> None:
    """Simulate, write, and say how to fit it."""
    path = new_file(args.out, suffix=".npz", overwrite=args.overwrite)

    import numpy as np

    from neurotorch.core.storage import write_atomically
    from neurotorch.runs.demo import demo_recording

    sizes = {name: value for name in ("neurons", "frames") if (value := getattr(args, name)) is not None}
    demo = demo_recording(seed=args.seed, **sizes)
    recording = demo.recording

    def write(file: Path) -> None:
        np.savez_compressed(
            file,
            activity=recording.activity,
            axes=np.array("time,neuron"),
            dt=np.array(recording.dt),
            neurons=np.array(recording.neurons),
            weights=demo.weight,
            signs=demo.signs,
        )

    write_atomically(path, write)
    print(f"{recording.frames} frames of {len(recording.neurons)} neurons, dt {recording.dt:g} s: {path}")
    print(f"Fit it with: neurotorch fit {path} --key activity --out RUN")
