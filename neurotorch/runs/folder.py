"""The run folder: everything needed to check, continue or repeat a fit, without pickle."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from neurotorch.core.config import build, describe
from neurotorch.core.storage import PathLike, load_json, load_tensors, save_json, save_tensors, write_atomically
from neurotorch.data import Recording
from neurotorch.network import Network
from neurotorch.runs.stored_recording import recording_json, recording_tensors, stored_recording
from neurotorch.training.environment import environment

if TYPE_CHECKING:
    import pandas as pd

    from neurotorch.plotting.style import Figure
    from neurotorch.runs.classification.loaded import LoadedClassifier

FORMAT = "neurotorch-run-1"
CONFIG, MODEL, REPORT, HISTORY = "config.json", "model.safetensors", "report.json", "history.csv"
RECORDING, ABLATION = "recording.safetensors", "ablation.csv"
OURS = ".neurotorch-run"
CLASSIFICATION = "classification"
"""The protocol of a run that classifies; it keeps no recording."""


class Result(Protocol):
    """What a run folder can hold: a fit under some protocol."""

    @property
    def network(self) -> Network:
        """The fitted network."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return the settings that the fit can be repeated with."""
        ...

    def stored(self) -> Recording | None:
        """Return the recording in the unit of the network; None if none is kept."""
        ...

    def history_table(self) -> pd.DataFrame:
        """Return one row per epoch."""
        ...

    def report(self) -> dict[str, Any]:
        """Return the content of ``report.json``."""
        ...

    def figures(self) -> Mapping[str, Figure]:
        """Return the figures by name."""
        ...


@dataclass(frozen=True)
class LoadedRun:
    """A finished run, read back and checked.

    Attributes
    ----------
    network
        With the fitted parameters.
    recording
        The whole recording in the unit of the network.
    start
        The first held-out frame; the number of frames if none is.
    protocol
        ``"held-out"`` or ``"literature"``.
    report, config
        As in the folder.
    folder
        Where it was read from.
    """

    network: Network
    recording: Recording
    start: int
    protocol: str
    report: Mapping[str, Any]
    config: Mapping[str, Any]
    folder: Path


class RunFolder:
    """A folder that holds one run.

    Parameters
    ----------
    path
        The folder. Use `create` to start a run in it.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, path: PathLike, *, overwrite: bool = False, resume: bool = False) -> RunFolder:
        """Make a folder for a run, or enter one that exists.

        Nothing of an earlier run is touched before the new one is saved, but for its checkpoints.

        Raises
        ------
        FileExistsError
            If the folder holds something that is not a run, or a run and neither `overwrite` nor `resume` is asked for.
        NotADirectoryError
            If `path` is a file.
        """
        folder = cls(path)
        if folder.path.exists() and not folder.path.is_dir():
            raise NotADirectoryError(f"{folder.path} is a file, but a run needs a folder: choose another path.")
        if folder.path.is_dir() and any(folder.path.iterdir()) and not (folder.path / OURS).exists():
            raise FileExistsError(f"{folder.path} exists and holds no run of neurotorch: choose another folder.")
        if (folder.path / OURS).exists() and not (overwrite or resume):
            raise FileExistsError(
                f"{folder.path} holds a run already: choose another folder, replace it with `overwrite`, or continue "
                "one that was interrupted with `resume`."
            )
        if overwrite and folder.checkpoints.exists():
            shutil.rmtree(folder.checkpoints)
        folder.path.mkdir(parents=True, exist_ok=True)
        write_atomically(folder.path / OURS, lambda file: file.write_text(FORMAT + "\n"))
        return folder

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are kept while the run goes on."""
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        """Where figures are."""
        return self.path / "figures"

    def save(
        self, result: Result, *, more: Mapping[str, Any] | None = None, figures: Mapping[str, Figure] | None = None
    ) -> None:
        """Save a finished run; ``config.json`` comes last and vouches for the rest.

        Parameters
        ----------
        result
            The fit.
        more
            Further parts of the report.
        figures
            Further figures, by file name.
        """
        recording = result.stored()
        save_tensors(self.path / MODEL, result.network.state_dict())
        kept: tuple[str, ...] = (MODEL, REPORT)
        if recording is not None:
            save_tensors(self.path / RECORDING, recording_tensors(recording))
            kept = (MODEL, RECORDING, REPORT)
        write_atomically(self.path / HISTORY, lambda file: result.history_table().to_csv(file, index=False))
        drawn = {**result.figures(), **(figures or {})}
        self._remove_derived(recording=recording is None)
        self._save_figures(drawn)
        save_json(self.path / REPORT, {**result.report(), **(more or {})}, non_finite_as_null=True)
        config = {
            "format": FORMAT,
            **result.settings(),
            "network": describe(result.network),
            "recording": None if recording is None else recording_json(recording),
            "sha256": {name: _sha256(self.path / name) for name in kept},
            "versions": environment(),
        }
        save_json(self.path / CONFIG, config, non_finite_as_null=True)
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def save_ablation(self, table: pd.DataFrame) -> None:
        """Save the table of an ablation study and its figure."""
        from neurotorch.runs.ablate import measure_of
        from neurotorch.runs.figures import ablation_figure

        write_atomically(self.path / ABLATION, lambda file: table.to_csv(file, index=False))
        self._save_figures({"ablation": ablation_figure(table, *measure_of(table))})

    def _remove_derived(self, *, recording: bool) -> None:
        """Remove what a run that was in the folder before had and the new one has not."""
        (self.path / ABLATION).unlink(missing_ok=True)
        if recording:
            (self.path / RECORDING).unlink(missing_ok=True)
        for figure in self.figures.glob("*.png"):
            figure.unlink()

    def _save_figures(self, figures: Mapping[str, Figure]) -> None:
        from neurotorch.plotting import save_figure

        for name, figure in figures.items():
            save_figure(figure, self.figures / f"{name}.png")


def save(result: Result, folder: PathLike, *, overwrite: bool = False) -> Path:
    """Save a finished fit in a folder of its own, see `RunFolder`."""
    run = RunFolder.create(folder, overwrite=overwrite)
    run.save(result)
    return run.path


def load(folder: PathLike, *, classes: Iterable[type] = ()) -> LoadedRun | LoadedClassifier:
    """Read a finished run back, checked against the checksums that it was saved with.

    What `fit` made comes back as a `LoadedRun`, what `classify` made as a `LoadedClassifier`.

    Parameters
    ----------
    folder
        The run folder.
    classes
        Classes of your own that the network is made of; only these and neurotorch's are ever built.

    Raises
    ------
    FileNotFoundError
        If there is no finished run.
    ValueError
        If a file is damaged or is not the one that was saved.
    """
    path = Path(folder)
    if not (path / CONFIG).exists():
        unfinished = (path / OURS).exists()
        raise FileNotFoundError(
            f"{path} holds a run that is not finished: continue it with `neurotorch fit ... --resume`, or `classify`."
            if unfinished
            else f"{path} holds no run of neurotorch: give a folder that `neurotorch fit --out` or `classify` has made."
        )
    config = load_json(path / CONFIG)
    if config.get("format") != FORMAT:
        raise ValueError(f"{path / CONFIG} is of format {config.get('format')!r}, but this version reads {FORMAT!r}.")
    for name, expected in config["sha256"].items():
        if not (path / name).exists() or _sha256(path / name) != expected:
            raise ValueError(f"{path / name} is missing or not the file that the run saved: its SHA-256 differs.")
    tensors = load_tensors(path / MODEL)
    network = build(config["network"], extra=classes, tensors=tensors)
    floating = [tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()]
    network.to(floating[0]).load_state_dict(tensors)
    if config["protocol"] == CLASSIFICATION:
        from neurotorch.runs.classification.loaded import LoadedClassifier

        presentation = build(config["presentation"], extra=classes)
        return LoadedClassifier(network.eval(), presentation, load_json(path / REPORT), config, path)
    recording = stored_recording(load_tensors(path / RECORDING), config["recording"])
    return LoadedRun(
        network=network.eval(),
        recording=recording,
        start=config["start"],
        protocol=config["protocol"],
        report=load_json(path / REPORT),
        config=config,
        folder=path,
    )


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
