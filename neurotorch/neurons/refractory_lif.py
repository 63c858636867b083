"""The leaky integrate-and-fire neuron with an absolute refractory period."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from neurotorch.core.vocabulary import Reset, Surrogate, carry_over, relu, spike, stop_gradient, where
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant, learned
from neurotorch.neurons.reset import ResetToZero
from neurotorch.neurons.surrogate import FastSigmoid


class RefractoryLIFState(NamedTuple):
    """`v`: membrane potential, before the reset of a spike in the same step; `r`: steps for which it is still held."""

    v: Any
    r: Any


class RefractoryLIFCoefficients(NamedTuple):
    """`alpha`: decay per step; `threshold`; `period`: refractory period in steps; the options `reset`, `surrogate`."""

    alpha: Any
    threshold: Any
    period: Any
    reset: Any
    surrogate: Any


class RefractoryLIF(NeuronModel):
    r"""Leaky integrate-and-fire neuron that holds its potential, and takes no input, for a while after a spike.

    One step of `dt`, with ``alpha = exp(-dt / tau_mem)``, ``period = refractory / dt`` and ``H`` the step function::

        s  = H(v - threshold)                            the spike of the step before; carries no gradient
        r' = period s + (1 - s) max(0, r - 1)
        c  = alpha v (1 - s)                             (ResetToZero)
        c  = alpha v - threshold s                       (ResetBySubtraction)
        v' = c + I             where r' < 1/2
        v' = (1 - s) v + s c   elsewhere
        z  = H(v' - threshold) where r' < 1/2, else 0

    so that the period counts in whole steps, to the nearest. With ``refractory = dt`` and `ResetToZero()` it is the
    variant ``v' = (alpha v + I)(1 - s)`` that drops the input of the step after a spike, with a period under half a
    step it is `LIF`.

    Parameters
    ----------
    tau_mem
        Membrane time constant in seconds; 20 ms.
    threshold
        Potential above which a spike is emitted; 1.
    refractory
        Refractory period in seconds; 2 ms. Nothing can be learned about it: no spike depends on it smoothly.
    reset
        `ResetToZero()`, `ResetBySubtraction()` or `ResetToValue()`.
    surrogate
        Stand-in for the derivative of ``H``; a neuron that is held has none.

    References
    ----------
    Gerstner et al. 2014, *Neuronal Dynamics*, section 1.3, doi:10.1017/CBO9781107447615.
    """

    State = RefractoryLIFState
    Coefficients = RefractoryLIFCoefficients
    emits = "spikes"

    def __init__(
        self,
        tau_mem: float | Tensor | Learned | Constant = 0.02,
        threshold: float | Tensor | Learned | Constant = 1.0,
        *,
        refractory: float | Tensor | Learned | Constant = 0.002,
        reset: Reset = ResetToZero(),
        surrogate: Surrogate = FastSigmoid(),
    ) -> None:
        super().__init__()
        self.tau_mem = constant("tau_mem", tau_mem, positive=True)
        self.threshold = constant("threshold", threshold, positive=True)
        self.refractory = constant("refractory", refractory, positive=True)
        self.reset, self.surrogate = reset, surrogate

    def coefficients(self, dt: float) -> RefractoryLIFCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        alpha, period = (-dt / self.tau_mem()).exp(), self.refractory() / dt
        return RefractoryLIFCoefficients(alpha, self.threshold(), period, self.reset, self.surrogate)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return neurons with learned time constants, longer than usual where steps are too long for those."""
        return cls(learned(torch.full((neurons,), max(0.02, 2 * dt))))

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the spikes and the state after one step."""
        c = coefficients
        spiked = stop_gradient(spike(state.v - c.threshold, c.surrogate))
        r = c.period * spiked + (1 - spiked) * relu(state.r - 1)
        held = r >= 0.5
        carried = carry_over(c.alpha, state.v, spiked, stop_gradient(c.threshold), c.reset)
        v = where(held, state.v + spiked * (carried - state.v), carried + current)
        return where(held, 0 * v, spike(v - c.threshold, c.surrogate)), RefractoryLIFState(v=v, r=r)
