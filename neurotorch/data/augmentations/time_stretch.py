"""The same word, said slower or faster."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from neurotorch.core.checks import check_positive
from neurotorch.data.augmentations.base import Augmentation
from neurotorch.data.spike_train import SpikeTrain


@dataclass(frozen=True)
class TimeStretch(Augmentation):
    """All times of a sample multiplied by one factor, drawn from ``shortest .. longest`` uniformly.

    A longer sample may leave the window of `BinSpikes`: give that ``beyond="drop"``.

    Parameters
    ----------
    shortest, longest
        Smallest and largest factor, above 0.
    seed
        Of what is drawn.
    """

    shortest: float
    longest: float
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if check_positive("shortest", self.shortest) > check_positive("longest", self.longest):
            raise ValueError(f"`shortest` is {self.shortest:g}, more than `longest`, {self.longest:g}.")
        self._seed(self.seed)

    def change(self, sample: SpikeTrain, generator: torch.Generator) -> SpikeTrain:
        """Return the stretched sample."""
        place = torch.rand((), generator=generator, device=generator.device, dtype=sample.times.dtype)
        return sample._replace(times=sample.times * (self.shortest + (self.longest - self.shortest) * place))
