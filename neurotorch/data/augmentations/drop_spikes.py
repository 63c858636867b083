"""Spikes that are missing."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from neurotorch.core.checks import check_fraction
from neurotorch.data.augmentations.base import Augmentation, kept
from neurotorch.data.spike_train import SpikeTrain


@dataclass(frozen=True)
class DropSpikes(Augmentation):
    """Every spike is left out with the probability `fraction`, independently.

    Parameters
    ----------
    fraction
        Expected fraction of spikes that are left out.
    seed
        Of what is drawn.
    """

    fraction: float
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        check_fraction("fraction", self.fraction)
        self._seed(self.seed)

    def change(self, sample: SpikeTrain, generator: torch.Generator) -> SpikeTrain:
        """Return what is left of the sample."""
        return kept(
            sample, torch.rand(sample.times.shape, generator=generator, device=generator.device) >= self.fraction
        )
