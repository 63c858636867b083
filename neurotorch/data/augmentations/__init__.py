"""Augmentations: random changes of spike trains that keep their label."""

from neurotorch.data.augmentations.base import Augmentation
from neurotorch.data.augmentations.channel_shift import ChannelShift
from neurotorch.data.augmentations.drop_spikes import DropSpikes
from neurotorch.data.augmentations.jitter import Jitter
from neurotorch.data.augmentations.time_stretch import TimeStretch

__all__ = ["Augmentation", "ChannelShift", "DropSpikes", "Jitter", "TimeStretch"]
