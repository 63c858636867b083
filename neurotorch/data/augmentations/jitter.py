"""Spikes that come a little earlier or later, on a neighbouring channel."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from neurotorch.core.checks import check_count, check_not_negative
from neurotorch.data.augmentations.base import Augmentation, on_channels
from neurotorch.data.spike_train import SpikeTrain


@dataclass(frozen=True)
class Jitter(Augmentation):
    """Every spike moved by itself: ``t' = |t + time g|``, ``unit' = unit + round(spread g')``, ``g, g'`` normal.

    Spikes that would leave the channels are dropped.

    Parameters
    ----------
    time
        Standard deviation in seconds, at least 0.
    spread
        Standard deviation in channels, at least 0; 0.
    channels
        Number of channels; 700.
    seed
        Of what is drawn.
    """

    time: float
    spread: float = 0.0
    channels: int = field(default=700, kw_only=True)
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("time", "spread"):
            check_not_negative(name, getattr(self, name))
        check_count("channels", self.channels)
        self._seed(self.seed)

    def change(self, sample: SpikeTrain, generator: torch.Generator) -> SpikeTrain:
        """Return the jittered sample."""
        late, aside = torch.randn(
            2, *sample.times.shape, generator=generator, device=generator.device, dtype=sample.times.dtype
        )
        moved = sample.units + torch.round(self.spread * aside).long()
        return on_channels(SpikeTrain((sample.times + self.time * late).abs(), moved, sample.label), self.channels)
