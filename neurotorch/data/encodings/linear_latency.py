"""One spike for each value, at a time that falls linearly with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from neurotorch.core.checks import check_count
from neurotorch.data.encodings.base import Encoding
from neurotorch.data.encodings.latency import one_hot


@dataclass(frozen=True)
class LinearLatency(Encoding):
    """One spike at step ``round((1 - x) (steps - 1))``: the value 1 at the first step, 0 at the last one, or silent.

    Parameters
    ----------
    steps
        Number of steps.
    silent_zero
        Whether the value 0, such as the background of an image, has no spike; True.

    References
    ----------
    Thorpe, Delorme & Van Rullen 2001, doi:10.1016/S0893-6080(01)00083-1, with latencies linear in the value.
    """

    steps: int
    silent_zero: bool = True

    def __post_init__(self) -> None:
        check_count("steps", self.steps)

    def encode(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return values (batch, channel) as 0 and 1 (time, batch, channel)."""
        del generator
        spikes = values > 0 if self.silent_zero else torch.ones_like(values, dtype=torch.bool)
        return one_hot(torch.round((1 - values) * (self.steps - 1)), spikes, self.steps)
