"""The run folder of a fit: begun with its settings, continued only with the same, gone if nothing came of it."""

from __future__ import annotations

import argparse
import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurotorch.cli.task import held_out

if TYPE_CHECKING:
    from neurotorch.cli.task import Task
    from neurotorch.runs import LoadedRun, RunFolder
    from neurotorch.runs.classification import LoadedClassifier

SETTINGS = "settings.json"
"""In the folder of checkpoints, from the start of a fit to its end."""


def opened(path: Path) -> LoadedRun | LoadedClassifier:
    """Return the finished run in a folder, or raise, guessing at the name that was meant."""
    from neurotorch.core.checks import nearest
    from neurotorch.runs import load

    if not path.exists():
        siblings = (item.name for item in path.parent.iterdir()) if path.parent.is_dir() else ()
        raise FileNotFoundError(f"There is no folder {path}.{nearest(path.name, siblings)}")
    return load(path)


def is_finished(path: Path) -> bool:
    """Tell whether a folder holds a run that ended, and none that was begun since."""
    from neurotorch.runs.folder import CONFIG, RunFolder

    return (path / CONFIG).is_file() and not RunFolder(path).checkpoints.exists()


def fitted(path: Path) -> LoadedRun:
    """Return the finished fit of a recording in a folder, or raise."""
    from neurotorch.runs import LoadedRun

    run = opened(path)
    if not isinstance(run, LoadedRun):
        raise ValueError(f"{path} holds a classifier, but this needs a fit of a recording, by `neurotorch fit`.")
    return run


@contextlib.contextmanager
def begun(args: argparse.Namespace, settings: Mapping[str, Any]) -> Iterator[RunFolder]:
    """Enter the run folder. Where there was none, a fit that fails before its first checkpoint leaves none.

    Raises
    ------
    OSError
        If the folder is not to be used.
    ValueError
        If a run is to be continued with other settings than it was begun with.
    """
    from neurotorch.runs import RunFolder
    from neurotorch.runs.folder import OURS

    existed, held = args.out.exists(), args.out.is_dir() and any(args.out.iterdir())
    folder = RunFolder.create(args.out, overwrite=args.overwrite, resume=args.resume)
    try:
        _keep_settings(folder.checkpoints / SETTINGS, settings)
        yield folder
    except BaseException:
        left = {item.name for item in folder.path.iterdir()}
        if not held and left <= {OURS, folder.checkpoints.name} and not any(folder.checkpoints.rglob("state.json")):
            shutil.rmtree(folder.path)
            if existed:
                folder.path.mkdir()
        raise


def check_same(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raise if the finished run in a folder was made with other settings."""
    from neurotorch.core.storage import load_json
    from neurotorch.runs.folder import CONFIG

    _compare(folder, load_json(folder / CONFIG), settings)


def check_finished(args: argparse.Namespace, task: Task) -> None:
    """Raise if the finished run in the folder was made with other settings than those that are asked for."""
    from neurotorch.core.storage import load_json
    from neurotorch.runs.folder import CONFIG

    config = load_json(args.out / CONFIG)
    _compare(args.out, config, {"protocol": args.protocol})  # a classifier has no recording to compare
    made_with = {**config, **config["blueprint"], **config["plan"], **config["recording"]}
    made_with["recording"] = config["recording"]["provenance"].get("sha256", "simulated")
    # The rest of a recording follows from its file and its options; the folder keeps it in another form.
    asked = {name: value for name, value in settings_of(args, task).items() if name in made_with}
    for name in ("neurons", "key", "axes", "inputs", "dt"):
        asked.pop(name, None)
    if args.protocol == "held-out":
        asked["start"] = task.recording.split(held_out(args))[0].frames
    _compare(args.out, made_with, asked)


def _keep_settings(file: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings, or compare them with those that are there."""
    from neurotorch.core.storage import load_json, save_json

    if not file.exists():
        save_json(file, settings)
        return
    begun_with = load_json(file)
    _compare(file.parents[1], begun_with, {**dict.fromkeys(_flat(begun_with)), **_flat(settings)})


def _compare(folder: Path, begun_with: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    before, now = _flat(begun_with), _flat(settings)
    other = [
        f"{name} was {before.get(name)} and is {now.get(name)}"
        for name in sorted(now)
        if before.get(name) != now.get(name)
    ]
    if other:
        raise ValueError(
            f"{folder} holds a run with other settings ({'; '.join(other)}): continue it with the same ones, "
            "or start again with --overwrite."
        )


def _flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return settings that hold others, such as those of a plan, as one mapping."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{above}{name} ") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return flat


def settings_of(args: argparse.Namespace, task: Task) -> dict[str, Any]:
    """Return what the numbers of a fit depend on, flat, as JSON has it."""
    from neurotorch.runs.same_fit import plan_json

    provenance = task.recording.provenance
    return {
        "protocol": args.protocol,
        "seed": args.seed,
        "held_out": held_out(args),
        "recording": provenance.get("sha256", "simulated"),
        **{name: provenance[name] for name in ("key", "axes", "inputs") if name in provenance},
        "dt": task.recording.dt,
        "neurons": len(task.recording.neurons),
        **task.blueprint.to_json(),
        **plan_json(task.plan),
    }
