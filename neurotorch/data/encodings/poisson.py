"""Spike trains whose rate is the value."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_positive
from neurotorch.data.encodings.base import Encoding
from neurotorch.data.randomness import Randomness


@dataclass(frozen=True)
class Poisson(Encoding):
    """Poisson spike trains of the rate ``max_rate x``, with at most one spike in a step.

    A spike at each step with the probability that a Poisson process has one or more events in `dt`::

        p = 1 - exp(-max_rate x dt)

    Parameters
    ----------
    steps
        Number of steps.
    dt
        Seconds of a step; 1 ms.
    max_rate
        Rate of the value 1 in hertz; 100 Hz.
    seed
        Of what is drawn.

    References
    ----------
    Dayan & Abbott 2001, *Theoretical Neuroscience*, section 1.4; for small ``max_rate x dt`` it is their ``p = r dt``.
    """

    steps: int
    dt: float = 1e-3
    max_rate: float = field(default=100.0, kw_only=True)
    seed: int = field(default=0, kw_only=True)
    _randomness: Randomness = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_positive("dt", self.dt, "s")
        check_positive("max_rate", self.max_rate, "Hz")
        object.__setattr__(self, "_randomness", Randomness(self.seed, "Poisson"))

    def encode(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return values (batch, channel) as 0 and 1 (time, batch, channel)."""
        probability = -torch.expm1(-self.max_rate * self.dt * values)
        return drawn(probability, self.steps, self._randomness.generator(generator, values.device))


def drawn(probability: Tensor, steps: int, generator: torch.Generator) -> Tensor:
    """Return 0 and 1 (time, ...), each 1 with its probability (...), independently in every step."""
    # Most of an image is 0: numbers are drawn for the rest alone.
    flat = probability.flatten()
    active = flat.nonzero()[:, 0]
    uniform = torch.rand(steps, len(active), generator=generator, dtype=flat.dtype, device=flat.device)
    spikes = flat.new_zeros(steps, len(flat))
    spikes[:, active] = (uniform < flat[active]).to(flat.dtype)
    return spikes.reshape(steps, *probability.shape)
