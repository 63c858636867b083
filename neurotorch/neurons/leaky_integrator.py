"""The leaky integrator: a readout, or a low-pass filter."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant, learned


class LeakyIntegratorState(NamedTuple):
    """`v`: the potential."""

    v: Any


class LeakyIntegratorCoefficients(NamedTuple):
    """`alpha`: decay of the potential per step."""

    alpha: Any


class LeakyIntegrator(NeuronModel):
    r"""Leaky integrator that emits its potential.

    One step of `dt`, with ``alpha = exp(-dt / tau_mem)``::

        v' = alpha v + I

    Parameters
    ----------
    tau_mem
        Time constant in seconds; 20 ms.

    References
    ----------
    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, equation 11.
    """

    State = LeakyIntegratorState
    Coefficients = LeakyIntegratorCoefficients
    emits = "rates"

    def __init__(self, tau_mem: float | Tensor | Learned | Constant = 0.02) -> None:
        super().__init__()
        self.tau_mem = constant("tau_mem", tau_mem, positive=True)

    def coefficients(self, dt: float) -> LeakyIntegratorCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        return LeakyIntegratorCoefficients((-dt / self.tau_mem()).exp())

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the potential and the state after one step."""
        v = coefficients.alpha * state.v + current
        return v, LeakyIntegratorState(v=v)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return integrators with learned time constants from three steps on."""
        return cls(learned(torch.full((neurons,), 3 * dt)))

    @staticmethod
    def force(coefficients: Any, state: Any, target: Any, strength: Any) -> tuple[Any, Any]:
        """Pull the potential towards `target`."""
        v = state.v + strength * (target - state.v)
        return v, LeakyIntegratorState(v=v)
