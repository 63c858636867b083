"""Say what is installed, or what a run folder or the file of a recording holds."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurotorch.cli.folder import opened
from neurotorch.cli.parser import add_recording

if TYPE_CHECKING:
    from neurotorch.cli.parser import Parser

HELP = "say what is installed, or what a file or run folder holds"


def configure(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("path", type=Path, nargs="?", metavar="PATH", help="a run folder or the file of a recording")
    add_recording(parser)


def run(args: argparse.Namespace) -> None:
    """Print what there is."""
    if args.path is None:
        _print_rows(_installation())
    elif args.path.is_dir():
        _print_rows(_run(args.path))
    else:
        _print_rows(_file(args))


def _installation() -> dict[str, Any]:
    from neurotorch.training.environment import environment

    data = os.environ.get("NEUROTORCH_DATA")
    rows = environment()
    return {
        **rows,
        "package": Path(__file__).parents[1],
        "data folder": data or "none (set NEUROTORCH_DATA to the folder of real recordings)",
    }


def _run(folder: Path) -> dict[str, Any]:
    report = opened(folder).report
    network, training = report["network"], report["training"]
    return {
        "run": folder,
        "protocol": report["protocol"],
        **_data(report),
        "network": f"{network['neuron']}, {network['parameters']} parameters, excitatory {network['excitatory']}",
        "training": f"{training['epochs']} epochs, {training['seconds']:.1f} s, seed {training['seed']}, "
        f"stopped by {training['stopped_by']}",
        "sign violations": report["dale"]["violations"],
        "files": ", ".join(sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if _is_shown(p, folder))),
    }


def _data(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a network was trained on."""
    if "recording" not in report:
        data, test = report["data"], report["test"]
        scored = f"{data['training_samples']} for training, accuracy {test['accuracy']:.4f} on {test['samples']}"
        return {"samples": f"{data['name']}, {len(data['classes'])} classes: {scored}"}
    source = report["recording"]
    path, frames, neurons = source["path"] or "simulated", source["frames"], source["neurons"]
    return {"recording": f"{path}: {frames} frames of {neurons} neurons, dt {source['dt']:g} s"}


def _is_shown(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return path.is_file() and parts[0] != "checkpoints" and not any(part.startswith(".") for part in parts)


def _file(args: argparse.Namespace) -> dict[str, Any]:
    """Return what a file holds, and the recording in it as far as the file and the options say which."""
    from neurotorch.data import read
    from neurotorch.data.readers.contents import listing
    from neurotorch.data.readers.read import READERS

    options = {"dt": args.dt, "axes": args.axes, "key": args.key, "inputs_key": args.inputs_key}
    reader = READERS.get(args.path.suffix.lower())
    if reader is None or not args.path.exists():
        read(args.path)  # says what is wrong, and which name is near
    assert reader is not None
    rows: dict[str, Any] = {"file": args.path, "holds": listing(reader(args.path))}
    try:
        recording = read(args.path, **options)
    except ValueError as error:
        if any(value is not None for value in options.values()):
            raise
        return {**rows, "recording": f"not without more: {error}"}
    return {
        **rows,
        "recording": f"{recording.frames} frames of {len(recording.neurons)} neurons, dt {recording.dt:g} s, "
        f"{recording.frames * recording.dt:g} s in all",
        "missing frames": int(recording.missing.sum()),
        "dead neurons": str(recording.dead()),
        "sha256": recording.provenance["sha256"],
    }


def _print_rows(rows: dict[str, Any]) -> None:
    for name, value in rows.items():
        print(f"{name + ':':<17}{value}")
