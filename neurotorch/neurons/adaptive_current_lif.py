"""The current-based adaptive leaky integrate-and-fire neuron."""

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
from neurotorch.neurons.surrogate import Triangular


class AdaptiveCurrentLIFState(NamedTuple):
    """`i`: synaptic current; `v`: membrane potential and `a`: adaptation, both before a spike in the same step.

    `r`: steps for which the potential is still held; empty without a refractory period.
    """

    i: Any
    v: Any
    a: Any
    r: Any = ()


class AdaptiveCurrentLIFCoefficients(NamedTuple):
    """`alpha_syn`, `alpha_mem`, `rho`: decays per step; `beta`; `threshold`; the options.

    These are `reset`, `surrogate` and `refractory`.
    """

    alpha_syn: Any
    alpha_mem: Any
    rho: Any
    beta: Any
    threshold: Any
    reset: Any
    surrogate: Any
    refractory: Any = NotRefractory()


class AdaptiveCurrentLIF(NeuronModel):
    r"""Adaptive leaky integrate-and-fire neuron with an exponential synaptic current.

    One step of `dt`, with ``alpha_syn``, ``alpha_mem`` and ``rho`` equal to ``exp(-dt / tau)`` of their time constants
    and ``H`` the step function::

        i' = alpha_syn i + I
        s  = H(v - threshold - beta a)                  the spike of the step before
        a' = rho a + s
        v' = alpha_mem v - threshold s + i'             (ResetBySubtraction; carries no gradient)
        z  = H(v' - threshold - beta a')

    The surrogate is taken at ``(v' - threshold - beta a') / threshold``, as in `AdaptiveLIF`.

    Parameters
    ----------
    tau_syn
        Synaptic time constant in seconds; 5 ms.
    tau_mem
        Membrane time constant in seconds; 20 ms.
    tau_adaptation
        Time constant of the adaptation in seconds; 200 ms.
    beta
        What one spike adds to the threshold; 0.1.
    threshold
        Potential above which a neuron fires that has not fired lately; 1.
    reset
        `ResetBySubtraction()`, `ResetToZero()` or `ResetToValue()`.
    refractory
        Absolute refractory period in seconds, see `Refractory`; None for none. No spike depends on it smoothly.
    surrogate
        Stand-in for the derivative of ``H``, in units of the baseline threshold; `Triangular()`.

    References
    ----------
    The synapse of Neftci, Mostafa & Zenke 2019, doi:10.1109/MSP.2019.2931595, equation 4, on the neuron of Bellec et
    al. 2020, doi:10.1038/s41467-020-17236-y, section "Neuron models" in Methods.
    """

    State = AdaptiveCurrentLIFState
    Coefficients = AdaptiveCurrentLIFCoefficients
    emits = "spikes"

    def __init__(
        self,
        tau_syn: float | Tensor | Learned | Constant = 0.005,
        tau_mem: float | Tensor | Learned | Constant = 0.02,
        *,
        tau_adaptation: float | Tensor | Learned | Constant = 0.2,
        beta: float | Tensor | Learned | Constant = 0.1,
        threshold: float | Tensor | Learned | Constant = 1.0,
        reset: Reset = ResetBySubtraction(),
        refractory: float | Tensor | Learned | Constant | None = None,
        surrogate: Surrogate = Triangular(),
    ) -> None:
        super().__init__()
        self.tau_syn = constant("tau_syn", tau_syn, positive=True)
        self.tau_mem = constant("tau_mem", tau_mem, positive=True)
        self.tau_adaptation = constant("tau_adaptation", tau_adaptation, positive=True)
        self.beta = constant("beta", beta)
        self.threshold = constant("threshold", threshold, positive=True)
        self.reset, self.surrogate = reset_option(reset, self.threshold), surrogate_option(surrogate)
        self.refractory = refractory_constant(refractory)

    def coefficients(self, dt: float) -> AdaptiveCurrentLIFCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        period = refractory_option(self.refractory, dt)
        first, second, third = ((-dt / tau()).exp() for tau in (self.tau_syn, self.tau_mem, self.tau_adaptation))
        return AdaptiveCurrentLIFCoefficients(
            first, second, third, self.beta(), self.threshold(), self.reset, self.surrogate, period
        )

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return neurons with learned time constants, longer than usual where steps are too long for those."""
        tau_syn, tau_mem, tau_adaptation = (
            learned(torch.full((neurons,), tau)) for tau in (max(0.005, dt), max(0.02, 2 * dt), max(0.2, 10 * dt))
        )
        return cls(tau_syn, tau_mem, tau_adaptation=tau_adaptation)

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the spikes and the state after one step."""
        c = coefficients
        baseline = stop_gradient(c.threshold)
        i = c.alpha_syn * state.i + current
        spiked = spike((state.v - c.threshold - c.beta * state.a) / baseline, c.surrogate)
        spiked = emit(state.r, spiked, c.refractory)
        a = c.rho * state.a + spiked
        spiked = stop_gradient(spiked)
        carried = carry_over(c.alpha_mem, state.v, spiked, baseline, c.reset)
        v, r = hold(state.r, state.v, spiked, carried, i, c.refractory)
        z = emit(r, spike((v - c.threshold - c.beta * a) / baseline, c.surrogate), c.refractory)
        return z, AdaptiveCurrentLIFState(i=i, v=v, a=a, r=r)

    def initial_state(self, batch: int, like: Tensor) -> AdaptiveCurrentLIFState:
        """Return zeros; `like` ends on the neuron axis."""
        zeros = like.new_zeros(batch, like.shape[-1])
        return AdaptiveCurrentLIFState(i=zeros, v=zeros, a=zeros, r=free(self.refractory, zeros))
