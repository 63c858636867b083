"""What every augmentation of spike trains is."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from neurotorch.data.randomness import Randomness
from neurotorch.data.spike_train import SpikeTrain


class Augmentation(ABC):
    """A random change of a list of events that keeps its label: a transform from `SpikeTrain` to `SpikeTrain`.

    What it draws follows from its seed, unless a generator is handed in. The sample that came in is not changed.
    """

    _randomness: Randomness

    def __call__(self, sample: SpikeTrain, *, generator: torch.Generator | None = None) -> SpikeTrain:
        """Return a changed copy of a sample."""
        return self.change(sample, self._randomness.generator(generator, sample.times.device))

    @abstractmethod
    def change(self, sample: SpikeTrain, generator: torch.Generator) -> SpikeTrain:
        """Return a changed copy of a sample, with numbers from `generator`."""

    def _seed(self, seed: int) -> None:
        # Subclasses are frozen dataclasses.
        object.__setattr__(self, "_randomness", Randomness(seed, type(self).__name__))


def kept(sample: SpikeTrain, keep: torch.Tensor) -> SpikeTrain:
    """Return the spikes where `keep` (spike,) is True."""
    return SpikeTrain(sample.times[keep], sample.units[keep], sample.label)


def on_channels(sample: SpikeTrain, channels: int) -> SpikeTrain:
    """Return the spikes on channels that exist."""
    return kept(sample, (sample.units >= 0) & (sample.units < channels))
