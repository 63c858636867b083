"""Read a recording from a file, by the kind of the file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from neurotorch.core.checks import nearest
from neurotorch.data.readers import fields
from neurotorch.data.readers.contents import Contents, listing
from neurotorch.data.readers.csv import read_csv
from neurotorch.data.readers.hdf5 import read_hdf5
from neurotorch.data.readers.mat import read_mat
from neurotorch.data.readers.npy import read_npy
from neurotorch.data.readers.npz import read_npz
from neurotorch.data.recording import Kind, Recording
from neurotorch.data.recording_checks import checked_dt

READERS: dict[str, Callable[[Path], Contents]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".mat": read_mat,
}


def read(
    path: str | os.PathLike[str],
    *,
    dt: float | None = None,
    axes: str | Sequence[str] | None = None,
    key: str | None = None,
    inputs_key: str | None = None,
    names_key: str | None = None,
    kind: Kind = "dff",
) -> Recording:
    """Read a recording. What the file says itself (see `readers.fields`) need not be said again.

    Parameters
    ----------
    path : path
        A file that ends in `.npy`, `.npz`, `.csv`, `.tsv`, `.h5`, `.hdf5` or `.mat`.
    dt : float, optional
        Duration of a frame in seconds. Needed unless the file says it.
    axes : "time,neuron" or "neuron,time", or a pair, optional
        What the two axes of the array are. Needed unless the file says it: it is never guessed from the shape.
    key : str, optional
        The name of the activity. Needed where the file holds several matrices.
    inputs_key : str, optional
        The name of the inputs: one value per frame, or a matrix whose time axis is where that of the activity is.
    names_key : str, optional
        The name of the field that names the neurons.
    kind : "dff", "rate" or "spikes"
        What the numbers are.

    Returns
    -------
    Recording
        Its provenance holds `path`, `sha256` (of the file's bytes), `reader`, `key`, `axes` and where inputs, names and
        `dt` came from.

    Raises
    ------
    FileNotFoundError
        If there is no such file; the nearest name in its folder is given.
    ValueError
        If the file is damaged, does not say something that was not said here either, or contradicts it.
    """
    file = _existing(path)
    reader = _reader_for(file)
    contents = reader(file)
    try:
        key = _matrix_key(file, contents, key, inputs_key)
        axes = _axes(file, contents, key, axes)
        seconds, dt_from = _frame_duration(file, contents, key, axes, dt)
        activity = contents[key].load()
        activity = activity if axes == "time,neuron" else activity.T
        names, names_from = _names(file, contents, key, axes, names_key, activity.shape[1])
        inputs = None if inputs_key is None else _inputs(file, contents, axes, inputs_key, len(activity))
        provenance = {
            "path": str(file.resolve()),
            "sha256": _sha256(file),
            "reader": reader.__name__,
            "key": key,
            "axes": axes,
            "dt": dt_from,
            "names": names_from,
            "inputs": inputs_key,
        }
        return Recording(activity, seconds, neurons=names, inputs=inputs, kind=kind, provenance=provenance)
    except ValueError as error:
        raise error if str(file) in str(error) else ValueError(f"{file}: {error}") from error


def _existing(path: str | os.PathLike[str]) -> Path:
    file = Path(path).expanduser()
    if file.is_dir():
        raise ValueError(f"{file} is a folder, but a recording is one file.")
    if not file.exists():
        near = nearest(file.name, (item.name for item in file.parent.iterdir())) if file.parent.is_dir() else ""
        where = "" if file.parent.is_dir() else f" Its folder {file.parent} does not exist either."
        raise FileNotFoundError(f"There is no file {file}.{where}{near}")
    return file


def _reader_for(file: Path) -> Callable[[Path], Contents]:
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise ValueError(
            f"{file} ends in {file.suffix!r}, but recordings are read from {', '.join(READERS)}."
            f"{nearest(file.suffix.lower(), READERS)}"
        )
    return reader


def _known(file: Path, contents: Contents, key: str) -> str:
    if key not in contents:
        raise ValueError(f"{file} holds no array {key!r}.{nearest(key, contents)} It holds {listing(contents)}.")
    return key


def _matrix_key(file: Path, contents: Contents, key: str | None, inputs_key: str | None) -> str:
    """Return the key of the activity: the one asked for, or the only matrix there is."""
    if key is not None:
        item = contents[_known(file, contents, key)]
        if item.kind != "numbers" or len(item.shape) != 2:
            if item.kind == "other":
                item.load()  # says why, if it cannot be loaded
            raise ValueError(
                f"{key!r} in {file} has shape {item.shape} and holds {item.kind}, but a recording is a matrix of "
                "numbers, time by neuron."
            )
        return key
    two_axes = [
        name
        for name, item in contents.items()
        if item.kind == "numbers" and len(item.shape) == 2 and item.shape != (1, 1) and name != inputs_key
    ]
    # A vector (MATLAB's vectors have two axes) is the activity of one neuron only if there is no matrix.
    matrices = [name for name in two_axes if 1 not in contents[name].shape] or two_axes
    if len(matrices) == 1:
        return matrices[0]
    what = f"{len(matrices)} matrices" if matrices else "no matrix of numbers, time by neuron"
    choose = f" Choose one with key={matrices[0]!r}, for example." if matrices else ""
    raise ValueError(f"{file} holds {what}.{choose} It holds {listing(contents)}.")


def _axes(file: Path, contents: Contents, key: str, axes: str | Sequence[str] | None) -> str:
    said = None if axes is None else fields.checked_axes(axes)
    stated = fields.axes_in_file(contents, key)
    if said and stated and said != stated:
        raise ValueError(f"`axes` is {said!r}, but {file} says that they are {stated!r}: leave `axes` out.")
    if said or stated:
        return said or stated or ""
    rows, columns = contents[key].shape
    raise ValueError(
        f"{key!r} in {file} has shape {(rows, columns)} and does not say which axis is time: pass `axes`. It is either "
        f"{rows} frames of {columns} neurons (axes='time,neuron') or {columns} frames of {rows} neurons "
        "(axes='neuron,time')."
    )


def _frame_duration(file: Path, contents: Contents, key: str, axes: str, dt: float | None) -> tuple[float, str]:
    stated = fields.dt_in_file(contents, key, axes)
    if dt is None:
        if stated is None:
            raise ValueError(f"{file} does not say how long a frame lasts: pass `dt` in seconds, for example dt=0.5.")
        return stated
    seconds = checked_dt(dt)
    if stated is not None and not np.isclose(seconds, stated[0], rtol=fields.AGREEMENT, atol=0):
        raise ValueError(
            f"`dt` is {seconds:g} s, but {stated[1]!r} in {file} means frames of {stated[0]:g} s: leave `dt` out, or, "
            "where the file is wrong, change it afterwards with `dataclasses.replace(recording, dt=...)`."
        )
    return seconds, "given"


def _names(
    file: Path, contents: Contents, key: str, axes: str, names_key: str | None, neurons: int
) -> tuple[tuple[str, ...], str | None]:
    if names_key is None:
        return fields.names_in_file(contents, key, axes, neurons) or ((), None)
    names = fields.names_under(contents, _known(file, contents, names_key))
    if len(names) != neurons:
        raise ValueError(f"{names_key!r} in {file} holds {len(names)} names, but there are {neurons} neurons.")
    return names, names_key


def _inputs(file: Path, contents: Contents, axes: str, inputs_key: str, frames: int) -> np.ndarray:
    values = contents[_known(file, contents, inputs_key)].load()
    if values.ndim == 1:
        values = values[:, None]
    elif values.ndim == 2 and axes == "neuron,time":
        values = values.T
    if values.ndim != 2 or len(values) != frames:
        raise ValueError(
            f"{inputs_key!r} in {file} has shape {contents[inputs_key].shape}, but inputs need one value for each of "
            f"the {frames} frames, time on the same axis as in the activity."
        )
    return values


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
