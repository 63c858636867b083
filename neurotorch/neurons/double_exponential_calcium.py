"""The calcium indicator with a rise and a decay."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from neurotorch.neurons.base import NeuronModel
from neurotorch.neurons.constant import Constant, Learned, constant


class DoubleExponentialCalciumState(NamedTuple):
    """`rise`: what has not yet reached the indicator; `c`: calcium, in units of what one spike adds in the end."""

    rise: Any
    c: Any


class DoubleExponentialCalciumCoefficients(NamedTuple):
    """`rise`, `decay`: factors per step."""

    rise: Any
    decay: Any


class DoubleExponentialCalcium(NeuronModel):
    r"""Double-exponential calcium indicator: a pointwise filter of the activity that it is given as its current.

    One step of `dt`, with ``gamma = exp(-dt / tau)`` for each time constant and ``z`` the activity of that step::

        r' = gamma_rise r + z
        c' = gamma_decay c + (1 - gamma_rise) r'

    It emits ``c'``; gain and baseline of the fluorescence are those of the `Observation` that holds it, and so are
    several simulation steps per frame. A short `tau_rise` makes it `Calcium`. It is an autoregressive process of order
    two whose roots are the two ``gamma``.

    Parameters
    ----------
    tau_rise
        Time constant of the rise in seconds; 50 ms.
    tau_decay
        Time constant of the decay in seconds; 1 s.

    References
    ----------
    Pnevmatikakis et al. 2016, doi:10.1016/j.neuron.2015.11.037, the autoregressive model of order two.
    """

    State = DoubleExponentialCalciumState
    Coefficients = DoubleExponentialCalciumCoefficients
    emits = "rates"

    def __init__(
        self,
        tau_rise: float | Tensor | Learned | Constant = 0.05,
        tau_decay: float | Tensor | Learned | Constant = 1.0,
    ) -> None:
        super().__init__()
        self.tau_rise = constant("tau_rise", tau_rise, positive=True)
        self.tau_decay = constant("tau_decay", tau_decay, positive=True)

    def coefficients(self, dt: float) -> DoubleExponentialCalciumCoefficients:
        """Return the coefficients of a step of `dt` seconds."""
        rise, decay = (-dt / self.tau_rise()).exp(), (-dt / self.tau_decay()).exp()
        return DoubleExponentialCalciumCoefficients(rise, decay)

    @staticmethod
    def step(coefficients: Any, state: Any, current: Any) -> tuple[Any, Any]:
        """Return calcium and the state after one step with the activity `current`."""
        k = coefficients
        rise = k.rise * state.rise + current
        c = k.decay * state.c + (1 - k.rise) * rise
        return c, DoubleExponentialCalciumState(rise=rise, c=c)

    @staticmethod
    def force(coefficients: Any, state: Any, target: Any, strength: Any) -> tuple[Any, Any]:
        """Pull calcium towards `target`; what has not yet reached the indicator stays."""
        c = state.c + strength * (target - state.c)
        return c, DoubleExponentialCalciumState(rise=state.rise, c=c)
