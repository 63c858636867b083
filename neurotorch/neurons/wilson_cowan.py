"""The Wilson-Cowan unit."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from neurotorch.core.vocabulary import log, maximum, minimum, sigmoid
from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant, learned


class WilsonCowanState(NamedTuple):
    """`x`: the fraction of cells that are active."""

    x: Any


class WilsonCowanCoefficients(NamedTuple):
    """`rate`: ``dt / tau``; `mu`: threshold of the sigmoid; `r`: refractory fraction."""

    rate: Any
    mu: Any
    r: Any


class WilsonCowan(NeuronModel):
    r"""Wilson-Cowan unit.

    One step of `dt`::

        x' = x + (dt / tau) (-x + (1 - r x) sigmoid(I - mu))

    Parameters
    ----------
    tau
        Time constant in seconds, at least `dt`; 1 s.
    mu
        Threshold of the sigmoid; 0.
    r
        Refractory fraction, 0 for none; 0.

    References
    ----------
    Wilson & Cowan 1972, doi:10.1016/S0006-3495(72)86068-5, equations 11 and 12, by Euler's method, with unit slope.
    """

    State = WilsonCowanState
    Coefficients = WilsonCowanCoefficients
    emits = "rates"

    def __init__(
        self,
        tau: float | Tensor | Learned | Constant = 1.0,
        mu: float | Tensor | Learned | Constant = 0.0,
        *,
        r: float | Tensor | Learned | Constant = 0.0,
    ) -> None:
        super().__init__()
        self.tau = constant("tau", tau, positive=True)
        self.mu = constant("mu", mu)
        self.r = constant("r", r)

    def coefficients(self, dt: float) -> WilsonCowanCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        return WilsonCowanCoefficients(dt / self.tau(), self.mu(), self.r())

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return the activity and the state after one step."""
        c = coefficients
        x = state.x + c.rate * ((1 - c.r * state.x) * sigmoid(current - c.mu) - state.x)
        return x, WilsonCowanState(x=x)

    @staticmethod
    def force(coefficients: Any, state: Any, target: Any, strength: Any) -> tuple[Any, Any]:
        """Pull the activity towards `target`."""
        x = state.x + strength * (target - state.x)
        return x, WilsonCowanState(x=x)

    @staticmethod
    def required_current(coefficients: Any, state: Any, target: Any) -> Any:
        """Return ``mu + logit(s)`` with ``s = (x + (target - x) tau / dt) / (1 - r x)`` held within 0.02 and 0.98."""
        c = coefficients
        share = (state.x + (target - state.x) / c.rate) / (1 - c.r * state.x)
        share = minimum(maximum(share, 0 * share + 0.02), 0 * share + 0.98)
        return c.mu + log(share / (1 - share))

    @classmethod
    def for_frames(cls, dt: float, neurons: int) -> Self:
        """Return units with learned time constants from three steps on, and learned thresholds."""
        return cls(learned(torch.full((neurons,), 3 * dt)), learned(torch.zeros(neurons)))

    def limits(self) -> tuple[float, float]:
        """Return 0 and 1."""
        return 0.0, 1.0

    def largest_dt(self) -> float:
        """Return the smallest time constant: beyond it Euler's method overshoots."""
        return float(self.tau.value.min())

    def project_(self, dt: float) -> None:
        """Raise learned time constants below `dt` to it."""
        if self.tau.learned:
            self.tau.clamp_(least=dt)
