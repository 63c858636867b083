"""Data sets with transforms, and batches of them with time first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from neurotorch.data.labels import Part
from neurotorch.data.spike_train import SpikeTrain


class Samples(Protocol):
    """Labelled samples by index: `Images`, `Sequences`, `SpikeTrains`."""

    @property
    def labels(self) -> Tensor:
        """(sample,) int64."""
        ...

    @property
    def part(self) -> Part | None:
        """The official part they are."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


class Transformed(Dataset[tuple[Tensor, int]]):
    """A PyTorch data set of ``(sequence (time, channel), label)``: samples, and transforms one after the other.

    Parameters
    ----------
    samples
        `Images`, `Sequences` or `SpikeTrains`.
    transforms
        Such as augmentations, and at the end an encoding or `BinSpikes`.

    Examples
    --------
    >>> data = Transformed(trains, ChannelShift(20), BinSpikes(100, 0.01, pool=5, beyond="drop"))
    >>> loader = DataLoader(data, batch_size=32, shuffle=True, collate_fn=time_first)
    """

    def __init__(self, samples: Samples, *transforms: Callable[[Any], Any]) -> None:
        self.samples, self.transforms = samples, transforms
        self.labels, self.part = samples.labels, samples.part

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        sample = self.samples[index]
        value: Any = sample if isinstance(sample, SpikeTrain) else sample[0]
        for transform in self.transforms:
            value = transform(value)
        return value, int(self.labels[index])


def time_first(samples: Sequence[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    """Return samples ``(sequence (time, channel), label)`` as ``(time, batch, channel)`` and labels (batch,).

    The `collate_fn` for a ``DataLoader`` of `Transformed`.
    """
    sequences, labels = zip(*samples, strict=True)
    return torch.stack(sequences, dim=1), torch.tensor(labels, dtype=torch.int64)
