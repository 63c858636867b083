"""The adaptive leaky integrate-and-fire neuron."""

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


class AdaptiveLIFState(NamedTuple):
    """`v`: membrane potential, before the reset of a spike in the same step; `a`: adaptation, before its spike.

    `r`: steps for which the potential is still held; empty without a refractory period.
    """

    v: Any
    a: Any
    r: Any = ()


class AdaptiveLIFCoefficients(NamedTuple):
    """`alpha`, `rho`: decays per step; `beta`; `threshold` (baseline); the options.

    These are `reset`, `surrogate` and `refractory`.
    """

    alpha: Any
    rho: Any
    beta: Any
    threshold: Any
    reset: Any
    surrogate: Any
    refractory: Any = NotRefractory()


class AdaptiveLIF(NeuronModel):
    r"""Leaky integrate-and-fire neuron whose threshold rises with each of its spikes ("ALIF").

    One step of `dt`, with ``alpha = exp(-dt / tau_mem)``, ``rho = exp(-dt / tau_adaptation)`` and ``H`` the step
    function::

        s  = H(v - threshold - beta a)         the spike of the step before
        a' = rho a + s
        v' = alpha v - threshold s + I         (ResetBySubtraction: the baseline threshold; carries no gradient)
        z  = H(v' - threshold - beta a')

    The surrogate is taken at ``(v' - threshold - beta a') / threshold``, so that it is scaled by the baseline
    threshold. Through the adaptation, unlike through the reset, the gradient flows.

    Parameters
    ----------
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
        Stand-in for the derivative of ``H``, in units of the baseline threshold; `Triangular()`, with which the
        derivative is ``0.3 / threshold * max(0, 1 - |v' - threshold - beta a'| / threshold)``.

    References
    ----------
    Bellec et al. 2018, doi:10.48550/arXiv.1803.09574; Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, equations 6
    and 7, with the adaptive threshold of its section "Neuron models" in Methods.
    """

    State = AdaptiveLIFState
    Coefficients = AdaptiveLIFCoefficients
    emits = "spikes"

    def __init__(
        self,
        tau_mem: float | Tensor | Learned | Constant = 0.02,
        tau_adaptation: float | Tensor | Learned | Constant = 0.2,
        *,
        beta: float | Tensor | Learned | Constant = 0.1,
        threshold: float | Tensor | Learned | Constant = 1.0,
        reset: Reset = ResetBySubtraction(),
        refractory: float | Tensor | Learned | Constant | None = None,
        surrogate: Surrogate = Triangular(),
    ) -> None:
        super().__init__()
        self.tau_mem = constant("tau_mem", tau_mem, positive=True)
        self.tau_adaptation = constant("tau_adaptation", tau_adaptation, positive=True)
        self.beta = constant("beta", beta)
        self.threshold = constant("threshold", threshold, positive=True)
        self.reset, self.surrogate = reset_option(reset, self.threshold), surrogate_option(surrogate)
        self.refractory = refractory_constant(refractory)

    def coefficients(self, dt: float) -> AdaptiveLIFCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        period = refractory_option(self.refractory, dt)
        alpha, rho = (-dt / self.tau_mem()).exp(), (-dt / self.tau_adaptation()).exp()
        return AdaptiveLIFCoefficients(alpha, rho, self.beta(), self.threshold(), self.reset, self.surrogate, period)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return neurons with learned time constants, longer than usual where steps are too long for those."""
        tau_mem, tau_adaptation = max(0.02, 2 * dt), max(0.2, 10 * dt)
        return cls(learned(torch.full((neurons,), tau_mem)), learned(torch.full((neurons,), tau_adaptation)))

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the spikes and the state after one step."""
        c = coefficients
        baseline = stop_gradient(c.threshold)
        spiked = spike((state.v - c.threshold - c.beta * state.a) / baseline, c.surrogate)
        spiked = emit(state.r, spiked, c.refractory)
        a = c.rho * state.a + spiked
        spiked = stop_gradient(spiked)
        carried = carry_over(c.alpha, state.v, spiked, baseline, c.reset)
        v, r = hold(state.r, state.v, spiked, carried, current, c.refractory)
        z = emit(r, spike((v - c.threshold - c.beta * a) / baseline, c.surrogate), c.refractory)
        return z, AdaptiveLIFState(v=v, a=a, r=r)

    def initial_state(self, batch: int, like: Tensor) -> AdaptiveLIFState:
        """Return zeros; `like` ends on the neuron axis."""
        zeros = like.new_zeros(batch, like.shape[-1])
        return AdaptiveLIFState(v=zeros, a=zeros, r=free(self.refractory, zeros))
