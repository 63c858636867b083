"""The current-based leaky integrate-and-fire neuron with two synaptic time constants."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from neurotorch.core.vocabulary import Reset, Surrogate, carry_over, emit, hold, spike, stop_gradient
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant, learned
from neurotorch.neurons.options import reset_option, surrogate_option
from neurotorch.neurons.refractory import NotRefractory, free, refractory_constant, refractory_option
from neurotorch.neurons.reset import ResetBySubtraction
from neurotorch.neurons.surrogate import FastSigmoid


class DoubleExponentialLIFState(NamedTuple):
    """`rise`, `i`: stages of the synaptic current; `v`: potential, before the reset of a spike in the same step.

    `r`: steps for which the potential is still held; empty without a refractory period.
    """

    rise: Any
    i: Any
    v: Any
    r: Any = ()


class DoubleExponentialLIFCoefficients(NamedTuple):
    """`alpha_rise`, `alpha_syn`, `alpha_mem`: decays per step; `threshold`; the options.

    These are `reset`, `surrogate` and `refractory`.
    """

    alpha_rise: Any
    alpha_syn: Any
    alpha_mem: Any
    threshold: Any
    reset: Any
    surrogate: Any
    refractory: Any = NotRefractory()


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
    refractory
        Absolute refractory period in seconds, see `Refractory`; None for none. No spike depends on it smoothly.
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
        refractory: float | Tensor | Learned | Constant | None = None,
        surrogate: Surrogate = FastSigmoid(),
    ) -> None:
        super().__init__()
        self.tau_rise = constant("tau_rise", tau_rise, positive=True)
        self.tau_syn = constant("tau_syn", tau_syn, positive=True)
        self.tau_mem = constant("tau_mem", tau_mem, positive=True)
        self.threshold = constant("threshold", threshold, positive=True)
        self.reset, self.surrogate = reset_option(reset, self.threshold), surrogate_option(surrogate)
        self.refractory = refractory_constant(refractory)

    def coefficients(self, dt: float) -> DoubleExponentialLIFCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        period = refractory_option(self.refractory, dt)
        first, second, third = ((-dt / tau()).exp() for tau in (self.tau_rise, self.tau_syn, self.tau_mem))
        return DoubleExponentialLIFCoefficients(
            first, second, third, self.threshold(), self.reset, self.surrogate, period
        )

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
        spiked = emit(state.r, stop_gradient(spike(state.v - c.threshold, c.surrogate)), c.refractory)
        carried = carry_over(c.alpha_mem, state.v, spiked, stop_gradient(c.threshold), c.reset)
        v, r = hold(state.r, state.v, spiked, carried, i, c.refractory)
        z = emit(r, spike(v - c.threshold, c.surrogate), c.refractory)
        return z, DoubleExponentialLIFState(rise=rise, i=i, v=v, r=r)

    def initial_state(self, batch: int, like: Tensor) -> DoubleExponentialLIFState:
        """Return zeros; `like` ends on the neuron axis."""
        zeros = like.new_zeros(batch, like.shape[-1])
        return DoubleExponentialLIFState(rise=zeros, i=zeros, v=zeros, r=free(self.refractory, zeros))
