"""One spike for each value: the larger, the earlier."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_positive
from neurotorch.data.encodings.base import Encoding


@dataclass(frozen=True)
class Latency(Encoding):
    """One spike when a leaky integrator that starts at 0 reaches its threshold under the constant current ``x``.

    It does so at the time::

        t = tau ln(x / (x - threshold))   for x > threshold,   else no spike

    The spike falls into step ``floor(t / dt)``; one beyond the last step is left out.

    Parameters
    ----------
    steps
        Number of steps.
    dt
        Seconds of a step; 1 ms.
    tau
        Time constant in seconds; 20 ms.
    threshold
        Values up to it are silent; 0.2.

    References
    ----------
    Gerstner & Kistler 2002, *Spiking Neuron Models*, section 4.1.1, with the resting potential 0 and resistance 1.
    """

    steps: int
    dt: float = 1e-3
    tau: float = field(default=20e-3, kw_only=True)
    threshold: float = field(default=0.2, kw_only=True)

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_positive("dt", self.dt, "s")
        check_positive("tau", self.tau, "s")
        if check_positive("threshold", self.threshold) >= 1:
            raise ValueError(f"`threshold` is {self.threshold:g}: values are in 0..1, so that all would be silent.")

    def encode(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return values (batch, channel) as 0 and 1 (time, batch, channel)."""
        del generator
        spikes = values > self.threshold
        above = torch.where(spikes, values, torch.ones_like(values))
        return one_hot(torch.floor(-self.tau * torch.log1p(-self.threshold / above) / self.dt), spikes, self.steps)


def one_hot(step: Tensor, spikes: Tensor, steps: int) -> Tensor:
    """Return 0 and 1 (time, ...) with a 1 at `step` (...) where there is one in time and `spikes` (...) is True."""
    in_time = spikes & (step < steps)
    place = step.clamp(max=steps - 1).long().unsqueeze(0)
    return step.new_zeros(steps, *step.shape).scatter_(0, place, in_time.to(step.dtype).unsqueeze(0))
