"""The firing-rate neuron."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from neurotorch.core.vocabulary import Transfer, transfer
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant, learned
from neurotorch.neurons.options import transfer_option
from neurotorch.neurons.transfer import Sigmoid


class FiringRateState(NamedTuple):
    """`x`: the rate."""

    x: Any


class FiringRateCoefficients(NamedTuple):
    """`rate`: ``dt / tau``; the option `phi`."""

    rate: Any
    phi: Any


class FiringRate(NeuronModel):
    r"""Firing-rate neuron in the rate form.

    One step of `dt`::

        x' = x + (dt / tau) (-x + phi(I))

    Parameters
    ----------
    tau
        Time constant in seconds, at least `dt`; 0.1 s.
    transfer
        ``phi``; `Sigmoid()`.

    References
    ----------
    Dayan & Abbott 2001, *Theoretical Neuroscience*, equation 7.11, by Euler's method.
    """

    State = FiringRateState
    Coefficients = FiringRateCoefficients
    emits = "rates"

    def __init__(self, tau: float | Tensor | Learned | Constant = 0.1, *, transfer: Transfer = Sigmoid()) -> None:
        super().__init__()
        self.tau = constant("tau", tau, positive=True)
        self.transfer = transfer_option(transfer)

    def coefficients(self, dt: float) -> FiringRateCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        return FiringRateCoefficients(dt / self.tau(), self.transfer)

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the rate and the state after one step."""
        x = state.x + coefficients.rate * (transfer(current, coefficients.phi) - state.x)
        return x, FiringRateState(x=x)

    @staticmethod
    def force(coefficients: Any, state: Any, target: Any, strength: Any) -> tuple[Any, Any]:
        """Pull the rate towards `target`."""
        x = state.x + strength * (target - state.x)
        return x, FiringRateState(x=x)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return neurons with learned time constants from three steps on."""
        return cls(learned(torch.full((neurons,), 3 * dt)))

    def limits(self) -> tuple[float, float] | None:
        """Return the range of the transfer function."""
        return self.transfer.limits()

    def largest_dt(self) -> float:
        """Return the smallest time constant: beyond it Euler's method overshoots."""
        return float(self.tau.value.min())

    def project_(self, dt: float) -> None:
        """Raise learned time constants below `dt` to it."""
        if self.tau.learned:
            self.tau.clamp_(least=dt)
