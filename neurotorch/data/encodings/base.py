"""What every encoding is: numbers in, a sequence of currents or spikes out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from neurotorch.core.checks import check_finite


class Encoding(ABC):
    """Turns numbers into a sequence, for one sample or for a batch.

    An encoding is a transform for any PyTorch data set: called on one sample of any shape it returns (time, channel),
    with `batch` a whole batch (batch, ...) becomes (time, batch, channel). Unsigned bytes are grey levels: they are
    divided by 255. What an encoding draws follows from its seed, unless a generator is handed in.
    """

    fractions: ClassVar[bool] = True  # the numbers must lie in 0..1
    time_series: ClassVar[bool] = False  # a sample is (time, channel) and not any shape of numbers without a time

    def __call__(self, sample: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return one sample as (time, channel)."""
        return self.batch(sample.unsqueeze(0), generator=generator)[:, 0]

    def batch(self, samples: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Return samples (batch, ...) as (time, batch, channel).

        Raises
        ------
        ValueError
            If they hold NaN or infinite values, or values outside of 0..1 where these are needed.
        """
        grey = samples.dtype == torch.uint8
        values = samples / 255 if grey else samples
        if not values.is_floating_point():
            values = values.to(torch.get_default_dtype())
        check_finite("samples", samples)
        if self.fractions and not grey and values.numel() and not (values.min() >= 0 and values.max() <= 1):
            raise ValueError(
                f"`samples` reaches from {float(values.min()):g} to {float(values.max()):g}, but "
                f"{type(self).__name__} takes values in 0..1: scale them."
            )
        if not self.time_series:
            return self.encode(values.flatten(1) if values.ndim > 1 else values.unsqueeze(1), generator)
        if values.ndim != 3:
            raise ValueError(
                f"`samples` has shape {tuple(values.shape)}, but {type(self).__name__} takes (batch, time, channel), "
                "and a single sample of (time, channel)."
            )
        return self.encode(values, generator)

    @abstractmethod
    def encode(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return checked values (batch, channel) as (time, batch, channel)."""
