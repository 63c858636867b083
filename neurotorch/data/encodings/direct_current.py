"""The value itself as a current that does not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_finite
from neurotorch.data.encodings.base import Encoding


@dataclass(frozen=True)
class DirectCurrent(Encoding):
    """A constant current, ``I(t) = gain x`` at all steps; the first layer of neurons makes the spikes.

    The steps of the result are one block of memory: copy it (``.clone()``) before writing to it in place.

    Parameters
    ----------
    steps
        Number of steps.
    gain
        Current of the value 1.

    References
    ----------
    Rueckauer et al. 2017, doi:10.3389/fnins.2017.00682 ("analog input currents").
    """

    steps: int
    gain: float = 1.0
    fractions: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_finite("gain", np.asarray(self.gain))

    def encode(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return values (batch, channel) as (time, batch, channel)."""
        del generator
        return (self.gain * values).expand(self.steps, *values.shape)
