"""The current-based leaky integrate-and-fire neuron with two synaptic time constants."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from neurotorch.core.vocabulary import Reset, Surrogate, carry_over, spike, stop_gradient
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant, learned
from neurotorch.neurons.reset import ResetBySubtraction
from neurotorch.neurons.surrogate import FastSigmoid


class DoubleExponentialLIFState(NamedTuple):
    """`rise`, `i`: stages of the synaptic current; `v`: potential, before the reset of a spike in the same step."""

    rise: Any
    i: Any
    v: Any


class DoubleExponentialLIFCoefficients(NamedTuple):
    """`alpha_rise`, `alpha_syn`, `alpha_mem`: decays per step; `threshold`; the options `reset` and `surrogate`."""

    alpha_rise: Any
    alpha_syn: Any
    alpha_mem: Any
    threshold: Any
    reset: Any
    surrogate: Any


class DoubleExponentialLIF(NeuronModel):
    r"""Leaky integrate-and-fire neuron with a synaptic current that rises and decays, a difference of two exponentials.

    One step of `dt`, with ``alpha = exp(-dt / tau)`` for each time constant and ``H`` the step function::

        r' = alpha_rise r + I
        i' = alpha_syn i + (1 - alpha_rise) r'
        s  = H(v - threshold)                       the spike of the step before; carries no gradient
        v' = alpha_mem v - threshold s + i'         (ResetBySubtraction)
        v' = alpha_mem v (1 - s) + i'               (ResetToZero)
        z  = H(v' - threshold)

    A pulse of input makes the current ``(1 - alpha_rise) (alpha_syn^(n+1) - alpha_rise^(n+1)) / (alpha_syn -
    alpha_rise)`` after ``n`` steps, whose sum is that of `CurrentLIF`, to which the neuron tends for a short
    `tau_rise`.

    Parameters
    ----------
    tau_rise
        Time constant of the rise in seconds; 2 ms.
    tau_syn
        Time constant of the decay in seconds; 5 ms. Exchanged, the two make the same shape of another size.
    tau_mem
        Membrane time constant in seconds; 20 ms.
    threshold
        Potential above which a spike is emitted; 1.
    reset
        `ResetBySubtraction()`, `ResetToZero()` or `ResetToValue()`.
    surrogate
        Stand-in for the derivative of ``H``.

    References
    ----------
    Gerstner et al. 2014, *Neuronal Dynamics*, section 3.1, doi:10.1017/CBO9781107447615, as two filters in series.
    """

    State = DoubleExponentialLIFState
    Coefficients = DoubleExponentialLIFCoefficients
    emits = "spikes"

    def __init__(
        self,
        tau_rise: float | Tensor | Learned | Constant = 0.002,
        tau_syn: float | Tensor | Learned | Constant = 0.005,
        *,
        tau_mem: float | Tensor | Learned | Constant = 0.02,
        threshold: float | Tensor | Learned | Constant = 1.0,
        reset: Reset = ResetBySubtraction(),
        surrogate: Surrogate = FastSigmoid(),
    ) -> None:
        super().__init__()
        self.tau_rise = constant("tau_rise", tau_rise, positive=True)
        self.tau_syn = constant("tau_syn", tau_syn, positive=True)
        self.tau_mem = constant("tau_mem", tau_mem, positive=True)
        self.threshold = constant("threshold", threshold, positive=True)
        self.reset, self.surrogate = reset, surrogate

    def coefficients(self, dt: float) -> DoubleExponentialLIFCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        first, second, third = ((-dt / tau()).exp() for tau in (self.tau_rise, self.tau_syn, self.tau_mem))
        return DoubleExponentialLIFCoefficients(first, second, third, self.threshold(), self.reset, self.surrogate)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return neurons with learned time constants, longer than usual where steps are too long for those."""
        tau_rise, tau_syn, tau_mem = (
            learned(torch.full((neurons,), tau)) for tau in (max(0.002, dt / 2), max(0.005, dt), max(0.02, 2 * dt))
        )
        return cls(tau_rise, tau_syn, tau_mem=tau_mem)

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the spikes and the state after one step."""
        c = coefficients
        rise = c.alpha_rise * state.rise + current
        i = c.alpha_syn * state.i + (1 - c.alpha_rise) * rise
        spiked = stop_gradient(spike(state.v - c.threshold, c.surrogate))
        v = carry_over(c.alpha_mem, state.v, spiked, stop_gradient(c.threshold), c.reset) + i
        return spike(v - c.threshold, c.surrogate), DoubleExponentialLIFState(rise=rise, i=i, v=v)
