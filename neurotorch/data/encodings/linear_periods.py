"""Regular spikes whose period falls linearly with the value."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_positive
from neurotorch.data.encodings.base import Encoding


@dataclass(frozen=True)
class LinearPeriods(Encoding):
    """Regular spikes with a period that is linear in the value.

    In steps::

        period = longest + x (shortest - longest),   a spike at step t if floor((t + 1) / period) > floor(t / period)

    so that the first spike comes at the end of the first period and there are ``floor(steps / period)`` of them.

    Parameters
    ----------
    steps
        Number of steps.
    shortest
        Period of the value 1 in steps, at least 1; 1.
    longest
        Period of the value 0 in steps; all `steps` unless given.
    silent_zero
        Whether the value 0, such as the background of an image, has no spike; True.
    """

    steps: int
    shortest: float = 1.0
    longest: float | None = field(default=None, kw_only=True)
    silent_zero: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        longest = self.steps if self.longest is None else check_positive("longest", self.longest)
        if not 1 <= check_positive("shortest", self.shortest) <= longest:
            raise ValueError(
                f"`shortest` is {self.shortest:g} steps and `longest` {longest:g}, but periods must be 1 <= shortest "
                "<= longest."
            )

    def encode(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return values (batch, channel) as 0 and 1 (time, batch, channel)."""
        del generator
        longest = float(self.steps) if self.longest is None else self.longest
        # In float64: 8 / 0.8 must not fall below 10 for a value that float32 rounds.
        period = (longest + values.double() * (self.shortest - longest)).clamp(min=1.0)
        seen = values > 0 if self.silent_zero else torch.ones_like(values, dtype=torch.bool)
        spikes = values.new_empty(self.steps, *values.shape)
        before = torch.zeros_like(period)
        for step in range(self.steps):  # what one step needs fits into the cache, what all need does not
            after = torch.floor((step + 1) / period)
            spikes[step] = (after > before) & seen
            before = after
        return spikes
