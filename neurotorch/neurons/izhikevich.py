"""The neuron of Izhikevich 2003."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from neurotorch.core.checks import shown
from neurotorch.core.vocabulary import Surrogate, minimum, spike, stop_gradient
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant, learned
from neurotorch.neurons.options import check_below, surrogate_option
from neurotorch.neurons.surrogate import FastSigmoid

IZHIKEVICH_TYPES = {
    "regular spiking": (0.02, 0.2, -65.0, 8.0),
    "intrinsically bursting": (0.02, 0.2, -55.0, 4.0),
    "chattering": (0.02, 0.2, -50.0, 2.0),
    "fast spiking": (0.1, 0.2, -65.0, 2.0),
    "low-threshold spiking": (0.02, 0.25, -65.0, 2.0),
    "thalamo-cortical": (0.02, 0.25, -65.0, 0.05),
    "resonator": (0.1, 0.26, -65.0, 2.0),
}
"""``a``, ``b``, ``c``, ``d`` of the named cell types: Izhikevich 2003, section III."""


class IzhikevichState(NamedTuple):
    """`v_mv`: potential in mV and `u`: recovery in mV/ms, both before the reset of a spike in the same step."""

    v_mv: Any
    u: Any


class IzhikevichCoefficients(NamedTuple):
    """`h`: the step in ms; `a`, `b`, `c`, `d`; `peak`; the option `surrogate`."""

    h: Any
    a: Any
    b: Any
    c: Any
    d: Any
    peak: Any
    surrogate: Any


class Izhikevich(NeuronModel):
    r"""Quadratic neuron with a recovery variable, potentials in mV.

    One step of ``h = dt / tau`` milliseconds: two half steps of the potential, then one of the recovery, as in the
    paper's code, with ``f(v, u) = 0.04 v^2 + 5 v + 140 - u + I`` and ``H`` the step function::

        s  = H(v - peak)                        the spike of the step before
        v0 = v + s (c - v)                      carries no gradient through s
        u0 = u + d s
        v1 = min(v0 + h/2 f(v0, u0), peak)
        v' = v1 + h/2 f(v1, u0)
        u' = u0 + h a (b min(v', peak) - u0)
        z  = H(v' - peak)

    The two `min` are not in the paper's code: without them a potential on its way beyond the peak, where the paper ends
    the spike, would reach thousands of mV within a step of 1 ms, and the recovery would follow it. In small steps they
    change nothing.

    Parameters
    ----------
    a
        Rate of the recovery in 1/ms; 0.02.
    b
        Sensitivity of the recovery to the potential in 1/ms; 0.2.
    c
        Potential after a spike in mV; -65.
    d
        What a spike adds to the recovery, in mV/ms; 8.
    peak
        Potential at which a spike is emitted and ends, in mV; 30.
    tau
        Seconds in one of the paper's milliseconds, at least `dt`; 0.001. A longer one is a slow copy of the neuron.
    surrogate
        Stand-in for the derivative of ``H``, per mV; `FastSigmoid(0.1)`.

    References
    ----------
    Izhikevich 2003, doi:10.1109/TNN.2003.820440, equations 1 to 3.
    """

    State = IzhikevichState
    Coefficients = IzhikevichCoefficients
    emits = "spikes"

    def __init__(
        self,
        a: float | Tensor | Learned | Constant = 0.02,
        b: float | Tensor | Learned | Constant = 0.2,
        *,
        c: float | Tensor | Learned | Constant = -65.0,
        d: float | Tensor | Learned | Constant = 8.0,
        peak: float | Tensor | Learned | Constant = 30.0,
        tau: float | Tensor | Learned | Constant = 0.001,
        surrogate: Surrogate = FastSigmoid(0.1),
    ) -> None:
        super().__init__()
        self.a, self.b = constant("a", a, positive=True), constant("b", b)
        self.c, self.d = constant("c", c), constant("d", d)
        self.peak = constant("peak", peak)
        self.tau = constant("tau", tau, positive=True)
        check_below("c", self.c, "peak", self.peak)
        self.surrogate = surrogate_option(surrogate)

    @classmethod
    def of_type(cls, *types: str) -> Self:
        """Return neurons of a named cell type, or of one type for each neuron.

        Parameters
        ----------
        *types
            Names in `IZHIKEVICH_TYPES`.

        Raises
        ------
        ValueError
            If a name is not among them.
        """
        if len(types) == 1 and not isinstance(types[0], str):
            raise TypeError(f"`types` is {shown(types[0])}, but names are given one by one: of_type(*names).")
        unknown = sorted(set(types) - set(IZHIKEVICH_TYPES))
        if unknown or not types:
            named = ", ".join(map(repr, unknown)) or "no cell type"
            raise ValueError(f"`types` names {named}, but known are {', '.join(map(repr, IZHIKEVICH_TYPES))}.")
        a, b, c, d = torch.tensor([IZHIKEVICH_TYPES[name] for name in types]).t()
        if len(types) == 1:
            a, b, c, d = a[0], b[0], c[0], d[0]
        return cls(a, b, c=c, d=d)

    def coefficients(self, dt: float) -> IzhikevichCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        constants = (self.a(), self.b(), self.c(), self.d(), self.peak())
        return IzhikevichCoefficients(dt / self.tau(), *constants, self.surrogate)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return regular spiking neurons, slowed down so far that a step is one of the paper's milliseconds."""
        return cls(tau=learned(torch.full((neurons,), max(0.001, dt))))

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the spikes and the state after one step."""
        c = coefficients
        spiked = spike(state.v_mv - c.peak, c.surrogate)
        v = state.v_mv + stop_gradient(spiked) * (c.c - state.v_mv)
        u = state.u + c.d * spiked
        v = minimum(v + 0.5 * c.h * (0.04 * v * v + 5 * v + 140 - u + current), c.peak + 0 * v)
        v = v + 0.5 * c.h * (0.04 * v * v + 5 * v + 140 - u + current)
        u = u + c.h * c.a * (c.b * minimum(v, c.peak + 0 * v) - u)
        return spike(v - c.peak, c.surrogate), IzhikevichState(v_mv=v, u=u)

    def initial_state(self, batch: int, like: Tensor) -> IzhikevichState:
        """Return ``v = -65`` mV and ``u = b v``, as in the paper's code."""
        v = like.new_full((batch, like.shape[-1]), -65.0)
        return IzhikevichState(v_mv=v, u=v * self.b.value.to(v))

    def largest_dt(self) -> float:
        """Return one of the paper's milliseconds, the step of its code."""
        return float(self.tau.value.min())

    def project_(self, dt: float) -> None:
        """Raise a learned `tau` below `dt` to it."""
        if self.tau.learned:
            self.tau.clamp_(least=dt)
