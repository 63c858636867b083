"""HDF5 files in the layout of the Spiking Heidelberg Digits: their lists, and the spikes of single samples.

The layout (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364): ``spikes/times`` and ``spikes/units`` hold for each
sample a list of its own length, seconds and channels; ``labels`` one whole number each; ``extra/speaker``, if there is
one, who spoke; ``extra/keys``, if there are any, the names of the classes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurotorch.data.readers.contents import damaged
from neurotorch.data.readers.hdf5 import FAILURES
from neurotorch.data.spike_train import check_spikes

WHAT = "spike trains in HDF5"
TIMES, UNITS, LABELS, SPEAKER, KEYS = "spikes/times", "spikes/units", "labels", "extra/speaker", "extra/keys"


@dataclass(frozen=True, eq=False)
class SpikeRows:
    """Where the spikes of each sample are.

    Parameters
    ----------
    paths : tuple of Path
        The files.
    file, row : ndarray of int, (sample,)
        The index of the file of each sample, and its row there.
    held : tuple of (times, units), optional
        The checked spikes of each sample, if they are in memory.
    """

    paths: tuple[Path, ...]
    file: np.ndarray
    row: np.ndarray
    held: tuple[tuple[np.ndarray, np.ndarray], ...] | None = None

    @classmethod
    def all_of(cls, path: Path, samples: int) -> SpikeRows:
        """Return all rows of one file."""
        return cls((path,), np.zeros(samples, dtype=np.int64), np.arange(samples))

    @classmethod
    def concatenate(cls, several: Sequence[SpikeRows]) -> SpikeRows:
        """Return the rows of several, one after the other."""
        paths = tuple(dict.fromkeys(path for each in several for path in each.paths))
        files = [np.array([paths.index(path) for path in each.paths], dtype=np.int64)[each.file] for each in several]
        memory = [each.held for each in several if each.held is not None]
        held = tuple(spikes for each in memory for spikes in each) if len(memory) == len(several) else None
        return cls(paths, np.concatenate(files), np.concatenate([each.row for each in several]), held)

    def select(self, indices: np.ndarray) -> SpikeRows:
        """Return the rows of some samples."""
        held = None if self.held is None else tuple(self.held[index] for index in indices)
        return SpikeRows(self.paths, self.file[indices], self.row[indices], held)

    def load(self, *, channels: int) -> SpikeRows:
        """Return the same with all spikes in memory."""
        spikes = {place: (times, units) for place, times, units in self.read(range(len(self.row)), channels=channels)}
        return replace(self, held=tuple(spikes[place] for place in range(len(self.row))))

    def where(self, place: int) -> str:
        """Return how errors name a sample."""
        return f"Sample {self.row[place]} of {self.paths[self.file[place]]}"

    def read(self, places: Sequence[int] | range, *, channels: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield the index of each sample, its times and its units, checked, in the order of the files."""
        if self.held is not None:
            yield from ((place, *self.held[place]) for place in places)
            return
        # A file is opened for each call: an open one could neither be pickled nor shared with the workers of a loader.
        wanted = np.asarray(places, dtype=np.int64)
        order = wanted[np.lexsort((self.row[wanted], self.file[wanted]))]
        for index in np.unique(self.file[order]):
            path = self.paths[index]
            with opened(path) as file:
                times, units = file[TIMES], file[UNITS]
                for place in order[self.file[order] == index]:
                    row = int(self.row[place])
                    try:
                        found = np.asarray(times[row]), np.asarray(units[row])
                    except FAILURES as error:
                        raise damaged(path, WHAT, error) from error
                    check_spikes(*found, channels=channels, where=self.where(int(place)))
                    yield int(place), *found


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an HDF5 file of this layout.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, or times, units or labels are missing.
    """
    import h5py

    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        file = h5py.File(path, "r")
    except FAILURES as error:
        raise damaged(path, WHAT, error) from error
    with file:
        there: list[str] = []
        try:
            missing = [key for key in (TIMES, UNITS, LABELS) if not isinstance(file.get(key), h5py.Dataset)]
            file.visit(there.append)
        except FAILURES as error:
            raise damaged(path, WHAT, error) from error
        if missing:
            raise ValueError(
                f"{path} holds no {', '.join(map(repr, missing))}, but {there or 'nothing'}: spike trains have 'spikes/"
                "times', 'spikes/units' and 'labels'."
            )
        yield file


class Lists(NamedTuple):
    """What a file says of each sample, and the names of its classes."""

    labels: np.ndarray
    speakers: np.ndarray | None
    classes: tuple[str, ...] | None


def read_lists(path: Path) -> Lists:
    """Return labels, speakers and names of classes of a file.

    Raises
    ------
    ValueError
        If the file is damaged or not of this layout, or its lists differ in length.
    """
    with opened(path) as file:
        try:
            found = {key: np.asarray(file[key][()]) for key in (LABELS, SPEAKER, KEYS) if key in file}
            sizes = {key: file[key].shape[:1] for key in (TIMES, UNITS)}
        except FAILURES as error:
            raise damaged(path, WHAT, error) from error
    sizes |= {key: values.shape[:1] for key, values in found.items() if key != KEYS}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{key!r} {size[0] if size else 'none'}" for key, size in sizes.items())
        raise ValueError(f"The lists of {path} must be of one length, one entry for each sample, but are: {told}.")
    for key, values in found.items():
        if values.ndim != 1:
            raise ValueError(f"{key!r} of {path} has shape {values.shape}, but it must be one list.")
    speakers, keys = found.get(SPEAKER), found.get(KEYS)
    return Lists(
        found[LABELS],
        None if speakers is None else _numbered(speakers),
        None if keys is None else tuple(_text(key) for key in keys.tolist()),
    )


def _text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _numbered(speakers: np.ndarray) -> np.ndarray:
    """Return speakers as numbers; names become numbers that are the same in every file."""
    if speakers.dtype.kind in "iu":
        return speakers.astype(np.int64)
    names = [_text(name) for name in speakers.tolist()]
    return np.array([zlib.crc32(name.encode()) for name in names], dtype=np.int64)
