"""A voice that is a little higher or lower."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from neurotorch.core.checks import check_count
from neurotorch.data.augmentations.base import Augmentation, on_channels
from neurotorch.data.spike_train import SpikeTrain


@dataclass(frozen=True)
class ChannelShift(Augmentation):
    """All spikes of a sample moved by the same number of channels, drawn from ``-largest .. largest`` uniformly.

    Spikes that would leave the channels are dropped.

    Parameters
    ----------
    largest
        Largest shift in channels.
    channels
        Number of channels; 700.
    seed
        Of what is drawn.

    References
    ----------
    Nowotny et al. 2025, doi:10.1088/2634-4386/ada852.
    """

    largest: int
    channels: int = 700
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        check_count("largest", self.largest, least=0)
        check_count("channels", self.channels)
        self._seed(self.seed)

    def change(self, sample: SpikeTrain, generator: torch.Generator) -> SpikeTrain:
        """Return the shifted sample."""
        shift = torch.randint(-self.largest, self.largest + 1, (), generator=generator, device=generator.device)
        return on_channels(sample._replace(units=sample.units + shift), self.channels)
