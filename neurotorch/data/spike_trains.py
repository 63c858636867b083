"""Labelled spike trains in HDF5, in the layout of the Spiking Heidelberg Digits, read when asked for."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from copy import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neurotorch.core.checks import check_count
from neurotorch.data.labels import Part, checked_indices, checked_labels, file_name
from neurotorch.data.spike_files import SpikeRows, read_lists
from neurotorch.data.spike_train import Beyond, SpikeTrain, as_counts, bin_spikes, check_bins, own_bin


class SpikeTrains:
    """Spike trains with a label each, which stay in their files until they are asked for.

    It is a PyTorch data set: ``trains[i]`` is a `SpikeTrain`. Labels and speakers are in memory; spikes are read, and
    checked, whenever they are used, or once and for all by `load`. Made by `read_spike_trains` and `catalog.open`;
    ``first + second`` puts two together.

    Attributes
    ----------
    labels : Tensor, (sample,), int64
        Index of the class of each sample.
    speakers : Tensor, (sample,), int64, or None
        Who spoke, if the file says so.
    channels : int
        Number of channels; units are ``0..channels - 1``.
    classes : tuple of str
        Names of the classes.
    name : str
        What the samples are called.
    part : "train", "validation", "test", or None
        The official part of a data set that they are; training and splits refuse "test".
    """

    def __init__(
        self,
        rows: SpikeRows,
        labels: Tensor,
        *,
        speakers: Tensor | None,
        channels: int,
        classes: tuple[str, ...],
        name: str,
        part: Part | None = None,
    ) -> None:
        self.labels, self.speakers, self.channels, self.classes = labels, speakers, channels, classes
        self.name, self.part = name, part
        self._rows = rows

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> SpikeTrain:
        place = range(len(self))[operator.index(index)]
        ((_, times, units),) = self._rows.read([place], channels=self.channels)
        return SpikeTrain(
            torch.from_numpy(times.astype(np.float64 if times.dtype == np.float64 else np.float32)),
            torch.from_numpy(units.astype(np.int64)),
            int(self.labels[place]),
        )

    def __add__(self, other: SpikeTrains) -> SpikeTrains:
        if not isinstance(other, SpikeTrains):
            return NotImplemented
        return SpikeTrains.concatenate((self, other))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that the spikes are read from."""
        return self._rows.paths

    @property
    def durations(self) -> Tensor:
        """The time of the last spike of each sample in seconds, 0 where it is silent; (sample,), float32."""
        found = np.zeros(len(self), dtype=np.float32)
        for place, times, _ in self._rows.read(range(len(self)), channels=self.channels):
            found[place] = times.max(initial=0)
        return torch.from_numpy(found)

    def duration(self, index: int) -> float:
        """Return the time of the last spike of one sample in seconds, 0 if it is silent."""
        return float(self[index].times.max()) if len(self[index].times) else 0.0

    def select(self, indices: Sequence[int] | np.ndarray | Tensor) -> SpikeTrains:
        """Return the samples with these indices, in this order, or those where a mask is True; nothing is read."""
        chosen = checked_indices(indices, len(self))
        picked = torch.from_numpy(chosen)
        return SpikeTrains(
            self._rows.select(chosen),
            self.labels[picked],
            speakers=None if self.speakers is None else self.speakers[picked],
            channels=self.channels,
            classes=self.classes,
            name=self.name,
            part=self.part,
        )

    def load(self) -> SpikeTrains:
        """Return the same samples with all spikes in memory, for data that are gone through many times."""
        result = copy(self)
        result._rows = self._rows.load(channels=self.channels)
        return result

    @staticmethod
    def concatenate(trains: Sequence[SpikeTrains]) -> SpikeTrains:
        """Return the samples of several, one after the other.

        Raises
        ------
        ValueError
            If they differ in channels or classes, or only some of them know the speakers.
        """
        first = trains[0]
        for other in trains[1:]:
            for what in ("channels", "classes"):
                if getattr(other, what) != getattr(first, what):
                    raise ValueError(
                        f"`{first.name}` has the {what} {getattr(first, what)} and `{other.name}` "
                        f"{getattr(other, what)}: only data with the same can be put together."
                    )
            if (other.speakers is None) != (first.speakers is None):
                raise ValueError(f"Of `{first.name}` and `{other.name}` only one knows its speakers.")
        speakers = [each.speakers for each in trains if each.speakers is not None]
        return SpikeTrains(
            SpikeRows.concatenate([each._rows for each in trains]),
            torch.cat([each.labels for each in trains]),
            speakers=torch.cat(speakers) if speakers else None,
            channels=first.channels,
            classes=first.classes,
            name=" + ".join(dict.fromkeys(each.name for each in trains)),
            part=first.part if len({each.part for each in trains}) == 1 else None,
        )

    def bin(
        self,
        *,
        dt: float | None,
        steps: int,
        pool: int = 1,
        binary: bool = False,
        beyond: Beyond = "error",
        dtype: torch.dtype = torch.uint8,
    ) -> Tensor:
        """Return the number of spikes in each bin of all samples, (sample, time, channel // pool).

        Parameters
        ----------
        dt
            Seconds of a bin; a spike at ``t`` falls into bin ``floor(t / dt)``. None: the bins are equal parts of each
            sample's own length, from 0 to its last spike, which takes the tempo out.
        steps
            Number of bins.
        pool
            Neighbouring channels counted together; it divides their number.
        binary
            0 and 1 (any spike) instead of counts.
        beyond
            What becomes of spikes at or after ``steps * dt``: "error", or "drop".
        dtype
            Of the result; unsigned bytes take a quarter of the memory of float32.

        Raises
        ------
        ValueError
            If a sample holds a spike that it may not hold, a spike beyond the window, or a count does not fit `dtype`.
        """
        check_bins(1.0 if dt is None else dt, steps, self.channels, pool)
        result = torch.zeros(len(self), steps, self.channels // pool, dtype=dtype)
        for place, times, units in self._rows.read(range(len(self)), channels=self.channels):
            counts = bin_spikes(
                times,
                units,
                dt=own_bin(times, steps) if dt is None else dt,
                steps=steps,
                channels=self.channels,
                pool=pool,
                beyond=beyond,
                where=self._rows.where(place),
            )
            result[place] = as_counts(counts, dtype, binary=binary)
        return result


def read_spike_trains(
    path: str | os.PathLike[str],
    *,
    channels: int = 700,
    classes: Sequence[str] | None = None,
    name: str | None = None,
    part: Part | None = None,
) -> SpikeTrains:
    """Return the spike trains of an HDF5 file in the layout of the Spiking Heidelberg Digits, spikes unread.

    Parameters
    ----------
    path
        The file.
    channels
        Number of channels; a unit outside of them is an error when its sample is read.
    classes
        Names of the classes; unless given those of the file (``extra/keys``), or without these the numbers of the
        labels.
    name
        The name of the file unless given.
    part
        The official part of a data set that they are.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or not of this layout, its lists differ in length, or a label has no class.
    """
    file_path = Path(path)
    check_count("channels", channels)
    found = read_lists(file_path)
    labels, names = checked_labels(found.labels, found.classes if classes is None else classes, str(file_path))
    return SpikeTrains(
        SpikeRows.all_of(file_path, len(labels)),
        torch.from_numpy(labels),
        speakers=None if found.speakers is None else torch.from_numpy(found.speakers),
        channels=channels,
        classes=names,
        name=file_name(file_path) if name is None else name,
        part=part,
    )
