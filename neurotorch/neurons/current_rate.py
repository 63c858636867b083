"""The firing-rate neuron in the current form."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from neurotorch.core.vocabulary import Transfer, transfer
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant, learned
from neurotorch.neurons.options import transfer_option
from neurotorch.neurons.transfer import Tanh


class CurrentRateState(NamedTuple):
    """`h`: the current, low-passed."""

    h: Any


class CurrentRateCoefficients(NamedTuple):
    """`rate`: ``dt / tau``; the option `phi`."""

    rate: Any
    phi: Any


class CurrentRate(NeuronModel):
    r"""Firing-rate neuron in the current form: the state is the current, and its nonlinear function is emitted.

    One step of `dt`::

        h' = h + (dt / tau) (-h + I)
        r  = phi(h')

    It emits ``r`` and is observed as ``h'``, so that in a recurrent layer ``h' = h + (dt / tau) (-h + W phi(h) + I)``.
    `FiringRate` is the rate form.

    Parameters
    ----------
    tau
        Time constant in seconds, at least `dt`; 0.1 s.
    transfer
        ``phi``; `Tanh()`, as in the literature of random networks. Under Dale's law choose one that is not negative.

    References
    ----------
    Sompolinsky, Crisanti & Sommers 1988, doi:10.1103/PhysRevLett.61.259, equation 1, by Euler's method; for the
    relation of the two forms Miller & Fumarola 2012, doi:10.1162/NECO_a_00221.
    """

    State = CurrentRateState
    Coefficients = CurrentRateCoefficients
    emits = "rates"

    def __init__(self, tau: float | Tensor | Learned | Constant = 0.1, *, transfer: Transfer = Tanh()) -> None:
        super().__init__()
        self.tau = constant("tau", tau, positive=True)
        self.transfer = transfer_option(transfer)

    def coefficients(self, dt: float) -> CurrentRateCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        return CurrentRateCoefficients(dt / self.tau(), self.transfer)

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the rate and the state after one step."""
        h = state.h + coefficients.rate * (current - state.h)
        return transfer(h, coefficients.phi), CurrentRateState(h=h)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return neurons with learned time constants from three steps on."""
        return cls(learned(torch.full((neurons,), 3 * dt)))

    @staticmethod
    def observe(state: Any, emitted: Any) -> Any:
        """Return the current ``h``."""
        return state.h

    @staticmethod
    def force(coefficients: Any, state: Any, target: Any, strength: Any) -> tuple[Any, Any]:
        """Pull the current towards `target`."""
        h = state.h + strength * (target - state.h)
        return transfer(h, coefficients.phi), CurrentRateState(h=h)

    @staticmethod
    def required_current(coefficients: Any, state: Any, target: Any) -> Any:
        """Return ``h + (target - h) tau / dt``."""
        return state.h + (target - state.h) / coefficients.rate

    def largest_dt(self) -> float:
        """Return the smallest time constant: beyond it Euler's method overshoots."""
        return float(self.tau.value.min())

    def project_(self, dt: float) -> None:
        """Raise learned time constants below `dt` to it."""
        if self.tau.learned:
            self.tau.clamp_(least=dt)
