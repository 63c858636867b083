"""The adaptive exponential integrate-and-fire neuron."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from neurotorch.core.vocabulary import Surrogate, exp, minimum, spike, stop_gradient
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant, learned
from neurotorch.neurons.options import check_below, surrogate_option
from neurotorch.neurons.surrogate import FastSigmoid


class AdExState(NamedTuple):
    """`v_mv`: potential in mV and `w_na`: adaptation in nA, both before the reset of a spike in the same step."""

    v_mv: Any
    w_na: Any


class AdExCoefficients(NamedTuple):
    """`per_na`: mV that a nA makes in a step; `rate_w`: ``dt / tau_w``; the constants; the option `surrogate`."""

    per_na: Any
    rate_w: Any
    g_leak: Any
    e_leak: Any
    v_threshold: Any
    delta: Any
    a: Any
    b: Any
    v_reset: Any
    peak: Any
    surrogate: Any


class AdEx(NeuronModel):
    r"""Adaptive exponential integrate-and-fire neuron, in mV, nA, uS and nF, times in seconds.

    One step of `dt` by Euler's method, with ``H`` the step function::

        s  = H(v - peak)                        the spike of the step before
        v0 = v + s (v_reset - v)                carries no gradient through s
        w0 = w + b s
        v' = v0 + 1000 dt / capacitance (-g_leak (v0 - e_leak)
                  + g_leak delta exp(min((v0 - v_threshold) / delta, 8)) - w0 + I)
        w' = w0 + (dt / tau_w) (a (v0 - e_leak) - w0)
        z  = H(v' - peak)

    The exponent is held at 8, so that no number overflows. In steps of 0.1 ms the paper's neuron and this one, with the
    constants below, cross the peak in the same step; in finer ones this one is late, measured under 0.7 to 3 nA: by
    0.05 ms in steps of 0.05 ms, by 0.08 ms in steps of 0.001 ms.

    Parameters
    ----------
    capacitance
        Of the membrane in nF; 0.281.
    g_leak
        Leak conductance in uS; 0.03.
    e_leak
        Leak reversal potential in mV; -70.6.
    v_threshold
        Threshold of the exponential in mV; -50.4.
    delta
        Slope factor in mV; 2.
    tau_w
        Time constant of the adaptation in seconds; 144 ms.
    a
        Adaptation below threshold in uS; 0.004.
    b
        What a spike adds to the adaptation, in nA; 0.0805.
    v_reset
        Potential after a spike in mV; -70.6.
    peak
        Potential at which a spike is emitted, in mV; 20.
    surrogate
        Stand-in for the derivative of ``H``, per mV; `FastSigmoid(0.1)`.

    References
    ----------
    Brette & Gerstner 2005, doi:10.1152/jn.00686.2005, equations 1 to 3, with the constants of its section "Results".
    """

    State = AdExState
    Coefficients = AdExCoefficients
    emits = "spikes"

    def __init__(
        self,
        capacitance: float | Tensor | Learned | Constant = 0.281,
        g_leak: float | Tensor | Learned | Constant = 0.03,
        *,
        e_leak: float | Tensor | Learned | Constant = -70.6,
        v_threshold: float | Tensor | Learned | Constant = -50.4,
        delta: float | Tensor | Learned | Constant = 2.0,
        tau_w: float | Tensor | Learned | Constant = 0.144,
        a: float | Tensor | Learned | Constant = 0.004,
        b: float | Tensor | Learned | Constant = 0.0805,
        v_reset: float | Tensor | Learned | Constant = -70.6,
        peak: float | Tensor | Learned | Constant = 20.0,
        surrogate: Surrogate = FastSigmoid(0.1),
    ) -> None:
        super().__init__()
        self.capacitance = constant("capacitance", capacitance, positive=True)
        self.g_leak = constant("g_leak", g_leak, positive=True)
        self.e_leak, self.v_threshold = constant("e_leak", e_leak), constant("v_threshold", v_threshold)
        self.delta = constant("delta", delta, positive=True)
        self.tau_w = constant("tau_w", tau_w, positive=True)
        self.a, self.b = constant("a", a), constant("b", b)
        self.v_reset, self.peak = constant("v_reset", v_reset), constant("peak", peak)
        check_below("v_reset", self.v_reset, "peak", self.peak)
        self.surrogate = surrogate_option(surrogate)

    def coefficients(self, dt: float) -> AdExCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        named = (self.g_leak, self.e_leak, self.v_threshold, self.delta, self.a, self.b, self.v_reset, self.peak)
        constants = [constant() for constant in named]
        return AdExCoefficients._make([1000 * dt / self.capacitance(), dt / self.tau_w(), *constants, self.surrogate])

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the spikes and the state after one step."""
        c = coefficients
        spiked = spike(state.v_mv - c.peak, c.surrogate)
        v = state.v_mv + stop_gradient(spiked) * (c.v_reset - state.v_mv)
        w = state.w_na + c.b * spiked
        exponent = minimum((v - c.v_threshold) / c.delta, 0 * v + 8)
        flow = c.g_leak * (c.delta * exp(exponent) - (v - c.e_leak)) - w + current
        after = v + c.per_na * flow
        w = w + c.rate_w * (c.a * (v - c.e_leak) - w)
        return spike(after - c.peak, c.surrogate), AdExState(v_mv=after, w_na=w)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return neurons slowed down so far that a step takes the place of 0.5 ms."""
        slower = max(1.0, dt / 0.0005)
        return cls(torch.full((neurons,), 0.281 * slower), tau_w=learned(torch.full((neurons,), 0.144 * slower)))

    def initial_state(self, batch: int, like: Tensor) -> AdExState:
        """Return rest: ``v = e_leak``, no adaptation."""
        zeros = like.new_zeros(batch, like.shape[-1])
        return AdExState(v_mv=zeros + self.e_leak.value.to(zeros), w_na=zeros)

    def largest_dt(self) -> float:
        """Return a tenth of the membrane time constant, or `tau_w`: the upstroke overshoots further in longer steps."""
        membrane = 0.001 * self.capacitance.value.min() / self.g_leak.value.max()
        return float(min(0.1 * membrane, self.tau_w.value.min()))

    def project_(self, dt: float) -> None:
        """Move learned constants to where the time constants are long enough for `dt`."""
        if self.tau_w.learned:
            self.tau_w.clamp_(least=dt)
        if self.capacitance.learned:
            self.capacitance.clamp_(least=1e4 * dt * float(self.g_leak.value.max()))
        elif self.g_leak.learned:
            self.g_leak.assign(self.g_leak.value.clamp(max=1e-4 / dt * float(self.capacitance.value.min())))
