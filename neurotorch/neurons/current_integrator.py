"""The leaky integrator with a synaptic current."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant, learned


class CurrentIntegratorState(NamedTuple):
    """`i`: synaptic current; `v`: the potential."""

    i: Any
    v: Any


class CurrentIntegratorCoefficients(NamedTuple):
    """`alpha_syn`, `alpha_mem`: decays per step."""

    alpha_syn: Any
    alpha_mem: Any


class CurrentIntegrator(NeuronModel):
    r"""Leaky integrator with an exponential synaptic current, that emits its potential.

    One step of `dt`, with ``alpha = exp(-dt / tau)`` for each time constant::

        i' = alpha_syn i + I
        v' = alpha_mem v + i'

    Parameters
    ----------
    tau_syn
        Synaptic time constant in seconds; 5 ms.
    tau_mem
        Membrane time constant in seconds; 20 ms.

    References
    ----------
    The readout of Neftci, Mostafa & Zenke 2019, doi:10.1109/MSP.2019.2931595: equations 4 and 5 without the spike, with
    the synaptic current of the same step.
    """

    State = CurrentIntegratorState
    Coefficients = CurrentIntegratorCoefficients
    emits = "rates"

    def __init__(
        self,
        tau_syn: float | Tensor | Learned | Constant = 0.005,
        tau_mem: float | Tensor | Learned | Constant = 0.02,
    ) -> None:
        super().__init__()
        self.tau_syn = constant("tau_syn", tau_syn, positive=True)
        self.tau_mem = constant("tau_mem", tau_mem, positive=True)

    def coefficients(self, dt: float) -> CurrentIntegratorCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        return CurrentIntegratorCoefficients((-dt / self.tau_syn()).exp(), (-dt / self.tau_mem()).exp())

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return integrators with learned time constants, of one and of three steps."""
        return cls(learned(torch.full((neurons,), dt)), learned(torch.full((neurons,), 3 * dt)))

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the potential and the state after one step."""
        i = coefficients.alpha_syn * state.i + current
        v = coefficients.alpha_mem * state.v + i
        return v, CurrentIntegratorState(i=i, v=v)

    @staticmethod
    def force(coefficients: Any, state: Any, target: Any, strength: Any) -> tuple[Any, Any]:
        """Pull the potential towards `target`; the current stays."""
        v = state.v + strength * (target - state.v)
        return v, CurrentIntegratorState(i=state.i, v=v)
