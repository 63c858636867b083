"""Presentations: how samples of a data set are shown to a network, and where another file of them is read from."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_positive, nearest
from neurotorch.core.storage import PathLike
from neurotorch.data import Images, SpikeTrains, read_images, read_spike_trains
from neurotorch.data.encodings import DirectCurrent, Encoding, Latency, LinearLatency, LinearPeriods, Poisson, Rate
from neurotorch.data.spike_files import read_lists
from neurotorch.runs.blueprint import name_of
from neurotorch.runs.classification.samples import LabelledSamples

_DIRECT = DirectCurrent(10)
PARTS = 20
"""Equal parts of a sample's own length that the linear classifier counts spikes in, as the SVM does that is the floor
of the spoken digits."""


class Presentation(ABC):
    """How samples are shown to a network. Every one is a frozen dataclass, kept in the run folder.

    Attributes
    ----------
    dt
        Step of the network in seconds.
    """

    dt: float

    @abstractmethod
    def duration(self) -> int:
        """Return how many steps a sample lasts."""

    @abstractmethod
    def samples(self, data: Any) -> LabelledSamples:
        """Return a data set as samples."""

    @abstractmethod
    def present(self, values: Tensor, *, generator: torch.Generator, training: bool) -> Tensor:
        """Return inputs ``(time, batch, channel)`` for the values of some samples."""

    @abstractmethod
    def features(self, samples: LabelledSamples) -> Tensor:
        """Return what a linear classifier gets of each sample, ``(sample, feature)``."""

    def picture(self, value: Tensor) -> Tensor | None:
        """Return the picture ``(row, column)`` that the values of one sample are; None if they are none."""
        del value
        return None

    @abstractmethod
    def read(self, file: PathLike, *, classes: Sequence[str], labels: PathLike | None = None) -> Any:
        """Return the data set in another file of the same layout."""


@dataclass(frozen=True)
class ImagePresentation(Presentation):
    """Grey levels through an encoding.

    Parameters
    ----------
    encoding
        What makes activity of the pixels, as numbers in 0..1, and how many steps of it; unless given a constant
        ("direct") current of their size for 10 steps.
    dt
        Step in seconds.
    """

    encoding: Encoding = _DIRECT
    dt: float = 0.004

    def __post_init__(self) -> None:
        if not isinstance(self.encoding, Encoding):
            raise TypeError(f"`encoding` is {self.encoding!r}, but it must be an object such as DirectCurrent(10).")
        check_positive("dt", self.dt, "s")

    def duration(self) -> int:
        """Return how many steps an image is shown."""
        return len(self.encoding(torch.zeros(1)))

    def samples(self, data: Images) -> LabelledSamples:
        """Return images as samples; their pixels stay bytes."""
        return LabelledSamples(data.pixels, data.labels, data.classes, self)

    def present(self, values: Tensor, *, generator: torch.Generator, training: bool) -> Tensor:
        """Return the inputs; a constant current takes the memory of one step."""
        del training
        return self.encoding.batch(values, generator=generator)

    def features(self, samples: LabelledSamples) -> Tensor:
        """Return the pixels."""
        return samples.values.flatten(1).to(torch.float32) / 255

    def picture(self, value: Tensor) -> Tensor:
        """Return the pixels of one image as they are."""
        return value

    def read(self, file: PathLike, *, classes: Sequence[str], labels: PathLike | None = None) -> Images:
        """Return the images of an idx file; unless given, `labels` are in the file named as MNIST names it.

        Raises
        ------
        ValueError
            If the name does not tell where the labels are.
        """
        path = Path(file)
        if labels is None:
            name = path.name.replace("images", "labels").replace("idx3", "idx1")
            if name == path.name:
                raise ValueError(f"The name of {path} does not tell where its labels are: give their file as `labels`.")
            labels = path.with_name(name)
        return read_images(path, labels, classes=classes)


@dataclass(frozen=True)
class SpikePresentation(Presentation):
    """Spike trains, counted in bins of time and of neighbouring channels.

    Parameters
    ----------
    steps, dt
        Number of bins, and their width in seconds; spikes behind the last are left out.
    pool
        Neighbouring channels that are counted together.
    binary
        Whether a bin holds 0 or 1 instead of a count.
    root
        Whether the network gets the square roots of the counts, whose variance grows less with the count.
    own_length
        Whether the readout counts only up to the last spike of a sample.
    stretched
        Whether every sample lasts all steps: its bins are equal parts of its own length, which takes the tempo of a
        voice out, and hold spikes per `dt`. A step of the network stays `dt`.
    shift
        In training every sample is moved by a random number of pooled channels, at most so many, up or down.
    """

    steps: int = 100
    dt: float = 0.01
    pool: int = 10
    binary: bool = False
    root: bool = False
    own_length: bool = True
    stretched: bool = False
    shift: int = 0

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_positive("dt", self.dt, "s")
        check_count("pool", self.pool)
        check_count("shift", self.shift, least=0)

    def duration(self) -> int:
        """Return the number of bins."""
        return self.steps

    def samples(self, data: SpikeTrains) -> LabelledSamples:
        """Return spike trains as samples: their counts, as bytes; those of stretched samples are no whole numbers."""
        how: dict[str, Any] = {"steps": self.steps, "pool": self.pool, "binary": self.binary}
        if self.stretched:
            counts = data.bin(dt=None, dtype=torch.float32, **how)
            if not self.binary:
                seconds = data.durations.clamp(min=self.dt)  # a shorter one is silent, or as good as that
                counts *= (self.dt * self.steps / seconds).view(-1, 1, 1)
        else:
            counts = data.bin(dt=self.dt, beyond="drop", **how)
        return LabelledSamples(counts, data.labels, data.classes, self, _ends(counts) if self.own_length else None)

    def present(self, values: Tensor, *, generator: torch.Generator, training: bool) -> Tensor:
        """Return the counts or their roots, time first; in training on shifted channels."""
        if training and self.shift:
            offsets = torch.randint(-self.shift, self.shift + 1, (len(values),), generator=generator)
            values = _shifted(values, offsets)
        inputs = values.transpose(0, 1).to(torch.float32).contiguous()
        return inputs.sqrt() if self.root else inputs

    def features(self, samples: LabelledSamples) -> Tensor:
        """Return the mean count in each part of the sample's own length, ``(sample, part * channel)``."""
        values, ends = samples.values, _ends(samples.values)
        part = (torch.arange(self.steps) * PARTS).unsqueeze(0) // ends.unsqueeze(1)
        sums = values.new_zeros(len(values), PARTS + 1, values.shape[2], dtype=torch.float32)
        index = part.clamp(max=PARTS).unsqueeze(-1).expand(-1, -1, values.shape[2])
        sums.scatter_add_(1, index, values.to(torch.float32))
        return (sums[:, :PARTS] * (PARTS / ends).view(-1, 1, 1)).flatten(1)

    def read(self, file: PathLike, *, classes: Sequence[str], labels: PathLike | None = None) -> SpikeTrains:
        """Return the spike trains of an HDF5 file, which holds the labels, too."""
        if labels is not None:
            raise ValueError("`labels` is for images: a file of spike trains holds its own.")
        named = read_lists(Path(file)).classes
        if named is not None and named != tuple(classes)[: len(named)]:
            raise ValueError(f"The classes of {file} are {list(named)}, but those of the classifier {list(classes)}.")
        return read_spike_trains(file, classes=classes)


def _shifted(counts: Tensor, offsets: Tensor) -> Tensor:
    """Return counts ``(sample, time, channel)`` with the channels of each sample moved; what leaves them is lost."""
    channels = counts.shape[2]
    source = torch.arange(channels) - offsets.unsqueeze(1)
    inside = (source >= 0) & (source < channels)
    index = source.clamp(0, channels - 1).unsqueeze(1).expand(counts.shape)
    return counts.gather(2, index) * inside.unsqueeze(1)


def _ends(counts: Tensor) -> Tensor:
    """Return the steps up to the last spike of each sample, at least 1, ``(sample,)``."""
    active = counts.amax(2) > 0
    return (active * torch.arange(1, counts.shape[1] + 1)).amax(1).clamp(min=1)


def encoding_named(name: str, *, steps: int, dt: float) -> Encoding:
    """Return the encoding of pixels with this name, such as ``"direct-current"`` or ``"poisson"``.

    Raises
    ------
    ValueError
        If there is none.
    """
    kinds: tuple[type[Encoding], ...] = (DirectCurrent, Latency, LinearLatency, LinearPeriods, Poisson, Rate)
    found = {name_of(kind): kind for kind in kinds}
    if name not in found:
        raise ValueError(f"There is no encoding {name!r}; there are {sorted(found)}.{nearest(name, found)}")
    takes = inspect.signature(found[name]).parameters
    options: dict[str, Any] = {"steps": steps, "dt": dt}
    return found[name](**{option: value for option, value in options.items() if option in takes})
