"""The calcium indicator: from spikes or rates to fluorescence."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant


class CalciumState(NamedTuple):
    """`c`: calcium, in units of what one spike adds."""

    c: Any


class CalciumCoefficients(NamedTuple):
    """`gamma`: decay of calcium per step."""

    gamma: Any


class Calcium(NeuronModel):
    r"""Single-exponential calcium indicator: a pointwise filter of the activity that it is given as its current.

    One step of `dt`, with ``gamma = exp(-dt / tau)`` and ``z`` the activity of that step::

        c' = gamma c + z

    It emits ``c'``; gain and baseline of the fluorescence are those of the `Observation` that holds it.

    Parameters
    ----------
    tau
        Decay time of calcium in seconds; 1 s.

    References
    ----------
    Vogelstein et al. 2010, doi:10.1152/jn.01073.2009, equation 2.
    """

    State = CalciumState
    Coefficients = CalciumCoefficients
    emits = "rates"

    def __init__(self, tau: float | Tensor | Learned | Constant = 1.0) -> None:
        super().__init__()
        self.tau = constant("tau", tau, positive=True)

    def coefficients(self, dt: float) -> CalciumCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        return CalciumCoefficients((-dt / self.tau()).exp())

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return calcium and the state after one step with the activity `current`."""
        c = coefficients.gamma * state.c + current
        return c, CalciumState(c=c)

    @staticmethod
    def force(coefficients: Any, state: Any, target: Any, strength: Any) -> tuple[Any, Any]:
        """Pull calcium towards `target`."""
        c = state.c + strength * (target - state.c)
        return c, CalciumState(c=c)
