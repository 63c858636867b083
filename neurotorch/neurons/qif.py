"""The quadratic integrate-and-fire neuron."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from neurotorch.core.vocabulary import Surrogate, spike, stop_gradient
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant, learned
from neurotorch.neurons.options import check_below, surrogate_option
from neurotorch.neurons.surrogate import FastSigmoid


class QIFState(NamedTuple):
    """`v`: dimensionless membrane potential, before the reset of a spike in the same step."""

    v: Any


class QIFCoefficients(NamedTuple):
    """`rate`: ``dt / tau_mem``; `v_reset`; `peak`; the option `surrogate`."""

    rate: Any
    v_reset: Any
    peak: Any
    surrogate: Any


class QIF(NeuronModel):
    r"""Quadratic integrate-and-fire neuron, dimensionless.

    One step of `dt` by Euler's method, with ``H`` the step function::

        s  = H(v - peak)                        the spike of the step before; carries no gradient
        v0 = v + s (v_reset - v)
        v' = v0 + (dt / tau_mem) (v0^2 + I)
        z  = H(v' - peak)

    Under a constant current ``I > 0`` it fires with the interval ``tau_mem (arctan(peak / q) - arctan(v_reset / q)) /
    q``, ``q = sqrt(I)``, in small steps; under ``I < 0`` it rests at ``-sqrt(-I)``, stable while
    ``dt sqrt(-I) <= tau_mem``. In steps longer than ``tau_mem / |v_reset|`` it would leap from its reset over its rest
    at 0, and fire by itself: they are refused.

    Parameters
    ----------
    tau_mem
        Membrane time constant in seconds; 10 ms.
    v_reset
        Potential after a spike; -10.
    peak
        Potential at which a spike is emitted; 10.
    surrogate
        Stand-in for the derivative of ``H``.

    References
    ----------
    Ermentrout & Kopell 1986, doi:10.1137/0146017; Latham et al. 2000, doi:10.1152/jn.2000.83.2.808; in this form
    Montbrio, Pazo & Roxin 2015, doi:10.1103/PhysRevX.5.021028, equation 1.
    """

    State = QIFState
    Coefficients = QIFCoefficients
    emits = "spikes"

    def __init__(
        self,
        tau_mem: float | Tensor | Learned | Constant = 0.01,
        v_reset: float | Tensor | Learned | Constant = -10.0,
        *,
        peak: float | Tensor | Learned | Constant = 10.0,
        surrogate: Surrogate = FastSigmoid(1.0),
    ) -> None:
        super().__init__()
        self.tau_mem = constant("tau_mem", tau_mem, positive=True)
        self.v_reset, self.peak = constant("v_reset", v_reset), constant("peak", peak)
        check_below("v_reset", self.v_reset, "peak", self.peak)
        self.surrogate = surrogate_option(surrogate)

    def coefficients(self, dt: float) -> QIFCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        return QIFCoefficients(dt / self.tau_mem(), self.v_reset(), self.peak(), self.surrogate)

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return neurons with learned time constants, longer than usual where steps are too long for those."""
        return cls(learned(torch.full((neurons,), max(0.01, 10 * dt))))

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the spikes and the state after one step."""
        c = coefficients
        spiked = stop_gradient(spike(state.v - c.peak, c.surrogate))
        v = state.v + spiked * (c.v_reset - state.v)
        v = v + c.rate * (v * v + current)
        return spike(v - c.peak, c.surrogate), QIFState(v=v)

    def largest_dt(self) -> float:
        """Return the step at which a neuron gets from its reset to its rest at 0 at once."""
        return float((self.tau_mem.value / self._from_reset()).min())

    def project_(self, dt: float) -> None:
        """Raise learned time constants to those for which steps of `dt` seconds are short enough."""
        if self.tau_mem.learned:
            self.tau_mem.clamp_(least=dt * float(self._from_reset().max()))

    def _from_reset(self) -> Tensor:
        """Return how many steps of a time constant a neuron needs from its reset to 0, at least 1."""
        return (-self.v_reset.value).clamp(min=1)
