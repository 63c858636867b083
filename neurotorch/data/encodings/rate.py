"""A spike at each step with the value as its probability."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_positive
from neurotorch.data.encodings.base import Encoding
from neurotorch.data.encodings.poisson import drawn
from neurotorch.data.randomness import Randomness


@dataclass(frozen=True)
class Rate(Encoding):
    """A spike at each step with probability ``p = min(gain x, 1)``, whatever a step lasts (a Bernoulli process).

    Parameters
    ----------
    steps
        Number of steps.
    gain
        Probability of the value 1; 1.
    seed
        Of what is drawn.

    References
    ----------
    Eshraghian et al. 2023, doi:10.1109/JPROC.2023.3308088 (rate-coded inputs).
    """

    steps: int
    gain: float = 1.0
    seed: int = field(default=0, kw_only=True)
    _randomness: Randomness = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_positive("gain", self.gain)
        object.__setattr__(self, "_randomness", Randomness(self.seed, "Rate"))

    def encode(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return values (batch, channel) as 0 and 1 (time, batch, channel)."""
        # A uniform number is below 1, so that a probability above 1 is 1.
        return drawn(self.gain * values, self.steps, self._randomness.generator(generator, values.device))
