"""The leaky integrate-and-fire neuron."""

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


class LIFState(NamedTuple):
    """`v`: membrane potential in units of the threshold, before the reset of a spike in the same step.

    `r`: steps for which the potential is still held; empty without a refractory period.
    """

    v: Any
    r: Any = ()


class LIFCoefficients(NamedTuple):
    """`alpha`: decay of the potential per step; `threshold`; the options.

    These are `reset`, `surrogate` and `refractory`.
    """

    alpha: Any
    threshold: Any
    reset: Any
    surrogate: Any
    refractory: Any = NotRefractory()


class LIF(NeuronModel):
    r"""Leaky integrate-and-fire neuron.

    One step of `dt`, with ``alpha = exp(-dt / tau_mem)`` and ``H`` the step function::

        s  = H(v - threshold)                  the spike of the step before; carries no gradient
        v' = alpha v - threshold s + I         (ResetBySubtraction)
        v' = alpha v (1 - s) + I               (ResetToZero)
        z  = H(v' - threshold)

    Parameters
    ----------
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
    Neftci, Mostafa & Zenke 2019, doi:10.1109/MSP.2019.2931595; Bellec et al. 2020, doi:10.1038/s41467-020-17236-y,
    equation 6.
    """

    State = LIFState
    Coefficients = LIFCoefficients
    emits = "spikes"

    def __init__(
        self,
        tau_mem: float | Tensor | Learned | Constant = 0.02,
        threshold: float | Tensor | Learned | Constant = 1.0,
        *,
        reset: Reset = ResetBySubtraction(),
        refractory: float | Tensor | Learned | Constant | None = None,
        surrogate: Surrogate = FastSigmoid(),
    ) -> None:
        super().__init__()
        self.tau_mem = constant("tau_mem", tau_mem, positive=True)
        self.threshold = constant("threshold", threshold, positive=True)
        self.reset, self.surrogate = reset_option(reset, self.threshold), surrogate_option(surrogate)
        self.refractory = refractory_constant(refractory)

    def coefficients(self, dt: float) -> LIFCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        period = refractory_option(self.refractory, dt)
        return LIFCoefficients((-dt / self.tau_mem()).exp(), self.threshold(), self.reset, self.surrogate, period)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return neurons with learned time constants, longer than usual where steps are too long for those."""
        return cls(learned(torch.full((neurons,), max(0.02, 2 * dt))))

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the spikes and the state after one step."""
        c = coefficients
        spiked = emit(state.r, stop_gradient(spike(state.v - c.threshold, c.surrogate)), c.refractory)
        carried = carry_over(c.alpha, state.v, spiked, stop_gradient(c.threshold), c.reset)
        v, r = hold(state.r, state.v, spiked, carried, current, c.refractory)
        z = emit(r, spike(v - c.threshold, c.surrogate), c.refractory)
        return z, LIFState(v=v, r=r)

    def initial_state(self, batch: int, like: Tensor) -> LIFState:
        """Return zeros; `like` ends on the neuron axis."""
        zeros = like.new_zeros(batch, like.shape[-1])
        return LIFState(v=zeros, r=free(self.refractory, zeros))
