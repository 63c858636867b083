"""Each value seen by a population of neurons with overlapping receptive fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from neurotorch.core.checks import check_count, check_kind, check_positive
from neurotorch.data.encodings.base import Encoding


@dataclass(frozen=True)
class Population(Encoding):
    """Gaussian receptive fields that tile the range of the values, and another encoding of what they see.

    Neuron ``i = 1 .. m`` of the `neurons` ``m`` of a channel sees ``a_i = exp(-(x - mu_i)^2 / (2 sigma^2))`` with::

        mu_i = low + (2 i - 3) / 2 (high - low) / (m - 2),   sigma = (high - low) / (beta (m - 2))

    and `then` encodes ``a_i``, which lies in 0..1. The neurons of a channel stand side by side.

    Parameters
    ----------
    neurons
        Receptive fields for each channel, at least 3.
    then
        The encoding of what they see, such as `Latency` or `DirectCurrent`.
    low, high
        The range of the values; 0 and 1. Values outside are legal.
    beta
        Narrowness of the fields; 1.5.

    References
    ----------
    Bohte, Kok & La Poutré 2002, doi:10.1016/S0925-2312(01)00658-0, section 4.1.
    """

    neurons: int
    then: Encoding
    low: float = field(default=0.0, kw_only=True)
    high: float = field(default=1.0, kw_only=True)
    beta: float = field(default=1.5, kw_only=True)
    fractions: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_count("neurons", self.neurons, least=3)
        check_positive("beta", self.beta)
        check_positive("high - low", self.high - self.low)
        check_kind("then", self.then, Encoding, example="Latency(10)")
        if self.then.time_series:
            raise ValueError(f"`then` is {type(self.then).__name__}, which takes a time series and not single values.")

    @property
    def steps(self) -> int:
        """Number of steps: that of `then`."""
        return int(getattr(self.then, "steps"))  # noqa: B009

    def activation(self, values: Tensor) -> Tensor:
        """Return what the neurons see of values (...), (..., neurons)."""
        spacing = (self.high - self.low) / (self.neurons - 2)
        index = torch.arange(1, self.neurons + 1, dtype=values.dtype, device=values.device)
        centres = self.low + (2 * index - 3) / 2 * spacing
        return torch.exp(-((values.unsqueeze(-1) - centres) ** 2) / (2 * (spacing / self.beta) ** 2))

    def encode(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return values (batch, channel) as (time, batch, channel * neurons)."""
        return self.then.encode(self.activation(values).flatten(1), generator)
